//! How often the log was synced: for whoever measures what a commit costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// Counts the groups of writes that were synced since the directory was opened. Clones count the same.
/// States of the machine are not counted: their files are synced beside the log.
#[derive(Clone, Debug, Default)]
pub struct Syncs(Arc<AtomicU64>);

impl Syncs {
    /// How many there were.
    #[must_use]
    pub fn get(&self) -> u64 {
        // It says nothing about what was written.
        self.0.load(Ordering::Relaxed)
    }

    pub(super) fn count(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}
