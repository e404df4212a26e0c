//! The catalogue of slices.

mod deep;
mod disruption;
mod elections;
mod leases;
mod membership;
mod reads;
mod replication;
mod snapshots;

use quorate_spec::property::{Claim, ClaimSet};

use crate::slice::{Cutting, Declared, Election, Established, Network, Slice};

/// The claims that this slice can refute, and so checks: a claim about what never happens in it would
/// hold of nothing.
fn refutable(slice: &Slice) -> ClaimSet {
    let established = slice.established.is_some();
    let timed = slice.clocks.is_some();
    let deposed = matches!(slice.declared, Declared::Violated(_));
    if let (true, Declared::Violated(claim)) = (timed, slice.declared) {
        // What else holds of leases, the slice within the inequality shows.
        return ClaimSet::of(&[claim]);
    }
    let is_about = |claim: &Claim| match claim {
        Claim::NonDisruption => established,
        // A cycle is no state: the patterns of cut links decide it (`links`).
        Claim::StableLeader => false,
        Claim::ElectionProgress
        | Claim::NoDeadlock
        | Claim::CommitProgress
        | Claim::ReplicationProgress
        | Claim::SnapshotProgress
        | Claim::ReadProgress
        | Claim::TransferProgress => !established && !timed,
        // A change whose new voters are cut off waits for them, by design.
        Claim::ReconfigCompletes => !established && slice.cuts.is_empty(),
        // Where an established leader stays, little happens but what NonDisruption is about.
        _ => !established || deposed,
    };
    let happens = |claim: &Claim| has_what_it_is_of(slice, *claim);
    let claims: Vec<Claim> = Claim::ALL.into_iter().filter(is_about).filter(happens).collect();
    ClaimSet::of(&claims)
}

/// Whether the slice has the features without which the claim holds of nothing.
fn has_what_it_is_of(slice: &Slice, claim: Claim) -> bool {
    use Claim::{
        AckDurability, CheckQuorumSoundness, CommitBound, CommitMonotonic, CommitProgress,
        CommitRule, CommittedIsDurable, CommittedPrefixStable, ConfigFollowsLog, ConfirmationSound,
        DurableIndexSound, ElectionProgress, ElectionSafety, EntryIdentity, JointQuorum,
        LeaderAppendOnly, LeaderCompleteness, LeaderIsVoter, LeaseExclusive, LinearizableRead,
        LogContiguous, LogMatching, MatchIndexMonotonic, MatchIndexSound, MessageTermPersisted,
        NoDeadlock, NonDisruption, OneConfigInFlight, PreVoteSilent, PreVoteSound, PromiseKept,
        PublishedInTime, QuorumIntersection, QuorumLog, ReadProgress, ReconfigCompletes,
        ReplicationProgress, RestartIsFollower, RestartRecovers, SnapshotCommitted,
        SnapshotMonotonic, SnapshotProgress, StableLeader, StateMachineSafety, StateTransitions,
        TermMonotonic, TransferProgress, TruncateOnlyOnConflict, VoteDurability, VoteOncePerTerm,
        VoteSound, VoteStable,
    };
    let several = slice.servers > 1;
    let log = slice.appends;
    let changes = !slice.changes.is_empty();
    match claim {
        PreVoteSound => slice.election.pre_vote,
        PreVoteSilent => several && slice.election.pre_vote,
        PromiseKept => slice.election.stickiness,
        CheckQuorumSoundness => slice.election.check_quorum,
        RestartIsFollower | RestartRecovers => slice.crashes > 0,
        SnapshotCommitted | SnapshotMonotonic | SnapshotProgress => slice.snapshots > 0,
        LinearizableRead => slice.reads > 0 || slice.lease.is_some(),
        LeaseExclusive => slice.lease.is_some(),
        ConfirmationSound => several && (slice.reads > 0 || slice.lease.is_some()),
        ReadProgress => slice.reads > 0,
        TransferProgress => slice.transfers > 0,
        LeaderIsVoter => slice.learners + slice.joiners > 0 || changes,
        JointQuorum => several,
        OneConfigInFlight | ConfigFollowsLog | ReconfigCompletes => changes,
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
        PublishedInTime => true,
        StableLeader => false,
        NonDisruption | ElectionProgress | NoDeadlock | TermMonotonic | VoteStable
        | StateTransitions | EntryIdentity => true,
    }
}

/// What a slice is unless it says otherwise.
pub(crate) const BASE: Slice = Slice {
    name: "",
    about: "",
    servers: 3,
    learners: 0,
    joiners: 0,
    max_term: 2,
    crashes: 0,
    pending: 2,
    commands: 0,
    reads: 0,
    transfers: 0,
    lease: None,
    changes: &[],
    wiped: None,
    snapshots: 0,
    campaigns: false,
    clocks: None,
    appends: true,
    entries: u64::MAX,
    window: 0,
    heartbeats: false,
    network: Network::Async,
    late_votes: true,
    cuts: &[],
    cutting: Cutting::Always,
    established: None,
    led: false,
    election: Election::PRE_VOTE,
    claims: ClaimSet::NONE,
    declared: Declared::Exhausted,
    pinned: None,
    deep: false,
    symmetric: true,
    instant_writes: true,
    reduced: true,
    forgets: true,
};

/// All slices, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Slice> {
    let mut slices = elections::slices();
    slices.extend(disruption::slices());
    slices.extend(disruption::liveness());
    slices.extend(replication::slices());
    slices.extend(membership::slices());
    slices.extend(snapshots::slices());
    slices.extend(reads::slices());
    slices.extend(leases::slices());
    slices.extend(deep::slices(&slices));
    for slice in &mut slices {
        slice.claims = refutable(slice);
    }
    slices
}

/// The slice of this name.
#[must_use]
pub fn named(name: &str) -> Option<Slice> {
    all().into_iter().find(|slice| slice.name == name)
}

/// The slice of this name, or those whose names begin with it: `lease` stands for every `lease-…`.
#[must_use]
pub fn family(name: &str) -> Vec<Slice> {
    if let Some(slice) = named(name) {
        return vec![slice];
    }
    let belongs = |slice: &Slice| {
        slice.name.strip_prefix(name).is_some_and(|rest| !name.is_empty() && rest.starts_with('-'))
    };
    all().into_iter().filter(belongs).collect()
}

/// The premise of NonDisruption, with these servers flaky.
#[must_use]
pub const fn flaky(flaky: &'static [u64]) -> Option<Established> {
    Some(Established { flaky, members: None })
}
