//! What all tasks of one transport share.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use quorate_spec::NodeId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;

use super::addresses::Addresses;
use super::fault::Fault;
use super::greeting::Greeting;
use super::identity::Identity;
use super::limits::NetLimits;
use super::peer::Peer;
use super::room::Room;
use super::seats::Seats;
use super::snapshot::{Receiving, Shelf};
use super::status::Heard;
use super::tls::Security;
use crate::disk::Register;
use crate::inbox::InboxSender;
use crate::lock::lock;
use crate::record::Payload;
use crate::transport::Packet;

/// A connection, encrypted or not.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// See [`Duplex`].
pub(crate) type Stream = Box<dyn Duplex>;

/// What all tasks of one transport share.
pub(crate) struct Shared {
    pub(crate) me: Identity,
    pub(crate) security: Security,
    pub(crate) limits: NetLimits,
    pub(crate) addresses: Addresses,
    pub(crate) register: Register,
    /// The turn of whoever writes to it.
    pub(crate) noting: Arc<Semaphore>,
    pub(crate) inbox: InboxSender<Packet>,
    pub(crate) letters: InboxSender<(NodeId, Payload)>,
    pub(crate) room: Room,
    pub(crate) seats: Seats,
    pub(crate) shelf: Shelf,
    pub(crate) receiving: Receiving,
    pub(crate) peers: Mutex<BTreeMap<NodeId, Arc<Peer>>>,
    pub(crate) visits: Visits,
}

impl Shared {
    pub(crate) fn peers(&self) -> MutexGuard<'_, BTreeMap<NodeId, Arc<Peer>>> {
        lock(&self.peers)
    }

    pub(crate) fn peer(&self, id: NodeId) -> Option<Arc<Peer>> {
        self.peers().get(&id).cloned()
    }
}

/// Who has connected to this node.
#[derive(Default)]
pub(crate) struct Visits {
    heard: Mutex<BTreeMap<NodeId, Heard>>,
    turned_away: AtomicU64,
    last_turned_away: Mutex<Option<(SocketAddr, Fault)>>,
}

impl Visits {
    /// The node has connected to send packets. Returns its life that was heard before this one.
    pub(crate) fn began(&self, greeting: &Greeting, from: SocketAddr) -> Option<Heard> {
        let Identity { id, incarnation, .. } = greeting.sender;
        let mut heard = lock(&self.heard);
        let before = heard.get(&id).cloned();
        let (packets, snapshot_bytes) =
            before.as_ref().map_or((0, 0), |it| (it.packets, it.snapshot_bytes));
        heard.insert(id, Heard { incarnation, from, packets, snapshot_bytes, ended: None });
        before
    }

    /// Packets or a part of a snapshot came from the node.
    pub(crate) fn came(&self, id: NodeId, packets: u64, snapshot_bytes: usize) {
        if let Some(heard) = lock(&self.heard).get_mut(&id) {
            heard.packets += packets;
            heard.snapshot_bytes += snapshot_bytes as u64;
        }
    }

    /// The node's connection for packets has ended. Of a stranger nothing is kept: there may be many.
    pub(crate) fn ended(&self, id: NodeId, fault: Fault, is_known: bool) {
        let mut heard = lock(&self.heard);
        match heard.get_mut(&id) {
            Some(heard) if is_known => heard.ended = Some(fault),
            _ => drop(heard.remove(&id)),
        }
    }

    /// A connection was turned away. Says whether for another reason, or from another machine, than
    /// the one before.
    pub(crate) fn turned_away(&self, from: SocketAddr, fault: Fault) -> bool {
        self.turned_away.fetch_add(1, Ordering::Relaxed);
        let mut last = lock(&self.last_turned_away);
        let name = |(from, fault): &(SocketAddr, Fault)| (from.ip(), fault.clone());
        let is_new = last.as_ref().map(name) != Some((from.ip(), fault.clone()));
        *last = Some((from, fault));
        is_new
    }

    pub(crate) fn heard(&self) -> BTreeMap<NodeId, Heard> {
        lock(&self.heard).clone()
    }

    pub(crate) fn refusals(&self) -> (u64, Option<(SocketAddr, Fault)>) {
        (self.turned_away.load(Ordering::Relaxed), lock(&self.last_turned_away).clone())
    }
}
