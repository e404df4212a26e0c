//! The log and the machine of an openraft node: the log in a file, and in memory for whoever reads.

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::io::{self, Cursor};
use std::ops::RangeBounds;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::{Stream, StreamExt};
use openraft_alpha::alias::{
    EntryOf, LogIdOf, SnapshotMetaOf, SnapshotOf, StoredMembershipOf, VoteOf,
};
use openraft_alpha::storage::{EntryResponder, IOFlushed, RaftLogStorage, RaftStateMachine};
use openraft_alpha::{EntryPayload, LogState, OptionalSend, RaftLogReader, RaftSnapshotBuilder};

use super::Types;
use crate::wal::{self, Wal};

/// A log. Clones are the same log.
#[derive(Clone)]
pub(super) struct Store {
    wal: Wal,
    state: Arc<Mutex<State>>,
}

#[derive(Default)]
struct State {
    entries: BTreeMap<u64, EntryOf<Types>>,
    purged: Option<LogIdOf<Types>>,
    vote: Option<VoteOf<Types>>,
}

type Change<'a> = wal::Change<'a, EntryOf<Types>, VoteOf<Types>>;

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
    ) -> io::Result<Vec<EntryOf<Types>>> {
        Ok(self.lock().entries.range(range).map(|(_, entry)| entry.clone()).collect())
    }

    async fn read_vote(&mut self) -> io::Result<Option<VoteOf<Types>>> {
        Ok(self.lock().vote)
    }
}

impl RaftLogStorage<Types> for Store {
    type LogReader = Store;

    async fn get_log_state(&mut self) -> io::Result<LogState<Types>> {
        let state = self.lock();
        let last = state.entries.values().next_back().map(|entry| entry.log_id);
        Ok(LogState { last_purged_log_id: state.purged, last_log_id: last.or(state.purged) })
    }

    async fn get_log_reader(&mut self) -> Store {
        self.clone()
    }

    async fn save_vote(&mut self, vote: &VoteOf<Types>) -> io::Result<()> {
        self.wal.append_and_wait(Change::Vote(vote).bytes()?).await?;
        self.lock().vote = Some(*vote);
        Ok(())
    }

    /// Returns at once: the entries can be read, and are reported when they are durable.
    async fn append<I>(&mut self, entries: I, callback: IOFlushed<Types>) -> io::Result<()>
    where
        I: IntoIterator<Item = EntryOf<Types>> + OptionalSend,
        I::IntoIter: OptionalSend,
    {
        let entries: Vec<EntryOf<Types>> = entries.into_iter().collect();
        let record = Change::Append(&entries).bytes()?;
        self.lock().entries.extend(entries.into_iter().map(|entry| (entry.log_id.index(), entry)));
        self.wal.append(record, |outcome| callback.io_completed(outcome));
        Ok(())
    }

    async fn truncate_after(&mut self, last: Option<LogIdOf<Types>>) -> io::Result<()> {
        let from = last.map_or(0, |last| last.index() + 1);
        self.wal.append_and_wait(Change::TruncateFrom(from).bytes()?).await?;
        self.lock().entries.split_off(&from);
        Ok(())
    }

    async fn purge(&mut self, up_to: LogIdOf<Types>) -> io::Result<()> {
        self.wal.append_and_wait(Change::PurgeUpTo(up_to.index()).bytes()?).await?;
        let mut state = self.lock();
        state.entries = state.entries.split_off(&(up_to.index() + 1));
        state.purged = Some(up_to);
        Ok(())
    }
}

/// A machine that keeps the last few commands.
#[derive(Clone, Default)]
pub(crate) struct Machine {
    ring: Vec<Vec<u8>>,
    applied: Option<LogIdOf<Types>>,
    membership: StoredMembershipOf<Types>,
}

impl RaftStateMachine<Types> for Machine {
    type SnapshotData = Cursor<Vec<u8>>;
    type SnapshotBuilder = Machine;

    async fn applied_state(
        &mut self,
    ) -> io::Result<(Option<LogIdOf<Types>>, StoredMembershipOf<Types>)> {
        Ok((self.applied, self.membership.clone()))
    }

    async fn apply<S>(&mut self, mut entries: S) -> io::Result<()>
    where
        S: Stream<Item = io::Result<EntryResponder<Types>>> + Unpin + OptionalSend,
    {
        self.ring.resize(crate::cluster::RING, Vec::new());
        while let Some(next) = entries.next().await {
            let (entry, responder) = next?;
            self.applied = Some(entry.log_id);
            match entry.payload {
                EntryPayload::Blank => {}
                EntryPayload::Normal(command) => {
                    self.ring[entry.log_id.index() as usize % crate::cluster::RING] = command.0;
                }
                EntryPayload::Membership(membership) => {
                    self.membership =
                        StoredMembershipOf::<Types>::new(Some(entry.log_id), membership);
                }
            }
            if let Some(responder) = responder {
                responder.send(());
            }
        }
        Ok(())
    }

    async fn get_snapshot_builder(&mut self) -> Machine {
        self.clone()
    }

    async fn install_snapshot(
        &mut self,
        meta: &SnapshotMetaOf<Types>,
        _: Cursor<Vec<u8>>,
    ) -> io::Result<()> {
        self.applied = meta.last_log_id;
        self.membership = meta.last_membership.clone();
        Ok(())
    }

    async fn get_current_snapshot(
        &mut self,
    ) -> io::Result<Option<SnapshotOf<Types, Cursor<Vec<u8>>>>> {
        Ok(None)
    }
}

/// It is never asked to: no snapshot is taken here.
impl RaftSnapshotBuilder<Types> for Machine {
    type SnapshotData = Cursor<Vec<u8>>;

    async fn build_snapshot(&mut self) -> io::Result<SnapshotOf<Types, Cursor<Vec<u8>>>> {
        Err(io::Error::other("no snapshot is taken here"))
    }
}
