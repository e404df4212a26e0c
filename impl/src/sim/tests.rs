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
    eventful(&counts);
}

/// Every fault has come, and everything that can come of it: about a third of what is usual.
fn eventful(counts: &Counts) {
    let least = [
        ("steps", 100_000),
        ("boundaries passed", 300_000),
        ("losses of power", 30),
        ("crashes right after a submit", 10),
        ("crashes between a sync and its report", 10),
        ("crashes between a state and its report", 5),
        ("crashes between a report and its reading", 15),
        ("crashes between a fetch and its use", 10),
        ("crashes before a packet leaves", 20),
        ("crashes after a packet left", 15),
        ("crashes before a packet is taken in", 15),
        ("crashes before a batch is applied", 5),
        ("crashes between applying and answering", 10),
        ("unsynced writes lost", 25),
        ("unsynced writes that survived", 20),
        ("nodes that stopped for a failed sync", 30),
        ("nodes that stopped for a full disk", 30),
        ("nodes that were shut down", 10),
        ("disks that stood still", 50),
        ("fetches", 1_000),
        ("packets and letters lost", 10_000),
        ("links cut in one direction", 35),
        ("nodes cut off", 35),
        ("links that were slow", 35),
        ("clocks that changed their rate", 70),
        ("campaigns", 120),
        ("elections", 100),
        ("leaders that stepped down", 20),
        ("leaderships handed over", 5),
        ("campaigns asked for", 3),
        ("entries truncated", 12),
        ("snapshots taken", 800),
        ("snapshots installed", 80),
        ("writes acknowledged", 4_000),
        ("writes repeated", 300),
        ("reads by a lease", 2_500),
        ("reads by a round", 4_000),
    ];
    for (what, least) in least {
        let times = counts.of(what);
        assert!(times >= least, "only {times} {what}, of at least {least}");
    }
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

/// PublishesBeforeApplying is found by the snapshots that are then installed too late, and not by what
/// it is for: the machine is a task of the same thread, so it applies when all effects of the step are
/// performed. `order/tests.rs` finds that, where the machine has a thread.
#[test]
fn a_broken_promise_of_the_driver_is_found_by_random_runs() {
    for promise in Promise::ALL {
        let tries = 12;
        let broken = |seed| Plan { broken: Some(promise), ..Plan::random(seed) };
        let mut runs = (0..tries).map(|seed| (seed, run(broken(seed)).wrong));
        let found = runs.find(|(_, wrong)| !wrong.is_empty());
        let Some((seed, wrong)) = found else { panic!("{promise:?} is missed in {tries} runs") };
        println!("{promise:?} is found with seed {seed}: {}", wrong[0]);
    }
}

/// Why a broken promise costs nothing here that clients or other servers could see; none where it does.
fn why_not(promise: Promise) -> Option<&'static str> {
    match promise {
        Promise::WritesBeforeSending
        | Promise::CountsWhatIsDurable
        | Promise::StartsAtTheSnapshot
        | Promise::ReportsNameWrites
        | Promise::StartsFromTheDisk
        | Promise::AppliesTheCommitted
        | Promise::PublishesBeforeApplying => None,
        Promise::StopsAtFailure => Some(
            "a driver that goes on after a failure hears of it again and again, and never waits: no \
             time passes any more",
        ),
        Promise::KeepsStateBeforeCompaction => Some(
            "a disk that keeps the laws holds the write back until the state is durable (rule S5)",
        ),
        Promise::PublishesBeforeSending => Some(
            "no message arrives, and no client reads, between two effects of one step: that takes a \
             reader on another thread",
        ),
    }
}

/// Nobody looks into a node here, so the faults themselves have to bring the damage about.
#[test]
fn what_a_broken_promise_costs_is_seen_from_outside() {
    for promise in Promise::ALL {
        if let Some(why) = why_not(promise) {
            println!("{promise:?} costs nothing here: {why}");
            continue;
        }
        let tries = 40;
        let broken = |seed| {
            let plan = Plan { servers: 3, from_outside: true, ..Plan::random(seed) };
            Plan { broken: Some(promise), ..plan }
        };
        let mut runs = (0..tries).map(|seed| (seed, run(broken(seed)).wrong));
        let found = runs.find(|(_, wrong)| !wrong.is_empty());
        let Some((seed, wrong)) = found else {
            panic!("{promise:?} costs nothing in {tries} runs")
        };
        println!("{promise:?} with seed {seed}: {}", wrong[0]);
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
    let beyond = |seed| Plan { from_outside: true, ..cut_off(seed, 800_000) };
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
