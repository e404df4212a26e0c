//! What a client may rely on that reads (thesis §6.4): it sees everything that any client knew of
//! when it asked.

use crate::effects::Effects;
use crate::node::Node;
use crate::property::history::History;
use crate::read_view::ReadView;
use crate::role::PendingRead;
use crate::types::{Index, Token};

/// Whoever may serve a lease read now serves it at an index that covers every entry committed so
/// far by anyone: none that a client can know of is missing (§6.4.1).
#[must_use]
pub fn lease_read_is_linearizable(history: &History, served_at: Index) -> bool {
    served_at >= history.last_committed()
}

/// Where a server may serve lease reads, nobody leads a later term (§6.4.1).
#[must_use]
pub fn lease_exclusive<'a>(holder: &Node, mut nodes: impl Iterator<Item = &'a Node>) -> bool {
    nodes.all(|other| !other.is_leader() || other.current_term() <= holder.current_term())
}

/// What readers may rely on is published in the very step that changes it, so before any message of
/// that step leaves and before any of its commits is acknowledged.
#[must_use]
pub fn published_in_time(before: ReadView, after: ReadView, effects: &Effects) -> bool {
    let fresh = (before != after).then_some(after);
    effects.publish == fresh && effects.commit.is_none_or(|commit| commit <= after.commit_index)
}

/// A read that was asked for and not answered is still waited for at the server that was asked: its
/// client is not forgotten (§6.4, rule R6).
#[must_use]
pub fn waits_for(node: &Node, token: Token) -> bool {
    let own = |read: &PendingRead| read.token == token && read.forwarded_by.is_none();
    node.forwards().iter().any(|forward| forward.token == token)
        || node.leadership().is_some_and(|leadership| leadership.reads.iter().any(own))
}
