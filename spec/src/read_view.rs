//! What readers of other threads may know of a node without asking it.

use crate::refusal::Refusal;
use crate::types::{Index, Instant, NodeId, Term};

/// A snapshot of what reads need, published by [`Effects::publish`](crate::Effects) whenever it
/// changes. A reader uses the last one published, at any moment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReadView {
    /// The node's current term.
    pub term: Term,
    /// The leader of that term, if the node knows it; itself if it leads.
    pub leader: Option<NodeId>,
    /// The node's commit index: a stale read may be served at or below it.
    pub commit_index: Index,
}

impl ReadView {
    /// The index that a lease read may be served at. The rules of this version grant no lease,
    /// so every lease read is refused and the caller falls back to asking the leader.
    ///
    /// # Errors
    /// [`Refusal::NoLease`].
    pub fn lease_read(&self, _now: Instant) -> Result<Index, Refusal> {
        Err(Refusal::NoLease)
    }
}
