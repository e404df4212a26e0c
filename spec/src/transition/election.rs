//! Timeouts, campaigns, becoming leader, stepping down (thesis §3.4, §6.2).

use crate::configuration::Configuration;
use crate::log::Entries;
use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::{Campaign, Cause, Leadership, Progress, Role};
use crate::rules::Rules;
use crate::types::{NodeId, Term};

impl<R: Rules> Step<'_, R> {
    pub(crate) fn tick(&mut self) {
        if self.node.is_leader() {
            self.look_at_transfer();
            self.check_quorum();
        } else if self.now() >= self.node.election_deadline {
            // Whoever may not campaign now tries again a timeout later.
            self.reset_election_timer();
            self.campaign();
        }
    }

    /// Starts an election, by a round of pre-votes where that is on; refused where the server
    /// leads, is no voter or is under its promise.
    pub(crate) fn campaign(&mut self) {
        if let Err(refusal) = self.may_campaign() {
            return self.refuse(refusal);
        }
        if self.params().pre_vote {
            self.become_pre_candidate();
        } else {
            self.become_candidate(Cause::Timeout);
        }
    }

    fn may_campaign(&self) -> Result<(), Refusal> {
        if self.node.is_leader() {
            return Err(Refusal::IsLeader);
        }
        self.may_stand()?;
        if self.params().stickiness {
            self.rules().promise_permits_campaign(self.now(), self.node.promised_until)?;
        }
        Ok(())
    }

    /// Whether the server may be elected at all.
    pub(crate) fn may_stand(&self) -> Result<(), Refusal> {
        if self.node.current_term.next() >= Term::LIMIT {
            return Err(Refusal::TermTooHigh);
        }
        let latest = self.configuration();
        let superseded = self.node.log.superseded_configuration(self.node.commit_index);
        self.rules().is_promotable(self.node.id, latest, superseded)
    }

    fn become_pre_candidate(&mut self) {
        self.node.voted_for = self.rules().vote_while_pre_candidate(self.node.voted_for);
        self.become_role(Role::PreCandidate(Campaign::new(self.now())), Cause::Timeout);
        self.reset_election_timer();
        self.tally_pre_votes();
    }

    pub(crate) fn become_candidate(&mut self, cause: Cause) {
        self.node.current_term = self.node.current_term.next();
        self.node.voted_for = Some(self.node.id);
        let handover = self.rules().claims_handover(cause == Cause::Handover);
        let campaign = Campaign { handover, ..Campaign::new(self.now()) };
        self.become_role(Role::Candidate(campaign), cause);
        self.reset_election_timer();
    }

    /// Becomes a candidate if a quorum would vote for it: itself, and whoever granted.
    pub(crate) fn tally_pre_votes(&mut self) {
        if let Role::PreCandidate(campaign) = &self.node.role {
            let id = self.node.id;
            let has = |voter: NodeId| voter == id || campaign.granted.contains(&voter);
            if self.rules().is_quorum(self.configuration(), &has) {
                self.become_candidate(Cause::Quorum);
            }
        }
    }

    /// Becomes leader if a quorum voted for it: itself once that is durable, and whoever granted.
    pub(crate) fn tally_votes(&mut self) {
        if let Role::Candidate(campaign) = &self.node.role {
            let id = self.node.id;
            let own = self.rules().counts_own_vote(self.hard_state_is_unwritten());
            let has = |voter: NodeId| {
                if voter == id { own } else { campaign.granted.contains(&voter) }
            };
            if self.rules().is_quorum(self.configuration(), &has) {
                self.become_leader();
            }
        }
    }

    /// Leads its term: nothing known of the others, and a no-op of its own (§3.6.2).
    fn become_leader(&mut self) {
        let leadership = self.fresh_leadership();
        self.become_role(Role::Leader(leadership), Cause::Quorum);
        if self.rules().begins_term_with_no_op() {
            let last = self.node.log.last().index;
            self.write_log(last, Entries::of_term(last, self.node.current_term, 1));
        }
        self.take_over_reads();
    }

    /// What a new leader knows: where its own log ends, and who has just voted for it.
    pub(crate) fn fresh_leadership(&self) -> Leadership {
        let next_index = self.node.log.last().index.next();
        let granted = self.node.campaign().map(|campaign| &campaign.granted);
        let contact = |id: &NodeId| {
            let voted = granted.is_some_and(|granted| granted.contains(id));
            (self.params().check_quorum && voted).then_some(self.now())
        };
        let progress = |id: NodeId| Progress::unknown(next_index, contact(&id));
        // Whom the latest configuration removes is to learn of it, until that is committed.
        let superseded = self.node.log.superseded_configuration(self.node.commit_index);
        let leaving = superseded.into_iter().flat_map(Configuration::members);
        let members = self.configuration().members().chain(leaving);
        let others = members.filter(|id| *id != self.node.id);
        Leadership::new(others.map(|id| (id, progress(id))).collect())
    }

    /// A leader that no quorum has answered for an election timeout steps down, and so does one
    /// whose own disk has not; it keeps its vote (§6.2; bugs A3, H11).
    fn check_quorum(&mut self) {
        if !self.params().check_quorum {
            return;
        }
        let reached = self.protocol.quorum_contact(self.node);
        let e = self.params().election_timeout;
        let writes = self.rules().disk_keeps_up(self.now(), self.node.disk_due_by());
        if !self.rules().keeps_leading(self.now(), reached, e) || !writes {
            self.step_down(Cause::LostQuorum);
        }
    }

    /// Leads no more in a term that goes on, and keeps the vote that it gave itself (bug A3).
    pub(crate) fn step_down(&mut self, cause: Cause) {
        let term = self.node.current_term;
        self.node.voted_for = self.rules().vote_in_term(term, term, self.node.voted_for);
        self.become_follower(None, cause);
        self.reset_election_timer();
    }
}
