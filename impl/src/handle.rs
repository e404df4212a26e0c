//! What the rest of the program holds of a running node.

use std::sync::{Arc, Weak};

use quorate_spec::{
    Configuration, EntryId, Index, NodeId, ReadView, Refusal, RoleName, Target, Term,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::errors::{CampaignError, ChangeError, ProposeError, StopReason, Stopped};
use crate::forward::Forwarder;
use crate::inbox::Level;
use crate::machine::Applied;
use crate::metrics::{Metrics, Sample};
use crate::pending::Proposer;
use crate::reads::{ReadError, ReadLevel, ReadPath};
use crate::record::Payload;
use crate::session::Session;
use crate::sessions::{self, SessionId};
use crate::transfers::{self, TransferError};
use crate::transport::Transport;
use crate::vitals::VitalsWatch;

/// A running node, to talk to. Clones talk to the same node; when the last one is dropped, the
/// node shuts down.
#[derive(Clone, Debug)]
pub struct Handle {
    pub(crate) id: NodeId,
    pub(crate) proposer: Proposer,
    /// None where the node has no way for letters.
    pub(crate) forwarder: Option<Forwarder>,
    pub(crate) control: mpsc::Sender<Control>,
    pub(crate) reads: ReadPath,
    pub(crate) view: watch::Receiver<ReadView>,
    pub(crate) vitals: VitalsWatch,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) inbox: Level,
    /// A handle does not keep the connections open.
    pub(crate) transport: Weak<dyn Transport>,
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
    /// How many messages, in or out, were dropped: their contents did not fit or were gone, or too many
    /// waited for a write.
    pub dropped: u64,
    /// How often the node did not run for an election timeout or longer: the process was stopped,
    /// the machine suspended, or the processors were busy elsewhere.
    pub pauses: u64,
}

/// How often a proposal is passed on to a leader that another node has named.
const ATTEMPTS: usize = 3;

impl Handle {
    /// The node's identity.
    #[must_use]
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// Has a command replicated, and returns what the machine of the leader answered once it has
    /// applied it. A node that follows sends the command on to its leader. Dropping the future
    /// does not withdraw the command.
    ///
    /// A command is proposed once. To try again until the outcome is known use a [`Session`].
    ///
    /// # Errors
    /// [`ProposeError`] says for each case whether anything happened, and what to do next.
    pub async fn propose(&self, command: impl Into<Vec<u8>>) -> Result<Applied, ProposeError> {
        self.submit(sessions::plain(command.into())).await
    }

    /// Opens a session: its commands are applied exactly once, however often they are sent.
    ///
    /// # Errors
    /// As for [`Handle::propose`]. It may be tried again whatever the error: a session that nobody
    /// uses is forgotten in time.
    pub async fn open_session(&self) -> Result<Session, ProposeError> {
        let opened = self.submit(sessions::open()).await?;
        Ok(Session::new(SessionId(opened.entry.index.0)))
    }

    /// Proposes an entry here or at the leader. A node that does not lead does nothing with it and
    /// names the leader, which is asked next; leaders may change meanwhile, but not for long.
    pub(crate) async fn submit(&self, entry: Payload) -> Result<Applied, ProposeError> {
        if self.proposer.is_closed() {
            return Err(ProposeError::Stopped);
        }
        let mut leader = self.view().leader.unwrap_or(self.id);
        for _ in 0..ATTEMPTS {
            let outcome = match &self.forwarder {
                Some(forwarder) if leader != self.id => {
                    let _room = self.proposer.room_for(&entry)?;
                    forwarder.send(leader, Payload::clone(&entry)).await
                }
                _ => self.proposer.propose(Payload::clone(&entry)).await,
            };
            match outcome {
                Err(ProposeError::NotLeader { leader: Some(named) })
                    if self.forwarder.is_some() && named != leader =>
                {
                    leader = named;
                }
                outcome => return outcome,
            }
        }
        Err(ProposeError::NotLeader { leader: Some(leader) })
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

    /// How the node is, and how that changes: role, term, leader, and how far its log and its machine
    /// have come. It does not go through the node's owner.
    #[must_use]
    pub fn vitals(&self) -> VitalsWatch {
        self.vitals.clone()
    }

    /// What the node counts and measures, as text that Prometheus reads: serve it as
    /// `application/openmetrics-text; version=1.0.0; charset=utf-8`.
    #[must_use]
    pub fn metrics(&self) -> String {
        self.metrics.render(&Sample {
            vitals: self.vitals.now(),
            lease_left: self.reads.lease_left(),
            queued_proposals: self.proposer.queued(),
            proposal_bytes: self.proposer.waiting_bytes(),
            waiting_reads: self.reads.waiting(),
            forwarded: self.forwarder.as_ref().map_or(0, Forwarder::len),
            inbox: self.inbox.clone(),
            traffic: self.transport.upgrade().map(|it| it.traffic()).unwrap_or_default(),
        })
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
