//! One node: started on a storage, a transport, a clock and a state machine.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use quorate_spec::durable::HardState;
use quorate_spec::{
    Effects, EntryId, Index, Moment, Node, NodeId, Params, ParamsError, Protocol, ReadView, Sound,
};
use quorate_sync::Published;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, watch};
use tokio::task::JoinHandle;
use tracing::{Instrument, info_span};

use crate::apply::{Applier, Delivery, Snapshots, Work};
use crate::changes::Changes;
use crate::clock::Clock;
use crate::driver::{Driver, Inputs};
use crate::errors::StopReason;
use crate::fetches::Fetches;
use crate::forward::{ForwardLimits, Forwarder, Mail};
use crate::handle::{Control, Handle};
use crate::inbox::{Inbox, Level};
use crate::limits::{Limits, LimitsError};
use crate::machine::StateMachine;
use crate::metrics::Metrics;
use crate::observe::Observer;
use crate::order::Promise;
use crate::outbox::Outbox;
use crate::pending::{Pending, Proposal, Proposer};
use crate::random::Random;
use crate::reads::{ReadPath, Reader, Reads};
use crate::record::MachineState;
use crate::sessions::{SessionLimits, Sessions};
use crate::setting::Setting;
use crate::storage::Storage;
use crate::transfers::Transfers;
use crate::transport::{Packet, Transport};
use crate::vitals::{Vitals, VitalsWatch};

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

/// Why a node does not start.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum StartError {
    /// The parameters are not fit for production.
    #[error("the parameters do not fit: {0}")]
    Params(ParamsError),
    /// The limits do not fit each other.
    #[error("the limits do not fit: {0}")]
    Limits(LimitsError),
    /// There is a lease, and the clock does not promise what it rests on.
    #[error(
        "a lease needs a clock that counts suspended time, and this node's does not: \
         start every node without leases, or give it another clock"
    )]
    ClockStops,
    /// The storage's log begins with a snapshot whose state it does not have.
    #[error("the state after entry {} is missing: restore this node from the others", .0.index)]
    StateMissing(EntryId),
    /// The state machine cannot read the state that it is to begin with.
    #[error("the snapshot up to entry {} is not read: {why}", .last.index)]
    NotRestored {
        /// The last entry that it covers.
        last: EntryId,
        /// What the machine says.
        why: String,
    },
}

/// What a node runs on.
pub struct Parts<S, M> {
    /// Its disk, opened.
    pub storage: S,
    /// Its way to the others.
    pub transport: Arc<dyn Transport>,
    /// What arrives from the others.
    pub packets: Inbox<Packet>,
    /// Its way for letters. Without one, a node that follows refuses proposals and names the
    /// leader.
    pub mail: Option<Mail>,
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
/// [`StartError::Params`] where [`Params::validate`] refuses, [`StartError::Limits`] where
/// [`Limits::validate`] does, [`StartError::ClockStops`] where the clock does not do for the lease,
/// [`StartError::StateMissing`] and [`StartError::NotRestored`] where the storage is not whole, or is
/// another machine's.
///
/// # Panics
/// Outside a tokio runtime.
pub fn start<S: Storage, M: StateMachine>(
    options: Options,
    parts: Parts<S, M>,
) -> Result<RunningNode, StartError> {
    start_in(Setting::default(), options, parts)
}

/// The same, in this setting.
pub(crate) fn start_in<S: Storage, M: StateMachine>(
    setting: Setting,
    options: Options,
    parts: Parts<S, M>,
) -> Result<RunningNode, StartError> {
    let Options { id, params, seed, limits } = options;
    params.validate().map_err(StartError::Params)?;
    limits.validate().map_err(StartError::Limits)?;
    let Parts { mut storage, transport, packets, mail, clock, machine } = parts;
    if params.lease.is_some() && !clock.counts_suspended_time() {
        return Err(StartError::ClockStops);
    }
    // The threads and tasks that are started here say whose they are.
    let span = info_span!("node", %id);
    let within = span.enter();
    let protocol = Protocol { rules: Sound, params };
    let mut random = Random::seeded(seed);
    let moment = Moment { now: clock.now(), draw: random.next() };
    let mut recovered = storage.recovered();
    if !setting.keeps(Promise::StartsFromTheDisk) {
        recovered.hard_state = HardState::default();
    }
    let node = protocol.start(id, recovered, moment);
    let machine = restored(machine, limits.sessions, node.log().base(), &mut storage)?;
    setting.starts(&node);

    let (ends, queues) = queues(&limits);
    let metrics = Arc::new(Metrics::of(id, &storage.syncs()));
    let (shows, shown) = panes(&protocol, &node, Arc::clone(&metrics));
    let snapshotting = Snapshots {
        every: limits.entries_per_snapshot.max(1),
        taken: ends.taken.clone(),
        metrics: Arc::clone(&metrics),
    };
    let (from, shown_to) = (node.commit_index(), Arc::clone(&shown.published));
    let applier = Applier::start(machine, from, queues.batches, snapshotting, shown_to, &setting);
    let around = Around {
        inbox: packets.level(),
        transport: Arc::downgrade(&transport),
        clock: Arc::clone(&clock),
        applied: applier.applied(),
    };
    let handle = handle(&options, around, &ends, shown, mail, setting.first_name());
    let inputs = Inputs {
        control: queues.control,
        progress: storage.progress(),
        packets,
        proposals: queues.proposals,
        readers: queues.readers,
        snapshots: queues.snapshots,
        taken: Vec::new(),
        came: Vec::new(),
    };
    let beginning = Beginning { protocol, node, random, storage, transport, clock, setting };
    let driver = driver(beginning, limits, inputs, ends.batches, &applier, shows.owner);
    drop(within);
    let driver = tokio::spawn(announce(driver, shows.stopped).instrument(span));
    Ok(RunningNode { handle, driver, applier })
}

/// The ends of a node's queues into which something is put.
struct Ends {
    control: mpsc::Sender<Control>,
    proposals: mpsc::Sender<Proposal>,
    readers: mpsc::Sender<Reader>,
    batches: mpsc::Sender<Work>,
    taken: mpsc::Sender<MachineState>,
}

/// Those from which it is taken.
struct Queues {
    control: mpsc::Receiver<Control>,
    proposals: mpsc::Receiver<Proposal>,
    readers: mpsc::Receiver<Reader>,
    batches: mpsc::Receiver<Work>,
    snapshots: mpsc::Receiver<MachineState>,
}

fn queues(limits: &Limits) -> (Ends, Queues) {
    let (control_in, control) = mpsc::channel(CONTROLS);
    let (proposals_in, proposals) = mpsc::channel(limits.queued_proposals);
    let (readers_in, readers) = mpsc::channel(limits.waiting_reads.max(1));
    let (batches_in, batches) = mpsc::channel(limits.batches);
    let (taken, snapshots) = mpsc::channel(1);
    let ends = Ends {
        control: control_in,
        proposals: proposals_in,
        readers: readers_in,
        batches: batches_in,
        taken,
    };
    (ends, Queues { control, proposals, readers, batches, snapshots })
}

/// What a node shows of itself, to whoever has a handle.
struct Shown {
    published: Arc<Published>,
    view: watch::Receiver<ReadView>,
    vitals: watch::Receiver<Vitals>,
    stopped: watch::Receiver<Option<StopReason>>,
    metrics: Arc<Metrics>,
}

/// The other side of it.
struct Shows {
    owner: Owned,
    stopped: watch::Sender<Option<StopReason>>,
}

/// What the owner shows.
struct Owned {
    published: Arc<Published>,
    view: watch::Sender<ReadView>,
    vitals: watch::Sender<Vitals>,
    metrics: Arc<Metrics>,
}

fn panes(protocol: &Protocol, node: &Node, metrics: Arc<Metrics>) -> (Shows, Shown) {
    let first = protocol.read_view(node);
    let published = Arc::new(Published::new(first, node.commit_index()));
    let (view_in, view) = watch::channel(first);
    let (vitals_in, vitals) = watch::channel(Vitals::of(node, node.commit_index()));
    let (stopped_in, stopped) = watch::channel(None);
    let owner = Owned {
        published: Arc::clone(&published),
        view: view_in,
        vitals: vitals_in,
        metrics: Arc::clone(&metrics),
    };
    let shows = Shows { owner, stopped: stopped_in };
    (shows, Shown { published, view, vitals, stopped, metrics })
}

/// What is around the owner of a node, as its handles see it.
struct Around {
    inbox: Level,
    transport: Weak<dyn Transport>,
    clock: Arc<dyn Clock>,
    applied: watch::Receiver<Index>,
}

fn handle(
    options: &Options,
    around: Around,
    ends: &Ends,
    shown: Shown,
    mail: Option<Mail>,
    first_ticket: u64,
) -> Handle {
    let Options { id, limits, .. } = options;
    let Around { inbox, transport, clock, applied } = around;
    let Shown { published, view, vitals, stopped, metrics } = shown;
    let proposer = Proposer {
        proposals: ends.proposals.clone(),
        bytes: Arc::new(Semaphore::new(limits.proposal_bytes)),
        most_bytes: limits.proposal_bytes,
    };
    let forwarding =
        ForwardLimits { most: limits.forwarded_proposals, patience: limits.forward_patience };
    let forwarder =
        mail.map(|mail| Forwarder::start(mail, proposer.clone(), forwarding, first_ticket));
    Handle {
        id: *id,
        forwarder,
        proposer,
        control: ends.control.clone(),
        reads: ReadPath {
            clock,
            published,
            applied: applied.clone(),
            readers: ends.readers.clone(),
            room: Arc::new(Semaphore::new(limits.waiting_reads)),
            most: limits.waiting_reads,
        },
        view,
        vitals: VitalsWatch { owner: vitals, applied },
        metrics,
        inbox,
        transport,
        stopped,
    }
}

/// What the owner of a node begins with.
struct Beginning<S> {
    protocol: Protocol,
    node: Node,
    random: Random,
    storage: S,
    transport: Arc<dyn Transport>,
    clock: Arc<dyn Clock>,
    setting: Setting,
}

fn driver<S: Storage>(
    beginning: Beginning<S>,
    limits: Limits,
    inputs: Inputs,
    batches: mpsc::Sender<Work>,
    applier: &Applier,
    shows: Owned,
) -> Driver<S> {
    let Beginning { protocol, node, random, storage, transport, clock, setting } = beginning;
    let Owned { published, view, vitals, metrics } = shows;
    let base = node.log().base().index;
    Driver {
        kept: base,
        offered: base,
        handed: Index::ZERO,
        reported: Index::ZERO,
        limits,
        random,
        storage,
        fetches: Fetches::new(&limits),
        outbox: Outbox::new(node.id(), transport, limits.most_held(), metrics.dropped.clone()),
        delivery: Delivery::new(node.commit_index(), batches, limits.most_in_batch()),
        pending: Pending::default(),
        changes: Changes::default(),
        transfers: Transfers::default(),
        reads: Reads::new(setting.first_name()),
        inputs,
        published,
        view,
        applied: applier.applied(),
        effects: Effects::default(),
        moving: BTreeMap::new(),
        observer: Observer::new(metrics, vitals, protocol.params.election_timeout),
        protocol,
        node,
        clock,
        complaint: applier.complaint(),
        setting,
    }
}

/// The machine in the state that the log begins with.
fn restored<M: StateMachine>(
    machine: M,
    limits: SessionLimits,
    last: EntryId,
    storage: &mut impl Storage,
) -> Result<Sessions<M>, StartError> {
    let mut machine = Sessions::new(machine, limits);
    if last.index > Index::ZERO {
        let state = storage.recovered_state().filter(|state| state.last == last);
        let state = state.ok_or(StartError::StateMissing(last))?;
        let read = machine.restore(state.bytes.reader());
        read.map_err(|error| StartError::NotRestored { last, why: error.to_string() })?;
    }
    Ok(machine)
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
