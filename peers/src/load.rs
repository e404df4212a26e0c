//! Clients that do one operation after the other.

use std::time::{Duration, Instant};

use crate::contender::{Contender, Operation};
use crate::latencies::Latencies;
use crate::{Failure, machine};

/// The length of a command in bytes.
const LENGTH: usize = 256;

/// What some clients did in a while.
pub(crate) struct Measured {
    pub(crate) rate: f64,
    pub(crate) took: Latencies,
    /// Of all processors, for one operation.
    pub(crate) processor: Duration,
    /// Of the leader, for one operation.
    pub(crate) syncs: f64,
}

/// Has so many clients work for this long.
pub(crate) async fn measure<C: Contender + 'static>(
    cluster: &C,
    operation: Operation,
    clients: usize,
    span: Duration,
) -> Result<Measured, Failure> {
    let (syncs, used, begun) = (cluster.syncs(), machine::processor_time(), Instant::now());
    let until = begun + span;
    let running: Vec<_> = (0..clients)
        .map(|_| tokio::spawn(client::<C>(cluster.client(), operation, until)))
        .collect();
    let mut took = Latencies::new();
    for client in running {
        took.merge(&client.await??);
    }
    let (elapsed, used) = (begun.elapsed(), machine::processor_time().saturating_sub(used));
    let count = took.len().max(1) as f64;
    Ok(Measured {
        rate: took.len() as f64 / elapsed.as_secs_f64(),
        took,
        processor: used.div_f64(count),
        syncs: (cluster.syncs() - syncs) as f64 / count,
    })
}

async fn client<C: Contender + 'static>(
    client: C::Client,
    operation: Operation,
    until: Instant,
) -> Result<Latencies, Failure> {
    let command = [7; LENGTH];
    let (mut took, mut before) = (Latencies::new(), Instant::now());
    while before < until {
        C::perform(&client, operation, &command).await?;
        let now = Instant::now();
        took.add(now - before);
        before = now;
    }
    Ok(took)
}
