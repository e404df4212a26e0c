//! What timed models do to a node's times, beside [`Node::rebase`]: clocks that run apart, and rounds
//! that need no age.

use crate::node::Node;
use crate::params::Params;
use crate::role::Role;
use crate::types::{Duration, Instant};

impl Node {
    /// Whether one of the node's timers runs, and would end within `by`: its promise, its election
    /// timer, or, if it leads, the contact of a follower or a transfer.
    #[must_use]
    pub fn has_timer_within(&self, params: &Params, now: Instant, by: Duration) -> bool {
        let ends = |at: Instant| at > now && at <= now.after(by);
        match &self.role {
            Role::Leader(leadership) => {
                let contacts = leadership.peers.values().filter_map(|peer| peer.last_contact);
                let mut ending = contacts.map(|at| at.after(params.election_timeout));
                let transfer = leadership.transfer.map(|transfer| transfer.deadline);
                ends(self.promised_until) || ending.any(ends) || transfer.is_some_and(ends)
            }
            Role::Follower { .. } | Role::PreCandidate(_) | Role::Candidate(_) => {
                ends(self.promised_until) || ends(self.election_deadline)
            }
        }
    }

    /// Ends every timer that would end within `by`: on the node's own clock the time has passed,
    /// for that is ahead of the one that the model counts by.
    pub fn end_timers_within(&mut self, params: &Params, now: Instant, by: Duration) {
        let end = |at: Instant| if at <= now.after(by) { now } else { at };
        self.promised_until = end(self.promised_until);
        self.election_deadline = end(self.election_deadline);
        if let Role::Leader(leadership) = &mut self.role {
            if let Some(transfer) = &mut leadership.transfer {
                transfer.deadline = end(transfer.deadline);
            }
            for peer in leadership.peers.values_mut() {
                let lasts = |at: &Instant| at.after(params.election_timeout) > now.after(by);
                peer.last_contact = peer.last_contact.filter(lasts);
            }
        }
    }

    /// Takes the promise not to vote as over. For models, where it makes no difference any more.
    pub fn forget_promise(&mut self, now: Instant) {
        self.promised_until = now;
    }

    /// Forgets the answers to a leader on which no lease can rest any more.
    pub fn forget_answers(&mut self, may_rest: impl Fn(Instant) -> bool) {
        if let Role::Leader(leadership) = &mut self.role {
            for peer in leadership.peers.values_mut() {
                peer.heard.sent = peer.heard.sent.filter(|sent| may_rest(*sent));
            }
        }
    }

    /// Takes every server for having answered a leader's request of this moment, if not a later one:
    /// for models, where a quorum has. No lease rests on who answered an earlier one, in this
    /// configuration.
    pub fn level_answers(&mut self, to: Instant) {
        if let Role::Leader(leadership) = &mut self.role {
            for peer in leadership.peers.values_mut() {
                peer.heard.sent = peer.heard.sent.max(Some(to));
            }
        }
    }

    /// Gives the node's round of votes or pre-votes this name in the place of the instant at which it
    /// began. A step asks of a name only whether it is the present round's, so whoever renames the
    /// rounds in messages alike changes nothing.
    pub fn rename_round(&mut self, to: Instant) {
        if let Role::PreCandidate(campaign) | Role::Candidate(campaign) = &mut self.role {
            campaign.round = to;
        }
    }
}
