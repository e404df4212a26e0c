//! `quorate-model math jitter`.

use std::path::PathBuf;

use clap::value_parser;
use quorate_model::math::estimate::Estimate;
use quorate_model::math::jitter::{NARROWEST, RULE, Row, Setting, recommended};
use quorate_spec::{Duration, Params};
use serde::Serialize;

use super::units::{Unit, shown, time};
use super::{SEED, percent, percents, watched};
use crate::cli::{AS_DECLARED, Usage, grouped, numbers, table, writable, write_report};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The numbers of servers
    #[arg(long, value_name = "N", value_delimiter = ',', default_values_t = [3, 5, 7],
        value_parser = value_parser!(u64).range(3..=12))]
    nodes: Vec<u64>,
    /// The windows from which election timeouts are drawn, in round trips
    #[arg(long, value_name = "W", value_delimiter = ',', default_values_t = [1.0, 2.0, 5.0, 10.0, 20.0, 50.0],
        value_parser = window)]
    window: Vec<f64>,
    /// A round trip as you measured it, as `2ms`: recommends parameters, and gives times in its unit
    #[arg(long, value_name = "TIME", value_parser = time)]
    rtt: Option<Duration>,
    /// How many runs of each setting
    #[arg(long, value_name = "N", default_value_t = 2_000, value_parser = value_parser!(u32).range(2..=10_000_000))]
    runs: u32,
    /// What determines all random numbers
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

fn window(text: &str) -> Result<f64, String> {
    let number = text.parse().ok().filter(|number| (NARROWEST..=1_000.0).contains(number));
    number.ok_or_else(|| format!("give a number of round trips from {NARROWEST} to 1000"))
}

/// What `--json` writes; times in round trips.
#[derive(Serialize)]
struct Report {
    seed: u64,
    rows: Vec<Row>,
    /// In nanoseconds, for the round trip that was measured.
    recommended: Option<Params>,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    writable(&arguments.json)?;
    let recommended = arguments.rtt.map(recommend).transpose()?;
    let settings = |servers: &u64| {
        let servers = *servers;
        let of = move |pre_vote| {
            arguments.window.iter().map(move |window| Setting {
                servers,
                pre_vote,
                window: *window,
            })
        };
        [true, false].into_iter().flat_map(of)
    };
    let settings: Vec<Setting> = arguments.nodes.iter().flat_map(settings).collect();
    let run = |setting: &Setting| Row::of(*setting, arguments.runs as usize, arguments.seed);
    let rows = watched("math jitter", &settings, run);
    print(&rows, arguments.rtt);
    if let (Some(rtt), Some(params)) = (arguments.rtt, &recommended) {
        say!("\n{}", advice(rtt, params));
    }
    write_report(&arguments.json, &Report { seed: arguments.seed, rows, recommended })?;
    Ok(AS_DECLARED)
}

fn recommend(rtt: Duration) -> Result<Params, Usage> {
    recommended(rtt).map_err(|error| Usage(format!("no parameters for that round trip: {error}")))
}

fn print(rows: &[Row], rtt: Option<Duration>) {
    let unit = rtt.map(Unit::of);
    // Measured are round trips.
    let time = |round_trips: f64| match (rtt, unit) {
        (Some(rtt), Some(unit)) => format!("{:.1}", unit.count(round_trips * rtt.0 as f64)),
        _ => format!("{round_trips:.1}"),
    };
    let mut lines = table(&[
        "servers",
        "pre-vote",
        "window",
        "",
        "split votes",
        "formula",
        "95 %",
        "mean time",
        "formula",
        "95 %",
        "p99",
        "95 %",
        "terms lost",
        "95 %",
    ]);
    for row in rows {
        let Setting { servers, pre_vote, window } = row.setting;
        let [split, splits] = percents(row.split);
        let interval = |it: Estimate| format!("{} to {}", time(it.low), time(it.high));
        lines.add_row(vec![
            servers.to_string(),
            if pre_vote { "on" } else { "off" }.to_owned(),
            format!("{window} RTT"),
            if window == RULE { "◀ rule" } else { "" }.to_owned(),
            split,
            percent(row.split_by_formula),
            splits,
            time(row.mean.value),
            time(row.mean_by_formula),
            interval(row.mean),
            time(row.p99.value),
            interval(row.p99),
            format!("{:.2}", row.burnt.value),
            format!("{:.2} to {:.2}", row.burnt.low, row.burnt.high),
        ]);
    }
    numbers(&mut lines, &[0, 2, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13]);
    let runs = rows.first().map_or(0, |row| row.runs as u64);
    say!(
        "{lines}\n\n {} runs in each row; intervals hold the truth with 95 %; times in {}, from the end of a \
         leader until another one leads,\n with an election timeout of 10 RTT and a heartbeat each RTT; \
         split votes: the first term elects nobody; rule: a window of 10 RTT",
        grouped(runs),
        unit.map_or("round trips", |unit| unit.name)
    );
}

/// The parameters to use, in words and as code.
fn advice(rtt: Duration, params: &Params) -> String {
    let Params { election_timeout, election_jitter, heartbeat_interval, pre_vote, .. } = *params;
    let longest = shown(Duration(election_timeout.0 + election_jitter.0));
    let (shortest, heartbeat) = (shown(election_timeout), shown(heartbeat_interval));
    let splits = [3, 5, 7].map(|servers| {
        let setting = Setting { servers, pre_vote, window: RULE };
        format!("{} with {servers}", percent(setting.split_vote()))
    });
    format!(
        "for a round trip of {}: a heartbeat every {heartbeat}, election timeouts from {shortest} to {longest}\n \
         in nanoseconds: Params::new(Duration({}), Duration({})), whose window is as long as the timeout\n \
         the first vote splits in {} servers\n \
         take your worst link at its worst, both disks included; a cluster whose machines pause for longer \
         than\n {shortest} loses its leader each time: then raise all of it by as much",
        shown(rtt),
        election_timeout.0,
        heartbeat_interval.0,
        splits.join(", ")
    )
}
