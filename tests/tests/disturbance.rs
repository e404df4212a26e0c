//! A leader that its voters hear is not deposed by a minority that crashes, hears late or nothing,
//! and campaigns (claim NonDisruption).

#![allow(clippy::unwrap_used, missing_docs)]

use quorate_model::simulation::{Count, Scenario, Setup};
use quorate_tests::Search;

const REGRESSIONS: &str =
    concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/disturbance.txt");

#[test]
fn two_of_five_servers_disturb_no_leader() {
    undisturbed(5);
}

#[test]
fn three_of_seven_servers_disturb_no_leader() {
    undisturbed(7);
}

fn undisturbed(servers: usize) {
    let setup = Setup::sound(servers, Scenario::Disturbance);
    let seen = Search { setup, runs: 60, steps: 200..2000 }.holds(REGRESSIONS);
    println!("{setup}:\n{}", seen.counts);
    let runs = seen.counts.of(Count::Runs);
    assert_eq!(seen.counts.of(Count::SteppedDown), 0, "no leader stepped down");
    assert_eq!(seen.counts.of(Count::Elected), runs, "each run has one leader");
    for (count, least) in [
        (Count::PreCampaigns, 10 * runs),
        (Count::PromisesKept, 50 * runs),
        (Count::Crashes, 5 * runs),
        (Count::Cuts, 20 * runs),
        (Count::Committed, 20 * runs),
    ] {
        let times = seen.counts.of(count);
        assert!(times >= least, "only {times} {}, of at least {least}", count.words());
    }
}
