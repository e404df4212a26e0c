//! What breaks which guard, and how a counterexample reads. That each mutant is killed is seen in
//! `everything`.

#![allow(missing_docs)]

use std::collections::BTreeSet;

use quorate_model::check::kill;
use quorate_model::guards::{Guard, Guards};
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::narrate;
use quorate_model::search::shortest;
use quorate_model::slices;
use quorate_spec::property::Claim;

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
