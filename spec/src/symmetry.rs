//! Renaming servers. Law: a step commutes with a renaming of the servers, because no rule looks
//! at an identity but to compare it. The model uses this to treat states alike that differ only
//! in names.

use crate::configuration::{Configuration, Target};
use crate::durable::{Durable, SnapshotWrite, Write};
use crate::gate::Gate;
use crate::log::{Entries, Log, Snapshot};
use crate::message::{Body, Envelope, Message};
use crate::node::Node;
use crate::property::history::History;
use crate::role::{Campaign, Role};
use crate::small::Set;
use crate::types::NodeId;

/// Something that mentions servers.
pub trait Rename {
    /// Puts `to(id)` in the place of every `id`.
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId);
}

impl Rename for NodeId {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        *self = to(*self);
    }
}

impl<T: Rename> Rename for Option<T> {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        if let Some(inner) = self {
            inner.rename(to);
        }
    }
}

impl Rename for Set<NodeId> {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        *self = self.iter().map(|id| to(*id)).collect();
    }
}

impl Rename for Configuration {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.voters.rename(to);
        self.outgoing.rename(to);
        self.learners.rename(to);
        self.target.rename(to);
    }
}

impl Rename for Target {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.voters.rename(to);
        self.learners.rename(to);
    }
}

impl Rename for Entries {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        for (_, configuration) in &mut self.configurations {
            configuration.rename(to);
        }
    }
}

impl Rename for Log {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.configurations_mut().for_each(|configuration| configuration.rename(to));
    }
}

impl Rename for Snapshot {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.configuration.rename(to);
    }
}

impl Rename for Durable {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.hard_state.voted_for.rename(to);
        self.log.rename(to);
    }
}

impl Rename for Write {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        if let Some(hard_state) = &mut self.hard_state {
            hard_state.voted_for.rename(to);
        }
        match &mut self.snapshot {
            Some(SnapshotWrite::Compact(snapshot) | SnapshotWrite::Install(snapshot)) => {
                snapshot.rename(to);
            }
            None => {}
        }
        if let Some(log) = &mut self.log {
            log.entries.rename(to);
        }
    }
}

impl Rename for Message {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        match &mut self.body {
            Body::AppendEntries { entries, .. } => entries.rename(to),
            Body::InstallSnapshot { snapshot } => snapshot.rename(to),
            Body::PreVote { .. }
            | Body::PreVoteReply { .. }
            | Body::RequestVote { .. }
            | Body::RequestVoteReply { .. }
            | Body::AppendEntriesReply(_)
            | Body::TimeoutNow
            | Body::ReadIndex { .. }
            | Body::ReadIndexReply { .. } => {}
        }
    }
}

impl Rename for Envelope {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.from.rename(to);
        self.to.rename(to);
        self.message.rename(to);
    }
}

impl<A: Rename, B: Rename> Rename for (A, B) {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.0.rename(to);
        self.1.rename(to);
    }
}

impl<T: Rename> Rename for Gate<T> {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.items_mut().for_each(|item| item.rename(to));
    }
}

impl Rename for Campaign {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.granted.rename(to);
        self.asked = self.asked.iter().map(|(id, at)| (to(*id), *at)).collect();
    }
}

impl Rename for Role {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        match self {
            Role::Follower { leader } => leader.rename(to),
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => campaign.rename(to),
            Role::Leader(leadership) => {
                let peers = core::mem::take(&mut leadership.peers);
                leadership.peers = peers.into_iter().map(|(id, peer)| (to(id), peer)).collect();
                leadership.reads.iter_mut().for_each(|read| read.forwarded_by.rename(to));
                if let Some(transfer) = &mut leadership.transfer {
                    transfer.to.rename(to);
                }
            }
        }
    }
}

impl Rename for Node {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.id.rename(to);
        self.voted_for.rename(to);
        self.log.rename(to);
        self.role.rename(to);
        for (asked, _) in self.forwards.iter_mut().filter_map(|it| it.asked.as_mut()) {
            asked.rename(to);
        }
    }
}

impl Rename for History {
    fn rename(&mut self, to: &dyn Fn(NodeId) -> NodeId) {
        self.leaders.values_mut().for_each(|leaders| leaders.rename(to));
        self.configurations.values_mut().for_each(|configuration| configuration.rename(to));
        let reads = core::mem::take(&mut self.reads);
        self.reads = reads.into_iter().map(|((id, token), at)| ((to(id), token), at)).collect();
    }
}
