//! Quorate and its peers in one run: the same clients, the same disk, the same loopback, by turns.
//! README.md says what is compared, and what is not fair.
//!
//! ```text
//! cargo run --release -- [FOLDER] [--seconds N] [--rounds N] [--json]
//! ```
//! Commands of 256 bytes and reads that ask a quorum, each from 1, 16, 64 and 256 clients of the
//! leader. Each line is measured in `--rounds` rounds (3) of `--seconds` (2) for each contender, one
//! after the other. It writes some hundred MiB into a new folder inside FOLDER (the present one, if none
//! is named) and removes it. Exit code 0; 1 where the disk, the network or a node refuses something.

mod alpha;
#[path = "../../impl/examples/bench/cluster.rs"]
mod cluster;
mod contender;
#[path = "../../impl/examples/bench/latencies.rs"]
mod latencies;
mod link;
mod load;
#[path = "../../impl/examples/bench/machine.rs"]
mod machine;
mod ours;
mod report;
mod roads;
mod stable;
mod wal;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use self::alpha::Alpha;
use self::contender::Operation;
use self::ours::Ours;
use self::report::{Line, Report, Side};
use self::stable::Stable;

/// What may go wrong, in any task.
type Failure = Box<dyn Error + Send + Sync>;

const ALL: [u64; 3] = [1, 2, 3];
const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const NAMES: [&str; 3] = ["quorate", "openraft 0.9.24", "openraft 0.10.0-alpha.37"];

/// What was asked for.
struct Arguments {
    folder: PathBuf,
    span: Duration,
    rounds: u64,
    json: bool,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let Arguments { folder, span, rounds, json } = arguments()?;
    let folder = tempfile::Builder::new().prefix("peers-").tempdir_in(folder)?;
    let before = machine::sync_rate(folder.path(), span)?;
    let ours = Ours::open(folder.path()).await?;
    let stable = Stable::open(folder.path()).await?;
    let alpha = Alpha::open(folder.path()).await?;
    let mut lines = Vec::new();
    for operation in [Operation::Proposal, Operation::Read] {
        for clients in CLIENTS {
            let mut sides = NAMES.map(|name| Side { name, rounds: Vec::new() });
            for _ in 0..rounds {
                let [first, second, third] = &mut sides;
                first.rounds.push(load::measure(&ours, operation, clients, span).await?);
                second.rounds.push(load::measure(&stable, operation, clients, span).await?);
                third.rounds.push(load::measure(&alpha, operation, clients, span).await?);
            }
            lines.push(Line { operation, clients, sides: sides.into() });
            eprintln!("{} of 8 lines", lines.len());
        }
    }
    ours.close().await;
    stable.close().await?;
    alpha.close().await?;
    let after = machine::sync_rate(folder.path(), span)?;
    let (load, peak) = (machine::load(), machine::peak_memory());
    Report { lines, fdatasync: [before, after], load, peak }.print(json);
    Ok(())
}

fn arguments() -> Result<Arguments, Failure> {
    let mut found = Arguments {
        folder: PathBuf::from("."),
        span: Duration::from_secs(2),
        rounds: 3,
        json: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let mut number = || {
            let number = arguments.next().and_then(|number| number.parse::<u64>().ok());
            number.filter(|it| *it > 0).ok_or_else(|| format!("{argument} takes a number"))
        };
        match argument.as_str() {
            "--json" => found.json = true,
            "--seconds" => found.span = Duration::from_secs(number()?),
            "--rounds" => found.rounds = number()?,
            option if option.starts_with('-') => {
                return Err(format!("there is no option {option}").into());
            }
            folder => found.folder = PathBuf::from(folder),
        }
    }
    Ok(found)
}
