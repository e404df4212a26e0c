//! Leases rest on clocks (thesis §6.4.1): with every clock within the bound that the lease allows
//! for, no read is stale, whatever else fails; with clocks beyond it one is.
//!
//! Whether a server would serve a lease read is asked of every server after every operation, with
//! what it has published and the present time of its own clock.

#![allow(clippy::unwrap_used, missing_docs)]

use quorate_model::mutation::Mutation;
use quorate_model::simulation::{Count, Scenario, Setup, Watch, run};
use quorate_spec::property::Claim;
use quorate_tests::{Counterexample, Search, Seen};

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/leases.txt");

#[test]
fn three_servers_serve_no_stale_read() {
    leaders_are_replaced(&hold(3, Scenario::Leases));
}

#[test]
fn five_servers_serve_no_stale_read() {
    leaders_are_replaced(&hold(5, Scenario::Leases));
}

#[test]
fn no_read_is_stale_while_the_members_change() {
    let seen = hold(5, Scenario::LeasedMembership);
    at_least(&seen, &[(Count::Phantoms, 5), (Count::TransfersDone, 15), (Count::Joint, 50)]);
}

/// Two leaders, two clocks, and a read at the one that was replaced.
#[test]
fn clocks_beyond_the_bound_make_a_read_stale() {
    let claim = Claim::LinearizableRead;
    let setup = Setup { watch: Watch::Only(claim), ..Setup::sound(5, Scenario::Overdrift) };
    let found = find(setup);
    if std::env::var_os("QUORATE_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/traces/Overdrift.trace");
        std::fs::write(path, found.trace.file(&setup)).unwrap();
    }
    let within = run(&Setup::sound(5, Scenario::Leases), &found.trace);
    assert!(within.is_ok(), "the same within the bound: {}", within.unwrap_err());
}

/// What a lease rests on beside clocks: without promises a stale read is found at once.
#[test]
fn promises_that_are_not_made_make_two_leaders() {
    let (servers, scenario, mutation) = (3, Scenario::Leases, Some(Mutation::NoPromise));
    let watch = Watch::Only(Claim::LeaseExclusive);
    let found = find(Setup { servers, scenario, mutation, watch });
    let sound = run(&Setup::sound(servers, scenario), &found.trace);
    assert!(sound.is_ok(), "the sound rules: {}", sound.unwrap_err());
}

fn find(setup: Setup) -> Counterexample {
    let found = Counterexample::to_claim_of(setup);
    let (before, after) = (found.steps_before, found.trace.0.len());
    assert!(after < before, "{before} steps shrank to {after}");
    found
}

/// Reads are asked for and answered everywhere, and clocks change their rates.
fn hold(servers: usize, scenario: Scenario) -> Seen {
    let setup = Setup::sound(servers, scenario);
    let seen = Search { setup, runs: 30, steps: 500..3500 }.holds(REGRESSIONS);
    println!("{setup}:\n{}", seen.counts);
    let least = [
        (Count::Steps, 30_000),
        (Count::Crashes, 200),
        (Count::Dropped, 500),
        (Count::Duplicates, 300),
        (Count::Overtakes, 200),
        (Count::Cuts, 500),
        (Count::PromisesKept, 500),
        (Count::RatesChanged, 150),
        (Count::LeaseReads, 100),
        (Count::LeaseReadsRefused, 40),
        (Count::ReadsAnswered, 200),
        (Count::ReadsAnsweredElsewhere, 250),
        (Count::ReadsFailed, 30),
    ];
    at_least(&seen, &least);
    assert_eq!(seen.settled.len() as u64, seen.counts.of(Count::Runs), "every run came to rest");
    seen
}

/// Leaders are replaced that do not know of it, by elections and by transfers, and are asked for
/// reads meanwhile; other transfers are given up. About a third of what is usual.
fn leaders_are_replaced(seen: &Seen) {
    let least = [
        (Count::Phantoms, 30),
        (Count::PhantomsRefuse, 1),
        (Count::TransfersDone, 50),
        (Count::TransfersGivenUp, 4),
    ];
    at_least(seen, &least);
}

fn at_least(seen: &Seen, least: &[(Count, u64)]) {
    for (count, least) in least {
        let times = seen.counts.of(*count);
        assert!(times >= *least, "only {times} {}, of at least {least}", count.words());
    }
}
