//! One server with its own clock: the node in memory, its durability gate, its disk. It performs
//! the effects of a step in their order, as a driver has to.

use quorate_spec::durable::Write;
use quorate_spec::property::history::Event;
use quorate_spec::property::release::{SentVote, broken_by_release, vote_in};
use quorate_spec::property::step::{broken_by_restart, broken_by_step};
use quorate_spec::role::Pace;
use quorate_spec::{
    Durable, Duration, Effects, EntryId, Envelope, Gate, Input, Instant, Kind, Limit, Message,
    Moment, Node, NodeId, Outgoing, Protocol, Refusal, Role, WriteId,
};

use super::counts::{Count, Counts};
use super::finding::{Findings, Invariant};
use crate::guards::Guards;

/// A server: what a crash takes, and what it does not.
#[derive(Clone, Debug)]
pub struct Server {
    /// The node in memory.
    pub node: Node,
    /// Messages that wait for a write; lost in a crash.
    pub gate: Gate<(NodeId, Message)>,
    /// The disk.
    pub disk: Disk,
    /// Its clock, which no crash sets back.
    pub now: Instant,
    /// The latest vote that left the server: a ghost, which no crash takes and no node sees.
    pub last_vote: Option<SentVote>,
}

/// A disk with a queue: a crash recovers the reported state with any prefix of what follows it.
#[derive(Clone, Debug)]
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
    pub(crate) fn first(
        protocol: &Protocol<Guards>,
        id: NodeId,
        durable: Durable,
        moment: Moment,
    ) -> Server {
        let node = protocol.start(id, durable.clone(), moment);
        let disk = Disk { reported: durable, pending: Vec::new() };
        Server { node, gate: Gate::default(), disk, now: moment.now, last_vote: None }
    }
}

/// What can happen to one server.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A message arrives.
    Receive(Envelope),
    /// A client proposes so many commands.
    Propose(u64),
    /// An operator asks it to campaign.
    Campaign,
    /// So much time passes, and a driver looks at the timers though they need not be due.
    Elapse(Duration),
    /// So much time passes, and a driver looks at the timers only when they are due.
    ElapseInTime(Duration),
    /// Time passes until every deadline has passed.
    TimeOut,
    /// The disk reports the first so many pending writes durable.
    Report(usize),
    /// It crashes with so many of the pending writes on disk, and restarts.
    Crash(usize),
}

/// What an operation on a server did besides changing it.
#[derive(Default)]
pub(crate) struct Outcome {
    /// The messages that left it, in order.
    pub(crate) sent: Vec<Envelope>,
    /// What the history has to remember.
    pub(crate) events: Vec<Event>,
    /// What was false.
    pub(crate) found: Findings,
    /// What happened how often.
    pub(crate) counts: Counts,
    /// Why something had no effect.
    pub(crate) refused: Vec<Refusal>,
    /// Whether the reported disk is another one now.
    pub(crate) disk: bool,
}

/// An operation on a server in progress.
pub(crate) struct Turn<'a> {
    protocol: &'a Protocol<Guards>,
    server: &'a mut Server,
    draw: u64,
    effects: Effects,
    outcome: Outcome,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(
        protocol: &'a Protocol<Guards>,
        server: &'a mut Server,
        draw: u64,
    ) -> Turn<'a> {
        let (effects, outcome) = (Effects::default(), Outcome::default());
        Turn { protocol, server, draw, effects, outcome }
    }

    pub(crate) fn finish(self) -> Outcome {
        self.outcome
    }

    pub(crate) fn perform(&mut self, happening: Happening) {
        match happening {
            Happening::Receive(envelope) => {
                let conflict = envelope.message.body.kind() == Kind::AppendConflict;
                self.outcome.counts.add(Count::Received, 1);
                self.outcome.counts.add(Count::Conflicts, u64::from(conflict));
                self.step(Input::Receive(envelope));
            }
            Happening::Propose(count) => self.step(Input::Propose { count }),
            Happening::Campaign => self.step(Input::Campaign),
            Happening::Elapse(by) => {
                self.server.now = self.server.now.after(by);
                self.step(Input::Tick);
            }
            Happening::ElapseInTime(by) => {
                self.server.now = self.server.now.after(by);
                if self.server.now >= self.protocol.next_deadline(&self.server.node) {
                    self.step(Input::Tick);
                }
            }
            Happening::TimeOut => {
                self.server.now = self.protocol.horizon(&self.server.node, self.server.now);
                self.step(Input::Tick);
            }
            Happening::Report(writes) => self.report(writes),
            Happening::Crash(kept) => self.crash(kept),
        }
    }

    fn report(&mut self, writes: usize) {
        let Server { node, disk, gate, .. } = &mut *self.server;
        let Some(last) = writes.checked_sub(1).and_then(|i| node.unwritten().get(i)) else {
            return;
        };
        let id = last.id;
        for write in disk.pending.drain(..writes) {
            disk.reported.apply(&write);
        }
        self.outcome.disk = true;
        for (to, message) in gate.persisted(id) {
            self.release(to, message);
        }
        self.step(Input::Persisted(id));
        if self.draw.is_multiple_of(4) {
            self.report_late(WriteId(id.0 - 1));
        }
    }

    /// A report that was overtaken by a later one.
    fn report_late(&mut self, id: WriteId) {
        let before = self.server.node.clone();
        let freed = self.server.gate.persisted(id);
        self.step(Input::Persisted(id));
        let same = freed.is_empty() && before == self.server.node;
        self.outcome.found.require(Invariant::LateReportsChangeNothing, same);
    }

    fn crash(&mut self, kept: usize) {
        let Server { node: before, disk, now, .. } = &*self.server;
        let recovered = disk.recovered(kept);
        let moment = Moment { now: *now, draw: self.draw };
        let node = self.protocol.start(before.id(), recovered.clone(), moment);
        let broken = broken_by_restart(before, &disk.reported, &recovered, &node);
        self.outcome.found.claims(broken);
        let lost = disk.pending.len().saturating_sub(kept);
        self.outcome.counts.add(Count::Crashes, 1);
        self.outcome.counts.add(Count::WritesLost, lost as u64);
        self.outcome.disk = true;
        self.server.node = node;
        self.server.gate = Gate::default();
        self.server.disk = Disk { reported: recovered, pending: Vec::new() };
    }

    /// Asks for the requests to a peer until there is none or no room.
    pub(crate) fn transmit(&mut self, peer: NodeId, room: usize, limit: Limit) {
        let now = self.server.now;
        for _ in 0..room {
            let node = &mut self.server.node;
            let Some(outgoing) = self.protocol.poll_transmit(node, peer, now, limit) else {
                return;
            };
            self.outcome.counts.add(Count::Pipelined, u64::from(in_flight(node, peer) > 1));
            self.send(outgoing);
        }
    }

    /// A driver that has done what is due, all requests included, need not do it again at once.
    pub(crate) fn look_ahead(&mut self) {
        let ahead = self.protocol.next_deadline(&self.server.node) > self.server.now;
        self.outcome.found.require(Invariant::DeadlineIsAhead, ahead);
    }

    /// Takes one step of the protocol and performs its effects, in their order.
    fn step(&mut self, input: Input) {
        let before = self.server.node.clone();
        let moment = Moment { now: self.server.now, draw: self.draw };
        let protocol = self.protocol;
        protocol.step(&mut self.server.node, moment, input.clone(), &mut self.effects);
        let after = &self.server.node;
        let broken = broken_by_step(&protocol.params, &before, &input, after);
        self.outcome.found.claims(broken);
        let say_all = effects_say_all(&before, after, &self.effects);
        self.outcome.found.require(Invariant::EffectsSayAll, say_all);
        self.count(&before);
        self.note_events(&before);
        if let Some(persist) = self.effects.persist.take() {
            self.server.disk.pending.push(persist.write);
        }
        for outgoing in std::mem::take(&mut self.effects.send) {
            self.send(outgoing);
        }
        self.outcome.refused.append(&mut self.effects.refused);
    }

    fn count(&mut self, before: &Node) {
        let after = &self.server.node;
        let counts = &mut self.outcome.counts;
        let new_role = before.role().name() != after.role().name();
        let new_term = before.current_term() != after.current_term();
        let round = |node: &Node| node.campaign().map(|campaign| campaign.round);
        let new_round = new_role || round(before) != round(after);
        let pre_campaign = matches!(after.role(), Role::PreCandidate(_)) && new_round;
        let candidacy = matches!(after.role(), Role::Candidate(_)) && new_term;
        let stepped_down = before.is_leader() && !after.is_leader();
        counts.add(Count::PreCampaigns, u64::from(pre_campaign));
        counts.add(Count::Candidacies, u64::from(candidacy));
        counts.add(Count::SteppedDown, u64::from(stepped_down));
        counts.add(Count::LostQuorum, u64::from(stepped_down && !new_term));
        let gone = before.log().ids().filter(|id| !after.log().contains(*id)).count();
        counts.add(Count::Truncated, gone as u64);
        let proposed = self.effects.proposed.map_or(0, |proposed| proposed.count);
        counts.add(Count::Proposed, proposed);
        for refusal in &self.effects.refused {
            let promise = *refusal == Refusal::PromiseInForce;
            let older = matches!(refusal, Refusal::LogNotUpToDate { .. });
            counts.add(Count::PromisesKept, u64::from(promise));
            counts.add(Count::LogsRefused, u64::from(older));
        }
    }

    fn note_events(&mut self, before: &Node) {
        let after = &self.server.node;
        let term = after.current_term();
        if after.is_leader() {
            if !before.is_leader() || before.current_term() != term {
                let log = before.log().clone();
                self.outcome.counts.add(Count::Elected, 1);
                self.outcome.events.push(Event::Elected { term, leader: after.id(), log });
            }
            let (was, is) = (before.log().last(), after.log().last());
            if is.index > was.index {
                let first = EntryId { term, index: was.index.next() };
                self.outcome.events.push(Event::Created { first, last: is.index });
            }
        }
        let (was, is) = (before.commit_index(), after.commit_index());
        if is > was {
            let fresh = after.log().ids().filter(|id| id.index > was && id.index <= is);
            self.outcome.events.push(Event::Committed { entries: fresh.collect(), term });
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let Outgoing { needs, to, message } = outgoing;
        match self.server.gate.pass(needs, (to, message)) {
            Some((to, message)) => self.release(to, message),
            None => self.outcome.counts.add(Count::Held, 1),
        }
    }

    /// A message leaves: from here on a crash cannot call it back.
    fn release(&mut self, to: NodeId, message: Message) {
        let envelope = Envelope { from: self.server.node.id(), to, message };
        let Server { node, disk, last_vote, .. } = &*self.server;
        let broken = broken_by_release(&envelope, node, &disk.reported, *last_vote);
        self.outcome.found.claims(broken);
        self.server.last_vote = vote_in(&envelope).or(self.server.last_vote);
        self.outcome.sent.push(envelope);
    }
}

fn in_flight(node: &Node, peer: NodeId) -> usize {
    let Role::Leader(leadership) = node.role() else { return 0 };
    match leadership.peers.get(&peer).map(|progress| &progress.pace) {
        Some(Pace::Replicate(in_flight)) => in_flight.len(),
        Some(Pace::Probe) | None => 0,
    }
}

/// The effects tell a driver of each change that it has to act on, and of no other.
fn effects_say_all(before: &Node, after: &Node, effects: &Effects) -> bool {
    let view = after.read_view();
    let published = effects.publish == (view != before.read_view()).then_some(view);
    let risen = after.commit_index() > before.commit_index();
    let committed = effects.commit == risen.then(|| after.commit_index());
    let changed = after.hard_state() != before.hard_state() || after.log() != before.log();
    let persisted = effects.persist.is_some() == changed;
    let named = effects.proposed.is_none_or(|proposed| {
        let (first, last) = (proposed.first, after.log().last());
        let whole = last.index.0 + 1 == first.index.0 + proposed.count;
        after.log().contains(first) && last.term == first.term && whole
    });
    published && committed && persisted && named
}
