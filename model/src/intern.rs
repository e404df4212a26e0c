//! Interning: each distinct value is kept once, for the life of the process, and is compared by
//! address and hashed by content.
//!
//! A state of the model is a handful of such references. Two states are equal exactly when their
//! contents are, because equal contents have one address; the hash mixes the 64-bit hashes of the
//! contents, so it does not depend on the order in which values were met.

use std::fmt;
use std::hash::{BuildHasher, Hash, Hasher};
use std::ops::Deref;
use std::sync::RwLock;

use foldhash::quality::FixedState;
use hashbrown::HashTable;

const SHARDS: usize = 64;
const SEED: u64 = 0x0051_756f_7261_7465;

/// A value that is kept once. It is copied like a reference.
pub struct Interned<T: 'static>(&'static Entry<T>);

struct Entry<T> {
    hash: u64,
    signature: u64,
    value: T,
}

/// What can be interned: it names the table for its type.
pub trait Internable: Eq + Hash + Send + Sync + Sized + 'static {
    /// The one table for this type.
    fn table() -> &'static Table<Self>;

    /// A number that does not depend on the names of servers; see `canonical`.
    fn signature(&self) -> u64 {
        0
    }
}

/// All distinct values of a type that were met so far.
pub struct Table<T: 'static>([RwLock<HashTable<&'static Entry<T>>>; SHARDS]);

impl<T> Default for Table<T> {
    fn default() -> Self {
        Table(std::array::from_fn(|_| RwLock::new(HashTable::new())))
    }
}

/// Declares a type internable.
#[macro_export]
macro_rules! internable {
    ($type:ty $(, $signature:expr)?) => {
        impl $crate::intern::Internable for $type {
            fn table() -> &'static $crate::intern::Table<Self> {
                static TABLE: std::sync::LazyLock<$crate::intern::Table<$type>> =
                    std::sync::LazyLock::new(Default::default);
                &TABLE
            }
            $(fn signature(&self) -> u64 { let of: fn(&$type) -> u64 = $signature; of(self) })?
        }
    };
}

/// The content hash that everything here uses; the same in every run.
#[must_use]
pub fn content_hash(value: &impl Hash) -> u64 {
    FixedState::with_seed(SEED).hash_one(value)
}

impl<T: Internable> Interned<T> {
    /// The one reference to this value.
    ///
    /// # Panics
    /// If another thread panicked while it held the table.
    pub fn new(value: T) -> Interned<T> {
        let hash = content_hash(&value);
        let shard = &T::table().0[(hash >> 58) as usize % SHARDS];
        let same = |entry: &&'static Entry<T>| entry.hash == hash && entry.value == value;
        if let Some(entry) = shard.read().expect("no thread panics here").find(hash, same) {
            return Interned(entry);
        }
        let mut table = shard.write().expect("no thread panics here");
        if let Some(entry) = table.find(hash, same) {
            return Interned(entry);
        }
        let signature = value.signature();
        let entry: &'static Entry<T> = Box::leak(Box::new(Entry { hash, signature, value }));
        table.insert_unique(hash, entry, |entry| entry.hash);
        Interned(entry)
    }
}

impl<T> Interned<T> {
    /// The 64-bit hash of the content.
    #[must_use]
    pub fn content(self) -> u64 {
        self.0.hash
    }

    /// The content's [`Internable::signature`].
    #[must_use]
    pub fn signature(self) -> u64 {
        self.0.signature
    }
}

impl<T> Clone for Interned<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Interned<T> {}

impl<T> Deref for Interned<T> {
    type Target = T;
    fn deref(&self) -> &T {
        &self.0.value
    }
}

impl<T> PartialEq for Interned<T> {
    fn eq(&self, other: &Self) -> bool {
        std::ptr::eq(self.0, other.0)
    }
}

impl<T> Eq for Interned<T> {}

impl<T> Hash for Interned<T> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u64(self.0.hash);
    }
}

/// By content hash, then by content: the same order in every run.
impl<T: Ord> Ord for Interned<T> {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        if self == other {
            return std::cmp::Ordering::Equal;
        }
        self.0.hash.cmp(&other.0.hash).then_with(|| self.0.value.cmp(&other.0.value))
    }
}

impl<T: Ord> PartialOrd for Interned<T> {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: fmt::Debug> fmt::Debug for Interned<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.value.fmt(f)
    }
}
