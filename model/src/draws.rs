//! Random numbers that a seed determines.

/// A sequence of random numbers (splitmix64).
#[derive(Clone, Debug)]
pub(crate) struct Draws(pub(crate) u64);

impl Draws {
    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number from 0 to `bound` - 1.
    pub(crate) fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound.max(1)
    }

    /// A number from the exponential distribution with mean 1.
    pub(crate) fn exponential(&mut self) -> f64 {
        // The upper 53 bits are a number in [0, 1) without rounding, so the logarithm is finite.
        let uniform = (self.next() >> 11) as f64 / (1_u64 << 53) as f64;
        -(-uniform).ln_1p()
    }
}
