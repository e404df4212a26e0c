#![allow(clippy::unwrap_used, missing_docs)]
use proptest::test_runner::*;
use quorate_model::mutation::Mutation;
use quorate_tests::*;
use std::cell::{Cell, RefCell};

fn go(setup: Setup, cases: u32, steps: std::ops::Range<usize>, show: bool) -> bool {
    let t = std::time::Instant::now();
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases,
            max_shrink_iters: 20_000,
            max_shrink_time: 20_000,
            failure_persistence: None,
            ..Config::default()
        },
        TestRng::deterministic_rng(RngAlgorithm::ChaCha),
    );
    let n = Cell::new(0);
    let first = Cell::new(0usize);
    let tries = Cell::new(0);
    let total = RefCell::new(Counts::default());
    let rounds = RefCell::new(Vec::new());
    let r = runner.run(&Traces { servers: setup.servers, steps }, |trace| {
        tries.set(tries.get() + 1);
        match run(&setup, &trace) {
            Ok(ran) => {
                if first.get() == 0 {
                    n.set(n.get() + 1);
                }
                total.borrow_mut().absorb(&ran.counts);
                rounds.borrow_mut().extend(ran.settled.map(|s| s.rounds));
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
    let mut v = rounds.borrow().clone();
    v.sort();
    match r {
        Err(TestError::Fail(why, trace)) => {
            println!(
                "{setup} {:?} case {} step {} -> {} in {} tries {:?}: {}",
                setup.watch,
                n.get(),
                first.get(),
                trace.0.len(),
                tries.get(),
                t.elapsed(),
                why.to_string().replace('\n', " | ").chars().take(120).collect::<String>()
            );
            if show {
                println!("{}", tell(&setup, &trace));
            }
            true
        }
        _ => {
            println!(
                "{setup} {:?} NOT FOUND {:?} {:?}",
                setup.watch,
                t.elapsed(),
                (!v.is_empty()).then(|| (v[v.len() / 2], v[v.len() * 9 / 10], v[v.len() - 1]))
            );
            if show {
                println!("{}", total.borrow())
            };
            false
        }
    }
}

#[test]
fn sound() {
    for s in Scenario::ALL {
        for n in [5, 7] {
            go(Setup::sound(n, s), 100, 500..3500, true);
        }
    }
}
#[test]
fn small() {
    for n in [1, 2, 3, 4] {
        for s in Scenario::ALL {
            go(Setup::sound(n, s), 100, 500..1500, true);
        }
    }
}
#[test]
fn mutants() {
    for m in Mutation::ALL {
        for (n, s) in [
            (5, Scenario::Faults),
            (5, Scenario::Naive),
            (5, Scenario::Recovery),
            (5, Scenario::Disturbance),
            (4, Scenario::Faults),
            (1, Scenario::Faults),
        ] {
            for watch in [Watch::Only(m.killer()), Watch::Everything] {
                let setup = Setup { servers: n, scenario: s, mutation: Some(*m), watch };
                if go(setup, 200, 300..900, false) {
                    break;
                }
            }
        }
    }
}
