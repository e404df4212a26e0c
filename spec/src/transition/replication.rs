//! A leader proposes, hears answers and commits (thesis §3.5, §3.6.2).

use alloc::vec::Vec;

use crate::configuration::reached_by_quorum;
use crate::effects::Proposed;
use crate::log::Entries;
use crate::message::{AppendOutcome, Body, Stamp};
use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::{Pace, Progress, Role};
use crate::rules::Rules;
use crate::types::{EntryId, Index, NodeId, Term};

impl<R: Rules> Step<'_, R> {
    /// Appends commands to the leader's log; anyone else says who leads.
    pub(crate) fn propose(&mut self, count: u64) {
        if !self.node.is_leader() {
            return self.refuse(Refusal::NotLeader { leader: self.node.leader() });
        }
        if let Err(refusal) = self.may_propose() {
            return self.refuse(refusal);
        }
        let last = self.node.log.last().index;
        if count == 0 || last.0.saturating_add(count) >= Index::LIMIT.0 {
            return self.refuse(Refusal::Malformed);
        }
        let uncommitted = last.0 - self.node.commit_index.0;
        let limit = self.params().max_uncommitted;
        if uncommitted.saturating_add(count) > limit {
            // A leader that has lost its quorum does not grow its log without end.
            return self.refuse(Refusal::Overloaded { uncommitted, limit });
        }
        let term = self.node.current_term;
        self.write_log(last, Entries::of_term(last, term, count));
        let first = EntryId { term, index: last.next() };
        self.effects.proposed = Some(Proposed { first, count });
    }

    pub(crate) fn on_append_reply(&mut self, from: NodeId, term: Term, outcome: AppendOutcome) {
        if let Err(refusal) = self.rules().counts_answer(term, self.node.current_term) {
            return self.refuse(refusal);
        }
        let (now, rules, check_quorum) = (self.now(), self.rules(), self.params().check_quorum);
        let stamp = self.echo;
        let window = self.params().max_in_flight;
        let log = &self.node.log;
        let Role::Leader(leadership) = &mut self.node.role else {
            return self.effects.refused.push(Refusal::NotInThatRole);
        };
        let Some(peer) = leadership.peers.get_mut(&from) else {
            return self.effects.refused.push(Refusal::NotAPeer);
        };
        if check_quorum {
            peer.last_contact = Some(now);
        }
        if rules.confirms(Body::AppendEntriesReply(outcome).kind()) {
            let Stamp { round, sent } = stamp;
            // No honest answer is from the future.
            let start = sent.map(|sent| rules.lease_start(sent.min(now), now));
            peer.heard.round = peer.heard.round.max(round.min(leadership.round));
            peer.heard.sent = peer.heard.sent.max(start);
        }
        match outcome {
            AppendOutcome::Accepted { match_index } => {
                if match_index > log.last().index {
                    return self.refuse(Refusal::Malformed);
                }
                peer.match_index = rules.match_after(peer.match_index, match_index);
                accept(peer, rules, log.last().index, window);
                self.advance_commit();
                self.continue_change();
            }
            AppendOutcome::Conflict { prev_index, hint } => {
                // Only the answer to the request that is still live moves the probe (bug C9).
                let live = match &peer.pace {
                    Pace::Probe => prev_index.next() == peer.next_index,
                    Pace::Replicate(_) => prev_index > peer.match_index,
                    // The heartbeats beside a snapshot find no match until it has arrived.
                    Pace::Snapshot(_) => false,
                };
                if live {
                    // Where the logs may agree only in what was compacted, a snapshot follows.
                    let possible = log.last_possible_match(hint).map_or(Index::ZERO, |id| id.index);
                    let agreed = possible.max(peer.match_index);
                    peer.next_index = agreed.next().min(peer.next_index);
                    peer.pace = Pace::Probe;
                    peer.sent_at = None;
                }
            }
            // An answer to a request of an earlier term, late: it tells only that the peer is there.
            AppendOutcome::Stale => {}
        }
    }

    /// Commits up to what a quorum has durably, if that is an entry of this term (§3.6.2): the
    /// entries before it are then committed with it.
    pub(crate) fn advance_commit(&mut self) {
        let Role::Leader(leadership) = &self.node.role else { return };
        let log = &self.node.log;
        let own = self.rules().own_match(self.node.durable_index, log.last().index);
        let has = |id: NodeId| {
            if id == self.node.id {
                return own;
            }
            leadership.peers.get(&id).map_or(Index::ZERO, |peer| peer.match_index)
        };
        let configuration = self.configuration();
        let is_quorum = |has: &dyn Fn(NodeId) -> bool| self.rules().is_quorum(configuration, has);
        let Some(reached) = reached_by_quorum(configuration, has, is_quorum) else { return };
        if reached > self.node.commit_index {
            match self.rules().may_commit(log.term_at(reached), self.node.current_term) {
                Ok(()) => self.node.commit_index = reached,
                Err(refusal) => self.refuse(refusal),
            }
        }
    }
}

/// The logs agree up to the match index: from here on entries may follow each other, or, with no
/// window, the next request may leave.
fn accept(peer: &mut Progress, rules: &impl Rules, last: Index, window: usize) {
    let matched = peer.match_index;
    match &mut peer.pace {
        // What was acknowledged is from before the snapshot: it is still on its way.
        Pace::Snapshot(index) if !rules.has_arrived(*index, matched) => {
            peer.next_index = peer.next_index.max(matched.next());
        }
        Pace::Probe | Pace::Snapshot(_) => {
            peer.next_index = matched.next();
            peer.pace = if window > 0 { Pace::Replicate(Vec::new()) } else { Pace::Probe };
            if window == 0 && matched < last {
                peer.sent_at = None;
            }
        }
        Pace::Replicate(in_flight) => {
            peer.next_index = peer.next_index.max(matched.next());
            in_flight.retain(|last| *last > matched);
        }
    }
}
