//! QuickCheck with fixed seeds, and random numbers for values that depend on each other.

use quickcheck::{Arbitrary, Gen, QuickCheck, Testable};

/// Checks a law on this many random values, the same ones in every run.
pub(crate) fn check<A: Testable>(tests: u64, law: A) {
    let rng = Gen::from_size_and_seed(60, 0x0071_0a7e);
    QuickCheck::new().rng(rng).tests(tests).max_tests(tests * 2).quickcheck(law);
}

/// A stream of random numbers that a seed determines (SplitMix64).
#[derive(Clone, Debug)]
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn of(g: &mut Gen) -> Dice {
        Dice(u64::arbitrary(g))
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    /// Whether an event of probability one in `odds` happens.
    pub(crate) fn one_in(&mut self, odds: u64) -> bool {
        self.below(odds) == 0
    }

    pub(crate) fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.below(from.len() as u64) as usize].clone()
    }
}
