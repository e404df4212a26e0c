//! The table of leases: parameter sets on both sides of the inequality, in both encodings.

use quorate_model::check::{Checked, Verdict};
use quorate_model::clocks::{Assumption, Clocks, Encoding};

use super::{counted, grouped, numbers, table};

/// What makes two runs the same parameter set: assumption, election timeout, lease.
type Set = (Assumption, u64, u64);

/// Prints the table of the timed slices that ran, if any did.
pub(super) fn print(checked: &[Checked]) {
    let timed = || checked.iter().filter_map(|run| Some((set(run)?, run)));
    let mut sets: Vec<Set> = timed().map(|(set, _)| set).collect();
    sets.sort_unstable();
    sets.dedup();
    if sets.is_empty() {
        return;
    }
    let mut rows = table(&[
        "clocks",
        "ε",
        "E",
        "L",
        "inequality",
        "",
        "a clock a server",
        "states",
        "one tick for all",
        "states",
    ]);
    for set in sets {
        let (assumption, election_timeout, lease) = set;
        let (name, times) = match assumption {
            Assumption::Skew(_) => ("skew", 2),
            Assumption::Drift(_) => ("drift", 1),
        };
        let bound = assumption.bound();
        let sum = lease + times * bound;
        let sign = if sum <= election_timeout { "≤" } else { ">" };
        let factor = if times == 1 { String::new() } else { format!("{times}·") };
        let mut row = vec![
            name.to_owned(),
            bound.to_string(),
            election_timeout.to_string(),
            lease.to_string(),
            format!("{lease} + {factor}{bound} {sign} {election_timeout}"),
            if sum <= election_timeout { "met" } else { "not met" }.to_owned(),
        ];
        for encoding in [Encoding::PerServer, Encoding::Global] {
            let of =
                |run: &Checked| run.slice.clocks.is_some_and(|clocks| clocks.encoding == encoding);
            let run = timed().find(|(other, run)| *other == set && of(run));
            row.push(run.map_or("-".to_owned(), |(_, run)| verdict(run)));
            row.push(run.map_or("-".to_owned(), |(_, run)| grouped(run.unique)));
        }
        rows.add_row(row);
    }
    numbers(&mut rows, &[1, 2, 3, 7, 9]);
    let rows = rows.trim_fmt();
    say!(
        "\n{rows}\n a lease of L ticks, promises of E; skew: clocks within ε of each other; drift: no clock \
         gains more than ε on another"
    );
}

fn set(run: &Checked) -> Option<Set> {
    let Clocks { assumption, election_timeout, .. } = run.slice.clocks?;
    Some((assumption, election_timeout, run.slice.lease?))
}

/// The verdict, with the length of the shortest way to a violation.
fn verdict(run: &Checked) -> String {
    match (run.verdict(), run.violations.first()) {
        (Verdict::Violated(claim), Some(violation)) => {
            format!("VIOLATED {claim} in {}", counted(violation.steps, "step"))
        }
        (verdict, _) => verdict.to_string(),
    }
}
