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
    /// The node's commit index.
    pub commit_index: Index,
    /// Until when the node knows, by its own clock, that no other server leads a later term
    /// (thesis §6.4.1); none while it holds no lease.
    pub lease_until: Option<Instant>,
}

impl ReadView {
    /// The index at which a lease read may be served now, once that entry is applied (rule L5):
    /// every entry that any client knows of is at or below it. `now` is read after the read has
    /// come, on the clock of the node that published this.
    ///
    /// # Errors
    /// [`Refusal::NoLease`]: ask the node itself, by [`Input::Read`](crate::Input::Read).
    pub fn lease_read(&self, now: Instant) -> Result<Index, Refusal> {
        match self.lease_until {
            Some(until) if now < until => Ok(self.commit_index),
            Some(_) | None => Err(Refusal::NoLease),
        }
    }

    /// The index at which a stale read may be served: it shows a state that was true once, and
    /// goes by no leader's word.
    #[must_use]
    pub fn stale_read(&self) -> Index {
        self.commit_index
    }
}
