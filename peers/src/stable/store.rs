//! The log and the machine of an openraft node: the log in a file, and in memory for whoever reads.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::Cursor;
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use openraft::storage::{LogFlushed, RaftLogStorage, RaftStateMachine, Snapshot};
use openraft::{
    AnyError, Entry, EntryPayload, LogId, LogState, OptionalSend, RaftLogReader,
    RaftSnapshotBuilder, SnapshotMeta, StorageError, StorageIOError, StoredMembership, Vote,
};

use super::Types;
use crate::wal::{self, Wal};

type Outcome<T> = Result<T, StorageError<u64>>;

/// A log. Clones are the same log.
#[derive(Clone)]
pub(super) struct Store {
    wal: Wal,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<u64, Entry<Types>>,
    purged: Option<LogId<u64>>,
    vote: Option<Vote<u64>>,
}

type Change<'a> = wal::Change<'a, Entry<Types>, Vote<u64>>;

fn failed(error: impl std::error::Error + 'static) -> StorageError<u64> {
    StorageIOError::write_logs(AnyError::new(&error)).into()
}

impl Store {
    pub(super) fn new(wal: Wal) -> Store {
        Store { wal, state: Arc::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RaftLogReader<Types> for Store {
    async fn try_get_log_entries<R: RangeBounds<u64> + Clone + Debug + OptionalSend>(
        &mut self,
        range: R,
    ) -> Outcome<Vec<Entry<Types>>> {
        Ok(self.lock().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> Outcome<LogState<Types>> {
        let state = self.lock();
        let last = state.entries.values().next_back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: last.or(state.purged) })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &Vote<u64>) -> Outcome<()> {
        self.wal
            .append_and_wait(Change::Vote(vote).bytes().map_err(failed)?)
            .await
            .map_err(failed)?;
        self.lock().vote = Some(*vote);
        Ok(())
    }

    async fn read_vote(&mut self) -> Outcome<Option<Vote<u64>>> {
        Ok(self.lock().vote)
    }

    /// Returns at once: the entries can be read, and are reported when they are durable.
    async fn append<I>(&mut self, entries: I, callback: LogFlushed<Types>) -> Outcome<()>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<Entry<Types>> = entries.into_iter().collect();
        let record = Change::Append(&entries).bytes().map_err(failed)?;
        self.lock().entries.extend(entries.into_iter().map(|entry| (entry.log_id.index, entry)));
        self.wal.append(record, |outcome| callback.log_io_completed(outcome));
        Ok(())
    }

    async fn truncate(&mut self, from: LogId<u64>) -> Outcome<()> {
        let record = Change::TruncateFrom(from.index).bytes().map_err(failed)?;
        self.wal.append_and_wait(record).await.map_err(failed)?;
        self.lock().entries.split_off(&from.index);
        Ok(())
    }

    async fn purge(&mut self, up_to: LogId<u64>) -> Outcome<()> {
        let record = Change::PurgeUpTo(up_to.index).bytes().map_err(failed)?;
        self.wal.append_and_wait(record).await.map_err(failed)?;
        let mut state = self.lock();
        state.entries = state.entries.split_off(&(up_to.index + 1));
        state.purged = Some(up_to);
        Ok(())
    }
}

/// A machine that keeps the last few commands.
#[derive(Clone, Default)]
pub(super) struct Machine {
    ring: Vec<Vec<u8>>,
    applied: Option<LogId<u64>>,
    membership: StoredMembership<u64, openraft::BasicNode>,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotBuilder = Machine;

    async fn applied_state(
        &mut self,
    ) -> Outcome<(Option<LogId<u64>>, StoredMembership<u64, openraft::BasicNode>)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<I>(&mut self, entries: I) -> Outcome<Vec<()>>
    where
        I: IntoIterator<Item = Entry<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let mut answers = Vec::new();
        self.ring.resize(crate::cluster::RING, Vec::new());
        for entry in entries {
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(command) => {
                    self.ring[entry.log_id.index as usize % crate::cluster::RING] = command;
                }
                EntryPayload::Membership(membership) => {
                    self.membership = StoredMembership::new(Some(entry.log_id), membership);
                }
            }
            answers.push(());
        }
        Ok(answers)
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn begin_receiving_snapshot(&mut self) -> Outcome<Box<Cursor<Vec<u8>>>> {
        Ok(Box::default())
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMeta<u64, openraft::BasicNode>,
        _: Box<Cursor<Vec<u8>>>,
    ) -> Outcome<()> {
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(&mut self) -> Outcome<Option<Snapshot<Types>>> {
        Ok(None)
    }
}

/// It is never asked to: no snapshot is taken here.
impl RaftSnapshotBuilder<Types> for Machine {
    async fn build_snapshot(&mut self) -> Outcome<Snapshot<Types>> {
        let meta = SnapshotMeta {
            last_log_id: self.applied,
            last_membership: self.membership.clone(),
            snapshot_id: String::new(),
        };
        Ok(Snapshot { meta, snapshot: Box::default() })
    }
}
