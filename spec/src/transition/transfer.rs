//! Leadership is handed over (thesis §3.10).
//!
//! While a transfer is under way the leader takes no commands and holds no lease. Once it has told
//! anyone to campaign it holds none for the rest of its term: the message may come late, and what
//! follows from it overrides the promises on which a lease rests (rule L6).

use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::{Cause, Role, Transfer};
use crate::rules::Rules;
use crate::types::{NodeId, Term};

impl<R: Rules> Step<'_, R> {
    /// Begins to hand leadership over to this voter: it gets what it lacks of the log, and is then
    /// told to campaign, by [`Protocol::poll_transmit`](crate::Protocol::poll_transmit), before each
    /// of its other requests: a TimeoutNow has no answer, and without answers the leader would lose
    /// its target's contact, and reads would wait.
    pub(crate) fn transfer_leadership(&mut self, to: NodeId) {
        let leads = self.configuration().voters.contains(&to) && to != self.node.id;
        let deadline = self.now().after(self.params().election_timeout);
        let leader = self.node.leader();
        let Role::Leader(leadership) = &mut self.node.role else {
            return self.refuse(Refusal::NotLeader { leader });
        };
        if leadership.transfer.is_some() {
            return self.refuse(Refusal::TransferInFlight);
        }
        let Some(peer) = leadership.peers.get_mut(&to).filter(|_| leads) else {
            return self.refuse(Refusal::CannotLead(to));
        };
        peer.sent_at = None;
        leadership.transfer = Some(Transfer { to, deadline, told: false });
    }

    /// Whether the leader takes commands, and changes of the members, at present.
    pub(crate) fn may_propose(&self) -> Result<(), Refusal> {
        let transferring = self.node.leadership().is_some_and(|it| it.transfer.is_some());
        self.rules().may_propose(transferring)
    }

    /// Gives a transfer up that had an election timeout to succeed.
    pub(crate) fn look_at_transfer(&mut self) {
        let (now, rules) = (self.now(), self.rules());
        let Role::Leader(leadership) = &mut self.node.role else { return };
        if leadership.transfer.is_some_and(|it| rules.gives_up_transfer(now, it.deadline)) {
            leadership.transfer = None;
        }
    }

    /// The leader has handed its leadership over to this server, which campaigns without asking
    /// first, and without regard to the promise that it gave to that leader (§4.2.3, bug B14).
    pub(crate) fn on_timeout_now(&mut self, term: Term, known: Term) {
        if let Err(refusal) = self.may_take_over(term, known) {
            return self.refuse(refusal);
        }
        // Its own vote counts when it is durable, and not before (bug A7).
        self.become_candidate(Cause::Handover);
    }

    fn may_take_over(&self, term: Term, known: Term) -> Result<(), Refusal> {
        if term > known {
            // Who has acknowledged all of a leader's log knows its term.
            return Err(Refusal::Malformed);
        }
        self.rules().obeys_timeout_now(term, self.node.current_term)?;
        match self.node.role {
            Role::Follower { .. } | Role::PreCandidate(_) => {}
            Role::Candidate(_) | Role::Leader(_) => return Err(Refusal::NotInThatRole),
        }
        self.may_stand()
    }
}
