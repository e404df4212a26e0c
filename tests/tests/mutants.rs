//! The properties find a broken guard: for each mutant a claim becomes false, and what is left of
//! the run after shrinking shows it in a few steps.
//!
//! Not here are `NoNoOp` and `IgnoresTermOfRejection` (in each recovery a client proposes and time
//! passes, which heals both), `VotesInsidePromise` and `VoteRequestRaisesTerm` (a server that
//! cannot win the pre-vote asks for no vote), `NeverStepsDown` and `NeverGivesUpTransfer` (each
//! recovery heals every link, and then the transfer succeeds) and `AcksOwnLength` (with a window a probe carries entries, and so ends what contradicts them).
//! `NeverLearnsCommit` is not either: here a recovery asks for a commit by the leader alone. Nor are
//! `LeaseOneTickLonger` (the bound leaves room for a whole tick of each clock, and for what the
//! lease's own length is rounded by) and `StaleAnswersConfirm` (a server has to lead again in the
//! very term in which a late request of an earlier one was answered: no run in ten thousand).
//!
//! `QUORATE_BLESS=1 cargo test -p quorate-tests --test runs mutants` writes the shrunk runs to
//! `tests/traces`, where a change of the specification has made them show nothing.

#![allow(clippy::unwrap_used, missing_docs)]

use quorate_model::mutation::Mutation;
use quorate_model::simulation::{Finding, Scenario, Setup, Trace, Watch, run};
use quorate_spec::property::Claim;
use quorate_tests::Counterexample;

/// Rows: name of the test, mutant, number of servers, scenario, claim that has to fail.
macro_rules! mutants {
    ($($test:ident: $mutation:ident, $servers:literal, $scenario:ident, $claim:ident;)*) => {
        $(#[test]
        fn $test() {
            finds(Setup {
                servers: $servers,
                scenario: Scenario::$scenario,
                mutation: Some(Mutation::$mutation),
                watch: Watch::Only(Claim::$claim),
            });
        })*
    };
}

mutants! {
    non_voter_campaigns: NonVoterCampaigns, 6, Learner, LeaderIsVoter;
    the_longer_log_wins: UpToDateByLength, 5, Naive, LeaderCompleteness;
    the_later_term_wins: UpToDateByTerm, 7, Naive, LeaderCompleteness;
    votes_for_everyone: VotesForEveryone, 5, Faults, VoteOncePerTerm;
    counts_old_votes: CountsOldVotes, 5, Naive, ElectionSafety;
    counts_own_vote_at_once: CountsOwnVoteAtOnce, 1, Faults, EntryIdentity;
    half_is_a_quorum: HalfIsAQuorum, 4, Faults, ElectionSafety;
    forgets_vote_on_step_down: ForgetsVoteOnStepDown, 5, Faults, VoteStable;
    persists_only_terms: PersistsOnlyTerms, 7, Faults, VoteDurability;
    persists_term_without_vote: PersistsTermWithoutVote, 5, Faults, VoteDurability;
    grants_before_durable: GrantsBeforeDurable, 7, Faults, VoteDurability;
    asks_before_durable: AsksBeforeDurable, 5, Faults, VoteDurability;
    answers_before_durable: AnswersBeforeDurable, 5, Faults, MessageTermPersisted;
    acks_before_durable: AcksBeforeDurable, 5, Faults, AckDurability;
    leads_after_restart: LeadsAfterRestart, 5, Faults, RestartIsFollower;
    pre_vote_forgets_vote: PreVoteForgetsVote, 5, Faults, VoteOncePerTerm;
    counts_pre_votes_of_other_rounds: CountsPreVotesOfOtherRounds, 5, Faults, PreVoteSound;
    counts_pre_votes_of_other_terms: CountsPreVotesOfOtherTerms, 5, Faults, PreVoteSound;
    pre_vote_raises_term: PreVoteRaisesTerm, 5, Faults, PreVoteSilent;
    pre_vote_is_contact: PreVoteIsContact, 7, Faults, PreVoteSilent;
    promise_lost_with_term: PromiseLostWithTerm, 5, Faults, PromiseKept;
    promise_lost_at_restart: PromiseLostAtRestart, 5, Faults, PromiseKept;
    appends_without_match: AppendsWithoutMatch, 5, Faults, LogMatching;
    truncates_always: TruncatesAlways, 5, Faults, TruncateOnlyOnConflict;
    never_truncates: NeverTruncates, 5, Naive, LogMatching;
    commits_beyond_validated: CommitsBeyondValidated, 5, Faults, CommitBound;
    commit_goes_back: CommitGoesBack, 5, Faults, CommitMonotonic;
    commits_old_terms: CommitsOldTerms, 5, Naive, CommitRule;
    counts_own_unwritten: CountsOwnUnwritten, 5, Faults, CommittedIsDurable;
    match_goes_back: MatchGoesBack, 5, Naive, MatchIndexMonotonic;
    counts_old_answers: CountsOldAnswers, 5, Faults, CheckQuorumSoundness;
    durable_after_truncation: DurableAfterTruncation, 5, Naive, AckDurability;
    pre_votes_inside_promise: PreVotesInsidePromise, 5, Disturbance, NonDisruption;
    campaigns_inside_promise: CampaignsInsidePromise, 5, Disturbance, NonDisruption;
    leader_votes: LeaderVotes, 7, Disturbance, NonDisruption;
    no_promise: NoPromise, 7, Disturbance, NonDisruption;
    ignores_logs: IgnoresLogs, 5, Naive, LeaderCompleteness;
    votes_for_past_terms: VotesForPastTerms, 5, Faults, VoteSound;
    follows_past_leaders: FollowsPastLeaders, 5, Naive, CommittedIsDurable;
    acks_ahead_of_disk: AcksAheadOfDisk, 5, Faults, AckDurability;
    base_is_a_conflict: BaseIsAConflict, 5, Recovery, NoDeadlock;
    ignores_stale_requests: IgnoresStaleRequests, 5, Recovery, NoDeadlock;
    counts_both_as_one: CountsBothAsOne, 5, Membership, JointQuorum;
    new_majority_decides: NewMajorityDecides, 5, Membership, JointQuorum;
    old_majority_decides: OldMajorityDecides, 5, Membership, JointQuorum;
    learners_count: LearnersCount, 5, Membership, JointQuorum;
    committed_configuration_counts: CommittedConfigurationCounts, 5, Membership, JointQuorum;
    truncation_keeps_configuration: TruncationKeepsConfiguration, 5, Membership, ConfigFollowsLog;
    changes_before_committed: ChangesBeforeCommitted, 5, Membership, OneConfigInFlight;
    changes_before_own_commit: ChangesBeforeOwnCommit, 5, Membership, OneConfigInFlight;
    changes_in_one_step: ChangesInOneStep, 5, Membership, OneConfigInFlight;
    leaves_to_old_voters: LeavesToOldVoters, 5, Membership, OneConfigInFlight;
    lease_from_answer: LeaseFromAnswer, 5, Leases, LeaseExclusive;
    lease_before_own_commit: LeaseBeforeOwnCommit, 5, Leases, LinearizableRead;
    lease_while_transferring: LeaseWhileTransferring, 5, Leases, LeaseExclusive;
    lease_after_abort: LeaseAfterAbort, 3, Leases, LeaseExclusive;
    obeys_past_leaders: ObeysPastLeaders, 5, Leases, LeaseExclusive;
    every_vote_overrides_promise: EveryVoteOverridesPromise, 5, Leases, LeaseExclusive;
    every_campaign_claims_handover: EveryCampaignClaimsHandover, 3, Leases, LeaseExclusive;
    reads_before_own_commit: ReadsBeforeOwnCommit, 5, Faults, LinearizableRead;
    reads_unconfirmed: ReadsUnconfirmed, 5, Leases, LinearizableRead;
    confirms_by_earlier_round: ConfirmsByEarlierRound, 5, Leases, LinearizableRead;
    joins_round_under_way: JoinsRoundUnderWay, 3, Leases, LinearizableRead;
    reads_are_forgotten: ReadsAreForgotten, 5, Faults, ReadProgress;
    stalled_disk_leads: StalledDiskLeads, 5, Faults, CheckQuorumSoundness;
    handover_is_no_reason: HandoverIsNoReason, 5, Recovery, TransferProgress;
    proposes_while_transferring: ProposesWhileTransferring, 5, Recovery, TransferProgress;
    hands_over_too_early: HandsOverTooEarly, 5, Recovery, TransferProgress;
    compacts_uncommitted: CompactsUncommitted, 5, Membership, SnapshotCommitted;
    compacts_unknown_members: CompactsUnknownMembers, 5, Membership, SnapshotCommitted;
    installs_old_snapshots: InstallsOldSnapshots, 5, Membership, CommitMonotonic;
    takes_term_of_snapshot: TakesTermOfSnapshot, 5, Membership, TermMonotonic;
    reports_tell_of_later_writes: ReportsTellOfLaterWrites, 5, Faults, DurableIndexSound;
}

fn finds(setup: Setup) {
    let Watch::Only(claim) = setup.watch else { unreachable!("each row names a claim") };
    let found = Counterexample::to_claim_of(setup);
    let (before, after) = (found.steps_before, found.trace.0.len());
    assert!(after < before || before <= 3, "{before} steps shrank to {after}");
    replays(&setup, &found.trace, claim);
    if std::env::var_os("QUORATE_BLESS").is_some() {
        let name = setup.mutation.map(Mutation::name).unwrap();
        let path = format!("{}/traces/{name}.trace", env!("CARGO_MANIFEST_DIR"));
        std::fs::write(path, found.trace.file(&setup)).unwrap();
    }
}

/// The same steps, read from text, break the same claim again, and none under the sound rules.
fn replays(setup: &Setup, trace: &Trace, claim: Claim) {
    let (read_setup, read) = Trace::parse(&trace.file(setup)).unwrap();
    assert_eq!((&read_setup, &read), (setup, trace));
    let failure = run(&read_setup, &read).unwrap_err();
    assert!(failure.found.contains(Finding::Claim(claim)));
    let sound = run(&Setup::sound(setup.servers, setup.scenario), trace);
    assert!(sound.is_ok(), "the sound rules: {}", sound.unwrap_err());
}
