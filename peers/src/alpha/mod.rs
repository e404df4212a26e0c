//! openraft's release to come: three nodes in this process, each with a log file of its own, and TCP
//! between them.

mod network;
mod store;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use openraft_alpha::{BasicNode, Config, Raft, ReadPolicy, SnapshotPolicy};

use self::store::{Machine, Store};
use crate::contender::{Contender, Operation};
use crate::roads::{Places, Roads};
use crate::wal::Wal;
use crate::{ALL, Failure};

openraft_alpha::declare_raft_types!(
    /// Commands are bytes, and nothing is answered.
    pub(crate) Types:
        D = Command,
        R = (),
);

/// A command: bytes that can be shown.
#[derive(Clone, PartialEq, Eq, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Command(Vec<u8>);

impl std::fmt::Display for Command {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} bytes", self.0.len())
    }
}

/// A cluster, of which the first node leads.
pub(crate) struct Alpha {
    nodes: Vec<Raft<Types, Machine>>,
    wal: Wal,
}

impl Alpha {
    pub(crate) async fn open(folder: &Path) -> Result<Alpha, Failure> {
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
            let wal = Wal::create(&folder.join(format!("openraft-alpha-{id}.log")))?;
            first.get_or_insert_with(|| wal.clone());
            let listener = places.listen(id).await?;
            let roads = Roads::new(&places);
            let (store, machine) = (Store::new(wal), Machine::default());
            let raft: Raft<Types, Machine> =
                Raft::new(id, Arc::clone(&config), roads, store, machine).await?;
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
        Ok(Alpha { nodes, wal })
    }

    pub(crate) async fn close(self) -> Result<(), Failure> {
        for node in self.nodes {
            node.shutdown().await?;
        }
        Ok(())
    }
}

impl Contender for Alpha {
    type Client = Raft<Types, Machine>;

    fn client(&self) -> Raft<Types, Machine> {
        self.nodes[0].clone()
    }

    fn syncs(&self) -> u64 {
        self.wal.syncs()
    }

    async fn perform(
        client: &Raft<Types, Machine>,
        operation: Operation,
        command: &[u8],
    ) -> Result<(), Failure> {
        match operation {
            Operation::Proposal => drop(client.client_write(Command(command.to_vec())).await?),
            Operation::Read => drop(client.ensure_linearizable(ReadPolicy::ReadIndex).await?),
        }
        Ok(())
    }
}
