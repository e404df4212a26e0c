//! Coverage notes the steps of the explored graph, and no question that is asked about its states.

#![allow(missing_docs)]

use std::collections::VecDeque;
use std::fmt::Debug;

use quorate_model::guards::{Guard, Guards};
use quorate_model::model::SliceModel;
use quorate_model::slice::Slice;
use quorate_model::slices;
use stateright::Model;

#[test]
fn what_is_imagined_is_not_seen() {
    for slice in slices::all() {
        let model = SliceModel::new(slice, Guards::sound());
        let initial = model.plain_initial();
        assert!(model.false_claims(&initial).is_empty(), "slice {}", slice.name);
        let seen = model.coverage();
        for guard in Guard::ALL {
            let (name, outcomes) = (guard.name(), seen.guard(*guard));
            assert_eq!(outcomes, (false, false), "{name} was not asked in slice {}", slice.name);
        }
        assert!(seen.actions().is_empty() && seen.kinds().is_empty(), "slice {}", slice.name);
        assert!(seen.transitions().is_empty() && seen.refusals().is_empty(), "{}", slice.name);
        // A step of the graph is seen, so the silence above says something.
        model.next_steps(&initial);
        assert!(!seen.actions().is_empty(), "slice {}", slice.name);
        assert!(Guard::ALL.iter().any(|guard| seen.guard(*guard) != (false, false)));
    }
}

/// What is seen in the steps from so many states; whether their claims are asked for first or not at
/// all.
fn seen(slice: Slice, states: usize, asks: bool) -> impl PartialEq + Debug {
    let model = SliceModel::new(slice, Guards::sound());
    let mut queue = VecDeque::from(model.init_states());
    for _ in 0..states {
        let Some(state) = queue.pop_front() else { break };
        if asks {
            // Which are false does not matter, only that they were asked for.
            let _ = model.false_claims(&state);
        }
        queue.extend(model.next_states(&state));
    }
    let seen = model.coverage();
    let guards: Vec<_> = Guard::ALL.iter().map(|guard| seen.guard(*guard)).collect();
    (guards, seen.actions(), seen.kinds(), seen.transitions(), seen.refusals())
}

#[test]
fn a_step_that_was_imagined_before_is_seen_when_it_is_explored() {
    for slice in slices::all() {
        let (asked, not_asked) = (seen(slice, 200, true), seen(slice, 200, false));
        assert_eq!(asked, not_asked, "slice {}", slice.name);
    }
}
