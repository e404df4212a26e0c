//! Why there is no connection to a node, or why one has ended.

use std::io;

use quorate_spec::NodeId;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::greeting::Objection;
use super::tls::TlsFault;
use super::wire::WireError;

/// Why there is no connection to a node, or why one has ended. It concerns that connection alone.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Fault {
    /// Nobody answers there, or nobody is there.
    #[error("cannot reach {address}: {error}")]
    Unreachable {
        /// Where.
        address: String,
        /// What the system says.
        error: String,
    },
    /// The other node does not talk to this one.
    #[error("refused by the other node: {0}")]
    Refused(Objection),
    /// This node does not talk to the other one.
    #[error("turned away: {0}")]
    TurnedAway(Objection),
    /// It cannot be noted down that the other node was met, so it is not talked to.
    #[error("it cannot be noted down who was met: {0}")]
    NotNoted(String),
    /// There is no encrypted connection.
    #[error("{0}")]
    Tls(#[from] TlsFault),
    /// What came is nothing that a node sends.
    #[error("{0}")]
    Wire(#[from] WireError),
    /// A message came from the node `from` in the name of another one, or for another one.
    #[error("node {from} sent a message from {claimed} to {to}: it is not heard any more")]
    Impersonation {
        /// Who the handshake showed it to be.
        from: NodeId,
        /// Who the message says that it is.
        claimed: NodeId,
        /// Whom the message is for.
        to: NodeId,
    },
    /// The handshake took too long.
    #[error("the handshake was not finished in time")]
    Slow,
    /// Nothing was heard for too long.
    #[error("nothing was heard for too long")]
    Silent,
    /// The other side ended the connection.
    #[error("the other side closed the connection")]
    Closed,
    /// A later connection of the same node has taken its place.
    #[error("a later connection of the same node has taken its place")]
    Replaced,
    /// The state of a snapshot is not what was offered, or cannot be taken.
    #[error("the snapshot was not taken: {0}")]
    Snapshot(#[from] SnapshotFault),
    /// The system failed.
    #[error("the connection broke: {0}")]
    Broken(String),
}

/// Why the state of a snapshot was not taken. The sender is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error, Serialize, Deserialize)]
pub enum SnapshotFault {
    /// It is larger than the receiver takes.
    #[error("it has {bytes} bytes, and the limit is {limit}: raise `max_snapshot` on every node")]
    TooLarge {
        /// Its size.
        bytes: u64,
        /// The most that is taken.
        limit: u64,
    },
    /// It is not the state that was offered.
    #[error("its checksum does not fit: it is sent again from the start")]
    Checksum,
    /// A chunk came that does not follow what is there.
    #[error("a chunk came that does not follow what is there")]
    OutOfOrder,
    /// The message is about another snapshot.
    #[error("the message that came with it is about another one")]
    OtherSnapshot,
    /// Others are on their way there, and it has no place for one more.
    #[error("as many as it takes at a time are on their way to it: it is sent again in a moment")]
    Busy,
}

impl Fault {
    /// What a failed read or write means.
    pub(crate) fn of_io(error: io::Error) -> Fault {
        if let Some(fault) = TlsFault::of_io(&error) {
            return Fault::Tls(fault);
        }
        match error.kind() {
            io::ErrorKind::UnexpectedEof
            | io::ErrorKind::ConnectionReset
            | io::ErrorKind::ConnectionAborted
            | io::ErrorKind::BrokenPipe => Fault::Closed,
            _ => Fault::Broken(error.to_string()),
        }
    }

    /// Whether an operator has to do something about it: it does not go away by itself.
    #[must_use]
    pub fn needs_attention(&self) -> bool {
        match self {
            Fault::Unreachable { .. }
            | Fault::Snapshot(SnapshotFault::Busy)
            | Fault::Refused(Objection::NotMet)
            | Fault::TurnedAway(Objection::NotMet)
            | Fault::Slow
            | Fault::Silent
            | Fault::Closed
            | Fault::Replaced
            | Fault::Broken(_) => false,
            Fault::Refused(_)
            | Fault::TurnedAway(_)
            | Fault::NotNoted(_)
            | Fault::Tls(_)
            | Fault::Wire(_)
            | Fault::Impersonation { .. }
            | Fault::Snapshot(_) => true,
        }
    }
}
