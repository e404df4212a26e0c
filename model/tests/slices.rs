//! What a slice checks, and what its verdict says. That each is as declared is seen in `everything`.

#![allow(missing_docs)]

use quorate_model::check::{Checked, Memory, TRACE_LIMIT, Verdict, Watch, check, check_under};
use quorate_model::guards::Guards;
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::slice::{Declared, Slice};
use quorate_model::slices;
use quorate_spec::property::Claim;

const WATCH: Watch<'_> = Watch {
    threads: 2,
    time_limit: None,
    trace_limit: TRACE_LIMIT,
    memory: Memory { now: || 0, peak: || 0, reset: || {} },
    progress: &|_| {},
};

fn run(slice: Slice) -> Checked {
    check(slice, &WATCH)
}

#[test]
fn a_slice_checks_what_it_can_refute() {
    let checks = |name, claim| {
        let slice = slices::named(name).expect("it is in the catalogue");
        slice.claims.contains(claim)
    };
    // A leader that stays, one that is deposed, and nobody who leads at the beginning.
    for (name, leader_stays, safety, progress) in [
        ("isolated", true, false, false),
        ("isolated-naive", true, true, false),
        ("pre-vote", false, true, true),
    ] {
        assert_eq!(checks(name, Claim::NonDisruption), leader_stays, "slice {name}");
        assert_eq!(checks(name, Claim::ElectionSafety), safety, "slice {name}");
        assert_eq!(checks(name, Claim::LogMatching), safety, "slice {name}");
        assert_eq!(checks(name, Claim::NoDeadlock), progress, "slice {name}");
        assert_eq!(checks(name, Claim::CommitProgress), progress, "slice {name}");
    }
    // Features decide: without entries no log, without others nobody to agree with.
    assert!(!checks("election", Claim::LogMatching) && !checks("single", Claim::ElectionSafety));
    assert!(checks("learner", Claim::LeaderIsVoter) && !checks("pre-vote", Claim::LeaderIsVoter));
}

#[test]
fn every_exhausted_slice_pins_its_number_of_states() {
    for slice in slices::all().into_iter().filter(|s| !s.deep) {
        // A slice with a declared violation may: its whole graph is searched all the same.
        let pins = slice.pinned.is_some();
        assert!(pins || slice.declared != Declared::Exhausted, "slice {}", slice.name);
    }
}

#[test]
fn a_declared_violation_hides_no_other_and_its_slice_is_exhausted() {
    let slice = slices::named("isolated-naive").expect("it is in the catalogue");
    let checked = run(slice);
    assert_eq!(checked.verdict(), Verdict::Violated(Claim::NonDisruption));
    assert_eq!(checked.complaint(), None);
    assert_eq!(checked.verdict_on(Claim::NonDisruption).word(), "VIOLATED");
    assert_eq!(checked.verdict_on(Claim::ElectionSafety), Verdict::Exhausted);
    assert_eq!(checked.second_opinion, Some(checked.unique));
    let violation = checked.violation(Claim::NonDisruption).expect("it was just seen");
    assert!(violation.shortest && violation.steps > 0);
    assert_eq!(violation.trace.as_ref().map(|trace| trace.steps.len()), Some(violation.steps));
}

#[test]
fn beside_a_declared_violation_another_one_is_reported() {
    let slice = slices::named("isolated-naive").expect("it is in the catalogue");
    let checked = check_under(slice, Guards::broken(Mutation::PersistsOnlyTerms), &WATCH);
    let complaint = checked.complaint().expect("a vote that a crash forgets was not declared");
    assert!(complaint.contains("VoteDurability"), "{complaint}");
    assert!(complaint.ends_with("declared VIOLATED NonDisruption"), "{complaint}");
    assert_eq!(checked.verdict_on(Claim::NonDisruption).word(), "VIOLATED");
    assert!(!checked.settles(Claim::VoteDurability));
    assert!(checked.settles(Claim::NonDisruption));
}

#[test]
fn a_declared_violation_that_does_not_happen_is_a_complaint() {
    let isolated = slices::named("isolated").expect("it is in the catalogue");
    let declared = Declared::Violated(Claim::NonDisruption);
    let complaint = run(Slice { declared, ..isolated }).complaint();
    assert_eq!(complaint.as_deref(), Some("is EXHAUSTED, declared VIOLATED NonDisruption"));
}

#[test]
fn a_declared_violation_takes_a_step() {
    let slice = slices::named("isolated-naive").expect("it is in the catalogue");
    let mut checked = run(slice);
    checked.violations[0].steps = 0;
    let complaint = checked.complaint().expect("its premise would be false");
    assert!(complaint.contains("before its first step"), "{complaint}");
}

#[test]
fn a_violation_whose_shortest_trace_is_too_far_is_told_with_a_longer_one() {
    let slice = slices::named("election-async").expect("it is in the catalogue");
    let guards = Guards::broken(Mutation::CountsOldVotes);
    let checked = check_under(slice, guards.clone(), &Watch { trace_limit: 10, ..WATCH });
    let Verdict::Violated(claim) = checked.verdict() else { panic!("is {}", checked.verdict()) };
    let violation = checked.violation(claim).expect("it was just seen");
    assert!(!violation.shortest);
    let trace = violation.trace.as_ref().expect("the steps are told");
    assert_eq!(trace.steps.len(), violation.steps);
    let plain = SliceModel::new(Slice { symmetric: false, forgets: false, ..slice }, guards);
    let (_, last) = trace.steps.last().expect("it has steps");
    assert!(!plain.holds(last, claim));
}

#[test]
fn a_run_that_is_stopped_is_incomplete() {
    let slice = slices::named("election").expect("it is in the catalogue");
    let time_limit = Some(std::time::Duration::ZERO);
    let checked = check(slice, &Watch { threads: 1, time_limit, ..WATCH });
    assert_eq!(checked.verdict(), Verdict::Incomplete);
    assert!(checked.complaint().is_some());
}

#[test]
fn a_bounded_search_says_how_deep_it_was_and_passes_only_where_declared() {
    let election = slices::named("election").expect("it is in the catalogue");
    let bounded = run(Slice { declared: Declared::Bounded(5), pinned: None, ..election });
    assert_eq!(bounded.verdict(), Verdict::Bounded(5));
    assert_eq!(bounded.complaint(), None);
    assert!(!Verdict::Bounded(5).is(Declared::Exhausted));
    assert!(!Verdict::Exhausted.is(Declared::Violated(Claim::NoDeadlock)));
}
