//! Committed entries go to the state machine, in order, and their clients are answered.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;

use quorate_spec::{EntryId, Index, Log};
use quorate_sync::Published;
use tokio::sync::{mpsc, watch};

use crate::fetches::{AtHand, Consumer, Fetches, Want};
use crate::limits::Most;
use crate::machine::{Applied, StateMachine};
use crate::metrics::Metrics;
use crate::pending::{Answer, Pending};
use crate::record::{Content, MachineState, Payload};
use crate::sessions::Sessions;
use crate::setting::Setting;
use crate::snapshots::{SnapshotWriter, View};
use crate::storage::{Lookup, Storage};

/// A committed entry on its way to the machine.
#[derive(Debug)]
pub(crate) struct Committed {
    id: EntryId,
    command: Option<Payload>,
    answer: Option<Answer>,
}

/// What the machine's thread has to do.
#[derive(Debug)]
pub(crate) enum Work {
    /// Apply these entries.
    Apply(Vec<Committed>),
    /// Be in this state.
    Restore(MachineState),
}

/// A committed entry is not in the storage: the disk and the protocol disagree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing(pub(crate) Index);

/// The owner's end of the queue of committed entries. The queue is short and the owner never
/// waits for it: what does not fit stays in the log until there is room.
#[derive(Debug)]
pub(crate) struct Delivery {
    queue: mpsc::Sender<Work>,
    delivered: Index,
    commit_index: Index,
    /// A snapshot that comes before the entries after it.
    restore: Option<MachineState>,
    /// The next entry is on its way from the disk: room in the queue is of no use until it is there.
    waits: bool,
    /// Of a batch; but one entry goes however long it is.
    most: Most,
}

impl Delivery {
    pub(crate) fn new(from: Index, queue: mpsc::Sender<Work>, most: Most) -> Delivery {
        let (delivered, commit_index, restore) = (from, from, None);
        Delivery { queue, delivered, commit_index, restore, waits: false, most }
    }

    /// A state of the leader's machine has taken the place of everything up to its last entry, of
    /// which nothing more is delivered.
    pub(crate) fn restore(&mut self, state: MachineState) {
        self.restore = Some(state);
    }

    /// Entries up to `index` may be delivered.
    pub(crate) fn commit(&mut self, index: Index) {
        self.commit_index = index;
    }

    /// Whether there is something to deliver.
    pub(crate) fn is_behind(&self) -> bool {
        self.restore.is_some() || self.delivered < self.commit_index
    }

    /// Whether there is something to deliver that is at hand, and waits for room in the queue.
    pub(crate) fn needs_room(&self) -> bool {
        self.is_behind() && !self.waits
    }

    /// Waits until the queue has room. Cancelling this loses nothing.
    pub(crate) async fn room(&self) {
        // Without a machine there is no room, ever; `machine_gone` says so.
        let _ = self.queue.reserve().await;
    }

    /// Waits until the state machine is gone, which happens only if it panics.
    pub(crate) async fn machine_gone(&self) {
        self.queue.closed().await;
    }

    /// Delivers what is committed, at hand, and fits into the queue; what comes after that is fetched.
    pub(crate) fn advance(
        &mut self,
        log: &Log,
        storage: &impl Storage,
        fetches: &mut Fetches,
        pending: &mut Pending,
    ) -> Result<(), Missing> {
        self.waits = false;
        while self.is_behind() {
            let Ok(permit) = self.queue.try_reserve() else { break };
            if let Some(state) = self.restore.take() {
                self.delivered = state.last.index;
                permit.send(Work::Restore(state));
                continue;
            }
            let at_hand = fetches.at_hand(Consumer::Machine, storage);
            let (batch, away) = next_batch(self, log, &at_hand, pending)?;
            if let Some(last) = batch.last() {
                self.delivered = last.id.index;
                permit.send(Work::Apply(batch));
            } else if let Some(first) = away {
                self.waits = true;
                fetches.begin(Consumer::Machine, Want::Entries(first), storage);
                return Ok(());
            }
        }
        fetches.has(Consumer::Machine, self.delivered);
        Ok(())
    }
}

/// The next entries that are at hand and fit into a batch, and the one that ends it because it is away.
fn next_batch(
    delivery: &Delivery,
    log: &Log,
    at_hand: &AtHand<'_, impl Storage>,
    pending: &mut Pending,
) -> Result<(Vec<Committed>, Option<EntryId>), Missing> {
    let Most { count, bytes } = delivery.most;
    let (mut batch, mut length, mut index) = (Vec::new(), 0_usize, delivery.delivered);
    while index < delivery.commit_index && batch.len() < count {
        index = index.next();
        let term = log.term_at(index).ok_or(Missing(index))?;
        let id = EntryId { term, index };
        let record = match at_hand.read(id) {
            Lookup::Here(record) => record,
            Lookup::Away => return Ok((batch, Some(id))),
            Lookup::Gone => return Err(Missing(index)),
        };
        length = length.saturating_add(record.len());
        if length > bytes && !batch.is_empty() {
            break;
        }
        let command = match record.content {
            Content::NoOp | Content::Configuration => None,
            Content::Command(payload) => Some(payload),
        };
        batch.push(Committed { id, command, answer: pending.committed(id) });
    }
    Ok((batch, None))
}

/// The thread of the state machine. It is not a task: a command that takes long would hold up
/// whatever shares a worker with it, the owner of the node included.
#[derive(Debug)]
pub(crate) struct Applier {
    applied: watch::Receiver<Index>,
    killed: Arc<AtomicBool>,
    complaint: Complaint,
}

/// Why the machine's thread has ended, where it did not panic.
pub(crate) type Complaint = Arc<OnceLock<String>>;

/// How often a machine's state is taken, and where it goes.
pub(crate) struct Snapshots {
    /// After so many entries. While the one before is being written, none is taken.
    pub(crate) every: u64,
    /// To the owner of the node.
    pub(crate) taken: mpsc::Sender<MachineState>,
    pub(crate) metrics: Arc<Metrics>,
}

impl Applier {
    /// Starts the thread on a machine that has applied everything up to `from`.
    pub(crate) fn start(
        machine: Sessions<impl StateMachine>,
        from: Index,
        queue: mpsc::Receiver<Work>,
        snapshots: Snapshots,
        published: Arc<Published>,
        setting: &Setting,
    ) -> Applier {
        let (report, applied) = watch::channel(from);
        let (killed, complaint) = (Arc::new(AtomicBool::new(false)), Complaint::default());
        let (kill, complain) = (Arc::clone(&killed), Arc::clone(&complaint));
        let Snapshots { every, taken, metrics } = snapshots;
        let snapshots = SnapshotWriter::start(taken, metrics, report.clone(), setting);
        let mut apply = Apply { machine, covered: from, every, snapshots, published, report };
        let mut queue = queue;
        // The queue closes, and the owner looks, after the complaint is made; which is once, here.
        let ends = move |ended: Result<(), String>| ended.or_else(|why| complain.set(why));
        #[cfg(test)]
        if let Some(simulation) = setting.simulation.clone() {
            tokio::spawn(
                async move { ends(apply.all_in_turn(&mut queue, &kill, &*simulation).await) },
            );
            return Applier { applied, killed, complaint };
        }
        thread::spawn(move || ends(apply.all(&mut queue, &kill)));
        Applier { applied, killed, complaint }
    }

    /// The last entry that was applied.
    pub(crate) fn applied(&self) -> watch::Receiver<Index> {
        self.applied.clone()
    }

    /// Where the thread says why it ends.
    pub(crate) fn complaint(&self) -> Complaint {
        Arc::clone(&self.complaint)
    }

    /// Has the thread end after the batch that it is applying.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
    }

    /// Waits until the thread has ended, because it was killed or nobody can give it more, and the
    /// machine and every view of it is gone.
    pub(crate) async fn ended(mut self) {
        while self.applied.changed().await.is_ok() {}
    }
}

/// The machine's thread.
struct Apply<M> {
    machine: Sessions<M>,
    /// The last entry that a snapshot covers.
    covered: Index,
    every: u64,
    snapshots: SnapshotWriter,
    published: Arc<Published>,
    report: watch::Sender<Index>,
}

impl<M: StateMachine> Apply<M> {
    fn all(&mut self, queue: &mut mpsc::Receiver<Work>, killed: &AtomicBool) -> Result<(), String> {
        while let Some(work) = queue.blocking_recv() {
            if killed.load(Ordering::Acquire) {
                return Ok(());
            }
            self.perform(work)?;
        }
        Ok(())
    }

    /// The same in a simulation, which has no threads.
    #[cfg(test)]
    async fn all_in_turn(
        &mut self,
        queue: &mut mpsc::Receiver<Work>,
        killed: &AtomicBool,
        simulation: &dyn crate::setting::Simulation,
    ) -> Result<(), String> {
        while let Some(work) = queue.recv().await {
            tokio::time::sleep(simulation.pause()).await;
            if killed.load(Ordering::Acquire) {
                return Ok(());
            }
            self.perform(work)?;
        }
        Ok(())
    }

    fn perform(&mut self, work: Work) -> Result<(), String> {
        match work {
            Work::Restore(state) => {
                let last = state.last.index;
                let restored = self.machine.restore(state.bytes.reader());
                restored.map_err(|error| format!("the snapshot up to entry {last}: {error}"))?;
                self.covered = last;
                self.applied(last);
                Ok(())
            }
            Work::Apply(batch) => self.batch(batch),
        }
    }

    /// From now on whoever reads up to this index finds it in the machine.
    fn applied(&self, index: Index) {
        self.published.applied(index);
        self.report.send_replace(index);
    }

    /// Applies, then answers, so that no client hears of a command that its leader has not applied.
    fn batch(&mut self, batch: Vec<Committed>) -> Result<(), String> {
        let Some(last) = batch.last().map(|committed| committed.id) else { return Ok(()) };
        let commands: Vec<(EntryId, &[u8])> =
            batch.iter().filter_map(|it| Some((it.id, &**it.command.as_ref()?))).collect();
        let outcomes = self.machine.apply(&commands).map_err(|wrong| wrong.to_string())?;
        self.applied(last.index);
        let answered = batch.into_iter().filter(|committed| committed.command.is_some());
        for (Committed { id, answer, .. }, outcome) in answered.zip(outcomes) {
            if let Some(answer) = answer {
                answer.send(outcome.map(|response| Applied { entry: id, response }));
            }
        }
        if last.index.0 - self.covered.0 >= self.every && self.snapshots.is_idle() {
            let write = Box::new(self.machine.snapshot());
            self.snapshots.write(View { last, write });
            self.covered = last.index;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quorate_spec::durable::{LogWrite, Write};
    use quorate_spec::{Configuration, Durable, Entries, NodeId, Persist, Term, WriteId};

    use super::*;
    use crate::limits::Limits;
    use crate::memory::MemoryDisk;
    use crate::record::Record;

    #[tokio::test]
    async fn a_batch_is_bounded_by_entries_and_bytes_and_a_long_entry_goes_by_itself() {
        let configuration = Configuration::of([NodeId(1)]);
        let mut storage = MemoryDisk::new(configuration.clone()).open();
        let lengths = [4, 4, 1, 4, 20, 4, 1, 1, 1];
        let entries = Entries::of_term(Index(0), Term(1), lengths.len() as u64);
        let mut log = Durable::genesis(configuration).log;
        log.append(&entries);
        let records = entries.ids(Index(0)).zip(lengths).map(|(id, length)| Record {
            id,
            content: Content::Command(Arc::from(vec![0; length])),
        });
        let records = records.collect();
        let write = Write { log: Some(LogWrite { keep: Index(0), entries }), ..Write::default() };
        storage.submit(Persist { id: WriteId(1), write }, records);

        let (queue, mut batches) = mpsc::channel(8);
        let limits = Most { count: 3, bytes: 9 };
        let mut delivery = Delivery::new(Index(0), queue, limits);
        delivery.commit(Index(lengths.len() as u64));
        let (mut fetches, mut pending) = (Fetches::new(&Limits::default()), Pending::default());
        delivery.advance(&log, &storage, &mut fetches, &mut pending).expect("it is all there");
        let mut delivered = Vec::new();
        while let Ok(Work::Apply(batch)) = batches.try_recv() {
            delivered.push(batch.iter().map(|it| it.id.index.0).collect::<Vec<u64>>());
        }
        assert_eq!(delivered, [vec![1, 2, 3], vec![4], vec![5], vec![6, 7, 8], vec![9]]);
    }
}
