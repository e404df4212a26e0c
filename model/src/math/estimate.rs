//! What a number of runs tells of a probability, a mean or a quantile, with its 95 % confidence
//! interval.

use serde::Serialize;

/// How many standard errors to either side hold the truth in 95 of 100 cases.
pub const Z95: f64 = 1.959_964;

/// A share of independent runs.
#[derive(Clone, Copy, Debug)]
pub struct Share {
    /// In how many of them it happened.
    pub happened: usize,
    /// How many there were.
    pub runs: usize,
}

impl Share {
    /// The share itself.
    #[must_use]
    pub fn value(self) -> f64 {
        self.happened as f64 / self.runs as f64
    }

    /// Wilson's interval, for a normal deviate of `z`: it is right also near 0 and 1, where the
    /// plain one is empty.
    #[must_use]
    pub fn interval(self, z: f64) -> (f64, f64) {
        let (share, runs) = (self.value(), self.runs as f64);
        let shrink = 1.0 + z * z / runs;
        let middle = (share + z * z / (2.0 * runs)) / shrink;
        let spread = share * (1.0 - share) / runs + z * z / (4.0 * runs * runs);
        let half = z * spread.sqrt() / shrink;
        ((middle - half).max(0.0), (middle + half).min(1.0))
    }
}

/// A figure with the interval that holds the truth with 95 %.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Estimate {
    /// The figure.
    pub value: f64,
    /// Where the interval begins.
    pub low: f64,
    /// Where it ends.
    pub high: f64,
}

impl Estimate {
    /// Of a share.
    #[must_use]
    pub fn of_share(share: Share) -> Estimate {
        let (low, high) = share.interval(Z95);
        Estimate { value: share.value(), low, high }
    }

    /// Of the mean of what these runs gave, `z` standard errors to either side.
    #[must_use]
    pub fn of_mean(values: &[f64], z: f64) -> Estimate {
        let n = values.len() as f64;
        let value = values.iter().sum::<f64>() / n;
        let squares: f64 = values.iter().map(|x| (x - value) * (x - value)).sum();
        let half = z * (squares / (n - 1.0).max(1.0) / n).sqrt();
        Estimate { value, low: value - half, high: value + half }
    }

    /// Of the quantile `p` of what these runs gave, which are sorted: how many of them are below the
    /// true quantile is binomial, so the interval goes from one of them to another.
    #[must_use]
    pub fn of_quantile(sorted: &[f64], p: f64) -> Estimate {
        let n = sorted.len() as f64;
        let half = Z95 * (n * p * (1.0 - p)).sqrt();
        let at = |rank: f64| sorted[(rank.max(1.0) as usize).min(sorted.len()) - 1];
        let rank = n * p;
        let (low, high) = (at((rank - half).floor()), at((rank + half).ceil() + 1.0));
        Estimate { value: at(rank.ceil()), low, high }
    }

    /// The same figure in another unit.
    #[must_use]
    pub fn times(self, factor: f64) -> Estimate {
        let Estimate { value, low, high } = self;
        Estimate { value: value * factor, low: low * factor, high: high * factor }
    }

    /// Whether the interval holds this value.
    #[must_use]
    pub fn holds(self, value: f64) -> bool {
        (self.low..=self.high).contains(&value)
    }
}
