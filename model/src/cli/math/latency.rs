//! `quorate-model math latency`.

use std::path::PathBuf;

use clap::value_parser;
use quorate_model::math::estimate::Estimate;
use quorate_model::math::latency::{Fleet, Row, VARIES};
use quorate_spec::Duration;
use serde::Serialize;

use super::units::{Unit, shown, time};
use super::{SEED, watched};
use crate::cli::{AS_DECLARED, Usage, grouped, numbers, table, writable, write_report};

/// The shortest round trip, in nanoseconds: what is measured is rounded to whole ones.
const SHORTEST: u64 = 1_000;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The number of servers, the leader included
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = value_parser!(u64).range(1..=12))]
    nodes: u64,
    /// How many followers are slow; without it a row for each number
    #[arg(long, value_name = "K")]
    slow: Option<u64>,
    /// How many times slower they are, network and disk
    #[arg(long, value_name = "F", default_value_t = 10.0, value_parser = factor)]
    factor: f64,
    /// The mean round trip between two servers that are not slow
    #[arg(long, value_name = "TIME", default_value = "10ms", value_parser = time)]
    rtt: Duration,
    /// How long the disk of such a server takes
    #[arg(long, value_name = "TIME", default_value = "1ms", value_parser = time)]
    fsync: Duration,
    /// How many commits are timed in each row
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = value_parser!(u32).range(2..=1_000_000))]
    runs: u32,
    /// What determines all random numbers
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn factor(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (1.0..=100.0).contains(number));
    number.ok_or_else(|| "give a number from 1 to 100".to_owned())
}

/// What `--json` writes; times in nanoseconds.
#[derive(Serialize)]
struct Report {
    seed: u64,
    rows: Vec<Row>,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    let Arguments { nodes, slow, factor, rtt, fsync, .. } = *arguments;
    if slow.is_some_and(|slow| slow >= nodes) {
        return Err(Usage(format!(
            "{nodes} servers have {} followers that can be slow",
            nodes - 1
        )));
    }
    if rtt.0 < SHORTEST {
        return Err(Usage("delays are rounded to 1 ns: give an --rtt of 1us or more".to_owned()));
    }
    writable(&arguments.json)?;
    let chosen = slow.map_or(0..=nodes - 1, |slow| slow..=slow);
    let (round_trip, fsync) = (rtt.0 as f64, fsync.0 as f64);
    let of = |slow| Fleet { servers: nodes, slow, factor, round_trip, fsync };
    let fleets: Vec<Fleet> = chosen.map(of).collect();
    let run = |fleet: &Fleet| Row::of(*fleet, arguments.runs as usize, arguments.seed);
    let rows = watched("math latency", &fleets, run);
    print(&rows, rtt);
    write_report(&arguments.json, &Report { seed: arguments.seed, rows })?;
    Ok(AS_DECLARED)
}

fn print(rows: &[Row], rtt: Duration) {
    let unit = Unit::of(rtt);
    let time = |ticks: f64| format!("{:.2}", unit.count(ticks));
    let interval = |it: Estimate| format!("{} to {}", time(it.low), time(it.high));
    let mut lines = table(&["servers", "slow", "p50", "formula", "95 %", "p99", "formula", "95 %"]);
    for row in rows {
        lines.add_row(vec![
            row.fleet.servers.to_string(),
            row.fleet.slow.to_string(),
            time(row.p50.value),
            time(row.p50_by_formula),
            interval(row.p50),
            time(row.p99.value),
            time(row.p99_by_formula),
            interval(row.p99),
        ]);
    }
    numbers(&mut lines, &[0, 1, 2, 3, 4, 5, 6, 7]);
    let Some(Row { fleet, runs, .. }) = rows.first() else { return };
    let fixed = (1.0 - VARIES) * 100.0;
    say!(
        "{lines}\n\n times in {}, of {} commits in each row; the interval holds the true percentile with 95 %; a \
         round trip takes\n {} on average, {fixed:.0} % of it each time, a disk {}, slow ones {} times \
         that; the leader is not slow",
        unit.name,
        grouped(*runs as u64),
        shown(rtt),
        shown(Duration(fleet.fsync as u64)),
        fleet.factor
    );
}
