//! `quorate-model math quorum`.

use std::path::PathBuf;

use clap::value_parser;
use quorate_model::math::binomial::choose;
use quorate_model::math::quorum::{Change, MOST, Side, Splits, majority};
use serde::Serialize;

use super::percent;
use crate::cli::{AS_DECLARED, Usage, grouped, numbers, table, writable, write_report};

/// The changes of voters in the table.
const CHANGES: [(u64, u64); 6] = [(1, 2), (3, 4), (3, 5), (5, 3), (4, 6), (5, 7)];

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The number of servers; without it a table for 1 to 12
    #[arg(long, value_name = "N", value_parser = value_parser!(u64).range(1..=MOST))]
    nodes: Option<u64>,
    /// How many servers are a quorum; without it the majority, and one less
    #[arg(long, value_name = "Q", requires = "nodes", value_parser = value_parser!(u64).range(1..=MOST))]
    quorum: Option<u64>,
    /// Print each dangerous split
    #[arg(long, requires = "quorum")]
    list: bool,
    /// Write the figures to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

/// What `--json` writes.
#[derive(Serialize, Default)]
struct Report {
    splits: Vec<Splits>,
    /// Of the one cluster that was asked for, the servers of both sides.
    dangerous: Vec<[Vec<u64>; 2]>,
    changes: Vec<Change>,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    writable(&arguments.json)?;
    let report = match (arguments.nodes, arguments.quorum) {
        (Some(servers), Some(quorum)) => one(servers, quorum, arguments.list)?,
        (Some(servers), None) => several(&[servers]),
        (None, _) => all(),
    };
    write_report(&arguments.json, &report)?;
    Ok(AS_DECLARED)
}

/// One cluster with one quorum: its splits by the sizes of the sides.
fn one(servers: u64, quorum: u64, list: bool) -> Result<Report, Usage> {
    if quorum > servers {
        let larger = format!("a quorum of {quorum} is more than {servers} servers");
        return Err(Usage(format!("{larger}: no decision would ever be made")));
    }
    let (splits, ways) = (Splits::of(servers, quorum), Splits::ways(servers, quorum));
    let mut rows = table(&["sides", "ways", "both have a quorum"]);
    for size in 1..servers {
        let dangerous = ways.iter().any(|(side, _)| u64::from(side.count_ones()) == size);
        let ways = grouped(choose(servers, size));
        let both = if dangerous { "yes" } else { "no" }.to_owned();
        rows.add_row(vec![format!("{size} | {}", servers - size), ways, both]);
    }
    numbers(&mut rows, &[1]);
    if servers > 1 {
        let rows = rows.trim_fmt();
        say!("{rows}\n");
    }
    if list {
        for (one, other) in &ways {
            say!(" {} | {}", names(*one), names(*other));
        }
        say!("");
    }
    say!("{}", sentence(&splits));
    let sides = |(one, other): &(Side, Side)| [members(*one), members(*other)];
    let dangerous = ways.iter().map(sides).collect();
    Ok(Report { splits: vec![splits], dangerous, ..Report::default() })
}

fn sentence(splits: &Splits) -> String {
    let Splits { servers, quorum, majority: is_majority, splits, dangerous, probability } = splits;
    let Some(probability) = probability else {
        return "one server cannot be split".to_owned();
    };
    let share = format!("{dangerous} of {splits} splits of {servers} servers");
    let asked = if *is_majority { ", by the rule of the protocol itself" } else { "" };
    match dangerous {
        0 => format!(
            "none of {splits} splits of {servers} servers gives both sides a quorum of {quorum}{asked}"
        ),
        _ => format!(
            "{share} are dangerous, {}: both sides have a quorum of {quorum}; with a majority, {}, none is",
            percent(*probability),
            majority(*servers)
        ),
    }
}

/// Clusters of so many servers, with the majority and with one less.
fn several(sizes: &[u64]) -> Report {
    let mut rows =
        table(&["servers", "splits", "majority", "dangerous", "one less", "dangerous", ""]);
    let mut found = Vec::new();
    for servers in sizes {
        let sound = Splits::of(*servers, majority(*servers));
        let mut row = vec![
            servers.to_string(),
            grouped(sound.splits as u64),
            sound.quorum.to_string(),
            grouped(sound.dangerous as u64),
        ];
        let less = (sound.quorum > 1).then(|| Splits::of(*servers, sound.quorum - 1));
        row.extend(less.as_ref().map_or([const { String::new() }; 3], |less| {
            let share = less.probability.map_or(String::new(), percent);
            [less.quorum.to_string(), grouped(less.dangerous as u64), share]
        }));
        rows.add_row(row);
        found.push(sound);
        found.extend(less);
    }
    numbers(&mut rows, &[0, 1, 2, 3, 4, 5, 6]);
    let rows = rows.trim_fmt();
    say!(
        "{rows}\n\n dangerous: both sides of the split have a quorum; each split is as likely as any other"
    );
    Report { splits: found, ..Report::default() }
}

/// The table for all sizes, and what becomes of it while the voters change.
fn all() -> Report {
    let sizes: Vec<u64> = (1..=MOST).collect();
    let report = several(&sizes);
    let changes: Vec<Change> = CHANGES.map(|(old, new)| Change::of(old, new)).into();
    let mut rows =
        table(&["voters", "splits", "some go by the new ones alone", "", "joint consensus"]);
    for change in &changes {
        let share = change.without_joint as f64 / change.splits as f64;
        rows.add_row(vec![
            format!("{} → {}", change.old, change.new),
            change.splits.to_string(),
            change.without_joint.to_string(),
            percent(share),
            change.with_joint.to_string(),
        ]);
    }
    numbers(&mut rows, &[1, 2, 3, 4]);
    let rows = rows.trim_fmt();
    say!("\n while the voters change, the splits in which two majorities do not meet:\n\n{rows}");
    Report { changes, ..report }
}

fn members(side: Side) -> Vec<u64> {
    (0..MOST).filter(|id| side & (1 << id) != 0).collect()
}

fn names(side: Side) -> String {
    members(side).iter().map(|id| format!("n{id}")).collect::<Vec<_>>().join(" ")
}
