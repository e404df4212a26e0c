//! How a node is, for whoever wants to follow that.

use quorate_spec::{Index, Node, NodeId, RoleName, Term};
use tokio::sync::watch;

/// How a node is at one moment.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Vitals {
    /// Its role.
    pub role: RoleName,
    /// Its term.
    pub term: Term,
    /// The leader of this term, if the node knows it.
    pub leader: Option<NodeId>,
    /// The last entry of its log.
    pub last: Index,
    /// Up to where its log is durable.
    pub durable: Index,
    /// Up to where its log is committed.
    pub commit: Index,
    /// The last entry that its state machine has applied.
    pub applied: Index,
}

impl Vitals {
    pub(crate) fn of(node: &Node, applied: Index) -> Vitals {
        Vitals {
            role: node.role().name(),
            term: node.current_term(),
            leader: node.leader(),
            last: node.log().last().index,
            durable: node.durable_index(),
            commit: node.commit_index(),
            applied,
        }
    }

    /// How many entries of its log are not known to be committed.
    #[must_use]
    pub fn commit_lag(&self) -> u64 {
        self.last.0.saturating_sub(self.commit.0)
    }

    /// How many committed entries its machine has still to apply.
    #[must_use]
    pub fn apply_lag(&self) -> u64 {
        self.commit.0.saturating_sub(self.applied.0)
    }
}

/// Follows how a node is. A slow follower sees the latest, not everything.
#[derive(Clone, Debug)]
pub struct VitalsWatch {
    /// The owner of the node writes everything here but what is applied.
    pub(crate) owner: watch::Receiver<Vitals>,
    pub(crate) applied: watch::Receiver<Index>,
}

impl VitalsWatch {
    /// How the node is now, or was when it stopped.
    #[must_use]
    pub fn now(&self) -> Vitals {
        Vitals { applied: *self.applied.borrow(), ..*self.owner.borrow() }
    }

    /// Waits until something is different from what this last waited for, and says how the node is
    /// then; nothing more once it has stopped.
    pub async fn changed(&mut self) -> Option<Vitals> {
        tokio::select! {
            biased;
            changed = self.owner.changed() => changed.ok()?,
            // The machine may end before its node does.
            Ok(()) = self.applied.changed() => {}
        }
        Some(Vitals {
            applied: *self.applied.borrow_and_update(),
            ..*self.owner.borrow_and_update()
        })
    }
}
