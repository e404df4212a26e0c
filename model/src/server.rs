//! One server: the node in memory, its durability gate, its disk; and everything that can happen
//! to it alone in the model. The simulation has the same servers, with clocks that advance.
//!
//! [`Machine::perform`] is a pure function of server and operation. The claims about single steps
//! and leaving messages are decided here, once for each distinct step.

use std::cell::RefCell;
use std::collections::BTreeSet;

use quorate_spec::durable::Write;
use quorate_spec::property::history::{Event, events};
use quorate_spec::property::release::{SentVote, broken_by_release, vote_in};
use quorate_spec::property::restart::{durable_index_sound, restart_recovers};
use quorate_spec::property::step::{broken_by_effects, broken_by_restart, broken_by_step};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::role::Pace;
use quorate_spec::{
    Durable, Effects, Envelope, Gate, Index, Input, Instant, Limit, Message, Moment, Node, NodeId,
    Outgoing, Params, Protocol, Rename, Role, RoleName, Rules, Sound, WriteId,
};

use crate::canonical::permutations;
use crate::coverage::Coverage;
use crate::intern::{Interned, content_hash};
use crate::internable;
use crate::slice::Members;
use crate::witness::Witness;

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
        let before = self.node.clone();
        protocol.step(&mut self.node, moment, input.clone(), effects);
        let after = &self.node;
        let broken = broken_by_step(&protocol.params, &before, &input, after);
        let broken = broken.union(broken_by_effects(effects));
        Step { events: events(&before, after), before, broken }
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

/// What can happen to one server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// Its election timeout passes, or, if it leads, one without an answer.
    Timeout,
    /// Its promise ends, and nothing else happens.
    Lapse,
    /// Its timers are looked at, and no time passes.
    Tick,
    /// An operator asks it to campaign.
    Campaign,
    /// A client proposes one command.
    Propose,
    /// An operator asks it for these members.
    ChangeMembers(Members),
    /// A message arrives.
    Receive(Interned<Envelope>),
    /// Its disk reports the first so many pending writes durable.
    Report(u8),
    /// It crashes with so many of the pending writes on disk, and restarts.
    Crash(u8),
    /// Its snapshot up to this entry is complete.
    TakeSnapshot(Index),
    /// It has stopped moving a snapshot to this server.
    StopMoving(NodeId),
    /// It is asked for a request to this server.
    Transmit(NodeId),
    /// It is asked for a request without entries to this server.
    Beat(NodeId),
    /// This other server's clock was moved back by so much: the times in replies to it, too.
    PeerClock(NodeId, u64),
}

/// What an operation did.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Outcome {
    /// The server afterwards.
    pub server: Interned<Server>,
    /// The messages that left it, in order.
    pub sent: Vec<Interned<Envelope>>,
    /// What the history has to remember.
    pub events: Vec<Event>,
    /// The claims that it broke.
    pub broken: ClaimSet,
    /// By how much the server's clock was moved back.
    pub elapsed: u64,
}

internable!(Outcome);

/// The protocol, and how a slice drives single servers.
pub struct Machine<R> {
    /// The protocol under check.
    pub protocol: Protocol<R>,
    /// How many entries a request may carry.
    pub limit: Limit,
    /// Whether leaders send AppendEntries at all.
    pub appends: bool,
    /// What was seen happening.
    pub coverage: Coverage,
}

impl<R: Rules> Machine<R> {
    /// A server of a new cluster, an election timeout after it started.
    pub fn first(&self, id: NodeId, durable: Durable) -> Server {
        let moment = Moment { now: PRESENT, draw: 0 };
        let server = Server::start(&self.protocol, id, durable, moment);
        let lapsed = self.perform(&server, Operation::Lapse, Delivery { sync: true, eager: false });
        (*lapsed.server).clone()
    }

    /// What `operation` does to `server`.
    pub fn perform(&self, server: &Server, operation: Operation, delivery: Delivery) -> Outcome {
        let mut run = Run::new(self, server.clone());
        run.operate(operation);
        if delivery.sync {
            run.report_everything();
        }
        if delivery.eager {
            run.transmit_everything();
        }
        run.finish()
    }
}

/// How writes and requests move on after an operation.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Delivery {
    /// Writes are durable at once: nothing is sent or counted between a step and the report of its
    /// write.
    pub sync: bool,
    /// Requests are asked for at once, to all peers.
    pub eager: bool,
}

/// An operation in progress.
struct Run<'a, R> {
    machine: &'a Machine<R>,
    server: Server,
    sent: Vec<Interned<Envelope>>,
    events: Vec<Event>,
    broken: ClaimSet,
    now: Instant,
    effects: Effects,
}

impl<'a, R: Rules> Run<'a, R> {
    fn new(machine: &'a Machine<R>, server: Server) -> Self {
        Run {
            machine,
            server,
            sent: Vec::new(),
            events: Vec::new(),
            broken: ClaimSet::NONE,
            now: PRESENT,
            effects: Effects::default(),
        }
    }

    fn operate(&mut self, operation: Operation) {
        match operation {
            Operation::Timeout => {
                let node = &self.server.node;
                // Two rounds of pre-votes do not begin at the same instant.
                let again = u64::from(node.role().name() == RoleName::PreCandidate);
                let horizon = self.machine.protocol.horizon(node, PRESENT);
                self.now = horizon.max(Instant(PRESENT.0 + again));
                self.step(Input::Tick);
            }
            Operation::Lapse => self.now = Instant(PRESENT.0 + E),
            Operation::Tick => self.step(Input::Tick),
            Operation::Campaign => {
                // Two rounds do not begin at the same instant; a promise does not end by asking.
                let promised = self.server.node.promised_until() > PRESENT;
                self.now = Instant(PRESENT.0 + u64::from(!promised));
                self.step(Input::Campaign);
            }
            Operation::ChangeMembers(to) => self.step(Input::ChangeMembers(to.target())),
            Operation::Propose => self.step(Input::Propose { count: 1 }),
            Operation::Receive(envelope) => {
                self.machine.coverage.saw_message(envelope.message.body.kind());
                self.step(Input::Receive((*envelope).clone()));
            }
            Operation::Report(writes) => self.report(usize::from(writes)),
            Operation::Crash(kept) => self.crash(usize::from(kept)),
            Operation::TakeSnapshot(index) => self.step(Input::SnapshotTaken { index }),
            Operation::StopMoving(peer) => {
                if let Some(index) = self.server.moves_snapshot_to(peer) {
                    self.step(Input::SnapshotReported { peer, index });
                }
            }
            Operation::Transmit(peer) => self.transmit(peer, self.machine.limit),
            Operation::Beat(peer) => self.transmit(peer, Limit { entries: 0 }),
            Operation::PeerClock(peer, by) => {
                let (now, to) = (Instant(PRESENT.0 + by), PRESENT);
                for (receiver, message) in self.server.gate.items_mut() {
                    // A request's times are its sender's.
                    if *receiver == peer && !message.body.kind().is_request() {
                        message.rebase(now, to);
                    }
                }
            }
        }
    }

    /// Takes one step of the protocol and performs its effects, in their order.
    fn step(&mut self, input: Input) {
        let moment = Moment { now: self.now, draw: 0 };
        let step = self.server.step(&self.machine.protocol, moment, input, &mut self.effects);
        let coverage = &self.machine.coverage;
        coverage.saw_step(&self.effects);
        Witness::of_change(step.before.log(), self.server.node.log())
            .for_each(|witness| coverage.saw_witness(witness));
        self.broken = self.broken.union(step.broken);
        self.events.extend(step.events);
        if let Some(persist) = self.effects.persist.take() {
            self.server.disk.pending.push(persist.write);
        }
        for outgoing in std::mem::take(&mut self.effects.send) {
            self.send(outgoing);
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let Outgoing { needs, to, message } = outgoing;
        if let Some((to, message)) = self.server.gate.pass(needs, (to, message)) {
            self.release(to, message);
        }
    }

    fn release(&mut self, to: NodeId, message: Message) {
        let (envelope, broken) = self.server.release(to, message);
        self.broken = self.broken.union(broken);
        self.sent.push(Interned::new(envelope));
    }

    fn report(&mut self, writes: usize) {
        let Some((id, free)) = self.server.report(writes) else { return };
        for (to, message) in free {
            self.release(to, message);
        }
        self.step(Input::Persisted(id));
        // The reports that this one has overtaken come after it.
        for before in 1..writes as u64 {
            self.step(Input::Persisted(WriteId(id.0.saturating_sub(before))));
        }
    }

    fn report_everything(&mut self) {
        while !self.server.disk.pending.is_empty() {
            self.report(self.server.disk.pending.len());
        }
    }

    fn crash(&mut self, kept: usize) {
        let moment = Moment { now: self.now, draw: 0 };
        let broken = self.server.crash(&self.machine.protocol, kept, moment);
        self.broken = self.broken.union(broken);
    }

    fn transmit(&mut self, peer: NodeId, limit: Limit) {
        let node = &mut self.server.node;
        if let Some(outgoing) = self.machine.protocol.poll_transmit(node, peer, self.now, limit) {
            self.send(outgoing);
        }
    }

    fn transmit_everything(&mut self) {
        if !self.machine.appends && self.server.node.is_leader() {
            return;
        }
        for peer in self.machine.protocol.recipients(&self.server.node) {
            self.transmit(peer, self.machine.limit);
        }
    }

    /// Moves the clock's origin back and renumbers the writes.
    fn finish(mut self) -> Outcome {
        let params = self.machine.protocol.params;
        self.broken = self.broken.union(self.server.broken_on_disk(params));
        let Server { node, gate, .. } = &mut self.server;
        node.rebase(&self.machine.protocol.params, self.now, PRESENT);
        node.forget_election_timer(PRESENT);
        gate.renumber(node.renumber_writes());
        // A request carries times of its sender's clock, which has just been moved.
        let held = gate.items_mut().map(|(_, message)| message);
        for message in held.filter(|message| message.body.kind().is_request()) {
            message.rebase(self.now, PRESENT);
        }
        for envelope in &mut self.sent {
            if envelope.message.body.kind().is_request() && self.now != PRESENT {
                let mut moved = (**envelope).clone();
                moved.message.rebase(self.now, PRESENT);
                *envelope = Interned::new(moved);
            }
        }
        Outcome {
            server: Interned::new(self.server),
            sent: self.sent,
            events: self.events,
            broken: self.broken,
            elapsed: self.now.0 - PRESENT.0,
        }
    }
}
