//! Committed entries go to the state machine, in order, and their clients are answered.

use quorate_spec::{EntryId, Index, Log};
use tokio::sync::{mpsc, watch};

use crate::pending::{Answer, Pending};
use crate::record::{Content, Payload};
use crate::storage::Storage;

/// What a cluster replicates: every node gives the same commands, in the same order, to its own.
pub trait StateMachine: Send + 'static {
    /// Applies a committed command. It is called once for each in the life of a node, and again
    /// from the first command on when a node restarts with a new machine.
    fn apply(&mut self, id: EntryId, command: &[u8]);
}

/// A committed entry on its way to the machine.
#[derive(Debug)]
pub(crate) struct Committed {
    id: EntryId,
    command: Option<Payload>,
    answer: Option<Answer>,
}

/// A committed entry is not in the storage: the disk and the protocol disagree.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Missing(pub(crate) Index);

/// The owner's end of the queue of committed entries. The queue is short and the owner never
/// waits for it: what does not fit stays in the log until there is room.
#[derive(Debug)]
pub(crate) struct Delivery {
    queue: mpsc::Sender<Vec<Committed>>,
    delivered: Index,
    commit_index: Index,
    batch: usize,
}

impl Delivery {
    pub(crate) fn new(from: Index, queue: mpsc::Sender<Vec<Committed>>, batch: usize) -> Delivery {
        Delivery { queue, delivered: from, commit_index: from, batch }
    }

    /// Entries up to `index` may be delivered.
    pub(crate) fn commit(&mut self, index: Index) {
        self.commit_index = index;
    }

    /// Whether committed entries wait for room in the queue.
    pub(crate) fn is_behind(&self) -> bool {
        self.delivered < self.commit_index
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
            let mut batch = Vec::new();
            while self.is_behind() && batch.len() < self.batch {
                let index = self.delivered.next();
                batch.push(committed(index, log, storage, pending).ok_or(Missing(index))?);
                self.delivered = index;
            }
            permit.send(batch);
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
        Content::NoOp => None,
        Content::Command(payload) => Some(payload),
    };
    Some(Committed { id, command, answer: pending.committed(id) })
}

/// The task of the state machine: applies, then answers, so that no client hears of a command
/// that its leader has not applied.
pub(crate) async fn apply_all(
    mut machine: impl StateMachine,
    mut queue: mpsc::Receiver<Vec<Committed>>,
    applied: watch::Sender<Index>,
) {
    while let Some(batch) = queue.recv().await {
        for Committed { id, command, answer } in batch {
            if let Some(command) = command {
                machine.apply(id, &command);
            }
            applied.send_replace(id.index);
            if let Some(answer) = answer {
                // A client that no longer waits does not want the answer.
                let _ = answer.send(Ok(id));
            }
        }
    }
}
