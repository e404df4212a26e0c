//! A failing run shrinks to the steps that it needs, and its text says all of it.

#![allow(clippy::unwrap_used, missing_docs)]

use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use quorate_model::explorer::{TraceWalk, Walk};
use quorate_model::mutation::Mutation;
use quorate_model::simulation::{Scenario, Setup, Step, Trace, Verb, Watch, replay, run};
use quorate_model::state::State;
use quorate_spec::property::Claim;
use quorate_tests::{Search, Traces};

const TRACES: Traces = Traces { servers: 5, steps: 1000..2000, scenario: Scenario::Faults };

#[test]
fn only_the_steps_that_are_needed_remain() {
    let crashes = |trace: &Trace| trace.0.iter().filter(|step| step.verb == Verb::Crash).count();
    let shrunk = shrink(|trace| crashes(trace) < 3);
    let crash = Step { verb: Verb::Crash, who: 0, size: 0, draw: 0 };
    assert_eq!(shrunk, Trace(vec![crash; 3]));
}

#[test]
fn numbers_become_as_small_as_they_can() {
    let late = |step: &Step| step.who >= 2 && step.size >= 777;
    let shrunk = shrink(|trace| !trace.0.iter().any(late));
    assert_eq!(shrunk.0.len(), 1);
    let Step { who, size, draw, .. } = shrunk.0[0];
    assert_eq!((who, size, draw), (2, 777, 0));
}

#[test]
fn a_trace_is_read_as_it_was_written() {
    let setup = Setup::sound(5, Scenario::LeasedMembership);
    // All verbs are drawn here.
    let traces = Traces { scenario: setup.scenario, ..TRACES };
    runner(20)
        .run(&traces, |trace| {
            assert_eq!(Trace::parse(&trace.file(&setup)).unwrap(), (setup, trace));
            Ok(())
        })
        .unwrap();
}

#[test]
fn a_run_depends_on_its_trace_alone() {
    let setup = Setup::sound(5, Scenario::LeasedMembership);
    let traces = Traces { scenario: setup.scenario, ..TRACES };
    runner(5)
        .run(&traces, |trace| {
            assert_eq!(run(&setup, &trace), run(&setup, &trace));
            Ok(())
        })
        .unwrap();
}

/// A planted mutant is found, and what is left of the run says in a file what it showed.
#[test]
fn a_shrunk_run_replays_from_its_file_to_the_claim_that_it_broke() {
    let claim = Claim::VoteOncePerTerm;
    let setup = Setup {
        servers: 5,
        scenario: Scenario::Faults,
        mutation: Some(Mutation::VotesForEveryone),
        watch: Watch::Only(claim),
    };
    let found = Search { setup, runs: 600, steps: 100..900 }.finds().unwrap();
    assert!(found.trace.0.len() < found.steps_before);
    let path = concat!(env!("CARGO_TARGET_TMPDIR"), "/shrunk.trace");
    std::fs::write(path, found.trace.file(&setup)).unwrap();
    let scenes = replay(&std::fs::read_to_string(path).unwrap()).unwrap();
    let broken = |state: &State| state.broken.contains(claim);
    let first = scenes.iter().position(|(_, state)| broken(state));
    assert_eq!(first, Some(scenes.len() - 1), "it is false at the end and not before");
}

/// What a failing property prints ends with a command that works as it is.
#[test]
fn a_report_names_the_command_and_the_file_that_it_has_written() {
    let setup = Setup {
        servers: 5,
        scenario: Scenario::Faults,
        mutation: Some(Mutation::PromiseLostAtRestart),
        watch: Watch::Everything,
    };
    let found = Search { setup, runs: 600, steps: 100..900 }.finds().unwrap();
    let report = found.report(&setup);
    let command = "cargo run --release -p quorate-model -- explore --trace ";
    let file = report.lines().last().unwrap().strip_prefix(command).unwrap();
    let walk = TraceWalk::of_file("found", &std::fs::read_to_string(file).unwrap()).unwrap();
    let broken: Vec<_> = found.failure.found.broken().iter().map(Claim::name).collect();
    let verdicts = walk.verdicts(&walk.last()).into_iter();
    let shown: Vec<_> = verdicts.filter(|verdict| !verdict.holds).map(|v| v.claim).collect();
    assert!(!shown.is_empty());
    assert_eq!(shown, broken);
}

#[test]
fn a_line_that_means_nothing_is_named() {
    let error = Trace::parse("# a comment\nservers 5\n\nstep 1 2\n").unwrap_err();
    assert_eq!(error.line, 4);
}

fn shrink(holds: impl Fn(&Trace) -> bool) -> Trace {
    let fails = || TestCaseError::fail("it does not hold");
    let outcome =
        runner(100).run(&TRACES, |trace| if holds(&trace) { Ok(()) } else { Err(fails()) });
    match outcome {
        Err(TestError::Fail(_, trace)) => trace,
        Err(TestError::Abort(reason)) => panic!("{reason}"),
        Ok(()) => panic!("no run failed"),
    }
}

fn runner(cases: u32) -> TestRunner {
    let config =
        Config { cases, max_shrink_iters: 20_000, failure_persistence: None, ..Config::default() };
    TestRunner::new_with_rng(config, TestRng::deterministic_rng(RngAlgorithm::ChaCha))
}
