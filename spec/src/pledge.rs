//! What a message promises, and what of that is not durable yet (rules P1, P2).

use crate::types::{Index, WriteId};

/// What a message promises, and so what has to be durable before it leaves.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pledge {
    /// Only that the sender has reached its term (rule P1).
    Term,
    /// That the sender votes for itself: a RequestVote.
    Candidacy,
    /// That the sender voted for the receiver.
    Vote,
    /// That the sender's log holds everything up to this index (rule P2).
    Entries(Index),
}

/// The writes that a node has issued and that are not reported durable yet.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unwritten {
    /// The latest one that holds term and vote, or [`WriteId::NONE`].
    pub hard_state: WriteId,
    /// The one that completes the log up to the pledged index, or [`WriteId::NONE`].
    pub entries: WriteId,
}
