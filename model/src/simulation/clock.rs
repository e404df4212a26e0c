//! The clocks of a cluster: what each shows, and how fast it goes.

use quorate_spec::{Duration, Instant};

/// What may be relied on of the clocks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Drift {
    /// Nothing: time passes on each clock by itself.
    Unbounded,
    /// One time passes for all, and in any stretch of it no clock is off by more than so many
    /// parts per million. A server that nothing is asked of meanwhile is suspended: it is late.
    Bounded(u32),
}

/// The parts of a tick in which clocks are kept, and the rate of one that is right.
const MILLION: u64 = 1_000_000;

/// The clocks of all servers. No crash sets them back, and no two have to agree.
pub(crate) struct Clocks {
    drift: Drift,
    each: Vec<Clock>,
}

struct Clock {
    /// In millionths of a tick. A reading leaves out what is no whole tick, so that it is late by
    /// up to one: the granularity of a lease.
    shows: u64,
    /// How many millionths a tick of time makes on it.
    rate: u64,
}

impl Clocks {
    pub(crate) fn new(servers: usize, drift: Drift) -> Clocks {
        let clock = |i: u64| Clock { shows: 10_000 * i * MILLION, rate: MILLION };
        Clocks { drift, each: (1..=servers as u64).map(clock).collect() }
    }

    pub(crate) fn now(&self, id: usize) -> Instant {
        Instant(self.each[id].shows / MILLION)
    }

    /// Whether time passes on one clock only together with the others.
    pub(crate) fn go_together(&self) -> bool {
        self.drift != Drift::Unbounded
    }

    /// Time passes: on this clock, or, where they go together, on all.
    pub(crate) fn pass(&mut self, id: usize, by: Duration) {
        let together = self.go_together();
        for (i, clock) in self.each.iter_mut().enumerate() {
            if together || i == id {
                clock.shows += by.0 * clock.rate;
            }
        }
    }

    /// How much time has to pass until this clock shows `at`.
    pub(crate) fn until(&self, id: usize, at: Instant) -> Duration {
        let Clock { shows, rate } = self.each[id];
        Duration((at.0 * MILLION).saturating_sub(shows).div_ceil(rate))
    }

    /// From here on this clock is right (0), as slow (1) or as fast (2) as it may be, or anything
    /// between; says by how many parts per million it is off.
    pub(crate) fn set_rate(&mut self, id: usize, kind: usize, draw: u64) -> i64 {
        let Drift::Bounded(most) = self.drift else { return 0 };
        let most = i64::from(most);
        let off = match kind % 4 {
            0 => 0,
            1 => -most,
            2 => most,
            _ => (draw % (2 * most.unsigned_abs() + 1)).cast_signed() - most,
        };
        self.each[id].rate = MILLION.saturating_add_signed(off).max(1);
        off
    }
}
