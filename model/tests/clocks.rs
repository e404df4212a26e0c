//! Timed slices: both encodings of both assumptions have the same thresholds, and what states forget
//! changes no verdict. The larger parameter sets are slices: `quorate-model check lease`.

#![allow(missing_docs)]

use quorate_model::clocks::{Assumption, Clocks, Encoding};
use quorate_model::guards::Guards;
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::search::{breadth_first, shortest};
use quorate_model::slice::{Network, Slice};
use quorate_model::slices;
use quorate_spec::property::{Claim, ClaimSet};

const ENCODINGS: [Encoding; 2] = [Encoding::PerServer, Encoding::Global];

const LEASES: ClaimSet = ClaimSet::of(&[Claim::LeaseExclusive, Claim::LinearizableRead]);

/// A slice with these clocks, whose election timers are never early, and this lease; small.
fn timed(assumption: Assumption, encoding: Encoding, election_timeout: u64, lease: u64) -> Slice {
    let clocks = Clocks { assumption, encoding, election_timeout, any_timer: false };
    Slice {
        clocks: Some(clocks),
        lease: Some(lease),
        crashes: 0,
        commands: 0,
        network: Network::Pull { parked: 0 },
        claims: LEASES,
        ..slices::named("lease-skew-e3-d1").expect("it is in the catalogue")
    }
}

/// The claims about leases that are the first to be false, and in how many states that shows.
fn first_false(slice: Slice, guards: Guards) -> (ClaimSet, usize) {
    let found = breadth_first(&SliceModel::new(slice, guards), LEASES, usize::MAX, usize::MAX);
    assert!(!found.cut_short);
    (found.false_claims, found.unique)
}

fn holds(slice: Slice) -> bool {
    first_false(slice, Guards::sound()).0.is_empty()
}

#[test]
fn a_lease_is_safe_exactly_up_to_the_inequality_in_either_encoding() {
    for election_timeout in 3..=5 {
        for bound in 1..=2 {
            for assumption in [Assumption::Skew(bound), Assumption::Drift(bound)] {
                for encoding in ENCODINGS {
                    let safe = |lease| holds(timed(assumption, encoding, election_timeout, lease));
                    let longest = election_timeout.saturating_sub(assumption.width());
                    let what = format!("{assumption:?} {encoding:?} E = {election_timeout}");
                    assert!(longest == 0 || safe(longest), "{what}: {longest} is too long");
                    assert!(!safe(longest + 1), "{what}: {} is safe", longest + 1);
                }
            }
        }
    }
}

/// Where the members stay and nothing is lost, with messages that are late, and from a cold start.
#[test]
fn late_answers_and_a_cold_start_do_not_move_the_threshold() {
    for assumption in [Assumption::Skew(1), Assumption::Drift(1)] {
        for encoding in ENCODINGS {
            for late in [true, false] {
                let parked = usize::from(late);
                let slice = |lease| Slice {
                    network: Network::Pull { parked },
                    led: late,
                    ..timed(assumption, encoding, 3, lease)
                };
                let longest = 3 - assumption.width();
                assert!(holds(slice(longest)), "{assumption:?} {encoding:?} late: {late}");
                assert!(!holds(slice(longest + 1)), "{assumption:?} {encoding:?} late: {late}");
            }
        }
    }
}

/// What states forget, what messages are reduced to, and the names of servers make no difference.
#[test]
fn reductions_change_no_verdict_of_a_timed_slice() {
    for assumption in [Assumption::Skew(1), Assumption::Drift(1)] {
        for encoding in ENCODINGS {
            for lease in [3 - assumption.width(), 4 - assumption.width()] {
                let slice = timed(assumption, encoding, 3, lease);
                let plain = Slice { symmetric: false, reduced: false, forgets: false, ..slice };
                let (reduced, states) = first_false(slice, Guards::sound());
                let (all, more) = first_false(plain, Guards::sound());
                assert_eq!(reduced, all, "{}", plain.bounds());
                assert!(states < more, "nothing was reduced in {}", slice.bounds());
            }
        }
    }
}

/// A trace to a violation is one of the plain model, clocks and ticks included, and its last state
/// violates the claim there, too.
#[test]
fn the_phantom_leader_is_told_with_its_clocks() {
    for assumption in [Assumption::Skew(1), Assumption::Drift(2)] {
        for encoding in ENCODINGS {
            let lease = 5 - assumption.width() + 1;
            let model = SliceModel::new(timed(assumption, encoding, 5, lease), Guards::sound());
            let trace = shortest(&model, Claim::LeaseExclusive, usize::MAX).1.expect("it fails");
            let (_, last) = trace.steps.last().expect("it takes steps");
            assert!(!model.holds(last, Claim::LeaseExclusive));
            let leaders = last.servers.iter().filter(|server| server.node.is_leader());
            assert_eq!(leaders.count(), 2);
        }
    }
}

/// The rules on which leases rest are missed in timed slices, in both encodings.
#[test]
fn a_promise_that_is_lost_is_a_phantom_leader() {
    for mutation in [Mutation::LeaseFromAnswer, Mutation::PromiseLostAtRestart] {
        for encoding in ENCODINGS {
            let slice = Slice {
                crashes: 1,
                network: Network::Pull { parked: 1 },
                ..timed(Assumption::Drift(1), encoding, 3, 2)
            };
            let (broken, _) = first_false(slice, Guards::broken(mutation));
            assert!(broken.contains(Claim::LeaseExclusive), "{} {encoding:?}", mutation.name());
        }
    }
}
