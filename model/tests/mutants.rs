//! Every mutant is killed by the claim that it names, and its trace replays in Stateright.

#![allow(missing_docs)]

use std::collections::BTreeSet;

use quorate_model::check::kill;
use quorate_model::guards::{Guard, Guards};
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::narrate;
use quorate_model::search::shortest;
use quorate_model::slice::Slice;
use quorate_model::slices;
use quorate_spec::property::Claim;
use stateright::{Model, Path};

#[test]
fn every_mutant_is_killed_and_its_trace_replays() {
    for mutation in Mutation::ALL {
        let killed = kill(*mutation);
        let (Some(slice), Some(trace)) = (killed.slice, killed.trace) else {
            panic!("{} survives its slices {:?}", mutation.name(), mutation.slices());
        };
        // Without canonical names the states of the trace are the model's own.
        let plain = SliceModel::new(
            Slice { symmetric: false, forgets: false, ..slice },
            Guards::broken(*mutation),
        );
        let actions: Vec<_> = trace.steps.iter().map(|(action, _)| *action).collect();
        let path = Path::from_actions(&plain, trace.initial.clone(), &actions)
            .unwrap_or_else(|| panic!("the trace of {} is a path", mutation.name()));
        let last = path.last_state();
        assert!(!plain.holds(last, mutation.killer()), "{} breaks its claim", mutation.name());
        for state in path.clone().into_states().iter().rev().skip(1) {
            assert!(plain.holds(state, mutation.killer()), "{} no earlier", mutation.name());
        }
        // The same trace under the sound rules is no path, or breaks nothing.
        let sound =
            SliceModel::new(Slice { symmetric: false, forgets: false, ..slice }, Guards::sound());
        let initial = sound.init_states().remove(0);
        if let Some(path) = Path::from_actions(&sound, initial, &actions) {
            assert!(sound.false_claims(path.last_state()).is_empty(), "{}", mutation.name());
        }
    }
}

#[test]
fn every_guard_has_a_mutant() {
    let broken: BTreeSet<Guard> = Mutation::ALL.iter().map(|mutation| mutation.guard()).collect();
    for guard in Guard::ALL {
        assert!(broken.contains(guard), "no mutant breaks {}", guard.name());
    }
}

/// Bug F19: what the mutant of F18 breaks among three servers it breaks in a cluster of one as well.
#[test]
fn a_cluster_of_one_that_reads_too_early_is_found() {
    let slice = slices::named("reads-single").expect("it is in the catalogue");
    let found =
        |guards| shortest(&SliceModel::new(slice, guards), Claim::LinearizableRead, 1_000).1;
    let trace = found(Guards::broken(Mutation::ReadsBeforeOwnCommit));
    assert!(trace.is_some_and(|trace| trace.steps.len() > 2), "it commits, crashes and reads");
    assert!(found(Guards::sound()).is_none());
}

#[test]
fn a_trace_reads_as_sentences() {
    let killed = kill(Mutation::VotesForEveryone);
    let (slice, trace) = (killed.slice.expect("killed"), killed.trace.expect("killed"));
    let model = SliceModel::new(slice, Guards::broken(Mutation::VotesForEveryone));
    let text = narrate::trace(&model, &trace, Mutation::VotesForEveryone.killer());
    assert!(text.contains("grants its vote to"), "{text}");
    assert!(text.contains("becomes a candidate and votes for itself in term 1"), "{text}");
}
