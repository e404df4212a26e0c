//! What an operator can see of a transport.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use quorate_spec::{EntryId, NodeId};

use super::fault::Fault;
use super::identity::{Identity, Incarnation};
use crate::traffic::Moved;

/// What a transport does at this moment.
#[derive(Clone, Debug)]
pub struct TransportStatus {
    /// Who this node says that it is.
    pub identity: Identity,
    /// Where it listens.
    pub listening: SocketAddr,
    /// Whether connections are encrypted and both sides prove who they are.
    pub encrypted: bool,
    /// The way to each node whose address is known.
    pub peers: BTreeMap<NodeId, PeerStatus>,
    /// What is heard from each node that has come through the handshake and is still connected, or
    /// whose address is known.
    pub heard: BTreeMap<NodeId, Heard>,
    /// Packets that have arrived and wait for the node.
    pub inbox: usize,
    /// Their bytes.
    pub inbox_bytes: usize,
    /// The snapshots that come, by whom they come from.
    pub receiving: BTreeMap<NodeId, Moved>,
    /// How many connections were turned away before anyone knew whose they were, or because of that; but
    /// for those of nodes that are only [not met yet](super::Objection::NotMet).
    pub turned_away: u64,
    /// The last of them, and why.
    pub last_turned_away: Option<(SocketAddr, Fault)>,
}

/// The way to a node.
#[derive(Clone, Debug)]
pub struct PeerStatus {
    /// Where it is.
    pub address: String,
    /// The connection for packets.
    pub link: LinkState,
    /// Packets that were written to it.
    pub sent: u64,
    /// Packets that were dropped: there was no connection, they did not fit, or it broke.
    pub dropped: u64,
    /// Packets and letters that wait.
    pub queued: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// The snapshot that it is sent.
    pub snapshot: Option<Transfer>,
    /// Bytes of snapshots that were written to it.
    pub snapshot_bytes: u64,
}

/// A connection that this node opens.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum LinkState {
    /// There is none yet.
    Connecting,
    /// There is one, to this life of the node.
    Connected(Incarnation),
    /// There is none, for this reason. Another attempt follows by itself.
    Down(Fault),
}

/// A snapshot on its way.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Transfer {
    /// The last entry that it covers.
    pub last: EntryId,
    /// Its bytes that are there or under way.
    pub bytes: u64,
    /// All of its bytes.
    pub of: u64,
    /// Why the last attempt ended, if one did.
    pub interrupted: Option<Fault>,
}

/// What is heard from a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Heard {
    /// The life of it that connected last.
    pub incarnation: Incarnation,
    /// Where it connected from.
    pub from: SocketAddr,
    /// Packets that came from it, all its connections together.
    pub packets: u64,
    /// Bytes of snapshots that came from it, all its connections together.
    pub snapshot_bytes: u64,
    /// Why the connection for packets has ended; none while there is one.
    pub ended: Option<Fault>,
}
