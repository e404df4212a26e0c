//! A log on a real disk: the embedded engine fjall for the log, files for states of the machine.
//!
//! ```text
//!  owner ── submit ──▶ Recent, Log ─▶ queue ──────────▶ Writer ──▶ Engine: one batch, one sync
//!    │                                  ▲                 ├──────▶ Mark: that group is durable
//!    ├───── keep ────▶ Shelf ─▶ queue ─▶ a file, synced   └──────▶ Progress
//!    ├───── read ────▶ Recent, or away
//!    └──── fetch ────▶ a thread that may wait ─▶ the engine, or a file
//! ```
//!
//! **A group of writes** is one batch of the engine: the entries, and a head that says where the log
//! begins and ends, what the hard state is, and which group this is. So whatever happens to the files,
//! the state after some group is recovered as a whole, or the directory is refused.
//!
//! **What is seen when the directory is opened.** Every record is read: its checksum, its own name,
//! the term of its predecessor; the log has to go from where the head says to where it says. The
//! journal of the engine and its lists of tables are read before the engine reads them, which would
//! cut off all that comes after a rotten byte. And the mark says which group was durable at last, so
//! that what is missing at the end shows as well.
//!
//! **What is not seen.** After a loss of power the mark may be an older one. Then the very end of the
//! journal, if it was acknowledged and has rotted since, looks like a tail that the crash tore: no
//! whole group comes after it. Nor does a directory show that is as a whole an older copy of itself:
//! an identity belongs to one disk, and a copy of yesterday has forgotten votes.

mod codec;
mod directory;
mod engine;
mod error;
mod fetch;
mod journal;
mod mark;
#[cfg(test)]
mod panics;
mod recent;
mod recovery;
mod register;
mod states;
mod trees;
mod writer;

use std::convert::Infallible;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Weak, mpsc};
use std::thread;

use quorate_spec::{Configuration, Durable, EntryId, Index, NodeId, Persist, Snapshot};
use tokio::sync::{Semaphore, watch};
use tracing::{info, info_span};

pub use self::directory::Identity;
pub use self::error::OpenError;
pub(crate) use self::register::Known;
pub use self::register::{DirectoryId, Register, forget};

use self::codec::{Codec, Head};
use self::directory::Directory;
use self::engine::Engine;
use self::fetch::Reading;
use self::mark::Mark;
use self::recent::Recent;
use self::recovery::Recovered;
use self::register::OnDisk;
use self::states::Shelf;
use self::writer::{Job, Queue, Writer, Writing, Written};
use crate::record::{MachineState, Record};
use crate::storage::{Lookup, Progress, Storage, StorageError, Stretch, Syncs};

/// Whose directory is opened, and how much of it is kept in memory.
#[derive(Clone, Debug)]
pub struct DiskOptions {
    /// The cluster, by a number that its operator drew once.
    pub cluster: u64,
    /// The node.
    pub node: NodeId,
    /// What a new directory's log begins with: the first members of the cluster, or nobody for a
    /// node that is to join one.
    pub configuration: Configuration,
    /// Bytes of the last entries that stay in memory. Those that are not durable stay in any case.
    pub recent_bytes: usize,
    /// The latest state of the machine, and the one that the log begins with, stay in memory if they
    /// have at most so many bytes; else the latter is read from its file for each follower that needs it.
    pub state_bytes: usize,
}

impl DiskOptions {
    /// The directory of this node, with as much in memory as is good for most.
    #[must_use]
    pub fn new(cluster: u64, node: NodeId, configuration: Configuration) -> DiskOptions {
        DiskOptions { cluster, node, configuration, recent_bytes: 64 << 20, state_bytes: 512 << 20 }
    }
}

/// Reads from the disk that may be on their way at a time: the machine's, and those of three peers.
const READERS: usize = 4;

/// An open directory: a log on a real disk.
pub struct DiskStorage {
    identity: Identity,
    recovered: Durable,
    /// The state that its log begins with, until a node has begun with it.
    begins: Option<MachineState>,
    /// With everything submitted.
    submitted: Durable,
    recent: Recent,
    reading: Reading,
    /// Closes when nobody reads any more.
    idle: tokio::sync::mpsc::Receiver<Infallible>,
    jobs: quorate_sync::Sender<Job>,
    states: mpsc::Sender<MachineState>,
    /// The writer's: where that ends, by a panic too, whoever listens hears of it.
    report: Weak<watch::Sender<Progress>>,
    progress: watch::Receiver<Progress>,
    syncs: Syncs,
    register: Register,
}

impl DiskStorage {
    /// Opens the directory of a node, or makes it where there is none. It reads the whole log.
    ///
    /// # Errors
    /// [`OpenError`] says what is wrong with the directory, and what to do.
    pub fn open(path: impl AsRef<Path>, options: DiskOptions) -> Result<DiskStorage, OpenError> {
        let DiskOptions { cluster, node, configuration, recent_bytes, state_bytes } = options;
        let path_shown = path.as_ref().display();
        let _within = info_span!("open", %node, directory = %path_shown).entered();
        let directory = Directory::open(path.as_ref(), cluster, node)?;
        let identity = directory.identity;
        let codec = Codec { seed: identity.incarnation };
        let mut recent = Recent::new(recent_bytes);
        let found = recover(&directory, codec, configuration, &mut recent)?;
        let (engine, mark, Recovered { durable, group, states }) = found;
        let register = Register::open(&directory.register(), identity.incarnation)?;

        let base = durable.log.base();
        let state = states.iter().find(|state| state.last == base).copied();
        if base.index > Index::ZERO && state.is_none() {
            let what = format!("it does not name the state after entry {}", base.index);
            return Err(OpenError::damaged(&directory.log(), what));
        }
        let (shelf, begins) = Shelf::open(directory.states(), codec.seed, state_bytes, state)?;
        let (shelf, directory) = (Arc::new(shelf), Arc::new(directory));
        let (busy, idle) = tokio::sync::mpsc::channel(1);
        let reading = Reading {
            engine: engine.clone(),
            codec,
            shelf: Arc::clone(&shelf),
            turns: Arc::new(Semaphore::new(READERS)),
            _directory: Arc::clone(&directory),
            _busy: busy,
        };

        let (jobs, queue) = quorate_sync::queue();
        let (report, progress) = watch::channel(Progress::default());
        let report = Arc::new(report);
        let reports = Arc::downgrade(&report);
        let syncs = Syncs::default();
        let disk = Writing {
            engine,
            mark,
            shelf: Arc::clone(&shelf),
            queue: Queue::default(),
            log: Written {
                codec,
                durable: durable.clone(),
                group,
                states: state.iter().map(|state| (state.last.index, state.last)).collect(),
                unused: states
                    .iter()
                    .map(|it| it.last.index)
                    .filter(|it| *it != base.index)
                    .collect(),
                purged: (base.index > Index::ZERO).then_some(Index::ZERO),
            },
            syncs: syncs.clone(),
            _register: OnDisk(register.clone()),
            _directory: directory,
            report,
        };
        let writer = Writer { jobs: queue, disk };
        let failed = OpenError::io("start a thread for", path.as_ref());
        let thread = thread::Builder::new().name("quorate-log".to_owned());
        let started = thread.spawn(move || writer.run());
        let states = started.and_then(|_| Shelf::start(Arc::clone(&shelf), jobs.clone()));
        Ok(DiskStorage {
            identity,
            submitted: durable.clone(),
            recovered: durable,
            begins,
            recent,
            reading,
            idle,
            jobs,
            states: states.map_err(failed)?,
            report: reports,
            progress,
            syncs,
            register,
        })
    }

    /// Whether there is a node's directory here, whoever's. One whose creation was interrupted is none:
    /// the next opening begins it again.
    #[must_use]
    pub fn is_at(path: impl AsRef<Path>) -> bool {
        directory::exists(path.as_ref())
    }

    /// Whether the creation of a directory was interrupted here.
    pub(crate) fn is_unfinished_at(path: impl AsRef<Path>) -> bool {
        directory::is_unfinished(path.as_ref())
    }

    /// Whose directory it is.
    #[must_use]
    pub fn identity(&self) -> Identity {
        self.identity
    }

    /// Whom this node has met, and on which directory: for its transport, which takes note there.
    #[must_use]
    pub fn register(&self) -> Register {
        self.register.clone()
    }

    /// The first failure is reported. Where the writer has ended, everybody hears of that.
    fn failed(&self, error: StorageError) {
        let Some(report) = self.report.upgrade() else { return };
        report.send_modify(|progress| {
            progress.failed.get_or_insert(error);
        });
    }
}

impl Storage for DiskStorage {
    fn recovered(&self) -> Durable {
        self.recovered.clone()
    }

    fn syncs(&self) -> Syncs {
        self.syncs.clone()
    }

    fn recovered_state(&mut self) -> Option<MachineState> {
        self.begins.take()
    }

    fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    fn submit(&mut self, persist: Persist, records: Vec<Record>) {
        self.submitted.apply(&persist.write);
        if let Some(snapshot) = &persist.write.snapshot {
            self.reading.shelf.forget_before(snapshot.snapshot().last.index);
        }
        let persisted = self.progress.borrow().persisted;
        self.recent.write(&persist, &records, persisted);
        // A writer that is gone has said why, or panicked.
        if self.jobs.send(Job::Write(Box::new(persist), records)).is_err() {
            self.failed(StorageError::WriterGone);
        }
    }

    fn keep(&mut self, state: MachineState) {
        self.reading.shelf.hold(state.clone());
        // As above.
        if self.states.send(state).is_err() {
            self.failed(StorageError::WriterGone);
        }
    }

    fn state(&self, last: EntryId) -> Lookup<MachineState> {
        self.reading.shelf.look(last)
    }

    fn read(&self, id: EntryId) -> Lookup<Record> {
        let log = &self.submitted.log;
        if id.index <= log.base().index || !log.contains(id) {
            return Lookup::Gone;
        }
        match self.recent.at(id.index) {
            Some(record) if record.id == id => Lookup::Here(record.clone()),
            Some(_) => Lookup::Gone,
            None => Lookup::Away,
        }
    }

    fn fetch(
        &self,
        stretch: Stretch,
    ) -> impl Future<Output = Result<Vec<Record>, StorageError>> + Send + 'static {
        self.reading.clone().records(stretch)
    }

    fn fetch_state(
        &self,
        last: EntryId,
    ) -> impl Future<Output = Result<MachineState, StorageError>> + Send + 'static {
        self.reading.clone().state(last)
    }

    async fn close(self) {
        let DiskStorage { jobs, states, reading, mut idle, mut progress, .. } = self;
        jobs.close();
        drop((states, reading));
        // The last to go of the writer is `report`, and of who reads `busy`: then the directory is
        // free again.
        while progress.changed().await.is_ok() {}
        while idle.recv().await.is_some() {}
    }
}

/// Opens the engine and the mark, and checks everything that they hold.
fn recover(
    directory: &Directory,
    codec: Codec,
    configuration: Configuration,
    recent: &mut Recent,
) -> Result<(Engine, Mark, Recovered), OpenError> {
    let (log, mark, tail) = (directory.log(), directory.mark(), directory.tail());
    if directory.is_new {
        create(&log, codec, configuration)?;
        directory::replace(&mark, &Mark::fresh(codec.seed, 0))?;
        directory::replace(&directory.register(), &Register::fresh(codec.seed))?;
    }
    for part in [&log, &mark] {
        if !part.exists() {
            return Err(OpenError::damaged(part, "it is missing"));
        }
    }
    let io = |error| OpenError::io("read", &mark)(error);
    let mut opened = Mark::open(&mark, codec.seed).map_err(io)?;
    let marked = opened.read().map_err(io)?;
    let marked = marked.ok_or_else(|| OpenError::damaged(&mark, "it marks nothing"))?;
    trees::inspect(&log)?;
    journal::inspect(&log, codec, marked, &tail)?;
    let damaged = |what: String| match tail.exists() {
        true => OpenError::damaged(&log, format!("{what}; {} was cut off it", tail.display())),
        false => OpenError::damaged(&log, what),
    };
    let engine = Engine::open(&log).map_err(damaged)?;
    let recovered = recovery::recover(&engine, codec, recent).map_err(damaged)?;
    let recovered = recovered.ok_or_else(|| damaged("it has no head of the log".to_owned()))?;
    if recovered.group < marked {
        let last = recovered.durable.log.last();
        return Err(damaged(format!(
            "it ends with group {} of writes and entry {} of term {}, and group {marked} had been \
             durable",
            recovered.group, last.index, last.term
        )));
    }
    // Nothing that had been durable was in it. If it cannot be removed it is removed another time.
    let _ = fs::remove_file(&tail);
    if directory.is_new {
        directory.finish()?;
    }
    let log = &recovered.durable.log;
    let (first, last) = (log.base().index.next().0, log.last().index.0);
    let (term, group) = (recovered.durable.hard_state.current_term.0, recovered.group);
    info!(term, first, last, group, is_new = directory.is_new, "opened the log");
    Ok((engine, opened, recovered))
}

/// Makes the engine's files, with the head of an empty log, under another name first: where they are
/// found under their own they are whole.
fn create(log: &Path, codec: Codec, configuration: Configuration) -> Result<(), OpenError> {
    let new = log.with_extension("new");
    let failed = |error: String| OpenError::io("create", &new)(std::io::Error::other(error));
    let engine = Engine::open(&new).map_err(failed)?;
    let Durable { hard_state, log: empty } = Durable::genesis(configuration);
    let base: Snapshot = empty.snapshot();
    let last = base.last;
    let mut batch = engine.batch();
    batch.head(codec.head(&Head { group: 0, hard_state, base, last }));
    batch.commit().map_err(failed)?;
    drop(engine);
    fs::rename(&new, log)
        .and_then(|()| directory::sync_folder_of(log))
        .map_err(OpenError::io("create", log))
}
