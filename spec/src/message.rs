//! What servers say to each other.

use core::fmt;

use crate::log::{Entries, Snapshot};
use crate::node::shift;
use crate::types::{EntryId, Index, Instant, NodeId, Term, Token};

/// A message on its way.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Envelope {
    /// The sender.
    pub from: NodeId,
    /// The receiver.
    pub to: NodeId,
    /// What is said.
    pub message: Message,
}

/// A message: the sender's current term, durable before it leaves (rule P1), a stamp, and a body.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Message {
    /// The sender's current term, without exception: a pre-vote does not claim a term that its
    /// sender has not adopted.
    pub term: Term,
    /// Which of the leader's requests this is, or answers: a reply has the stamp of its request.
    pub stamp: Stamp,
    /// The request or reply.
    pub body: Body,
}

/// What an answer tells a leader beside its body: that whoever answered took it for the leader of
/// the term after the request had been made. One counts in the term that asked, and in no other.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Stamp {
    /// The round of the reads that wait to be confirmed (thesis §6.4, rule R3): rounds are numbered
    /// from 1 in each term, and no number is used again in it, whatever is retried (rule R7).
    pub round: u64,
    /// When the request was made, on the leader's clock (rule L1); none without leases.
    pub sent: Option<Instant>,
}

impl Stamp {
    /// The stamp of a message that confirms no read and no lease.
    pub const NONE: Stamp = Stamp { round: 0, sent: None };
}

impl fmt::Debug for Stamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.round)?;
        self.sent.map_or(Ok(()), |sent| write!(f, "{sent:?}"))
    }
}

/// The requests and replies of Raft.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Body {
    /// "If I campaigned for the term after mine, would you vote for me?" (thesis §9.6).
    PreVote {
        /// The last entry of the sender's log.
        last: EntryId,
        /// When the round began, on the sender's clock: its name, echoed in the reply.
        round: Instant,
    },
    /// The answer to a PreVote.
    PreVoteReply {
        /// The sender's term that the request carried.
        asked_in: Term,
        /// The round that the request belonged to.
        round: Instant,
        /// Whether the vote would be granted.
        granted: bool,
    },
    /// "Vote for me in my term" (thesis §3.4).
    RequestVote {
        /// The last entry of the candidate's log.
        last: EntryId,
        /// Whether the leader has handed its leadership over to the candidate: then the promise
        /// to that leader does not stand against it (thesis §4.2.3, bug B14).
        handover: bool,
    },
    /// The answer to a RequestVote.
    RequestVoteReply {
        /// Whether the vote was granted.
        granted: bool,
    },
    /// Entries to follow `prev`, or a heartbeat (thesis §3.5).
    AppendEntries {
        /// The entry that precedes the new ones.
        prev: EntryId,
        /// The entries; none in a heartbeat.
        entries: Entries,
        /// The leader's commit index.
        leader_commit: Index,
    },
    /// The answer to an AppendEntries or an InstallSnapshot.
    AppendEntriesReply(AppendOutcome),
    /// A snapshot, in the place of entries that the leader no longer has (thesis §5.3). It is one
    /// message here: the driver moves the chunks before it hands this to the node, and until then
    /// it is on its way.
    InstallSnapshot {
        /// What the snapshot covers.
        snapshot: Snapshot,
    },
    /// "Campaign now, you have all that I have" (thesis §3.10).
    TimeoutNow,
    /// "From which index on may I read?", from a follower to its leader (thesis §6.4, rule R8).
    ReadIndex {
        /// The sender's name for its read.
        token: Token,
    },
    /// The answer to a ReadIndex, once the leader knows that it still was the leader after the
    /// question had come. It holds for ever: also late, twice, and in another term.
    ReadIndexReply {
        /// The receiver's name for its read.
        token: Token,
        /// The read may be served when this entry is applied.
        index: Index,
    },
}

/// What became of an AppendEntries, or of an InstallSnapshot.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum AppendOutcome {
    /// The receiver's durable log agrees with the leader's up to `match_index`.
    Accepted {
        /// The last entry that the request validated.
        match_index: Index,
    },
    /// The receiver does not have the entry `prev`.
    Conflict {
        /// The index of the request's `prev`, to tell which request this answers.
        prev_index: Index,
        /// Where the logs may agree: nothing of the receiver's after it can match.
        hint: EntryId,
    },
    /// The request's term is over; the reply's term says so.
    Stale,
}

/// The kinds of messages, without what they carry.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Kind {
    /// [`Body::PreVote`].
    PreVote,
    /// [`Body::PreVoteReply`] that grants.
    PreVoteGrant,
    /// [`Body::PreVoteReply`] that rejects.
    PreVoteRejection,
    /// [`Body::RequestVote`].
    RequestVote,
    /// [`Body::RequestVoteReply`] that grants.
    VoteGrant,
    /// [`Body::RequestVoteReply`] that rejects.
    VoteRejection,
    /// [`Body::AppendEntries`].
    AppendEntries,
    /// [`Body::AppendEntriesReply`] of an accepted request.
    AppendAccepted,
    /// [`Body::AppendEntriesReply`] of a request whose `prev` is not in the log.
    AppendConflict,
    /// [`Body::AppendEntriesReply`] to a leader of a past term.
    AppendStale,
    /// [`Body::InstallSnapshot`].
    InstallSnapshot,
    /// [`Body::TimeoutNow`].
    TimeoutNow,
    /// [`Body::ReadIndex`].
    ReadIndex,
    /// [`Body::ReadIndexReply`].
    ReadIndexReply,
}

impl Kind {
    /// All of them, in order.
    pub const ALL: [Kind; 14] = [
        Kind::PreVote,
        Kind::PreVoteGrant,
        Kind::PreVoteRejection,
        Kind::RequestVote,
        Kind::VoteGrant,
        Kind::VoteRejection,
        Kind::AppendEntries,
        Kind::AppendAccepted,
        Kind::AppendConflict,
        Kind::AppendStale,
        Kind::InstallSnapshot,
        Kind::TimeoutNow,
        Kind::ReadIndex,
        Kind::ReadIndexReply,
    ];

    /// Whether it is no answer: what it says of times, it says of its sender's clock.
    #[must_use]
    pub fn is_request(self) -> bool {
        matches!(
            self,
            Kind::PreVote
                | Kind::RequestVote
                | Kind::AppendEntries
                | Kind::InstallSnapshot
                | Kind::TimeoutNow
                | Kind::ReadIndex
        )
    }
}

impl Message {
    /// A message that confirms no read and no lease.
    #[must_use]
    pub fn new(term: Term, body: Body) -> Message {
        Message { term, stamp: Stamp::NONE, body }
    }

    /// Moves the times of a message along with the clock that they belong to, when that is moved
    /// by [`Node::rebase`](crate::Node::rebase): a request's with its sender's, a reply's with its receiver's.
    pub fn rebase(&mut self, now: Instant, to: Instant) {
        if let Body::PreVote { round, .. } | Body::PreVoteReply { round, .. } = &mut self.body {
            *round = shift(*round, now, to);
        }
        self.stamp.sent = self.stamp.sent.map(|sent| shift(sent, now, to));
    }
}

impl Body {
    /// The kind of this body.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Body::PreVote { .. } => Kind::PreVote,
            Body::PreVoteReply { granted: true, .. } => Kind::PreVoteGrant,
            Body::PreVoteReply { granted: false, .. } => Kind::PreVoteRejection,
            Body::RequestVote { .. } => Kind::RequestVote,
            Body::RequestVoteReply { granted: true } => Kind::VoteGrant,
            Body::RequestVoteReply { granted: false } => Kind::VoteRejection,
            Body::AppendEntries { .. } => Kind::AppendEntries,
            Body::AppendEntriesReply(AppendOutcome::Accepted { .. }) => Kind::AppendAccepted,
            Body::AppendEntriesReply(AppendOutcome::Conflict { .. }) => Kind::AppendConflict,
            Body::AppendEntriesReply(AppendOutcome::Stale) => Kind::AppendStale,
            Body::InstallSnapshot { .. } => Kind::InstallSnapshot,
            Body::TimeoutNow => Kind::TimeoutNow,
            Body::ReadIndex { .. } => Kind::ReadIndex,
            Body::ReadIndexReply { .. } => Kind::ReadIndexReply,
        }
    }
}
