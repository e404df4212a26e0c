//! Runs by their seeds: the claims hold, runs repeat, and what is broken is found.

use std::sync::Arc;

use quorate_spec::{Configuration, NodeId};

use super::dice::Dice;
use super::disk::{Fault, SimDisk, SimStorage};
use super::journal::{Counts, Journal};
use super::plan::{Faults, Plan};
use super::run;
use crate::order::Promise;
use crate::storage::conformance::{self, CrashingDisk};

/// So many random runs; with `QUORATE_SCALE=100` a hundred times as many.
const RUNS: u64 = 48;

fn scale() -> u64 {
    number("QUORATE_SCALE").unwrap_or(1)
}

/// A number in the environment.
fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().and_then(|text| text.parse().ok())
}

/// Runs the plan; where something is wrong it says what, after which lines, and how to repeat it.
fn holds(plan: &Plan, test: &str) -> Counts {
    let Journal { wrong, counts, .. } = run(plan.clone());
    if wrong.is_empty() {
        return counts;
    }
    let again = run(Plan { lines: 60, ..plan.clone() });
    again.lines().for_each(|line| println!("{line}"));
    let crash_at = plan.crash_at.map_or(String::new(), |at| format!("QUORATE_CRASH_AT={at} "));
    panic!(
        "{wrong:#?}\nin the run of seed {seed}; every line of it: {crash_at}QUORATE_SEED={seed} \
         cargo test -p quorate --lib sim::tests::{test} -- --nocapture",
        seed = plan.seed
    )
}

/// Repeats the run that the environment names, with every line; false where it names none.
fn repeats(plan: impl Fn(u64) -> Plan) -> bool {
    let Some(seed) = number("QUORATE_SEED") else { return false };
    let plan = plan(seed);
    let crash_at = number("QUORATE_CRASH_AT").or(plan.crash_at);
    let journal = run(Plan { lines: usize::MAX, crash_at, ..plan });
    journal.lines().for_each(|line| println!("{line}"));
    assert_eq!(journal.wrong, Vec::<String>::new());
    true
}

#[test]
fn random_runs_keep_every_claim() {
    if repeats(Plan::random) {
        return;
    }
    let mut counts = Counts::default();
    for seed in 0..RUNS * scale() {
        counts.absorb(&holds(&Plan::random(seed), "random_runs_keep_every_claim"));
    }
    println!("{} runs:\n{counts}", RUNS * scale());
}

#[test]
fn a_seed_repeats_its_run() {
    for seed in [3, 8] {
        let plan = Plan { lines: usize::MAX, ..Plan::random(seed) };
        let (once, again) = (run(plan.clone()), run(plan));
        let differs = once.lines().zip(again.lines()).find(|(one, other)| one != other);
        assert_eq!(differs, None, "of {} lines", once.lines().len());
        assert!(once == again);
        assert!(once.lines().len() > 3_000, "only {} lines", once.lines().len());
    }
}

/// Why no run shows that a promise is broken; none where one does.
fn why_not(promise: Promise) -> Option<&'static str> {
    match promise {
        Promise::WritesBeforeSending
        | Promise::CountsWhatIsDurable
        | Promise::StartsAtTheSnapshot
        | Promise::ReportsNameWrites
        | Promise::StopsAtFailure
        | Promise::StartsFromTheDisk
        | Promise::AppliesTheCommitted
        | Promise::KeepsStateBeforeCompaction
        | Promise::PublishesBeforeSending => None,
        Promise::PublishesBeforeApplying => Some(
            "the machine is a task of the same thread: it applies when all effects of the step are \
             performed, whatever their order. order/tests.rs finds it, where the machine has a thread",
        ),
    }
}

#[test]
fn a_broken_promise_of_the_driver_is_found_by_random_runs() {
    for promise in Promise::ALL {
        if let Some(why) = why_not(promise) {
            println!("{promise:?} is not found here: {why}");
            continue;
        }
        let tries = 12;
        let broken = |seed| Plan { broken: Some(promise), ..Plan::random(seed) };
        let mut runs = (0..tries).map(|seed| (seed, run(broken(seed)).wrong));
        let found = runs.find(|(_, wrong)| !wrong.is_empty());
        let Some((seed, wrong)) = found else { panic!("{promise:?} is missed in {tries} runs") };
        println!("{promise:?} is found with seed {seed}: {}", wrong[0]);
    }
}

#[test]
fn clocks_within_the_bound_of_the_lease_show_no_stale_read_and_faster_ones_do() {
    let cut_off = |seed, drift| Plan { drift, faults: Faults::CutOff, ..Plan::random(seed) };
    for seed in 0..6 {
        let plan = cut_off(seed, super::plan::DRIFT);
        let journal = run(plan);
        assert_eq!(journal.wrong, Vec::<String>::new());
        assert!(journal.counts.of("reads by a lease") > 0);
    }
    // The lease allows for clocks that are off by 50,000 parts per million.
    let beyond = |seed| Plan { goes_on: true, ..cut_off(seed, 800_000) };
    let stale = |wrong: &String| wrong.contains("a stale read");
    let found = (0..6).find_map(|seed| run(beyond(seed)).wrong.into_iter().find(stale));
    println!("{found:?}");
    assert!(found.is_some(), "nothing is wrong with clocks that are off by far too much");
}

#[test]
fn a_crash_at_any_boundary_of_a_run_costs_nothing() {
    let script = |seed| Plan { faults: Faults::None, servers: 3, ..Plan::random(seed) };
    if repeats(script) {
        return;
    }
    let (test, mut counts) = ("a_crash_at_any_boundary_of_a_run_costs_nothing", Counts::default());
    for seed in 0..scale() {
        let all = holds(&script(seed), test).of("boundaries passed");
        for at in 1..=all {
            counts.absorb(&holds(&Plan { crash_at: Some(at), ..script(seed) }, test));
        }
        println!("{all} boundaries, a crash at each");
        assert!(all > 500, "only {all} boundaries");
    }
    println!("{counts}");
}

/// A [`SimDisk`], as the laws of storages want it.
struct Laws(SimDisk);

impl CrashingDisk for Laws {
    type Storage = SimStorage;

    fn open(&mut self) -> SimStorage {
        self.0.open(Arc::new(drop))
    }

    fn crash(&mut self, running: SimStorage) {
        self.0.lose_power();
        drop(running);
    }

    fn hold(&mut self) -> bool {
        self.0.hold(true);
        true
    }

    fn release(&mut self) {
        self.0.hold(false);
    }

    fn fail(&mut self) -> bool {
        self.0.set_fault(Some(Fault::Sync));
        true
    }
}

#[tokio::test(start_paused = true)]
async fn the_simulated_disk_keeps_the_laws_of_storages() {
    for seed in 0..20 {
        let disk = || {
            let configuration = Configuration::of((1..=3).map(NodeId));
            Laws(SimDisk::new(configuration, Dice::new(seed, 0)))
        };
        assert_eq!(conformance::check(disk).await, Ok(()));
    }
}
