//! A change of the members, from the request to `C_new` (thesis §4.1 to §4.3).
//!
//! ```text
//!   request ──▶ simple ⇒ target ──▶ joint C_old,new ──▶ C_new ──▶ a leader outside it steps down
//!               the new voters      separate             simple
//!               catch up            majorities           again
//! ```
//!
//! Each arrow is one entry, appended when the one before it is committed, by whoever leads then:
//! what a change has come to is in the log alone. The first entry is left out where the new voters
//! have caught up as learners, or where there are none. A change of learners alone has one entry:
//! the voters stay the same, and so do the quorums.

use crate::configuration::{Configuration, Target};
use crate::log::Entries;
use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::{Cause, Progress, Role};
use crate::rules::Rules;
use crate::types::Index;

impl<R: Rules> Step<'_, R> {
    /// The configuration that this server goes by (rule J4).
    pub(crate) fn configuration(&self) -> &Configuration {
        self.protocol.configuration(self.node)
    }

    /// Begins a change, or turns one to other members whose new voters have not caught up: the
    /// way out where one of them never will.
    pub(crate) fn change_members(&mut self, target: Target) {
        if !self.node.is_leader() {
            return self.refuse(Refusal::NotLeader { leader: self.node.leader() });
        }
        if let Err(refusal) = self.may_propose() {
            return self.refuse(refusal);
        }
        match self.first_configuration(target) {
            Ok(configuration) => self.append_configuration(configuration),
            Err(refusal) => self.refuse(refusal),
        }
    }

    /// The configuration with which the change begins.
    fn first_configuration(&self, target: Target) -> Result<Configuration, Refusal> {
        let present = self.configuration();
        target.is_possible(&present.voters)?;
        self.may_append_configuration()?;
        if present.is_joint() {
            // Not the deciding test: whoever commits a joint configuration leaves it at once.
            return Err(Refusal::ChangeInFlight);
        }
        if target == present.destination() {
            return Err(Refusal::NothingToChange);
        }
        if target.voters == present.voters {
            let Target { voters, learners } = target;
            return Ok(Configuration { voters, learners, ..Configuration::default() });
        }
        if self.have_caught_up(&target).is_ok() {
            return Ok(self.rules().enter_joint(present, &target));
        }
        Ok(Configuration { target: Some(target), ..present.clone() })
    }

    /// Takes the next step of a change, if its time has come. To be called where the commit index
    /// or a match index may have risen.
    pub(crate) fn continue_change(&mut self) {
        if !self.node.is_leader() {
            return;
        }
        self.forget_removed();
        let (at, latest) = self.node.log.latest_configuration();
        let outside = !latest.is_voter(self.node.id);
        if outside && !self.rules().manages_until(at, self.node.commit_index) {
            return self.step_down(Cause::Removed);
        }
        // A step writes the log once; what else there is to do waits for the next report.
        if self.has_written_log() {
            return;
        }
        if let Ok(Some(configuration)) = self.next_configuration() {
            self.append_configuration(configuration);
        }
    }

    /// What the latest configuration leads to, if it is not where a change ends.
    fn next_configuration(&self) -> Result<Option<Configuration>, Refusal> {
        let present = self.configuration();
        if !present.is_joint() && present.target.is_none() {
            return Ok(None);
        }
        self.may_append_configuration()?;
        let (at, _) = self.node.log.latest_configuration();
        let begun = self.node.log.term_at(at);
        if !self.rules().continues_change(begun, self.node.current_term) {
            return Ok(None);
        }
        let Some(target) = &present.target else {
            return Ok(Some(self.rules().leave_joint(present)));
        };
        self.have_caught_up(target)?;
        Ok(Some(self.rules().enter_joint(present, target)))
    }

    /// Whether this leader may append any configuration now: one at a time (rules J5, J6).
    fn may_append_configuration(&self) -> Result<(), Refusal> {
        let commit = self.node.commit_index;
        let (at, _) = self.node.log.latest_configuration();
        let committed = self.node.log.term_at(commit);
        self.rules().follows_configuration(at, commit)?;
        self.rules().has_committed_in_term(committed, self.node.current_term)
    }

    /// Whether each server that is to become a voter has what is committed. This leader has; so
    /// have the voters, as far as that matters.
    fn have_caught_up(&self, target: &Target) -> Result<(), Refusal> {
        let Role::Leader(leadership) = &self.node.role else { return Ok(()) };
        let present = self.configuration();
        let (asked, _) = self.node.log.latest_configuration();
        let (commit, lag) = (self.node.commit_index, self.params().catch_up_lag);
        let coming = target.voters.iter().filter(|id| !present.voters.contains(id));
        coming.filter(|id| **id != self.node.id).try_for_each(|id| {
            let matched = leadership.peers.get(id).map_or(Index::ZERO, |peer| peer.match_index);
            self.rules().has_caught_up(*id, matched, asked, commit, lag)
        })
    }

    /// Appends a configuration, which is in force from here on (rule J4); whoever is new in it
    /// gets entries from here on, too.
    fn append_configuration(&mut self, configuration: Configuration) {
        let (last, me) = (self.node.log.last().index, self.node.id);
        let next_index = last.next();
        if let Role::Leader(leadership) = &mut self.node.role {
            for id in configuration.members().filter(|id| *id != me) {
                let unknown = || Progress::unknown(next_index, None);
                if leadership.peers.get(&id).is_none() {
                    leadership.peers.insert(id, unknown());
                }
            }
        }
        let term = self.node.current_term;
        self.write_log(last, Entries::of_configuration(last, term, configuration));
    }

    /// Sends nothing more to the servers that a committed configuration does not name.
    fn forget_removed(&mut self) {
        let (at, latest) = self.node.log.latest_configuration();
        let Role::Leader(leadership) = &mut self.node.role else { return };
        if leadership.peers.keys().all(|id| latest.is_member(*id)) {
            return;
        }
        if !self.protocol.rules.sends_to_removed(at, self.node.commit_index) {
            leadership.peers.retain(|id, _| latest.is_member(*id));
        }
    }
}
