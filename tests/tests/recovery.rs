//! After any faults, once they end, a leader commits what is proposed and everyone learns it
//! (claim NoDeadlock), in a bounded time; the reads that waited are answered (claim ReadProgress),
//! and a transfer that was under way has ended, and another one succeeds (claim TransferProgress).

#![allow(clippy::unwrap_used, missing_docs)]

use quorate_model::simulation::{BOUND, Count, Scenario, Setup};
use quorate_tests::Search;

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/recovery.txt");

#[test]
fn five_servers_recover() {
    recover(5);
}

#[test]
fn seven_servers_recover() {
    recover(7);
}

fn recover(servers: usize) {
    let setup = Setup::sound(servers, Scenario::Recovery);
    let seen = Search { setup, runs: 1000, steps: 20..600 }.holds(REGRESSIONS);
    let mut rounds: Vec<_> = seen.settled.iter().map(|settled| settled.rounds).collect();
    rounds.sort_unstable();
    let (median, most) = (rounds[rounds.len() / 2], rounds[rounds.len() - 1]);
    println!("{setup}: {median} fair rounds in the median, {most} at most, {BOUND} allowed");
    assert_eq!(rounds.len() as u64, seen.counts.of(Count::Runs), "every run came to rest");
    assert!(most > 40, "some run had to wait for an election timeout");
    for (count, least) in [(Count::ReadsOwed, 300), (Count::TransfersOwed, 10)] {
        let times = seen.counts.of(count);
        println!("{times} {}", count.words());
        assert!(times >= least, "only {times} {}, of at least {least}", count.words());
    }
}
