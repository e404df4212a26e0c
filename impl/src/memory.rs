//! A disk in memory: for tests and for trying things out. It outlives the nodes that use it, as a
//! disk does, and can be told to stall and to fail.

use std::collections::BTreeMap;
use std::iter;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread;

use quorate_spec::durable::LogWrite;
use quorate_spec::{Configuration, Durable, EntryId, Index, Persist, WriteId};
use tokio::sync::watch;

use crate::record::Record;
use crate::storage::{Progress, Storage, StorageError};

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
    records: BTreeMap<Index, Record>,
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
            records: BTreeMap::new(),
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
        let (opening, recovered, records) = {
            let mut state = self.platter.lock();
            state.opening += 1;
            (state.opening, state.durable.clone(), state.records.clone())
        };
        self.platter.changed.notify_all();
        let (jobs, queue) = mpsc::channel();
        let (report, progress) = watch::channel(Progress::default());
        let platter = Arc::clone(&self.platter);
        thread::spawn(move || write_all(&platter, opening, &queue, &report));
        MemoryStorage { recovered, records, jobs, progress }
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
        self.platter.lock().records.values().cloned().collect()
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
    /// The log's contents with everything submitted: reads see what is not durable yet, because a
    /// leader may send entries before it has written them (rule P3).
    records: BTreeMap<Index, Record>,
    jobs: mpsc::Sender<Job>,
    progress: watch::Receiver<Progress>,
}

#[derive(Debug)]
struct Job {
    persist: Persist,
    records: Vec<Record>,
}

impl Storage for MemoryStorage {
    fn recovered(&self) -> Durable {
        self.recovered.clone()
    }

    fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    fn submit(&mut self, persist: Persist, records: Vec<Record>) {
        if let Some(log) = &persist.write.log {
            replace(&mut self.records, log, &records);
        }
        // The writer is gone after a failure, which it has reported.
        let _ = self.jobs.send(Job { persist, records });
    }

    fn read(&self, id: EntryId) -> Option<Record> {
        self.records.get(&id.index).filter(|record| record.id == id).cloned()
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
            Ok(persisted) => report.send_modify(|progress| progress.persisted = persisted),
            Err(error) => return report.send_modify(|progress| progress.failed = Some(error)),
        }
    }
}

impl Platter {
    fn lock(&self) -> MutexGuard<'_, State> {
        // Nothing panics while it holds the lock; a test that did has said why.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
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
    /// Performs the writes, in order, as one sync.
    fn sync(&mut self, group: &[Job]) -> Result<WriteId, StorageError> {
        let last = group.last().map_or(WriteId::NONE, |job| job.persist.id);
        if std::mem::take(&mut self.fails) {
            return Err(StorageError::WriteFailed(last));
        }
        for Job { persist, records } in group {
            self.durable.apply(&persist.write);
            if let Some(log) = &persist.write.log {
                replace(&mut self.records, log, records);
            }
        }
        self.syncs += 1;
        Ok(last)
    }
}

/// Drops the contents after `write.keep` and puts those of the new entries in their place.
fn replace(contents: &mut BTreeMap<Index, Record>, write: &LogWrite, records: &[Record]) {
    contents.split_off(&write.keep.next());
    contents.extend(records.iter().map(|record| (record.id.index, record.clone())));
}
