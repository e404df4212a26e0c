//! Cluster configurations and their quorums (thesis §4.3).

use core::fmt;

use crate::refusal::Refusal;
use crate::small::Set;
use crate::types::NodeId;

/// The members of a cluster: one set of voters, or two during joint consensus, and learners.
///
/// A joint configuration `C_old,new` has `outgoing = C_old` and `voters = C_new`; every decision
/// then needs separate majorities of both (rule J3). A voter of `C_old` may be a learner, too: it
/// is one in `C_new`.
///
/// A change of the voters goes through up to three entries, which any leader continues from where
/// it finds them: a simple configuration with a `target`, until the new voters have caught up; the
/// joint one; and [`Configuration::leave`], `C_new`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Configuration {
    /// The voters; of `C_new` in a joint configuration.
    pub voters: Set<NodeId>,
    /// The voters of `C_old` in a joint configuration, else empty.
    pub outgoing: Set<NodeId>,
    /// Servers that receive entries but never count (rule J12).
    pub learners: Set<NodeId>,
    /// Where a change is to lead that waits for its new voters to catch up (§4.2.1). They receive
    /// entries meanwhile, as learners do. A joint configuration has none: it is on its way.
    pub target: Option<Target>,
}

/// The members that an operator asks for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Target {
    /// The voters.
    pub voters: Set<NodeId>,
    /// The learners; no server is both.
    pub learners: Set<NodeId>,
}

impl Target {
    /// Whether these can be the members of a cluster, which now has the voters `present`.
    ///
    /// # Errors
    /// Why not, with what to ask for instead.
    pub fn is_possible(&self, present: &Set<NodeId>) -> Result<(), Refusal> {
        let members = self.voters.len().saturating_add(self.learners.len());
        match (self.voters.first(), present.first()) {
            (None, Some(last)) if present.len() == 1 => return Err(Refusal::LastVoter(*last)),
            (None, _) => return Err(Refusal::NoVoters),
            (Some(_), _) => {}
        }
        if let Some(both) = self.voters.intersection(&self.learners).next() {
            return Err(Refusal::VoterAndLearner(*both));
        }
        if members > Configuration::MAX_MEMBERS {
            return Err(Refusal::TooManyMembers { members, limit: Configuration::MAX_MEMBERS });
        }
        Ok(())
    }
}

impl Configuration {
    /// How many members an operator may ask for: every count of a quorum goes through them.
    pub const MAX_MEMBERS: usize = 64;

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

    /// Every server that receives entries, each once: voters of both halves, learners, and who is
    /// to become one of them (rule J1).
    pub fn members(&self) -> impl Iterator<Item = NodeId> + '_ {
        let coming = self.target.iter().flat_map(|to| to.voters.union(&to.learners)).copied();
        let named = coming.filter(|id| !self.learners.contains(id));
        let others = self.learners.iter().copied().chain(named);
        self.all_voters().chain(others.filter(|id| !self.is_voter(*id)))
    }

    /// Whether this server receives entries.
    #[must_use]
    pub fn is_member(&self, id: NodeId) -> bool {
        let coming = |to: &Target| to.voters.contains(&id) || to.learners.contains(&id);
        self.is_voter(id) || self.learners.contains(&id) || self.target.as_ref().is_some_and(coming)
    }

    /// `C_old,new`: this simple configuration on its way to the target, by separate majorities of
    /// both (§4.3).
    #[must_use]
    pub fn enter_joint(&self, target: &Target) -> Configuration {
        let Target { voters, learners } = target.clone();
        Configuration { voters, outgoing: self.voters.clone(), learners, target: None }
    }

    /// `C_new`: what follows this joint configuration (§4.3).
    #[must_use]
    pub fn leave(&self) -> Configuration {
        Configuration { outgoing: Set::new(), target: None, ..self.clone() }
    }

    /// The members that this simple configuration has, or those that it is to have.
    #[must_use]
    pub fn destination(&self) -> Target {
        let here = Target { voters: self.voters.clone(), learners: self.learners.clone() };
        self.target.clone().unwrap_or(here)
    }

    /// Whether an honest leader could have written this: there are voters, nobody is voter and
    /// learner in `C_new`, and a joint configuration has no target.
    #[must_use]
    pub fn is_well_formed(&self) -> bool {
        let possible =
            |voters: &Set<NodeId>, learners| !voters.is_empty() && voters.is_disjoint(learners);
        let target = self.target.as_ref();
        possible(&self.voters, &self.learners)
            && target.is_none_or(|to| !self.is_joint() && possible(&to.voters, &to.learners))
    }

    /// Whether the servers that satisfy `has` are a quorum: a strict majority of each half.
    pub fn is_quorum(&self, has: impl Fn(NodeId) -> bool) -> bool {
        let majority_of =
            |half: &Set<NodeId>| 2 * half.iter().filter(|id| has(**id)).count() > half.len();
        majority_of(&self.voters) && (!self.is_joint() || majority_of(&self.outgoing))
    }
}

impl fmt::Debug for Configuration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |f: &mut fmt::Formatter<'_>, set: &Set<NodeId>| f.debug_set().entries(set).finish();
        if self.is_joint() {
            list(f, &self.outgoing)?;
            f.write_str("→")?;
        }
        list(f, &self.voters)?;
        if !self.learners.is_empty() {
            f.write_str("+")?;
            list(f, &self.learners)?;
        }
        if let Some(target) = &self.target {
            write!(f, "⇒{target:?}")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.voters).finish()?;
        if !self.learners.is_empty() {
            f.write_str("+")?;
            f.debug_set().entries(&self.learners).finish()?;
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
    let mut reached = None;
    // In the usual case that all are level, one count is enough.
    for x in configuration.voters.iter().chain(&configuration.outgoing).map(|id| value(*id)) {
        if reached < Some(x) && is_quorum(&|id| value(id) >= x) {
            reached = Some(x);
        }
    }
    reached
}
