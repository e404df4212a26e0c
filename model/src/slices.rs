//! The catalogue of slices.

use quorate_spec::property::{Claim, ClaimSet};

use crate::slice::{Cuts, Cutting, Declared, Election, Established, Network, Slice};

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
    Claim::QuorumIntersection,
]);

const LIVE: ClaimSet = SAFETY.union(ClaimSet::of(&[
    Claim::NoDeadlock,
    Claim::CommitProgress,
    Claim::ReplicationProgress,
]));

/// A slice with an established leader says nothing of elections that do not happen in it.
const UNDISTURBED: ClaimSet = ClaimSet::of(&[Claim::NonDisruption]);

/// The claims that the features of this slice can refute: a claim about what never happens in it
/// would hold of nothing.
#[must_use]
pub fn refutable(slice: &Slice) -> ClaimSet {
    use Claim::{
        AckDurability, CheckQuorumSoundness, CommitBound, CommitMonotonic, CommitProgress,
        CommitRule, CommittedIsDurable, CommittedPrefixStable, ElectionSafety, LeaderAppendOnly,
        LeaderCompleteness, LeaderIsVoter, LogMatching, MatchIndexMonotonic, MatchIndexSound,
        MessageTermPersisted, NoDeadlock, NonDisruption, PreVoteSilent, PreVoteSound, PromiseKept,
        QuorumIntersection, QuorumLog, ReplicationProgress, RestartIsFollower, StateMachineSafety,
        TruncateOnlyOnConflict, VoteDurability, VoteOncePerTerm, VoteSound,
    };
    let several = slice.servers > 1;
    let log = slice.appends;
    let refutes = |claim: &Claim| match claim {
        PreVoteSound => slice.election.pre_vote,
        PreVoteSilent => several && slice.election.pre_vote,
        PromiseKept => slice.election.stickiness,
        CheckQuorumSoundness => slice.election.check_quorum,
        RestartIsFollower => slice.crashes > 0,
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
    reduced: true,
};

/// All slices, in the order in which they run.
#[must_use]
pub fn all() -> Vec<Slice> {
    let mut slices = elections();
    slices.extend(non_disruption());
    slices.extend(liveness());
    slices.extend(replication());
    slices.extend(deep());
    for slice in &mut slices {
        slice.claims = slice.claims.intersection(refutable(slice));
    }
    slices
}

fn elections() -> Vec<Slice> {
    vec![
        Slice {
            name: "single",
            pinned: Some(355),
            about: "a cluster of one that crashes",
            servers: 1,
            max_term: 4,
            crashes: 2,
            ..BASE
        },
        Slice {
            name: "election-two",
            pinned: Some(12_220),
            about: "naive election among two, where half is not a majority",
            servers: 2,
            max_term: 3,
            crashes: 1,
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "election",
            pinned: Some(2_859_159),
            about: "naive election, one write at a time, with a crash between any two effects",
            max_term: 4,
            crashes: 1,
            pending: 1,
            appends: false,
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "election-pipelined",
            pinned: Some(1_449_057),
            about: "naive election with two writes under way, and a crash",
            max_term: 3,
            crashes: 1,
            appends: false,
            network: Network::Pull { parked: 1 },
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "election-async",
            pinned: Some(42_253),
            about: "naive election without a crash, any number of messages under way",
            max_term: 4,
            appends: false,
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "election-five",
            pinned: Some(116_964),
            about: "naive election among five",
            servers: 5,
            max_term: 3,
            appends: false,
            network: Network::Pull { parked: 0 },
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "pre-vote",
            pinned: Some(1_341_341),
            about: "pre-vote election with rejections and heartbeats",
            max_term: 3,
            network: Network::Pull { parked: 1 },
            ..BASE
        },
        Slice {
            name: "pre-vote-async",
            pinned: Some(2_463_284),
            about: "pre-vote election with rejections, any number of messages under way",
            max_term: 3,
            appends: false,
            ..BASE
        },
        Slice {
            name: "pre-vote-crash",
            pinned: Some(2_077_851),
            about: "pre-vote election with heartbeats and a crash, any number of messages under way",
            crashes: 1,
            pending: 1,
            ..BASE
        },
        Slice {
            name: "check-quorum",
            pinned: Some(622_865),
            about: "leaders that lose their quorum step down, in the same term",
            election: Election::FULL,
            ..BASE
        },
        Slice {
            name: "step-down",
            pinned: Some(44_404),
            about: "naive elections in which a leader without a quorum steps down",
            network: Network::Pull { parked: 1 },
            election: Election { check_quorum: true, ..Election::NAIVE },
            ..BASE
        },
        Slice {
            name: "learner",
            pinned: Some(1_288),
            about: "two voters and a learner, which never campaigns",
            learners: 1,
            network: Network::Pull { parked: 1 },
            ..BASE
        },
    ]
}

/// An established leader n0, n1 that hears it, and others that disturb.
fn non_disruption() -> Vec<Slice> {
    let base = Slice {
        max_term: 3,
        network: Network::Pull { parked: 1 },
        established: flaky(&[2]),
        claims: UNDISTURBED,
        ..BASE
    };
    let cut_off: Cuts = &[(0, 2), (1, 2), (2, 0), (2, 1)];
    vec![
        Slice {
            name: "isolated",
            pinned: Some(23),
            about: "n2 is cut off, times out again and again, and comes back when the network heals",
            cuts: cut_off,
            cutting: Cutting::Heals,
            ..base
        },
        Slice {
            name: "isolated-naive",
            about: "the same with naive election: n2 comes back with a high term and deposes n0",
            cuts: cut_off,
            cutting: Cutting::Heals,
            election: Election::NAIVE,
            declared: Declared::Violated(Claim::NonDisruption),
            ..base
        },
        Slice {
            name: "isolated-restart",
            pinned: Some(92),
            about: "the same as isolated, and any server may crash but the leader",
            cuts: cut_off,
            cutting: Cutting::Heals,
            crashes: 1,
            pending: 1,
            ..base
        },
        Slice {
            name: "n-deaf",
            pinned: Some(10),
            about: "n2 hears nothing from the leader, and everyone hears n2",
            cuts: &[(0, 2)],
            ..base
        },
        Slice {
            name: "n-deaf-naive",
            about: "the same with naive election",
            cuts: &[(0, 2)],
            election: Election::NAIVE,
            declared: Declared::Violated(Claim::NonDisruption),
            ..base
        },
        Slice {
            name: "leader-deaf",
            pinned: Some(13),
            about: "the leader hears nothing from n2, which hears the leader",
            cuts: &[(2, 0)],
            ..base
        },
        Slice {
            name: "leader-deaf-naive",
            about: "the same with naive election",
            cuts: &[(2, 0)],
            election: Election::NAIVE,
            declared: Declared::Violated(Claim::NonDisruption),
            ..base
        },
        Slice {
            name: "deaf-sticky",
            pinned: Some(22),
            about: "n2 is deaf to the leader and does not ask for pre-votes: the promise alone holds",
            cuts: &[(0, 2)],
            election: Election { pre_vote: false, ..Election::PRE_VOTE },
            ..base
        },
        Slice {
            name: "flaky-two-of-five",
            pinned: Some(186),
            about: "two of five time out as they like",
            servers: 5,
            established: flaky(&[3, 4]),
            ..base
        },
        Slice {
            name: "flaky-two-of-five-naive",
            about: "the same with naive election",
            servers: 5,
            established: flaky(&[3, 4]),
            election: Election::NAIVE,
            declared: Declared::Violated(Claim::NonDisruption),
            ..base
        },
        Slice {
            name: "operator",
            pinned: Some(3),
            about: "an operator asks servers to campaign that have just heard the leader",
            campaigns: true,
            established: flaky(&[1, 2]),
            election: Election { pre_vote: false, ..Election::PRE_VOTE },
            ..base
        },
    ]
}

fn liveness() -> Vec<Slice> {
    vec![
        Slice {
            name: "partition",
            pinned: Some(886_960),
            about: "one of three is lost for good at some moment, and the other two still commit",
            network: Network::Pull { parked: 0 },
            max_term: 3,
            cuts: &[(0, 2), (1, 2), (2, 0), (2, 1)],
            cutting: Cutting::Breaks,
            ..BASE
        },
        Slice {
            name: "deaf-leader",
            pinned: Some(242_632),
            about: "n0 goes deaf at some moment, and the others still commit",
            network: Network::Pull { parked: 0 },
            cuts: &[(1, 0), (2, 0)],
            cutting: Cutting::Breaks,
            election: Election::FULL,
            ..BASE
        },
    ]
}

fn replication() -> Vec<Slice> {
    let base = Slice { election: Election::NAIVE, network: Network::Pull { parked: 1 }, ..BASE };
    vec![
        Slice {
            name: "replication",
            about: "logs that diverge over three terms, and two commands",
            max_term: 3,
            commands: 2,
            ..base
        },
        Slice {
            name: "replication-stepwise",
            about: "logs that diverge over three terms, one entry a request, and heartbeats",
            max_term: 3,
            entries: 1,
            heartbeats: true,
            ..base
        },
        Slice {
            name: "replication-late",
            about: "two commands, and two messages that are late: several entries a request, and requests with a stale end",
            commands: 2,
            network: Network::Pull { parked: 2 },
            ..base
        },
        Slice {
            name: "replication-async",
            about: "two commands, any number of messages under way",
            commands: 2,
            network: Network::Async,
            ..base
        },
        Slice {
            name: "replication-restart",
            about: "logs that diverge over three terms, a command, and a restart that loses no write",
            max_term: 3,
            commands: 1,
            crashes: 1,
            pending: 0,
            network: Network::Async,
            ..base
        },
        Slice {
            name: "replication-crash",
            about: "logs that diverge over two terms, two writes under way, with a crash between any two effects",
            crashes: 1,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "replication-crash-async",
            about: "a command and a crash between any two effects, any number of messages under way",
            commands: 1,
            crashes: 1,
            pending: 1,
            network: Network::Async,
            ..base
        },
        Slice {
            name: "figure-8",
            about: "thesis figure 3.7: four terms, in which an entry of an old term is on a majority and is replaced",
            max_term: 4,
            entries: 1,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "replication-five",
            about: "the entries of two terms among five",
            servers: 5,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "pipeline",
            about: "production's elections and sender: requests follow each other in a window of two",
            commands: 1,
            entries: 1,
            window: 2,
            network: Network::Pull { parked: 1 },
            election: Election::FULL,
            ..base
        },
    ]
}

/// Larger bounds of slices above: minutes each.
fn deep() -> Vec<Slice> {
    vec![
        Slice {
            name: "election-five-parked",
            about: "naive election among five, with a message that is late",
            servers: 5,
            max_term: 3,
            appends: false,
            network: Network::Pull { parked: 1 },
            election: Election::NAIVE,
            deep: true,
            ..BASE
        },
        Slice {
            name: "replication-five-command",
            about: "a command and the entries of two terms among five",
            servers: 5,
            commands: 1,
            network: Network::Pull { parked: 0 },
            election: Election::NAIVE,
            deep: true,
            ..BASE
        },
        Slice {
            name: "pre-vote-parked-two",
            about: "pre-vote election with heartbeats, two messages late, and a crash",
            crashes: 1,
            pending: 1,
            network: Network::Pull { parked: 2 },
            deep: true,
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
