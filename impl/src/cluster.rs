//! Nodes in one process, over channels and memory: to start, stop, kill and cut off.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use quorate_spec::{Configuration, NodeId, Params};

use crate::clock::{Clock, MonotonicClock};
use crate::errors::StopReason;
use crate::exchange::Exchange;
use crate::handle::Handle;
use crate::limits::Limits;
use crate::machine::StateMachine;
use crate::memory::MemoryDisk;
use crate::network::Network;
use crate::node::{self, Options, Parts, RunningNode, StartError};

/// A cluster in one process. The disks and the network stay while nodes come and go.
pub struct Cluster<M> {
    params: Params,
    limits: Limits,
    seed: u64,
    starts: u64,
    network: Network,
    exchange: Exchange,
    disks: BTreeMap<NodeId, MemoryDisk>,
    running: BTreeMap<NodeId, RunningNode>,
    machine: Box<dyn FnMut(NodeId) -> M + Send>,
}

/// Packets, and letters, that wait for a node; the network loses what is more.
const INBOX: usize = 1024;

impl<M: StateMachine> Cluster<M> {
    /// A cluster of the voters `1..=size` with empty disks, none of them running. `machine` makes
    /// the state machine of a node that starts.
    #[must_use]
    pub fn new(
        size: u64,
        params: Params,
        seed: u64,
        machine: impl FnMut(NodeId) -> M + Send + 'static,
    ) -> Cluster<M> {
        let ids = || (1..=size).map(NodeId);
        let configuration = Configuration::of(ids());
        let network = Network::new(seed);
        Cluster {
            params,
            limits: Limits::default(),
            seed,
            starts: 0,
            exchange: Exchange::new(network.clone()),
            network,
            disks: ids().map(|id| (id, MemoryDisk::new(configuration.clone()))).collect(),
            running: BTreeMap::new(),
            machine: Box::new(machine),
        }
    }

    /// The same, where every node that starts has these limits.
    #[must_use]
    pub fn with_limits(self, limits: Limits) -> Cluster<M> {
        Cluster { limits, ..self }
    }

    /// A new node with an empty disk, which does not run: it knows no cluster, and is no member of
    /// this one until that is asked for.
    ///
    /// # Panics
    /// There was such a node before: an identity is never used again.
    pub fn add(&mut self, id: NodeId) {
        let disk = MemoryDisk::new(Configuration::default());
        assert!(self.disks.insert(id, disk).is_none(), "there was a node {id} before");
    }

    /// Starts every node that does not run.
    ///
    /// # Errors
    /// The parameters do not fit.
    pub fn start_all(&mut self) -> Result<(), StartError> {
        let idle: Vec<NodeId> =
            self.disks.keys().copied().filter(|id| !self.running.contains_key(id)).collect();
        idle.into_iter().try_for_each(|id| self.start(id).map(drop))
    }

    /// Starts a node from what its disk holds, and returns the way to talk to it.
    ///
    /// # Errors
    /// The parameters do not fit.
    ///
    /// # Panics
    /// There is no such node, or it runs.
    pub fn start(&mut self, id: NodeId) -> Result<&Handle, StartError> {
        assert!(!self.running.contains_key(&id), "node {id} runs: stop or kill it first");
        self.starts += 1;
        let seed = self.seed.wrapping_add(self.starts.wrapping_mul(0x9E37_79B9_7F4A_7C15));
        let options = Options { id, params: self.params, seed, limits: self.limits };
        let parts = Parts {
            storage: self.disk(id).open(),
            transport: Arc::new(self.network.clone()),
            packets: self.network.attach(id, INBOX),
            mail: Some(self.exchange.attach(id, INBOX)),
            clock: Arc::new(MonotonicClock::new()) as Arc<dyn Clock>,
            machine: (self.machine)(id),
        };
        let node = node::start(options, parts)?;
        Ok(self.running.entry(id).or_insert(node).handle())
    }

    /// Shuts a node down in good order; nothing if it does not run.
    pub async fn stop(&mut self, id: NodeId) -> Option<StopReason> {
        Some(self.running.remove(&id)?.shutdown().await)
    }

    /// Takes the power from a node: it ends between two steps, and its disk keeps what is durable
    /// at this moment. Nothing if it does not run.
    pub async fn kill(&mut self, id: NodeId) {
        if let Some(node) = self.running.remove(&id) {
            self.disk(id).crash();
            node.kill().await;
        }
    }

    /// Shuts every node down.
    pub async fn stop_all(&mut self) {
        while let Some((_, node)) = self.running.pop_first() {
            node.shutdown().await;
        }
    }

    /// The way to talk to a node; none if it does not run.
    #[must_use]
    pub fn handle(&self, id: NodeId) -> Option<&Handle> {
        self.running.get(&id).map(RunningNode::handle)
    }

    /// The nodes that run, in order.
    pub fn handles(&self) -> impl Iterator<Item = &Handle> {
        self.running.values().map(RunningNode::handle)
    }

    /// The network between them.
    #[must_use]
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// A node's disk.
    ///
    /// # Panics
    /// There is no such node.
    #[must_use]
    pub fn disk(&self, id: NodeId) -> &MemoryDisk {
        &self.disks[&id]
    }
}

impl<M> fmt::Debug for Cluster<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cluster")
            .field("params", &self.params)
            .field("running", &self.running.keys())
            .field("network", &self.network)
            .finish_non_exhaustive()
    }
}
