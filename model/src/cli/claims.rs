//! `quorate-model claims`.

use std::path::PathBuf;

use quorate_model::ledger::{self, Findings, deep::Record};
use quorate_model::links::pattern::PATTERNS;
use quorate_model::mutation::Mutation;
use quorate_model::slices;

use super::check::{check_all, conclude, enumerate};
use super::links;
use super::mutants::{self, kill_all};
use super::{AS_DECLARED, Usage, VIOLATED, number_of_threads, threads, worse};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Compare with the file instead of writing it, and fail where it is stale
    #[arg(long)]
    check: bool,
    /// The ledger
    #[arg(long, value_name = "FILE", default_value = "CLAIMS.md")]
    file: PathBuf,
    /// The results of the slices with larger bounds, as `check --deep --record` has written them
    #[arg(long, value_name = "FILE", default_value = "model/deep.json")]
    deep: PathBuf,
    /// How many checker threads to use; without it one for each core
    #[arg(long, value_name = "N", value_parser = number_of_threads)]
    threads: Option<usize>,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    let threads = threads(arguments.threads);
    let path = &arguments.file;
    let refused = |verb: &str, error: std::io::Error| {
        Usage(format!("cannot {verb} {}: {error}; run it in the project's root", path.display()))
    };
    let present = std::fs::read_to_string(path);
    if arguments.check && present.is_err() {
        return Err(refused("read", present.expect_err("it was just tested")));
    }
    let deep = || {
        Record::load(&arguments.deep).map_err(|error| {
            let path = arguments.deep.display();
            Usage(format!("cannot read {path}: {error}; `check --deep --record` writes it"))
        })
    };
    // Before all the work, and again when it is done: a run beside this one may have added to it.
    deep()?;
    let default: Vec<_> = slices::all().into_iter().filter(|slice| !slice.deep).collect();
    let checked = check_all(&default, threads, None, |_| {});
    let killed = kill_all(Mutation::ALL);
    let cells = links::check(&PATTERNS.iter().collect::<Vec<_>>(), threads);
    let runs = worse(conclude(&checked), mutants::conclude(&killed));
    let code = worse(worse(runs, links::conclude(&cells)), enumerate(false));
    if code != AS_DECLARED {
        let verb = if arguments.check { "compared" } else { "written" };
        say!("{} is not {verb}: not everything is as declared", path.display());
        return Ok(code);
    }
    let deep = deep()?;
    let findings = Findings { checked: &checked, killed: &killed, cells: &cells, deep: &deep };
    let fresh = ledger::render(&findings);
    if !arguments.check {
        std::fs::write(path, fresh).map_err(|error| refused("write", error))?;
        say!("{} is written", path.display());
        return Ok(AS_DECLARED);
    }
    let present = present.unwrap_or_default();
    if let Some((line, was, is)) = ledger::first_difference(&present, &fresh) {
        say!("{} is stale at line {line}:\n  - {was}\n  + {is}", path.display());
        say!("`quorate-model claims` writes it anew");
        return Ok(VIOLATED);
    }
    say!("{} is as the checks say", path.display());
    Ok(AS_DECLARED)
}
