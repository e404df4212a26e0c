//! Quorate: the cluster of its own benchmark, without leases and without snapshots.

use std::path::Path;

use quorate::{Builder, Handle, Limits, ReadLevel};

use crate::Failure;
use crate::cluster::Cluster;
use crate::contender::{Contender, Operation};

/// A cluster, and its leader.
pub(crate) struct Ours {
    cluster: Cluster,
    leader: usize,
    handle: Handle,
}

impl Ours {
    pub(crate) async fn open(folder: &Path) -> Result<Ours, Failure> {
        // The time-outs are those of the others: a second, and a tenth of one.
        let limits = Limits { entries_per_snapshot: u64::MAX, ..Limits::default() };
        let cluster = Cluster::open(folder, |id| Builder::new(id).limits(limits)).await?;
        let leader = cluster.leader().await?;
        let handle = cluster.handle(leader)?;
        Ok(Ours { cluster, leader, handle })
    }

    pub(crate) async fn close(self) {
        self.cluster.close().await;
    }
}

impl Contender for Ours {
    type Client = Handle;

    fn client(&self) -> Handle {
        self.handle.clone()
    }

    fn syncs(&self) -> u64 {
        self.cluster.syncs(self.leader)
    }

    async fn perform(client: &Handle, operation: Operation, command: &[u8]) -> Result<(), Failure> {
        match operation {
            Operation::Proposal => drop(client.propose(command).await?),
            Operation::Read => drop(client.read(ReadLevel::ReadIndex).await?),
        }
        Ok(())
    }
}
