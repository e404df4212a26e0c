//! Three nodes on this machine: directories of their own, and TCP over the loopback.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;

use quorate::disk::DiskOptions;
use quorate::net::{Addresses, ClusterId, NetLimits, Security, TcpOptions, TcpTransport};
use quorate::{
    Builder, Command, DiskStorage, Handle, Mail, Response, RunningNode, StateMachine, Storage,
    Syncs, Wire,
};
use quorate_spec::{Configuration, NodeId};

use crate::Failure;

/// How many commands the machine keeps.
pub(crate) const RING: usize = 128;

const ALL: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// The last commands, some hundred of them: a state of a few KiB.
struct Ring(Vec<Vec<u8>>, usize);

impl StateMachine for Ring {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        for command in commands {
            let Ring(slots, next) = self;
            if let Some(slot) = slots.get_mut(*next) {
                slot.clear();
                slot.extend_from_slice(command.bytes);
            }
            *next = (*next + 1) % slots.len().max(1);
        }
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let bytes = self.0.concat();
        move |out: &mut dyn Write| out.write_all(&bytes)
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        // No node of a benchmark starts twice.
        io::copy(state, &mut io::sink()).map(drop)
    }
}

/// The nodes, in the order of their names.
pub(crate) struct Cluster {
    nodes: Vec<Member>,
}

/// A node and what is measured of it.
struct Member {
    running: RunningNode,
    network: Arc<TcpTransport>,
    syncs: Syncs,
}

impl Cluster {
    /// Founds a cluster in this folder, of nodes that are built like this.
    pub(crate) async fn open(
        folder: &Path,
        build: impl Fn(NodeId) -> Builder,
    ) -> Result<Cluster, Failure> {
        let addresses = Addresses::new([] as [(NodeId, String); 0]);
        let mut nodes = Vec::new();
        for id in ALL {
            let directory = folder.join(format!("node-{id}"));
            let options = DiskOptions::new(1, id, Configuration::of(ALL));
            let storage = DiskStorage::open(directory, options)?;
            let options = TcpOptions {
                cluster: ClusterId::new("bench")?,
                id,
                listen: "127.0.0.1:0".to_owned(),
                addresses: addresses.clone(),
                security: Security::Open,
                limits: NetLimits::default(),
                register: storage.register(),
            };
            let (network, arrivals) = TcpTransport::start(options).await?;
            addresses.set(id, network.listening().to_string());
            let (network, syncs) = (Arc::new(network), storage.syncs());
            let wire = Wire {
                transport: network.clone(),
                packets: arrivals.packets,
                mail: Some(Mail { post: network.clone(), letters: arrivals.letters }),
            };
            let ring = Ring(vec![Vec::new(); RING], 0);
            let running = build(id).start(storage, wire, ring)?;
            nodes.push(Member { running, network, syncs });
        }
        Ok(Cluster { nodes })
    }

    /// Who leads, once somebody does: its place among the nodes.
    pub(crate) async fn leader(&self) -> Result<usize, Failure> {
        let first = self.nodes.first().ok_or("there is no node")?;
        let mut view = first.running.handle().watch();
        let led = view.wait_for(|view| view.leader.is_some()).await?.leader;
        let place = ALL.iter().position(|id| Some(*id) == led);
        Ok(place.ok_or("a node leads that is not here")?)
    }

    pub(crate) fn handle(&self, node: usize) -> Result<Handle, Failure> {
        Ok(self.nodes.get(node).ok_or("there is no such node")?.running.handle().clone())
    }

    /// How often this node has synced its log.
    pub(crate) fn syncs(&self, node: usize) -> u64 {
        self.nodes.get(node).map_or(0, |node| node.syncs.get())
    }

    pub(crate) async fn close(self) {
        for Member { running, network, .. } in self.nodes {
            running.shutdown().await;
            network.shutdown().await;
        }
    }
}
