//! The mutants whose counterexamples are looked at in the Explorer.

use quorate_model::mutation::Mutation;

/// Mutants of elections, pre-votes, commits, disks, quorums, reads, leases, snapshots, and one that is
/// only seen by running on.
pub(crate) const MUTANTS: [Mutation; 12] = [
    Mutation::CountsOldVotes,
    Mutation::PreVoteRaisesTerm,
    Mutation::CommitsBeyondValidated,
    Mutation::AcksBeforeDurable,
    Mutation::VotesInsidePromise,
    Mutation::NeverStepsDown,
    Mutation::HalfIsAQuorum,
    Mutation::IgnoresLogs,
    Mutation::PersistsOnlyTerms,
    Mutation::ReadsUnconfirmed,
    Mutation::LeaseOneTickLonger,
    Mutation::KeepsConflictingLog,
];
