//! The table of cut links: the mutants that stand for its bugs change it, and what it tells of a cycle
//! is a run. That it is as declared is seen in `everything`.

#![allow(missing_docs)]

use quorate_model::guards::Guards;
use quorate_model::links::pattern::{COMBINATIONS, PATTERNS, Pattern};
use quorate_model::links::run::{Cell, check};
use quorate_model::links::story;
use quorate_model::mutation::Mutation;
use quorate_spec::property::Claim;
use quorate_spec::{NodeId, Term};

fn pattern(name: &str) -> &'static Pattern {
    PATTERNS.iter().find(|pattern| pattern.name == name).expect("it is in the catalogue")
}

/// A cell by its column: which of pre-vote, promise and check-quorum are on.
fn cell(name: &str, (pre_vote, promise, check_quorum): (bool, bool, bool), guards: Guards) -> Cell {
    let is = |e: &quorate_model::slice::Election| {
        (e.pre_vote, e.stickiness, e.check_quorum) == (pre_vote, promise, check_quorum)
    };
    let combination = COMBINATIONS.iter().position(is).expect("all combinations are there");
    check(pattern(name), combination, guards)
}

const NAIVE: (bool, bool, bool) = (false, false, false);
const PROMISE: (bool, bool, bool) = (false, true, true);
const ALL: (bool, bool, bool) = (true, true, true);

/// Production's switches: stable wherever links are cut, and live but where the only server that
/// reaches a quorum cannot be elected.
#[test]
fn with_everything_on_no_pattern_deposes_for_ever() {
    let all = COMBINATIONS.len() - 1;
    for pattern in PATTERNS {
        assert!(pattern.declared[all].stable, "{}", pattern.name);
        let constrained = pattern.name.contains("constrained");
        assert_eq!(pattern.declared[all].live, !constrained, "{}", pattern.name);
    }
}

/// Each of these bugs changes a cell, without temporal logic: B1, B3, B5, B8, B11, E18.
#[test]
fn mutants_change_cells() {
    for (mutation, name, switches, claim) in [
        (Mutation::VotesInsidePromise, "one-link", PROMISE, Claim::StableLeader),
        (Mutation::NoPromise, "one-link", PROMISE, Claim::StableLeader),
        (Mutation::NeverStepsDown, "deaf-leader", ALL, Claim::ElectionProgress),
        (Mutation::IgnoresStaleRequests, "one-lost", ALL, Claim::ElectionProgress),
        (Mutation::IgnoresTermOfRejection, "one-lost", ALL, Claim::ElectionProgress),
        (Mutation::PreVoteIsContact, "n-deaf", ALL, Claim::ElectionProgress),
        (Mutation::LeaderVotes, "n-deaf", PROMISE, Claim::StableLeader),
        (Mutation::VoteRequestRaisesTerm, "n-deaf", PROMISE, Claim::StableLeader),
    ] {
        let sound = cell(name, switches, Guards::sound());
        assert!(sound.stuck.is_none() && sound.lasso.is_none() && sound.whole, "{name}");
        let broken = cell(name, switches, Guards::broken(mutation));
        let found = match &broken.stuck {
            Some(stuck) => Some(stuck.claim),
            None => broken.lasso.as_ref().map(|_| Claim::StableLeader),
        };
        assert_eq!(found, Some(claim), "{} in {name}", mutation.name());
        assert!(!broken.is_as_declared(), "{} in {name}", mutation.name());
    }
}

/// Cloudflare's cycle (bug B1): a leader that has its quorum is deposed once a round, and terms rise.
#[test]
fn a_lasso_deposes_a_leader_that_has_its_quorum() {
    let cell = cell("one-link", NAIVE, Guards::sound());
    let lasso = cell.lasso.as_ref().expect("naive election is not stable");
    let begins = lasso.stem.last();
    let states: Vec<_> =
        std::iter::once(begins).chain(lasso.cycle.iter().map(|(_, state)| state)).collect();
    let deposed = states.windows(2).any(|two| {
        let leads = |at: usize, id| two[at].server(NodeId(id)).node.is_leader();
        (0..3).any(|id| leads(0, id) && !leads(1, id))
    });
    assert!(deposed);
    let highest = |state: &quorate_model::state::State| {
        let terms = state.servers.iter().map(|server| server.node.current_term());
        terms.max().unwrap_or(Term(0))
    };
    assert!(highest(states[states.len() - 1]) > highest(begins));
    let stories = story::stories(&cell, Guards::sound());
    let text = stories.first().expect("there is something to tell");
    assert!(
        text.contains("and then for ever:") && text.contains("becomes leader of term"),
        "{text}"
    );
    assert!(text.contains("StableLeader is false"), "{text}");
}

#[test]
fn a_stuck_state_is_told_with_the_way_there() {
    let cell = cell("constrained-election", ALL, Guards::sound());
    let stories = story::stories(&cell, Guards::sound());
    let text = stories.first().expect("there is something to tell");
    assert!(
        text.contains("before: n1 campaigns") && text.contains("then the links are cut"),
        "{text}"
    );
    assert!(text.contains("ElectionProgress is false"), "{text}");
}
