//! What three nodes on this machine do in a second: with their logs on its disk and real syncs, and TCP
//! between them over the loopback.
//!
//! ```text
//! cargo run --release -p quorate --example bench -- [FOLDER] [--seconds N] [--json]
//! ```
//!
//! Commands of 256 bytes, reads under the lease, and reads that ask a quorum, each from 1, 16, 64 and
//! 256 clients of the leader, one operation after the other each. All three nodes and their clients
//! share this machine and one process, and the time of its processors is that of all of them. The
//! disk's own rate of `fdatasync` is measured before and after.
//!
//! It writes some hundred MiB into a new folder inside FOLDER (the present one, if none is named) and
//! removes it. Exit code 0; 1 where the disk, the network or a node refuses something.

mod cluster;
mod latencies;
mod load;
mod machine;
mod report;

use std::error::Error;
use std::path::PathBuf;
use std::time::Duration;

use quorate::Builder;
use quorate::clock::span;
use quorate_spec::{NodeId, Params};

use self::cluster::Cluster;
use self::load::{Kind, Measured};
use self::report::Report;

/// What may go wrong, in any task.
type Failure = Box<dyn Error + Send + Sync>;

const CLIENTS: [usize; 4] = [1, 16, 64, 256];
const KINDS: [Kind; 3] = [Kind::Proposal, Kind::LeaseRead, Kind::ReadIndex];

/// What was asked for.
struct Arguments {
    folder: PathBuf,
    span: Duration,
    json: bool,
}

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let Arguments { folder, span, json } = arguments()?;
    let folder = tempfile::Builder::new().prefix("bench-").tempdir_in(folder)?;
    let lines = (KINDS.len() * CLIENTS.len()) as u64;
    eprintln!("{lines} lines of {} s each", span.as_secs());
    let before = machine::sync_rate(folder.path(), span)?;
    let cluster = Cluster::open(folder.path(), leased).await?;
    let leader = cluster.leader().await?;
    let mut all = Vec::new();
    for kind in KINDS {
        for clients in CLIENTS {
            let line: Measured = load::measure(&cluster, leader, kind, clients, span).await?;
            all.push(line);
            eprintln!("{} of {lines} lines", all.len());
        }
    }
    cluster.close().await;
    let after = machine::sync_rate(folder.path(), span)?;
    let peak = machine::peak_memory();
    Report { all, fdatasync: [before, after], peak, load: machine::load() }.print(json);
    Ok(())
}

/// A node that may read under a lease.
fn leased(id: NodeId) -> Builder {
    let (timeout, heartbeat) = (Duration::from_secs(1), Duration::from_millis(100));
    let params = Params::new(span(timeout), span(heartbeat));
    Builder::new(id).params(params.with_lease(200, span(Duration::from_millis(1))))
}

fn arguments() -> Result<Arguments, Failure> {
    let mut found =
        Arguments { folder: PathBuf::from("."), span: Duration::from_secs(3), json: false };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        match argument.as_str() {
            "--json" => found.json = true,
            "--seconds" => {
                let seconds = arguments.next().unwrap_or_default();
                let seconds: u64 =
                    seconds.parse().map_err(|_| "--seconds takes a number of seconds")?;
                found.span = Duration::from_secs(seconds.max(1));
            }
            option if option.starts_with('-') => {
                return Err(format!("there is no option {option}").into());
            }
            folder => found.folder = PathBuf::from(folder),
        }
    }
    Ok(found)
}
