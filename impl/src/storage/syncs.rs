//! How often the log was synced, and how long that took: for whoever measures what a commit costs.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use prometheus_client::metrics::histogram::Histogram;

use crate::metrics::latencies;

/// Counts the groups of writes that were synced since the storage was opened. Clones count the same.
/// States of the machine are not counted: their files are synced beside the log.
#[derive(Clone, Debug)]
pub struct Syncs {
    count: Arc<AtomicU64>,
    seconds: Histogram,
}

impl Default for Syncs {
    fn default() -> Syncs {
        Syncs { count: Arc::default(), seconds: latencies() }
    }
}

impl Syncs {
    /// How many there were.
    #[must_use]
    pub fn get(&self) -> u64 {
        // It says nothing about what was written.
        self.count.load(Ordering::Relaxed)
    }

    /// A group was written and synced, in this time: for whoever writes a storage.
    pub fn count(&self, took: Duration) {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.seconds.observe(took.as_secs_f64());
    }

    /// How long each took.
    pub(crate) fn seconds(&self) -> Histogram {
        self.seconds.clone()
    }
}
