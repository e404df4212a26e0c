//! Cluster configurations and their quorums (thesis §4.3).

use alloc::collections::BTreeSet;
use core::fmt;

use crate::types::NodeId;

/// The members of a cluster: one set of voters, or two during joint consensus, and learners.
///
/// A joint configuration `C_old,new` has `outgoing = C_old` and `voters = C_new`; every decision
/// then needs separate majorities of both (rule J3).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Configuration {
    /// The voters; of `C_new` in a joint configuration.
    pub voters: BTreeSet<NodeId>,
    /// The voters of `C_old` in a joint configuration, else empty.
    pub outgoing: BTreeSet<NodeId>,
    /// Servers that receive entries but never count (rule J12).
    pub learners: BTreeSet<NodeId>,
}

impl Configuration {
    /// A simple configuration of these voters.
    pub fn of(voters: impl IntoIterator<Item = NodeId>) -> Self {
        Configuration { voters: voters.into_iter().collect(), ..Configuration::default() }
    }

    /// Whether decisions need two majorities.
    #[must_use]
    pub fn is_joint(&self) -> bool {
        !self.outgoing.is_empty()
    }

    /// Whether this server votes, in either half.
    #[must_use]
    pub fn is_voter(&self, id: NodeId) -> bool {
        self.voters.contains(&id) || self.outgoing.contains(&id)
    }

    /// The voters of both halves, each once, in order.
    pub fn all_voters(&self) -> impl Iterator<Item = NodeId> + '_ {
        self.voters.union(&self.outgoing).copied()
    }

    /// Every server that receives entries: voters of both halves and learners (rule J1).
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        let learners = self.learners.iter().copied().filter(|id| !self.is_voter(*id));
        self.all_voters().chain(learners)
    }

    /// Whether the servers that satisfy `has` are a quorum: a strict majority of each half.
    pub fn is_quorum(&self, has: impl Fn(NodeId) -> bool) -> bool {
        let majority_of =
            |half: &BTreeSet<NodeId>| 2 * half.iter().filter(|id| has(**id)).count() > half.len();
        majority_of(&self.voters) && (!self.is_joint() || majority_of(&self.outgoing))
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |f: &mut fmt::Formatter<'_>, set: &BTreeSet<NodeId>| {
            f.debug_set().entries(set).finish()
        };
        if self.is_joint() {
            list(f, &self.outgoing)?;
            f.write_str("→")?;
        }
        list(f, &self.voters)?;
        if !self.learners.is_empty() {
            f.write_str("+")?;
            list(f, &self.learners)?;
        }
        Ok(())
    }
}

/// The largest value that a quorum has reached: the largest `x` such that the servers with
/// `value(server) >= x` satisfy `is_quorum`; none where even all of them do not.
///
/// Commit index, check-quorum and the lease all ask this of different values.
pub fn reached_by_quorum<T: Ord + Copy>(
    configuration: &Configuration,
    value: impl Fn(NodeId) -> T,
    is_quorum: impl Fn(&dyn Fn(NodeId) -> bool) -> bool,
) -> Option<T> {
    configuration.all_voters().map(&value).filter(|x| is_quorum(&|id| value(id) >= *x)).max()
}
