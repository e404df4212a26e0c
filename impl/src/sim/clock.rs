//! Clocks of simulated nodes: tokio's paused time, each from an origin of its own and at a rate of its
//! own. None goes back, and no crash sets one back.

use std::sync::Mutex;

use quorate_spec::Instant;
use tokio::time;

use crate::clock::{Clock, span};
use crate::lock::lock;

/// A clock that can go too fast or too slow.
#[derive(Debug)]
pub(super) struct SimClock(Mutex<Pace>);

#[derive(Debug)]
struct Pace {
    /// When the rate was set, and what the clock showed then.
    since: time::Instant,
    shown: u64,
    /// By how many parts per million it is too fast.
    off: i64,
}

const MILLION: i64 = 1_000_000;

impl SimClock {
    /// A clock that is right from now on, and shows `shown` nanoseconds.
    pub(super) fn new(shown: u64) -> SimClock {
        SimClock(Mutex::new(Pace { since: time::Instant::now(), shown, off: 0 }))
    }

    /// From now on it is off by so many parts per million.
    pub(super) fn set_rate(&self, off: i64) {
        let mut pace = lock(&self.0);
        let shown = pace.shows();
        *pace = Pace { since: time::Instant::now(), shown, off };
    }
}

impl Pace {
    fn shows(&self) -> u64 {
        let passed = u128::from(span(self.since.elapsed()).0);
        let rate = (MILLION + self.off).max(1).unsigned_abs();
        let counted = passed * u128::from(rate) / u128::from(MILLION.unsigned_abs());
        self.shown + u64::try_from(counted).unwrap_or(u64::MAX)
    }
}

impl Clock for SimClock {
    fn now(&self) -> Instant {
        Instant(lock(&self.0).shows())
    }

    fn counts_suspended_time(&self) -> bool {
        true
    }
}

#[tokio::test(start_paused = true)]
async fn a_clock_keeps_its_rate_and_never_goes_back() {
    let clock = SimClock::new(7_000);
    time::advance(time::Duration::from_micros(10)).await;
    assert_eq!(clock.now(), Instant(17_000));
    clock.set_rate(500_000);
    assert_eq!(clock.now(), Instant(17_000), "a new rate moves no clock");
    time::advance(time::Duration::from_micros(10)).await;
    assert_eq!(clock.now(), Instant(32_000));
    clock.set_rate(-500_000);
    time::advance(time::Duration::from_micros(10)).await;
    assert_eq!(clock.now(), Instant(37_000));
}
