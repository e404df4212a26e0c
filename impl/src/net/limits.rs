//! How much a transport takes, and how long it waits.

use std::time::Duration;

use super::frame::KEPT;
use crate::inbox::MOST_BYTES;
use crate::limits::LimitsError;

/// How much a transport takes, and how long it waits. All nodes of a cluster have the same
/// `max_frame` and `max_snapshot`, or one sends what another one does not take.
#[derive(Clone, Copy, Debug)]
pub struct NetLimits {
    /// Bytes of one frame, hence of one request with its commands: more than
    /// [`Limits::proposal_bytes`](crate::Limits), for a long command travels alone.
    pub max_frame: usize,
    /// Packets that wait for one peer; others are dropped.
    pub queued_packets: usize,
    /// Bytes of commands that wait for one peer. A longer packet waits alone.
    pub queued_bytes: usize,
    /// Packets that have arrived and wait for the node; then its peers have to wait. As many letters,
    /// which are lost then.
    pub inbox: usize,
    /// Bytes of those packets, and of those letters; and bytes of frames longer than a MiB that are on
    /// their way in. At least twice `max_frame`, so that no node has all of that; a state of a snapshot
    /// waits alone where it is longer.
    pub inbox_bytes: usize,
    /// Bytes of commands that are written at once where several packets wait.
    pub batch_bytes: usize,
    /// Connections that others have opened.
    pub connections: usize,
    /// Those of them that have not finished their handshake.
    pub handshakes: usize,
    /// How long a handshake may take, from the first byte of TLS to the answer.
    pub handshake_patience: Duration,
    /// How long it may take to connect.
    pub connect_patience: Duration,
    /// How often the other side is asked whether it is there.
    pub ping_interval: Duration,
    /// How long the other side may be silent, or take nothing, before the connection is given up:
    /// several pings. A network that was cut for longer is found by a new connection, and not by
    /// TCP's next attempt, which may be minutes away.
    pub silence: Duration,
    /// How long to wait after the first failed attempt to connect; twice as long after each further
    /// one, up to `longest_backoff`, and each time a random part less.
    pub first_backoff: Duration,
    /// See `first_backoff`.
    pub longest_backoff: Duration,
    /// Bytes of a snapshot that are sent to one peer in a second, at most.
    pub snapshot_rate: u64,
    /// Bytes of one chunk of a snapshot, half a MiB at most.
    pub chunk: usize,
    /// Bytes of a snapshot that is taken. It is held in memory.
    pub max_snapshot: u64,
    /// How long a snapshot of which nothing moves stays in memory: what has arrived of it, and at the
    /// sender what a peer does not take. Longer than eight election timeouts, after which a leader
    /// sends it again.
    pub snapshot_patience: Duration,
}

impl Default for NetLimits {
    fn default() -> NetLimits {
        NetLimits {
            max_frame: 72 << 20,
            queued_packets: 4096,
            queued_bytes: 32 << 20,
            inbox: 1024,
            inbox_bytes: 144 << 20,
            batch_bytes: 256 << 10,
            connections: 256,
            handshakes: 64,
            handshake_patience: Duration::from_secs(5),
            connect_patience: Duration::from_secs(2),
            ping_interval: Duration::from_millis(500),
            silence: Duration::from_secs(3),
            first_backoff: Duration::from_millis(20),
            longest_backoff: Duration::from_secs(1),
            snapshot_rate: 64 << 20,
            chunk: 256 << 10,
            max_snapshot: 1 << 30,
            snapshot_patience: Duration::from_secs(10 * 60),
        }
    }
}

impl NetLimits {
    /// Whether a transport can run with these.
    ///
    /// # Errors
    /// The first limit that does not fit, and what would.
    pub fn validate(&self) -> Result<(), LimitsError> {
        let NetLimits { inbox_bytes, max_frame, .. } = *self;
        if inbox_bytes / 2 < max_frame {
            return Err(LimitsError::InboxTooSmall { inbox_bytes, max_frame });
        }
        if inbox_bytes > MOST_BYTES {
            let limit = "inbox_bytes";
            return Err(LimitsError::TooMany { limit, value: inbox_bytes, most: MOST_BYTES });
        }
        Ok(())
    }

    /// Bytes of a chunk at this rate: several a second leave, so that the other side hears that the
    /// transfer goes on.
    pub(crate) fn chunk_at_rate(&self) -> usize {
        let eighth = usize::try_from(self.snapshot_rate / 8).unwrap_or(usize::MAX);
        self.chunk.min(eighth).min(self.max_frame / 2).clamp(1, KEPT / 2)
    }
}
