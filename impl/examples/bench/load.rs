//! Clients that do one operation after the other, and what became of that.

use std::time::{Duration, Instant};

use quorate::{Handle, ReadLevel};

use crate::cluster::Cluster;
use crate::latencies::Latencies;
use crate::{Failure, machine};

/// The length of a command in bytes.
const LENGTH: usize = 256;

/// After so many operations that waited for nothing a client lets others run.
const TURN: u64 = 64;

/// What the clients do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A command that is durable on a quorum, applied and answered.
    Proposal,
    /// A read under the lease of the leader, which asks nobody.
    LeaseRead,
    /// A read for which the leader asks a quorum.
    ReadIndex,
}

impl Kind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Kind::Proposal => "proposals",
            Kind::LeaseRead => "lease reads",
            Kind::ReadIndex => "read-index reads",
        }
    }

    async fn perform(self, leader: &Handle, command: &[u8]) -> Result<(), Failure> {
        match self {
            Kind::Proposal => drop(leader.propose(command).await?),
            Kind::LeaseRead => drop(leader.read(ReadLevel::Lease).await?),
            Kind::ReadIndex => drop(leader.read(ReadLevel::ReadIndex).await?),
        }
        Ok(())
    }
}

/// One line of the table.
pub(crate) struct Measured {
    pub(crate) kind: Kind,
    pub(crate) clients: usize,
    /// Operations in a second.
    pub(crate) rate: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    /// Of all processors, for one operation.
    pub(crate) processor: Duration,
    /// Of the leader, for one operation.
    pub(crate) syncs: f64,
}

/// Has so many clients work for this long.
pub(crate) async fn measure(
    cluster: &Cluster,
    leader: usize,
    kind: Kind,
    clients: usize,
    span: Duration,
) -> Result<Measured, Failure> {
    let handle = cluster.handle(leader)?;
    let (syncs, used, begun) = (cluster.syncs(leader), machine::processor_time(), Instant::now());
    let until = begun + span;
    let running: Vec<_> =
        (0..clients).map(|_| tokio::spawn(client(handle.clone(), kind, until))).collect();
    let mut took = Latencies::new();
    for client in running {
        took.merge(&client.await??);
    }
    let (elapsed, used) = (begun.elapsed(), machine::processor_time().saturating_sub(used));
    let count = took.len().max(1) as f64;
    Ok(Measured {
        kind,
        clients,
        rate: took.len() as f64 / elapsed.as_secs_f64(),
        p50: took.at(0.50),
        p99: took.at(0.99),
        processor: used.div_f64(count),
        syncs: (cluster.syncs(leader) - syncs) as f64 / count,
    })
}

/// How long each operation of one client took.
async fn client(leader: Handle, kind: Kind, until: Instant) -> Result<Latencies, Failure> {
    let command = [7; LENGTH];
    let (mut took, mut before) = (Latencies::new(), Instant::now());
    while before < until {
        kind.perform(&leader, &command).await?;
        let now = Instant::now();
        took.add(now - before);
        before = now;
        if kind == Kind::LeaseRead && took.len().is_multiple_of(TURN) {
            tokio::task::yield_now().await;
            // Waiting for its turn is no part of a read.
            before = Instant::now();
        }
    }
    Ok(took)
}
