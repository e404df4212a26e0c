#![allow(clippy::unwrap_used, missing_docs)]
use proptest::test_runner::*;
use quorate_tests::*;
use std::cell::RefCell;

fn go(servers: usize, cases: u32) {
    let setup = Setup::sound(servers);
    let t = std::time::Instant::now();
    let mut runner = TestRunner::new(Config {
        cases,
        max_shrink_iters: 20_000,
        failure_persistence: None,
        ..Config::default()
    });
    let total = RefCell::new(Counts::default());
    let r = runner.run(&Traces { servers, steps: 1500..2500 }, |trace| match run(&setup, &trace) {
        Ok((_, c)) => {
            total.borrow_mut().absorb(&c);
            Ok(())
        }
        Err(f) => Err(TestCaseError::fail(f.to_string())),
    });
    println!("{servers}: {:?}\n{}", t.elapsed(), total.borrow());
    if let Err(TestError::Fail(why, trace)) = r {
        panic!("{why}\n{}", tell(&setup, &trace));
    }
}
#[test]
fn five() {
    go(5, 20)
}
#[test]
fn seven() {
    go(7, 20)
}
