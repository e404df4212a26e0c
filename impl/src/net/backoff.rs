//! How long to wait before the next attempt.

use std::time::Duration;

use crate::random::Random;

/// Waits that double, each with a random part taken off, so that nodes which lost each other at the
/// same moment do not come back at the same moment for ever.
pub(crate) struct Backoff {
    next: Duration,
    first: Duration,
    longest: Duration,
    random: Random,
}

impl Backoff {
    pub(crate) fn new(first: Duration, longest: Duration, seed: u64) -> Backoff {
        Backoff { next: first, first, longest, random: Random::seeded(seed) }
    }

    /// The next wait: between a half and the whole of what it could be.
    pub(crate) fn wait(&mut self) -> Duration {
        let whole = self.next.min(self.longest);
        self.next = whole.saturating_mul(2);
        let part = u32::try_from(self.random.next() >> 32).unwrap_or(u32::MAX);
        whole / 2 + (whole / 2).mul_f64(f64::from(part) / f64::from(u32::MAX))
    }

    /// The last attempt went well.
    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest_and_are_never_less_than_half() {
        let ms = Duration::from_millis;
        let mut backoff = Backoff::new(ms(10), ms(65), 1);
        for whole in [10, 20, 40, 65, 65] {
            let wait = backoff.wait();
            assert!(wait >= ms(whole) / 2 && wait <= ms(whole), "{wait:?} of {whole} ms");
        }
        backoff.reset();
        assert!(backoff.wait() <= ms(10));
    }

    #[test]
    fn two_nodes_do_not_wait_alike() {
        let waits =
            |seed| Backoff::new(Duration::from_secs(1), Duration::from_secs(1), seed).wait();
        assert_ne!(waits(1), waits(2));
    }
}
