//! How long a message is under way, and how long an answer takes.

use quorate_spec::Duration;

use crate::draws::Draws;

/// How long a message is under way in one direction: never less than a floor, and beyond it an
/// exponential tail.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Delay {
    /// The least delay, in ticks.
    pub floor: f64,
    /// By how much the mean delay is longer, in ticks; with 0 the delay is constant.
    pub tail: f64,
}

impl Delay {
    /// Always the same delay.
    #[must_use]
    pub fn constant(ticks: u64) -> Delay {
        Delay { floor: ticks as f64, tail: 0.0 }
    }

    /// One of two directions that take `round_trip` ticks together, on average, of which `share`
    /// varies.
    #[must_use]
    pub fn of_round_trip(round_trip: f64, share: f64) -> Delay {
        let mean = round_trip / 2.0;
        Delay { floor: mean * (1.0 - share), tail: mean * share }
    }

    /// So many times slower.
    #[must_use]
    pub fn times(self, factor: f64) -> Delay {
        Delay { floor: self.floor * factor, tail: self.tail * factor }
    }

    pub(crate) fn draw(self, draws: &mut Draws) -> Duration {
        let extra = if self.tail == 0.0 { 0.0 } else { self.tail * draws.exponential() };
        Duration((self.floor + extra).round() as u64)
    }
}

/// How long a server takes to acknowledge an entry: two directions and its disk; or, the leader's
/// own acknowledgement, its disk alone.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Answer {
    /// The least that it takes, in ticks.
    pub floor: f64,
    /// The mean of each of the two exponential delays beyond that, in ticks.
    pub tail: f64,
}

impl Answer {
    /// Of a server that is a delay away in either direction.
    #[must_use]
    pub fn of(delay: Delay, fsync: Duration) -> Answer {
        Answer { floor: 2.0 * delay.floor + fsync.0 as f64, tail: delay.tail }
    }

    /// Of the leader itself: zero for the network, and its disk.
    #[must_use]
    pub fn own(fsync: Duration) -> Answer {
        Answer { floor: fsync.0 as f64, tail: 0.0 }
    }

    /// The probability that it has come within so many ticks: the sum of two exponential delays of
    /// one mean is Erlang's distribution of order two.
    #[must_use]
    pub fn within(self, ticks: f64) -> f64 {
        let beyond = ticks - self.floor;
        if beyond < 0.0 {
            return 0.0;
        }
        if self.tail == 0.0 {
            return 1.0;
        }
        let x = beyond / self.tail;
        1.0 - (-x).exp() * (1.0 + x)
    }
}
