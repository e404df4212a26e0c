//! The mutants whose counterexamples are looked at in the Explorer.

use quorate_model::mutation::Mutation;

/// Mutants of elections, pre-votes, commits, disks, and one that is only seen by running on.
pub(crate) const MUTANTS: [Mutation; 6] = [
    Mutation::CountsOldVotes,
    Mutation::PreVoteRaisesTerm,
    Mutation::CommitsBeyondValidated,
    Mutation::AcksBeforeDurable,
    Mutation::VotesInsidePromise,
    Mutation::NeverStepsDown,
];
