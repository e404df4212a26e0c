//! What the rest of the program holds of a running node.

use std::sync::Arc;

use quorate_spec::{
    Configuration, EntryId, Fatal, Index, NodeId, ReadView, Refusal, RoleName, Target, Term,
};
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot, watch};

use crate::pending::{Answer, Proposal};
use crate::reads::{ReadError, ReadLevel, ReadPath};
use crate::record::Payload;
use crate::storage::StorageError;
use crate::transfers::{self, TransferError};

/// A running node, to talk to. Clones talk to the same node; when the last one is dropped, the
/// node shuts down.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) id: NodeId,
    pub(crate) proposals: mpsc::Sender<Proposal>,
    /// One permit for each byte of a command that may wait.
    pub(crate) bytes: Arc<Semaphore>,
    pub(crate) proposal_bytes: usize,
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) reads: ReadPath,
    pub(crate) view: watch::Receiver<ReadView>,
    pub(crate) stopped: watch::Receiver<Option<StopReason>>,
}

/// What an operator asks of the owner of a node.
#[derive(Debug)]
pub(crate) enum Control {
    Status(oneshot::Sender<Status>),
    Campaign(oneshot::Sender<Option<Refusal>>),
    ChangeMembers(Target, oneshot::Sender<Result<(), ChangeError>>),
    Transfer(NodeId, transfers::Answer),
    Shutdown,
}

/// Why a proposal was not acknowledged, and what to do next.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum ProposeError {
    /// Nothing happened. Only the leader takes proposals.
    #[error("{}", not_leader(*.leader))]
    NotLeader {
        /// The leader to ask, if this node knows it.
        leader: Option<NodeId>,
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
    /// The node lost its leadership, or stopped, before the command was committed.
    #[error(
        "the command may or may not be applied: look whether it was before you propose it again"
    )]
    OutcomeUnknown,
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

/// A look at a node.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Status {
    /// The node's identity.
    pub id: NodeId,
    /// Its role.
    pub role: RoleName,
    /// Its term.
    pub term: Term,
    /// Whom it voted for in this term.
    pub voted_for: Option<NodeId>,
    /// The leader of this term, if the node knows it.
    pub leader: Option<NodeId>,
    /// The last entry that its snapshot covers; its log begins after that.
    pub base: EntryId,
    /// The last entry of its log.
    pub last: EntryId,
    /// The members, by the latest configuration in its log.
    pub configuration: Configuration,
    /// Up to where its log is durable.
    pub durable_index: Index,
    /// Up to where its log is committed.
    pub commit_index: Index,
    /// The last entry that its state machine has applied.
    pub applied: Index,
    /// How many writes are not durable yet.
    pub unwritten: usize,
    /// How many messages wait for a write.
    pub held: usize,
    /// How many proposals wait to be committed.
    pub waiting: usize,
    /// How many reads wait for the index at which they may be served.
    pub waiting_reads: usize,
    /// To whom it is handing its leadership over.
    pub handing_over_to: Option<NodeId>,
    /// How many messages, in or out, were dropped because contents did not fit their entries.
    pub dropped: u64,
}

impl Handle {
    /// The node's identity.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Has a command replicated, and returns the name of its entry once this node, the leader, has
    /// applied it. Dropping the future does not withdraw the command.
    ///
    /// # Errors
    /// [`ProposeError`] says for each case whether anything happened, and what to do next.
    pub async fn propose(&self, command: impl Into<Payload>) -> Result<EntryId, ProposeError> {
        let payload = command.into();
        let room = self.room_for(payload.len())?;
        let (answer, outcome) = oneshot::channel();
        let answer = Answer { client: answer, room };
        self.proposals.try_send(Proposal { payload, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
        })?;
        outcome.await.unwrap_or(Err(ProposeError::OutcomeUnknown))
    }

    /// Room for a command of so many bytes, until its client has an answer.
    fn room_for(&self, length: usize) -> Result<OwnedSemaphorePermit, ProposeError> {
        let limit = self.proposal_bytes;
        if length > limit {
            return Err(ProposeError::TooLarge { length, limit });
        }
        let permits =
            u32::try_from(length).map_err(|_| ProposeError::TooLarge { length, limit })?;
        let room = Arc::clone(&self.bytes).try_acquire_many_owned(permits);
        room.map_err(|_| ProposeError::Overloaded)
    }

    /// Waits until the caller may look at this node's state machine, and returns the index of an
    /// entry that it has applied by then: the machine then shows everything that this `level`
    /// promises, of whatever it has applied up to that entry or after it. The machine is the
    /// caller's own, shared with whoever reads it, and this crate does not ask it anything.
    ///
    /// Any node can be asked; one that follows asks its leader. While no leader is known the read
    /// waits. Dropping the future withdraws it.
    ///
    /// ```no_run
    /// # use std::{collections::BTreeMap, sync::{Arc, RwLock}};
    /// # use quorate::{Handle, ReadError, ReadLevel};
    /// # async fn get(handle: &Handle, map: Arc<RwLock<BTreeMap<String, u64>>>) -> Result<(), ReadError> {
    /// handle.read(ReadLevel::Lease).await?;
    /// // `map` is what the node's state machine writes to.
    /// let value = map.read().expect("no writer panics").get("key").copied();
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ReadError`] says for each case what to do next.
    pub async fn read(&self, level: ReadLevel) -> Result<Index, ReadError> {
        self.reads.read(level).await
    }

    /// What the node published last: term, leader, commit index, lease.
    #[must_use]
    pub fn view(&self) -> ReadView {
        *self.view.borrow()
    }

    /// Follows what the node publishes. A slow reader sees the latest view, not every one, and is
    /// not woken where a lease only becomes longer.
    #[must_use]
    pub fn watch(&self) -> watch::Receiver<ReadView> {
        self.view.clone()
    }

    /// Asks the node itself how it is: the answer is the state between two steps.
    ///
    /// # Errors
    /// The node has stopped.
    pub async fn status(&self) -> Result<Status, Stopped> {
        self.ask(Control::Status).await
    }

    /// Asks the node to campaign now, as far as its promise allows.
    ///
    /// # Errors
    /// The protocol refuses it, or the node has stopped.
    pub async fn campaign(&self) -> Result<(), CampaignError> {
        match self.ask(Control::Campaign).await? {
            Some(refusal) => Err(CampaignError::Refused(refusal)),
            None => Ok(()),
        }
    }

    /// Has the cluster changed to these members, whatever they are now, and returns when that is
    /// complete: servers are added, removed, replaced, promoted and demoted by one request to the
    /// leader. A server that is to be added runs on an empty disk, which names no cluster, and under
    /// an identity that nobody had before it. Dropping the future does not withdraw the request.
    ///
    /// A new voter that never catches up holds up nothing but the change: ask for other members
    /// instead, the present ones if need be.
    ///
    /// # Errors
    /// [`ChangeError`] says for each case whether anything happened, and what to do next.
    pub async fn change_members(
        &self,
        voters: impl IntoIterator<Item = NodeId>,
        learners: impl IntoIterator<Item = NodeId>,
    ) -> Result<(), ChangeError> {
        let (voters, learners) = (voters.into_iter().collect(), learners.into_iter().collect());
        let (answer, reply) = oneshot::channel();
        let asked = Control::ChangeMembers(Target { voters, learners }, answer);
        self.control.send(asked).await.map_err(|_| Stopped)?;
        reply.await.unwrap_or(Err(ChangeError::OutcomeUnknown))
    }

    /// Has leadership handed over to another voter, and returns once that one leads. Until then, or
    /// until an election timeout has passed, proposals are refused as [`ProposeError::HandingOver`],
    /// and reads at the level of a lease ask a quorum. Dropping the future does not withdraw the
    /// request.
    ///
    /// # Errors
    /// [`TransferError`] says for each case whether anything happened, and what to do next.
    pub async fn transfer(&self, to: NodeId) -> Result<(), TransferError> {
        let (answer, reply) = oneshot::channel();
        self.control.send(Control::Transfer(to, answer)).await.map_err(|_| Stopped)?;
        reply.await.unwrap_or(Err(TransferError::OutcomeUnknown))
    }

    /// Waits until the node has stopped, and says why it did.
    pub async fn stopped(&self) -> StopReason {
        let mut stopped = self.stopped.clone();
        let reason = stopped.wait_for(Option::is_some).await;
        // Where the node's task went without a word, it was killed or panicked.
        reason.ok().and_then(|reason| reason.clone()).unwrap_or(StopReason::Killed)
    }

    async fn ask<T>(
        &self,
        question: impl FnOnce(oneshot::Sender<T>) -> Control,
    ) -> Result<T, Stopped> {
        let (answer, reply) = oneshot::channel();
        self.control.send(question(answer)).await.map_err(|_| Stopped)?;
        reply.await.map_err(|_| Stopped)
    }
}
