//! How much a node takes at once: nothing in it grows without a bound.

use std::time::Duration;

use crate::sessions::SessionLimits;

/// How much a node takes at once, and keeps waiting.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Proposals that wait for their turn; more are refused as `Overloaded`.
    pub queued_proposals: usize,
    /// Proposals that become one write.
    pub proposals_per_write: usize,
    /// Proposals that wait to be committed; the others wait in the queue meanwhile.
    pub waiting_proposals: usize,
    /// Reads that wait for an index, or for that to be applied; more are refused as `Overloaded`.
    pub waiting_reads: usize,
    /// Writes that are not durable; proposals wait meanwhile.
    pub unwritten_writes: usize,
    /// Messages that wait for a write; others are lost meanwhile, and repeated by the protocol.
    pub held_messages: usize,
    /// Bytes of commands that are queued or wait to be committed; more are refused as
    /// `Overloaded`, and a longer command is always.
    pub proposal_bytes: usize,
    /// Entries in one request to a peer; `Params::max_in_flight` requests may be under way to it.
    pub entries_per_request: u64,
    /// Bytes of commands in one request to a peer. A longer command travels alone.
    pub bytes_per_request: usize,
    /// Batches of committed entries that wait for the state machine, and entries in each.
    pub batches: usize,
    /// See [`Limits::batches`].
    pub entries_per_batch: usize,
    /// Entries that are applied between two snapshots of the state machine; the log keeps them and
    /// those that were applied since. With `u64::MAX` there is no snapshot.
    pub entries_per_snapshot: u64,
    /// Entries that the log of a leader may have so that a peer that is behind, and answers or is sent a
    /// snapshot, finds those that it needs: with fewer the log is not cut under it by a newer
    /// snapshot. Where a snapshot takes longer to arrive than the time in which so many are written,
    /// the peer needs another one when it has it.
    pub entries_kept_for_peers: u64,
    /// Proposals that this node has sent on to its leader, and that wait for an answer; and as many
    /// that others have sent on to it. More are refused as `Overloaded`.
    pub forwarded_proposals: usize,
    /// How long a proposal that was sent on waits for an answer; after that its outcome is unknown.
    pub forward_patience: Duration,
    /// How much is remembered of sessions: the same on every node.
    pub sessions: SessionLimits,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            queued_proposals: 1024,
            proposals_per_write: 256,
            waiting_proposals: 4096,
            waiting_reads: 4096,
            unwritten_writes: 64,
            held_messages: 4096,
            proposal_bytes: 64 << 20,
            entries_per_request: 256,
            bytes_per_request: 1 << 20,
            batches: 4,
            entries_per_batch: 256,
            entries_per_snapshot: 65_536,
            entries_kept_for_peers: 4 * 65_536,
            forwarded_proposals: 4096,
            forward_patience: Duration::from_secs(5),
            sessions: SessionLimits::default(),
        }
    }
}
