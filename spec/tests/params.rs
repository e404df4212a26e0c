//! Parameters: what cannot work together is refused at the start, with what would (rule L12).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::dice::check;
use crate::common::*;
use quorate_spec::{Duration, Lease, Params, ParamsError};

/// Rule L12: what cannot work is refused at the start, with what would.
#[test]
fn parameters_that_cannot_work_are_refused() {
    let good = params();
    assert_eq!(good.validate(), Ok(()));
    let (election_timeout, heartbeat_interval) = (Duration(19), good.heartbeat_interval);
    let short = Params { election_timeout, ..good };
    let too_short = ParamsError::ElectionTimeoutTooShort { election_timeout, heartbeat_interval };
    for (params, error) in [
        (Params { heartbeat_interval: Duration(0), ..good }, ParamsError::ZeroHeartbeat),
        (Params { election_jitter: Duration(0), ..good }, ParamsError::ZeroJitter),
        (short, too_short),
        (Params { max_in_flight: 0, ..good }, ParamsError::NoWindow),
        (Params { catch_up_lag: 0, ..good }, ParamsError::NoCatchUpLag),
        (Params { pre_vote: false, ..good }, ParamsError::NaiveElection),
        (Params { stickiness: false, ..good }, ParamsError::NaiveElection),
        (Params { check_quorum: false, ..good }, ParamsError::NaiveElection),
        (good.naive(), ParamsError::NaiveElection),
    ] {
        assert_eq!(params.validate(), Err(error));
    }
    let says = "an election timeout of 19 is shorter than two heartbeat intervals of 10: ";
    assert!(too_short.to_string().starts_with(says), "{too_short}");
    let errors = [
        ParamsError::ZeroHeartbeat,
        ParamsError::ZeroJitter,
        too_short,
        ParamsError::NoWindow,
        ParamsError::NoCatchUpLag,
        ParamsError::NaiveElection,
    ];
    let more = "set 1 or more";
    let advice = ["set one", "set it to", "raise it", more, more, "have to be on"];
    for (error, advice) in errors.into_iter().zip(advice) {
        assert!(error.to_string().contains(advice), "what would work: {error}");
    }
}

/// Rule L12, bug F9: refused with the numbers, and with what would do.
#[test]
fn a_lease_that_could_outlast_a_promise_is_refused() {
    // (100 - 4) * (1 - 0.2) / (1 + 0.2) - 4 = 60.
    let (drift_ppm, granularity, longest) = (200_000, Duration(4), Duration(60));
    let with = |duration| {
        let lease = Lease { duration: Duration(duration), drift_ppm, granularity };
        (lease, Params { lease: Some(lease), ..params() }.validate())
    };
    assert_eq!(with(60).1, Ok(()));
    let (lease, verdict) = with(61);
    let error = ParamsError::LeaseTooLong { lease, election_timeout: Duration(E), longest };
    assert_eq!(verdict, Err(error));
    assert_eq!(
        error.to_string(),
        "a lease of 61 is longer than 60, which is what an election timeout of 100 and a \
         granularity of 4 allow with clocks that drift by 200000 ppm: shorten it or raise the \
         election timeout"
    );
}

/// Rule L12: one that ends between two heartbeats would hardly ever be held.
#[test]
fn a_lease_that_ends_between_two_heartbeats_is_refused() {
    let with = |duration| {
        let (drift_ppm, granularity) = (0, Duration(0));
        let lease = Lease { duration: Duration(duration), drift_ppm, granularity };
        (lease, Params { lease: Some(lease), ..params() }.validate())
    };
    assert_eq!(with(HEARTBEAT + 1).1, Ok(()));
    let (lease, verdict) = with(HEARTBEAT);
    let (heartbeat_interval, longest) = (Duration(HEARTBEAT), Duration(E));
    let error = ParamsError::LeaseTooShort { lease, heartbeat_interval, longest };
    assert_eq!(verdict, Err(error));
    assert_eq!(
        error.to_string(),
        "a lease of 10 ends within a heartbeat interval of 10: send heartbeats more often, or raise \
         it up to 100"
    );
}

/// Rule L12: no lease goes with clocks that may stand still, or with a promise that nobody gives.
#[test]
fn a_lease_needs_clocks_that_run_and_voters_that_promise() {
    for drift_ppm in [1_000_000, 5_000_000, u32::MAX] {
        assert_eq!(Lease::longest(Duration(E), drift_ppm, Duration(0)).duration, Duration(0));
        assert!(params().with_lease(drift_ppm, Duration(0)).validate().is_err());
    }
    assert_eq!(Lease::longest(Duration(E), 0, Duration(E + 1)).duration, Duration(0));
    assert_eq!(params().with_lease(50, Duration(1)).naive().lease, None);
    let leased = params().with_lease(50, Duration(1));
    assert_eq!(leased.validate(), Ok(()));
    let naive = Params { stickiness: false, ..leased };
    assert_eq!(naive.validate(), Err(ParamsError::NaiveElection));
}

/// Rules L12, F9: both clocks are read late. The leader made its request at 0 and reads 80 until its
/// clock, which is slow, is at 90: then 90.9 have passed. The voter, whose clock is fast, heard it at
/// 9.99, took that for 0, and votes when it reads 100: after 90.01 on its clock, which are 89.1.
#[test]
fn a_late_reading_shortens_the_promise_and_lengthens_the_lease() {
    let lease = Lease::longest(Duration(100), 10_000, Duration(10));
    assert_eq!(lease.duration, Duration(78));
    let read = |clock: f64| (clock / 10.0).floor() * 10.0;
    let served = (0..10_000).map(|t| f64::from(t) / 100.0);
    let last = served.filter(|t| read(t * 0.99) < 78.0).fold(0.0, f64::max);
    let votes = (0..20_000).map(|t| f64::from(t) / 100.0);
    let first = votes.filter(|t| read(9.99 + t * 1.01) >= 100.0).fold(f64::MAX, f64::min);
    assert!(last < first, "served until {last}, voted from {first}");
}

/// Rule L12: `(lease + granularity) * (1 + drift) <= (E - granularity) * (1 - drift)`, and no longer
/// one would do.
#[test]
fn the_longest_lease_is_the_exact_quotient_rounded_down() {
    fn law(election_timeout: u64, drift_ppm: u32, granularity: u64) {
        let drift_ppm = drift_ppm % 1_100_000;
        let granularity = granularity % 1_000_000_000;
        let (timeout, late) = (Duration(election_timeout), Duration(granularity));
        let longest = u128::from(Lease::longest(timeout, drift_ppm, late).duration.0);
        let promised = u128::from(election_timeout.saturating_sub(granularity));
        let drift = u128::from(drift_ppm.min(1_000_000));
        let (fast, slow) = (1_000_000 + u128::from(drift_ppm), 1_000_000 - drift);
        let late = u128::from(granularity);
        let safe = longest == 0 || (longest + late) * fast <= promised * slow;
        assert!(safe, "{longest} is safe");
        assert!((longest + late + 1) * fast > promised * slow, "{longest} is the longest");
    }
    check(5_000, law as fn(u64, u32, u64));
    assert_eq!(Lease::longest(Duration(u64::MAX), 0, Duration(0)).duration, Duration(u64::MAX));
}
