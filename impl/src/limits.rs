//! How much a node takes at once: nothing in it grows without a bound.

use std::time::Duration;

use thiserror::Error;
use tokio::sync::Semaphore;

use crate::net::NetLimits;
use crate::net::codec::MAX_HEAD;
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
    /// Bytes of commands and states in messages that wait for a write; but one waits however long it is.
    pub held_bytes: usize,
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
    /// Bytes of commands in one batch. A longer command is a batch by itself.
    pub bytes_per_batch: usize,
    /// Entries that are read from the disk at a time for the state machine, and for each peer that is
    /// behind; each of them has so many in memory at most.
    pub entries_per_fetch: usize,
    /// Bytes of commands that are read at a time. A longer command is read by itself.
    pub bytes_per_fetch: usize,
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
            held_bytes: 64 << 20,
            proposal_bytes: 64 << 20,
            entries_per_request: 256,
            bytes_per_request: 1 << 20,
            batches: 4,
            entries_per_batch: 256,
            bytes_per_batch: 1 << 20,
            entries_per_fetch: 1024,
            bytes_per_fetch: 4 << 20,
            entries_per_snapshot: 65_536,
            entries_kept_for_peers: 4 * 65_536,
            forwarded_proposals: 4096,
            forward_patience: Duration::from_secs(5),
            sessions: SessionLimits::default(),
        }
    }
}

/// Why limits do not fit, with the numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum LimitsError {
    /// With none of these a node does nothing, for ever.
    #[error("`{limit}` is 0, and nothing would ever be taken: make it 1 at least")]
    Zero {
        /// Which limit.
        limit: &'static str,
    },
    /// So many cannot be counted.
    #[error("`{limit}` is {value}, and {most} is the most that can be counted: lower it")]
    TooMany {
        /// Which limit.
        limit: &'static str,
        /// What it is.
        value: usize,
        /// What it may be.
        most: usize,
    },
    /// A command would be logged that no frame takes to a peer: it and all that come after it would
    /// never be committed.
    #[error(
        "`max_frame` is {max_frame} bytes, and a request may have {needed}: raise it on every node, \
         or lower `proposal_bytes` or `bytes_per_request`"
    )]
    FrameTooShort {
        /// Bytes that a frame may have.
        max_frame: usize,
        /// Bytes that it may come to have.
        needed: usize,
    },
    /// One frame could take all of the room, or there would never be enough for it.
    #[error(
        "`inbox_bytes` is {inbox_bytes}, and a frame may have {max_frame} bytes: raise it to twice \
         `max_frame` at least"
    )]
    InboxTooSmall {
        /// Bytes that may wait for the node.
        inbox_bytes: usize,
        /// Bytes that a frame may have.
        max_frame: usize,
    },
    /// The names of so many entries are longer than the head of a frame.
    #[error("`entries_per_request` is {value}, and a frame names {most} at most: lower it")]
    TooManyNames {
        /// What it is.
        value: u64,
        /// What it may be.
        most: u64,
    },
}

/// The most bytes that the head of a request has for each entry, and for everything else in it, and
/// those that a session puts before a command.
const BYTES_OF_A_NAME: usize = 64;
const BYTES_BESIDE_THE_NAMES: usize = 16 << 10;

impl Limits {
    /// Whether a node can run with these.
    ///
    /// # Errors
    /// The first limit that does not fit, and what would.
    pub fn validate(&self) -> Result<(), LimitsError> {
        let most = Semaphore::MAX_PERMITS;
        for (limit, value) in [
            ("queued_proposals", self.queued_proposals),
            ("proposals_per_write", self.proposals_per_write),
            ("waiting_proposals", self.waiting_proposals),
            ("unwritten_writes", self.unwritten_writes),
            ("held_messages", self.held_messages),
            ("batches", self.batches),
            ("entries_per_batch", self.entries_per_batch),
            ("bytes_per_batch", self.bytes_per_batch),
            ("entries_per_fetch", self.entries_per_fetch),
            ("bytes_per_fetch", self.bytes_per_fetch),
        ] {
            if value == 0 {
                return Err(LimitsError::Zero { limit });
            }
        }
        for (limit, value) in [
            ("queued_proposals", self.queued_proposals),
            ("waiting_reads", self.waiting_reads),
            ("proposal_bytes", self.proposal_bytes),
            ("batches", self.batches),
            ("forwarded_proposals", self.forwarded_proposals),
        ] {
            if value > most {
                return Err(LimitsError::TooMany { limit, value, most });
            }
        }
        Ok(())
    }

    /// Whether everything that a node with these limits logs can be sent in a network with those.
    ///
    /// # Errors
    /// The first limit that does not fit, and what would.
    pub fn validate_with(&self, network: &NetLimits) -> Result<(), LimitsError> {
        self.validate()?;
        network.validate()?;
        let most = (MAX_HEAD - BYTES_BESIDE_THE_NAMES) / BYTES_OF_A_NAME;
        let names = usize::try_from(self.entries_per_request).unwrap_or(usize::MAX);
        if names > most {
            let value = self.entries_per_request;
            return Err(LimitsError::TooManyNames { value, most: most as u64 });
        }
        let head = BYTES_BESIDE_THE_NAMES + names * BYTES_OF_A_NAME;
        let needed = self.proposal_bytes.max(self.bytes_per_request).saturating_add(head);
        if network.max_frame < needed {
            return Err(LimitsError::FrameTooShort { max_frame: network.max_frame, needed });
        }
        Ok(())
    }
}

/// So many of something, and so many bytes in them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Most {
    pub(crate) count: usize,
    pub(crate) bytes: usize,
}

impl Limits {
    /// Of a batch for the machine.
    pub(crate) fn most_in_batch(&self) -> Most {
        Most { count: self.entries_per_batch, bytes: self.bytes_per_batch }
    }

    /// Of what is fetched from the disk for one.
    pub(crate) fn most_fetched(&self) -> Most {
        Most { count: self.entries_per_fetch, bytes: self.bytes_per_fetch }
    }

    /// Of the messages that wait for a write.
    pub(crate) fn most_held(&self) -> Most {
        Most { count: self.held_messages, bytes: self.held_bytes }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::net::frame::KEPT;

    type Change = fn(&mut Limits);
    type ChangeBoth = fn(&mut Limits, &mut NetLimits);

    const TOO_MANY: usize = Semaphore::MAX_PERMITS + 1;

    fn limits(change: impl FnOnce(&mut Limits)) -> Limits {
        let mut limits = Limits::default();
        change(&mut limits);
        limits
    }

    #[test]
    fn each_limit_that_a_node_cannot_run_with_is_refused_by_its_name() {
        assert_eq!(Limits::default().validate(), Ok(()));
        let refused: [(&str, Change); 15] = [
            ("`queued_proposals` is 0", |it| it.queued_proposals = 0),
            ("`proposals_per_write` is 0", |it| it.proposals_per_write = 0),
            ("`waiting_proposals` is 0", |it| it.waiting_proposals = 0),
            ("`unwritten_writes` is 0", |it| it.unwritten_writes = 0),
            ("`held_messages` is 0", |it| it.held_messages = 0),
            ("`batches` is 0", |it| it.batches = 0),
            ("`entries_per_batch` is 0", |it| it.entries_per_batch = 0),
            ("`bytes_per_batch` is 0", |it| it.bytes_per_batch = 0),
            ("`entries_per_fetch` is 0", |it| it.entries_per_fetch = 0),
            ("`bytes_per_fetch` is 0", |it| it.bytes_per_fetch = 0),
            ("`queued_proposals` is 23", |it| it.queued_proposals = TOO_MANY),
            ("`waiting_reads` is 23", |it| it.waiting_reads = TOO_MANY),
            ("`proposal_bytes` is 23", |it| it.proposal_bytes = TOO_MANY),
            ("`batches` is 23", |it| it.batches = TOO_MANY),
            ("`forwarded_proposals` is 23", |it| it.forwarded_proposals = TOO_MANY),
        ];
        for (why, change) in refused {
            let said = limits(change).validate().map_err(|error| error.to_string());
            assert!(said.as_ref().is_err_and(|said| said.starts_with(why)), "{why}: {said:?}");
        }
    }

    /// Else heartbeats that come behind it would wait for the frames of others.
    #[test]
    fn a_full_request_needs_no_share_of_the_room_for_long_frames() {
        let Limits { bytes_per_request, entries_per_request, .. } = Limits::default();
        let head = BYTES_BESIDE_THE_NAMES + entries_per_request as usize * BYTES_OF_A_NAME;
        assert!(bytes_per_request + head <= KEPT, "{head} bytes of a head");
    }

    #[test]
    fn what_is_logged_fits_into_a_frame() {
        let network = NetLimits::default();
        assert_eq!(Limits::default().validate_with(&network), Ok(()));
        let refused: [(&str, ChangeBoth); 6] = [
            ("`max_frame` is 67108864 bytes, and a request may have 67141632", |it, network| {
                network.max_frame = it.proposal_bytes;
            }),
            ("`max_frame` is 75497472 bytes, and a request may have 104890368", |it, _| {
                it.bytes_per_request = 100 << 20;
                it.entries_per_request = 256;
            }),
            ("`entries_per_request` is 16129, and a frame names 16128", |it, _| {
                it.entries_per_request = 16_129;
            }),
            ("`batches` is 0", |it, _| it.batches = 0),
            ("`inbox_bytes` is 150994943, and a frame may have 75497472", |_, network| {
                network.inbox_bytes = 2 * network.max_frame - 1;
            }),
            ("`inbox_bytes` is 23", |_, network| network.inbox_bytes = TOO_MANY),
        ];
        for (why, change) in refused {
            let (mut limits, mut network) = (Limits::default(), network);
            change(&mut limits, &mut network);
            let said = limits.validate_with(&network).map_err(|error| error.to_string());
            assert!(said.as_ref().is_err_and(|said| said.starts_with(why)), "{why}: {said:?}");
        }
    }
}
