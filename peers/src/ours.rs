//! Quorate: three nodes in this process, with their logs on the disk and TCP between them.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate::clock::span;
use quorate::disk::{DiskOptions, DiskStorage, Syncs};
use quorate::net::{Addresses, ClusterId, NetLimits, Security, TcpOptions, TcpTransport};
use quorate::{
    Builder, Command, Handle, Limits, Mail, ReadLevel, Response, RunningNode, StateMachine, Wire,
};
use quorate_spec::{Configuration, NodeId, Params};

use crate::contender::{Contender, Operation};
use crate::{ALL, Failure, RING};

/// A cluster, of which the first node leads.
pub(crate) struct Ours {
    nodes: Vec<(RunningNode, Arc<TcpTransport>)>,
    syncs: Syncs,
}

/// A machine that keeps the last few commands.
struct Ring(Vec<Vec<u8>>);

impl StateMachine for Ring {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        for command in commands {
            self.0[command.id.index.0 as usize % RING] = command.bytes.to_vec();
        }
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        |_: &mut dyn Write| Err(io::Error::other("no snapshot is taken here"))
    }

    fn restore(&mut self, _: &mut dyn Read) -> io::Result<()> {
        Err(io::Error::other("no snapshot is taken here"))
    }
}

impl Ours {
    pub(crate) async fn open(folder: &Path) -> Result<Ours, Failure> {
        let cluster = ClusterId::new("peers")?;
        let addresses = Addresses::new(ALL.map(|id| (NodeId(id), "127.0.0.1:1")));
        let (mut nodes, mut syncs) = (Vec::new(), None);
        for id in ALL.map(NodeId) {
            let members = Configuration::of(ALL.map(NodeId));
            let options = DiskOptions::new(cluster.number(), id, members);
            let storage = DiskStorage::open(folder.join(format!("quorate-{id}")), options)?;
            syncs.get_or_insert_with(|| storage.syncs());
            let options = TcpOptions {
                cluster: cluster.clone(),
                id,
                listen: "127.0.0.1:0".to_owned(),
                addresses: addresses.clone(),
                security: Security::Open,
                limits: NetLimits::default(),
            };
            let (network, arrivals) = TcpTransport::start(options).await?;
            addresses.set(id, network.listening().to_string());
            let network = Arc::new(network);
            let wire = Wire {
                transport: network.clone(),
                packets: arrivals.packets,
                mail: Some(Mail { post: network.clone(), letters: arrivals.letters }),
            };
            let timeouts =
                [1_000, 100].map(|milliseconds| span(Duration::from_millis(milliseconds)));
            let limits = Limits { entries_per_snapshot: u64::MAX, ..Limits::default() };
            let builder =
                Builder::new(id).params(Params::new(timeouts[0], timeouts[1])).limits(limits);
            nodes.push((builder.start(storage, wire, Ring(vec![Vec::new(); RING]))?, network));
        }
        let ours = Ours { nodes, syncs: syncs.ok_or("there is no node")? };
        let (leader, begun) = (ours.client(), Instant::now());
        while leader.view().leader != Some(NodeId(ALL[0])) {
            if begun.elapsed() > Duration::from_secs(20) {
                return Err("the first node does not lead".into());
            }
            let _ = leader.campaign().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(ours)
    }

    pub(crate) async fn close(self) {
        for (node, network) in self.nodes {
            node.shutdown().await;
            network.shutdown().await;
        }
    }
}

impl Contender for Ours {
    type Client = Handle;

    fn client(&self) -> Handle {
        self.nodes[0].0.handle().clone()
    }

    fn syncs(&self) -> u64 {
        self.syncs.get()
    }

    async fn perform(client: &Handle, operation: Operation, command: &[u8]) -> Result<(), Failure> {
        match operation {
            Operation::Proposal => drop(client.propose(command).await?),
            Operation::Read => drop(client.read(ReadLevel::ReadIndex).await?),
        }
        Ok(())
    }
}
