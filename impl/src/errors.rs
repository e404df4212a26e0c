//! What goes wrong, whether anything happened, and what to do next.

use quorate_spec::{Fatal, Index, NodeId, Refusal};
use thiserror::Error;

use crate::storage::StorageError;

/// Why a proposal was not acknowledged, and what to do next.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ProposeError {
    /// Nothing happened. Only the leader takes proposals, and this node cannot pass them on: it
    /// knows no leader, or has no way for letters.
    #[error("{}", not_leader(*.leader))]
    NotLeader {
        /// The leader to ask, if this node knows it.
        leader: Option<NodeId>,
    },
    /// Nothing happened. There is no connection to the leader at this moment.
    #[error(
        "n{leader} leads and is not reached from here: nothing happened, ask n{leader} itself, or try again soon"
    )]
    Unreachable {
        /// Who leads.
        leader: NodeId,
    },
    /// Nothing happened. The leader hands its leadership over, which takes an election timeout at
    /// most.
    #[error("leadership is being handed over: nothing happened, try again soon")]
    HandingOver,
    /// Nothing happened. More proposals wait than the node takes.
    #[error("too many proposals wait: nothing happened, try again a little later")]
    Overloaded,
    /// Nothing happened. The command is longer than all that may wait together.
    #[error("a command of {length} bytes is more than the {limit} that this node takes: split it")]
    TooLarge {
        /// The command's length in bytes.
        length: usize,
        /// The most that it may have: `Limits::proposal_bytes`.
        limit: usize,
    },
    /// Nothing happened. The node no longer runs.
    #[error("the node has stopped: nothing happened, ask another node")]
    Stopped,
    /// The command was not applied and never will be: another entry was committed in its place.
    #[error("another command took its place: propose it again, to the present leader")]
    Lost,
    /// The node lost its leadership, or stopped, before the command was committed; or the leader
    /// that it was forwarded to has not answered. In a [`Session`](crate::Session) the same numbered command
    /// can be sent again, and is applied once.
    #[error(
        "the command may or may not be applied: look whether it was before you propose it again, \
         or propose in a session, which sends it again safely"
    )]
    OutcomeUnknown,
    /// The command was not applied by this attempt. Whether an earlier attempt was is no longer known.
    #[error(
        "the session has expired: this attempt was not applied, an earlier one may have been; open \
         another session, and look before you propose it again"
    )]
    SessionExpired,
    /// The command was not applied by this attempt: its client had said that it waits for it no more.
    #[error(
        "the command was withdrawn: this attempt was not applied, an earlier one may have been"
    )]
    Withdrawn,
    /// The command was applied before, and its answer was longer than what is kept:
    /// `SessionLimits::answer_bytes`.
    #[error(
        "the command was applied by an earlier attempt, and its answer was too long to be kept: read what you need"
    )]
    AnswerNotKept,
    /// Nothing happened. So many commands of the session wait for their clients to be done with them
    /// as a session may have: `SessionLimits::open_commands`.
    #[error(
        "too many commands of this session are open: nothing happened, drop those that are done"
    )]
    TooManyOpen,
    /// The command was committed and not applied: this version does not know how it is written.
    #[error("the entry is of a format that this node does not know: run one version everywhere")]
    Unreadable,
}

impl ProposeError {
    /// Whether the same command, sent again a little later, may well be applied. For
    /// [`ProposeError::OutcomeUnknown`] that is safe in a [`Session`](crate::Session) only.
    #[must_use]
    pub fn is_worth_retrying(&self) -> bool {
        match self {
            ProposeError::NotLeader { .. }
            | ProposeError::Unreachable { .. }
            | ProposeError::HandingOver
            | ProposeError::Overloaded
            | ProposeError::Lost
            | ProposeError::OutcomeUnknown
            | ProposeError::TooManyOpen => true,
            ProposeError::TooLarge { .. }
            | ProposeError::Stopped
            | ProposeError::SessionExpired
            | ProposeError::Withdrawn
            | ProposeError::AnswerNotKept
            | ProposeError::Unreadable => false,
        }
    }
}

fn not_leader(leader: Option<NodeId>) -> String {
    Refusal::NotLeader { leader }.to_string()
}

/// Why a node does not campaign.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum CampaignError {
    /// The protocol does not allow it now.
    #[error("the node does not campaign: {0}")]
    Refused(Refusal),
    /// The node no longer runs.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// Why a change of the members is not known to be complete, and what to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ChangeError {
    /// Nothing happened. The protocol does not allow it, or not now.
    #[error("the members do not change: {0}")]
    Refused(Refusal),
    /// Nothing happened. A server is named that this node has no way to.
    #[error("node {0} is not known here: start it where this node reaches it, or name another one")]
    Unknown(NodeId),
    /// Another change was asked for while this one waited for its new voters to catch up.
    #[error("another change took its place: look at the members before you ask again")]
    Replaced,
    /// The node lost its leadership, or stopped, before the change was complete. Whoever leads next
    /// goes on with it, if it has heard of it.
    #[error("the change may or may not complete: look at the members before you ask again")]
    OutcomeUnknown,
    /// The node no longer runs.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The node no longer runs.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the node has stopped: `Handle::stopped` says why")]
pub struct Stopped;

/// Why a node stopped.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StopReason {
    /// Somebody asked it to, or dropped the last handle. Everything it issued is written.
    #[error("it was shut down")]
    Shutdown,
    /// It was killed, or panicked.
    #[error("it was killed or panicked")]
    Killed,
    /// A write failed, and a node that cannot write cannot promise anything.
    #[error(transparent)]
    Storage(StorageError),
    /// The state machine could not go on: it did not answer each command, or cannot read a snapshot.
    #[error("the state machine failed, and nothing after that is applied: {0}")]
    MachineFailed(String),
    /// The state machine panicked.
    #[error(
        "the state machine panicked: its commands from the last one applied on are not applied"
    )]
    MachineGone,
    /// The storage does not have an entry that the protocol counts on.
    #[error("the content of entry {0} is missing: restore this node from the others")]
    ContentMissing(Index),
    /// A leader contradicts an entry that is committed here.
    #[error("{0}; keep the disks of all nodes as they are, and report it")]
    SafetyViolated(Fatal),
}
