//! The node's clock. Time is an input of the protocol: this is where it comes from.

use quorate_spec::{Duration, Instant};

/// A monotonic clock, in nanoseconds from an origin of its own. Only differences mean anything.
pub trait Clock: Send + Sync + 'static {
    /// The time now. It never goes back, and goes on while the machine is suspended: a server
    /// that slept must not believe that its promises and its contacts are still fresh.
    fn now(&self) -> Instant;

    /// Whether it does go on while the machine is suspended. Without that, no lease may rest on it,
    /// and a node with leases does not start (rule L10).
    fn counts_suspended_time(&self) -> bool;
}

/// The system's monotonic clock.
///
/// On Linux it is `CLOCK_BOOTTIME`, which counts suspended time. Elsewhere it is
/// [`std::time::Instant`], which on some systems stands still while the machine sleeps: a node with
/// leases does not start on it there. Whether time in which a virtual machine is paused counts is up
/// to its host.
#[derive(Clone, Copy, Debug)]
pub struct MonotonicClock {
    #[cfg(not(target_os = "linux"))]
    origin: std::time::Instant,
}

impl MonotonicClock {
    /// The clock. All clocks of one process that come from here agree on Linux; elsewhere each
    /// counts from its creation.
    #[must_use]
    #[allow(clippy::new_without_default, reason = "a clock is not a default of anything")]
    pub fn new() -> MonotonicClock {
        MonotonicClock {
            #[cfg(not(target_os = "linux"))]
            origin: std::time::Instant::now(),
        }
    }
}

#[cfg(target_os = "linux")]
impl Clock for MonotonicClock {
    fn now(&self) -> Instant {
        let at = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
        // The time since boot is never negative, and fits: 2^64 ns are 584 years.
        let seconds = u64::try_from(at.tv_sec).unwrap_or(0);
        let nanoseconds = u64::try_from(at.tv_nsec).unwrap_or(0);
        Instant(seconds.saturating_mul(1_000_000_000).saturating_add(nanoseconds))
    }

    fn counts_suspended_time(&self) -> bool {
        true
    }
}

#[cfg(not(target_os = "linux"))]
impl Clock for MonotonicClock {
    fn now(&self) -> Instant {
        Instant(span(self.origin.elapsed()).0)
    }

    fn counts_suspended_time(&self) -> bool {
        false
    }
}

/// A span of the standard library in the unit of [`Clock`]; it saturates after 584 years.
#[must_use]
pub fn span(duration: std::time::Duration) -> Duration {
    Duration(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX))
}

/// How long to sleep at `now` until `deadline`: nothing if it has passed.
///
/// Tokio's timer rounds up, so it does not wake early; if it did, the step would find nothing due
/// and the driver would sleep again. It does not count suspended time, so after a suspension the
/// timer may be late, which delays and never endangers: the step then reads [`Clock::now`].
pub(crate) fn until(deadline: Instant, now: Instant) -> std::time::Duration {
    std::time::Duration::from_nanos(deadline.0.saturating_sub(now.0))
}
