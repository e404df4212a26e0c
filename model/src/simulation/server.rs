//! What can happen to one server in a simulation, where its clock advances. The effects of a step
//! are performed in their order, as a driver has to.

use quorate_spec::property::Claim;
use quorate_spec::property::history::Event;
use quorate_spec::role::{Cause, Pace};
use quorate_spec::{
    Duration, Effects, Envelope, Index, Input, Instant, Kind, Limit, Message, Moment, Node, NodeId,
    Outgoing, Protocol, Refusal, Role, Snapshot, Target, Token, WriteId,
};

use super::counts::{Count, Counts};
use super::finding::{Findings, Invariant};
use crate::guards::Guards;
use crate::server::{Server, Step};

/// What can happen to one server.
#[derive(Clone, Debug)]
pub(crate) enum Happening {
    /// A message arrives.
    Receive(Envelope),
    /// A client proposes so many commands.
    Propose(u64),
    /// An operator asks it for these members.
    ChangeMembers(Target),
    /// An operator asks it to campaign.
    Campaign,
    /// An operator asks it to hand its leadership over.
    Transfer(NodeId),
    /// A client asks it for a read, of this name.
    Read(Token),
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
    /// Its snapshot up to this entry is complete.
    TakeSnapshot(Index),
    /// It has stopped moving a snapshot to this server.
    StopMoving(NodeId),
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
    /// What its clock shows.
    now: Instant,
    draw: u64,
    effects: Effects,
    outcome: Outcome,
}

impl<'a> Turn<'a> {
    pub(crate) fn new(
        protocol: &'a Protocol<Guards>,
        server: &'a mut Server,
        now: Instant,
        draw: u64,
    ) -> Turn<'a> {
        let (effects, outcome) = (Effects::default(), Outcome::default());
        Turn { protocol, server, now, draw, effects, outcome }
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
            Happening::ChangeMembers(target) => self.step(Input::ChangeMembers(target)),
            Happening::Campaign => self.step(Input::Campaign),
            Happening::Transfer(to) => self.step(Input::TransferLeadership(to)),
            Happening::Read(token) => self.step(Input::Read(token)),
            Happening::Elapse(_) | Happening::TimeOut => self.step(Input::Tick),
            Happening::ElapseInTime(_) => {
                if self.now >= self.protocol.next_deadline(&self.server.node) {
                    self.step(Input::Tick);
                }
            }
            Happening::Report(writes) => self.report(writes),
            Happening::Crash(kept) => self.crash(kept),
            Happening::TakeSnapshot(index) => self.step(Input::SnapshotTaken { index }),
            Happening::StopMoving(peer) => {
                if let Some(index) = self.server.moves_snapshot_to(peer) {
                    self.step(Input::SnapshotReported { peer, index });
                }
            }
        }
    }

    fn report(&mut self, writes: usize) {
        let Some((id, free)) = self.server.report(writes) else { return };
        self.outcome.disk = true;
        for (to, message) in free {
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
        let lost = self.server.disk.pending.len().saturating_sub(kept);
        let moment = Moment { now: self.now, draw: self.draw };
        let broken = self.server.crash(self.protocol, kept, moment);
        self.outcome.found.claims(broken);
        self.outcome.counts.add(Count::Crashes, 1);
        self.outcome.counts.add(Count::WritesLost, lost as u64);
        self.outcome.disk = true;
        self.outcome.events.push(Event::Restarted(self.server.node.id()));
    }

    /// Whom it may have requests for.
    pub(crate) fn recipients(&self) -> Vec<NodeId> {
        self.protocol.recipients(&self.server.node)
    }

    /// Asks for the requests to a peer until there is none, or no room: then there may be more.
    pub(crate) fn transmit(&mut self, peer: NodeId, room: usize, limit: Limit) -> bool {
        let now = self.now;
        for _ in 0..room {
            let node = &mut self.server.node;
            let view = self.protocol.read_view(node);
            let outgoing = self.protocol.poll_transmit(node, peer, now, limit);
            let published = self.protocol.read_view(node) == view;
            self.outcome.found.require_claim(Claim::PublishedInTime, published);
            let Some(outgoing) = outgoing else { return true };
            self.outcome.counts.add(Count::Pipelined, u64::from(in_flight(node, peer) > 1));
            self.send(outgoing);
        }
        false
    }

    /// A driver that has done what is due, all requests included, need not do it again at once.
    pub(crate) fn look_ahead(&mut self) {
        let ahead = self.protocol.next_deadline(&self.server.node) > self.now;
        self.outcome.found.require(Invariant::DeadlineIsAhead, ahead);
    }

    /// Takes one step of the protocol and performs its effects, in their order.
    fn step(&mut self, input: Input) {
        let moment = Moment { now: self.now, draw: self.draw };
        let step = self.server.step(self.protocol, moment, input, &mut self.effects);
        let Step { before, mut events, broken } = step;
        self.outcome.found.claims(broken);
        let say_all = effects_say_all(&before, &self.server.node, &self.effects);
        self.outcome.found.require(Invariant::EffectsSayAll, say_all);
        self.count(&before, &events);
        self.outcome.events.append(&mut events);
        if let Some(persist) = self.effects.persist.take() {
            self.server.disk.pending.push(persist.write);
        }
        for outgoing in std::mem::take(&mut self.effects.send) {
            self.send(outgoing);
        }
        self.outcome.refused.append(&mut self.effects.refused);
    }

    fn count(&mut self, before: &Node, events: &[Event]) {
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
        let elected = events.iter().any(|event| matches!(event, Event::Elected { .. }));
        counts.add(Count::Elected, u64::from(elected));
        counts.add(Count::SteppedDown, u64::from(stepped_down));
        counts.add(Count::LostQuorum, u64::from(stepped_down && !new_term));
        let gone = before.log().ids().filter(|id| !after.log().covers(*id)).count();
        counts.add(Count::Truncated, gone as u64);
        let installed = self.effects.install.is_some();
        let taken = before.log().base() != after.log().base() && !installed;
        counts.add(Count::Installed, u64::from(installed));
        counts.add(Count::Snapshots, u64::from(taken));
        let (at, latest) = after.log().latest_configuration();
        if after.is_leader() && at > before.log().last().index {
            counts.add(Count::Configurations, 1);
            counts.add(Count::Joint, u64::from(latest.is_joint()));
        }
        let removed = self.effects.changed.iter().any(|(_, _, cause)| *cause == Cause::Removed);
        counts.add(Count::LeadersRemoved, u64::from(removed));
        count_transfers(counts, before, after, elected);
        for event in events {
            match (event, after.is_leader()) {
                (Event::ReadAsked { .. }, true) => counts.add(Count::ReadsAsked, 1),
                (Event::ReadAsked { .. }, false) => counts.add(Count::ReadsForwarded, 1),
                (Event::ReadAnswered { index: None, .. }, _) => counts.add(Count::ReadsFailed, 1),
                (Event::ReadAnswered { .. }, true) => counts.add(Count::ReadsAnswered, 1),
                (Event::ReadAnswered { .. }, false) => {
                    counts.add(Count::ReadsAnsweredElsewhere, 1);
                }
                _ => {}
            }
        }
        let proposed = self.effects.proposed.map_or(0, |proposed| proposed.count);
        counts.add(Count::Proposed, proposed);
        for refusal in &self.effects.refused {
            let promise = *refusal == Refusal::PromiseInForce;
            let older = matches!(refusal, Refusal::LogNotUpToDate { .. });
            counts.add(Count::PromisesKept, u64::from(promise));
            counts.add(Count::LogsRefused, u64::from(older));
        }
    }

    fn send(&mut self, outgoing: Outgoing) {
        let Outgoing { needs, to, message } = outgoing;
        match self.server.gate.pass(needs, (to, message)) {
            Some((to, message)) => self.release(to, message),
            None => self.outcome.counts.add(Count::Held, 1),
        }
    }

    fn release(&mut self, to: NodeId, message: Message) {
        let (envelope, broken) = self.server.release(to, message);
        self.outcome.found.claims(broken);
        self.outcome.sent.push(envelope);
    }
}

fn in_flight(node: &Node, peer: NodeId) -> usize {
    let Role::Leader(leadership) = node.role() else { return 0 };
    match leadership.peers.get(&peer).map(|progress| &progress.pace) {
        Some(Pace::Replicate(in_flight)) => in_flight.len(),
        Some(Pace::Probe | Pace::Snapshot(_)) | None => 0,
    }
}

fn count_transfers(counts: &mut Counts, before: &Node, after: &Node, elected: bool) {
    let under_way = |node: &Node| node.leadership().is_some_and(|it| it.transfer.is_some());
    let (was, is) = (under_way(before), under_way(after));
    let told = before.campaign().is_some_and(|campaign| campaign.handover);
    counts.add(Count::TransfersBegun, u64::from(is && !was));
    counts.add(Count::TransfersGivenUp, u64::from(was && !is && after.is_leader()));
    counts.add(Count::TransfersDone, u64::from(elected && told));
}

/// The effects tell a driver of each change that it has to act on, and of no other.
fn effects_say_all(before: &Node, after: &Node, effects: &Effects) -> bool {
    let risen = after.commit_index() > before.commit_index();
    let committed = effects.commit == risen.then(|| after.commit_index());
    let changed = after.hard_state() != before.hard_state() || after.log() != before.log();
    let persisted = effects.persist.is_some() == changed;
    let named = effects.proposed.is_none_or(|proposed| {
        let (first, last) = (proposed.first, after.log().last());
        let whole = last.index.0 + 1 == first.index.0 + proposed.count;
        after.log().contains(first) && last.term == first.term && whole
    });
    let taken_over = |snapshot: &Snapshot| after.log().snapshot() == *snapshot;
    let installed = effects.install.as_ref().is_none_or(taken_over);
    committed && persisted && named && installed
}
