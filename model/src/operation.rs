//! Everything that can happen to one server alone in the model. [`Machine::perform`] is a pure
//! function of server and operation.

use quorate_spec::property::Claim;
use quorate_spec::property::ClaimSet;
use quorate_spec::property::history::Event;
use quorate_spec::role::Transition;
use quorate_spec::{
    Durable, Duration, Effects, Envelope, Index, Input, Instant, Limit, Message, Moment, NodeId,
    Outgoing, Params, Protocol, RoleName, Rules, Token, WriteId,
};

use crate::clocks::{Clocks, Moved, ROUND, renews};
use crate::coverage::Coverage;
use crate::intern::Interned;
use crate::internable;
use crate::server::{E, PRESENT, Server};
use crate::slice::Members;
use crate::witness::Witness;

/// What can happen to one server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Operation {
    /// Its election timeout passes, or, if it leads, one without an answer.
    Timeout,
    /// Its promise ends, and nothing else happens.
    Lapse,
    /// Its clock advances by a tick, and nothing else happens.
    Advance,
    /// Every timer of it that may end by now does, and nothing else happens.
    EndTimers,
    /// Its timers are looked at, and no time passes.
    Tick,
    /// An operator asks it to campaign.
    Campaign,
    /// A client proposes one command.
    Propose,
    /// A client asks it for a read, of this name.
    Read(Token),
    /// An operator asks it to hand its leadership over to this server.
    Transfer(NodeId),
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
    /// This other server's times were moved so: those in replies to it, too.
    PeerClock(NodeId, Moved),
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
    /// How its times were moved.
    pub moved: Moved,
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
    /// The clocks of a timed slice.
    pub clocks: Option<Clocks>,
    /// What was seen happening.
    pub coverage: Coverage,
}

impl<R: Rules> Machine<R> {
    /// The parameters, if the slice is a timed one.
    pub(crate) fn timed(&self) -> Option<&Params> {
        self.clocks.map(|_| &self.protocol.params)
    }

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
    new_round: bool,
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
            new_round: false,
            effects: Effects::default(),
        }
    }

    fn operate(&mut self, operation: Operation) {
        match operation {
            Operation::Timeout if self.machine.clocks.is_some() => self.step(Input::Tick),
            Operation::Timeout => {
                let node = &self.server.node;
                // Two rounds of pre-votes do not begin at the same instant.
                let again = u64::from(node.role().name() == RoleName::PreCandidate);
                let horizon = self.machine.protocol.horizon(node, PRESENT);
                self.now = horizon.max(Instant(PRESENT.0 + again));
                self.step(Input::Tick);
            }
            Operation::Lapse => self.now = Instant(PRESENT.0 + E),
            Operation::Advance => self.now = Instant(PRESENT.0 + 1),
            Operation::EndTimers => {
                let slack = self.machine.clocks.map_or(Duration(0), |clocks| clocks.slack());
                let params = &self.machine.protocol.params;
                self.server.node.end_timers_within(params, PRESENT, slack);
            }
            Operation::Tick => self.step(Input::Tick),
            Operation::Campaign if self.machine.clocks.is_some() => self.step(Input::Campaign),
            Operation::Campaign => {
                // Two rounds do not begin at the same instant; a promise does not end by asking.
                let promised = self.server.node.promised_until() > PRESENT;
                self.now = Instant(PRESENT.0 + u64::from(!promised));
                self.step(Input::Campaign);
            }
            Operation::ChangeMembers(to) => self.step(Input::ChangeMembers(to.target())),
            Operation::Propose => self.step(Input::Propose { count: 1 }),
            Operation::Read(token) => self.step(Input::Read(token)),
            Operation::Transfer(to) => self.step(Input::TransferLeadership(to)),
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
            Operation::PeerClock(peer, moved) => {
                for (receiver, message) in self.server.gate.items_mut() {
                    // A request's times are its sender's.
                    if *receiver == peer && !message.body.kind().is_request() {
                        moved.apply(self.machine.timed(), message);
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
        self.note_round();
        self.broken = self.broken.union(step.broken);
        self.events.extend(step.events);
        if let Some(persist) = self.effects.persist.take() {
            self.server.disk.pending.push(persist.write);
        }
        for outgoing in std::mem::take(&mut self.effects.send) {
            self.send(outgoing);
        }
    }

    /// In a timed slice a round that begins makes every earlier one past.
    fn note_round(&mut self) {
        let begins = |(_, to, _): &Transition| *to == RoleName::PreCandidate;
        if self.machine.clocks.is_some() && self.effects.changed.iter().any(begins) {
            self.new_round = true;
            self.move_held(Moved { by: 0, new_round: true });
        }
    }

    /// Moves the times of the requests that wait at the gate: they are of this server's clock.
    fn move_held(&mut self, moved: Moved) {
        let held = self.server.gate.items_mut().map(|(_, message)| message);
        for message in held.filter(|message| message.body.kind().is_request()) {
            moved.apply(self.machine.timed(), message);
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
        self.events.push(Event::Restarted(self.server.node.id()));
    }

    fn transmit(&mut self, peer: NodeId, limit: Limit) {
        let (node, protocol) = (&mut self.server.node, &self.machine.protocol);
        let view = protocol.read_view(node);
        let outgoing = protocol.poll_transmit(node, peer, self.now, limit);
        self.broken.require(Claim::PublishedInTime, protocol.read_view(node) == view);
        if let Some(outgoing) = outgoing {
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
        node.rebase(&params, self.now, PRESENT);
        if self.machine.clocks.is_none_or(|clocks| clocks.any_timer) {
            node.forget_election_timer(PRESENT);
        }
        if self.machine.clocks.is_some() {
            node.rename_round(ROUND);
            node.forget_answers(|sent| renews(&params, sent));
        }
        gate.renumber(node.renumber_writes());
        // A request carries times of its sender's clock, which has just been moved.
        let elapsed = Moved { by: self.now.0 - PRESENT.0, new_round: false };
        self.move_held(elapsed);
        for envelope in &mut self.sent {
            if envelope.message.body.kind().is_request() && !elapsed.is_nothing() {
                let mut moved = (**envelope).clone();
                elapsed.apply(self.machine.timed(), &mut moved.message);
                *envelope = Interned::new(moved);
            }
        }
        Outcome {
            server: Interned::new(self.server),
            sent: self.sent,
            events: self.events,
            broken: self.broken,
            moved: Moved { new_round: self.new_round, ..elapsed },
        }
    }
}
