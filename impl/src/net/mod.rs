//! Nodes that reach each other over TCP, encrypted or open.
//!
//! ```text
//!  Driver ─ send ─▶ Peer ─▶ Queue ─▶ one connection a peer: packets in order, pings  ──▶ other node
//!                     └──▶ Slot ──▶ one more while there is a snapshot: chunks         ──▶
//!  Driver ◀─ inbox ◀── connections that others opened, after their handshake           ◀──
//! ```
//!
//! What the protocol may rely on is what [`Transport`](crate::Transport) says, and
//! [`conformance`] checks: packets of a link arrive in order or not at all, none twice, none changed,
//! none at another node; and `send` never waits. Everything else is for operators:
//!
//! * **Who is there.** Each connection begins with a handshake: cluster, sender, its life, and whom it
//!   takes the other side for. What does not fit is refused with a reason, which both sides log and show
//!   in [`TransportStatus`]. With [`Security::Tls`] both sides prove it by certificates; with
//!   [`Security::Open`] nobody proves anything, and a node says so when it starts.
//! * **One id, one disk.** The handshake names the directory, too. Each node notes down in its own which
//!   one it met an id on first, and talks to no other under that id: a server whose disk was emptied has
//!   forgotten its votes. See [`Register`](crate::disk::Register).
//! * **Hostile bytes** end the connection that they came on, and nothing else. Memory grows with what
//!   has arrived, never with what a header announces.
//! * **Snapshots** move in chunks on a connection of their own, at a limited rate, and go on after it
//!   broke from what has arrived.
//! * **A cut network** is found by pings: a connection on which nothing is answered is opened anew.

mod addresses;
mod backoff;
pub mod codec;
pub mod conformance;
mod fault;
pub(crate) mod frame;
pub(crate) mod greeting;
mod identity;
mod incoming;
mod limits;
mod link;
mod meeting;
mod peer;
mod queue;
mod room;
mod seats;
mod shared;
mod snapshot;
mod status;
mod tcp;
pub mod tls;
mod wire;

pub use addresses::Addresses;
pub use fault::{Fault, SnapshotFault};
pub use greeting::Objection;
pub use identity::{BadClusterId, ClusterId, Identity, Incarnation, NoRandomness};
pub use limits::NetLimits;
pub use status::{Heard, LinkState, PeerStatus, Transfer, TransportStatus};
pub use tcp::{Arrivals, TcpOptions, TcpTransport, TransportError};
pub use tls::{Security, Tls, TlsError, TlsFault};
pub use wire::WireError;
