//! Who is heard, and which term counts (thesis §3.3).

use crate::message::{Body, Envelope, Kind, Message};
use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::Cause;
use crate::rules::Rules;
use crate::types::Term;

impl<R: Rules> Step<'_, R> {
    pub(crate) fn receive(&mut self, envelope: Envelope) {
        let Envelope { from, to, message } = envelope;
        if let Err(refusal) = self.rules().is_addressed(to, self.node.id) {
            return self.refuse(refusal);
        }
        if from == self.node.id {
            return self.refuse(Refusal::Malformed);
        }
        let Message { term, stamp, body } = message;
        self.echo = stamp;
        if term >= Term::LIMIT {
            return self.refuse(Refusal::TermTooHigh);
        }
        let known = self.node.current_term;
        if term > known {
            let kind = body.kind();
            let handover = matches!(body, Body::RequestVote { handover: true, .. });
            let promise = self.promise_permits(kind, handover);
            match self.rules().adopts_term(kind, promise) {
                Ok(()) => self.adopt_term(term),
                Err(refusal) => self.refuse(refusal),
            }
        }
        match body {
            Body::PreVote { last, round } => self.on_pre_vote(from, term, last, round),
            Body::PreVoteReply { asked_in, round, granted } => {
                self.on_pre_vote_reply(from, (asked_in, round), granted);
            }
            Body::RequestVote { last, handover } => {
                self.on_request_vote(from, term, last, handover);
            }
            Body::RequestVoteReply { granted } => self.on_vote_reply(from, term, granted),
            Body::AppendEntries { prev, entries, leader_commit } => {
                self.on_append_entries(from, term, prev, entries, leader_commit);
            }
            Body::AppendEntriesReply(outcome) => self.on_append_reply(from, term, outcome),
            Body::InstallSnapshot { snapshot } => {
                self.on_install_snapshot(from, term, snapshot);
            }
            Body::TimeoutNow => self.on_timeout_now(term, known),
            Body::ReadIndex { token } => self.on_read_index(from, token),
            Body::ReadIndexReply { token, index } => self.on_read_index_reply(token, index),
        }
    }

    /// Whether the server may help `kind` to another leader now: it does not lead, and has heard
    /// none for an election timeout; or the leader itself has handed over.
    pub(crate) fn promise_permits(&self, kind: Kind, handover: bool) -> Result<(), Refusal> {
        if !self.params().stickiness || self.rules().overrides_promise(handover) {
            return Ok(());
        }
        if self.node.is_leader() {
            self.rules().leader_may_vote()?;
        }
        let (now, until) = (self.now(), self.node.promised_until);
        if kind == Kind::PreVote {
            self.rules().promise_permits_pre_vote(now, until)
        } else {
            self.rules().promise_permits_vote(now, until)
        }
    }

    /// Enters a higher term, as a follower who has not voted in it. The promise stays.
    fn adopt_term(&mut self, term: Term) {
        let before = self.node.current_term;
        self.node.voted_for = self.rules().vote_in_term(before, term, self.node.voted_for);
        self.node.current_term = term;
        self.node.promised_until = self.rules().promise_on_term_change(self.node.promised_until);
        let had_timer = !self.node.is_leader();
        self.become_follower(None, Cause::HigherTerm);
        if !had_timer {
            self.reset_election_timer();
        }
    }
}
