//! Where a node's log is written: one FIFO of numbered, atomic writes.

use quorate_spec::{Durable, EntryId, Index, Persist, WriteId};
use thiserror::Error;
use tokio::sync::watch;

use crate::record::{MachineState, Record};

/// What one running node writes to and reads from. A restarted node opens it anew, and nothing
/// that an earlier one left in its queue may be written after that.
///
/// A write is durable as a whole or not at all, writes become durable in the order in which they
/// were submitted, and a crash keeps a prefix of them that holds every one reported durable.
pub trait Storage: Send + 'static {
    /// What the disk held when it was opened: what the node starts from.
    fn recovered(&self) -> Durable;

    /// The reports on the writes. They are cumulative, so a reader may skip some.
    fn progress(&self) -> watch::Receiver<Progress>;

    /// Puts a write into the FIFO and returns at once. `records` are the contents of the entries
    /// that it appends, one each and in order: they become durable with it.
    fn submit(&mut self, persist: Persist, records: Vec<Record>);

    /// Puts a state of the machine into the FIFO and returns at once. It stays beside the one that
    /// the durable log begins with, until a write makes the log begin with it or with a later one:
    /// so a crash finds the state that fits the log, whichever write it comes after (rule S5).
    fn keep(&mut self, state: MachineState);

    /// The state of the machine after this very entry, whether or not it is durable yet; none if
    /// it was not kept, or a later one has taken its place.
    fn state(&self, last: EntryId) -> Option<MachineState>;

    /// The record of this very entry, whether or not it is durable yet; none if the log does not
    /// have it, or has an entry of another term at its index.
    fn read(&self, id: EntryId) -> Option<Record>;

    /// Finishes every write that was submitted, unless one fails, and lets go of the disk.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// How far the writes have come.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Progress {
    /// Every write up to this one is durable.
    pub persisted: WriteId,
    /// The state of the machine after this entry is durable: the latest one that was kept.
    pub kept: Index,
    /// Why no further write will ever be. It is not retried: after a failed sync nobody knows
    /// what the disk holds (rule P6), so the node has to stop.
    pub failed: Option<StorageError>,
}

/// Why a node's storage failed.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StorageError {
    /// The write with this number, or one of its group, was not written.
    #[error("write {0} failed: check the disk before this node is started again")]
    WriteFailed(WriteId),
    /// The state of the machine after this entry, or another write of its group, was not written.
    #[error(
        "writing the snapshot up to entry {0} failed: check the disk before this node is started again"
    )]
    SnapshotFailed(Index),
    /// The writer ended without a word: it panicked, or the storage was opened anew.
    #[error("the writer is gone: is another node running on this storage?")]
    WriterGone,
}
