#![allow(clippy::unwrap_used, missing_docs)]
use proptest::test_runner::*;
use quorate_model::mutation::Mutation;
use quorate_tests::*;
use std::cell::Cell;

#[test]
fn survey() {
    for m in Mutation::ALL.iter().filter(|m| {
        [
            "AcksOwnLength",
            "CountsOldAnswers",
            "CountsOldVotes",
            "ForgetsVoteOnStepDown",
            "UpToDateByLength",
            "CommitsBeyondValidated",
            "CountsOwnUnwritten",
            "MatchGoesBack",
        ]
        .contains(&m.name())
    }) {
        for watch in [Watch::Only(m.killer())] {
            let setup = Setup { watch, ..Setup::broken(5, *m) };
            let t = std::time::Instant::now();
            let mut runner = TestRunner::new_with_rng(
                Config {
                    cases: 600,
                    max_shrink_iters: 20_000,
                    max_shrink_time: 20_000,
                    failure_persistence: None,
                    ..Config::default()
                },
                TestRng::deterministic_rng(RngAlgorithm::ChaCha),
            );
            let cases = Cell::new(0);
            let first = Cell::new(0usize);
            let tries = Cell::new(0);
            let r = runner.run(&Traces { servers: 5, steps: 1500..2500 }, |trace| {
                tries.set(tries.get() + 1);
                match run(&setup, &trace) {
                    Ok(_) => {
                        if first.get() == 0 {
                            cases.set(cases.get() + 1);
                        }
                        Ok(())
                    }
                    Err(f) => {
                        if first.get() == 0 {
                            first.set(f.steps);
                        }
                        Err(TestCaseError::fail(f.to_string()))
                    }
                }
            });
            match r {
                Err(TestError::Fail(why, trace)) => println!(
                    "{:28} {:?} case {} step {} -> {} in {} tries {:?}: {}",
                    m.name(),
                    watch,
                    cases.get(),
                    first.get(),
                    trace.0.len(),
                    tries.get(),
                    t.elapsed(),
                    why.to_string().replace('\n', " | ")
                ),
                _ => println!("{:28} {:?} NOT FOUND {:?}", m.name(), watch, t.elapsed()),
            }
        }
    }
}
