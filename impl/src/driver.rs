//! The owner of a node: one task that feeds it one input after the other and performs what each
//! step asks for, in the order of the fields of [`Effects`].
//!
//! It waits in one place, [`Driver::next_event`]; everything else is synchronous. So no step and
//! no effect is ever left half done, wherever the task is cancelled.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_spec::durable::SnapshotWrite;
use quorate_spec::{
    Body, Duration, Effects, Index, Input, Instant, Moment, Node, NodeId, Persist, Protocol,
    ReadView, Refusal, Target, WriteId,
};
use tokio::sync::{mpsc, watch};

use crate::apply::{Delivery, Missing};
use crate::changes::Changes;
use crate::clock::{Clock, until};
use crate::handle::{ChangeError, Control, ProposeError, Status, StopReason};
use crate::node::Limits;
use crate::outbox::{Outbox, RequestRoom};
use crate::pending::{Answer, Pending, Proposal};
use crate::published::Published;
use crate::random::Random;
use crate::reads::{Reader, Reads};
use crate::record::{MachineState, Payload, Source};
use crate::storage::{Progress, Storage, StorageError};
use crate::transfers::Transfers;
use crate::transport::Packet;

/// The task's state. [`Driver::run`] is its life.
pub(crate) struct Driver<S> {
    pub(crate) protocol: Protocol,
    pub(crate) node: Node,
    pub(crate) limits: Limits,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) random: Random,
    pub(crate) storage: S,
    pub(crate) outbox: Outbox,
    pub(crate) delivery: Delivery,
    pub(crate) pending: Pending,
    pub(crate) changes: Changes,
    pub(crate) transfers: Transfers,
    pub(crate) reads: Reads,
    pub(crate) inputs: Inputs,
    pub(crate) published: Arc<Published>,
    pub(crate) view: watch::Sender<ReadView>,
    pub(crate) applied: watch::Receiver<Index>,
    pub(crate) effects: Effects,
    /// The last entry of the latest state of the machine that is known to be durable.
    pub(crate) kept: Index,
    /// The snapshots that are on their way, by whom they are for.
    pub(crate) moving: BTreeMap<NodeId, Moving>,
    /// Packets that were dropped because their contents did not fit their entries.
    pub(crate) incomplete: u64,
}

/// Where a node's inputs come from, besides its clock.
pub(crate) struct Inputs {
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) packets: mpsc::Receiver<Packet>,
    pub(crate) proposals: mpsc::Receiver<Proposal>,
    pub(crate) readers: mpsc::Receiver<Reader>,
    /// States that the machine has made of itself.
    pub(crate) snapshots: mpsc::Receiver<MachineState>,
    /// Proposals that were taken from the queue for the next step.
    pub(crate) taken: Vec<Proposal>,
    /// Reads that were taken from the queue for the next step.
    pub(crate) came: Vec<Reader>,
}

/// A snapshot on its way.
pub(crate) struct Moving {
    /// The last entry that it covers.
    last: Index,
    /// How many bytes the transport had moved when it was looked at.
    moved: u64,
    /// When it is looked at again, and given up where nothing has moved.
    until: Instant,
}

/// Something that the owner has to deal with.
enum Event {
    Control(Control),
    Written(Progress),
    Deadline,
    Packet(Packet),
    Proposals,
    Reads,
    Snapshot(MachineState),
    Room,
    MachineGone,
}

impl<S: Storage> Driver<S> {
    /// Runs the node until it is shut down or has to stop. Then it finishes what is in the
    /// storage's queue, and answers every client.
    pub(crate) async fn run(mut self) -> StopReason {
        let reason = loop {
            let event = self.next_event().await;
            if let Err(reason) = self.handle(event).and_then(|()| self.read()) {
                break reason;
            }
        };
        self.refuse_proposals();
        self.inputs.readers.close();
        self.reads.forsake_all();
        self.pending.forsake_all();
        self.storage.close().await;
        reason
    }

    /// Waits for what comes next. Every branch can be cancelled without losing anything: the
    /// queues keep what was not taken, and reports are cumulative.
    ///
    /// A deadline comes before packets and these before clients, so that a flood of one kind does
    /// not keep the node from the more urgent one. Reads come last, and with proposals.
    async fn next_event(&mut self) -> Event {
        let deadline = self.next_deadline();
        let Inputs { control, progress, packets, proposals, readers, snapshots, taken, came } =
            &mut self.inputs;
        let has_room = self.node.unwritten().len() < self.limits.unwritten_writes
            && self.pending.len() < self.limits.waiting_proposals;
        let sleep = until(deadline, self.clock.now());
        let batch = self.limits.proposals_per_write;
        let most = self.limits.waiting_reads.max(1);
        tokio::select! {
            biased;
            // Without handles there is nobody left to run for.
            asked = control.recv() => Event::Control(asked.unwrap_or(Control::Shutdown)),
            changed = progress.changed() => Event::Written(match changed {
                Ok(()) => progress.borrow_and_update().clone(),
                Err(_) => gone(&progress.borrow()),
            }),
            // Before `room`: a queue that nobody empties would be asked for room for ever.
            () = self.delivery.machine_gone() => Event::MachineGone,
            () = tokio::time::sleep(sleep) => Event::Deadline,
            Some(packet) = packets.recv() => Event::Packet(packet),
            1.. = proposals.recv_many(taken, batch), if has_room => Event::Proposals,
            1.. = readers.recv_many(came, most) => Event::Reads,
            Some(state) = snapshots.recv() => Event::Snapshot(state),
            () = self.delivery.room(), if self.delivery.is_behind() => Event::Room,
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), StopReason> {
        match event {
            Event::Control(Control::Status(answer)) => {
                // Whoever asked may have gone, here and below.
                let _ = answer.send(self.status());
                Ok(())
            }
            Event::Control(Control::Campaign(answer)) => {
                self.step(Input::Campaign, Source::Protocol)?;
                let _ = answer.send(self.effects.refused.first().copied());
                Ok(())
            }
            Event::Control(Control::ChangeMembers(target, answer)) => {
                if let Some(unknown) = self.unknown_in(&target) {
                    let _ = answer.send(Err(ChangeError::Unknown(unknown)));
                    return Ok(());
                }
                self.step(Input::ChangeMembers(target.clone()), Source::Protocol)?;
                let refused = self.effects.refused.first().copied();
                self.changes.asked(&self.node, target, refused, answer);
                self.changes.look(&self.node);
                Ok(())
            }
            Event::Control(Control::Transfer(to, answer)) => {
                self.step(Input::TransferLeadership(to), Source::Protocol)?;
                let refused = self.effects.refused.first().copied();
                self.transfers.asked(&self.node, to, refused, answer);
                self.transfers.look(&self.node);
                Ok(())
            }
            Event::Control(Control::Shutdown) => Err(StopReason::Shutdown),
            Event::Written(progress) => self.written(progress),
            Event::Deadline => {
                self.give_up_moving()?;
                self.step(Input::Tick, Source::Protocol)
            }
            Event::Packet(packet) => self.receive(packet),
            Event::Proposals => self.propose(),
            // `run` asks for them.
            Event::Reads => Ok(()),
            Event::Snapshot(state) => {
                self.storage.keep(state);
                Ok(())
            }
            Event::Room => self.deliver(),
            Event::MachineGone => Err(StopReason::MachineGone),
        }
    }

    /// A server that this leader is asked to add, and that it has no way to.
    fn unknown_in(&self, Target { voters, learners }: &Target) -> Option<NodeId> {
        let present = |id: &NodeId| {
            let mut members = self.node.log().configuration().members();
            *id == self.node.id() || members.any(|member| member == *id)
        };
        let mut coming = voters.iter().chain(learners).copied().filter(|id| !present(id));
        coming.find(|id| self.node.is_leader() && !self.outbox.knows(*id))
    }

    /// When something has to happen without being asked for.
    fn next_deadline(&self) -> Instant {
        let given_up = self.moving.values().map(|moving| moving.until).min();
        let protocol = self.protocol.next_deadline(&self.node);
        given_up.map_or(protocol, |at| at.min(protocol))
    }

    /// Tells the node of snapshots that had long enough to arrive, and of which nothing has moved
    /// meanwhile.
    fn give_up_moving(&mut self) -> Result<(), StopReason> {
        let (now, patience) = (self.clock.now(), self.patience());
        let mut over = Vec::new();
        for (peer, moving) in self.moving.iter_mut().filter(|(_, it)| it.until <= now) {
            let moved = self.outbox.moved(*peer);
            if moved == moving.moved {
                over.push((*peer, moving.last));
            } else {
                (moving.moved, moving.until) = (moved, now.after(patience));
            }
        }
        for (peer, index) in over {
            self.moving.remove(&peer);
            self.step(Input::SnapshotReported { peer, index }, Source::Protocol)?;
        }
        Ok(())
    }

    /// How long nothing of a snapshot may move.
    fn patience(&self) -> Duration {
        Duration(PATIENCE * self.protocol.params.election_timeout.0)
    }

    /// What waited for the writes leaves, then the node hears of them, and of the state of its
    /// machine if that is durable.
    fn written(
        &mut self,
        Progress { persisted, kept, failed }: Progress,
    ) -> Result<(), StopReason> {
        if persisted > WriteId::NONE {
            self.outbox.persisted(persisted, &self.storage);
            self.step(Input::Persisted(persisted), Source::Protocol)?;
        }
        if kept > self.kept {
            self.kept = kept;
            self.step(Input::SnapshotTaken { index: kept }, Source::Protocol)?;
        }
        failed.map_or(Ok(()), |error| Err(StopReason::Storage(error)))
    }

    fn receive(&mut self, packet: Packet) -> Result<(), StopReason> {
        if !packet.is_complete() {
            self.incomplete += 1;
            return Ok(());
        }
        let Packet { envelope, records, state } = packet;
        let source = match state {
            Some(bytes) => Source::Snapshot(bytes),
            None if records.is_empty() => Source::Protocol,
            None => Source::Message(records),
        };
        self.step(Input::Receive(envelope), source)
    }

    /// Proposes everything that was taken from the clients' queue as one write.
    fn propose(&mut self) -> Result<(), StopReason> {
        let taken = &self.inputs.taken;
        let count = taken.len() as u64;
        let payloads = taken.iter().map(|proposal| Payload::clone(&proposal.payload)).collect();
        let now = self.take_step(Input::Propose { count }, Source::Clients(payloads))?;
        // The round of the reads that have come goes out with the entries; and a flood of proposals
        // does not keep them waiting.
        while let Ok(reader) = self.inputs.readers.try_recv() {
            self.inputs.came.push(reader);
        }
        self.ask_for_reads()?;
        self.transmit(now);
        Ok(())
    }

    /// Asks the node for the reads that have come or had to wait for others, and the peers for
    /// their round.
    fn read(&mut self) -> Result<(), StopReason> {
        if let Some(now) = self.ask_for_reads()? {
            self.transmit(now);
        }
        Ok(())
    }

    /// Asks the node for the reads that have come: it does not ask its peers yet.
    fn ask_for_reads(&mut self) -> Result<Option<Instant>, StopReason> {
        self.reads.queue(self.inputs.came.drain(..));
        let mut asked = None;
        while let Some(token) = self.reads.ask() {
            asked = Some(self.take_step(Input::Read(token), Source::Protocol)?);
        }
        Ok(asked)
    }

    /// One input, one step, its effects; then whatever may be sent to the peers.
    fn step(&mut self, input: Input, source: Source) -> Result<(), StopReason> {
        let now = self.take_step(input, source)?;
        self.transmit(now);
        Ok(())
    }

    fn take_step(&mut self, input: Input, source: Source) -> Result<Instant, StopReason> {
        let moment = Moment { now: self.clock.now(), draw: self.random.next() };
        let mut effects = std::mem::take(&mut self.effects);
        self.protocol.step(&mut self.node, moment, input, &mut effects);
        let performed = self.perform(&mut effects, source);
        self.effects = effects;
        performed?;
        self.changes.look(&self.node);
        self.transfers.look(&self.node);
        Ok(moment.now)
    }

    /// Performs the effects of a step in the order of their fields.
    fn perform(&mut self, effects: &mut Effects, source: Source) -> Result<(), StopReason> {
        if let Some(fatal) = effects.fatal {
            return Err(StopReason::SafetyViolated(fatal));
        }
        if let Some(persist) = effects.persist.take() {
            self.persist(persist, source)?;
        }
        let is_led_anew = effects.publish.is_some_and(|view| self.publish(view));
        for outgoing in effects.send.drain(..) {
            self.outbox.post(outgoing, &self.storage);
        }
        if let Some(snapshot) = effects.install.take() {
            let last = snapshot.last;
            let state = self.storage.state(last).ok_or(StopReason::ContentMissing(last.index))?;
            self.pending.covered(last.index);
            self.delivery.restore(state);
        }
        if let Some(index) = effects.commit {
            self.delivery.commit(index);
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
    /// snapshot of the leader the state that it covers.
    fn persist(&mut self, persist: Persist, source: Source) -> Result<(), StopReason> {
        if let Some(SnapshotWrite::Install(snapshot)) = &persist.write.snapshot {
            let last = snapshot.last;
            let Source::Snapshot(bytes) = source else {
                return Err(StopReason::ContentMissing(last.index));
            };
            self.kept = last.index;
            self.storage.keep(MachineState { last, bytes });
            self.storage.submit(persist, Vec::new());
            return Ok(());
        }
        let records = match &persist.write.log {
            Some(log) => {
                source.records(log).ok_or_else(|| StopReason::ContentMissing(log.keep.next()))?
            }
            None => Vec::new(),
        };
        self.storage.submit(persist, records);
        Ok(())
    }

    /// Hands committed entries to the state machine, as many as it has room for.
    fn deliver(&mut self) -> Result<(), StopReason> {
        self.delivery
            .advance(self.node.log(), &self.storage, &mut self.pending)
            .map_err(|Missing(index)| StopReason::ContentMissing(index))
    }

    /// Sends every request that is due to a peer.
    fn transmit(&mut self, now: Instant) {
        for peer in self.protocol.recipients(&self.node) {
            loop {
                let room = RequestRoom { storage: &self.storage, limits: &self.limits };
                let request = self.protocol.poll_transmit(&mut self.node, peer, now, room);
                let Some(request) = request else { break };
                if let Body::InstallSnapshot { snapshot } = &request.message.body {
                    // Where nothing of it has moved by then, it is moved again.
                    let (last, moved) = (snapshot.last.index, self.outbox.moved(peer));
                    let until = now.after(self.patience());
                    self.moving.insert(peer, Moving { last, moved, until });
                }
                self.outbox.post(request, &self.storage);
            }
        }
    }

    /// Answers the clients whose proposals were not taken.
    fn refuse_proposals(&mut self) {
        self.inputs.proposals.close();
        while let Ok(Proposal { answer, .. }) = self.inputs.proposals.try_recv() {
            answer.send(Err(ProposeError::Stopped));
        }
    }

    fn status(&self) -> Status {
        let node = &self.node;
        Status {
            id: node.id(),
            role: node.role().name(),
            term: node.current_term(),
            voted_for: node.voted_for(),
            leader: node.leader(),
            base: node.log().base(),
            configuration: node.log().configuration().clone(),
            last: node.log().last(),
            durable_index: node.durable_index(),
            commit_index: node.commit_index(),
            applied: *self.applied.borrow(),
            unwritten: node.unwritten().len(),
            held: self.outbox.held(),
            waiting: self.pending.len(),
            waiting_reads: self.reads.len(),
            handing_over_to: node.leadership().and_then(|it| it.transfer).map(|it| it.to),
            dropped: self.incomplete + self.outbox.dropped(),
        }
    }
}

/// How many election timeouts nothing of a snapshot may move.
const PATIENCE: u64 = 8;

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

/// The last report of a writer that is no more.
fn gone(last: &Progress) -> Progress {
    let failed = Some(last.failed.clone().unwrap_or(StorageError::WriterGone));
    Progress { failed, ..last.clone() }
}
