//! The claims of a slice as Stateright properties.

use quorate_spec::property::{Claim, ClaimSet};
use stateright::Property;

use crate::model::SliceModel;
use crate::state::State;

/// One `always` property for each claim. Stateright takes plain functions, so there is one each.
#[must_use]
pub fn properties(claims: ClaimSet) -> Vec<Property<SliceModel>> {
    claims.iter().map(|claim| Property::always(claim.name(), condition(claim))).collect()
}

fn condition(claim: Claim) -> fn(&SliceModel, &State) -> bool {
    macro_rules! conditions {
        ($($name:ident)*) => {
            match claim {
                $(Claim::$name => |model, state| model.holds(state, Claim::$name),)*
            }
        };
    }
    conditions! {
        ElectionSafety VoteOncePerTerm VoteDurability MessageTermPersisted TermMonotonic VoteStable
        RestartIsFollower StateTransitions PreVoteSound LeaderIsVoter PromiseKept EntryIdentity
        LeaderAppendOnly LogMatching LeaderCompleteness StateMachineSafety CommittedPrefixStable
        CommitBound CommitMonotonic CommitRule TruncateOnlyOnConflict MatchIndexSound AckDurability
        CommittedIsDurable QuorumIntersection NonDisruption NoDeadlock
    }
}
