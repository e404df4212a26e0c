//! The catalogue of slices.

use quorate_spec::property::{Claim, ClaimSet};

use crate::slice::{Cutting, Declared, Election, Established, Network, Slice};

/// What every slice checks: all that is decided step by step or costs next to nothing.
const SAFETY: ClaimSet = ClaimSet::of(&[
    Claim::ElectionSafety,
    Claim::VoteOncePerTerm,
    Claim::VoteDurability,
    Claim::MessageTermPersisted,
    Claim::TermMonotonic,
    Claim::VoteStable,
    Claim::RestartIsFollower,
    Claim::StateTransitions,
    Claim::PreVoteSound,
    Claim::LeaderIsVoter,
    Claim::PromiseKept,
    Claim::EntryIdentity,
    Claim::LeaderAppendOnly,
    Claim::LogMatching,
    Claim::LeaderCompleteness,
    Claim::StateMachineSafety,
    Claim::CommittedPrefixStable,
    Claim::CommitBound,
    Claim::CommitMonotonic,
    Claim::CommitRule,
    Claim::TruncateOnlyOnConflict,
    Claim::MatchIndexSound,
    Claim::AckDurability,
    Claim::CommittedIsDurable,
    Claim::QuorumIntersection,
]);

const LIVE: ClaimSet = SAFETY.union(ClaimSet::of(&[Claim::NoDeadlock]));
const UNDISTURBED: ClaimSet = SAFETY.union(ClaimSet::of(&[Claim::NonDisruption]));

/// What a slice is unless it says otherwise.
const BASE: Slice = Slice {
    name: "",
    about: "",
    servers: 3,
    learners: 0,
    max_term: 2,
    crashes: 0,
    pending: 2,
    commands: 0,
    campaigns: false,
    appends: true,
    network: Network::Async,
    cuts: &[],
    cutting: Cutting::Always,
    established: None,
    election: Election::PRE_VOTE,
    claims: LIVE,
    declared: Declared::Exhausted,
    pinned: None,
    deep: false,
    symmetric: true,
    reduced: true,
};

/// All slices, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Slice> {
    vec![
        Slice {
            name: "election",
            about: "naive election, with a crash between any two effects",
            max_term: 4,
            crashes: 1,
            appends: false,
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "single",
            about: "a cluster of one, which crashes",
            servers: 1,
            max_term: 4,
            crashes: 2,
            ..BASE
        },
        Slice {
            name: "pre-vote",
            about: "pre-vote election with rejections and heartbeats",
            max_term: 3,
            appends: false,
            ..BASE
        },
    ]
}

/// The slice of this name.
#[must_use]
pub fn named(name: &str) -> Option<Slice> {
    all().into_iter().find(|slice| slice.name == name)
}

/// The premise of NonDisruption, with these servers flaky.
#[must_use]
pub const fn flaky(flaky: &'static [u64]) -> Option<Established> {
    Some(Established { flaky })
}
