//! The reductions and the machinery are exact: with and without them the verdicts agree, for the
//! sound rules and for every mutant; and the checker counts what a plain search counts.

#![allow(missing_docs)]

use std::collections::HashSet;
use std::hash::BuildHasher;

use quorate_model::guards::Guards;
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::search::breadth_first;
use quorate_model::slice::{Declared, Election, Network, Slice};
use quorate_model::slices;
use quorate_model::state::State;
use quorate_spec::property::{Claim, ClaimSet};
use stateright::{Checker, Model};

fn small() -> Vec<Slice> {
    let named = |name| slices::named(name).expect("it is in the catalogue");
    let pull = Network::Pull { parked: 1 };
    vec![
        named("single"),
        named("election-two"),
        Slice { max_term: 2, ..named("election") },
        Slice { max_term: 2, network: pull, ..named("election") },
        Slice { max_term: 1, ..named("pre-vote-async") },
        Slice { max_term: 1, ..named("pre-vote") },
        Slice { max_term: 1, ..named("check-quorum") },
        Slice { max_term: 2, election: Election::NAIVE, ..named("replication-crash") },
        Slice { max_term: 1, commands: 1, ..named("snapshots") },
        Slice { max_term: 1, commands: 1, ..named("snapshots-crash") },
        named("isolated"),
        named("isolated-restart"),
        named("flaky-two-of-five"),
        named("learner"),
        named("replace"),
        named("remove-leader"),
    ]
}

fn model(slice: Slice, guards: Guards) -> SliceModel {
    SliceModel::new(slice, guards)
}

fn count(model: &SliceModel) -> usize {
    breadth_first(model, ClaimSet::NONE, usize::MAX, usize::MAX).unique
}

#[test]
fn stateright_breadth_first_depth_first_and_our_search_count_the_same() {
    for slice in small().into_iter().filter(|slice| slice.declared == Declared::Exhausted) {
        let ours = count(&model(slice, Guards::sound()));
        let depth_first = model(slice, Guards::sound()).checker().threads(2).spawn_dfs().join();
        let breadth_first = model(slice, Guards::sound()).checker().spawn_bfs().join();
        depth_first.assert_properties();
        assert_eq!(ours, depth_first.unique_state_count(), "slice {}", slice.name);
        assert_eq!(ours, breadth_first.unique_state_count(), "slice {}", slice.name);
    }
}

#[test]
fn remembering_steps_changes_nothing() {
    for slice in small() {
        let with = count(&model(slice, Guards::sound()));
        let without = count(&model(slice, Guards::sound()).without_memo());
        assert_eq!(with, without, "slice {}", slice.name);
    }
}

#[test]
fn hashing_is_injective_on_the_small_slices() {
    let hasher = foldhash::quality::FixedState::with_seed(7);
    for slice in small() {
        let model = model(slice, Guards::sound());
        let mut states: HashSet<State> = model.init_states().into_iter().collect();
        let mut queue: Vec<State> = states.iter().cloned().collect();
        while let Some(state) = queue.pop() {
            for next in model.next_states(&state) {
                if states.insert(next.clone()) {
                    queue.push(next);
                }
            }
        }
        let hash = |state: &State| hasher.hash_one(state);
        let hashes: HashSet<u64> = states.iter().map(hash).collect();
        assert_eq!(hashes.len(), states.len(), "slice {}", slice.name);
        // Equality is by address: equal contents have one. The contents, written out, agree.
        let contents: HashSet<_> = states
            .iter()
            .map(|state| {
                let servers: Vec<_> = state.servers.iter().map(|s| (**s).clone()).collect();
                let net: Vec<_> = state.net.iter().map(|e| (**e).clone()).collect();
                (servers, net, (*state.history).clone(), state.budget, state.broken)
            })
            .collect();
        assert_eq!(contents.len(), states.len(), "slice {}", slice.name);
    }
}

/// A state from which no benign run goes on may still be left by another step.
const STUCK: ClaimSet = ClaimSet::of(&[
    Claim::ElectionProgress,
    Claim::NoDeadlock,
    Claim::CommitProgress,
    Claim::ReplicationProgress,
    Claim::SnapshotProgress,
]);

/// The claims that are the first to be false on some way; what follows is no run worth its name.
fn ever_false(slice: Slice, guards: Guards) -> ClaimSet {
    let model = model(slice, guards);
    let mut seen: HashSet<State> = model.init_states().into_iter().collect();
    let mut queue: Vec<State> = seen.iter().cloned().collect();
    let mut false_claims = ClaimSet::NONE;
    while let Some(state) = queue.pop() {
        let broken = model.false_claims(&state);
        false_claims = false_claims.union(broken);
        if broken.union(STUCK) != STUCK {
            continue;
        }
        for next in model.next_states(&state) {
            if seen.insert(next.clone()) {
                queue.push(next);
            }
        }
        assert!(seen.len() < 1_000_000, "{} is too large for this test", slice.name);
    }
    false_claims
}

/// Slices that are small without reductions too, and together show most mutants.
fn tiny() -> Vec<Slice> {
    let named = |name| slices::named(name).expect("it is in the catalogue");
    let pull = |parked| Network::Pull { parked };
    vec![
        named("single"),
        Slice { max_term: 1, ..named("election-two") },
        Slice { max_term: 1, network: pull(1), ..named("election") },
        Slice { max_term: 1, network: pull(0), ..named("pre-vote-crash") },
        Slice { max_term: 1, ..named("step-down") },
        Slice { max_term: 2, network: pull(0), commands: 0, ..named("replication") },
        Slice { max_term: 2, network: pull(0), ..named("snapshots") },
        named("isolated"),
        named("isolated-restart"),
        named("deaf-sticky"),
        named("operator"),
        named("replace"),
        Slice { max_term: 2, ..named("remove-leader") },
        Slice { max_term: 1, ..named("overlap") },
        Slice { max_term: 1, ..named("learner") },
    ]
}

/// Slices in which messages are late, answers are repeated and votes are spent; too large without
/// canonical names.
fn late() -> Vec<Slice> {
    let named = |name| slices::named(name).expect("it is in the catalogue");
    let pull = |parked| Network::Pull { parked };
    let two = |slice| Slice { servers: 2, commands: 1, ..slice };
    vec![
        two(named("replication-async")),
        two(Slice { max_term: 2, ..named("replication-restart") }),
        two(named("replication-crash-async")),
        two(named("replication")),
        Slice { max_term: 1, commands: 1, ..named("replication-async") },
        Slice { max_term: 2, commands: 1, network: pull(0), ..named("replication") },
        Slice { max_term: 2, commands: 0, ..named("replication") },
    ]
}

#[test]
fn late_messages_and_spent_votes_do_not_change_the_verdict_on_the_rules_or_on_any_mutant() {
    let failing = assert_exact(late());
    assert!(failing.len() >= 20, "only {} mutants were seen to fail: {failing:?}", failing.len());
}

#[test]
#[ignore = "a quarter of an hour: cargo test -p quorate-model --test model reductions -- --ignored"]
fn nor_do_they_at_larger_bounds() {
    let named = |name| slices::named(name).expect("it is in the catalogue");
    let two = |slice| Slice { servers: 2, ..slice };
    assert_exact(vec![
        two(named("replication-late")),
        two(Slice { max_term: 3, commands: 1, ..named("replication-async") }),
        Slice { max_term: 1, ..named("replication-async") },
        Slice { max_term: 1, commands: 1, crashes: 1, pending: 0, ..named("replication-async") },
    ]);
}

/// With and without all reductions but the canonical names the same claims fail. Gives the mutants
/// for which some do.
fn assert_exact(slices: Vec<Slice>) -> HashSet<&'static str> {
    let mut failing = HashSet::new();
    for slice in slices {
        let symmetric = Slice { reduced: false, forgets: false, ..slice };
        assert_eq!(ever_false(slice, Guards::sound()), ClaimSet::NONE, "slice {}", slice.name);
        for mutation in Mutation::ALL {
            let guards = || Guards::broken(*mutation);
            let (reduced, name) = (ever_false(slice, guards()), mutation.name());
            assert_eq!(reduced, ever_false(symmetric, guards()), "{name} in {}", slice.bounds());
            if !reduced.is_empty() {
                failing.insert(name);
            }
        }
    }
    failing
}

#[test]
fn reductions_do_not_change_the_verdict_on_the_rules_or_on_any_mutant() {
    let mut seen = ClaimSet::NONE;
    let mut mutants = HashSet::new();
    for slice in tiny() {
        let plain = Slice { symmetric: false, reduced: false, forgets: false, ..slice };
        let symmetric = Slice { symmetric: true, ..plain };
        assert_eq!(ever_false(slice, Guards::sound()), ClaimSet::NONE, "slice {}", slice.name);
        assert_eq!(ever_false(plain, Guards::sound()), ClaimSet::NONE, "slice {}", slice.name);
        for mutation in Mutation::ALL {
            let guards = || Guards::broken(*mutation);
            let (reduced, name) = (ever_false(slice, guards()), mutation.name());
            assert_eq!(reduced, ever_false(plain, guards()), "{name} in {}", slice.name);
            assert_eq!(reduced, ever_false(symmetric, guards()), "{name} in {}", slice.name);
            seen = seen.union(reduced);
            if !reduced.is_empty() {
                mutants.insert(name);
            }
        }
    }
    // The comparison is not vacuous: most mutants do fail somewhere here, by many claims.
    assert!(mutants.len() >= 35, "only {} mutants were seen to fail: {mutants:?}", mutants.len());
    assert!(seen.iter().count() >= 25, "only these claims were seen to fail: {seen:?}");
}

/// Writes that are durable at once are a restriction: they show no violation that is not there, and
/// hide some of those mutants that send or count too early. Slices with crashes do not have them.
#[test]
fn instant_writes_add_no_violation_and_hide_what_is_between_a_step_and_its_write() {
    let named = |name| slices::named(name).expect("it is in the catalogue");
    let slices = [
        Slice { max_term: 2, servers: 2, ..named("election-async") },
        Slice { max_term: 1, ..named("election-async") },
        Slice { max_term: 1, servers: 2, commands: 0, ..named("replication-async") },
    ];
    let (mut both, mut hidden) = (HashSet::new(), HashSet::new());
    for slice in slices {
        let waiting = Slice { instant_writes: false, pending: 2, ..slice };
        for mutation in Mutation::ALL {
            let fails = |slice| !ever_false(slice, Guards::broken(*mutation)).is_empty();
            let name = mutation.name();
            match (fails(slice), fails(waiting)) {
                (true, true) => both.insert(name),
                (false, true) => hidden.insert(name),
                (false, false) => false,
                (true, false) => panic!("{name} fails in {} with instant writes alone", slice.name),
            };
        }
        assert_eq!(ever_false(waiting, Guards::sound()), ClaimSet::NONE, "slice {}", slice.name);
    }
    assert!(both.len() >= 8, "only {} mutants were seen to fail: {both:?}", both.len());
    assert!(hidden.contains("AsksBeforeDurable"), "{hidden:?}");
}

/// Verdicts are remembered for each model: one model's are never another's, though it may stand at
/// the same address a moment later.
#[test]
fn a_model_does_not_remember_the_verdicts_of_another() {
    let slice = slices::named("election-two").expect("it is in the catalogue");
    for _ in 0..8 {
        let verdict = |guards| {
            let model = Box::new(model(slice, guards));
            !model.false_claims(&model.plain_initial()).is_empty()
        };
        assert!(!verdict(Guards::sound()));
        assert!(verdict(Guards::broken(Mutation::HalfIsAQuorum)));
    }
}
