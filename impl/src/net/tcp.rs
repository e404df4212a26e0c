//! The transport: it listens, keeps a connection to every node whose address is known, and hands
//! what arrives to its node.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_spec::NodeId;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};

use super::addresses::Addresses;
use super::identity::{ClusterId, Identity, Incarnation, NoRandomness};
use super::incoming;
use super::limits::NetLimits;
use super::peer::{self, Peer};
use super::room::Room;
use super::seats::Seats;
use super::shared::{Shared, Visits};
use super::snapshot::{Receiving, Shelf};
use super::status::TransportStatus;
use super::tls::{Security, TlsError};
use crate::disk::Register;
use crate::forward::Post;
use crate::inbox::{Inbox, inbox};
use crate::limits::LimitsError;
use crate::lock::lock;
use crate::record::Payload;
use crate::traffic::Traffic;
use crate::transport::{Packet, Transport};

/// What a transport is started with.
#[derive(Clone, Debug)]
pub struct TcpOptions {
    /// The cluster of the node.
    pub cluster: ClusterId,
    /// The node's identity.
    pub id: NodeId,
    /// Where it listens, as `host:port`; with port 0 the system chooses one.
    pub listen: String,
    /// Where the others are.
    pub addresses: Addresses,
    /// Whether connections are encrypted.
    pub security: Security,
    /// How much it takes, and how long it waits.
    pub limits: NetLimits,
    /// Whom the node has met: that of its [`DiskStorage`](crate::DiskStorage). The default is for a node
    /// without a directory, which nothing keeps from voting twice when it is started anew.
    pub register: Register,
}

/// Why a transport does not start.
#[derive(Debug, Error)]
pub enum TransportError {
    /// It cannot listen there.
    #[error("cannot listen on {address}: {error}")]
    Listen {
        /// Where.
        address: String,
        /// Why not.
        error: io::Error,
    },
    /// The certificate is not that of this node.
    #[error("{0}")]
    Certificate(#[from] TlsError),
    /// The limits do not fit each other.
    #[error("{0}")]
    Limits(#[from] LimitsError),
    /// There are no random numbers.
    #[error("{0}")]
    Randomness(#[from] NoRandomness),
}

/// What arrives for a node. Where a receiver is dropped, nobody is heard any more, or no letter is.
#[derive(Debug)]
pub struct Arrivals {
    /// Packets of the protocol.
    pub packets: Inbox<Packet>,
    /// What other nodes say beside the protocol: who, and what.
    pub letters: Inbox<(NodeId, Payload)>,
}

/// Nodes that reach each other over TCP. Dropping it ends every connection.
pub struct TcpTransport {
    shared: Arc<Shared>,
    listening: SocketAddr,
    root: Mutex<Option<JoinHandle<()>>>,
}

impl TcpTransport {
    /// Starts to listen and to connect, on the present tokio runtime.
    ///
    /// # Errors
    /// It cannot listen there, the certificate is not that of the node, or the limits do not fit.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub async fn start(options: TcpOptions) -> Result<(TcpTransport, Arrivals), TransportError> {
        let TcpOptions { cluster, id, listen, security, limits, .. } = &options;
        let listening = Self::listen(cluster, *id, listen, security, limits).await?;
        Self::start_on(listening, options)
    }

    /// The address, with everything that can be wrong beside it. A new directory is made after this: one
    /// that is left by a mistake would have founded a cluster.
    pub(crate) async fn listen(
        cluster: &ClusterId,
        id: NodeId,
        listen: &str,
        security: &Security,
        limits: &NetLimits,
    ) -> Result<(TcpListener, SocketAddr), TransportError> {
        limits.validate()?;
        if let Security::Tls(tls) = security {
            tls.is_of(cluster, id)?;
        }
        let failed = |error| TransportError::Listen { address: listen.to_owned(), error };
        let listener = TcpListener::bind(listen).await.map_err(failed)?;
        let listening = listener.local_addr().map_err(failed)?;
        Ok((listener, listening))
    }

    /// Starts on this address.
    pub(crate) fn start_on(
        (listener, listening): (TcpListener, SocketAddr),
        options: TcpOptions,
    ) -> Result<(TcpTransport, Arrivals), TransportError> {
        let TcpOptions { cluster, id, listen: _, addresses, security, limits, register } = options;
        let (incarnation, directory) = (Incarnation::draw()?, register.own());
        let me = Identity { cluster, id, incarnation, directory };
        match &security {
            Security::Open => tracing::warn!(
                node = %id, cluster = %me.cluster, %listening,
                "OPEN: connections are neither encrypted nor authenticated. Anyone who can reach this \
                 address can read and change everything: use TLS unless nobody else is on this network"
            ),
            Security::Tls(_) => {
                tracing::info!(node = %id, cluster = %me.cluster, %listening, "listening with TLS");
            }
        }
        let (inbox, packets) = inbox(limits.inbox, limits.inbox_bytes);
        let (letters_in, letters) = crate::inbox(limits.inbox, limits.inbox_bytes);
        let shared = Arc::new(Shared {
            me,
            security,
            limits,
            addresses,
            register,
            noting: Arc::new(Semaphore::new(1)),
            inbox,
            letters: letters_in,
            room: Room::new(limits.inbox_bytes),
            seats: Seats::default(),
            shelf: Shelf::default(),
            receiving: Receiving::default(),
            peers: Mutex::default(),
            visits: Visits::default(),
        });
        let mut roads = Roads::default();
        roads.follow(&shared, &shared.addresses.watch().borrow().clone());
        let root = tokio::spawn(run(Arc::clone(&shared), listener, roads));
        let root = Mutex::new(Some(root));
        Ok((TcpTransport { shared, listening, root }, Arrivals { packets, letters }))
    }

    /// Where it listens.
    #[must_use]
    pub fn listening(&self) -> SocketAddr {
        self.listening
    }

    /// Who this node says that it is.
    #[must_use]
    pub fn identity(&self) -> &Identity {
        &self.shared.me
    }

    /// Where the others are, to be changed at any time.
    #[must_use]
    pub fn addresses(&self) -> &Addresses {
        &self.shared.addresses
    }

    /// What it does at this moment.
    #[must_use]
    pub fn status(&self) -> TransportStatus {
        let (turned_away, last_turned_away) = self.shared.visits.refusals();
        let (peers, inbox) = (self.shared.peers(), self.shared.inbox.level());
        TransportStatus {
            identity: self.shared.me.clone(),
            listening: self.listening,
            encrypted: matches!(self.shared.security, Security::Tls(_)),
            peers: peers.iter().map(|(id, peer)| (*id, peer.status())).collect(),
            heard: self.shared.visits.heard(),
            receiving: self.shared.receiving.all(),
            inbox: inbox.things(),
            inbox_bytes: inbox.bytes(),
            turned_away,
            last_turned_away,
        }
    }

    /// Ends every connection and stops to listen. What was not written is dropped.
    pub async fn shutdown(&self) {
        let root = lock(&self.root).take();
        if let Some(root) = root {
            root.abort();
            // It ends by being aborted.
            let _ = root.await;
        }
        self.shared.peers().clear();
    }
}

impl Transport for TcpTransport {
    fn send(&self, packet: Packet) {
        if let Some(peer) = self.shared.peer(packet.envelope.to) {
            peer.send(packet);
        }
    }

    fn knows(&self, id: NodeId) -> bool {
        self.shared.addresses.knows(id)
    }

    fn moved(&self, to: NodeId) -> u64 {
        self.shared.peer(to).map_or(0, |peer| peer.slot.moved())
    }

    fn traffic(&self) -> Traffic {
        let mut traffic = Traffic::new();
        for (id, peer) in self.shared.peers().iter() {
            traffic.insert(*id, peer.traffic());
        }
        // A stranger's, too.
        for (id, moved) in self.shared.receiving.all() {
            traffic.entry(id).or_default().receiving = Some(moved);
        }
        traffic
    }
}

impl Post for TcpTransport {
    /// A letter travels in order with the packets, and waits in the same bounded queue. It belongs to
    /// one connection: where that breaks the letter is lost, and is not sent on the next one.
    fn post(&self, to: NodeId, letter: Payload) -> bool {
        self.shared.peer(to).is_some_and(|peer| peer.post(letter))
    }
}

impl Drop for TcpTransport {
    fn drop(&mut self) {
        if let Some(root) = lock(&self.root).take() {
            root.abort();
        }
    }
}

impl fmt::Debug for TcpTransport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TcpTransport")
            .field("identity", &self.shared.me)
            .field("listening", &self.listening)
            .finish_non_exhaustive()
    }
}

/// Takes connections and follows the addresses. Every other task belongs to this one and ends with it.
async fn run(shared: Arc<Shared>, listener: TcpListener, mut roads: Roads) {
    let limits = &shared.limits;
    let connections = Arc::new(Semaphore::new(limits.connections));
    let half_open = Arc::new(Semaphore::new(limits.handshakes));
    let mut visitors = JoinSet::new();
    let mut addresses = shared.addresses.watch();
    let often = limits.snapshot_patience.max(Duration::from_secs(1)) / 2;
    let mut looks = tokio::time::interval(often);
    loop {
        // They may have changed since the transport was started.
        let known = addresses.borrow_and_update().clone();
        roads.follow(&shared, &known);
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, from)) => {
                    let permits = (
                        Arc::clone(&connections).try_acquire_owned(),
                        Arc::clone(&half_open).try_acquire_owned(),
                    );
                    let (Ok(connection), Ok(half_open)) = permits else {
                        // The stream is dropped: an honest node comes again.
                        tracing::warn!(node = %shared.me.id, %from, "turned away: too many connections");
                        continue;
                    };
                    let serve = incoming::serve(Arc::clone(&shared), stream, from, half_open);
                    visitors.spawn(async move {
                        serve.await;
                        drop(connection);
                    });
                }
                Err(error) => {
                    tracing::warn!(node = %shared.me.id, %error, "cannot take a connection");
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
            },
            Some(_) = visitors.join_next() => {}
            _ = looks.tick() => shared.shelf.expire(limits.snapshot_patience),
            // The sender of the changes is in `shared`.
            _ = addresses.changed() => {}
        }
    }
}

/// The tasks that keep a connection to each peer.
#[derive(Default)]
struct Roads(BTreeMap<NodeId, Road>);

struct Road {
    address: String,
    task: JoinHandle<()>,
}

impl Drop for Road {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Roads {
    /// Begins and ends tasks until there is one for each address, and none for another one.
    fn follow(&mut self, shared: &Arc<Shared>, known: &BTreeMap<NodeId, String>) {
        let mut peers = shared.peers();
        self.0.retain(|id, road| {
            let stays = known.get(id) == Some(&road.address);
            if !stays {
                peers.remove(id);
            }
            stays
        });
        for (id, address) in known.iter().filter(|(id, _)| **id != shared.me.id) {
            self.0.entry(*id).or_insert_with(|| {
                let peer = Arc::new(Peer::new(*id, address.clone(), shared));
                peers.insert(*id, Arc::clone(&peer));
                let task = tokio::spawn(peer::run(Arc::clone(shared), peer));
                Road { address: address.clone(), task }
            });
        }
    }
}
