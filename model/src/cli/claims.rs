//! `quorate-model claims`.

use std::path::PathBuf;

use quorate_model::mutation::Mutation;
use quorate_model::{ledger, slices};

use super::check::{check_all, conclude};
use super::mutants::kill_all;
use super::{AS_DECLARED, Usage, VIOLATED, threads};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// Compare with the file instead of writing it, and fail where it is stale
    #[arg(long)]
    check: bool,
    /// The ledger
    #[arg(long, value_name = "FILE", default_value = "CLAIMS.md")]
    file: PathBuf,
    /// How many checker threads to use; without it one for each core
    #[arg(long, value_name = "N")]
    threads: Option<usize>,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    let threads = threads(arguments.threads)?;
    let path = &arguments.file;
    let refused = |verb: &str, error: std::io::Error| {
        Usage(format!("cannot {verb} {}: {error}; run it in the project's root", path.display()))
    };
    let present = std::fs::read_to_string(path);
    if arguments.check && present.is_err() {
        return Err(refused("read", present.expect_err("it was just tested")));
    }
    let default: Vec<_> = slices::all().into_iter().filter(|slice| !slice.deep).collect();
    let checked = check_all(&default, threads, None);
    let killed = kill_all(Mutation::ALL);
    let code = conclude(&checked);
    let fresh = ledger::render(&checked, &killed);
    if !arguments.check {
        std::fs::write(path, fresh).map_err(|error| refused("write", error))?;
        println!("{} is written", path.display());
        return Ok(code);
    }
    let present = present.unwrap_or_default();
    if let Some((line, was, is)) = ledger::first_difference(&present, &fresh) {
        println!("{} is stale at line {line}:\n  - {was}\n  + {is}", path.display());
        println!("`quorate-model claims` writes it anew");
        return Ok(VIOLATED);
    }
    println!("{} is as the checks say", path.display());
    Ok(if code == AS_DECLARED { AS_DECLARED } else { code })
}
