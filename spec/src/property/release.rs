//! What every message keeps that leaves a server: it never says more than a crash at that moment
//! would recover.

use crate::durable::Durable;
use crate::message::{AppendOutcome, Body, Envelope};
use crate::node::Node;
use crate::property::claim::{Claim, ClaimSet};
use crate::types::{NodeId, Term};

/// A vote that has left a server: the term, and for whom.
pub type SentVote = (Term, NodeId);

/// The claims that this message breaks by leaving a server whose disk has reported `reported` and
/// whose latest vote to leave was `last_vote`.
#[must_use]
pub fn broken_by_release(
    envelope: &Envelope,
    sender: &Node,
    reported: &Durable,
    last_vote: Option<SentVote>,
) -> ClaimSet {
    let mut broken = ClaimSet::NONE;
    broken.require(Claim::MessageTermPersisted, message_term_persisted(envelope, reported));
    broken.require(Claim::AckDurability, ack_durability(envelope, sender, reported));
    if let Some(vote) = vote_in(envelope) {
        broken.require(Claim::VoteDurability, vote_durability(vote, reported));
        broken.require(Claim::VoteOncePerTerm, vote_once_per_term(vote, last_vote));
    }
    broken
}

/// The vote that this message gives, if it does: a candidate gives one to itself.
#[must_use]
pub fn vote_in(envelope: &Envelope) -> Option<SentVote> {
    match envelope.message.body {
        Body::RequestVote { .. } => Some((envelope.message.term, envelope.from)),
        Body::RequestVoteReply { granted: true } => Some((envelope.message.term, envelope.to)),
        Body::RequestVoteReply { granted: false }
        | Body::PreVote { .. }
        | Body::PreVoteReply { .. }
        | Body::AppendEntries { .. }
        | Body::AppendEntriesReply(_)
        | Body::InstallSnapshot { .. }
        | Body::TimeoutNow
        | Body::ReadIndex { .. }
        | Body::ReadIndexReply { .. } => None,
    }
}

/// The disk has the message's term, or a later one (§3.8, rule P1).
#[must_use]
pub fn message_term_persisted(envelope: &Envelope, reported: &Durable) -> bool {
    reported.hard_state.current_term >= envelope.message.term
}

/// The disk has this vote, or a later term (§3.8).
#[must_use]
pub fn vote_durability((term, candidate): SentVote, reported: &Durable) -> bool {
    let on_disk = reported.hard_state;
    on_disk.current_term > term
        || (on_disk.current_term == term && on_disk.voted_for == Some(candidate))
}

/// The disk has the acknowledged entries: the same as the log in memory, which the leader's request
/// was compared with, as far as a snapshot has not taken their place here or there; unless the
/// sender has gone on to another term since (§3.8, rule P2).
#[must_use]
pub fn ack_durability(envelope: &Envelope, sender: &Node, reported: &Durable) -> bool {
    let Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) = envelope.message.body
    else {
        return true;
    };
    let (disk, memory) = (&reported.log, sender.log());
    let same = match (disk.term_at(match_index), memory.term_at(match_index)) {
        (Some(on_disk), Some(here)) => on_disk == here,
        (Some(_), None) => match_index < memory.base().index,
        (None, _) => match_index < disk.base().index,
    };
    sender.current_term() > envelope.message.term || same
}

/// No vote of this term went to another candidate, and none of a later term went before (§3.4).
/// Only the latest vote has to be remembered, because terms only rise.
#[must_use]
pub fn vote_once_per_term(vote: SentVote, last_vote: Option<SentVote>) -> bool {
    last_vote.is_none_or(|last| last == vote || last.0 < vote.0)
}
