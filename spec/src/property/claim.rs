//! The names of the claims, and sets of them.

use core::fmt;

/// Something that the project claims of every reachable state or step. `CLAIMS.md` is the ledger.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Claim {
    /// At most one server ever becomes leader of a term.
    ElectionSafety,
    /// A server never sends two grants of a term to two candidates, crashes included.
    VoteOncePerTerm,
    /// A vote that left its server is on that server's disk.
    VoteDurability,
    /// A message of a term leaves only when the sender's disk has that term.
    MessageTermPersisted,
    /// A server's term never falls.
    TermMonotonic,
    /// Within a term a vote goes from none to one and stays.
    VoteStable,
    /// A vote goes only to a candidate of the voter's term whose log is up to date.
    VoteSound,
    /// A server restarts as a follower.
    RestartIsFollower,
    /// Roles change only as the state diagram shows.
    StateTransitions,
    /// A term rises by a timeout only after a quorum granted in this very round of pre-votes.
    PreVoteSound,
    /// A pre-vote changes nothing at the server that is asked.
    PreVoteSilent,
    /// A server becomes leader only as a voter of its latest configuration, or of the one before
    /// where the latest is not known to be committed.
    LeaderIsVoter,
    /// No step and no restart shortens a promise not to vote.
    PromiseKept,
    /// No `(term, index)` is created twice.
    EntryIdentity,
    /// While a server leads a term, its log only grows.
    LeaderAppendOnly,
    /// If two logs have an entry of the same index and term, they agree up to it.
    LogMatching,
    /// An entry committed in a term is in the log of every leader of a later term.
    LeaderCompleteness,
    /// No two servers ever commit different entries at one index.
    StateMachineSafety,
    /// No step removes or replaces an entry that its server knows to be committed.
    CommittedPrefixStable,
    /// The commit index never passes the end of the log.
    CommitBound,
    /// A running server's commit index never falls.
    CommitMonotonic,
    /// A leader moves its commit index only to an entry of its own term.
    CommitRule,
    /// An entry leaves a log only when another one of a different term takes its index.
    TruncateOnlyOnConflict,
    /// What a leader believes a follower has is durable there, unless the follower is in a later term.
    MatchIndexSound,
    /// What a leader believes a follower has never shrinks within a term.
    MatchIndexMonotonic,
    /// A leader counts as contact only answers of its own term.
    CheckQuorumSoundness,
    /// When a success leaves, everything it acknowledges is on the sender's disk.
    AckDurability,
    /// Every committed entry is on the disks of a quorum.
    CommittedIsDurable,
    /// Every committed entry is in the logs of a quorum.
    QuorumLog,
    /// A snapshot ends with a committed entry and the configuration in force there.
    SnapshotCommitted,
    /// What a server's snapshot covers never shrinks.
    SnapshotMonotonic,
    /// The entries of a log follow each other, from what its snapshot covers on.
    LogContiguous,
    /// What a crash leaves at any moment is what a server can go on from.
    RestartRecovers,
    /// What a server takes for durable is on its disk as it is in memory.
    DurableIndexSound,
    /// Whoever is elected and whatever is committed has a majority of each half.
    JointQuorum,
    /// A leader appends a configuration only when the one before is committed, and the right one.
    OneConfigInFlight,
    /// The configuration in force is the latest in the log, through every append, truncation and
    /// restart.
    ConfigFollowsLog,
    /// Any two servers that could each win an election now need intersecting quorums.
    QuorumIntersection,
    /// A leader that its voters hear is not deposed by servers that do not.
    NonDisruption,
    /// No leader is deposed again and again while links are open to its quorum.
    StableLeader,
    /// From every reachable state a fault-free run elects a leader that everyone it reaches follows.
    ElectionProgress,
    /// From every reachable state a fault-free run elects a leader that commits.
    NoDeadlock,
    /// What that leader takes from a client is committed on every server that it reaches.
    CommitProgress,
    /// That leader's log reaches every server that it reaches.
    ReplicationProgress,
    /// That leader, or the next, ends with a committed configuration that leads nowhere else.
    ReconfigCompletes,
    /// Every server that it reaches gets beyond the leader's snapshot.
    SnapshotProgress,
    /// A read sees everything that was committed when it was asked for.
    LinearizableRead,
    /// While a server may serve lease reads, nobody leads a later term.
    LeaseExclusive,
    /// What readers may rely on is published in the step that changes it.
    PublishedInTime,
    /// A leader takes a round or a promise for confirmed only by an answer that bears it.
    ConfirmationSound,
    /// Every read is waited for until it is answered, and a fault-free run answers it.
    ReadProgress,
    /// A transfer of leadership ends, and in a fault-free run it succeeds.
    TransferProgress,
}

impl Claim {
    /// All claims, in the order of the ledger.
    pub const ALL: [Claim; 52] = [
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
        Claim::JointQuorum,
        Claim::OneConfigInFlight,
        Claim::ConfigFollowsLog,
        Claim::QuorumIntersection,
        Claim::NonDisruption,
        Claim::StableLeader,
        Claim::ElectionProgress,
        Claim::NoDeadlock,
        Claim::CommitProgress,
        Claim::ReplicationProgress,
        Claim::ReconfigCompletes,
        Claim::SnapshotProgress,
        Claim::LinearizableRead,
        Claim::LeaseExclusive,
        Claim::PublishedInTime,
        Claim::ConfirmationSound,
        Claim::ReadProgress,
        Claim::TransferProgress,
    ];

    /// The claim's name, as it is written everywhere.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Claim::ElectionSafety => "ElectionSafety",
            Claim::VoteOncePerTerm => "VoteOncePerTerm",
            Claim::VoteDurability => "VoteDurability",
            Claim::MessageTermPersisted => "MessageTermPersisted",
            Claim::TermMonotonic => "TermMonotonic",
            Claim::VoteStable => "VoteStable",
            Claim::VoteSound => "VoteSound",
            Claim::RestartIsFollower => "RestartIsFollower",
            Claim::StateTransitions => "StateTransitions",
            Claim::PreVoteSound => "PreVoteSound",
            Claim::PreVoteSilent => "PreVoteSilent",
            Claim::LeaderIsVoter => "LeaderIsVoter",
            Claim::PromiseKept => "PromiseKept",
            Claim::EntryIdentity => "EntryIdentity",
            Claim::LeaderAppendOnly => "LeaderAppendOnly",
            Claim::LogMatching => "LogMatching",
            Claim::LeaderCompleteness => "LeaderCompleteness",
            Claim::StateMachineSafety => "StateMachineSafety",
            Claim::CommittedPrefixStable => "CommittedPrefixStable",
            Claim::CommitBound => "CommitBound",
            Claim::CommitMonotonic => "CommitMonotonic",
            Claim::CommitRule => "CommitRule",
            Claim::TruncateOnlyOnConflict => "TruncateOnlyOnConflict",
            Claim::MatchIndexSound => "MatchIndexSound",
            Claim::MatchIndexMonotonic => "MatchIndexMonotonic",
            Claim::CheckQuorumSoundness => "CheckQuorumSoundness",
            Claim::AckDurability => "AckDurability",
            Claim::CommittedIsDurable => "CommittedIsDurable",
            Claim::QuorumLog => "QuorumLog",
            Claim::SnapshotCommitted => "SnapshotCommitted",
            Claim::SnapshotMonotonic => "SnapshotMonotonic",
            Claim::LogContiguous => "LogContiguous",
            Claim::RestartRecovers => "RestartRecovers",
            Claim::DurableIndexSound => "DurableIndexSound",
            Claim::JointQuorum => "JointQuorum",
            Claim::OneConfigInFlight => "OneConfigInFlight",
            Claim::ConfigFollowsLog => "ConfigFollowsLog",
            Claim::QuorumIntersection => "QuorumIntersection",
            Claim::NonDisruption => "NonDisruption",
            Claim::StableLeader => "StableLeader",
            Claim::ElectionProgress => "ElectionProgress",
            Claim::NoDeadlock => "NoDeadlock",
            Claim::CommitProgress => "CommitProgress",
            Claim::ReplicationProgress => "ReplicationProgress",
            Claim::ReconfigCompletes => "ReconfigCompletes",
            Claim::SnapshotProgress => "SnapshotProgress",
            Claim::LinearizableRead => "LinearizableRead",
            Claim::LeaseExclusive => "LeaseExclusive",
            Claim::PublishedInTime => "PublishedInTime",
            Claim::ConfirmationSound => "ConfirmationSound",
            Claim::ReadProgress => "ReadProgress",
            Claim::TransferProgress => "TransferProgress",
        }
    }
}

impl fmt::Display for Claim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A set of claims: those that a step broke, or those that a slice checks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct ClaimSet(u64);

impl ClaimSet {
    /// No claim.
    pub const NONE: ClaimSet = ClaimSet(0);

    /// The set of these claims.
    #[must_use]
    pub const fn of(claims: &[Claim]) -> ClaimSet {
        let mut bits = 0;
        let mut i = 0;
        while i < claims.len() {
            bits |= 1 << claims[i] as u64;
            i += 1;
        }
        ClaimSet(bits)
    }

    /// Adds the claim if it does not hold.
    pub fn require(&mut self, claim: Claim, holds: bool) {
        if !holds {
            self.0 |= 1 << claim as u64;
        }
    }

    /// Whether the claim is in the set.
    #[must_use]
    pub const fn contains(self, claim: Claim) -> bool {
        self.0 & (1 << claim as u64) != 0
    }

    /// The set without this claim.
    #[must_use]
    pub const fn without(self, claim: Claim) -> ClaimSet {
        ClaimSet(self.0 & !(1 << claim as u64))
    }

    /// Whether the set is empty.
    #[must_use]
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// What is in either set.
    #[must_use]
    pub const fn union(self, other: ClaimSet) -> ClaimSet {
        ClaimSet(self.0 | other.0)
    }

    /// What is in both sets.
    #[must_use]
    pub const fn intersection(self, other: ClaimSet) -> ClaimSet {
        ClaimSet(self.0 & other.0)
    }

    /// The claims, in the order of the ledger.
    pub fn iter(self) -> impl Iterator<Item = Claim> {
        Claim::ALL.into_iter().filter(move |claim| self.contains(*claim))
    }
}

impl fmt::Debug for ClaimSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.iter()).finish()
    }
}
