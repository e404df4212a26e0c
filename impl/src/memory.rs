//! A disk in memory: for tests and for trying things out. It outlives the nodes that use it, as a
//! disk does, and can be told to stall and to fail.

use std::collections::BTreeMap;
use std::future;
use std::iter;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use quorate_spec::durable::{SnapshotWrite, Write};
use quorate_spec::{Configuration, Durable, EntryId, Index, Persist, WriteId};
use tokio::sync::watch;

use crate::lock::lock;
use crate::record::{MachineState, Record};
use crate::storage::{Lookup, NOT_THERE, Progress, Storage, StorageError, Stretch};

/// The disk. Clones are the same disk.
#[derive(Clone, Debug)]
pub struct MemoryDisk {
    platter: Arc<Platter>,
}

#[derive(Debug)]
struct Platter {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    durable: Durable,
    contents: Contents,
    /// How often the disk was opened or crashed: only the writer of the latest opening writes.
    opening: u64,
    syncs: u64,
    stalled: bool,
    /// Whether the writer is at a write that the stall holds up.
    waiting: bool,
    fails: bool,
}

impl MemoryDisk {
    /// An empty disk of a server in a cluster that starts with this configuration.
    #[must_use]
    pub fn new(configuration: Configuration) -> MemoryDisk {
        let state = State {
            durable: Durable::genesis(configuration),
            contents: Contents::default(),
            opening: 0,
            syncs: 0,
            stalled: false,
            waiting: false,
            fails: false,
        };
        MemoryDisk {
            platter: Arc::new(Platter { state: Mutex::new(state), changed: Condvar::new() }),
        }
    }

    /// Opens the disk for a node that starts. An earlier opening writes nothing from here on.
    #[must_use]
    pub fn open(&self) -> MemoryStorage {
        let (opening, recovered, contents) = {
            let mut state = self.platter.lock();
            state.opening += 1;
            // A state that was kept, and that no log came to begin with, is nobody's.
            let base = state.durable.log.base();
            state.contents.states.retain(|_, kept| kept.last == base);
            (state.opening, state.durable.clone(), state.contents.clone())
        };
        self.platter.changed.notify_all();
        let (jobs, queue) = mpsc::channel();
        let (report, progress) = watch::channel(Progress::default());
        let platter = Arc::clone(&self.platter);
        thread::spawn(move || write_all(&platter, opening, &queue, &report));
        MemoryStorage { recovered, contents, jobs, progress }
    }

    /// The power goes: what is not durable by now never will be.
    pub fn crash(&self) {
        self.platter.lock().opening += 1;
        self.platter.changed.notify_all();
    }

    /// From now on no write finishes, until [`MemoryDisk::resume`].
    pub fn stall(&self) {
        self.platter.lock().stalled = true;
    }

    /// Ends a stall.
    pub fn resume(&self) {
        self.platter.lock().stalled = false;
        self.platter.changed.notify_all();
    }

    /// Whether a write is held up by a stall at this moment.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        self.platter.lock().waiting
    }

    /// The next write fails, with everything that is written together with it.
    pub fn fail_next_write(&self) {
        self.platter.lock().fails = true;
    }

    /// What a crash at this moment would leave.
    #[must_use]
    pub fn durable(&self) -> Durable {
        self.platter.lock().durable.clone()
    }

    /// The durable contents of the log, in order.
    #[must_use]
    pub fn records(&self) -> Vec<Record> {
        self.platter.lock().contents.records.values().cloned().collect()
    }

    /// The durable states of the machine, in order.
    #[must_use]
    pub fn states(&self) -> Vec<MachineState> {
        self.platter.lock().contents.states.values().cloned().collect()
    }

    /// How often the disk was synced: once for each group of writes.
    #[must_use]
    pub fn syncs(&self) -> u64 {
        self.platter.lock().syncs
    }
}

/// An opened [`MemoryDisk`].
#[derive(Debug)]
pub struct MemoryStorage {
    recovered: Durable,
    /// The contents with everything submitted: reads see what is not durable yet, because a leader
    /// may send entries before it has written them (rule P3).
    contents: Contents,
    jobs: mpsc::Sender<Job>,
    progress: watch::Receiver<Progress>,
}

/// The bytes behind the log.
#[derive(Clone, Debug, Default)]
pub(crate) struct Contents {
    pub(crate) records: BTreeMap<Index, Record>,
    pub(crate) states: BTreeMap<Index, MachineState>,
}

#[derive(Debug)]
enum Job {
    Write(Box<Persist>, Vec<Record>),
    Keep(MachineState),
}

impl Storage for MemoryStorage {
    fn recovered(&self) -> Durable {
        self.recovered.clone()
    }

    fn recovered_state(&mut self) -> Option<MachineState> {
        self.contents.state(self.recovered.log.base())
    }

    fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    fn submit(&mut self, persist: Persist, records: Vec<Record>) {
        self.contents.write(&persist.write, &records);
        // The writer is gone after a failure, which it has reported.
        let _ = self.jobs.send(Job::Write(Box::new(persist), records));
    }

    fn keep(&mut self, state: MachineState) {
        self.contents.keep(&state);
        let _ = self.jobs.send(Job::Keep(state));
    }

    fn state(&self, last: EntryId) -> Lookup<MachineState> {
        self.contents.state(last).map_or(Lookup::Gone, Lookup::Here)
    }

    fn read(&self, id: EntryId) -> Lookup<Record> {
        self.contents.read(id).map_or(Lookup::Gone, Lookup::Here)
    }

    // A node never asks: everything is in memory. A storage around this one may.

    fn fetch(
        &self,
        stretch: Stretch,
    ) -> impl Future<Output = Result<Vec<Record>, StorageError>> + Send + 'static {
        future::ready(self.contents.stretch(stretch))
    }

    fn fetch_state(
        &self,
        last: EntryId,
    ) -> impl Future<Output = Result<MachineState, StorageError>> + Send + 'static {
        future::ready(self.contents.fetched_state(last))
    }

    async fn close(self) {
        let MemoryStorage { jobs, mut progress, .. } = self;
        drop(jobs);
        // The writer empties its queue and goes.
        while progress.changed().await.is_ok() {}
    }
}

/// The writer: takes what is queued, syncs it in one go, reports, and starts over.
fn write_all(
    platter: &Platter,
    opening: u64,
    queue: &mpsc::Receiver<Job>,
    report: &watch::Sender<Progress>,
) {
    while let Ok(first) = queue.recv() {
        let mut state = platter.ready(opening);
        if state.opening != opening {
            return;
        }
        let group: Vec<Job> = iter::once(first).chain(queue.try_iter()).collect();
        let outcome = state.sync(&group);
        drop(state);
        match outcome {
            Ok((persisted, kept)) => report.send_modify(|progress| {
                progress.persisted = progress.persisted.max(persisted);
                progress.kept = progress.kept.max(kept);
            }),
            Err(error) => return report.send_modify(|progress| progress.failed = Some(error)),
        }
    }
}

impl Platter {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a test that did has said why.
        lock(&self.state)
    }

    /// The disk once it is not stalled, or was taken away from this opening.
    fn ready(&self, opening: u64) -> MutexGuard<'_, State> {
        self.changed
            .wait_while(self.lock(), |state| {
                state.waiting = state.stalled && state.opening == opening;
                state.waiting
            })
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Performs the jobs, in order, as one sync. Gives the last write and the last state of them.
    fn sync(&mut self, group: &[Job]) -> Result<(WriteId, Index), StorageError> {
        let (mut persisted, mut kept) = (WriteId::NONE, Index::ZERO);
        for job in group {
            match job {
                Job::Write(persist, _) => persisted = persist.id,
                Job::Keep(state) => kept = kept.max(state.last.index),
            }
        }
        if std::mem::take(&mut self.fails) {
            return Err(match persisted {
                WriteId::NONE => StorageError::SnapshotFailed(kept),
                last => StorageError::WriteFailed(last),
            });
        }
        for job in group {
            match job {
                Job::Write(persist, records) => {
                    self.durable.apply(&persist.write);
                    self.contents.write(&persist.write, records);
                }
                Job::Keep(state) => self.contents.keep(state),
            }
        }
        self.syncs += 1;
        Ok((persisted, kept))
    }
}

impl Contents {
    /// Performs a write: a snapshot takes the place of what it covers, then the contents after
    /// `keep` go and those of the new entries come.
    pub(crate) fn write(&mut self, write: &Write, records: &[Record]) {
        match &write.snapshot {
            Some(SnapshotWrite::Compact(snapshot)) => {
                self.records = self.records.split_off(&snapshot.last.index.next());
                self.forget_states_before(snapshot.last.index);
            }
            Some(SnapshotWrite::Install(snapshot)) => {
                self.records.clear();
                self.forget_states_before(snapshot.last.index);
            }
            None => {}
        }
        if let Some(log) = &write.log {
            self.records.split_off(&log.keep.next());
            self.records.extend(records.iter().map(|record| (record.id.index, record.clone())));
        }
    }

    pub(crate) fn keep(&mut self, state: &MachineState) {
        self.states.insert(state.last.index, state.clone());
    }

    /// The state after this very entry.
    pub(crate) fn state(&self, last: EntryId) -> Option<MachineState> {
        self.states.get(&last.index).filter(|state| state.last == last).cloned()
    }

    /// The same for whoever was told that it is here.
    pub(crate) fn fetched_state(&self, last: EntryId) -> Result<MachineState, StorageError> {
        self.state(last).ok_or_else(|| StorageError::state(last.index, NOT_THERE))
    }

    /// The record of this very entry.
    pub(crate) fn read(&self, id: EntryId) -> Option<Record> {
        self.records.get(&id.index).filter(|record| record.id == id).cloned()
    }

    /// The records of this stretch, from its very first one on.
    pub(crate) fn stretch(&self, stretch: Stretch) -> Result<Vec<Record>, StorageError> {
        let first = stretch.first;
        if self.read(first).is_none() {
            return Err(StorageError::entry(first.index, NOT_THERE));
        }
        Ok(stretch.of(self.records.range(first.index..).map(|(_, record)| record.clone())))
    }

    fn forget_states_before(&mut self, index: Index) {
        self.states = self.states.split_off(&index);
    }
}
