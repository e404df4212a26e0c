//! Renumbering terms and indices. Law: a step commutes with a renumbering that keeps order and
//! neighbours, because no rule looks at a number but to compare it or to take the next one. The
//! model uses this to treat states alike that differ only in how much has happened before them.

use crate::durable::{Durable, HardState, SnapshotWrite, Write};
use crate::log::{Entries, Log, Snapshot};
use crate::message::{AppendOutcome, Body, Message};
use crate::node::Node;
use crate::role::{Leadership, Pace, Role};
use crate::types::{EntryId, Index, Term};

/// What becomes of terms and indices. Both rise where what they are given rises; the empty prefix
/// stays the empty prefix. An entry whose index becomes that of the one before it is gone.
#[derive(Clone, Copy)]
pub struct Numbers<'a> {
    /// The new term.
    pub term: &'a dyn Fn(Term) -> Term,
    /// The new index of an entry.
    pub index: &'a dyn Fn(Index) -> Index,
}

impl Numbers<'_> {
    fn id(&self, id: EntryId) -> EntryId {
        EntryId { term: (self.term)(id.term), index: (self.index)(id.index) }
    }

    /// An index that follows the one that counts.
    fn next(&self, next: Index) -> Index {
        (self.index)(next.previous()).next()
    }

    fn each(&self, indices: &mut [Index]) {
        indices.iter_mut().for_each(|index| *index = (self.index)(*index));
    }
}

/// Something that mentions terms and indices.
pub trait Renumber {
    /// Puts the new numbers in the place of the old ones.
    fn renumber(&mut self, to: Numbers<'_>);
}

impl Renumber for HardState {
    fn renumber(&mut self, to: Numbers<'_>) {
        self.current_term = (to.term)(self.current_term);
    }
}

impl Renumber for Entries {
    fn renumber(&mut self, to: Numbers<'_>) {
        for run in &mut self.runs {
            (run.term, run.last) = ((to.term)(run.term), (to.index)(run.last));
        }
        let mut before = None;
        self.runs.retain(|run| before.replace(run.last) != Some(run.last));
        for (index, _) in &mut self.configurations {
            *index = (to.index)(*index);
        }
    }
}

impl Renumber for Log {
    fn renumber(&mut self, to: Numbers<'_>) {
        self.renumber_with(|id| to.id(id), |entries| entries.renumber(to));
    }
}

impl Renumber for Durable {
    fn renumber(&mut self, to: Numbers<'_>) {
        self.hard_state.renumber(to);
        self.log.renumber(to);
    }
}

impl Renumber for Snapshot {
    fn renumber(&mut self, to: Numbers<'_>) {
        self.last = to.id(self.last);
    }
}

impl Renumber for Write {
    fn renumber(&mut self, to: Numbers<'_>) {
        if let Some(hard_state) = &mut self.hard_state {
            hard_state.renumber(to);
        }
        match &mut self.snapshot {
            Some(SnapshotWrite::Compact(snapshot) | SnapshotWrite::Install(snapshot)) => {
                snapshot.renumber(to);
            }
            None => {}
        }
        if let Some(log) = &mut self.log {
            log.keep = (to.index)(log.keep);
            log.entries.renumber(to);
        }
    }
}

impl Renumber for Message {
    fn renumber(&mut self, to: Numbers<'_>) {
        self.term = (to.term)(self.term);
        match &mut self.body {
            Body::PreVote { last, .. } | Body::RequestVote { last, .. } => *last = to.id(*last),
            Body::PreVoteReply { asked_in, .. } => *asked_in = (to.term)(*asked_in),
            Body::RequestVoteReply { .. }
            | Body::AppendEntriesReply(AppendOutcome::Stale)
            | Body::TimeoutNow
            | Body::ReadIndex { .. } => {}
            Body::ReadIndexReply { index, .. } => *index = (to.index)(*index),
            Body::AppendEntries { prev, entries, leader_commit } => {
                *prev = to.id(*prev);
                entries.renumber(to);
                *leader_commit = (to.index)(*leader_commit);
            }
            Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) => {
                *match_index = (to.index)(*match_index);
            }
            Body::AppendEntriesReply(AppendOutcome::Conflict { prev_index, hint }) => {
                *prev_index = (to.index)(*prev_index);
                *hint = to.id(*hint);
            }
            Body::InstallSnapshot { snapshot } => snapshot.renumber(to),
        }
    }
}

impl Renumber for Leadership {
    fn renumber(&mut self, to: Numbers<'_>) {
        for peer in self.peers.values_mut() {
            peer.match_index = (to.index)(peer.match_index);
            peer.next_index = to.next(peer.next_index);
            match &mut peer.pace {
                Pace::Probe => {}
                Pace::Replicate(in_flight) => to.each(in_flight),
                Pace::Snapshot(index) => *index = (to.index)(*index),
            }
        }
        for read in &mut self.reads {
            read.index = (to.index)(read.index);
        }
    }
}

impl Renumber for Node {
    fn renumber(&mut self, to: Numbers<'_>) {
        self.current_term = (to.term)(self.current_term);
        self.log.renumber(to);
        for index in [&mut self.commit_index, &mut self.durable_index] {
            *index = (to.index)(*index);
        }
        for durable_to in self.unwritten.iter_mut().filter_map(|w| w.durable_to.as_mut()) {
            *durable_to = (to.index)(*durable_to);
        }
        if let Role::Leader(leadership) = &mut self.role {
            leadership.renumber(to);
        }
    }
}
