//! `quorate-model math plots`.

use std::path::PathBuf;
use std::time::Duration;

use indicatif::ProgressBar;
use quorate_model::math::plot::figures;

use super::SEED;
use crate::cli::{AS_DECLARED, Usage};

#[derive(clap::Args)]
pub(super) struct Arguments {
    /// The folder to write the figures to
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// What determines all random numbers; the figures of the documentation have seed 1
    #[arg(long, value_name = "N", default_value_t = SEED)]
    seed: u64,
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    let folder = &arguments.out;
    let cannot = |error: &dyn std::fmt::Display| {
        Usage(format!("cannot write to {}: {error}; choose another --out folder", folder.display()))
    };
    std::fs::create_dir_all(folder).map_err(|error| cannot(&error))?;
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    bar.set_message("math plots");
    let figures = figures(arguments.seed).map_err(|error| cannot(&error))?;
    bar.finish_and_clear();
    for figure in figures {
        let path = folder.join(figure.file);
        std::fs::write(&path, figure.svg).map_err(|error| cannot(&error))?;
        say!("{}", path.display());
    }
    Ok(AS_DECLARED)
}
