//! The actor model is a second opinion on the direct model: the same servers, driven by
//! Stateright's own network and timers. It is also checked by itself.

use std::collections::hash_map::DefaultHasher;
use std::collections::{BTreeSet, HashSet};
use std::hash::{Hash, Hasher};

use quorate_model::actors::{
    CLOCK_MOVES, Forgetful, RaftState, Reached, Timer, actor_model, actor_model_with,
    protocol_states,
};
use quorate_model::guards::Guards;
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::slice::{Election, Members, Network, Slice};
use quorate_model::slices;
use quorate_model::state::Servers;
use quorate_spec::property::{Claim, ClaimSet};
use stateright::actor::Timers;
use stateright::{Checker, HasDiscoveries, Model};

/// Stickiness and check-quorum, but no pre-vote: time passes, and no message tells it.
const UNTOLD: Election = Election { pre_vote: false, ..Election::FULL };

/// A slice without any reduction, and without the features that actors do not have.
fn plain(servers: usize, max_term: u64, election: Election) -> Slice {
    let base = slices::named("election-two").expect("it is in the catalogue");
    Slice {
        servers,
        learners: 0,
        joiners: 0,
        changes: &[],
        max_term,
        crashes: 0,
        commands: 0,
        campaigns: false,
        appends: true,
        network: Network::Async,
        cuts: &[],
        established: None,
        election,
        symmetric: false,
        reduced: false,
        forgets: false,
        ..base
    }
}

/// What the direct model reaches.
struct Direct {
    protocol: HashSet<Servers>,
    unique: usize,
    refuted: ClaimSet,
}

fn direct(slice: Slice, guards: Guards) -> Direct {
    let model = SliceModel::new(slice, guards);
    let mut waiting = model.init_states();
    let mut seen: HashSet<_> = waiting.iter().cloned().collect();
    let (mut protocol, mut refuted) = (HashSet::new(), ClaimSet::NONE);
    while let Some(state) = waiting.pop() {
        refuted = refuted.union(model.false_claims(&state));
        protocol.insert(state.servers.clone());
        for next in model.next_states(&state) {
            if seen.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    Direct { protocol, unique: seen.len(), refuted }
}

fn actors(slice: Slice, guards: Guards) -> Reached {
    protocol_states(&Forgetful(actor_model_with(&slice, guards, CLOCK_MOVES)))
}

/// Both models of the slice have these numbers of states and of protocol states, which are the
/// same; and so has the direct model that drops messages without effect.
fn assert_the_same(slice: Slice, unique: usize, protocol: usize) {
    assert_the_same_protocol(slice, (unique, unique), protocol);
}

/// The same, with as many states by actors and as many directly: the direct model's record also
/// tells in which term an entry was committed, which a leader that is removed may be alone to know.
fn assert_the_same_protocol(slice: Slice, unique: (usize, usize), protocol: usize) {
    let (actors, whole) = (actors(slice, Guards::sound()), direct(slice, Guards::sound()));
    let reduced = direct(Slice { reduced: true, ..slice }, Guards::sound());
    println!(
        "{}: {} states by actors, {} directly, {} reduced; protocol states {}, {}, {}",
        slice.bounds(),
        actors.unique,
        whole.unique,
        reduced.unique,
        actors.protocol.len(),
        whole.protocol.len(),
        reduced.protocol.len(),
    );
    assert_eq!(
        (actors.unique, whole.unique, actors.protocol.len()),
        (unique.0, unique.1, protocol)
    );
    assert_eq!(actors.protocol, whole.protocol);
    assert_eq!(reduced.protocol, whole.protocol, "a message that matters was dropped");
    assert!(actors.refuted.is_empty(), "{:?}", actors.refuted);
}

#[test]
fn two_voters_have_the_same_states_in_both_models() {
    assert_the_same(plain(2, 2, Election::NAIVE), 811, 73);
    assert_the_same(plain(2, 3, Election::NAIVE), 51_363, 316);
}

#[test]
fn three_voters_have_the_same_states_in_both_models() {
    assert_the_same(plain(3, 1, Election::NAIVE), 2_978, 323);
    let elections = Slice { appends: false, ..plain(3, 2, Election::NAIVE) };
    assert_the_same(elections, 209_046, 270);
}

#[test]
fn a_learner_has_the_same_states_in_both_models() {
    assert_the_same(Slice { learners: 1, ..plain(3, 2, Election::NAIVE) }, 18_643, 325);
}

/// Clients propose, logs diverge, and entries of one term leave in one request or in several.
#[test]
fn commands_have_the_same_states_in_both_models() {
    let commands = |commands, slice| Slice { commands, ..slice };
    let one_term = || plain(2, 1, Election::NAIVE);
    assert_the_same(commands(2, one_term()), 495, 74);
    assert_the_same(commands(2, Slice { entries: 1, ..one_term() }), 163, 48);
    assert_the_same(commands(1, plain(2, 2, Election::NAIVE)), 5_951, 235);
    assert_the_same(commands(2, plain(2, 2, Election::NAIVE)), 41_539, 595);
    assert_the_same(commands(1, plain(3, 1, Election::NAIVE)), 101_975, 2_273);
    let learner = Slice { learners: 1, ..plain(3, 1, Election::NAIVE) };
    assert_the_same(commands(1, learner), 2_591, 232);
}

const fn to(voters: &'static [u64], learners: &'static [u64]) -> Members {
    Members { voters, learners }
}

/// Joint consensus: each kind of change, of few servers.
#[test]
fn changes_of_members_have_the_same_states_in_both_models() {
    let change = |changes, slice| Slice { changes, ..slice };
    let voters = |voters, max_term| plain(voters, max_term, Election::NAIVE);
    let joins = |max_term| Slice { joiners: 1, ..voters(2, max_term) };
    assert_the_same_protocol(change(const { &[to(&[1], &[])] }, voters(2, 2)), (1_867, 1_881), 135);
    assert_the_same_protocol(
        change(const { &[to(&[0], &[1])] }, voters(2, 2)),
        (2_063, 2_093),
        145,
    );
    assert_the_same_protocol(change(const { &[to(&[0, 1], &[])] }, joins(1)), (12, 12), 12);
    assert_the_same_protocol(change(const { &[to(&[1], &[])] }, joins(2)), (37, 40), 23);
    assert_the_same_protocol(
        change(const { &[to(&[0, 1], &[])] }, voters(3, 1)),
        (62_134, 62_134),
        1_343,
    );
}

#[test]
fn promises_and_lost_quorums_are_the_same_in_both_models() {
    assert_the_same(plain(2, 2, UNTOLD), 4_713, 211);
    assert_the_same(plain(3, 1, UNTOLD), 20_870, 1_640);
}

// Pre-votes are left out of the comparison: their rounds are named by times, which the direct model
// moves in messages under way, and actors cannot. Without reductions the old names are too many.

/// Broken rules are where models would part. Only the numbers of states may differ: who broke a
/// claim is remembered for each actor, and once for all in the direct model.
#[test]
fn every_mutant_has_the_same_states_and_verdicts_in_both_models() {
    let in_states = ClaimSet::of(&[
        Claim::ElectionSafety,
        Claim::EntryIdentity,
        Claim::MatchIndexSound,
        Claim::QuorumIntersection,
        Claim::LogMatching,
        Claim::StateMachineSafety,
        Claim::LeaderCompleteness,
    ]);
    let quorum = Election { stickiness: false, ..UNTOLD };
    let three = Slice { appends: false, ..plain(3, 1, Election::NAIVE) };
    let commands = Slice { commands: 1, ..plain(2, 2, Election::NAIVE) };
    let changes = const { &[to(&[1], &[])] };
    let shrinks = Slice { changes, ..plain(2, 2, Election::NAIVE) };
    let slices = [plain(2, 1, UNTOLD), plain(2, 2, quorum), three, commands, shrinks];
    let mut refuted_somewhere = BTreeSet::new();
    for mutation in Mutation::ALL {
        for slice in slices {
            let slice = Slice { claims: in_states, ..slice };
            let guards = || Guards::broken(*mutation);
            let (actors, direct) = (actors(slice, guards()), direct(slice, guards()));
            assert_eq!(actors.protocol, direct.protocol, "{}", mutation.name());
            for claim in in_states.iter() {
                let verdicts =
                    (actors.refuted.contains(claim.name()), direct.refuted.contains(claim));
                assert_eq!(verdicts.0, verdicts.1, "{} of {}", claim.name(), mutation.name());
            }
            refuted_somewhere.extend(actors.refuted);
        }
    }
    let expected = [
        "ElectionSafety",
        "EntryIdentity",
        "LeaderCompleteness",
        "LogMatching",
        "MatchIndexSound",
        "QuorumIntersection",
        "StateMachineSafety",
        "steps",
    ];
    assert_eq!(refuted_somewhere, BTreeSet::from(expected), "so agreement is not empty");
}

/// Stateright's note of the last delivery multiplies states, and no server depends on it.
#[test]
fn forgetting_the_last_delivery_loses_no_protocol_state() {
    for slice in [plain(2, 2, Election::NAIVE), plain(3, 1, Election::NAIVE)] {
        let noting = protocol_states(&actor_model(&slice));
        let forgetful = actors(slice, Guards::sound());
        assert_eq!(noting.protocol, forgetful.protocol);
        assert!(noting.unique > 4 * forgetful.unique);
    }
}

/// Everything is checked, by both of Stateright's searches, with no limit but the slice's.
#[test]
fn the_actor_model_is_exhausted_and_its_claims_hold() {
    let commands = Slice { commands: 2, ..plain(2, 1, Election::NAIVE) };
    let change = |changes, slice| Slice { changes, ..slice };
    let replaced = Slice { joiners: 1, ..plain(2, 3, Election::NAIVE) };
    for (slice, unique) in [
        (change(const { &[to(&[1], &[])] }, plain(2, 2, Election::NAIVE)), 9_985),
        (change(const { &[to(&[1], &[])] }, replaced), 7_327),
        (plain(2, 2, Election::NAIVE), 3_481),
        (plain(3, 1, Election::NAIVE), 23_168),
        (commands, 3_314),
    ] {
        let breadth_first = actor_model(&slice).checker().threads(2).spawn_bfs().join();
        breadth_first.assert_properties();
        let depth_first = actor_model(&slice).checker().threads(2).spawn_dfs().join();
        depth_first.assert_properties();
        let counts = [breadth_first.unique_state_count(), depth_first.unique_state_count()];
        assert_eq!(counts, [unique, unique], "{}", slice.bounds());
    }
}

/// The negative: broken rules are found out, and the trace ends where two servers have led a term.
#[test]
fn election_safety_fails_in_the_actor_model_where_a_rule_is_broken() {
    for (mutation, servers) in [(Mutation::VotesForEveryone, 3), (Mutation::HalfIsAQuorum, 2)] {
        let slice = Slice { appends: false, ..plain(servers, 1, Election::NAIVE) };
        let model = actor_model_with(&slice, Guards::broken(mutation), CLOCK_MOVES);
        let wanted = HasDiscoveries::AllOf(["ElectionSafety"].into_iter().collect());
        let checker = model.checker().finish_when(wanted).spawn_bfs().join();
        let path = checker.discovery("ElectionSafety").expect("two servers lead one term");
        let led: Vec<_> =
            path.last_state().actor_states.iter().flat_map(|member| member.led.clone()).collect();
        assert_eq!(led.len(), 2, "{}: {led:?}", mutation.name());
        assert_eq!(led[0], led[1]);
    }
}

/// Stateright 0.31.0 hashes a set without its length, so that two actors' sets of timers side by
/// side can be mistaken for each other's. Here all are always set, and no state is lost.
#[test]
fn sets_of_timers_that_stateright_would_confuse_do_not_occur() {
    let set = |timers: &[Timer]| {
        let mut set = Timers::new();
        for timer in timers {
            set.set(*timer);
        }
        set
    };
    let hash = |timers: &[Timers<Timer>]| {
        let mut hasher = DefaultHasher::new();
        timers.hash(&mut hasher);
        hasher.finish()
    };
    let (first, second) =
        ([set(&[Timer::Election]), set(&[])], [set(&[]), set(&[Timer::Election])]);
    assert_ne!(first, second);
    assert_eq!(hash(&first), hash(&second), "the trap is gone: Stateright has mended it");

    let slice = plain(3, 1, Election::NAIVE);
    let always = vec![set(&Timer::ALL); slice.servers];
    let model = actor_model(&slice);
    let mut waiting = model.init_states();
    let mut seen: HashSet<RaftState> = waiting.iter().cloned().collect();
    while let Some(state) = waiting.pop() {
        assert_eq!(state.timers_set, always);
        for next in model.next_states(&state) {
            if seen.insert(next.clone()) {
                waiting.push(next);
            }
        }
    }
    let stateright = actor_model(&slice).checker().spawn_bfs().join().unique_state_count();
    assert_eq!((stateright, protocol_states(&model).unique), (seen.len(), seen.len()));
}

/// A leader with a lease, among three whose clocks are within a tick of each other, as Stateright
/// sees them: safe at the bound, and a phantom leader one tick past it.
#[test]
fn a_lease_is_exclusive_in_the_actor_model_up_to_the_bound_and_not_past_it() {
    let leases = slices::named("lease-actors").expect("it is in the catalogue");
    let check = |slice| {
        let model = Forgetful(actor_model(&slice));
        model.checker().threads(2).spawn_dfs().join()
    };
    let safe = check(leases);
    safe.assert_properties();
    assert_eq!(safe.unique_state_count(), 220_873);
    let past = check(Slice { lease: leases.lease.map(|ticks| ticks + 1), ..leases });
    let found = past.discoveries();
    assert!(found.contains_key("LeaseExclusive") && found.contains_key("LinearizableRead"));
}
