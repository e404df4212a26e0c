//! Performing what a step asks for, in the order of the fields of [`Effects`]; and asking for the
//! requests that may follow.

use quorate_spec::durable::SnapshotWrite;
use quorate_spec::role::Pace;
use quorate_spec::{
    Body, Effects, EntryId, Input, Instant, Moment, NodeId, Outgoing, Persist, ReadView, Refusal,
    WriteId,
};
use tracing::trace_span;

use super::{Driver, Moving};
use crate::apply::Missing;
use crate::errors::{ProposeError, StopReason};
use crate::fetches::{Consumer, Want};
use crate::metrics::signed;
use crate::order::Promise;
use crate::outbox::RequestRoom;
use crate::pending::Answer;
use crate::record::{MachineState, Source};
use crate::storage::Storage;
use crate::vitals::Vitals;

impl<S: Storage> Driver<S> {
    /// One input, one step, its effects; then whatever may be sent to the peers.
    pub(super) fn step(&mut self, input: Input, source: Source) -> Result<(), StopReason> {
        let now = self.take_step(input, source)?;
        self.transmit(now);
        Ok(())
    }

    pub(super) fn take_step(
        &mut self,
        input: Input,
        source: Source,
    ) -> Result<Instant, StopReason> {
        let moment = Moment { now: self.clock.now(), draw: self.random.next() };
        self.observer.wakes(moment.now);
        let _within = trace_span!("step", now = moment.now.0, ?input).entered();
        let mut effects = std::mem::take(&mut self.effects);
        let before = self.setting.before(&self.node, &input);
        self.protocol.step(&mut self.node, moment, input, &mut effects);
        self.setting.stepped(before, &self.protocol, moment, &self.node, &effects);
        self.observer.stepped(&self.node, &effects, moment.now);
        let performed = self.perform(&mut effects, source, moment.now);
        self.effects = effects;
        performed?;
        let metrics = &self.observer.metrics;
        metrics.held.set(signed(self.outbox.held() as u64));
        metrics.waiting.set(signed(self.pending.len() as u64));
        metrics.moving.set(signed(self.moving.len() as u64));
        self.observer.show(Vitals::of(&self.node, self.published.last_applied()));
        self.changes.look(&self.node);
        self.transfers.look(&self.node);
        if !self.setting.keeps(Promise::CountsWhatIsDurable) && !self.node.unwritten().is_empty() {
            return self.take_step(Input::Persisted(self.node.last_write()), Source::Protocol);
        }
        Ok(moment.now)
    }

    /// Performs the effects of a step in the order of their fields.
    fn perform(
        &mut self,
        effects: &mut Effects,
        source: Source,
        now: Instant,
    ) -> Result<(), StopReason> {
        if let Some(fatal) = effects.fatal {
            return Err(StopReason::SafetyViolated(fatal));
        }
        let mut installed = None;
        if let Some(persist) = effects.persist.take() {
            self.observer.issued(persist.id, now);
            installed = self.persist(persist, source)?;
        }
        if !self.setting.keeps(Promise::PublishesBeforeSending) {
            self.send(effects.send.drain(..));
        }
        if !self.setting.keeps(Promise::PublishesBeforeApplying)
            && let Some(index) = effects.commit
        {
            self.delivery.commit(index);
            self.deliver()?;
        }
        let is_led_anew = effects.publish.is_some_and(|view| self.publish(view));
        self.send(effects.send.drain(..));
        if let Some(snapshot) = effects.install.take() {
            let last = snapshot.last;
            let state = installed.filter(|state| state.last == last);
            let state = state.ok_or_else(|| self.missing(last.index))?;
            self.pending.covered(last.index);
            self.delivery.restore(state);
        }
        if let Some(index) = effects.commit {
            self.delivery.commit(index);
        }
        if !self.setting.keeps(Promise::AppliesTheCommitted) {
            self.delivery.commit(self.node.log().last().index);
        }
        if self.delivery.is_behind() {
            self.deliver()?;
        }
        let answers = self.inputs.taken.drain(..).map(|proposal| proposal.answer);
        match effects.proposed {
            Some(proposed) => self.pending.proposed(proposed, answers.collect()),
            None => refuse(answers, &effects.refused),
        }
        if let Some(view) = effects.publish.filter(|_| is_led_anew) {
            self.pending.viewed(self.node.id(), view);
        }
        for answer in effects.reads.drain(..) {
            self.reads.answered(answer);
        }
        Ok(())
    }

    /// Sends each message, now or when its write is durable.
    fn send(&mut self, messages: impl Iterator<Item = Outgoing>) {
        for outgoing in messages {
            let needs = match self.setting.keeps(Promise::WritesBeforeSending) {
                true => outgoing.needs,
                false => WriteId::NONE,
            };
            let at_hand = self.fetches.at_hand(Consumer::Peer(outgoing.to), &self.storage);
            self.outbox.post(Outgoing { needs, ..outgoing }, &at_hand);
        }
    }

    /// Shows readers this view. Those who follow it are woken for more than a longer lease, of which
    /// there is one with every answer of a peer. Says whether another term or leader is shown now.
    fn publish(&self, view: ReadView) -> bool {
        self.published.publish(view);
        let mut before = view;
        self.view.send_if_modified(|shown| {
            before = std::mem::replace(shown, view);
            let still_held = before.lease_until.is_some() && view.lease_until.is_some();
            !still_held || ReadView { lease_until: view.lease_until, ..before } != view
        });
        (before.term, before.leader) != (view.term, view.leader)
    }

    /// Puts a write into the storage's FIFO, the contents of its entries with it, and before a
    /// snapshot of the leader the state that it covers. Gives that state: it is in memory now.
    fn persist(
        &mut self,
        persist: Persist,
        source: Source,
    ) -> Result<Option<MachineState>, StopReason> {
        if let Some(SnapshotWrite::Install(snapshot)) = &persist.write.snapshot {
            let last = snapshot.last;
            let Source::Snapshot(bytes) = source else {
                return Err(StopReason::ContentMissing(last.index));
            };
            (self.kept, self.offered) = (last.index, last.index);
            let state = MachineState { last, bytes };
            self.keep(state.clone());
            self.storage.submit(persist, Vec::new());
            return Ok(Some(state));
        }
        let records = match &persist.write.log {
            Some(log) => {
                self.fetches.truncated(log.keep);
                source.records(log).ok_or_else(|| StopReason::ContentMissing(log.keep.next()))?
            }
            None => Vec::new(),
        };
        self.storage.submit(persist, records);
        Ok(None)
    }

    /// Hands committed entries to the state machine, as many as it has room for.
    pub(super) fn deliver(&mut self) -> Result<(), StopReason> {
        let (log, pending) = (self.node.log(), &mut self.pending);
        let advanced = self.delivery.advance(log, &self.storage, &mut self.fetches, pending);
        advanced.map_err(|Missing(index)| self.missing(index))
    }

    /// The entry after which the state would be sent to this peer; none while one is on its way there.
    fn snapshot_for(&self, peer: NodeId) -> Option<EntryId> {
        let progress = self.node.leadership()?.peers.get(&peer)?;
        (!matches!(progress.pace, Pace::Snapshot(_))).then(|| self.node.log().base())
    }

    /// Sends every request that is due to a peer, and has fetched what it needs and is away.
    pub(super) fn transmit(&mut self, now: Instant) {
        self.fetches.release(&self.node);
        for peer in self.protocol.recipients(&self.node) {
            let consumer = Consumer::Peer(peer);
            loop {
                let at_hand = self.fetches.at_hand(consumer, &self.storage);
                let snapshot = self.snapshot_for(peer);
                let room = RequestRoom::of(at_hand, &self.limits, snapshot);
                let request = self.protocol.poll_transmit(&mut self.node, peer, now, &room);
                let is_state = |want: &Want| matches!(want, Want::State(_));
                // Nobody knows how long a peer that is away stays away, and the state is large. Its
                // heartbeats go on: it gets the state once it has answered one.
                let want = room.want().filter(|want| !is_state(want) || self.hears(peer, now));
                if let Some(want) = want {
                    self.fetches.begin(consumer, want, &self.storage);
                }
                let Some(request) = request else { break };
                self.setting.transmitted(&self.node);
                let at_hand = self.fetches.at_hand(consumer, &self.storage);
                let state = match &request.message.body {
                    Body::InstallSnapshot { snapshot } => {
                        Some((snapshot.last.index, self.outbox.moved(peer)))
                    }
                    _ => None,
                };
                self.outbox.post(request, &at_hand);
                if let Some((last, moved)) = state {
                    self.fetches.left(peer);
                    // Where nothing of it has moved by then, it is moved again.
                    let until = now.after(self.patience());
                    self.moving.insert(peer, Moving { last, begun: moved, moved, until });
                }
            }
        }
    }
}

/// Tells clients why the protocol did not take their proposals.
fn refuse(answers: impl Iterator<Item = Answer>, refused: &[Refusal]) {
    let reason = refused.iter().find_map(|refusal| match refusal {
        Refusal::NotLeader { leader } => Some(ProposeError::NotLeader { leader: *leader }),
        Refusal::TransferInFlight => Some(ProposeError::HandingOver),
        _ => None,
    });
    let reason = reason.unwrap_or(ProposeError::Overloaded);
    for answer in answers {
        answer.send(Err(reason.clone()));
    }
}
