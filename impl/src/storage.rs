//! Where a node's log is written: one FIFO of numbered, atomic writes.

pub mod conformance;
mod syncs;

use quorate_spec::{Durable, EntryId, Index, Persist, WriteId};
use thiserror::Error;
use tokio::sync::watch;

pub use self::syncs::Syncs;
use crate::record::{MachineState, Record};

/// What one running node writes to and reads from. A restarted node opens it anew, and nothing
/// that an earlier one left in its queue may be written after that.
///
/// A write is durable as a whole or not at all, writes become durable in the order in which they
/// were submitted, and a crash keeps a prefix of them that holds every one reported durable.
pub trait Storage: Send + 'static {
    /// What the disk held when it was opened: what the node starts from.
    fn recovered(&self) -> Durable;

    /// The state of the machine that the recovered log begins with; none where it begins with none, or
    /// the state is not there. It is asked for once, before anything is submitted.
    fn recovered_state(&mut self) -> Option<MachineState>;

    /// The reports on the writes. They are cumulative, so a reader may skip some.
    fn progress(&self) -> watch::Receiver<Progress>;

    /// Puts a write into the FIFO and returns at once. `records` are the contents of the entries
    /// that it appends, one each and in order: they become durable with it.
    fn submit(&mut self, persist: Persist, records: Vec<Record>);

    /// Has a state of the machine written and returns at once. It is large and in nobody's way:
    /// writes that are submitted after it may become durable before it, but for one that makes the
    /// log begin with it, which waits for it with all that come after that one. It is kept when all
    /// its bytes are durable, and then stays beside the one that the durable log begins with, until
    /// a write makes the log begin with it or with a later one: so a crash finds the state that fits
    /// the log, whichever write it comes after (rule S5).
    ///
    /// A node hands over the next state of its own machine only when [`Progress::kept`] has reached
    /// the one before: a storage that does not report it is given no other. A leader's state comes
    /// at any time.
    fn keep(&mut self, state: MachineState);

    /// The state of the machine after this very entry, whether or not it is durable yet, unless it was
    /// not kept, or a later one has taken its place. Like [`Storage::read`] it answers at once.
    fn state(&self, last: EntryId) -> Lookup<MachineState>;

    /// The record of this very entry, whether or not it is durable yet, unless the log does not have
    /// it, or has an entry of another term at its index.
    ///
    /// It answers at once: the owner of the node asks, and waits for no disk. What is not durable is
    /// in memory, for there is nothing to fetch it from.
    fn read(&self, id: EntryId) -> Lookup<Record>;

    /// Fetches the records of a stretch of the log which is durable, and may be in memory or not: the
    /// first one, and as many of those that follow it as there are and as the stretch allows. The
    /// future is run on a task of its own, and to drop it gives the fetch up.
    ///
    /// It may be of the log as it was at any moment since it was asked for. What was overwritten in
    /// that time may come, under its own name, and nobody takes it for anything else; or it, and what
    /// was compacted, does not come.
    ///
    /// # Errors
    /// Why the first record cannot be read. Where the log has lost it meanwhile nothing is wrong, and
    /// the storage need not know: whoever asked looks again, and only where the answer still is
    /// [`Lookup::Away`] something that was durable cannot be read. Then the node stops, and does not
    /// go on as if it had never been.
    fn fetch(
        &self,
        stretch: Stretch,
    ) -> impl Future<Output = Result<Vec<Record>, StorageError>> + Send + 'static;

    /// Fetches the state of the machine after this very entry, which is durable. For the rest it is
    /// like [`Storage::fetch`].
    ///
    /// # Errors
    /// Why it cannot be read, as there.
    fn fetch_state(
        &self,
        last: EntryId,
    ) -> impl Future<Output = Result<MachineState, StorageError>> + Send + 'static;

    /// How often the log is synced, and how long that takes, for the metrics. A storage that does not
    /// measure that has nothing to say.
    fn syncs(&self) -> Syncs {
        Syncs::default()
    }

    /// Finishes every write that was submitted, unless one fails, and lets go of the disk.
    fn close(self) -> impl Future<Output = ()> + Send;
}

/// What a storage can say at once of something that it was asked for.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Lookup<T> {
    /// It is in memory: this is it.
    Here(T),
    /// It is durable, and not in memory: it has to be fetched.
    Away,
    /// The storage does not have it, or no longer.
    Gone,
}

impl<T> Lookup<T> {
    /// What is in memory.
    #[must_use]
    pub fn here(self) -> Option<T> {
        match self {
            Lookup::Here(it) => Some(it),
            Lookup::Away | Lookup::Gone => None,
        }
    }
}

/// Entries of the log that follow one another, to be fetched.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stretch {
    /// The first of them.
    pub first: EntryId,
    /// How many at most: 1 at least.
    pub entries: usize,
    /// How many bytes of commands at most; but the first one comes however long it is.
    pub bytes: usize,
}

impl Stretch {
    /// As many of these records, which follow one another, as the stretch allows.
    pub(crate) fn of(self, records: impl Iterator<Item = Record>) -> Vec<Record> {
        let mut bytes = 0_usize;
        let fits = |(count, record): &(usize, Record)| {
            bytes = bytes.saturating_add(record.len());
            *count == 0 || bytes <= self.bytes
        };
        let counted = records.take(self.entries).enumerate();
        counted.take_while(fits).map(|(_, record)| record).collect()
    }
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
    /// The disk refused something: it is full, or it fails.
    #[error(
        "writing {what} failed: {reason}. Nothing after it was acknowledged: make room or check the \
         disk, then start the node again"
    )]
    Disk {
        /// What was to be written.
        what: String,
        /// What the system said.
        reason: String,
    },
    /// Something that was durable cannot be read any more.
    #[error(
        "{what} cannot be read: {reason}. The disk is damaged: check it, and have the node opened \
         again, which reads everything"
    )]
    Unreadable {
        /// What was to be read.
        what: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The writer ended without a word: it panicked, or the storage was opened anew.
    #[error("the writer is gone: is another node running on this storage?")]
    WriterGone,
}

impl StorageError {
    /// The entry cannot be read.
    pub(crate) fn entry(index: Index, reason: &str) -> StorageError {
        let (what, reason) = (format!("entry {index}"), reason.to_owned());
        StorageError::Unreadable { what, reason }
    }

    /// The state after this entry cannot be read.
    pub(crate) fn state(index: Index, reason: &str) -> StorageError {
        let (what, reason) = (format!("the state after entry {index}"), reason.to_owned());
        StorageError::Unreadable { what, reason }
    }
}

/// Why nothing was read that the storage does not have.
pub(crate) const NOT_THERE: &str = "it is not there";
