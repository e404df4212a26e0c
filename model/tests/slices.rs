//! Every default slice is as declared, with its pinned number of states.

#![allow(missing_docs)]

use quorate_model::check::{Checked, Memory, Progress, Verdict, Watch, check};
use quorate_model::coverage::Coverage;
use quorate_model::guards::Guard;
use quorate_model::slice::{Declared, Slice};
use quorate_model::witness::Witness;
use quorate_model::{action::ACTION_KINDS, slices};
use quorate_spec::Kind;
use quorate_spec::role::TRANSITIONS;

fn run(slice: Slice) -> Checked {
    let progress = |_: &Progress| {};
    let memory = Memory { now: || 0, peak: || 0, reset: || {} };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    check(slice, &Watch { threads, time_limit: None, memory, progress: &progress })
}

#[test]
fn every_default_slice_is_as_declared_and_together_they_see_everything() {
    let seen = Coverage::default();
    for slice in slices::all().into_iter().filter(|slice| !slice.deep) {
        let checked = run(slice);
        assert_eq!(checked.complaint(), None, "slice {}", slice.name);
        seen.absorb(&checked.coverage);
    }
    assert_eq!(seen.actions(), ACTION_KINDS.to_vec());
    assert_eq!(seen.kinds(), Kind::ALL.to_vec());
    assert_eq!(seen.transitions().len(), TRANSITIONS.len());
    assert_eq!(seen.witnesses(), Witness::ALL.to_vec());
    for guard in Guard::ALL {
        let (granted, refused) = seen.guard(*guard);
        assert!(granted || guard.refuses_always().is_some(), "{} never grants", guard.name());
        assert!(refused || guard.grants_always().is_some(), "{} never refuses", guard.name());
    }
}

#[test]
fn every_exhausted_slice_pins_its_number_of_states() {
    for slice in slices::all().into_iter().filter(|s| !s.deep) {
        let pins = slice.pinned.is_some();
        assert_eq!(pins, slice.declared == Declared::Exhausted, "slice {}", slice.name);
    }
}

#[test]
fn a_run_that_is_stopped_is_incomplete() {
    let slice = slices::named("election").expect("it is in the catalogue");
    let progress = |_: &Progress| {};
    let memory = Memory { now: || 0, peak: || 0, reset: || {} };
    let time_limit = Some(std::time::Duration::ZERO);
    let checked = check(slice, &Watch { threads: 1, time_limit, memory, progress: &progress });
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
    assert!(!Verdict::Exhausted.is(Declared::Violated(quorate_spec::property::Claim::NoDeadlock)));
}
