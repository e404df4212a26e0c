//! What a client may rely on that reads (thesis §6.4): it sees everything that any client knew of
//! when it asked.

use crate::effects::{Effects, Input};
use crate::message::{AppendOutcome, Body, Envelope, Stamp};
use crate::node::Node;
use crate::property::history::History;
use crate::read_view::ReadView;
use crate::role::PendingRead;
use crate::types::{Index, NodeId, Term, Token};

/// Whoever may serve a lease read now serves it at an index that covers every entry committed so
/// far by anyone: none that a client can know of is missing (§6.4.1).
#[must_use]
pub fn lease_read_is_linearizable(history: &History, served_at: Index) -> bool {
    served_at >= history.last_committed()
}

/// Where a server may serve lease reads, nobody leads a later term (§6.4.1): `led` are the terms that
/// have a leader, or had one.
#[must_use]
pub fn lease_exclusive(holder: &Node, mut led: impl Iterator<Item = Term>) -> bool {
    led.all(|term| term <= holder.current_term())
}

/// What readers may rely on is published in the very step that changes it, so before any message of
/// that step leaves and before any of its commits is acknowledged.
#[must_use]
pub fn published_in_time(before: ReadView, after: ReadView, effects: &Effects) -> bool {
    let fresh = (before != after).then_some(after);
    effects.publish == fresh && effects.commit.is_none_or(|commit| commit <= after.commit_index)
}

/// While a server leads a term, what it takes a peer for having confirmed grows only by that peer's
/// answer in that term to a request of that term, and to no more than that answer bears (§6.4, rules
/// R3, L1, L2). A new leader has nothing confirmed.
#[must_use]
pub fn confirmation_sound(before: &Node, input: &Input, after: &Node) -> bool {
    let Some(is) = after.leadership() else { return true };
    let was = before.leadership().filter(|_| before.current_term() == after.current_term());
    is.peers.iter().all(|(id, peer)| {
        let known = was.and_then(|was| was.peers.get(id)).map_or(Stamp::NONE, |peer| peer.heard);
        let Stamp { round, sent } = borne(input, after, *id).unwrap_or(Stamp::NONE);
        peer.heard.round <= known.round.max(round) && peer.heard.sent <= known.sent.max(sent)
    })
}

/// The stamp of this input, if it is an answer of `from` to a request of the leader's present term.
fn borne(input: &Input, leader: &Node, from: NodeId) -> Option<Stamp> {
    let Input::Receive(Envelope { from: sender, message, .. }) = input else { return None };
    let answers = matches!(
        message.body,
        Body::AppendEntriesReply(AppendOutcome::Accepted { .. } | AppendOutcome::Conflict { .. })
    );
    let here = *sender == from && message.term == leader.current_term();
    (answers && here).then_some(message.stamp)
}

/// A read that was asked for and not answered is still waited for at the server that was asked: its
/// client is not forgotten (§6.4, rule R6).
#[must_use]
pub fn waits_for(node: &Node, token: Token) -> bool {
    let own = |read: &PendingRead| read.token == token && read.forwarded_by.is_none();
    node.forwards().iter().any(|forward| forward.token == token)
        || node.leadership().is_some_and(|leadership| leadership.reads.iter().any(own))
}
