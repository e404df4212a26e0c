//! What a leader's late messages, and the answers to them, still tell in a timed slice, where many
//! would differ in nothing else. Exact; where a rule decides, the rule is asked. `tests/clocks.rs`
//! compares verdicts with and without.

use quorate_spec::role::Leadership;
use quorate_spec::{AppendOutcome, Body, EntryId, Envelope, Index, Kind, Node, NodeId, Rules};

use crate::intern::Interned;
use crate::network::stays_settled;
use crate::server::{PRESENT, Server};

/// The message without what is known at its receiver already.
pub(crate) fn still_told<R: Rules>(
    rules: &R,
    envelope: Interned<Envelope>,
    sender: &Server,
    receiver: &Server,
) -> Interned<Envelope> {
    match envelope.message.body {
        Body::AppendEntries { .. } | Body::InstallSnapshot { .. } => {
            let told = unstamped(rules, envelope, &sender.node, envelope.to);
            sated(rules, told, &sender.node, receiver)
        }
        Body::AppendEntriesReply(_) => {
            let told = unstamped(rules, envelope, &receiver.node, envelope.from);
            known(rules, told, &receiver.node)
        }
        Body::PreVote { .. }
        | Body::PreVoteReply { .. }
        | Body::RequestVote { .. }
        | Body::RequestVoteReply { .. }
        | Body::TimeoutNow
        | Body::ReadIndex { .. }
        | Body::ReadIndexReply { .. } => envelope,
    }
}

/// The request, or the answer to it, without the time at which this leader made it, if the peer has
/// answered a later one, or the answer tells nothing of a lease.
fn unstamped<R: Rules>(
    rules: &R,
    envelope: Interned<Envelope>,
    leader: &Node,
    peer: NodeId,
) -> Interned<Envelope> {
    let Some(sent) = envelope.message.stamp.sent else { return envelope };
    let kind = envelope.message.body.kind();
    let heard = |leadership: &Leadership| {
        leadership.peers.get(&peer).is_some_and(|peer| peer.heard.sent >= Some(sent))
    };
    let of_term = envelope.message.term == leader.current_term();
    // Whoever leads a term no more does not lead it again.
    let known = match leader.leadership() {
        Some(leadership) if of_term => heard(leadership),
        Some(_) => true,
        None => !rules.leads_after_restart(leader.id(), leader.hard_state()),
    };
    let exact = rules.lease_start(sent, PRESENT) == sent && !rules.confirms(Kind::AppendStale);
    if (known && exact) || (kind == Kind::AppendStale && !rules.confirms(kind)) {
        let mut told = (*envelope).clone();
        told.message.stamp.sent = None;
        return Interned::new(told);
    }
    envelope
}

/// An AppendEntries whose entries the receiver has in the message's term: it tells that the
/// leader is there, and what is committed. It is reduced to a heartbeat after the last of its
/// entries, or, where the leader knows that the receiver has them, after the last that it commits.
fn sated<R: Rules>(
    rules: &R,
    envelope: Interned<Envelope>,
    leader: &Node,
    receiver: &Server,
) -> Interned<Envelope> {
    let Body::AppendEntries { prev, entries, leader_commit } = &envelope.message.body else {
        return envelope;
    };
    let (term, log) = (envelope.message.term, receiver.node.log());
    if !stays_settled(rules, &envelope, receiver) {
        return envelope;
    }
    let has = |id: EntryId| id == EntryId::ZERO || log.contains(id);
    if !has(*prev) || !entries.ids(prev.index).all(has) {
        return envelope;
    }
    let validated = entries.last_index(prev.index);
    let commits = validated.min(*leader_commit);
    let knows = leader.leadership().filter(|_| leader.current_term() == term).is_none_or(|it| {
        let peer = it.peers.get(&receiver.node.id());
        peer.is_some_and(|peer| peer.match_index >= validated)
    });
    let last = if knows { commits } else { validated };
    let Some(term_of) = log.term_at(last) else { return envelope };
    let body = Body::AppendEntries {
        prev: EntryId { term: term_of, index: last },
        entries: quorate_spec::Entries::default(),
        leader_commit: commits,
    };
    if body == envelope.message.body {
        return envelope;
    }
    let mut told = (*envelope).clone();
    told.message.body = body;
    Interned::new(told)
}

/// A success that tells nothing of the log that the leader does not know: its index does not matter.
fn known<R: Rules>(rules: &R, envelope: Interned<Envelope>, leader: &Node) -> Interned<Envelope> {
    let Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) = envelope.message.body
    else {
        return envelope;
    };
    let peer = leader.leadership().and_then(|it| it.peers.get(&envelope.from));
    let of_term = envelope.message.term == leader.current_term();
    let Some(peer) = peer.filter(|_| of_term && match_index > Index::ZERO) else { return envelope };
    let (knows, arrived) = (peer.match_index, |index| rules.match_after(peer.match_index, index));
    if match_index > knows || arrived(match_index) != knows || arrived(Index::ZERO) != knows {
        return envelope;
    }
    let mut told = (*envelope).clone();
    let outcome = AppendOutcome::Accepted { match_index: Index::ZERO };
    told.message.body = Body::AppendEntriesReply(outcome);
    Interned::new(told)
}
