//! One server: the node in memory, its durability gate, its disk. The simulation has the same
//! servers, with clocks that advance. What can happen to one in the model is in `operation`.
//!
//! The claims about single steps and leaving messages are decided here, once for each distinct step.

use std::cell::RefCell;
use std::collections::BTreeSet;

use quorate_spec::durable::Write;
use quorate_spec::property::history::{Event, answered, asked, events};
use quorate_spec::property::reads::published_in_time;
use quorate_spec::property::release::{SentVote, broken_by_release, vote_in};
use quorate_spec::property::restart::{durable_index_sound, restart_recovers};
use quorate_spec::property::step::{
    broken_by_effects, broken_by_restart, broken_by_step, leader_is_heard, leader_writes,
};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::role::Pace;
use quorate_spec::{
    Durable, Effects, Envelope, Gate, Index, Input, Instant, Message, Moment, Node, NodeId, Params,
    Protocol, Rename, Role, Rules, Sound, WriteId,
};

use crate::canonical::permutations;
use crate::intern::{Interned, content_hash};
use crate::internable;
pub use crate::operation::{Delivery, Machine, Operation, Outcome};

/// The present, on every node's clock, between two operations. Each operation moves the origin
/// back here, so that the number of states stays finite.
pub const PRESENT: Instant = Instant(E);

/// The election timeout of all models.
pub const E: u64 = 10;

/// A server: what a crash takes, and what it does not.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Server {
    /// The node in memory.
    pub node: Node,
    /// Messages that wait for a write; lost in a crash.
    pub gate: Gate<(NodeId, Message)>,
    /// The disk.
    pub disk: Disk,
    /// The latest vote that left the server: a ghost, which no crash takes and no node sees.
    pub last_vote: Option<SentVote>,
}

/// A disk with a queue: a crash recovers the reported state with any prefix of what follows it.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Disk {
    /// The state after the last write that was reported durable.
    pub reported: Durable,
    /// The writes after it, oldest first.
    pub pending: Vec<Write>,
}

impl Disk {
    /// What a crash recovers that happens after so many of the pending writes.
    #[must_use]
    pub fn recovered(&self, kept: usize) -> Durable {
        let mut durable = self.reported.clone();
        self.pending.iter().take(kept).for_each(|write| durable.apply(write));
        durable
    }
}

impl Server {
    /// A server that starts with this disk.
    pub fn start(
        protocol: &Protocol<impl Rules>,
        id: NodeId,
        durable: Durable,
        moment: Moment,
    ) -> Server {
        let node = protocol.start(id, durable.clone(), moment);
        let disk = Disk { reported: durable, pending: Vec::new() };
        Server { node, gate: Gate::default(), disk, last_vote: None }
    }

    /// Up to where the snapshot goes that the server is moving to this peer, if it is.
    #[must_use]
    pub fn moves_snapshot_to(&self, peer: NodeId) -> Option<Index> {
        let Role::Leader(leadership) = self.node.role() else { return None };
        match leadership.peers.get(&peer)?.pace {
            Pace::Snapshot(index) => Some(index),
            Pace::Probe | Pace::Replicate(_) => None,
        }
    }

    /// The claims about disk and memory that are false of this server, or would be after a crash
    /// at this moment, whatever that keeps of the pending writes.
    #[must_use]
    pub fn broken_on_disk(&self, params: Params) -> ClaimSet {
        let Server { node, disk, .. } = self;
        let mut broken = ClaimSet::NONE;
        broken.require(Claim::DurableIndexSound, durable_index_sound(node, &disk.reported));
        let protocol = Protocol { rules: Sound, params };
        let moment = Moment { now: PRESENT, draw: 0 };
        for kept in 0..=disk.pending.len() {
            let recovered = disk.recovered(kept);
            let after = protocol.start(node.id(), recovered.clone(), moment);
            let recovers = restart_recovers(node, &disk.reported, &recovered, &after);
            broken.require(Claim::RestartRecovers, recovers);
        }
        broken
    }

    /// Takes a step of the protocol; its effects are left to perform. Gives what the step was.
    pub(crate) fn step(
        &mut self,
        protocol: &Protocol<impl Rules>,
        moment: Moment,
        input: Input,
        effects: &mut Effects,
    ) -> Step {
        let (before, view) = (self.node.clone(), protocol.read_view(&self.node));
        protocol.step(&mut self.node, moment, input.clone(), effects);
        let (after, params) = (&self.node, &protocol.params);
        let mut broken = broken_by_step(params, &before, &input, after);
        broken = broken.union(broken_by_effects(effects));
        let heard = leader_is_heard(params, moment.now, &input, &before, after);
        let writes = leader_writes(params, moment.now, &input, after);
        broken.require(Claim::CheckQuorumSoundness, heard && writes);
        let published = published_in_time(view, protocol.read_view(after), effects);
        broken.require(Claim::PublishedInTime, published);
        let mut happened: Vec<Event> = asked(after.id(), &input, effects).into_iter().collect();
        happened.extend(events(&before, after));
        happened.extend(answered(after.id(), effects));
        Step { events: happened, before, broken }
    }

    /// The disk reports the first so many pending writes durable, if there are so many: gives the
    /// last of them, for the node to hear, and what waited for them, to be released before.
    pub fn report(&mut self, writes: usize) -> Option<(WriteId, Vec<(NodeId, Message)>)> {
        let later = self.disk.pending.len().checked_sub(writes).filter(|_| writes > 0)?;
        // The pending writes are the last ones that were issued, whatever the node makes of reports.
        let id = WriteId(self.node.last_write().0.saturating_sub(later as u64));
        for write in self.disk.pending.drain(..writes) {
            self.disk.reported.apply(&write);
        }
        Some((id, self.gate.persisted(id)))
    }

    /// A message leaves: from here on a crash cannot call it back. Gives the claims that it breaks.
    pub fn release(&mut self, to: NodeId, message: Message) -> (Envelope, ClaimSet) {
        let envelope = Envelope { from: self.node.id(), to, message };
        let Server { node, disk, last_vote, .. } = &*self;
        let broken = broken_by_release(&envelope, node, &disk.reported, *last_vote);
        self.last_vote = vote_in(&envelope).or(self.last_vote);
        (envelope, broken)
    }

    /// It crashes with so many of the pending writes on disk, and restarts. Gives the claims that
    /// this breaks.
    pub fn crash(
        &mut self,
        protocol: &Protocol<impl Rules>,
        kept: usize,
        moment: Moment,
    ) -> ClaimSet {
        let Server { node: before, disk, last_vote, .. } = &*self;
        let recovered = disk.recovered(kept);
        let restarted = Server::start(protocol, before.id(), recovered, moment);
        let recovered = &restarted.disk.reported;
        let broken = broken_by_restart(before, &disk.reported, recovered, &restarted.node);
        *self = Server { last_vote: *last_vote, ..restarted };
        broken
    }
}

/// A step that a server has taken.
pub(crate) struct Step {
    /// The node before it.
    pub(crate) before: Node,
    /// What the history has to remember.
    pub(crate) events: Vec<Event>,
    /// The claims that it broke.
    pub(crate) broken: ClaimSet,
}

internable!(Server, signature);

/// A number that no renaming changes: the least content hash over all names of the others that
/// the server mentions anywhere.
fn signature(server: &Server) -> u64 {
    let me = server.node.id();
    let mentioned = RefCell::new(BTreeSet::new());
    server.clone().rename(&|id| {
        mentioned.borrow_mut().insert(id);
        id
    });
    let others: Vec<NodeId> = mentioned.into_inner().into_iter().filter(|id| *id != me).collect();
    let indices: Vec<usize> = (0..others.len()).collect();
    let hashes = permutations(&indices).into_iter().map(|order| {
        let mut renamed = server.clone();
        renamed.rename(&|id| match others.iter().position(|other| *other == id) {
            Some(position) => NodeId(order[position] as u64 + 1),
            None => NodeId(0),
        });
        renamed.gate.sort();
        content_hash(&renamed)
    });
    hashes.min().unwrap_or_default()
}

/// The server with what waits at its gate in one order, whichever came first.
pub(crate) fn in_order(server: Interned<Server>) -> Interned<Server> {
    if server.gate.held().count() < 2 {
        return server;
    }
    let mut sorted = (*server).clone();
    sorted.gate.sort();
    Interned::new(sorted)
}

internable!(Envelope, |envelope| content_hash(&envelope.message));

impl Rename for Server {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.node.rename(to);
        self.gate.rename(to);
        self.disk.reported.rename(to);
        self.disk.pending.iter_mut().for_each(|write| write.rename(to));
        self.last_vote = self.last_vote.map(|(term, id)| (term, to(id)));
    }
}
