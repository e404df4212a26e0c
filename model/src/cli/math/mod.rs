//! `quorate-model math`.

mod jitter;
mod latency;
mod plots;
mod quorum;
mod units;

use std::time::Duration;

use clap::Subcommand;
use indicatif::ProgressBar;
use quorate_model::math::estimate::Estimate;

use super::Usage;

#[derive(clap::Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Which splits of a network give both sides a quorum
    Quorum(quorum::Arguments),
    /// How often votes split and how long there is no leader, by the window of election timeouts
    Jitter(jitter::Arguments),
    /// How long a commit takes, with slow servers
    Latency(latency::Arguments),
    /// Write the figures of docs/math.md
    Plots(plots::Arguments),
}

pub(super) fn run(arguments: &Arguments) -> Result<u8, Usage> {
    match &arguments.what {
        What::Quorum(arguments) => quorum::run(arguments),
        What::Jitter(arguments) => jitter::run(arguments),
        What::Latency(arguments) => latency::run(arguments),
        What::Plots(arguments) => plots::run(arguments),
    }
}

/// The seed where none is given.
const SEED: u64 = 1;

/// Does all of it one after the other, with a progress line on a terminal.
fn watched<T, R>(what: &str, all: &[T], mut one: impl FnMut(&T) -> R) -> Vec<R> {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(Duration::from_millis(200));
    let told = |(at, item)| {
        bar.set_message(format!("{what} {}/{}", at + 1, all.len()));
        one(item)
    };
    let found = all.iter().enumerate().map(told).collect();
    bar.finish_and_clear();
    found
}

fn percent(share: f64) -> String {
    format!("{:.1} %", share * 100.0)
}

/// An estimated share with its interval.
fn percents(share: Estimate) -> [String; 2] {
    let Estimate { value, low, high } = share.times(100.0);
    [format!("{value:.1} %"), format!("{low:.1} to {high:.1}")]
}
