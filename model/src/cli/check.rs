//! `quorate-model check`.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use quorate_model::check::{Checked, Memory, Phase, Progress, TRACE_LIMIT, Verdict, Watch, check};
use quorate_model::coverage::Coverage;
use quorate_model::guards::{Guard, Guards};
use quorate_model::links::pattern::PATTERNS;
use quorate_model::links::run::Cell;
use quorate_model::model::SliceModel;
use quorate_model::report::{Report, declared};
use quorate_model::slice::Slice;
use quorate_model::witness::Witness;
use quorate_model::{action::ACTION_KINDS, enumeration, narrate, slices};
use quorate_spec::role::TRANSITIONS;
use quorate_spec::{Kind, Sound};

use super::deep::Recorder;
use super::links;
use super::{
    AS_DECLARED, INCOMPLETE, Usage, VIOLATED, counted, grouped, leases, number_of_threads, numbers,
    table, threads, unknown, worse, writable, write_report,
};
use crate::memory;

/// A trace of more steps is not printed.
const SHOWN: usize = 200;

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The slices to check, or what several names begin with, as `lease`; `links` is the table of cut
    /// links, and `links/one-link` tells of one pattern why it is not live or stable. Without a
    /// name all default slices, and the table
    names: Vec<String>,
    /// Check the slices with larger bounds too
    #[arg(long)]
    deep: bool,
    /// With --deep: of the slices with larger bounds run those alone that this file has no result
    /// of, for the present specification and bounds, and add each result to it as it comes
    #[arg(long, value_name = "FILE", requires = "deep")]
    record: Option<PathBuf>,
    /// Write the report to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// How many checker threads to use; without it one for each core
    #[arg(long, value_name = "N", value_parser = number_of_threads)]
    threads: Option<usize>,
    /// Give a slice up as INCOMPLETE after this many seconds
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    time_limit: Option<u64>,
}

fn seconds(text: &str) -> Result<u64, String> {
    text.parse().map_err(|_| "give whole seconds".to_owned())
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    let all = arguments.names.is_empty();
    let (named, names) = links::choose(&arguments.names)?;
    let patterns = if all { PATTERNS.iter().collect() } else { named };
    let chosen = if all || !names.is_empty() { choose(&names, arguments.deep)? } else { vec![] };
    let threads = threads(arguments.threads);
    writable(&arguments.json)?;
    let limit = arguments.time_limit.map(Duration::from_secs);
    let mut recorder = arguments.record.as_deref().map(Recorder::open).transpose()?;
    let chosen = recorder.as_ref().map_or(chosen.clone(), |record| record.missing(&chosen));
    let checked = check_all(&chosen, threads, limit, |run| {
        if let Some(record) = &mut recorder {
            record.take(run);
        }
    });
    if !checked.is_empty() {
        print_table(&checked);
        leases::print(&checked);
    }
    for run in &checked {
        print_traces(run);
    }
    let whole = all && recorder.is_none();
    if whole {
        print_unseen(&checked);
    }
    let patterns = if recorder.is_some() { Vec::new() } else { patterns };
    let cells = links::check(&patterns, threads);
    let report = Report {
        slices: checked.iter().map(Into::into).collect(),
        links: cells.iter().map(Into::into).collect(),
        ..Report::default()
    };
    write_report(&arguments.json, &report)?;
    let mut code = enumerate(whole);
    if !checked.is_empty() {
        code = worse(code, conclude(&checked));
    }
    Ok(if cells.is_empty() { code } else { worse(code, tell_links(&arguments.names, &cells)) })
}

/// Prints the table of cut links, and what happens where one pattern was asked for.
fn tell_links(names: &[String], cells: &[Cell]) -> u8 {
    say!("");
    links::print(cells);
    let asked = |cell: &&Cell| names.contains(&format!("links/{}", cell.pattern.name));
    cells.iter().filter(asked).filter(|cell| cell.is_as_declared()).for_each(links::tell);
    links::conclude(cells)
}

/// Enumerates pairs of majorities; says so where it is asked to, or where some are disjoint.
pub(super) fn enumerate(told: bool) -> u8 {
    let (summary, intersect) = enumeration::summary(&Sound);
    if !intersect {
        say!("{summary}: majorities that share no voter");
        return VIOLATED;
    }
    if told {
        say!("{summary}");
    }
    AS_DECLARED
}

fn choose(names: &[String], deep: bool) -> Result<Vec<Slice>, Usage> {
    let all = slices::all();
    if names.is_empty() {
        return Ok(all.into_iter().filter(|slice| deep || !slice.deep).collect());
    }
    let known: Vec<&str> = all.iter().map(|slice| slice.name).collect();
    let mut chosen = Vec::new();
    for name in names {
        let family = slices::family(name);
        if family.is_empty() {
            return Err(unknown("slice", name, &known));
        }
        chosen.extend(family);
    }
    Ok(chosen)
}

/// Checks the slices one after the other, with a progress line on a terminal.
pub(super) fn check_all(
    slices: &[Slice],
    threads: usize,
    time_limit: Option<Duration>,
    mut finished: impl FnMut(&Checked),
) -> Vec<Checked> {
    let bar = ProgressBar::new_spinner();
    bar.set_style(
        ProgressStyle::with_template("{spinner} {prefix:<24} {msg}")
            .expect("the template is well formed"),
    );
    let progress = |now: &Progress| {
        let what = match now.phase {
            Phase::Search => "",
            Phase::ShortestTrace => "searching for the shortest trace: ",
            Phase::SecondOpinion => "searching a second time without fingerprints: ",
        };
        bar.set_message(format!(
            "{what}{} states  {} states/s  depth {}  queue {}",
            grouped(now.unique as u64),
            grouped(now.rate as u64),
            now.depth,
            grouped(now.queue as u64)
        ));
        bar.tick();
    };
    let memory = Memory { now: memory::now, peak: memory::peak, reset: memory::reset };
    let watch =
        Watch { threads, time_limit, trace_limit: TRACE_LIMIT, memory, progress: &progress };
    let run = |(i, slice): (usize, &Slice)| {
        bar.set_prefix(format!("{}/{} {}", i + 1, slices.len(), slice.name));
        bar.set_message("");
        bar.tick();
        let run = check(*slice, &watch);
        finished(&run);
        run
    };
    let checked = slices.iter().enumerate().map(run).collect();
    bar.finish_and_clear();
    checked
}

fn print_table(checked: &[Checked]) {
    let mut rows = table(&[
        "slice",
        "verdict",
        "claims",
        "unique",
        "generated",
        "depth",
        "B/state",
        "collisions",
        "seconds",
        "bounds",
    ]);
    for run in checked {
        rows.add_row(vec![
            run.slice.name.to_owned(),
            run.verdict().to_string(),
            run.slice.claims.iter().count().to_string(),
            grouped(run.unique),
            grouped(run.generated),
            run.depth.map_or("-".to_owned(), |depth| depth.to_string()),
            run.bytes_per_state.map_or("-".to_owned(), |bytes| format!("{bytes:.0}")),
            format!("{:.0e}", run.collision_estimate()),
            format!("{:.1}", run.seconds),
            run.slice.bounds(),
        ]);
    }
    numbers(&mut rows, &[2, 3, 4, 5, 6, 7, 8]);
    let rows = rows.trim_fmt();
    say!("{rows}");
}

/// Shows the shortest trace of a violation that was not declared, and names the other claims that
/// fail.
fn print_traces(run: &Checked) {
    let model = SliceModel::new(run.slice, Guards::sound());
    let name = run.slice.name;
    let mut violations: Vec<_> = run.undeclared().collect();
    violations.sort_by_key(|violation| (!violation.shortest, violation.steps));
    for (at, violation) in violations.into_iter().enumerate() {
        let (claim, steps) = (violation.claim, violation.steps);
        if at > 0 {
            say!("{claim} of {name} fails too, after {steps} steps");
            continue;
        }
        let about = if violation.shortest {
            String::new()
        } else {
            format!(
                " after {steps} steps (not the shortest: the search for that came to its limit)"
            )
        };
        say!("\n{claim} of {name}{about}:");
        match &violation.trace {
            Some(_) if steps > SHOWN => say!("   too long to print"),
            Some(trace) => {
                say!("{}", narrate::trace(&model, trace, claim));
                say!(
                    "   in a browser: cargo run --release -p quorate-model -- explore {name} --claim {claim}"
                );
            }
            None => say!("   its steps cannot be told in the servers' own names"),
        }
    }
}

/// Names what no slice of the whole run has seen.
fn print_unseen(checked: &[Checked]) {
    let seen = Coverage::default();
    checked.iter().for_each(|run| seen.absorb(&run.coverage));
    say!("");
    for (what, missing) in unseen(&seen) {
        if missing.is_empty() {
            say!("all {what} were seen");
        } else {
            say!("not seen of the {what}: {}", missing.join(", "));
        }
    }
}

/// What was not seen, by kind: nothing but guards that are constant by rule should be here.
pub(super) fn unseen(seen: &Coverage) -> Vec<(&'static str, Vec<String>)> {
    let missing = |all: Vec<String>, seen: Vec<String>| -> Vec<String> {
        all.into_iter().filter(|name| !seen.contains(name)).collect()
    };
    let names = |kinds: Vec<Kind>| kinds.iter().map(|kind| format!("{kind:?}")).collect();
    let witnesses = |all: Vec<Witness>| all.iter().map(|w| format!("{w:?}")).collect();
    let change = |i: usize| {
        let (from, to, cause) = TRANSITIONS[i];
        format!("{from} to {to} by {cause}")
    };
    let guards = Guard::ALL.iter().filter_map(|guard| match seen.guard(*guard) {
        (true, true) => None,
        (true, false) => {
            guard.grants_always().is_none().then(|| format!("{} refusing", guard.name()))
        }
        (false, true) => {
            guard.refuses_always().is_none().then(|| format!("{} granting", guard.name()))
        }
        (false, false) => Some(guard.name().to_owned()),
    });
    vec![
        (
            "actions",
            missing(
                ACTION_KINDS.iter().map(|kind| (*kind).to_owned()).collect(),
                seen.actions().iter().map(|kind| (*kind).to_owned()).collect(),
            ),
        ),
        ("messages", missing(names(Kind::ALL.to_vec()), names(seen.kinds()))),
        (
            "changes of role",
            missing(
                (0..TRANSITIONS.len()).map(change).collect(),
                seen.transitions().into_iter().map(change).collect(),
            ),
        ),
        ("witnesses", missing(witnesses(Witness::ALL.to_vec()), witnesses(seen.witnesses()))),
        ("guards both ways", guards.collect()),
    ]
}

/// Says what is not as declared, and chooses the exit code.
pub(super) fn conclude(checked: &[Checked]) -> u8 {
    let mut code = AS_DECLARED;
    for run in checked {
        if let Some(complaint) = run.complaint() {
            say!("{} {complaint}", run.slice.name);
            let incomplete = run.verdict() == Verdict::Incomplete;
            code = worse(code, if incomplete { INCOMPLETE } else { VIOLATED });
        }
    }
    if code == AS_DECLARED {
        let seconds: f64 = checked.iter().map(|run| run.seconds).sum();
        let unique: u64 = checked.iter().map(|run| run.unique).sum();
        say!(
            "\n{} as declared, {} unique states, {seconds:.1} s",
            counted(checked.len(), "slice"),
            grouped(unique)
        );
        for run in checked.iter().filter(|run| matches!(run.verdict(), Verdict::Violated(_))) {
            let steps: usize = run.violations.iter().map(|violation| violation.steps).sum();
            let (name, verdict) = (run.slice.name, declared(run.slice.declared));
            say!("  {name} is {verdict} on purpose, after {}", counted(steps, "step"));
        }
    }
    code
}
