//! A log file for the peers: records are appended, and whatever waits while the disk syncs becomes
//! durable together, with the next sync.
//!
//! A record is its length, its checksum and its bytes. Nothing is read back: what is measured is what
//! it costs to write.

use std::fs::File;
use std::io::{self, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::thread;

use serde::Serialize;
use xxhash_rust::xxh3::xxh3_64;

/// What is written for a log of entries `E` and votes `V`.
#[derive(Serialize)]
pub(crate) enum Change<'a, E, V> {
    Append(&'a [E]),
    Vote(&'a V),
    TruncateFrom(u64),
    PurgeUpTo(u64),
}

impl<E: Serialize, V: Serialize> Change<'_, E, V> {
    pub(crate) fn bytes(&self) -> io::Result<Vec<u8>> {
        postcard::to_stdvec(self).map_err(io::Error::other)
    }
}

/// Who is told of it when a record is durable, or why it will not be.
type Done = Box<dyn FnOnce(io::Result<()>) + Send>;

/// The way to the thread that writes. It ends when the last clone is gone.
#[derive(Clone)]
pub(crate) struct Wal {
    records: Sender<(Vec<u8>, Done)>,
    syncs: Arc<AtomicU64>,
}

impl Wal {
    pub(crate) fn create(path: &Path) -> io::Result<Wal> {
        let (file, syncs) = (File::create(path)?, Arc::new(AtomicU64::new(0)));
        let (records, queue) = mpsc::channel();
        let count = Arc::clone(&syncs);
        thread::spawn(move || write_all(file, &queue, &count));
        Ok(Wal { records, syncs })
    }

    /// Has the record written and says when it is durable.
    pub(crate) fn append(
        &self,
        record: Vec<u8>,
        done: impl FnOnce(io::Result<()>) + Send + 'static,
    ) {
        // The thread ends with its senders.
        let _ = self.records.send((record, Box::new(done)));
    }

    /// Waits until the record is durable.
    pub(crate) async fn append_and_wait(&self, record: Vec<u8>) -> io::Result<()> {
        let (done, is_done) = tokio::sync::oneshot::channel();
        self.append(record, |outcome| drop(done.send(outcome)));
        is_done.await.map_err(io::Error::other)?
    }

    /// How often the file was synced.
    pub(crate) fn syncs(&self) -> u64 {
        self.syncs.load(Ordering::Relaxed)
    }
}

fn write_all(mut file: File, queue: &Receiver<(Vec<u8>, Done)>, syncs: &AtomicU64) {
    let mut bytes = Vec::new();
    while let Ok(first) = queue.recv() {
        bytes.clear();
        let mut waiting = Vec::new();
        for (record, done) in std::iter::once(first).chain(queue.try_iter()) {
            bytes.extend_from_slice(&(record.len() as u64).to_le_bytes());
            bytes.extend_from_slice(&xxh3_64(&record).to_le_bytes());
            bytes.extend_from_slice(&record);
            waiting.push(done);
        }
        let written = file.write_all(&bytes).and_then(|()| file.sync_data());
        syncs.fetch_add(1, Ordering::Relaxed);
        for done in waiting {
            done(written.as_ref().copied().map_err(|error| error.kind().into()));
        }
    }
}
