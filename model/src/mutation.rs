//! The mutants: the specification with one guard broken, each as some real system had it.
//!
//! The real bugs that have none are in [`EXEMPT`](crate::exempt::EXEMPT), with the reason.

use quorate_spec::property::Claim;

use crate::guards::Guard;

/// The catalogue in rows: name, guard, killer, slices, real bugs, sentence.
macro_rules! mutations {
    ($($name:ident: $guard:ident, $killer:ident, [$($slice:literal),+], $bugs:literal, $about:literal;)*) => {
        /// A broken guard.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[allow(missing_docs)]
        pub enum Mutation { $($name),* }

        impl Mutation {
            /// All of them.
            pub const ALL: &'static [Mutation] = &[$(Mutation::$name),*];

            /// Its name on the command line.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Mutation::$name => stringify!($name)),* }
            }

            /// The guard that it breaks.
            #[must_use]
            pub fn guard(self) -> Guard {
                match self { $(Mutation::$name => Guard::$guard),* }
            }

            /// The claim that has to fail for it.
            #[must_use]
            pub fn killer(self) -> Claim {
                match self { $(Mutation::$name => Claim::$killer),* }
            }

            /// The slices that find it.
            #[must_use]
            pub fn slices(self) -> &'static [&'static str] {
                match self { $(Mutation::$name => &[$($slice),+]),* }
            }

            /// The real bugs that it stands for.
            #[must_use]
            pub fn bugs(self) -> &'static str {
                match self { $(Mutation::$name => $bugs),* }
            }

            /// What is wrong with it, in a sentence.
            #[must_use]
            pub fn about(self) -> &'static str {
                match self { $(Mutation::$name => $about),* }
            }
        }
    };
}

mutations! {
    NonVoterCampaigns: is_promotable, LeaderIsVoter, ["learner"],
        "E17 hashicorp/raft#398, etcd db54973", "A server that is no voter campaigns.";
    RemovedNeverCampaigns: is_promotable, NoDeadlock, ["remove-leader"],
        "thesis figure 4.6, etcd promotable", "A server that its latest configuration removes campaigns no more, committed or not.";
    DemotedNeverCampaigns: is_promotable, NoDeadlock, ["remove-leader"],
        "E19 CCF#5973, E11 scylladb#10618", "A voter of the outgoing half alone does not campaign.";
    UpToDateByLength: log_is_up_to_date, LeaderCompleteness, ["replication"],
        "A2 hashicorp/raft#94", "The longer log wins, whatever the terms of its entries.";
    IgnoresLogs: log_is_up_to_date, LeaderCompleteness, ["replication"],
        "A11 openraft 94c820c3", "A vote does not depend on logs.";
    UpToDateByTerm: log_is_up_to_date, LeaderCompleteness, ["replication"],
        "thesis §3.6.1", "The later last term wins, and length does not matter.";
    VotesForPastTerms: votes_for_term, VoteSound, ["election-async"],
        "A1 xraft#33", "A candidate of a past term gets the vote of the present one.";
    VotesForEveryone: vote_is_free, VoteOncePerTerm, ["election-async"],
        "A12 camunda#5356", "A server votes for every candidate of a term.";
    CountsOldVotes: counts_vote, ElectionSafety, ["election-async"],
        "A1 xraft#33", "A vote that was granted in an earlier term counts in the present one.";
    CountsOwnVoteAtOnce: counts_own_vote, EntryIdentity, ["single"],
        "A7 sofa-jraft#1245, D8 etcd#14370", "A candidate counts its own vote before it is durable.";
    HalfIsAQuorum: is_quorum, ElectionSafety, ["election-two"],
        "D4 hashicorp/raft 163a55f", "Half of the voters count as a majority.";
    CountsBothAsOne: is_quorum, JointQuorum, ["overlap"],
        "thesis §4.3", "A majority of all servers of a joint configuration decides.";
    NewMajorityDecides: is_quorum, ElectionSafety, ["grow-to-five"],
        "D7 braft BallotBox, thesis §4.3", "The majority of the new voters decides alone.";
    OldMajorityDecides: is_quorum, JointQuorum, ["shrink"],
        "E2 etcd#7280", "The majority of the old voters decides alone.";
    LearnersCount: is_quorum, JointQuorum, ["demote"],
        "F13 hashicorp/raft#308", "Learners count as voters.";
    ForgetsVoteOnStepDown: vote_in_term, VoteStable, ["step-down"],
        "A3 hazelcast#16643", "A leader that steps down in its own term forgets its vote.";
    PersistsOnlyTerms: hard_state_to_write, VoteDurability, ["election"],
        "A9 tikv#1610", "A vote is written only together with a new term.";
    PersistsTermWithoutVote: hard_state_to_write, VoteDurability, ["election"],
        "A8 sofa-jraft#1241", "Term and vote are written one after the other: the term first.";
    GrantsBeforeDurable: needs, VoteDurability, ["election"],
        "A6 sofa-jraft#1241, H1 openraft ee460f37", "A granted vote leaves before it is on disk.";
    AsksBeforeDurable: needs, VoteDurability, ["election"],
        "A7 sofa-jraft#1245, braft elect_self", "A candidate asks for votes before its own is on disk.";
    AnswersBeforeDurable: needs, MessageTermPersisted, ["election"],
        "sofa-jraft#1245", "An answer of a new term leaves before that term is on disk.";
    AcksBeforeDurable: needs, AckDurability, ["replication-crash"],
        "H1 RaftFsync FollowerFsyncBeforeReply", "Entries are acknowledged before they are on disk.";
    LeadsAfterRestart: leads_after_restart, RestartIsFollower, ["election"],
        "A16 KAFKA-10527, H9 openraft ff9a9335", "A server that voted for itself restarts as leader.";
    NoNoOp: begins_term_with_no_op, NoDeadlock, ["pre-vote"],
        "F1 etcd#7331", "A leader waits for a client's command to begin its term.";
    PreVoteForgetsVote: vote_while_pre_candidate, VoteOncePerTerm, ["pre-vote"],
        "A5 canonical/raft 98d8f51", "A pre-candidate forgets whom it voted for.";
    CountsPreVotesOfOtherRounds: counts_pre_vote, PreVoteSound, ["pre-vote"],
        "CRDB#123189", "A pre-vote counts that was granted in an earlier round of this term.";
    CountsPreVotesOfOtherTerms: counts_pre_vote, PreVoteSound, ["pre-vote"],
        "B7 canonical/raft 0ed4553", "A pre-vote counts that was granted in another term.";
    PreVoteRaisesTerm: adopts_term, PreVoteSilent, ["pre-vote"],
        "B10 rabbitmq/ra bbd00102", "A pre-vote of a higher term raises the voter's.";
    VoteRequestRaisesTerm: adopts_term, NonDisruption, ["deaf-sticky"],
        "E18 hashicorp/raft#477, thesis §4.2.3", "A RequestVote raises the term of a server under its promise.";
    IgnoresTermOfRejection: adopts_term, NoDeadlock, ["partition"],
        "B5 openraft#1796", "The higher term in a rejected pre-vote is ignored.";
    IgnoresTermOfAnswer: adopts_term, NoDeadlock, ["partition"],
        "G15 canonical/raft 2a38d3d, braft", "The higher term in the answer to entries or a snapshot is ignored.";
    IgnoresStaleRequests: answers_stale, NoDeadlock, ["partition"],
        "B3 etcd#8501, raft-rs 3012d3c", "A request of a past term is not answered.";
    VotesInsidePromise: promise_permits_vote, NonDisruption, ["deaf-sticky"],
        "F12 consul#54, raft-rs and etcd at equal terms", "A server votes although it has just heard a leader.";
    PreVotesInsidePromise: promise_permits_pre_vote, NonDisruption, ["isolated"],
        "B1 thesis §9.6", "A server grants a pre-vote although it has just heard a leader.";
    CampaignsInsidePromise: promise_permits_campaign, NonDisruption, ["operator"],
        "L11 operator campaign", "An operator's request overrides the promise.";
    LeaderVotes: leader_may_vote, NonDisruption, ["isolated"],
        "A13 daos-stack/raft#70, B11 braft#365", "A leader helps another candidate.";
    NoPromise: promise_on_contact, NonDisruption, ["isolated"],
        "F12 hashicorp/raft#108", "Hearing a leader makes no promise.";
    PromiseLostWithTerm: promise_on_term_change, PromiseKept, ["pre-vote"],
        "F20 cockroach#134922", "The promise is forgotten when the term changes.";
    PreVoteIsContact: promise_on_pre_vote, PreVoteSilent, ["pre-vote"],
        "B8 hashicorp/raft#609", "Granting a pre-vote counts as hearing a leader.";
    PromiseLostAtRestart: promise_on_restart, NonDisruption, ["isolated-restart"],
        "F8 tikv#15035, openraft", "A restarted server has promised nothing.";
    HandoverIsNoReason: overrides_promise, TransferProgress, ["transfer"],
        "B14 braft 3cfb1f1, dragonboat 1c7ebd3", "The promise stands against the candidate to whom leadership was handed over.";
    EveryVoteOverridesPromise: overrides_promise, NonDisruption, ["deaf-sticky"],
        "L11 thesis §4.2.3", "The promise stands against nobody but whom leadership was handed over to.";
    EveryCampaignClaimsHandover: claims_handover, NonDisruption, ["deaf-sticky"],
        "L11 thesis §4.2.3", "Every candidate says that leadership was handed over to it.";
    StalledDiskLeads: disk_keeps_up, CheckQuorumSoundness, ["stalled-disk"],
        "H11 hashicorp/raft#503", "A leader whose disk has stalled leads on.";
    ReadsBeforeOwnCommit: read_index, LinearizableRead, ["reads"],
        "F1 etcd#7331, F18 redisraft#326", "A new leader serves reads before it has committed an entry of its term.";
    AnswersUncommitted: may_answer_read, LinearizableRead, ["reads"],
        "R4, thesis §6.4", "A read is answered at an index that is not committed yet.";
    ReadsUnconfirmed: confirms_round, LinearizableRead, ["reads"],
        "F17 xraft#40", "A leader serves reads without asking anyone whether it leads still.";
    ConfirmsByEarlierRound: confirms_round, LinearizableRead, ["reads"],
        "F5 openraft#1747, etcd#20418", "An answer to the round before the read's confirms it.";
    JoinsRoundUnderWay: round_of_read, LinearizableRead, ["reads-two"],
        "R7, etcd-io/etcd#20418", "A read joins a round whose requests have left.";
    StaleAnswersConfirm: confirms, ConfirmationSound, ["reads-restart"],
        "rule L2", "An answer to a request of an earlier term confirms reads of this one.";
    ReadsAreForgotten: fails_reads, ReadProgress, ["reads"],
        "F4 raft-rs#169, etcd#9893", "The reads of a leader that leads no more are never answered.";
    LeaseFromAnswer: lease_start, LeaseExclusive, ["lease-drift-e3-d1-global"],
        "F7 etcd-io/raft#166, F11 sofa-jraft#15", "A lease begins when the answer comes.";
    LeaseOneTickLonger: lease_end, LinearizableRead, ["lease-actors"],
        "rule L12", "A lease is held at the very instant at which it ends.";
    LeaseBeforeOwnCommit: may_hold_lease, LinearizableRead, ["lease-drift-e3-d1-global"],
        "F1 etcd#7331, L4", "A new leader serves lease reads before it has committed an entry of its term.";
    LeaseWhileTransferring: lease_survives, LeaseExclusive, ["lease-transfer"],
        "F5 tikv#4680, openraft#1747", "A leader that hands its leadership over keeps its lease.";
    LeaseAfterAbort: lease_survives, LeaseExclusive, ["lease-transfer"],
        "F6 raft-rs#234, etcd-io/raft#99", "A leader that has given a transfer up has its lease again.";
    ProposesWhileTransferring: may_propose, TransferProgress, ["transfer"],
        "F16 hashicorp/raft#581", "A leader takes commands while it hands its leadership over.";
    HandsOverTooEarly: may_hand_over, TransferProgress, ["transfer"],
        "thesis §3.10", "A server is told to campaign before it has all of the leader's log.";
    TransferStarvesTarget: asks_whom_it_tells, TransferProgress, ["transfer-unreachable"],
        "thesis §3.10", "The target of a transfer is told to campaign in the place of every heartbeat, and the leader loses its contact.";
    ObeysPastLeaders: obeys_timeout_now, LeaseExclusive, ["lease-transfer"],
        "F6 raft-rs#234", "A server campaigns because a leader of the past told it to.";
    NeverGivesUpTransfer: gives_up_transfer, TransferProgress, ["transfer-unreachable"],
        "thesis §3.10", "A transfer that does not succeed never ends.";
    NeverStepsDown: keeps_leading, NoDeadlock, ["deaf-leader"],
        "B1 Cloudflare 2020-11-02", "A leader without a quorum stays leader.";
    FollowsPastLeaders: takes_entries_of, QuorumLog, ["replication"],
        "thesis §3.3", "A leader of a past term is still followed.";
    BaseIsAConflict: prev_matches, ReplicationProgress, ["replication"],
        "C12 openraft 71a290cd", "What lies before the log's first entry counts as a conflict.";
    AppendsWithoutMatch: prev_matches, LogMatching, ["replication"],
        "C1 thesis §3.5", "Entries are taken whether or not the one before them matches.";
    TruncatesAlways: conflicts, TruncateOnlyOnConflict, ["replication"],
        "C1 raftos#26, CCF#6016", "What arrives replaces the log's end, also where it agrees.";
    NeverTruncates: conflicts, LogMatching, ["replication"],
        "thesis §3.5", "An entry of another term is kept.";
    CommitsBeyondValidated: follower_commit, CommitBound, ["replication-stepwise"],
        "C2 rabbitmq/ra#508, NuRaft#57", "A follower takes the leader's commit index for its own log as it is.";
    CommitGoesBack: follower_commit, CommitMonotonic, ["replication"],
        "C4 PySyncObj#166", "An old commit index takes the follower's back.";
    NeverLearnsCommit: follower_commit, CommitProgress, ["replication"],
        "D3 raftos#30", "A follower does not take the leader's commit index over.";
    AcksAheadOfDisk: acknowledged_at_once, AckDurability, ["replication-crash-two"],
        "H1 openraft ee460f37", "A busy disk is passed over: all of a request is acknowledged at once.";
    AcksOwnLength: acknowledged, MatchIndexSound, ["replication-stepwise"],
        "C7 CCF#6016", "A follower acknowledges all of its log.";
    CommitsOldTerms: may_commit, LeaderCompleteness, ["figure-8"],
        "D1 logcabin#44, D2 PySyncObj#169", "An entry of an earlier term is committed by counting copies.";
    CountsOwnUnwritten: own_match, CommittedIsDurable, ["replication-crash"],
        "D8 etcd#14370, H2 openraft a9f696a9", "A leader counts itself before its disk has the entry.";
    MatchGoesBack: match_after, MatchIndexMonotonic, ["replication"],
        "C5 PySyncObj#167", "A late acknowledgement takes the match index back.";
    CountsOldAnswers: counts_answer, CheckQuorumSoundness, ["step-down"],
        "C5 raftos#25", "An answer of an earlier term counts.";
    ReportsTellOfLaterWrites: report_covers, DurableIndexSound, ["replication-crash"],
        "H4 openraft 2af491fb", "The report of one write makes the later ones durable, too.";
    ReportsTellOfOneWrite: report_covers, NoDeadlock, ["single"],
        "H4 openraft 2af491fb", "A report that overtook an earlier one tells of its own write alone.";
    DurableAfterTruncation: durable_after_truncation, AckDurability, ["replication-crash"],
        "C10 rabbitmq/ra 39490978", "Truncation leaves the durable mark where it was.";
    AnswersForTheLost: is_addressed, LeaderCompleteness, ["wiped"],
        "E22 RaftWithReconfigJointConsensus ResetWithSameIdentity", "A server whose disk was lost answers for who it was.";
    CommittedConfigurationCounts: is_in_force, JointQuorum, ["shrink"],
        "E2 etcd#7280, E9 NuRaft#67, E21 etcd#12359", "A configuration is in force only when it is committed.";
    TruncationKeepsConfiguration: truncates_configuration, ConfigFollowsLog, ["rivals"],
        "E7 camunda#57389, E10 canonical/raft baa8f52", "A configuration stays in force though its entry is truncated.";
    ChangesBeforeCommitted: follows_configuration, QuorumIntersection, ["shrink"],
        "E5 etcd bd3c759", "A configuration is appended before the one before it is committed.";
    ChangesBeforeOwnCommit: has_committed_in_term, OneConfigInFlight, ["grow"],
        "E1 raft-dev 2015", "A new leader appends a configuration before it has committed an entry of its term.";
    JoinsUnseen: has_caught_up, NoDeadlock, ["join-unreachable"],
        "E25 tikv/raft-rs#192", "New voters count before they have caught up.";
    ChangesInOneStep: enter_joint, ElectionSafety, ["grow-to-five"],
        "thesis figure 4.3", "The new configuration follows the old one at once.";
    LeavesToOldVoters: leave_joint, OneConfigInFlight, ["grow"],
        "J5, thesis §4.3", "What follows a joint configuration is the old one.";
    OthersLeaveJointBehind: continues_change, ReconfigCompletes, ["grow"],
        "E4 etcd#12136", "Only the leader that began a change goes on with it.";
    RemovedLeaderLeaves: manages_until, NoDeadlock, ["remove-leader"],
        "E20 openraft 0023cff1", "A leader that is removed steps down before that is committed.";
    RemovedLeaderStays: manages_until, ReconfigCompletes, ["remove-leader"],
        "E20 KAFKA-16530", "A leader that was removed never steps down.";
    KeepsRemovedPeers: sends_to_removed, NonDisruption, ["removed"],
        "E18 thesis §4.2.3", "A leader goes on sending to the servers that it has removed.";
    CompactsUnknownMembers: knows_configuration, SnapshotCommitted, ["join-snapshot"],
        "rule S1", "A server that joined takes a snapshot of a time whose members it does not know.";
    CompactsUncommitted: may_compact, SnapshotCommitted, ["snapshots"],
        "G16 KAFKA-14618", "A snapshot covers the entry after the last committed one.";
    NoSnapshotAtItsEnd: needs_snapshot, SnapshotProgress, ["snapshots"],
        "G3 willemt/raft#118, redislabs/raft#47", "A peer that needs the last compacted entry gets no snapshot.";
    NeverSendsSnapshots: needs_snapshot, SnapshotProgress, ["snapshots"],
        "G5 openraft afd6508b", "With its log compacted a leader sends nothing.";
    InstallsOldSnapshots: may_install, CommitMonotonic, ["snapshots"],
        "G7 etcd b3841afcc, openraft 25e94c36", "A snapshot is installed though more is committed.";
    KeepsConflictingLog: keeps_log, StateMachineSafety, ["snapshots"],
        "G8 openraft 674e78aa", "A log that contradicts the snapshot stays.";
    DropsMatchingLog: keeps_log, TruncateOnlyOnConflict, ["snapshots"],
        "G7 openraft 5c83e167", "A log that has the snapshot's last entry goes with what follows it.";
    TakesTermOfSnapshot: term_after_install, TermMonotonic, ["snapshots"],
        "G6 willemt/raft#118", "Installing a snapshot sets the term to that of its last entry.";
    DurableAfterInstall: durable_after_install, DurableIndexSound, ["snapshots-crash"],
        "G11 raft-rs#417", "An install leaves the durable mark where it was.";
    ArrivesExactly: has_arrived, SnapshotProgress, ["snapshots"],
        "G19 etcd-io/raft#124", "Only an acknowledgement of exactly the snapshot's index ends its transfer.";
}
