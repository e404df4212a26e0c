//! One node: started on a storage, a transport, a clock and a state machine.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_spec::{Effects, EntryId, Index, Moment, NodeId, Params, ParamsError, Protocol, Sound};
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;

use crate::apply::{Applier, Delivery, Snapshots, StateMachine};
use crate::changes::Changes;
use crate::clock::Clock;
use crate::driver::{Driver, Inputs};
use crate::handle::{Control, Handle, StopReason};
use crate::outbox::Outbox;
use crate::pending::Pending;
use crate::published::Published;
use crate::random::Random;
use crate::reads::{ReadPath, Reads};
use crate::storage::Storage;
use crate::transfers::Transfers;
use crate::transport::{Packet, Transport};

/// Who the node is and how it behaves.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Its identity: the one that its storage was made for, and nobody else's, ever.
    pub id: NodeId,
    /// The parameters of the cluster, in the unit of the node's clock: see
    /// [`span`](crate::clock::span). Reads at the level of a lease ask nobody where the parameters
    /// have one: see [`Params::with_lease`].
    pub params: Params,
    /// Where its random numbers begin. Different for each node, or their elections collide.
    pub seed: u64,
    /// How much it takes at once.
    pub limits: Limits,
}

/// How much a node takes at once, and keeps waiting.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Proposals that wait for their turn; more are refused as `Overloaded`.
    pub queued_proposals: usize,
    /// Proposals that become one write.
    pub proposals_per_write: usize,
    /// Proposals that wait to be committed; the others wait in the queue meanwhile.
    pub waiting_proposals: usize,
    /// Reads that wait for an index, or for that to be applied; more are refused as `Overloaded`.
    pub waiting_reads: usize,
    /// Writes that are not durable; proposals wait meanwhile.
    pub unwritten_writes: usize,
    /// Bytes of commands that are queued or wait to be committed; more are refused as
    /// `Overloaded`, and a longer command is always.
    pub proposal_bytes: usize,
    /// Entries in one request to a peer; `Params::max_in_flight` requests may be under way to it.
    pub entries_per_request: u64,
    /// Bytes of commands in one request to a peer. A longer command travels alone.
    pub bytes_per_request: usize,
    /// Batches of committed entries that wait for the state machine, and entries in each.
    pub batches: usize,
    /// See [`Limits::batches`].
    pub entries_per_batch: usize,
    /// Entries that are applied between two snapshots of the state machine; the log keeps them and
    /// those that were applied since. With `u64::MAX` there is no snapshot.
    pub entries_per_snapshot: u64,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            queued_proposals: 1024,
            proposals_per_write: 256,
            waiting_proposals: 4096,
            waiting_reads: 4096,
            unwritten_writes: 64,
            proposal_bytes: 64 << 20,
            entries_per_request: 256,
            bytes_per_request: 1 << 20,
            batches: 4,
            entries_per_batch: 256,
            entries_per_snapshot: 65_536,
        }
    }
}

/// Why a node does not start.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum StartError {
    /// The parameters are not fit for production.
    #[error("the parameters do not fit: {0}")]
    Params(ParamsError),
    /// There is a lease, and the clock does not promise what it rests on.
    #[error(
        "a lease needs a clock that counts suspended time, and this node's does not: \
         start every node without leases, or give it another clock"
    )]
    ClockStops,
    /// The storage's log begins with a snapshot whose state it does not have.
    #[error("the state after entry {} is missing: restore this node from the others", .0.index)]
    StateMissing(EntryId),
}

/// What a node runs on.
pub struct Parts<S, M> {
    /// Its disk, opened.
    pub storage: S,
    /// Its way to the others.
    pub transport: Arc<dyn Transport>,
    /// What arrives from the others.
    pub packets: mpsc::Receiver<Packet>,
    /// Its clock.
    pub clock: Arc<dyn Clock>,
    /// Its state machine, in the state before the first entry. Where the storage has a snapshot, the
    /// machine is restored from that first.
    pub machine: M,
}

/// A node that runs. Dropping it leaves the node running for as long as there are handles.
#[derive(Debug)]
pub struct RunningNode {
    handle: Handle,
    driver: JoinHandle<()>,
    applier: Applier,
}

/// Starts a node from what its storage recovered, on the present tokio runtime.
///
/// # Errors
/// [`StartError::Params`] where [`Params::validate`] refuses, [`StartError::ClockStops`] where the
/// clock does not do for the lease, [`StartError::StateMissing`] where the storage is not whole.
///
/// # Panics
/// Outside a tokio runtime.
pub fn start<S: Storage, M: StateMachine>(
    options: Options,
    parts: Parts<S, M>,
) -> Result<RunningNode, StartError> {
    let Options { id, params, seed, limits } = options;
    params.validate().map_err(StartError::Params)?;
    let Parts { storage, transport, packets, clock, mut machine } = parts;
    if params.lease.is_some() && !clock.counts_suspended_time() {
        return Err(StartError::ClockStops);
    }
    let protocol = Protocol { rules: Sound, params };
    let mut random = Random::seeded(seed);
    let moment = Moment { now: clock.now(), draw: random.next() };
    let node = protocol.start(id, storage.recovered(), moment);
    let base = node.log().base();
    if base.index > Index::ZERO {
        let state = storage.state(base).ok_or(StartError::StateMissing(base))?;
        machine.restore(&state.bytes);
    }

    let (proposals, proposals_out) = mpsc::channel(limits.queued_proposals);
    let (control, control_out) = mpsc::channel(CONTROLS);
    let (readers_in, readers) = mpsc::channel(limits.waiting_reads.max(1));
    let shown = protocol.read_view(&node);
    let published = Arc::new(Published::new(shown, node.commit_index()));
    let (view_in, view) = watch::channel(shown);
    let (stopped_in, stopped) = watch::channel(None);
    let (batches_in, batches) = mpsc::channel(limits.batches);
    let (taken, snapshots) = mpsc::channel(1);
    let every = Snapshots { every: limits.entries_per_snapshot.max(1), taken };
    let applier =
        Applier::start(machine, node.commit_index(), batches, every, Arc::clone(&published));
    let reads = ReadPath {
        clock: Arc::clone(&clock),
        published: Arc::clone(&published),
        applied: applier.applied(),
        readers: readers_in,
        room: Arc::new(Semaphore::new(limits.waiting_reads)),
    };
    let inputs = Inputs {
        control: control_out,
        progress: storage.progress(),
        packets,
        proposals: proposals_out,
        readers,
        snapshots,
        taken: Vec::new(),
        came: Vec::new(),
    };
    let delivery = Delivery::new(node.commit_index(), batches_in, limits.entries_per_batch);
    let driver = Driver {
        protocol,
        node,
        limits,
        clock,
        random,
        storage,
        outbox: Outbox::new(id, transport),
        delivery,
        pending: Pending::default(),
        changes: Changes::default(),
        transfers: Transfers::default(),
        reads: Reads::new(),
        inputs,
        published,
        view: view_in,
        applied: applier.applied(),
        effects: Effects::default(),
        kept: base.index,
        moving: BTreeMap::new(),
        incomplete: 0,
    };
    Ok(RunningNode {
        handle: Handle {
            id,
            proposals,
            bytes: Arc::new(Semaphore::new(limits.proposal_bytes)),
            proposal_bytes: limits.proposal_bytes,
            control,
            reads,
            view,
            stopped,
        },
        driver: tokio::spawn(announce(driver, stopped_in)),
        applier,
    })
}

/// Operators' questions that wait; the one after them waits to ask.
const CONTROLS: usize = 16;

async fn announce<S: Storage>(driver: Driver<S>, stopped: watch::Sender<Option<StopReason>>) {
    let reason = driver.run().await;
    stopped.send_replace(Some(reason));
}

impl RunningNode {
    /// The way to talk to it.
    #[must_use]
    pub fn handle(&self) -> &Handle {
        &self.handle
    }

    /// Shuts the node down: its clients are answered, what it issued is written, and what it
    /// handed to its state machine is applied. Dropping the future does not stop the shutdown.
    pub async fn shutdown(self) -> StopReason {
        // A node that has stopped already does not listen.
        let _ = self.handle.control.send(Control::Shutdown).await;
        let reason = self.handle.stopped().await;
        self.applier.ended().await;
        reason
    }

    /// Ends the node between two steps, as a crash would: nobody is told, nothing is finished but
    /// the command that the state machine is applying.
    pub async fn kill(self) {
        self.driver.abort();
        self.applier.kill();
        // It ends by being aborted, if not before.
        let _ = self.driver.await;
        self.applier.ended().await;
    }
}
