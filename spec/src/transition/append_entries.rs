//! A follower takes entries and heartbeats (thesis §3.5).

use crate::effects::Fatal;
use crate::log::Entries;
use crate::message::{AppendOutcome, Body, Kind};
use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::Cause;
use crate::rules::{Pledge, Rules};
use crate::types::{EntryId, Index, NodeId, Term};

impl<R: Rules> Step<'_, R> {
    pub(crate) fn on_append_entries(
        &mut self,
        from: NodeId,
        term: Term,
        prev: EntryId,
        entries: Entries,
        leader_commit: Index,
    ) {
        if !self.hears_leader(from, term, Kind::AppendEntries) {
            return;
        }
        if !entries.is_well_formed(prev, term) {
            return self.refuse(Refusal::Malformed);
        }
        self.follow(from);
        match self.take_entries(prev, entries) {
            Ok(Some(validated)) => {
                let commit = self.node.commit_index;
                self.node.commit_index =
                    self.rules().follower_commit(commit, leader_commit, validated);
                self.acknowledge(from, validated);
            }
            Ok(None) => {
                // An honest leader's log goes on from the boundary, for that was committed.
                let hint = self.node.log.last_possible_match(prev);
                let hint = hint.unwrap_or(self.node.log.base());
                let conflict = AppendOutcome::Conflict { prev_index: prev.index, hint };
                self.reply(from, Pledge::Term, Body::AppendEntriesReply(conflict));
            }
            // Nothing may follow: the driver stops the node.
            Err(fatal) => self.effects.fatal = Some(fatal),
        }
    }

    /// Whether this is the leader of the present term. One of a past term is told so; two in one
    /// term are not honest (claim ElectionSafety).
    pub(crate) fn hears_leader(&mut self, from: NodeId, term: Term, kind: Kind) -> bool {
        if let Err(refusal) = self.rules().takes_entries_of(term, self.node.current_term) {
            self.refuse(refusal);
            if self.rules().answers_stale(kind) {
                let stale = Body::AppendEntriesReply(AppendOutcome::Stale);
                self.reply(from, Pledge::Term, stale);
            }
            return false;
        }
        if self.node.is_leader() {
            self.refuse(Refusal::Malformed);
            return false;
        }
        true
    }

    /// Tells the leader up to where the log agrees with its own, as soon as that is durable.
    pub(crate) fn acknowledge(&mut self, leader: NodeId, validated: Index) {
        self.acknowledge_at_once(leader, validated);
        let last = self.node.log.last().index;
        let match_index = self.rules().acknowledged(validated, last);
        let accepted = AppendOutcome::Accepted { match_index };
        self.reply(leader, Pledge::Entries(match_index), Body::AppendEntriesReply(accepted));
    }

    /// Where the disk is behind already, the answer to all of the request may come late. What is
    /// durable is acknowledged now: it shows the leader that its follower is there, or a quorum
    /// of slow disks would depose a leader that everyone hears (§6.2).
    fn acknowledge_at_once(&mut self, leader: NodeId, validated: Index) {
        let durable = self.node.durable_index;
        if durable < validated && !self.node.unwritten.is_empty() {
            let match_index = self.rules().acknowledged_at_once(validated, durable);
            let accepted = AppendOutcome::Accepted { match_index };
            self.reply_at_once(leader, Body::AppendEntriesReply(accepted));
        }
    }

    /// Hears the leader of its term: follows it, and promises not to help another one.
    pub(crate) fn follow(&mut self, leader: NodeId) {
        self.become_follower(Some(leader), Cause::LeaderAppears);
        if self.params().stickiness {
            let e = self.params().election_timeout;
            let promised = self.node.promised_until;
            self.node.promised_until = self.rules().promise_on_contact(promised, self.now(), e);
        }
        self.reset_election_timer();
    }

    /// Takes the entries over after `prev`, from the first that this log lacks or contradicts.
    /// Returns the last index that is now known to agree with the leader, none where `prev` does
    /// not match.
    fn take_entries(&mut self, prev: EntryId, entries: Entries) -> Result<Option<Index>, Fatal> {
        let log = &self.node.log;
        // What is compacted was committed, and agrees with every later leader (bug C12).
        let compacted = prev.index < log.base().index;
        if !compacted && !self.rules().prev_matches(prev, log.term_at(prev.index)) {
            if prev.index <= self.node.commit_index {
                return Err(Fatal::CommittedConflict(prev.index));
            }
            return Ok(None);
        }
        let validated = entries.last_index(prev.index);
        if let Some(keep) = self.agreement(prev.index, &entries)? {
            let missing = entries.after(keep);
            if !missing.is_empty() {
                self.write_log(keep, missing);
            }
        }
        Ok(Some(validated))
    }

    /// The last index up to which the log agrees with the entries; none where it has them all.
    /// Runs of equal terms are compared at once, however long.
    fn agreement(&self, prev: Index, entries: &Entries) -> Result<Option<Index>, Fatal> {
        let log = &self.node.log;
        // Of what was compacted the last entry is known, and is compared.
        let mut at = prev.max(log.base().index.previous());
        for run in &entries.runs {
            while at < run.last {
                let first = at.next();
                let existing = log.term_at(first);
                if self.rules().conflicts(existing, run.term) {
                    if first <= self.node.commit_index {
                        return Err(Fatal::CommittedConflict(first));
                    }
                    return Ok(Some(at));
                }
                let Some(end) = log.end_of_run_at(first) else { return Ok(Some(at)) };
                at = end.min(run.last);
            }
        }
        Ok(None)
    }
}
