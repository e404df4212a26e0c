//! The command line.

/// Prints a line. Where nobody reads any more, as in `list | head`, the process ends quietly.
macro_rules! say {
    ($($text:tt)*) => { crate::cli::print_line(format_args!($($text)*)) };
}

mod check;
mod claims;
mod deep;
mod explore;
mod lab;
mod leases;
mod links;
mod list;
mod math;
mod mutants;

use std::fmt;
use std::fs::OpenOptions;
use std::io::{ErrorKind, Write, stdout};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::error::ErrorKind as Wrong;
use clap::{Parser, Subcommand};
use serde::Serialize;

/// All is as declared.
const AS_DECLARED: u8 = 0;
/// The arguments are wrong; nothing was run.
const USAGE: u8 = 2;
/// A run did not come to its end: it shows nothing.
const INCOMPLETE: u8 = 3;
/// A claim fails that was not declared to, a count is not the pinned one, or a mutant survives.
const VIOLATED: u8 = 12;

/// What a shell shows of a process that was ended by SIGPIPE.
const NOBODY_READS: u8 = 141;

const EXIT_CODES: &str = "Exit codes: 0 all is as declared; 2 wrong arguments; \
    3 a run did not come to its end; 12 a claim fails that was not declared to, a count differs, \
    a mutant survives, majorities do not intersect, or CLAIMS.md is stale; 130 where Ctrl-C ends \
    explore or lab; 141 where nobody reads what is printed.";

#[derive(Parser)]
#[command(name = "quorate-model", version, about = "Checks the Raft specification exhaustively")]
#[command(after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Check slices of the specification, all default ones where none is named
    #[command(after_help = EXIT_CODES)]
    Check(check::Arguments),
    /// List slices, patterns of cut links, claims and mutants
    List,
    /// Break one guard after the other and see the claim fail that needs it
    #[command(after_help = EXIT_CODES)]
    Mutants(mutants::Arguments),
    /// Run everything and write the ledger, CLAIMS.md
    #[command(after_help = EXIT_CODES)]
    Claims(claims::Arguments),
    /// Walk through a slice or a mutant's counterexample in a browser
    #[command(after_help = EXIT_CODES)]
    Explore(explore::Arguments),
    /// Drive clusters in a browser: cut links, crash servers, and compare rules side by side
    #[command(after_help = EXIT_CODES)]
    Lab(lab::Arguments),
    /// The mathematics: dangerous splits, election timeouts, commit latency
    #[command(after_help = EXIT_CODES)]
    Math(math::Arguments),
}

/// What went wrong with a command line, in one line that says what to do.
pub(crate) struct Usage(pub(crate) String);

/// Runs the command.
pub(crate) fn run() -> ExitCode {
    let command = match Arguments::try_parse() {
        Ok(arguments) => arguments.command,
        Err(error) => return refuse(&error),
    };
    let result = match command {
        Command::Check(arguments) => check::run(&arguments),
        Command::List => {
            list::run();
            Ok(AS_DECLARED)
        }
        Command::Mutants(arguments) => mutants::run(&arguments),
        Command::Claims(arguments) => claims::run(&arguments),
        Command::Explore(arguments) => explore::run(&arguments),
        Command::Lab(arguments) => lab::run(&arguments),
        Command::Math(arguments) => math::run(&arguments),
    };
    match result {
        Ok(code) => ExitCode::from(code),
        Err(usage) => usage.exit(),
    }
}

impl Usage {
    fn exit(self) -> ExitCode {
        eprintln!("quorate-model: {}", self.0);
        ExitCode::from(USAGE)
    }
}

/// A command line that cannot be read, in one line; help and version as they are.
fn refuse(error: &clap::Error) -> ExitCode {
    match error.kind() {
        Wrong::DisplayHelp | Wrong::DisplayVersion => {
            say!("{}", error.to_string().trim_end());
            ExitCode::from(AS_DECLARED)
        }
        Wrong::MissingSubcommand | Wrong::DisplayHelpOnMissingArgumentOrSubcommand => {
            let commands = "check, list, mutants, claims, explore, lab or math";
            Usage(format!("what shall it do? {commands}; --help says more")).exit()
        }
        _ => {
            let text = error.to_string();
            let told = |line: &&str| !line.starts_with("Usage:") && !line.starts_with("For more");
            // Everything that is no option is a name here: a tip to quote it helps nobody.
            let helps = |line: &&str| !line.is_empty() && !line.starts_with("tip: to pass");
            let lines = text.lines().map(str::trim).take_while(told).filter(helps);
            let lines: Vec<&str> = lines.collect();
            let line = lines.join("; ");
            let line = line.strip_prefix("error: ").unwrap_or(&line);
            Usage(format!("{line}; --help says more")).exit()
        }
    }
}

/// Writes a line, for [`say`].
pub(crate) fn print_line(text: fmt::Arguments<'_>) {
    let mut out = stdout().lock();
    let Err(error) = writeln!(out, "{text}").and_then(|()| out.flush()) else { return };
    if error.kind() != ErrorKind::BrokenPipe {
        eprintln!("quorate-model: cannot write what was found: {error}");
    }
    std::process::exit(i32::from(NOBODY_READS));
}

/// The number of threads from the command line, or what the machine has.
fn threads(asked: Option<usize>) -> usize {
    asked.unwrap_or_else(|| std::thread::available_parallelism().map_or(1, usize::from))
}

/// More threads than any machine here has cores would only exhaust its memory.
const MOST_THREADS: usize = 512;

/// A number of threads.
fn number_of_threads(text: &str) -> Result<usize, String> {
    let number = text.parse().ok().filter(|number| (1..=MOST_THREADS).contains(number));
    number.ok_or_else(|| format!("give a whole number from 1 to {MOST_THREADS}"))
}

/// So many of them, in words.
fn counted(n: usize, one: &str) -> String {
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}s") }
}

/// The worse of two exit codes: a violation shows more than a run without an end.
fn worse(a: u8, b: u8) -> u8 {
    a.max(b)
}

/// Fails now rather than after the run where the report cannot be written.
fn writable(path: &Option<PathBuf>) -> Result<(), Usage> {
    let Some(path) = path else { return Ok(()) };
    let existed = path.exists();
    let opened = OpenOptions::new().create(true).append(true).open(path);
    opened.map(|_| ()).map_err(|error| cannot_write(path, &error))?;
    if !existed {
        // A run that is broken off leaves no empty report behind.
        let _ = std::fs::remove_file(path);
    }
    Ok(())
}

fn write_report(path: &Option<PathBuf>, report: &impl Serialize) -> Result<(), Usage> {
    let Some(path) = path else { return Ok(()) };
    let text = serde_json::to_string_pretty(report).expect("a report has no maps");
    std::fs::write(path, text + "\n").map_err(|error| cannot_write(path, &error))
}

fn cannot_write(path: &Path, error: &std::io::Error) -> Usage {
    Usage(format!("cannot write {}: {error}; choose another file", path.display()))
}

/// An unknown name, with the nearest known one if it is near.
fn unknown(what: &str, name: &str, known: &[&str]) -> Usage {
    let length = name.chars().count();
    let near = known.iter().min_by_key(|other| distance(name, other));
    let near = near.filter(|near| 3 * distance(name, near) <= length.max(near.chars().count()));
    let hint = near.map_or(String::new(), |near| format!("did you mean {near}? "));
    Usage(format!("no {what} is named {name}: {hint}`quorate-model list` shows all"))
}

/// The number of edits between two names.
fn distance(a: &str, b: &str) -> usize {
    let (a, b) = (a.to_lowercase(), b.to_lowercase());
    let mut row: Vec<usize> = (0..=b.chars().count()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.chars().enumerate() {
            let edit = (row[j] + 1).min(row[j + 1] + 1).min(diagonal + usize::from(x != y));
            diagonal = std::mem::replace(&mut row[j + 1], edit);
        }
    }
    row.last().copied().unwrap_or(0)
}

/// A table with aligned columns and no frame.
fn table(header: &[&str]) -> comfy_table::Table {
    let mut table = comfy_table::Table::new();
    table.load_style(comfy_table::presets::NOTHING).set_header(header.to_vec());
    table
}

/// Aligns these columns to the right.
fn numbers(table: &mut comfy_table::Table, columns: &[usize]) {
    for column in columns {
        if let Some(column) = table.column_mut(*column) {
            column.set_cell_alignment(comfy_table::CellAlignment::Right);
        }
    }
}

/// A number with its thousands apart.
fn grouped(n: u64) -> String {
    let digits = n.to_string();
    let mut text = String::new();
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
