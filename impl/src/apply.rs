//! Committed entries go to the state machine, in order, and their clients are answered.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use quorate_spec::{EntryId, Index, Log};
use tokio::sync::{mpsc, watch};

use crate::pending::{Answer, Pending};
use crate::published::Published;
use crate::record::{Content, MachineState, Payload};
use crate::storage::Storage;

/// What a cluster replicates: every node gives the same commands, in the same order, to its own.
pub trait StateMachine: Send + 'static {
    /// Applies a committed command. It is called once for each in the life of a node, and again
    /// from its snapshot on when a node restarts with a new machine. It may take its time:
    /// it has a thread of its own, and the node goes on meanwhile.
    fn apply(&mut self, id: EntryId, command: &[u8]);

    /// The present state as bytes, from which [`StateMachine::restore`] makes it again. It is asked
    /// for on the machine's thread: no command is applied meanwhile, and the node goes on.
    fn snapshot(&mut self) -> Vec<u8>;

    /// Takes over a state that the machine of some node of the cluster made: when a node starts
    /// that has taken a snapshot, or when it has fallen behind the leader's.
    fn restore(&mut self, state: &[u8]);
}

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
    batch: usize,
}

impl Delivery {
    pub(crate) fn new(from: Index, queue: mpsc::Sender<Work>, batch: usize) -> Delivery {
        Delivery { queue, delivered: from, commit_index: from, restore: None, batch }
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

    /// Whether committed entries wait for room in the queue.
    pub(crate) fn is_behind(&self) -> bool {
        self.restore.is_some() || self.delivered < self.commit_index
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

    /// Delivers what is committed and fits into the queue.
    pub(crate) fn advance(
        &mut self,
        log: &Log,
        storage: &impl Storage,
        pending: &mut Pending,
    ) -> Result<(), Missing> {
        while self.is_behind() {
            let Ok(permit) = self.queue.try_reserve() else { return Ok(()) };
            if let Some(state) = self.restore.take() {
                self.delivered = state.last.index;
                permit.send(Work::Restore(state));
                continue;
            }
            let mut batch = Vec::new();
            while self.is_behind() && batch.len() < self.batch {
                let index = self.delivered.next();
                batch.push(committed(index, log, storage, pending).ok_or(Missing(index))?);
                self.delivered = index;
            }
            permit.send(Work::Apply(batch));
        }
        Ok(())
    }
}

fn committed(
    index: Index,
    log: &Log,
    storage: &impl Storage,
    pending: &mut Pending,
) -> Option<Committed> {
    let id = EntryId { term: log.term_at(index)?, index };
    let command = match storage.read(id)?.content {
        Content::NoOp | Content::Configuration => None,
        Content::Command(payload) => Some(payload),
    };
    Some(Committed { id, command, answer: pending.committed(id) })
}

/// The thread of the state machine. It is not a task: a command that takes long would hold up
/// whatever shares a worker with it, the owner of the node included.
#[derive(Debug)]
pub(crate) struct Applier {
    applied: watch::Receiver<Index>,
    killed: Arc<AtomicBool>,
}

impl Applier {
    /// Starts the thread on a machine that has applied everything up to `from`.
    pub(crate) fn start(
        machine: impl StateMachine,
        from: Index,
        queue: mpsc::Receiver<Work>,
        snapshots: Snapshots,
        published: Arc<Published>,
    ) -> Applier {
        let (report, applied) = watch::channel(from);
        let killed = Arc::new(AtomicBool::new(false));
        let kill = Arc::clone(&killed);
        let mut apply = Apply { machine, covered: from, snapshots, published, report };
        thread::spawn(move || apply.all(queue, &kill));
        Applier { applied, killed }
    }

    /// The last entry that was applied.
    pub(crate) fn applied(&self) -> watch::Receiver<Index> {
        self.applied.clone()
    }

    /// Has the thread end after the command that it is applying.
    pub(crate) fn kill(&self) {
        self.killed.store(true, Ordering::Release);
    }

    /// Waits until the thread has ended, because it was killed or nobody can give it more.
    pub(crate) async fn ended(mut self) {
        while self.applied.changed().await.is_ok() {}
    }
}

/// How often a machine's state is taken, and where it goes.
#[derive(Debug)]
pub(crate) struct Snapshots {
    /// After so many entries.
    pub(crate) every: u64,
    /// To the owner of the node. While that has not taken the one before, none is made.
    pub(crate) taken: mpsc::Sender<MachineState>,
}

/// The machine's thread.
struct Apply<M> {
    machine: M,
    /// The last entry that a snapshot covers.
    covered: Index,
    snapshots: Snapshots,
    published: Arc<Published>,
    report: watch::Sender<Index>,
}

impl<M: StateMachine> Apply<M> {
    fn all(&mut self, mut queue: mpsc::Receiver<Work>, killed: &AtomicBool) {
        while let Some(work) = queue.blocking_recv() {
            match work {
                Work::Restore(state) => {
                    self.machine.restore(&state.bytes);
                    self.covered = state.last.index;
                    self.applied(state.last.index);
                }
                Work::Apply(batch) => {
                    for committed in batch {
                        if killed.load(Ordering::Acquire) {
                            return;
                        }
                        self.one(committed);
                    }
                }
            }
        }
    }

    /// From now on whoever reads up to this index finds it in the machine.
    fn applied(&self, index: Index) {
        self.published.applied(index);
        self.report.send_replace(index);
    }

    /// Applies, then answers, so that no client hears of a command that its leader has not applied.
    fn one(&mut self, Committed { id, command, answer }: Committed) {
        if let Some(command) = command {
            self.machine.apply(id, &command);
        }
        self.applied(id.index);
        if let Some(answer) = answer {
            // A client that no longer waits does not want the answer.
            answer.send(Ok(id));
        }
        if id.index.0 - self.covered.0 >= self.snapshots.every
            && let Ok(room) = self.snapshots.taken.try_reserve()
        {
            room.send(MachineState { last: id, bytes: self.machine.snapshot().into() });
            self.covered = id.index;
        }
    }
}
