//! openraft's stable release: three nodes in this process, each with a log file of its own, and TCP
//! between them.

mod network;
mod store;

use std::collections::BTreeMap;
use std::io::Cursor;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openraft::{BasicNode, Config, Raft, SnapshotPolicy};

use self::store::{Machine, Store};
use crate::contender::{Contender, Operation};
use crate::roads::{Places, Roads};
use crate::wal::Wal;
use crate::{ALL, Failure};

openraft::declare_raft_types!(
    /// Commands are bytes, and so are the answers.
    pub(crate) Types:
        D = Vec<u8>,
        R = (),
);

/// A cluster, of which the first node leads.
pub(crate) struct Stable {
    nodes: Vec<Raft<Types>>,
    wal: Wal,
}

impl Stable {
    pub(crate) async fn open(folder: &Path) -> Result<Stable, Failure> {
        let config = Config {
            heartbeat_interval: 100,
            election_timeout_min: 1_000,
            election_timeout_max: 2_000,
            snapshot_policy: SnapshotPolicy::Never,
            ..Config::default()
        };
        let config = Arc::new(config.validate()?);
        let places = Places::default();
        let (mut nodes, mut first) = (Vec::new(), None);
        for id in ALL {
            let wal = Wal::create(&folder.join(format!("openraft-{id}.log")))?;
            first.get_or_insert_with(|| wal.clone());
            let listener = places.listen(id).await?;
            let roads = Roads::new(&places);
            let raft = Raft::<Types>::new(
                id,
                Arc::clone(&config),
                roads,
                Store::new(wal),
                Machine::default(),
            )
            .await?;
            tokio::spawn(network::serve(listener, raft.clone()));
            nodes.push(raft);
        }
        let members: BTreeMap<u64, BasicNode> =
            ALL.into_iter().map(|id| (id, BasicNode::default())).collect();
        let leader = nodes.first().ok_or("there is no node")?;
        leader.initialize(members).await?;
        let wait = leader.wait(Some(Duration::from_secs(20)));
        wait.current_leader(ALL[0], "the first node leads").await?;
        let wal = first.ok_or("there is no node")?;
        Ok(Stable { nodes, wal })
    }

    pub(crate) async fn close(self) -> Result<(), Failure> {
        for node in self.nodes {
            node.shutdown().await?;
        }
        Ok(())
    }
}

impl Contender for Stable {
    type Client = Raft<Types>;

    fn client(&self) -> Raft<Types> {
        self.nodes[0].clone()
    }

    fn syncs(&self) -> u64 {
        self.wal.syncs()
    }

    async fn perform(
        client: &Raft<Types>,
        operation: Operation,
        command: &[u8],
    ) -> Result<(), Failure> {
        match operation {
            Operation::Proposal => drop(client.client_write(command.to_vec()).await?),
            Operation::Read => drop(client.ensure_linearizable().await?),
        }
        Ok(())
    }
}
