//! How long operations took, in a fixed amount of memory: there are millions of them.

use std::time::Duration;

/// Buckets for each power of two: a latency is told to the next 3 %.
const FINE: u32 = 5;

/// Counts of latencies, by their length in nanoseconds.
pub(crate) struct Latencies {
    counts: Vec<u64>,
    all: u64,
}

impl Latencies {
    pub(crate) fn new() -> Latencies {
        Latencies { counts: vec![0; bucket(u64::MAX) + 1], all: 0 }
    }

    pub(crate) fn add(&mut self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.counts[bucket(nanoseconds)] += 1;
        self.all += 1;
    }

    #[allow(dead_code, reason = "of the examples that share this file, catch_up has one list")]
    pub(crate) fn merge(&mut self, others: &Latencies) {
        self.counts.iter_mut().zip(&others.counts).for_each(|(count, more)| *count += more);
        self.all += others.all;
    }

    pub(crate) fn len(&self) -> u64 {
        self.all
    }

    /// This share of all operations took at most so long.
    pub(crate) fn at(&self, share: f64) -> Duration {
        let (target, mut seen) = ((self.all as f64 * share) as u64, 0);
        let reached = self.counts.iter().position(|count| {
            seen += count;
            seen > target
        });
        reached.map_or(Duration::ZERO, |bucket| Duration::from_nanos(highest(bucket)))
    }
}

/// Where a number is counted: exactly where it is small, and by its first bits.
fn bucket(number: u64) -> usize {
    let beyond = (u64::BITS - number.leading_zeros()).saturating_sub(FINE + 1);
    ((u64::from(beyond) << FINE) + (number >> beyond)) as usize
}

/// The highest number that is counted there.
fn highest(bucket: usize) -> u64 {
    let (coarse, fine) = (bucket as u64 >> FINE, bucket as u64 & ((1 << FINE) - 1));
    match coarse {
        0 => fine,
        // What has no place above it is as high as numbers go.
        _ => (((1 << FINE) + fine) << (coarse - 1)) | ((1 << (coarse - 1)) - 1),
    }
}
