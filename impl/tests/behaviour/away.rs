//! A disk whose reads the test sees, and holds up.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use quorate::memory::MemoryStorage;
use quorate::{Lookup, MachineState, Progress, Record, Storage, StorageError, Stretch};
use quorate_spec::{Durable, EntryId, Index, Persist, ReadView};
use tokio::sync::watch;

/// What the node shows to readers, once it runs.
pub(crate) type Published = Arc<OnceLock<watch::Receiver<ReadView>>>;

/// What of a disk is not in memory, whether that comes when it is fetched, and what was asked for.
#[derive(Default)]
pub(crate) struct Away {
    /// Entries up to this one are away.
    entries: AtomicU64,
    /// States of the machine are.
    states: AtomicBool,
    held: watch::Sender<bool>,
    read: Mutex<Vec<(EntryId, Index)>>,
    fetched: Mutex<Vec<EntryId>>,
}

impl Away {
    /// The entries up to this one are in memory no more. They have to be durable.
    pub(crate) fn entries(&self, up_to: u64) {
        self.entries.store(up_to, Ordering::SeqCst);
    }

    /// Nor is any state of the machine.
    pub(crate) fn states(&self) {
        self.states.store(true, Ordering::SeqCst);
    }

    /// Fetches do not end, or do again.
    pub(crate) fn hold(&self, held: bool) {
        self.held.send_replace(held);
    }

    /// The entries that the node has read in memory since this was last asked, in order, each with the
    /// commit index that it showed at that moment.
    pub(crate) fn read(&self) -> Vec<(EntryId, Index)> {
        std::mem::take(&mut *lock(&self.read))
    }

    /// From which entries on it has fetched since this was last asked, and the state after which.
    pub(crate) fn fetched(&self) -> Vec<EntryId> {
        std::mem::take(&mut *lock(&self.fetched))
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

pub(crate) struct AwayStorage {
    pub(crate) storage: MemoryStorage,
    pub(crate) away: Arc<Away>,
    pub(crate) view: Published,
}

impl AwayStorage {
    fn fetched<T: Send + 'static>(
        &self,
        first: EntryId,
        fetch: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        lock(&self.away.fetched).push(first);
        let mut held = self.away.held.subscribe();
        async move {
            // A test that has ended holds up nothing.
            let _ = held.wait_for(|held| !held).await;
            fetch.await
        }
    }
}

impl Storage for AwayStorage {
    fn recovered(&self) -> Durable {
        self.storage.recovered()
    }

    fn recovered_state(&mut self) -> Option<MachineState> {
        self.storage.recovered_state()
    }

    fn progress(&self) -> watch::Receiver<Progress> {
        self.storage.progress()
    }

    fn submit(&mut self, persist: Persist, records: Vec<Record>) {
        self.storage.submit(persist, records);
    }

    fn keep(&mut self, state: MachineState) {
        self.storage.keep(state);
    }

    fn state(&self, last: EntryId) -> Lookup<MachineState> {
        match self.storage.state(last) {
            Lookup::Here(_) if self.away.states.load(Ordering::SeqCst) => Lookup::Away,
            found => found,
        }
    }

    fn read(&self, id: EntryId) -> Lookup<Record> {
        match self.storage.read(id) {
            Lookup::Here(_) if id.index.0 <= self.away.entries.load(Ordering::SeqCst) => {
                Lookup::Away
            }
            found => {
                let shown = self.view.get().map_or(Index::ZERO, |view| view.borrow().commit_index);
                lock(&self.away.read).push((id, shown));
                found
            }
        }
    }

    fn fetch(
        &self,
        stretch: Stretch,
    ) -> impl Future<Output = Result<Vec<Record>, StorageError>> + Send + 'static {
        self.fetched(stretch.first, self.storage.fetch(stretch))
    }

    fn fetch_state(
        &self,
        last: EntryId,
    ) -> impl Future<Output = Result<MachineState, StorageError>> + Send + 'static {
        self.fetched(last, self.storage.fetch_state(last))
    }

    async fn close(self) {
        self.storage.close().await;
    }
}
