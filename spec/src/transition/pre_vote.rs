//! Asking before raising the term (thesis §9.6), so that a server which cannot win disturbs
//! nobody. A pre-vote changes nothing at whoever is asked.

use crate::message::{Body, Kind};
use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::Role;
use crate::rules::{Pledge, Rules};
use crate::types::{EntryId, Instant, NodeId, Term};

impl<R: Rules> Step<'_, R> {
    pub(crate) fn on_pre_vote(&mut self, from: NodeId, term: Term, last: EntryId, round: Instant) {
        if term < self.node.current_term && !self.rules().answers_stale(Kind::PreVote) {
            return;
        }
        let permitted = self.may_grant_pre_vote(term, last);
        let granted = permitted.is_ok();
        if let Err(refusal) = permitted {
            self.refuse(refusal);
        } else {
            let e = self.params().election_timeout;
            let promised = self.node.promised_until;
            self.node.promised_until = self.rules().promise_on_pre_vote(promised, self.now(), e);
        }
        self.reply(from, Pledge::Term, Body::PreVoteReply { asked_in: term, round, granted });
    }

    /// Whether the server would vote for a candidate of the term after `asked_in`. Its own vote
    /// in the present term and its own role do not matter (rule J9).
    fn may_grant_pre_vote(&self, asked_in: Term, last: EntryId) -> Result<(), Refusal> {
        if asked_in < self.node.current_term {
            // The rejection tells the present term, which saves the asker a lost election.
            return Err(Refusal::TermNotAhead);
        }
        self.promise_permits(Kind::PreVote, false)?;
        self.rules().log_is_up_to_date(last, self.node.log.last())
    }

    pub(crate) fn on_pre_vote_reply(
        &mut self,
        from: NodeId,
        asked: (Term, Instant),
        granted: bool,
    ) {
        let current_term = self.node.current_term;
        let Role::PreCandidate(campaign) = &mut self.node.role else {
            return self.refuse(Refusal::NotInThatRole);
        };
        match self.protocol.rules.counts_pre_vote(asked, (current_term, campaign.round)) {
            Ok(()) if granted => {
                campaign.granted.insert(from);
                self.tally_pre_votes();
            }
            Ok(()) => {}
            Err(refusal) => self.refuse(refusal),
        }
    }
}
