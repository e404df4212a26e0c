//! The claims of a slice as Stateright properties.

use quorate_spec::property::{Claim, ClaimSet};
use stateright::{Model, Property};

use crate::model::SliceModel;
use crate::state::State;

/// One `always` property for each claim, of any model that holds a [`SliceModel`].
#[must_use]
pub fn properties<M: HoldsModel>(claims: ClaimSet) -> Vec<Property<M>> {
    claims.iter().map(|claim| Property::always(claim.name(), condition(claim))).collect()
}

/// A Stateright model with a slice in it.
pub trait HoldsModel: Model<State = State> {
    /// The slice's model.
    fn slice_model(&self) -> &SliceModel;
}

/// Stateright takes plain functions without captures, so there is one for each claim.
fn condition<M: HoldsModel>(claim: Claim) -> fn(&M, &State) -> bool {
    macro_rules! conditions {
        ($($name:ident)*) => {
            match claim {
                $(Claim::$name => |model, state| model.slice_model().holds(state, Claim::$name),)*
            }
        };
    }
    conditions! {
        ElectionSafety VoteOncePerTerm VoteDurability MessageTermPersisted TermMonotonic VoteStable VoteSound
        RestartIsFollower StateTransitions PreVoteSound PreVoteSilent LeaderIsVoter PromiseKept EntryIdentity
        LeaderAppendOnly LogMatching LeaderCompleteness StateMachineSafety CommittedPrefixStable
        CommitBound CommitMonotonic CommitRule TruncateOnlyOnConflict MatchIndexSound MatchIndexMonotonic CheckQuorumSoundness AckDurability
        CommittedIsDurable QuorumLog SnapshotCommitted SnapshotMonotonic LogContiguous RestartRecovers
        DurableIndexSound JointQuorum OneConfigInFlight ConfigFollowsLog QuorumIntersection
        NonDisruption StableLeader ElectionProgress NoDeadlock CommitProgress ReplicationProgress SnapshotProgress ReconfigCompletes
        LinearizableRead LeaseExclusive PublishedInTime ConfirmationSound ReadProgress TransferProgress
    }
}
