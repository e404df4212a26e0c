//! Runs that are kept as text: under the mutant that one names it breaks the claim that it names,
//! and under the sound rules, with clocks within their bound, it breaks nothing.

#![allow(clippy::unwrap_used, missing_docs)]

use quorate_model::simulation::{Cluster, Count, Scenario, Setup, Trace, Watch, replay, run, tell};
use quorate_spec::property::{Claim, ClaimSet};

#[test]
fn kept_runs_break_nothing_under_the_sound_rules() {
    for (name, setup, trace) in kept() {
        let sound = Setup::sound(setup.servers, within_bound(setup.scenario));
        let ran = run(&sound, &trace);
        assert!(ran.is_ok(), "{name}: {}", tell(&sound, &trace));
    }
}

#[test]
fn kept_runs_break_their_claim_under_their_mutant() {
    let breaks =
        |setup: &Setup| setup.mutation.is_some() || setup.scenario != within_bound(setup.scenario);
    for (name, setup, trace) in kept().into_iter().filter(|kept| breaks(&kept.1)) {
        let failure = run(&setup, &trace).err();
        let failure = failure.unwrap_or_else(|| {
            panic!(
                "{name} shows its mutant no longer: QUORATE_BLESS=1 writes it anew, see mutants.rs"
            )
        });
        assert_eq!(failure.found.iter().count(), 1, "{name}: {failure}");
    }
}

#[test]
fn there_are_kept_runs_to_look_at() {
    assert!(kept().len() >= 6);
}

#[test]
fn a_story_names_the_claim_and_replays() {
    let (_, setup, trace) = kept().swap_remove(0);
    let story = tell(&setup, &trace);
    let found = run(&setup, &trace).unwrap_err().found;
    println!("{story}");
    assert!(story.starts_with(&found.to_string()));
    assert!(story.ends_with(&trace.file(&setup)));
}

/// As the states that the model checker's are shown as: the claim is false in the last of them,
/// and in no other.
#[test]
fn kept_runs_replay_up_to_the_claim_that_they_name() {
    for (name, setup, trace) in kept() {
        let Watch::Only(claim) = setup.watch else { panic!("{name} names no claim") };
        let scenes = replay(&trace.file(&setup)).unwrap();
        let ((sentence, last), before) = scenes.split_last().unwrap();
        println!("{name}, {} scenes: {sentence}\n{last:?}", scenes.len());
        assert!(last.broken.contains(claim), "{name}: {:?}", last.broken);
        assert!(sentence.contains(&format!("now {claim} is false")), "{name}: {sentence}");
        assert!(before.iter().all(|(_, state)| !state.broken.contains(claim)), "{name}");
    }
}

/// After an operation only what it can have changed is looked at again. That has to come to the
/// same as looking at everything.
#[test]
fn looking_at_what_changed_is_looking_at_everything() {
    for (name, setup, trace) in kept() {
        let whole = [Scenario::Faults, Scenario::Naive].contains(&setup.scenario);
        if !whole {
            continue;
        }
        let (mut part, mut all) = (setup.cluster(), setup.cluster());
        for (number, step) in trace.0.iter().enumerate() {
            part.apply(step);
            all.apply(step);
            all.check_everything();
            assert_eq!(part.found(), all.found(), "{name}, step {number}");
        }
    }
}

/// A leader that takes half for a majority commits when its disk reports: no log changes then.
const COMMITS_ALONE: &str = "servers 2
mutant HalfIsAQuorum
timeout 0 0 0
report 0 0 0
report 0 0 0
";

#[test]
fn a_commit_is_looked_at_though_no_log_has_changed() {
    let (setup, trace) = Trace::parse(COMMITS_ALONE).unwrap();
    let mut cluster = setup.cluster();
    let (last, before) = trace.0.split_last().unwrap();
    let lacks_a_quorum = |cluster: &Cluster| cluster.found().broken().contains(Claim::QuorumLog);
    before.iter().for_each(|step| cluster.apply(step));
    assert!(!lacks_a_quorum(&cluster));
    let log = cluster.servers()[0].node.log().clone();
    cluster.apply(last);
    let node = &cluster.servers()[0].node;
    assert_eq!((node.log(), node.commit_index()), (&log, log.last().index));
    assert!(lacks_a_quorum(&cluster), "{:?}", cluster.found());
}

/// A server that stops because its leader contradicts a commit has found a claim broken.
#[test]
fn what_stops_a_server_is_found() {
    let heard = |mutant: &str| {
        let text = format!("servers 3\n{mutant}\nelapse-all 0 8088 0\ntimeout 0 0 0\ncalm 0 5 0\n");
        let (setup, trace) = Trace::parse(&text).unwrap();
        let mut cluster = setup.cluster();
        trace.0.iter().for_each(|step| cluster.apply(step));
        assert!(cluster.counts().of(Count::Elected) > 0, "somebody leads, and is heard");
        cluster.found().broken()
    };
    assert!(heard("").is_empty());
    assert_eq!(heard("mutant BaseIsAConflict"), ClaimSet::of(&[Claim::LeaderCompleteness]));
}

/// The same scenario, but for clocks that drift no further than leases allow.
fn within_bound(scenario: Scenario) -> Scenario {
    if scenario == Scenario::Overdrift { Scenario::Leases } else { scenario }
}

fn kept() -> Vec<(String, Setup, Trace)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/traces");
    let mut paths: Vec<_> =
        std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "trace"));
    let read = |path: &std::path::PathBuf| {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        let text = std::fs::read_to_string(path).unwrap();
        let (setup, trace) = Trace::parse(&text).unwrap_or_else(|e| panic!("{name}: {e}"));
        (name, setup, trace)
    };
    paths.iter().map(read).collect()
}
