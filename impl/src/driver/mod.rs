//! The owner of a node: one task that feeds it one input after the other and performs what each
//! step asks for, in the order of the fields of [`Effects`].
//!
//! It waits in one place, [`Driver::next_event`]; everything else is synchronous. So no step and
//! no effect is ever left half done, wherever the task is cancelled.

mod compact;
mod operate;
mod perform;

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_spec::{
    Duration, Effects, Index, Input, Instant, Node, NodeId, Protocol, ReadView, WriteId,
};
use quorate_sync::Published;
use tokio::sync::{mpsc, watch};
use tracing::info;

use crate::apply::{Complaint, Delivery};
use crate::changes::Changes;
use crate::clock::{Clock, until};
use crate::errors::{ProposeError, StopReason};
use crate::fetches::{Consumer, Fetched, Fetches};
use crate::handle::Control;
use crate::inbox::Inbox;
use crate::limits::Limits;
use crate::observe::Observer;
use crate::order::Promise;
use crate::outbox::Outbox;
use crate::pending::{Pending, Proposal};
use crate::random::Random;
use crate::reads::{Reader, Reads};
use crate::record::{MachineState, Payload, Source};
use crate::setting::Setting;
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
    pub(crate) fetches: Fetches,
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
    /// The last entry of the latest state that was handed to the storage, and of the latest one that
    /// the storage has reported durable: while they differ a state is on its way to the disk.
    pub(crate) handed: Index,
    pub(crate) reported: Index,
    /// The last one of which the node was told.
    pub(crate) offered: Index,
    /// The snapshots that are on their way, by whom they are for.
    pub(crate) moving: BTreeMap<NodeId, Moving>,
    pub(crate) observer: Observer,
    pub(crate) complaint: Complaint,
    pub(crate) setting: Setting,
}

/// Where a node's inputs come from, besides its clock.
pub(crate) struct Inputs {
    pub(crate) control: mpsc::Receiver<Control>,
    pub(crate) progress: watch::Receiver<Progress>,
    pub(crate) packets: Inbox<Packet>,
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
    /// How many bytes the transport had moved before it.
    begun: u64,
    /// How many it had moved when it was looked at.
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
    Fetched(Fetched),
    Room,
    MachineGone,
}

impl<S: Storage> Driver<S> {
    /// Runs the node until it is shut down or has to stop. Then it finishes what is in the
    /// storage's queue, and answers every client.
    pub(crate) async fn run(mut self) -> StopReason {
        self.observer.begins(self.clock.now());
        if !self.setting.keeps(Promise::StartsAtTheSnapshot) {
            self.delivery.commit(self.node.log().last().index);
        }
        let mut ticked = false;
        let reason = loop {
            let event = self.next_event(ticked).await;
            ticked = matches!(event, Event::Deadline);
            let handled =
                self.handle(event).and_then(|()| self.read()).and_then(|()| self.compact());
            if let Err(reason) = handled {
                break reason;
            }
        };
        info!(%reason, "stops");
        self.refuse_proposals();
        self.inputs.readers.close();
        self.reads.forsake_all();
        self.pending.forsake_all();
        self.fetches.give_up();
        self.storage.close().await;
        reason
    }

    /// Waits for what comes next. Every branch can be cancelled without losing anything: the
    /// queues keep what was not taken, and reports are cumulative.
    ///
    /// A deadline comes before packets and these before clients, so that a flood of one kind does
    /// not keep the node from the more urgent one. One that has passed does not ask tokio's timer,
    /// which is never over when it is first looked at; but it comes only every other time. What was
    /// fetched comes before packets: of it there is one a peer and one for the machine, and none without
    /// the disk having worked. Reads come last, and with proposals.
    async fn next_event(&mut self, ticked: bool) -> Event {
        let deadline = self.next_deadline();
        let Inputs { control, progress, packets, proposals, readers, snapshots, taken, came } =
            &mut self.inputs;
        let has_room = self.node.unwritten().len() < self.limits.unwritten_writes
            && self.pending.len() < self.limits.waiting_proposals;
        let now = self.clock.now();
        self.observer.waits(now, deadline);
        let sleep = until(deadline, now);
        let batch = self.limits.proposals_per_write;
        let most = self.limits.waiting_reads.max(1);
        // Else a machine that makes states faster than the disk takes them fills the memory. While
        // nobody takes the next one, no other view is made.
        let is_kept = self.handed <= self.reported;
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
            () = std::future::ready(()), if sleep.is_zero() && !ticked => Event::Deadline,
            () = tokio::time::sleep(sleep) => Event::Deadline,
            Some(fetched) = self.fetches.next() => Event::Fetched(fetched),
            Some(packet) = packets.recv() => Event::Packet(packet),
            1.. = proposals.recv_many(taken, batch), if has_room => Event::Proposals,
            1.. = readers.recv_many(came, most) => Event::Reads,
            // The thread that writes them ends with the machine's, or by a panic.
            taken = snapshots.recv(), if is_kept => taken.map_or(Event::MachineGone, Event::Snapshot),
            () = self.delivery.room(), if self.delivery.needs_room() => Event::Room,
        }
    }

    fn handle(&mut self, event: Event) -> Result<(), StopReason> {
        match event {
            Event::Control(asked) => self.asked(asked),
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
                let index = state.last.index;
                self.keep(state);
                match self.setting.keeps(Promise::KeepsStateBeforeCompaction) {
                    true => Ok(()),
                    false => self.step(Input::SnapshotTaken { index }, Source::Protocol),
                }
            }
            Event::Fetched(fetched) => self.fetched(fetched),
            Event::Room => self.deliver(),
            Event::MachineGone => Err(match self.complaint.get() {
                Some(why) => StopReason::MachineFailed(why.clone()),
                None => StopReason::MachineGone,
            }),
        }
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

    /// What waited for the writes leaves, then the node hears of them.
    fn written(
        &mut self,
        Progress { persisted, kept, failed }: Progress,
    ) -> Result<(), StopReason> {
        let broken = |promise| !self.setting.keeps(promise);
        let (persisted, failed) = match (persisted, failed) {
            (_, Some(_)) if broken(Promise::StopsAtFailure) => (self.node.last_write(), None),
            (_, failed) if broken(Promise::ReportsNameWrites) => (self.node.last_write(), failed),
            reported => reported,
        };
        if persisted > WriteId::NONE {
            self.outbox.persisted(persisted, &self.storage);
            let now = self.take_step(Input::Persisted(persisted), Source::Protocol)?;
            self.observer.persisted(persisted, now);
            self.transmit(now);
        }
        // `run` has the node told of it.
        self.kept = self.kept.max(kept);
        self.reported = self.reported.max(kept);
        failed.map_or(Ok(()), |error| Err(StopReason::Storage(error)))
    }

    /// Hands a state of the machine to the storage. Of the machine's own there is one at a time.
    fn keep(&mut self, state: MachineState) {
        self.handed = self.handed.max(state.last.index);
        self.storage.keep(state);
    }

    /// Goes on with what was fetched. A peer's entries leave with a step, as everything does that leaves:
    /// the protocol is asked for requests at the time of a step and at no other.
    fn fetched(&mut self, fetched: Fetched) -> Result<(), StopReason> {
        match self.fetches.take_in(fetched, &self.storage) {
            Ok(Some(Consumer::Machine)) => self.deliver(),
            Ok(Some(Consumer::Peer(_))) => self.step(Input::Tick, Source::Protocol),
            Ok(None) => Ok(()),
            Err(why) => Err(StopReason::Storage(self.failure().unwrap_or(why))),
        }
    }

    /// Why the storage has failed, if it has said so.
    fn failure(&self) -> Option<StorageError> {
        self.inputs.progress.borrow().failed.clone()
    }

    /// The content of an entry, or a state, is not there: the storage may know why.
    fn missing(&self, index: Index) -> StopReason {
        self.failure().map_or(StopReason::ContentMissing(index), StopReason::Storage)
    }

    fn receive(&mut self, packet: Packet) -> Result<(), StopReason> {
        if !packet.is_complete() {
            self.observer.metrics.dropped.inc();
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

    /// Answers the clients whose proposals were not taken.
    fn refuse_proposals(&mut self) {
        self.inputs.proposals.close();
        while let Ok(Proposal { answer, .. }) = self.inputs.proposals.try_recv() {
            answer.send(Err(ProposeError::Stopped));
        }
    }
}

/// How many election timeouts nothing of a snapshot may move.
const PATIENCE: u64 = 8;

/// The last report of a writer that is no more.
fn gone(last: &Progress) -> Progress {
    let failed = Some(last.failed.clone().unwrap_or(StorageError::WriterGone));
    Progress { failed, ..last.clone() }
}
