//! `quorate-model mutants`.

use std::path::PathBuf;

use indicatif::ProgressBar;
use quorate_model::check::{Killed, kill};
use quorate_model::guards::Guards;
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::narrate;
use quorate_model::report::Report;

use super::{
    AS_DECLARED, Usage, VIOLATED, counted, grouped, numbers, table, unknown, writable, write_report,
};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The mutants to look for, with their traces; without a name all of them
    names: Vec<String>,
    /// Write the report to this file
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    let chosen = choose(&arguments.names)?;
    writable(&arguments.json)?;
    let killed = kill_all(&chosen);
    print_table(&killed);
    if !arguments.names.is_empty() {
        killed.iter().for_each(print_trace);
    }
    let report = Report { mutants: killed.iter().map(Into::into).collect(), ..Report::default() };
    write_report(&arguments.json, &report)?;
    Ok(conclude(&killed))
}

/// Says how many mutants survive, and chooses the exit code.
pub(super) fn conclude(killed: &[Killed]) -> u8 {
    let survivors: Vec<_> = killed.iter().filter(|run| run.trace.is_none()).collect();
    let dead = counted(killed.len() - survivors.len(), "mutant");
    say!("\n{dead} killed, {} survived", survivors.len());
    for run in &survivors {
        let slices = run.mutation.slices().join(", ");
        say!("{} survives {slices}: {}", run.mutation.name(), run.mutation.about());
    }
    if survivors.is_empty() { AS_DECLARED } else { VIOLATED }
}

fn choose(names: &[String]) -> Result<Vec<Mutation>, Usage> {
    if names.is_empty() {
        return Ok(Mutation::ALL.to_vec());
    }
    let known: Vec<&str> = Mutation::ALL.iter().map(|mutation| mutation.name()).collect();
    let find = |name: &String| {
        let found = Mutation::ALL.iter().find(|mutation| mutation.name() == name).copied();
        found.ok_or_else(|| unknown("mutant", name, &known))
    };
    names.iter().map(find).collect()
}

/// Looks for each mutant in its slices, with a progress line on a terminal.
pub(super) fn kill_all(chosen: &[Mutation]) -> Vec<Killed> {
    let bar = ProgressBar::new_spinner();
    let run = |(i, mutation): (usize, &Mutation)| {
        bar.set_message(format!("{}/{} {}", i + 1, chosen.len(), mutation.name()));
        bar.enable_steady_tick(std::time::Duration::from_millis(200));
        kill(*mutation)
    };
    let killed = chosen.iter().enumerate().map(run).collect();
    bar.finish_and_clear();
    killed
}

fn print_table(killed: &[Killed]) {
    let mut rows = table(&["mutant", "killed by", "trace", "states", "seconds", "slice", "as in"]);
    for run in killed {
        let length = run.trace.as_ref().map(|trace| trace.steps.len());
        rows.add_row(vec![
            run.mutation.name().to_owned(),
            run.trace.as_ref().map_or("SURVIVES", |_| run.mutation.killer().name()).to_owned(),
            length.map_or("-".to_owned(), |length| length.to_string()),
            grouped(run.unique as u64),
            format!("{:.2}", run.seconds),
            run.slice
                .map_or_else(|| run.mutation.slices().join(" "), |slice| slice.name.to_owned()),
            run.mutation.bugs().to_owned(),
        ]);
    }
    numbers(&mut rows, &[2, 3, 4]);
    let rows = rows.trim_fmt();
    say!("{rows}");
}

fn print_trace(run: &Killed) {
    let (Some(slice), Some(trace)) = (run.slice, &run.trace) else { return };
    let model = SliceModel::new(slice, Guards::broken(run.mutation));
    let text = narrate::trace(&model, trace, run.mutation.killer());
    say!("\n{}: {}\n{text}", run.mutation.name(), run.mutation.about());
}
