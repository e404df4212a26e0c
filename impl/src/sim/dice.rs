//! What a seed decides.

use std::time::Duration;

use crate::random::Random;

/// One stream of what a seed decides.
#[derive(Clone, Debug)]
pub(super) struct Dice(Random);

impl Dice {
    /// The stream with this number of this seed.
    pub(super) fn new(seed: u64, stream: u64) -> Dice {
        let mut random = Random::seeded(seed);
        let first = random.next() ^ stream.wrapping_mul(0xD134_2543_DE82_EF95);
        Dice(Random::seeded(first))
    }

    pub(super) fn next(&mut self) -> u64 {
        self.0.next()
    }

    /// A number below `limit`, which is not 0.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0.next() % limit
    }

    /// True in so many of a hundred cases.
    pub(super) fn chance(&mut self, percent: u64) -> bool {
        self.below(100) < percent
    }

    /// From `least` to `most` milliseconds.
    pub(super) fn millis(&mut self, least: u64, most: u64) -> Duration {
        Duration::from_millis(least + self.below(most - least + 1))
    }

    /// One of these; there is one.
    pub(super) fn one_of<T: Copy>(&mut self, all: &[T]) -> T {
        all[self.below(all.len() as u64) as usize]
    }
}
