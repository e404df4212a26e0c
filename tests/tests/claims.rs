//! No claim becomes false in long runs of five and seven servers under every fault, and the runs
//! see enough happen for that to mean something.

#![allow(clippy::unwrap_used, missing_docs)]

use quorate_model::simulation::{Count, Scenario, Setup};
use quorate_tests::{Search, Seen};

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/claims.txt");

#[test]
fn five_servers_keep_every_claim() {
    eventful(&hold(5, Scenario::Faults));
}

#[test]
fn seven_servers_keep_every_claim() {
    eventful(&hold(7, Scenario::Faults));
}

#[test]
fn five_servers_keep_every_claim_without_protected_elections() {
    eventful(&hold(5, Scenario::Naive));
}

#[test]
fn seven_servers_keep_every_claim_without_protected_elections() {
    eventful(&hold(7, Scenario::Naive));
}

#[test]
fn five_servers_and_a_learner_keep_every_claim() {
    eventful(&hold(6, Scenario::Learner));
}

#[test]
fn claims_hold_while_the_members_change_among_five_servers() {
    members_change(&hold(5, Scenario::Membership));
}

#[test]
fn claims_hold_while_the_members_change_among_seven_servers() {
    members_change(&hold(7, Scenario::Membership));
}

#[test]
fn three_servers_keep_every_claim_as_they_do_in_the_model() {
    eventful(&hold(3, Scenario::Faults));
}

#[test]
fn two_servers_keep_every_claim() {
    something_happens(&hold(2, Scenario::Faults));
}

#[test]
fn four_servers_keep_every_claim_without_a_window() {
    let seen = hold(4, Scenario::Windowless);
    something_happens(&seen);
    assert_eq!(seen.counts.of(Count::Pipelined), 0, "no request leaves before an answer");
}

fn hold(servers: usize, scenario: Scenario) -> Seen {
    let setup = Setup::sound(servers, scenario);
    let seen = Search { setup, runs: 60, steps: 500..3500 }.holds(REGRESSIONS);
    println!("{setup}:\n{}", seen.counts);
    seen
}

/// Changes begin, go joint and complete, leaders are removed by them, snapshots are taken and installed
/// meanwhile, and each run ends with a change that is complete.
fn members_change(seen: &Seen) {
    let least = [
        (Count::Steps, 60_000),
        (Count::Elected, 100),
        (Count::Committed, 300),
        (Count::Crashes, 200),
        (Count::Truncated, 30),
        (Count::Configurations, 150),
        (Count::Joint, 50),
        (Count::LeadersRemoved, 20),
        (Count::Snapshots, 300),
        (Count::Installed, 50),
    ];
    for (count, least) in least {
        let times = seen.counts.of(count);
        assert!(times >= least, "only {times} {}, of at least {least}", count.words());
    }
    assert!(seen.settled.len() >= 60);
}

/// Leaders change, and entries are committed, though not as many as in larger clusters and with a
/// window.
fn something_happens(seen: &Seen) {
    for count in [Count::Elected, Count::Committed, Count::Crashes, Count::WritesLost] {
        let times = seen.counts.of(count);
        assert!(times >= 30, "only {times} {}, of at least 30", count.words());
    }
}

/// About a third of what is usual.
fn eventful(seen: &Seen) {
    let least = [
        (Count::Steps, 60_000),
        (Count::Operations, 100_000),
        (Count::Terms, 200),
        (Count::Candidacies, 300),
        (Count::Elected, 150),
        (Count::SteppedDown, 50),
        (Count::Crashes, 300),
        (Count::WritesLost, 50),
        (Count::Committed, 700),
        (Count::Truncated, 30),
        (Count::Conflicts, 150),
        (Count::Held, 4000),
        (Count::Overtakes, 200),
        (Count::Duplicates, 300),
        (Count::Dropped, 500),
        (Count::Cuts, 1000),
        (Count::LogsRefused, 100),
        (Count::Pipelined, 500),
    ];
    for (count, least) in least {
        let times = seen.counts.of(count);
        assert!(times >= least, "only {times} {}, of at least {least}", count.words());
    }
}
