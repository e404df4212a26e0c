//! The embedded engine: one ordered map from keys to values, with atomic batches that are synced.
//!
//! Everything is in one keyspace. The engine drops a journal when the memory tables of all keyspaces
//! are flushed that it has writes of, and one with a single key would hold journals for long.

use std::ops::RangeInclusive;
use std::path::Path;
use std::thread;

use fjall::{Database, Keyspace, KeyspaceCreateOptions, PersistMode, Slice};
use quorate_spec::Index;

/// The key of the head: see [`Head`](super::codec::Head).
pub(super) const HEAD: &[u8] = &[0];
const STATES: u8 = 1;
const ENTRIES: u8 = 2;

/// What the engine said that failed.
pub(super) type EngineError = String;

/// Bytes of blocks that the engine keeps in memory. Recent entries are in a cache of our own.
const CACHE: u64 = 16 << 20;

#[derive(Clone)]
pub(super) struct Engine {
    database: Database,
    values: Keyspace,
}

/// A batch: durable as a whole or not at all.
pub(super) struct Batch {
    batch: fjall::OwnedWriteBatch,
    values: Keyspace,
}

impl Engine {
    /// Opens or creates it. On hostile files it may panic, which ends a thread of its own.
    pub(super) fn open(folder: &Path) -> Result<Engine, EngineError> {
        let folder = folder.to_path_buf();
        let open = move || {
            let builder = Database::builder(&folder).worker_threads(2).cache_size(CACHE);
            let database = builder.manual_journal_persist(true).open()?;
            let options = || KeyspaceCreateOptions::default().expect_point_read_hits(true);
            let values = database.keyspace("quorate", options)?;
            Ok::<_, fjall::Error>(Engine { database, values })
        };
        match thread::spawn(open).join() {
            Ok(opened) => opened.map_err(|error| error.to_string()),
            Err(_) => Err("the engine panicked over its files".to_owned()),
        }
    }

    pub(super) fn batch(&self) -> Batch {
        Batch { batch: self.database.batch(), values: self.values.clone() }
    }

    pub(super) fn head(&self) -> Result<Option<Slice>, EngineError> {
        self.values.get(HEAD).map_err(|error| error.to_string())
    }

    /// The entries in this range, in order.
    pub(super) fn entries(
        &self,
        range: RangeInclusive<Index>,
    ) -> impl Iterator<Item = Result<(Index, Slice), EngineError>> {
        let keys = entry(*range.start())..=entry(*range.end());
        self.values.range(keys).map(|pair| {
            let (key, value) = pair.into_inner().map_err(|error| error.to_string())?;
            let index = key.last_chunk().copied().map(u64::from_be_bytes);
            Ok((Index(index.ok_or("a key is too short")?), value))
        })
    }

    /// The manifests of the states that are kept.
    pub(super) fn states(&self) -> impl Iterator<Item = Result<Slice, EngineError>> {
        let values = self.values.prefix([STATES]);
        values.map(|pair| pair.value().map_err(|error| error.to_string()))
    }
}

impl Batch {
    pub(super) fn head(&mut self, value: Vec<u8>) {
        self.batch.insert(&self.values, HEAD, value);
    }

    pub(super) fn put_entry(&mut self, index: Index, value: Vec<u8>) {
        self.batch.insert(&self.values, entry(index), value);
    }

    pub(super) fn remove_entry(&mut self, index: Index) {
        self.batch.remove(&self.values, entry(index));
    }

    pub(super) fn put_state(&mut self, index: Index, value: Vec<u8>) {
        self.batch.insert(&self.values, key(STATES, index), value);
    }

    pub(super) fn remove_state(&mut self, index: Index) {
        self.batch.remove(&self.values, key(STATES, index));
    }

    /// Writes and syncs it. After an error nobody knows what the disk holds, and the engine takes
    /// no other batch.
    pub(super) fn commit(self) -> Result<(), EngineError> {
        let synced = self.batch.durability(Some(PersistMode::SyncData));
        synced.commit().map_err(|error| error.to_string())
    }
}

fn entry(index: Index) -> [u8; 9] {
    key(ENTRIES, index)
}

fn key(kind: u8, index: Index) -> [u8; 9] {
    let mut key = [kind; 9];
    key[1..].copy_from_slice(&index.0.to_be_bytes());
    key
}
