//! What is on its way, and which of it still matters.
//!
//! A message that can have no effect any more, whatever happens, is dropped, and one whose only
//! effect can be to tell a term is reduced to that. Both are exact: they merge states that behave
//! alike. Where a rule decides, the rule is asked, so that a mutant that breaks it keeps the
//! messages that it can misuse. `tests/reductions.rs` compares verdicts with and without.

use quorate_spec::{
    AppendOutcome, Body, Configuration, EntryId, Envelope, Index, Instant, Kind, Message, Node,
    NodeId, Role, Rules, Snapshot, Stamp, Term, Token,
};

use crate::clocks::PAST;
use crate::intern::Interned;
use crate::late::still_told;
use crate::model::SliceModel;
use crate::server::{Delivery, Operation, PRESENT, Server};
use crate::slice::Network;
use crate::state::{Net, State};

impl SliceModel {
    /// Whether the message is an AppendEntries that changes nothing now, or later in its term.
    fn is_idle(&self, state: &State, envelope: Interned<Envelope>) -> bool {
        let election = self.slice.election;
        let timeless = !(election.pre_vote || election.stickiness || election.check_quorum);
        let (from, to) = (state.server(envelope.from), state.server(envelope.to));
        let rules = &self.silent.protocol.rules;
        if !timeless || state.budget.crashes > 0 || !stays_without_effect(rules, &envelope, &to) {
            return false;
        }
        let delivery = Delivery { sync: true, eager: false };
        let outcome = self.imagine(to, Operation::Receive(envelope), delivery);
        let told = |reply: &Interned<Envelope>| {
            let known = self.slice.network == Network::Async && state.net.contains(reply);
            let max_term = Term(self.slice.max_term);
            known || what_matters(rules, *reply, &to, &from, max_term).is_none()
        };
        let silent = outcome.events.is_empty() && outcome.broken.is_empty();
        outcome.server == to && silent && outcome.sent.iter().all(told)
    }

    /// Drops what can have no effect any more.
    pub(crate) fn without_the_dead(&self, mut state: State) -> State {
        if !self.slice.reduced {
            return state;
        }
        let rules = &self.silent.protocol.rules;
        let max_term = Term(self.slice.max_term);
        let matters = |envelope: &Interned<Envelope>| {
            let (from, to) = (state.server(envelope.from), state.server(envelope.to));
            if self.is_idle(&state, *envelope) {
                return spent(*envelope, &from, max_term);
            }
            let told = what_matters(rules, *envelope, &from, &to, max_term)?;
            Some(if self.slice.clocks.is_some() {
                still_told(rules, told, &from, &to)
            } else {
                told
            })
        };
        let mut net: Net = state.net.iter().filter_map(matters).collect();
        if self.slice.network == Network::Async && !self.slice.election.check_quorum {
            merge_tellers(rules, &mut net);
        }
        net.sort_unstable();
        net.dedup();
        state.net = net;
        state
    }
}

/// What is left of a message, given its sender and receiver; none if nothing is.
fn what_matters<R: Rules>(
    rules: &R,
    envelope: Interned<Envelope>,
    sender: &Server,
    receiver: &Server,
    max_term: Term,
) -> Option<Interned<Envelope>> {
    let term = envelope.message.term;
    // A term that a crash of the receiver cannot take back.
    let settled = receiver.disk.reported.hard_state.current_term;
    match &envelope.message.body {
        Body::PreVote { round, .. } => {
            let live = matches!(sender.node.role(), Role::PreCandidate(c) if c.round == *round);
            if live && term >= settled { Some(envelope) } else { spent(envelope, sender, max_term) }
        }
        Body::RequestVote { .. } => {
            if vote_is_settled(rules, &envelope, sender, receiver) {
                spent(envelope, sender, max_term)
            } else {
                Some(envelope)
            }
        }
        Body::AppendEntries { .. } | Body::InstallSnapshot { .. } => {
            // Where a rejection confirms something, its stamp matters.
            let confirms = rules.confirms(Kind::AppendStale);
            if term < settled && rules.takes_entries_of(term, settled).is_err() && !confirms {
                spent(envelope, sender, max_term)
            } else {
                Some(envelope)
            }
        }
        Body::PreVoteReply { granted: false, .. } | Body::RequestVoteReply { granted: false } => {
            (term > settled).then(|| bare(envelope))
        }
        Body::AppendEntriesReply(AppendOutcome::Stale) => {
            let contact = term == settled && receiver.node.is_leader();
            (term > settled || contact).then_some(envelope)
        }
        Body::PreVoteReply { asked_in, round, granted: true } => {
            pre_vote_grant_counts(rules, (*asked_in, *round), &envelope, receiver)
                .then_some(envelope)
        }
        Body::RequestVoteReply { granted: true } => {
            vote_grant_counts(rules, &envelope, receiver).then_some(envelope)
        }
        Body::AppendEntriesReply(outcome) => {
            answer_counts(rules, *outcome, &envelope, receiver).then_some(envelope)
        }
        Body::TimeoutNow => {
            (term >= settled || rules.obeys_timeout_now(term, settled).is_ok()).then_some(envelope)
        }
        Body::ReadIndex { token } => {
            (term > settled || asks(&sender.node, *token)).then_some(envelope)
        }
        Body::ReadIndexReply { token, .. } => {
            (term > settled || asks(&receiver.node, *token)).then_some(envelope)
        }
    }
}

/// Whether the server still asks its leader for this read.
fn asks(node: &Node, token: Token) -> bool {
    node.forwards().iter().any(|forward| forward.token == token)
}

/// Whether an AppendEntries can no longer change anything at its receiver in this term, given that
/// it would change nothing now: the receiver follows in that term, so its log only grows and its
/// commit index only rises, and what it would answer is what it answered before. Asked of the
/// rules, for a mutant may truncate, uncommit or acknowledge something else later.
fn stays_without_effect<R: Rules>(rules: &R, envelope: &Envelope, receiver: &Server) -> bool {
    let follows = matches!(receiver.node.role(), Role::Follower { .. });
    follows && stays_settled(rules, envelope, receiver)
}

/// The same of what it changes in the log, whether its receiver follows already or not.
pub(crate) fn stays_settled<R: Rules>(rules: &R, envelope: &Envelope, receiver: &Server) -> bool {
    let Body::AppendEntries { prev, entries, leader_commit } = &envelope.message.body else {
        return false;
    };
    let (term, node) = (envelope.message.term, &receiver.node);
    let settled = receiver.disk.pending.is_empty()
        && receiver.gate.held().next().is_none()
        && receiver.disk.reported.hard_state.current_term == term
        && node.current_term() == term;
    let (far, validated) = (Index(u64::MAX), entries.last_index(prev.index));
    let of_term = |of: Term| !rules.conflicts(Some(of), of);
    settled
        && entries.runs.iter().all(|run| of_term(run.term))
        && rules.prev_matches(*prev, Some(prev.term))
        && rules.follower_commit(far, *leader_commit, validated) == far
        && rules.acknowledged(validated, far) == validated
        && rules.match_after(far, validated) == far
        && rules.takes_entries_of(term, term.next()).is_err()
}

/// A request that can do no more than provoke a rejection: what it says does not matter, and
/// nothing does once its sender has the last term of the slice.
fn spent(
    envelope: Interned<Envelope>,
    sender: &Server,
    max_term: Term,
) -> Option<Interned<Envelope>> {
    let known = sender.disk.reported.hard_state.current_term;
    (known < max_term).then(|| bare(envelope))
}

/// The message without its content, as far as that is possible for its kind. A rejection keeps
/// its term, which is all it tells.
fn bare(envelope: Interned<Envelope>) -> Interned<Envelope> {
    let Envelope { from, to, ref message } = *envelope;
    if is_bare(message) {
        return envelope;
    }
    let (term, body) = match message.body {
        Body::PreVote { .. } => (Term(0), Body::PreVote { last: EntryId::ZERO, round: PAST }),
        Body::RequestVote { .. } => (Term(0), no_vote()),
        Body::AppendEntries { .. } => (
            Term(0),
            Body::AppendEntries {
                prev: EntryId::ZERO,
                entries: quorate_spec::Entries::default(),
                leader_commit: Index::ZERO,
            },
        ),
        Body::InstallSnapshot { .. } => {
            let configuration = Configuration::default();
            let snapshot = Snapshot::new(EntryId::ZERO, configuration);
            (Term(0), Body::InstallSnapshot { snapshot })
        }
        Body::PreVoteReply { granted, .. } => {
            (message.term, Body::PreVoteReply { asked_in: Term(0), round: PAST, granted })
        }
        Body::RequestVoteReply { .. }
        | Body::AppendEntriesReply(_)
        | Body::TimeoutNow
        | Body::ReadIndex { .. }
        | Body::ReadIndexReply { .. } => return envelope,
    };
    Interned::new(Envelope { from, to, message: Message::new(term, body) })
}

/// A RequestVote of which nothing is left but that it asks for an answer.
fn no_vote() -> Body {
    Body::RequestVote { last: EntryId::ZERO, handover: false }
}

fn is_bare(message: &Message) -> bool {
    match message.body {
        Body::PreVote { last, round } => {
            message.term == Term(0) && last == EntryId::ZERO && round == PAST
        }
        Body::RequestVote { .. } | Body::AppendEntries { .. } | Body::InstallSnapshot { .. } => {
            message.term == Term(0)
        }
        Body::PreVoteReply { asked_in, round, .. } => asked_in == Term(0) && round == PAST,
        // They say something beside the term, and matter only as long as they do.
        Body::TimeoutNow | Body::ReadIndex { .. } => false,
        Body::RequestVoteReply { .. }
        | Body::AppendEntriesReply(_)
        | Body::ReadIndexReply { .. } => true,
    }
}

/// Whether the receiver has decided about this RequestVote for good: its durable term is higher,
/// or its durable vote of this term is another's, or is the sender's, who needs it no more.
fn vote_is_settled<R: Rules>(
    rules: &R,
    envelope: &Envelope,
    sender: &Server,
    receiver: &Server,
) -> bool {
    let on_disk = receiver.disk.reported.hard_state;
    if envelope.message.term != on_disk.current_term {
        let (asked_in, current) = (envelope.message.term, on_disk.current_term);
        return asked_in < current && rules.votes_for_term(asked_in, current).is_err();
    }
    let (term, vote) = (on_disk.current_term, on_disk.voted_for);
    let stays = rules.vote_in_term(term, term, vote) == vote
        && rules.vote_while_pre_candidate(vote) == vote
        && rules.vote_is_free(vote, NodeId(u64::MAX)).is_err();
    match vote {
        None => false,
        Some(_) if !stays => false,
        Some(vote) if vote != envelope.from => true,
        Some(_) => match sender.node.role() {
            Role::Candidate(campaign) if sender.node.current_term() == envelope.message.term => {
                campaign.granted.contains(&envelope.to)
            }
            Role::Candidate(_)
            | Role::Follower { .. }
            | Role::PreCandidate(_)
            | Role::Leader(_) => {
                sender.disk.reported.hard_state.current_term >= envelope.message.term
            }
        },
    }
}

/// Whether a granted pre-vote can still count, in this round or, by the rules, in another one.
fn pre_vote_grant_counts<R: Rules>(
    rules: &R,
    asked: (Term, Instant),
    envelope: &Envelope,
    receiver: &Server,
) -> bool {
    let term = receiver.node.current_term();
    let now = match receiver.node.role() {
        Role::PreCandidate(campaign) => {
            let counted = campaign.granted.contains(&envelope.from);
            !counted && rules.counts_pre_vote(asked, (term, campaign.round)).is_ok()
        }
        Role::Follower { .. } | Role::Candidate(_) | Role::Leader(_) => false,
    };
    let another = |term| rules.counts_pre_vote(asked, (term, Instant(u64::MAX))).is_ok();
    let raises = rules.adopts_term(Kind::PreVoteGrant, Ok(())).is_ok();
    now || another(term)
        || another(term.next())
        || (raises && envelope.message.term > receiver.disk.reported.hard_state.current_term)
}

/// Whether a granted vote can still count, in this term or, by the rules, in another one.
fn vote_grant_counts<R: Rules>(rules: &R, envelope: &Envelope, receiver: &Server) -> bool {
    let (granted_in, current) = (envelope.message.term, receiver.node.current_term());
    let now = match receiver.node.role() {
        Role::Candidate(campaign) => {
            let counted = campaign.granted.contains(&envelope.from);
            !counted && rules.counts_vote(granted_in, current).is_ok()
        }
        Role::Follower { .. } | Role::PreCandidate(_) | Role::Leader(_) => false,
    };
    let settled = receiver.disk.reported.hard_state.current_term;
    now || granted_in > settled || rules.counts_vote(granted_in, current.next()).is_ok()
}

/// Whether an answer to an AppendEntries or an InstallSnapshot can still tell the leader something.
fn answer_counts<R: Rules>(
    rules: &R,
    outcome: AppendOutcome,
    envelope: &Envelope,
    receiver: &Server,
) -> bool {
    let (term, current) = (envelope.message.term, receiver.node.current_term());
    if term > receiver.disk.reported.hard_state.current_term
        || rules.counts_answer(term, current.next()).is_ok()
    {
        return true;
    }
    let Role::Leader(leadership) = receiver.node.role() else { return false };
    // A server that is no peer now may be one again in this term.
    let Some(peer) = leadership.peers.get(&envelope.from) else { return term == current };
    if term != current {
        return false;
    }
    // An answer also shows that the follower is there; and while entries follow each other
    // every acknowledgement makes room.
    let contact = peer.last_contact.is_some() || peer.sent_at.is_some();
    let Stamp { round, sent } = envelope.message.stamp;
    // What was sent too long ago renews no lease.
    let start = sent.map(|sent| rules.lease_start(sent, PRESENT)).filter(|start| *start > PAST);
    if round > peer.heard.round || start > peer.heard.sent {
        return true;
    }
    let waits = peer.pace == quorate_spec::role::Pace::Probe && !contact;
    match outcome {
        AppendOutcome::Accepted { match_index } => {
            let known = rules.match_after(peer.match_index, match_index) == peer.match_index
                && peer.match_index.0 > 0;
            let steady = peer.next_index == peer.match_index.next();
            !(waits && known && steady)
        }
        AppendOutcome::Conflict { prev_index, .. } => !(waits && prev_index < peer.match_index),
        AppendOutcome::Stale => true,
    }
}

/// One request from each server to each other is enough to be told a term, and it does not matter
/// which; and one answer to each server is enough to tell it. For networks in which messages stay.
fn merge_tellers<R: Rules>(rules: &R, net: &mut Net) {
    let answers = |kind| rules.answers_stale(kind);
    let (past, present) = (Term(0), Term(1));
    let alike = answers(Kind::RequestVote) == answers(Kind::AppendEntries)
        && rules.votes_for_term(past, present).is_err()
        && rules.takes_entries_of(past, present).is_err();
    if !alike {
        return;
    }
    let request = |envelope: &Envelope| envelope.message.body.kind().is_request();
    let bare = |envelope: &Envelope| request(envelope) && is_bare(&envelope.message);
    let mut kept = Net::new();
    for envelope in net.iter() {
        let same = |other: &&Interned<Envelope>| {
            request(other) && (other.from, other.to) == (envelope.from, envelope.to)
        };
        if !bare(envelope) {
            kept.push(*envelope);
        } else if !net.iter().filter(same).any(|other| !bare(other)) {
            let Envelope { from, to, .. } = **envelope;
            let message = Message::new(Term(0), no_vote());
            kept.push(Interned::new(Envelope { from, to, message }));
        }
    }
    *net = kept;
}
