//! The claims of the specification over the servers of a simulated cluster: the functions that the
//! model evaluates, too.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_spec::property::cluster::{
    committed_is_durable, log_matching, match_index_sound, quorum_intersection, quorum_log,
    snapshot_committed,
};
use quorate_spec::property::history::{Event, answered, asked, events};
use quorate_spec::property::reads::{
    lease_exclusive, lease_read_is_linearizable, published_in_time, waits_for,
};
use quorate_spec::property::restart::{durable_index_sound, restart_recovers};
use quorate_spec::property::step::{
    broken_by_effects, broken_by_step, leader_is_heard, leader_writes,
};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Durable, Moment, Node, NodeId, Sound, Token};

use super::world::State;
use crate::clock::Clock;
use crate::setting::Step;

/// The claims that a step breaks by itself.
pub(super) fn by_step(step: &Step<'_>) -> ClaimSet {
    let Step { protocol, moment, before, input, after, effects } = *step;
    let params = &protocol.params;
    let mut broken = broken_by_step(params, before, input, after).union(broken_by_effects(effects));
    let heard = leader_is_heard(params, moment.now, input, before, after);
    let writes = leader_writes(params, moment.now, input, after);
    broken.require(Claim::CheckQuorumSoundness, heard && writes);
    let (was, is) = (protocol.read_view(before), protocol.read_view(after));
    broken.require(Claim::PublishedInTime, published_in_time(was, is, effects));
    broken
}

/// What the history has to remember of a step.
pub(super) fn happened(step: &Step<'_>) -> Vec<Event> {
    let Step { before, input, after, effects, .. } = *step;
    let mut all: Vec<Event> = asked(after.id(), input, effects).into_iter().collect();
    all.extend(events(before, after));
    all.extend(answered(after.id(), effects));
    all
}

/// The claims that are false of a server, and of it together with the others. Those that only a
/// change of a log, a disk or what is committed can make false are looked at where there was one.
pub(super) fn around(state: &State, id: NodeId, changed: bool) -> ClaimSet {
    let mut broken = ClaimSet::NONE;
    let server = &state.servers[&id];
    let disks: BTreeMap<NodeId, Arc<Durable>> =
        state.servers.iter().map(|(id, server)| (*id, server.disk.durable())).collect();
    on_disk(&mut broken, state, id, &disks[&id]);
    leases(&mut broken, state);
    let mut waiting = state.history.reads.range((id, Token(0))..=(id, Token(u64::MAX)));
    let waited_for = waiting.all(|((_, token), _)| waits_for(&server.node, *token));
    broken.require(Claim::ReadProgress, waited_for);
    let nodes = || -> Box<dyn Iterator<Item = &Node>> {
        Box::new(state.servers.values().map(|server| &server.node))
    };
    let others = || nodes().filter(|other| other.id() != id);
    let knows = |a: &Node, b: &Node| match_index_sound(a, b, &disks[&b.id()]);
    let sound = others().all(|other| knows(&server.node, other) && knows(other, &server.node));
    broken.require(Claim::MatchIndexSound, sound);
    if changed {
        let log = server.node.log();
        let matching = others().all(|other| log_matching(log, other.log()));
        broken.require(Claim::LogMatching, matching);
        broken.require(Claim::QuorumIntersection, quorum_intersection(&Sound, nodes));
        let committed = snapshot_committed(&state.history, &state.first, log);
        broken.require(Claim::SnapshotCommitted, committed);
        broken.require(Claim::QuorumLog, quorum_log(&Sound, &state.recent, nodes));
        let durable = committed_is_durable(&Sound, &state.recent, nodes, |id| &*disks[&id]);
        broken.require(Claim::CommittedIsDurable, durable);
    }
    broken
}

/// What a server takes for durable is, and a crash at this moment would leave a legal beginning,
/// whatever it kept of the writes that are under way.
fn on_disk(broken: &mut ClaimSet, state: &State, id: NodeId, disk: &Durable) {
    let server = &state.servers[&id];
    broken.require(Claim::DurableIndexSound, durable_index_sound(&server.node, disk));
    let moment = Moment { now: server.clock.now(), draw: 0 };
    for recovered in server.disk.possible() {
        let after = state.protocol.start(id, recovered.clone(), moment);
        let recovers = restart_recovers(&server.node, disk, &recovered, &after);
        broken.require(Claim::RestartRecovers, recovers);
    }
}

/// Whoever would serve a lease read at this moment of its clock.
fn leases(broken: &mut ClaimSet, state: &State) {
    for server in state.servers.values() {
        let view = state.protocol.read_view(&server.node);
        let Ok(served_at) = view.lease_read(server.clock.now()) else { continue };
        let linearizable = lease_read_is_linearizable(&state.history, served_at);
        broken.require(Claim::LinearizableRead, linearizable);
        let led = state.history.leaders.keys().copied();
        broken.require(Claim::LeaseExclusive, lease_exclusive(&server.node, led));
    }
}
