//! A node's state.

use alloc::vec::Vec;

use crate::configuration::Target;
use crate::durable::{Durable, HardState};
use crate::log::Log;
use crate::params::Params;
use crate::role::{Campaign, Leadership, Role, RoleName};
use crate::rules::Unwritten;
use crate::types::{Index, Instant, NodeId, Term, Token, WriteId};

/// One server: what it has in memory. It changes only through [`Protocol`](crate::Protocol).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Node {
    pub(crate) id: NodeId,
    pub(crate) current_term: Term,
    pub(crate) voted_for: Option<NodeId>,
    pub(crate) log: Log,
    pub(crate) commit_index: Index,
    pub(crate) role: Role,
    /// When the election timer fires; a leader has none and does not look.
    pub(crate) election_deadline: Instant,
    /// Until when the node has promised neither to vote nor to campaign.
    pub(crate) promised_until: Instant,
    /// The last index known durable; truncation takes it down.
    pub(crate) durable_index: Index,
    /// The number of the last write.
    pub(crate) last_write: WriteId,
    /// The writes that are not reported durable, oldest first.
    pub(crate) unwritten: Vec<PendingWrite>,
    /// The reads that this server, which does not lead, was asked for: it asks the leader.
    pub(crate) forwards: Vec<Forward>,
}

/// A read that waits for the leader's answer.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Forward {
    /// Its name.
    pub token: Token,
    /// Whom this server has asked, and when; none if it is to ask now.
    pub asked: Option<(NodeId, Instant)>,
}

/// A write that is not reported durable yet.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PendingWrite {
    /// Its number.
    pub id: WriteId,
    /// Whether it holds term and vote.
    pub hard_state: bool,
    /// Up to where the log is durable once it is; lowered by later truncation.
    pub durable_to: Option<Index>,
    /// By when the disk of a leader that checks its quorum has to report it (§6.2, bug H11); none
    /// where the server did not lead when it was issued.
    pub due_by: Option<Instant>,
}

impl Node {
    pub(crate) fn recovered(id: NodeId, durable: Durable, now: Instant) -> Node {
        let Durable { hard_state, log } = durable;
        Node {
            id,
            current_term: hard_state.current_term,
            voted_for: hard_state.voted_for,
            commit_index: log.base().index,
            durable_index: log.last().index,
            log,
            role: Role::Follower { leader: None },
            election_deadline: now,
            promised_until: now,
            last_write: WriteId::NONE,
            unwritten: Vec::new(),
            forwards: Vec::new(),
        }
    }

    /// The node's identity.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// The latest term that the node has seen.
    #[must_use]
    pub fn current_term(&self) -> Term {
        self.current_term
    }

    /// Whom it voted for in the current term.
    #[must_use]
    pub fn voted_for(&self) -> Option<NodeId> {
        self.voted_for
    }

    /// Term and vote, as they are written.
    #[must_use]
    pub fn hard_state(&self) -> HardState {
        HardState { current_term: self.current_term, voted_for: self.voted_for }
    }

    /// The log in memory; see [`Node::durable_index`] for how much of it is durable.
    #[must_use]
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// The members, where no change of them is under way that the node knows of: its latest
    /// configuration is simple, leads nowhere else, and is known to be committed.
    #[must_use]
    pub fn settled_members(&self) -> Option<Target> {
        let (at, latest) = self.log.latest_configuration();
        let rests = !latest.is_joint() && latest.target.is_none() && at <= self.commit_index;
        rests.then(|| latest.destination())
    }

    /// The last index known to be committed.
    #[must_use]
    pub fn commit_index(&self) -> Index {
        self.commit_index
    }

    /// The last index known to be durable here.
    #[must_use]
    pub fn durable_index(&self) -> Index {
        self.durable_index
    }

    /// The present role.
    #[must_use]
    pub fn role(&self) -> &Role {
        &self.role
    }

    /// Whether it leads its current term.
    #[must_use]
    pub fn is_leader(&self) -> bool {
        self.role.name() == RoleName::Leader
    }

    /// The leader of the current term, if it is known.
    #[must_use]
    pub fn leader(&self) -> Option<NodeId> {
        match &self.role {
            Role::Follower { leader } => *leader,
            Role::Leader(_) => Some(self.id),
            Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// Until when the node has promised neither to vote nor to campaign, on its own clock.
    #[must_use]
    pub fn promised_until(&self) -> Instant {
        self.promised_until
    }

    /// When the election timer of a server that does not lead fires, on its own clock.
    #[must_use]
    pub fn election_deadline(&self) -> Instant {
        self.election_deadline
    }

    /// The number of the last write that was issued.
    #[must_use]
    pub fn last_write(&self) -> WriteId {
        self.last_write
    }

    /// The writes that are not reported durable, oldest first.
    #[must_use]
    pub fn unwritten(&self) -> &[PendingWrite] {
        &self.unwritten
    }

    /// By when the disk has to report a write that this server issued as a leader, if it has not:
    /// writes reach it one after the other, so it stalls also where it owes one from before.
    #[must_use]
    pub fn disk_due_by(&self) -> Option<Instant> {
        self.unwritten.iter().find_map(|write| write.due_by)
    }

    /// The reads that wait for a leader's answer.
    #[must_use]
    pub fn forwards(&self) -> &[Forward] {
        &self.forwards
    }

    /// What the node knows as a leader, if it is one.
    #[must_use]
    pub fn leadership(&self) -> Option<&Leadership> {
        match &self.role {
            Role::Leader(leadership) => Some(leadership),
            Role::Follower { .. } | Role::PreCandidate(_) | Role::Candidate(_) => None,
        }
    }

    /// The round of votes or pre-votes that the node is in.
    #[must_use]
    pub fn campaign(&self) -> Option<&Campaign> {
        match &self.role {
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => Some(campaign),
            Role::Follower { .. } | Role::Leader(_) => None,
        }
    }

    /// The writes that a message has to wait for which pledges the log up to `index`.
    pub(crate) fn unwritten_up_to(&self, index: Option<Index>) -> Unwritten {
        let latest = self.unwritten.iter().rev().find(|write| write.hard_state);
        let covering = index.filter(|index| *index > self.durable_index).and_then(|index| {
            self.unwritten.iter().find(|write| write.durable_to.is_some_and(|to| to >= index))
        });
        let id = |write: Option<&PendingWrite>| write.map_or(WriteId::NONE, |write| write.id);
        Unwritten { hard_state: id(latest), entries: id(covering) }
    }

    /// Moves the origin of the node's clock so that `now` becomes `to`, and forgets how long ago
    /// things expired: a deadline that has passed is due now, an old contact is none.
    ///
    /// Law: a step after `rebase` does what the step before it would have done, with its times
    /// moved. The model uses this to keep the number of states finite; see also
    /// [`Message::rebase`](crate::Message).
    pub fn rebase(&mut self, params: &Params, now: Instant, to: Instant) {
        let deadline = |at: Instant| Instant(to.0.saturating_add(at.0.saturating_sub(now.0)));
        let recent = |at: Instant, span| (!now.is_past(at, span)).then(|| shift(at, now, to));
        self.election_deadline = deadline(self.election_deadline);
        self.promised_until = deadline(self.promised_until);
        for write in &mut self.unwritten {
            write.due_by = write.due_by.map(deadline);
        }
        for forward in &mut self.forwards {
            let still = |(to, at)| Some((to, recent(at, params.heartbeat_interval)?));
            forward.asked = forward.asked.and_then(still);
        }
        match &mut self.role {
            Role::Follower { .. } => {}
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
                campaign.round = shift(campaign.round, now, to);
                campaign.asked = core::mem::take(&mut campaign.asked)
                    .into_iter()
                    .filter_map(|(id, at)| Some((id, recent(at, params.heartbeat_interval)?)))
                    .collect();
            }
            Role::Leader(leadership) => {
                self.election_deadline = to;
                if let Some(transfer) = &mut leadership.transfer {
                    transfer.deadline = deadline(transfer.deadline);
                }
                for peer in leadership.peers.values_mut() {
                    peer.sent_at =
                        peer.sent_at.and_then(|at| recent(at, params.heartbeat_interval));
                    peer.last_contact =
                        peer.last_contact.and_then(|at| recent(at, params.election_timeout));
                    // No lease is longer than an election timeout.
                    peer.heard.sent =
                        peer.heard.sent.and_then(|at| recent(at, params.election_timeout));
                }
            }
        }
    }

    /// Forgets when the election timer fires: it is due. For models without time, in which any
    /// timer may fire at any moment.
    pub fn forget_election_timer(&mut self, now: Instant) {
        self.election_deadline = now;
    }

    /// Forgets for whom it voted, and not that it did: its own name stands for whoever it was. For
    /// models, where that one can no longer use the vote.
    pub fn forget_for_whom(&mut self) {
        self.voted_for = self.voted_for.map(|_| self.id);
    }

    /// Renumbers the rounds of reads of a leader so that no more than the last one before the first
    /// that matters is told apart, and says by how much. A step asks of two rounds only which is
    /// later, and none asks it of rounds before those that reads wait for.
    pub fn renumber_rounds(&mut self) -> u64 {
        let Role::Leader(leadership) = &mut self.role else { return 0 };
        let next = leadership.round.saturating_add(1);
        let first = leadership.reads.iter().map(|read| read.round).min().unwrap_or(next);
        let by = first.saturating_sub(2);
        leadership.round -= by;
        leadership.reads.iter_mut().for_each(|read| read.round -= by);
        for peer in leadership.peers.values_mut() {
            peer.asked = peer.asked.saturating_sub(by);
            peer.heard.round = peer.heard.round.saturating_sub(by);
        }
        by
    }

    /// Renumbers the writes so that the last one that was reported becomes [`WriteId::NONE`], and
    /// says by how much. A step does not depend on the numbers, only on their order.
    pub fn renumber_writes(&mut self) -> u64 {
        let by = self.unwritten.first().map_or(self.last_write.0, |first| first.id.0 - 1);
        self.last_write.0 -= by;
        for write in &mut self.unwritten {
            write.id.0 -= by;
        }
        by
    }
}

/// `at`, moved by as much as takes `now` to `to`; instants before the origin become the origin.
pub(crate) fn shift(at: Instant, now: Instant, to: Instant) -> Instant {
    if to >= now {
        Instant(at.0.saturating_add(to.0 - now.0))
    } else {
        Instant(at.0.saturating_sub(now.0 - to.0))
    }
}
