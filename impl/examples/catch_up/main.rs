//! A node that was away while the log was compacted catches up by a large snapshot, under a steady
//! load of writes, while the nodes take snapshots of their own: does anybody lose leadership over it,
//! and how long is the owner of a node kept?
//!
//! ```text
//! cargo run --release -p quorate --example catch_up -- [FOLDER] [--state MIB] [--rate N]
//!     [--per-snapshot N] [--json]
//! ```
//!
//! Three nodes with everything in the box and production's time-outs, their logs on a real disk and
//! TCP between them over the loopback, all in one process with the load. They have a state of `--state`
//! MiB (256). The third goes away; writes of 256 bytes are due at `--rate` a second (5,000), each
//! whether or not those before are answered; once the log of the leader begins later than that of the
//! third ends, that one comes back. It has caught up when it has applied what was committed 10 ms before.
//! The load goes on until each of the others has finished a snapshot of its own in that time as well.
//! A task beside them that shares nothing with the nodes but the runtime's workers does a step's work
//! every millisecond: its longest piece (`bare`) is what other programs and threads make of one.
//! Snapshots are taken every `--per-snapshot` entries (40,000).
//!
//! It writes some GiB into a new folder inside FOLDER (the present one, if none is named), removes it,
//! and takes some GiB of memory. Exit code 0; 1 where somebody was elected meanwhile, or where the
//! disk, the network or a node refuses something.

mod cluster;
mod control;
mod heap;
#[path = "../bench/latencies.rs"]
mod latencies;
mod load;
#[path = "../bench/machine.rs"]
mod machine;
mod report;

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use quorate_spec::{Index, NodeId};

use self::cluster::{ALL, AWAY, Cluster, LEADER, figure, until};
use self::control::Control;
use self::heap::{VALUE, VALUES_PER_COMMAND};
use self::load::Load;
use self::report::{NodeFigures, Report};

/// What may go wrong, in any task.
type Failure = Box<dyn Error + Send + Sync>;

/// How long the load runs alone before the node comes back, at least.
const ALONE: Duration = Duration::from_secs(3);

/// What was asked for.
#[derive(Clone, Debug)]
struct Options {
    folder: PathBuf,
    /// MiB.
    state: u64,
    /// Writes a second.
    rate: u64,
    entries_per_snapshot: u64,
    json: bool,
}

#[tokio::main]
async fn main() -> Result<ExitCode, Failure> {
    let options = options()?;
    let folder = tempfile::Builder::new().prefix("catch-up-").tempdir_in(&options.folder)?;
    let fdatasync = machine::sync_rate(folder.path(), Duration::from_secs(1))?;
    let mut cluster = Cluster::open(folder.path(), &options).await?;
    fill(&cluster, options.state).await?;
    eprintln!("all have a state of {} MiB; node {AWAY} goes away", options.state);
    cluster.stop(AWAY).await;
    let leader = cluster.handle(LEADER)?;
    let had = leader.vitals().now().last;
    let (load, control) = (Load::start(leader.clone(), options.rate), Control::start());
    until("the log is compacted", async || Ok(leader.status().await?.base.index > had)).await?;
    // What a new load and a first snapshot do is no part of what comes now.
    load.part();
    control.longest();
    tokio::time::sleep(ALONE).await;
    let before = load.part();
    let control_before = control.longest();
    let term = leader.status().await?.term;
    let figures = figures(&cluster)?;
    let (peak, used) = (machine::peak_memory(), machine::processor_time());
    eprintln!("the log is compacted; node {AWAY} comes back");
    let [restored, caught_up, sending] = come_back(&mut cluster, &load, &figures).await?;
    let after = load.part();
    let controls = [control_before, control.longest()];
    control.stop();
    let processor = machine::processor_time().saturating_sub(used);
    load.stop().await;
    let term_after = leader.status().await?.term;
    let report = Report {
        options,
        parts: [before, after],
        restored,
        caught_up,
        sent: (cluster.snapshot_bytes(AWAY)?, sending),
        terms: [term, term_after],
        controls,
        nodes: differences(&figures, &self::figures(&cluster)?),
        fdatasync,
        peak: [peak, machine::peak_memory()],
        processor,
        load: machine::load(),
    };
    cluster.close().await;
    report.print();
    Ok(if report.is_calm() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// Gives all machines their state.
async fn fill(cluster: &Cluster, mebibytes: u64) -> Result<(), Failure> {
    let (leader, mut last) = (cluster.handle(LEADER)?, Index::ZERO);
    let commands = (mebibytes << 20).div_ceil(VALUE as u64 * VALUES_PER_COMMAND);
    for number in 0..commands {
        last = leader.propose(heap::fill(number * VALUES_PER_COMMAND)).await?.entry.index;
    }
    for id in ALL {
        until("all have it", async || Ok(cluster.applied(id)? >= last)).await?;
    }
    Ok(())
}

/// Opens the node again and follows it until it has caught up, and the others have taken a snapshot.
/// Says how long it took until it had what was committed when it came, until it had caught up, and
/// from the first to the last byte of the snapshots that it was sent.
async fn come_back(
    cluster: &mut Cluster,
    load: &Load,
    before: &[NodeFigures],
) -> Result<[Duration; 3], Failure> {
    let (begun, writes) = (Instant::now(), load.begun());
    let committed = cluster.handle(LEADER)?.vitals().now().commit;
    cluster.start(AWAY).await?;
    let mut lately = committed;
    let (mut restored, mut caught_up) = (None, None);
    let (mut bytes, mut moved): (u64, Option<(Instant, Instant)>) = (0, None);
    until("it has caught up, and the others have taken a snapshot", async || {
        let (now, applied) = (Instant::now(), cluster.applied(AWAY)?);
        let so_far = cluster.snapshot_bytes(AWAY)?;
        if so_far > bytes {
            bytes = so_far;
            moved = Some((moved.map_or(now, |(first, _)| first), now));
        }
        if applied >= committed {
            restored.get_or_insert(now - begun);
        }
        if applied >= lately && applied > committed {
            caught_up.get_or_insert(now - begun);
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
        lately = cluster.handle(LEADER)?.vitals().now().commit;
        let taken = differences(before, &figures(cluster)?);
        let others = taken.iter().filter(|node| NodeId(node.id) != AWAY);
        Ok(caught_up.is_some() && others.into_iter().all(|node| node.snapshots > 0.0))
    })
    .await?;
    eprintln!("{} writes were due meanwhile", load.begun() - writes);
    let sending = moved.map_or(Duration::ZERO, |(first, last)| last - first);
    Ok([restored.unwrap_or_default(), caught_up.unwrap_or_default(), sending])
}

/// What each node that runs says of itself now, as it says it: nothing is a difference yet.
fn figures(cluster: &Cluster) -> Result<Vec<NodeFigures>, Failure> {
    let running = ALL.into_iter().filter_map(|id| Some((id, cluster.handle(id).ok()?)));
    let of = |(id, node): (NodeId, _)| {
        Ok(NodeFigures {
            id: id.0,
            longest_step: [0.0, figure(&node, "quorate_longest_step_seconds")?],
            longest_pause: [0.0, figure(&node, "quorate_longest_pause_seconds")?],
            snapshots: figure(&node, "quorate_snapshots_total")?,
        })
    };
    running.map(of).collect()
}

/// From the figures before to those after. A node that did not run before begins at nothing.
fn differences(before: &[NodeFigures], after: &[NodeFigures]) -> Vec<NodeFigures> {
    let of = |now: &NodeFigures| {
        let then = before.iter().find(|then| then.id == now.id);
        let [step, pause] = then.map_or([0.0; 2], |it| [it.longest_step[1], it.longest_pause[1]]);
        NodeFigures {
            id: now.id,
            longest_step: [step, now.longest_step[1]],
            longest_pause: [pause, now.longest_pause[1]],
            snapshots: now.snapshots - then.map_or(0.0, |then| then.snapshots),
        }
    };
    after.iter().map(of).collect()
}

fn options() -> Result<Options, Failure> {
    let mut found = Options {
        folder: PathBuf::from("."),
        state: 256,
        rate: 5_000,
        entries_per_snapshot: 40_000,
        json: false,
    };
    let mut arguments = std::env::args().skip(1);
    while let Some(argument) = arguments.next() {
        let number = match argument.as_str() {
            "--state" => &mut found.state,
            "--rate" => &mut found.rate,
            "--per-snapshot" => &mut found.entries_per_snapshot,
            "--json" => {
                found.json = true;
                continue;
            }
            option if option.starts_with('-') => {
                return Err(format!("there is no option {option}").into());
            }
            folder => {
                found.folder = PathBuf::from(folder);
                continue;
            }
        };
        let value = arguments.next().and_then(|value| value.parse().ok());
        *number = value.filter(|it| *it > 0).ok_or_else(|| format!("{argument} takes a number"))?;
    }
    Ok(found)
}
