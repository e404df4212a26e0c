//! The catalogue of slices.

mod deep;
mod disruption;
mod elections;
mod replication;
mod snapshots;

use quorate_spec::property::{Claim, ClaimSet};

use crate::slice::{Cutting, Declared, Election, Established, Network, Slice};

/// What every slice checks as far as its features can refute it (see [`refutable`]): all that is
/// decided step by step or costs next to nothing.
const SAFETY: ClaimSet = ClaimSet::of(&[
    Claim::ElectionSafety,
    Claim::VoteOncePerTerm,
    Claim::VoteDurability,
    Claim::MessageTermPersisted,
    Claim::TermMonotonic,
    Claim::VoteStable,
    Claim::VoteSound,
    Claim::RestartIsFollower,
    Claim::StateTransitions,
    Claim::PreVoteSound,
    Claim::PreVoteSilent,
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
    Claim::MatchIndexMonotonic,
    Claim::CheckQuorumSoundness,
    Claim::AckDurability,
    Claim::CommittedIsDurable,
    Claim::QuorumLog,
    Claim::SnapshotCommitted,
    Claim::SnapshotMonotonic,
    Claim::LogContiguous,
    Claim::RestartRecovers,
    Claim::DurableIndexSound,
    Claim::QuorumIntersection,
]);

const LIVE: ClaimSet = SAFETY.union(ClaimSet::of(&[
    Claim::NoDeadlock,
    Claim::CommitProgress,
    Claim::ReplicationProgress,
    Claim::SnapshotProgress,
]));

/// A slice with an established leader says nothing of elections that do not happen in it.
const UNDISTURBED: ClaimSet = ClaimSet::of(&[Claim::NonDisruption]);

/// The claims that the features of this slice can refute: a claim about what never happens in it
/// would hold of nothing.
#[must_use]
pub fn refutable(slice: &Slice) -> ClaimSet {
    use Claim::{
        AckDurability, CheckQuorumSoundness, CommitBound, CommitMonotonic, CommitProgress,
        CommitRule, CommittedIsDurable, CommittedPrefixStable, DurableIndexSound, ElectionSafety,
        LeaderAppendOnly, LeaderCompleteness, LeaderIsVoter, LogContiguous, LogMatching,
        MatchIndexMonotonic, MatchIndexSound, MessageTermPersisted, NoDeadlock, NonDisruption,
        PreVoteSilent, PreVoteSound, PromiseKept, QuorumIntersection, QuorumLog,
        ReplicationProgress, RestartIsFollower, RestartRecovers, SnapshotCommitted,
        SnapshotMonotonic, SnapshotProgress, StateMachineSafety, TruncateOnlyOnConflict,
        VoteDurability, VoteOncePerTerm, VoteSound,
    };
    let several = slice.servers > 1;
    let log = slice.appends;
    let refutes = |claim: &Claim| match claim {
        PreVoteSound => slice.election.pre_vote,
        PreVoteSilent => several && slice.election.pre_vote,
        PromiseKept => slice.election.stickiness,
        CheckQuorumSoundness => slice.election.check_quorum,
        RestartIsFollower | RestartRecovers => slice.crashes > 0,
        SnapshotCommitted | SnapshotMonotonic | SnapshotProgress => slice.snapshots > 0,
        LeaderIsVoter => slice.learners > 0,
        NonDisruption => slice.established.is_some(),
        ElectionSafety | VoteOncePerTerm | VoteSound | VoteDurability | MessageTermPersisted
        | QuorumIntersection => several,
        LogMatching
        | MatchIndexSound
        | MatchIndexMonotonic
        | AckDurability
        | TruncateOnlyOnConflict
        | QuorumLog
        | CommitProgress
        | ReplicationProgress => several && log,
        LeaderAppendOnly
        | LeaderCompleteness
        | StateMachineSafety
        | CommittedPrefixStable
        | CommitBound
        | CommitMonotonic
        | CommitRule
        | LogContiguous
        | DurableIndexSound
        | CommittedIsDurable => log,
        NoDeadlock => true,
        Claim::TermMonotonic
        | Claim::VoteStable
        | Claim::StateTransitions
        | Claim::EntryIdentity => true,
    };
    let claims: Vec<Claim> = Claim::ALL.into_iter().filter(refutes).collect();
    ClaimSet::of(&claims)
}

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
    snapshots: 0,
    campaigns: false,
    appends: true,
    entries: u64::MAX,
    window: 0,
    heartbeats: false,
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
    instant_writes: true,
    reduced: true,
};

/// All slices, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Slice> {
    let mut slices = elections::slices();
    slices.extend(disruption::slices());
    slices.extend(disruption::liveness());
    slices.extend(replication::slices());
    slices.extend(snapshots::slices());
    slices.extend(deep::slices());
    for slice in &mut slices {
        slice.claims = slice.claims.intersection(refutable(slice));
    }
    slices
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
