//! A node with everything in the box: a directory for its log, an address to listen on, and the state
//! machine.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;

use quorate_spec::{Configuration, Durable, NodeId};
use thiserror::Error;

use crate::builder::{Builder, Wire};
use crate::disk::{DiskOptions, DiskStorage, OpenError};
use crate::errors::StopReason;
use crate::forward::Mail;
use crate::handle::Handle;
use crate::machine::StateMachine;
use crate::net::{Addresses, ClusterId, Security, TcpOptions, TcpTransport, TransportError};
use crate::node::{RunningNode, StartError};
use crate::storage::Storage;

/// Where a node lives, and with whom.
#[derive(Clone, Debug)]
pub struct Site {
    /// The cluster: all its nodes have the same name for it, and no other cluster has.
    pub cluster: ClusterId,
    /// The node's own directory. It goes with the node's identity, and with no other.
    pub directory: PathBuf,
    /// Where it listens for the others, as `host:port`.
    pub listen: String,
    /// Where the others find each other. It may change while the node runs: whoever adds a member
    /// gives its address to every node first.
    pub peers: Addresses,
    /// Whether connections are encrypted and both sides prove who they are.
    pub security: Security,
    /// What an empty directory begins with.
    pub begin: Begin,
}

/// What an empty directory begins with, or one whose first start was interrupted. In a directory that
/// has a node already, that node goes on whatever is said here, so the same program may be started
/// again and again. But a node whose disk is lost has forgotten what it promised: it never begins anew
/// under its identity, and whoever met it before refuses it
/// ([`Objection::OtherDirectory`](crate::net::Objection::OtherDirectory)). Say [`Begin::Resume`] where
/// that could happen by mistake, as with a disk that is not mounted.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Begin {
    /// A new cluster with these first members. This node is one of them, and each of them is opened
    /// with the same ones.
    Found(BTreeSet<NodeId>),
    /// Nothing: the node waits until a cluster takes it in, by [`Handle::change_members`] at one of its
    /// nodes.
    Join,
    /// An empty directory is refused, and so is one whose first start was interrupted.
    Resume,
}

impl Begin {
    /// See [`Begin::Found`].
    #[must_use]
    pub fn found(members: impl IntoIterator<Item = NodeId>) -> Begin {
        Begin::Found(members.into_iter().collect())
    }
}

/// Why a node is not opened, and what to do. Nothing has changed then, but that an empty directory may now
/// belong to the node, and have founded its cluster: not where its members or its address were wrong.
#[derive(Debug, Error)]
pub enum NodeError {
    /// Its directory is not opened.
    #[error(transparent)]
    Directory(#[from] OpenError),
    /// Its directory belongs to another cluster.
    #[error(
        "{} belongs to another cluster than {cluster}: look which directory this node was started on",
        .directory.display()
    )]
    OtherCluster {
        /// The directory.
        directory: PathBuf,
        /// The cluster that was asked for.
        cluster: ClusterId,
    },
    /// It has no network.
    #[error(transparent)]
    Network(#[from] TransportError),
    /// Its parameters or its state do not fit.
    #[error(transparent)]
    Start(#[from] StartError),
    /// It is to found a cluster that it is no member of.
    #[error(
        "node {0} is not among the first members of the cluster: name it among them, or let it join"
    )]
    NotAFounder(NodeId),
    /// It is to found a cluster with a node that it does not find.
    #[error("node {0} is among the first members, and no address is given for it")]
    NoAddress(NodeId),
    /// It is to go on, and there is nothing to go on with.
    #[error(
        "{} has no node: is its disk mounted? If what it held is lost, remove this node from the \
         cluster, and add one with a new identity",
        .0.display()
    )]
    NothingThere(PathBuf),
    /// It is to go on, and its first start was interrupted.
    #[error(
        "the first start of the node in {} was interrupted before it was a node's, and it holds \
         nothing: say again what it is to begin with, as at that start",
        .0.display()
    )]
    Unfinished(PathBuf),
}

/// A node with its log on a disk, that reaches the others over TCP.
///
/// ```no_run
/// use quorate::net::{Addresses, ClusterId, Security};
/// use quorate::{Begin, Node, ReadLevel, Site, StateMachine};
/// use quorate_spec::NodeId;
///
/// # async fn run(machine: impl StateMachine) -> Result<(), Box<dyn std::error::Error>> {
/// let peers = [(1, "10.0.0.1:7000"), (2, "10.0.0.2:7000"), (3, "10.0.0.3:7000")];
/// let site = Site {
///     cluster: ClusterId::new("shop-4f1c09")?,
///     directory: "/var/lib/shop".into(),
///     listen: "0.0.0.0:7000".to_owned(),
///     peers: Addresses::new(peers.map(|(id, address)| (NodeId(id), address))),
///     security: Security::Open,
///     begin: Begin::found([1, 2, 3].map(NodeId)),
/// };
/// let node = Node::open(NodeId(1), site, machine).await?;
/// node.handle().propose("set a 1").await?;
/// node.handle().read(ReadLevel::ReadIndex).await?;
/// println!("{:?}", node.network().status());
/// node.shutdown().await;
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Node {
    running: RunningNode,
    network: Arc<TcpTransport>,
}

impl Node {
    /// Opens the node on the present tokio runtime: it reads the whole directory, listens, restores the
    /// machine from the latest snapshot, and takes part. For other parameters see [`Builder::open`].
    ///
    /// # Errors
    /// [`NodeError`] says what is wrong, and what to do.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open<M: StateMachine>(
        id: NodeId,
        site: Site,
        machine: M,
    ) -> Result<Node, NodeError> {
        Builder::new(id).open(site, machine).await
    }

    /// The way to talk to it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        self.running.handle()
    }

    /// Its network: who is connected and who was refused, and the addresses.
    #[must_use]
    pub fn network(&self) -> &TcpTransport {
        &self.network
    }

    /// Shuts the node down, as [`RunningNode::shutdown`] does, and lets go of its directory and its
    /// address.
    pub async fn shutdown(self) -> StopReason {
        let reason = self.running.shutdown().await;
        self.network.shutdown().await;
        reason
    }
}

impl Builder {
    /// Opens the node on its site: see [`Node::open`].
    ///
    /// # Errors
    /// [`NodeError`] says what is wrong, and what to do.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn open<M: StateMachine>(self, site: Site, machine: M) -> Result<Node, NodeError> {
        self.validate().map_err(StartError::Limits)?;
        let (id, limits) = (self.id(), self.transport_limits());
        let Site { cluster, directory, listen, peers: addresses, security, begin } = site;
        let is_new = !DiskStorage::is_at(&directory);
        let configuration = match &begin {
            // It goes on with what it has.
            _ if !is_new => Configuration::default(),
            Begin::Found(members) => founded(id, members.clone(), &addresses)?,
            Begin::Join => Configuration::default(),
            Begin::Resume if DiskStorage::is_unfinished_at(&directory) => {
                return Err(NodeError::Unfinished(directory));
            }
            Begin::Resume => return Err(NodeError::NothingThere(directory)),
        };
        // A directory that is here is opened first: who else has it open would have the address as well, and
        // that is not what is wrong.
        let listening = || TcpTransport::listen(&cluster, id, &listen, &security, &limits);
        let early = if is_new { Some(listening().await?) } else { None };
        let storage =
            opened(DiskOptions::new(cluster.number(), id, configuration), directory).await;
        let storage = storage.map_err(|error| match error {
            // The directory knows a number, and people know the name.
            OpenError::OtherCluster { path: directory, .. } => {
                NodeError::OtherCluster { directory, cluster: cluster.clone() }
            }
            error => error.into(),
        })?;
        if let Begin::Found(members) = &begin {
            goes_by_its_directory(id, members, &storage.recovered());
        }
        let register = storage.register();
        let listening = match early {
            Some(listening) => Ok(listening),
            None => listening().await,
        };
        let options = TcpOptions { cluster, id, listen, addresses, security, limits, register };
        let started = listening.and_then(|listening| TcpTransport::start_on(listening, options));
        let (network, arrivals) = match started {
            Ok(started) => started,
            Err(error) => {
                // Whoever tries again finds the directory free.
                storage.close().await;
                return Err(error.into());
            }
        };
        let network = Arc::new(network);
        let wire = Wire {
            transport: network.clone(),
            packets: arrivals.packets,
            mail: Some(Mail { post: network.clone(), letters: arrivals.letters }),
        };
        let mut progress = storage.progress();
        match self.start(storage, wire, machine) {
            Ok(running) => Ok(Node { running, network }),
            Err(error) => {
                // As above. The storage is dropped, and the last to let go of the directory is the
                // thread that reports.
                while progress.changed().await.is_ok() {}
                network.shutdown().await;
                Err(error.into())
            }
        }
    }
}

/// Opens the directory on a thread that may wait for a disk.
async fn opened(options: DiskOptions, directory: PathBuf) -> Result<DiskStorage, OpenError> {
    let opened = tokio::task::spawn_blocking(|| DiskStorage::open(directory, options));
    opened.await.unwrap_or_else(|ended| match ended.try_into_panic() {
        Ok(panic) => std::panic::resume_unwind(panic),
        // Only a runtime that is going away cancels it, and this task with it.
        Err(cancelled) => unreachable!("{cancelled}"),
    })
}

/// Says where the list of founders is another one than the members that the directory names: since then the
/// members have changed, or the node was founded by another list and is alone, or with others.
fn goes_by_its_directory(id: NodeId, founders: &BTreeSet<NodeId>, recovered: &Durable) {
    let members: BTreeSet<NodeId> = recovered.log.configuration().members().collect();
    if members != *founders && !members.is_empty() {
        let list = |ids: &BTreeSet<NodeId>| {
            ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(" ")
        };
        tracing::warn!(
            node = %id, members = list(&members), founders = list(founders),
            "the directory names other members than the list of founders, which counts at the first start \
             alone. Where the members were not changed since, this node was founded by another list, and \
             is of another cluster than those that were founded by this one: start it on a new directory"
        );
    }
}

/// The first configuration of a cluster with these members.
fn founded(
    id: NodeId,
    members: BTreeSet<NodeId>,
    addresses: &Addresses,
) -> Result<Configuration, NodeError> {
    if !members.contains(&id) {
        return Err(NodeError::NotAFounder(id));
    }
    let lost = members.iter().find(|member| **member != id && !addresses.knows(**member));
    match lost {
        Some(lost) => Err(NodeError::NoAddress(*lost)),
        None => Ok(Configuration::of(members)),
    }
}
