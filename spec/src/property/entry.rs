//! What the ledger says of each claim.

use crate::property::claim::Claim;

/// What the ledger says of a claim.
#[derive(Clone, Copy, Debug)]
pub struct Entry {
    /// The claim.
    pub claim: Claim,
    /// The claim in one sentence.
    pub sentence: &'static str,
    /// The section of the Raft thesis that it comes from.
    pub thesis: &'static str,
    /// The function that decides it, with its crate and module.
    pub function: &'static str,
    /// The file of that function, from the root of the repository.
    pub file: &'static str,
    /// Under which conditions it holds, beyond the bounds of the slices.
    pub caveat: &'static str,
}

impl Claim {
    /// The ledger's entry.
    #[must_use]
    pub const fn entry(self) -> Entry {
        let (sentence, thesis, function, caveat) = match self {
            Claim::ElectionSafety => (
                "At most one server ever becomes leader of a term, crashes included.",
                "§3.2, §3.4",
                "history::History::election_safety",
                "",
            ),
            Claim::VoteOncePerTerm => (
                "No server sends grants of one term to two candidates, crashes included; its own candidacy is one.",
                "§3.4, §3.8",
                "release::vote_once_per_term",
                "",
            ),
            Claim::VoteDurability => (
                "When a vote leaves its server, a crash at that moment recovers it.",
                "§3.8",
                "release::vote_durability",
                "The disk keeps what it reported durable.",
            ),
            Claim::MessageTermPersisted => (
                "When a message leaves, a crash at that moment recovers a term at least as high.",
                "§3.8",
                "release::message_term_persisted",
                "The disk keeps what it reported durable.",
            ),
            Claim::TermMonotonic => (
                "No step lowers a server's term, and no restart takes it below what it had reported durable.",
                "§3.3",
                "step::term_monotonic",
                "",
            ),
            Claim::VoteStable => (
                "Within a term a server's vote goes from none to one and stays.",
                "§3.4",
                "step::vote_stable",
                "",
            ),
            Claim::VoteSound => (
                "A vote goes only to a candidate of the voter's own term whose log is at least as up to date.",
                "§3.4, §3.6.1",
                "step::vote_sound",
                "",
            ),
            Claim::RestartIsFollower => (
                "A server restarts as a follower, whatever it was.",
                "§3.8",
                "step::restart_is_follower",
                "",
            ),
            Claim::StateTransitions => (
                "Roles change only as the state diagram shows.",
                "§3.4, §9.6",
                "step::state_transitions",
                "",
            ),
            Claim::PreVoteSound => (
                "With pre-vote, a server raises its term by itself only if a quorum granted in this very round, or the leader of its term has handed over to it.",
                "§9.6",
                "step::pre_vote_sound",
                "",
            ),
            Claim::PreVoteSilent => (
                "A pre-vote changes nothing at the server that is asked.",
                "§9.6",
                "step::pre_vote_silent",
                "",
            ),
            Claim::LeaderIsVoter => (
                "A server becomes leader only as a voter of its own latest configuration, or of the one before it while the latest is not known to be committed.",
                "§4.2.2, §4.3",
                "step::leader_is_voter",
                "",
            ),
            Claim::PromiseKept => (
                "No step and no restart shortens a promise not to vote.",
                "§4.2.3, §6.4.1",
                "step::promise_kept",
                "The clock is monotonic across restarts.",
            ),
            Claim::EntryIdentity => (
                "No (term, index) is created twice, crashes included.",
                "§3.5",
                "history::History::observe",
                "",
            ),
            Claim::LeaderAppendOnly => (
                "While a server leads a term, its log only grows.",
                "§3.2, §3.5",
                "step::leader_append_only",
                "",
            ),
            Claim::LogMatching => (
                "If two logs have an entry of the same index and term, they agree up to it.",
                "§3.2, §3.5",
                "cluster::log_matching",
                "",
            ),
            Claim::LeaderCompleteness => (
                "An entry committed in a term is in the log of every leader of a later term.",
                "§3.2, §3.6",
                "history::History::observe",
                "",
            ),
            Claim::StateMachineSafety => (
                "No two servers ever commit different entries at one index.",
                "§3.2, §3.6.3",
                "history::History::observe",
                "",
            ),
            Claim::CommittedPrefixStable => (
                "No step removes or replaces an entry that its server knows to be committed.",
                "§3.6",
                "step::committed_prefix_stable",
                "",
            ),
            Claim::CommitBound => (
                "The commit index never passes the end of the log.",
                "§3.5",
                "step::commit_bound",
                "",
            ),
            Claim::CommitMonotonic => (
                "A running server's commit index never falls.",
                "§3.5",
                "step::commit_monotonic",
                "After a restart it is found anew.",
            ),
            Claim::CommitRule => (
                "A leader moves its commit index only to an entry of its own term.",
                "§3.6.2",
                "step::commit_rule",
                "",
            ),
            Claim::TruncateOnlyOnConflict => (
                "An entry leaves a log only when another one of a different term takes its index.",
                "§3.5",
                "step::truncate_only_on_conflict",
                "",
            ),
            Claim::MatchIndexSound => (
                "What a leader believes a follower has is durable there, unless the follower is in a later term.",
                "§3.5",
                "cluster::match_index_sound",
                "",
            ),
            Claim::MatchIndexMonotonic => (
                "What a leader believes a follower has never shrinks within a term.",
                "§3.5",
                "step::match_index_monotonic",
                "",
            ),
            Claim::CheckQuorumSoundness => (
                "A leader counts as contact to its quorum only answers of its own term, and the votes that elected it; and when it looks at its timers it leads no more where a majority of either half has not answered within an election timeout, or its own disk owes it a write for as long.",
                "§6.2",
                "step::check_quorum_sound, step::leader_is_heard, step::leader_writes",
                "",
            ),
            Claim::AckDurability => (
                "When a success leaves, everything it acknowledges is on the sender's disk.",
                "§3.8",
                "release::ack_durability",
                "The disk keeps what it reported durable.",
            ),
            Claim::CommittedIsDurable => (
                "Every committed entry is on so many disks that no server that could win an election now has a quorum without it: a majority of the voters, and of either half in a joint configuration.",
                "§3.5, §3.8",
                "cluster::committed_is_durable",
                "The disk keeps what it reported durable.",
            ),
            Claim::QuorumLog => (
                "Every committed entry is in so many logs that no server that could win an election now has a quorum without it: a majority of the voters, and of either half in a joint configuration.",
                "§3.6.3",
                "cluster::quorum_log",
                "In memory; CommittedIsDurable says the same of disks.",
            ),
            Claim::JointQuorum => (
                "Whoever is elected, and whatever a leader commits, has a majority of the voters of its latest configuration, and of the outgoing ones where that is joint.",
                "§4.3",
                "membership::joint_quorum",
                "",
            ),
            Claim::OneConfigInFlight => (
                "A leader appends a configuration only when the one before it and an entry of its own term are committed; to a joint one follows exactly its C_new, to a simple one a joint one or one with the same voters.",
                "§4.1, §4.3",
                "membership::one_config_in_flight",
                "",
            ),
            Claim::ConfigFollowsLog => (
                "The configuration in force is that of the latest configuration entry in the log, through every append, truncation and restart, and a leader sends to everyone in it.",
                "§4.1, §4.3",
                "membership::config_follows_log",
                "",
            ),
            Claim::SnapshotCommitted => (
                "A snapshot ends with the entry that is committed at its index, and with the configuration in force there.",
                "§5.1",
                "cluster::snapshot_committed",
                "Of what is in a machine's state nothing is said: it is the driver's.",
            ),
            Claim::SnapshotMonotonic => (
                "What a server's snapshot covers never shrinks, and no restart takes it below what was reported durable.",
                "§5.1, §5.3",
                "step::snapshot_monotonic",
                "",
            ),
            Claim::LogContiguous => (
                "The entries of a log follow each other from what its snapshot covers on, and their terms do not fall.",
                "§5.1",
                "step::log_contiguous",
                "",
            ),
            Claim::RestartRecovers => (
                "What a crash leaves at any moment is a log without gaps, the last written term and vote, and every durable entry that the server knew to be committed.",
                "§3.8, §5.1",
                "restart::restart_recovers",
                "Asked of every state of every server, for each number of pending writes that a crash may keep. The disk keeps what it reported durable.",
            ),
            Claim::DurableIndexSound => (
                "Up to where a server takes its log for durable, its disk has what it has in memory.",
                "§3.8",
                "restart::durable_index_sound",
                "The disk keeps what it reported durable.",
            ),
            Claim::QuorumIntersection => (
                "Any two servers that could each win an election now have configurations whose quorums intersect; and so do any two majorities of 1 to 7 voters, and those of any joint configuration of up to 6 servers with each other and with those of both its halves.",
                "§3.4, §4.3",
                "cluster::quorum_intersection",
                "",
            ),
            Claim::NonDisruption => (
                "A leader that its voters hear is not deposed by servers that do not hear it.",
                "§4.2.3, §9.6",
                "cluster::leader_undisturbed",
                "Premise: every other voter has heard this leader, and none but the named servers lets its election timeout pass; their terms are not already higher.",
            ),
            Claim::StableLeader => (
                "No run deposes, again and again for ever, a leader that has open links to a quorum and back.",
                "§4.2.3, §6.2, §9.6",
                "quorate_model::links::run::check",
                "Decided for each pattern of cut links by a search for cycles (`check links`), not in the slices; it allows any finite number of depositions. Messages over open links arrive at once, and who hears its leader does not time out.",
            ),
            Claim::ElectionProgress => (
                "From every reachable state some fault-free run of bounded length elects a leader that every member follows which it reaches, and which reaches it.",
                "§3.4, §9.6",
                "quorate_model::progress::Benign::progress",
                "As for NoDeadlock; the order need not be the same one. Whether that leader can commit is left to NoDeadlock.",
            ),
            Claim::NoDeadlock => (
                "From every reachable state some fault-free run of bounded length elects a leader that commits an entry of its term.",
                "§3.9",
                "quorate_model::progress::Benign::progress",
                "Existential (AG EF): a benign scheduler does it, the servers taking turns in some order. Servers that hear a leader do not time out in it.",
            ),
            Claim::CommitProgress => (
                "In that run, what the leader takes from a client is committed on every server that the leader reaches.",
                "§3.5, §3.9",
                "quorate_model::progress::Benign::progress",
                "As for NoDeadlock; the order need not be the same one.",
            ),
            Claim::ReplicationProgress => (
                "In that run, every server that the leader reaches ends with the leader's log, and the leader knows it.",
                "§3.5, §3.9",
                "quorate_model::progress::Benign::progress",
                "As for NoDeadlock; the order need not be the same one.",
            ),
            Claim::ReconfigCompletes => (
                "In that run, which goes on where a leader that was removed steps down, some leader ends with a committed simple configuration that names it and has no target.",
                "§4.2.2, §4.3",
                "quorate_model::progress::Benign::progress",
                "As for NoDeadlock, and every server that is named is reached: a joint configuration whose new voters cannot be reached waits for them by design.",
            ),
            Claim::SnapshotProgress => (
                "In that run, every server that the leader reaches has what the leader's snapshot covers, and the leader knows it.",
                "§5.3",
                "quorate_model::progress::Benign::progress",
                "As for NoDeadlock. What was being moved when the run begins is reported lost.",
            ),
            Claim::LinearizableRead => (
                "A read is served at an index that covers everything that anyone knew to be committed when it was asked for: after a round of messages, or at any moment by the view that a server with a lease has published.",
                "§6.4",
                "reads::lease_read_is_linearizable, history::History::observe",
                "Leases: clocks within the declared bound. The state read is that after the index has been applied.",
            ),
            Claim::LeaseExclusive => (
                "While a server may serve lease reads by what it has published, nobody leads a later term, or has led one.",
                "§6.4.1",
                "reads::lease_exclusive",
                "Clocks within the declared bound; time in which a machine is suspended is counted.",
            ),
            Claim::PublishedInTime => (
                "What readers may rely on is published in the very step that changes it, before any message of that step leaves and any of its commits is acknowledged; building a request changes nothing of it.",
                "§6.4",
                "reads::published_in_time",
                "The driver performs effects in the order of their fields.",
            ),
            Claim::ConfirmationSound => (
                "A leader takes a round of reads for confirmed by a server, or a promise for given, only by that server's answer, in the leader's term, to a request of that term, and for no later round or instant than that request bears.",
                "§6.4",
                "reads::confirmation_sound",
                "",
            ),
            Claim::ReadProgress => (
                "A read that was asked for is waited for at its server until it is answered, and in that run every one is answered, at the leader and at those who follow it.",
                "§6.4",
                "reads::waits_for, quorate_model::progress::Benign::progress",
                "As for NoDeadlock. A crash takes the reads of its server along.",
            ),
            Claim::TransferProgress => (
                "In that run no transfer of leadership is left under way, and one to a voter that the leader reaches makes that voter leader, or costs the leader nothing where its TimeoutNow are lost.",
                "§3.10",
                "quorate_model::progress::Benign::progress",
                "As for NoDeadlock.",
            ),
        };
        let file = match self {
            Claim::ElectionSafety
            | Claim::EntryIdentity
            | Claim::LeaderCompleteness
            | Claim::StateMachineSafety => "spec/src/property/history.rs",
            Claim::LinearizableRead
            | Claim::LeaseExclusive
            | Claim::PublishedInTime
            | Claim::ConfirmationSound => "spec/src/property/reads.rs",
            Claim::VoteOncePerTerm
            | Claim::VoteDurability
            | Claim::MessageTermPersisted
            | Claim::AckDurability => "spec/src/property/release.rs",
            Claim::RestartRecovers | Claim::DurableIndexSound => "spec/src/property/restart.rs",
            Claim::TermMonotonic
            | Claim::VoteStable
            | Claim::VoteSound
            | Claim::RestartIsFollower
            | Claim::StateTransitions
            | Claim::PreVoteSound
            | Claim::PreVoteSilent
            | Claim::CheckQuorumSoundness
            | Claim::MatchIndexMonotonic
            | Claim::LeaderIsVoter
            | Claim::PromiseKept
            | Claim::LeaderAppendOnly
            | Claim::CommittedPrefixStable
            | Claim::CommitBound
            | Claim::CommitMonotonic
            | Claim::CommitRule
            | Claim::TruncateOnlyOnConflict
            | Claim::SnapshotMonotonic
            | Claim::LogContiguous => "spec/src/property/step.rs",
            Claim::JointQuorum | Claim::OneConfigInFlight | Claim::ConfigFollowsLog => {
                "spec/src/property/membership.rs"
            }
            Claim::LogMatching
            | Claim::MatchIndexSound
            | Claim::CommittedIsDurable
            | Claim::QuorumLog
            | Claim::SnapshotCommitted
            | Claim::QuorumIntersection
            | Claim::NonDisruption => "spec/src/property/cluster.rs",
            Claim::StableLeader => "model/src/links/run.rs",
            Claim::ElectionProgress
            | Claim::NoDeadlock
            | Claim::CommitProgress
            | Claim::ReplicationProgress
            | Claim::ReconfigCompletes
            | Claim::SnapshotProgress
            | Claim::ReadProgress
            | Claim::TransferProgress => "model/src/progress.rs",
        };
        Entry { claim: self, sentence, thesis, function, file, caveat }
    }
}
