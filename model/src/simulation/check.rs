//! What has to hold between the servers after an operation on one of them.
//!
//! Only one server has changed, so only what it is part of is looked at again; at the end of a run
//! everything is, which has to come to the same.

use quorate_spec::property::Claim;
use quorate_spec::property::cluster::{
    committed_is_durable, leader_undisturbed, log_matching, match_index_sound, quorum_intersection,
    quorum_log, snapshot_committed,
};
use quorate_spec::property::reads::{lease_exclusive, lease_read_is_linearizable, waits_for};
use quorate_spec::role::Pace;
use quorate_spec::{Node, NodeId, Role, Token, WriteId};

use crate::server::Server;

use super::cluster::Cluster;
use super::finding::{Findings, Invariant};

/// What an operation can have changed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Changed {
    /// The log in memory.
    pub(crate) log: bool,
    /// The reported disk or what is known to be committed.
    pub(crate) durable: bool,
}

/// Everything, of every server.
pub(crate) fn everywhere(cluster: &Cluster) -> Findings {
    let mut found = Findings::default();
    for server in cluster.servers() {
        let all = Changed { log: true, durable: true };
        found.absorb(around(cluster, server.node.id(), all));
    }
    found
}

/// What this server is part of, and what else has changed with it.
pub(crate) fn around(cluster: &Cluster, id: NodeId, changed: Changed) -> Findings {
    let mut found = Findings::default();
    let servers = cluster.servers();
    let server = &servers[id.0 as usize];
    alone(&mut found, server, cluster.params().max_in_flight);
    found.claims(server.broken_on_disk(*cluster.params()));
    if let Some((leader, term)) = cluster.protected().filter(|(leader, _)| *leader == id) {
        let undisturbed = leader_undisturbed(&servers[leader.0 as usize].node, term);
        found.require_claim(Claim::NonDisruption, undisturbed);
    }
    if cluster.params().lease.is_some() {
        leases(&mut found, cluster);
    }
    let mut waiting = cluster.history().reads.range((id, Token(0))..=(id, Token(u64::MAX)));
    let waited_for = waiting.all(|((_, token), _)| waits_for(&server.node, *token));
    found.require_claim(Claim::ReadProgress, waited_for);
    let others = || servers.iter().filter(|other| other.node.id() != id);
    let knows = |a: &Server, b: &Server| match_index_sound(&a.node, &b.node, &b.disk.reported);
    let sound = others().all(|other| knows(server, other) && knows(other, server));
    found.require_claim(Claim::MatchIndexSound, sound);
    let nodes = || -> Box<dyn Iterator<Item = &Node>> {
        Box::new(servers.iter().map(|server| &server.node))
    };
    if changed.log {
        let log = server.node.log();
        let matching = others().all(|other| log_matching(log, other.node.log()));
        found.require_claim(Claim::LogMatching, matching);
        let intersect = quorum_intersection(cluster.rules(), nodes);
        found.require_claim(Claim::QuorumIntersection, intersect);
        let committed = snapshot_committed(cluster.history(), cluster.first_configuration(), log);
        found.require_claim(Claim::SnapshotCommitted, committed);
    }
    // A commit needs no change of a log, and who could win depends on logs.
    if changed.log || changed.durable {
        let held = quorum_log(cluster.rules(), cluster.history(), nodes);
        found.require_claim(Claim::QuorumLog, held);
        let disk = |id: NodeId| &servers[id.0 as usize].disk.reported;
        let durable = committed_is_durable(cluster.rules(), cluster.history(), nodes, disk);
        found.require_claim(Claim::CommittedIsDurable, durable);
    }
    found
}

/// Whoever would serve a lease read at this moment of its clock. Time that passes only ends
/// leases, so it is enough to look after each operation.
fn leases(found: &mut Findings, cluster: &Cluster) {
    let nodes = || cluster.servers().iter().map(|server| &server.node);
    for (id, node) in nodes().enumerate() {
        let Ok(served_at) = cluster.lease_read(id) else { continue };
        let linearizable = lease_read_is_linearizable(cluster.history(), served_at);
        found.require_claim(Claim::LinearizableRead, linearizable);
        let led = cluster.history().leaders.keys().copied();
        found.require_claim(Claim::LeaseExclusive, lease_exclusive(node, led));
    }
}

/// What one server keeps by itself.
fn alone(found: &mut Findings, server: &Server, window: usize) {
    found.require(Invariant::LogIsOrdered, log_is_ordered(&server.node));
    found.require(Invariant::DiskFollowsMemory, disk_follows_memory(server));
    found.require(Invariant::DurableMarkIsTrue, durable_mark_is_true(server));
    found.require(Invariant::ProgressIsOrdered, progress_is_ordered(&server.node, window));
    found.require(Invariant::NothingHeldForEver, nothing_held_for_ever(server));
}

fn log_is_ordered(node: &Node) -> bool {
    let base = node.log().base();
    let mut before = (base.index, base.term);
    node.log().ids().all(|id| {
        let follows = id.index == before.0.next() && id.term >= before.1;
        before = (id.index, id.term);
        follows && id.term <= node.current_term()
    })
}

fn disk_follows_memory(server: &Server) -> bool {
    let Server { node, disk, .. } = server;
    let recovered = disk.recovered(disk.pending.len());
    disk.pending.len() == node.unwritten().len()
        && recovered.hard_state == node.hard_state()
        && recovered.log == *node.log()
}

fn durable_mark_is_true(server: &Server) -> bool {
    let Server { node, disk, .. } = server;
    let mut marked = node.log().ids().take_while(|id| id.index <= node.durable_index());
    node.durable_index() <= node.log().last().index
        && marked.all(|id| disk.reported.log.contains(id))
}

fn progress_is_ordered(node: &Node, window: usize) -> bool {
    let Role::Leader(leadership) = node.role() else { return true };
    let end = node.log().last().index;
    leadership.peers.values().all(|peer| {
        let ordered = peer.match_index < peer.next_index && peer.next_index <= end.next();
        let streams = match &peer.pace {
            Pace::Probe => true,
            Pace::Replicate(in_flight) => {
                in_flight.len() <= window
                    && in_flight.is_sorted()
                    && in_flight.iter().all(|last| *last > peer.match_index && *last <= end)
            }
            Pace::Snapshot(index) => {
                *index > peer.match_index
                    && *index <= node.log().base().index
                    && peer.next_index <= node.log().base().index
            }
        };
        ordered && streams
    })
}

fn nothing_held_for_ever(server: &Server) -> bool {
    let pending = server.node.unwritten();
    let last = pending.last().map_or(WriteId::NONE, |write| write.id);
    server.gate.held().all(|(needs, _)| *needs <= last)
}
