//! What every cluster here can do, so that the same clients measure all of them.

use crate::Failure;

/// What a client asks for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Operation {
    /// A command that is durable on a quorum, applied and answered.
    Proposal,
    /// A read that is linearizable whatever clocks do: the leader asks a quorum first.
    Read,
}

impl Operation {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Operation::Proposal => "proposals",
            Operation::Read => "linearizable reads",
        }
    }
}

/// A running cluster of three nodes.
pub(crate) trait Contender {
    /// A way to its leader.
    type Client: Clone + Send + Sync + 'static;

    fn client(&self) -> Self::Client;

    /// How often the leader has synced its log.
    fn syncs(&self) -> u64;

    /// One operation, from the question to the answer.
    fn perform(
        client: &Self::Client,
        operation: Operation,
        command: &[u8],
    ) -> impl Future<Output = Result<(), Failure>> + Send;
}
