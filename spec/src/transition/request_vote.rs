//! Granting and counting votes (thesis §3.4, §3.6.1).

use crate::message::{Body, Kind};
use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::{Cause, Role, RoleName};
use crate::rules::{Pledge, Rules};
use crate::types::{EntryId, NodeId, Term};

impl<R: Rules> Step<'_, R> {
    pub(crate) fn on_request_vote(
        &mut self,
        from: NodeId,
        term: Term,
        last: EntryId,
        handover: bool,
    ) {
        if term < self.node.current_term && !self.rules().answers_stale(Kind::RequestVote) {
            return;
        }
        if term > self.node.current_term {
            // The term was not adopted; the reason for that has been given.
            return self.reply(from, Pledge::Term, Body::RequestVoteReply { granted: false });
        }
        match self.may_grant_vote(from, term, last, handover) {
            Ok(()) => {
                self.node.voted_for = Some(from);
                if self.node.role.name() == RoleName::PreCandidate {
                    // Whoever votes for another gives up its own wish to campaign.
                    self.become_follower(None, Cause::GrantsVote);
                }
                self.reset_election_timer();
                self.reply(from, Pledge::Vote, Body::RequestVoteReply { granted: true });
            }
            Err(refusal) => {
                self.refuse(refusal);
                self.reply(from, Pledge::Term, Body::RequestVoteReply { granted: false });
            }
        }
    }

    /// The conditions of a vote. The promise is tested here too, and not only before adopting the
    /// term: a server can learn the candidate's term from elsewhere while it is under the promise.
    fn may_grant_vote(
        &self,
        from: NodeId,
        term: Term,
        last: EntryId,
        handover: bool,
    ) -> Result<(), Refusal> {
        let current = self.node.current_term;
        self.rules().votes_for_term(term, current)?;
        self.rules().vote_is_free(self.node.voted_for, from)?;
        self.promise_permits(Kind::RequestVote, handover)?;
        self.rules().log_is_up_to_date(last, self.node.log.last())
    }

    pub(crate) fn on_vote_reply(&mut self, from: NodeId, term: Term, granted: bool) {
        let counts = self.rules().counts_vote(term, self.node.current_term);
        let Role::Candidate(campaign) = &mut self.node.role else {
            return self.refuse(Refusal::NotInThatRole);
        };
        match counts {
            Ok(()) if granted => {
                campaign.granted.insert(from);
                self.tally_votes();
            }
            Ok(()) => {}
            Err(refusal) => self.refuse(refusal),
        }
    }
}
