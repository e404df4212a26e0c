//! Reads of what is not in memory, on threads that may wait for the disk.

use std::convert::Infallible;
use std::sync::Arc;

use quorate_spec::{EntryId, Index};
use tokio::sync::{Semaphore, mpsc, oneshot};

use crate::disk::codec::Codec;
use crate::disk::directory::Directory;
use crate::disk::engine::Engine;
use crate::disk::states::Shelf;
use crate::record::{MachineState, Record};
use crate::storage::{StorageError, Stretch};

/// What a read needs. The order of the fields is that in which they are dropped: whoever sees that
/// the last `busy` is gone may open the directory again.
#[derive(Clone)]
pub(super) struct Reading {
    pub(super) engine: Engine,
    pub(super) codec: Codec,
    pub(super) shelf: Arc<Shelf>,
    /// Threads that may read at a time. One that was given up reads on where the disk stands still, and
    /// whoever asks again and again would have them all.
    pub(super) turns: Arc<Semaphore>,
    pub(super) _directory: Arc<Directory>,
    pub(super) _busy: mpsc::Sender<Infallible>,
}

impl Reading {
    /// The records of this stretch, up to the first one that cannot be read: whoever needs that one
    /// begins with it, and hears why.
    pub(super) async fn records(self, stretch: Stretch) -> Result<Vec<Record>, StorageError> {
        let unreadable = move |reason: String| StorageError::entry(stretch.first.index, &reason);
        let read = move |reading: &Reading, is_over: &dyn Fn() -> bool| {
            let mut failed = None;
            let records = reading.from(stretch.first, stretch.entries);
            let whole = records.map_while(|record| record.map_err(|why| failed = Some(why)).ok());
            let records = stretch.of(whole.take_while(|_| !is_over()));
            match failed {
                Some(reason) if records.is_empty() => Err(reason),
                _ => Ok(records),
            }
        };
        in_background(self, unreadable, read).await
    }

    /// The state of the machine after this entry.
    pub(super) async fn state(self, last: EntryId) -> Result<MachineState, StorageError> {
        let unreadable = move |reason: String| StorageError::state(last.index, &reason);
        let read = move |reading: &Reading, is_over: &dyn Fn() -> bool| {
            reading.shelf.read(last, is_over).map_err(|error| error.to_string())
        };
        in_background(self, unreadable, read).await
    }

    /// What the engine has in the places of these entries, of which the first has to be `first`.
    fn from(
        &self,
        first: EntryId,
        count: usize,
    ) -> impl Iterator<Item = Result<Record, String>> + '_ {
        let last = first.index.0.saturating_add((count as u64).saturating_sub(1));
        let mut found = self.engine.entries(first.index..=Index(last));
        (first.index.0..=last).map(move |index| {
            let (at, value) = found.next().ok_or("it is not there")??;
            let record = self.codec.read_entry(&value).map_err(|error| error.to_string())?.record;
            if at.0 != index {
                return Err("it is not there".to_owned());
            }
            let is_other = record.id.index != at || at == first.index && record.id != first;
            if is_other { Err(format!("it is entry {:?}", record.id)) } else { Ok(record) }
        })
    }
}

/// Reads on a thread that may wait for the disk, and gives that up where nobody wants it any more.
async fn in_background<T: Send + 'static>(
    reading: Reading,
    unreadable: impl FnOnce(String) -> StorageError,
    read: impl FnOnce(&Reading, &dyn Fn() -> bool) -> Result<T, String> + Send + 'static,
) -> Result<T, StorageError> {
    let (answer, outcome) = oneshot::channel();
    let turn = Arc::clone(&reading.turns).acquire_owned().await;
    tokio::task::spawn_blocking(move || {
        let read = read(&reading, &|| answer.is_closed());
        drop(turn);
        // Before anybody hears of it, who may close the storage then.
        drop(reading);
        // It may have been given up.
        let _ = answer.send(read);
    });
    let read = outcome.await.unwrap_or_else(|_| Err("whoever read it panicked".to_owned()));
    read.map_err(unreadable)
}

#[cfg(test)]
mod tests {
    use std::pin::pin;

    use quorate_spec::{Configuration, NodeId};
    use tokio::time::{Duration, timeout};

    use super::*;
    use crate::disk::{DiskOptions, DiskStorage, READERS};
    use crate::storage::Storage;

    #[tokio::test]
    async fn a_directory_is_closed_when_the_last_read_has_ended() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("node");
        let options = DiskOptions::new(7, NodeId(1), Configuration::of([NodeId(1)]));
        let storage = DiskStorage::open(&path, options.clone()).expect("it is new");
        let (reading, mut progress) = (storage.reading.clone(), storage.progress());
        let closed = tokio::spawn(storage.close());
        while progress.changed().await.is_ok() {}
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert!(!closed.is_finished(), "somebody reads");
        assert!(DiskStorage::open(&path, options.clone()).is_err(), "it is in use");
        drop(reading);
        closed.await.expect("it does not panic");
        DiskStorage::open(&path, options).expect("nobody has it").close().await;
    }

    #[tokio::test]
    async fn threads_that_hang_in_a_read_have_no_others_hang_beside_them() {
        let folder = tempfile::tempdir().expect("there is room");
        let path = folder.path().join("node");
        let options = DiskOptions::new(7, NodeId(1), Configuration::of([NodeId(1)]));
        let storage = DiskStorage::open(&path, options).expect("it is new");
        let hang = Arc::clone(&storage.reading.turns);
        let hang = hang.acquire_many_owned(READERS as u32).await.expect("it is open");
        let last = EntryId { term: quorate_spec::Term(1), index: Index(1) };
        let mut fetch = pin!(storage.fetch_state(last));
        let soon = Duration::from_millis(100);
        assert!(timeout(soon, fetch.as_mut()).await.is_err(), "it waits for its turn");
        drop(hang);
        assert!(fetch.await.is_err(), "the log begins with no state");
        storage.close().await;
    }
}
