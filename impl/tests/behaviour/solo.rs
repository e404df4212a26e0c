//! One node whose peers and clock are played by the test.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use quorate::memory::MemoryStorage;
use quorate::node::{self, Parts};
use quorate::{
    Clock, Handle, Limits, MachineState, MemoryDisk, Options, Packet, Payload, Progress, Record,
    RunningNode, StateMachine, Status, Storage, Transport,
};
use quorate_spec::message::Kind;
use quorate_spec::{
    Body, Configuration, Durable, EntryId, Envelope, Index, Instant, Message, NodeId, Params,
    Persist, ReadView, Snapshot, Term,
};
use tokio::sync::{mpsc, watch};

use crate::lab::{eventually, params, soon};

pub(crate) const ME: NodeId = NodeId(1);

/// A clock that stands still until it is set.
#[derive(Default)]
pub(crate) struct ManualClock(AtomicU64);

impl ManualClock {
    pub(crate) fn set(&self, now: Instant) {
        self.0.store(now.0, Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }
}

/// A packet that the node sent, with what its disk held and what it had published at that moment.
pub(crate) struct Sent {
    pub(crate) packet: Packet,
    pub(crate) disk: Durable,
    pub(crate) view: ReadView,
}

impl Sent {
    pub(crate) fn kind(&self) -> Kind {
        self.packet.envelope.message.body.kind()
    }
}

/// A disk that says which entries were read from it.
struct ReadLog {
    storage: MemoryStorage,
    read: Reads,
}

/// The entries that a node has read, in order.
type Reads = Arc<Mutex<Vec<EntryId>>>;

impl Storage for ReadLog {
    fn recovered(&self) -> Durable {
        self.storage.recovered()
    }

    fn progress(&self) -> watch::Receiver<Progress> {
        self.storage.progress()
    }

    fn submit(&mut self, persist: Persist, records: Vec<Record>) {
        self.storage.submit(persist, records);
    }

    fn keep(&mut self, state: MachineState) {
        self.storage.keep(state);
    }

    fn state(&self, last: EntryId) -> Option<MachineState> {
        self.storage.state(last)
    }

    fn read(&self, id: EntryId) -> Option<Record> {
        self.read.lock().unwrap_or_else(PoisonError::into_inner).push(id);
        self.storage.read(id)
    }

    async fn close(self) {
        self.storage.close().await;
    }
}

/// Sees what the node sends.
struct Outlet {
    disk: MemoryDisk,
    view: Arc<OnceLock<watch::Receiver<ReadView>>>,
    sent: mpsc::UnboundedSender<Sent>,
}

impl Transport for Outlet {
    fn send(&self, packet: Packet) {
        let view = self.view.get().map(|view| *view.borrow()).expect("nothing leaves unasked");
        // A test that ends does not listen any more.
        let _ = self.sent.send(Sent { packet, disk: self.disk.durable(), view });
    }

    fn knows(&self, _: NodeId) -> bool {
        true
    }
}

pub(crate) struct Solo {
    pub(crate) node: RunningNode,
    pub(crate) disk: MemoryDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sent: mpsc::UnboundedReceiver<Sent>,
    inbox: mpsc::Sender<Packet>,
    read: Reads,
}

impl Solo {
    /// Node 1 of the voters `1..=voters`, on an empty disk and at the beginning of time.
    pub(crate) fn start(voters: u64, limits: Limits, machine: impl StateMachine) -> Solo {
        Solo::start_with(voters, limits, params().max_uncommitted, machine)
    }

    /// The same, with another bound on what is not committed.
    pub(crate) fn start_with(
        voters: u64,
        limits: Limits,
        max_uncommitted: u64,
        machine: impl StateMachine,
    ) -> Solo {
        let disk = MemoryDisk::new(Configuration::of((1..=voters).map(NodeId)));
        let clock = Arc::new(ManualClock::default());
        let (sender, sent) = mpsc::unbounded_channel();
        let (inbox, packets) = mpsc::channel(16);
        let view = Arc::new(OnceLock::new());
        let read = Reads::default();
        let parts = Parts {
            storage: ReadLog { storage: disk.open(), read: Arc::clone(&read) },
            transport: Arc::new(Outlet {
                disk: disk.clone(),
                view: Arc::clone(&view),
                sent: sender,
            }),
            packets,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            machine,
        };
        let options =
            Options { id: ME, params: Params { max_uncommitted, ..params() }, seed: 7, limits };
        let node = node::start(options, parts).expect("the parameters fit");
        view.set(node.handle().watch()).expect("it is set once");
        Solo { node, disk, clock, sent, inbox, read }
    }

    pub(crate) fn handle(&self) -> &Handle {
        self.node.handle()
    }

    /// Lets the promise pass that a node starts with, but not its election timeout.
    pub(crate) fn promise_passes(&self) {
        let Params { election_timeout, .. } = params();
        self.clock.set(Instant(0).after(election_timeout));
    }

    /// Makes a node that is the only voter the leader.
    pub(crate) async fn lead(&self) {
        self.promise_passes();
        self.handle().campaign().await.expect("its promise has passed");
        self.status("it leads and has committed its no-op", |status| {
            status.leader == Some(ME) && status.applied == status.last.index
        })
        .await;
    }

    /// Makes a node the leader of term 1 by the votes of this peer. What it then says to its peers is
    /// still to be taken from `sent`.
    pub(crate) async fn be_elected_by(&mut self, peer: NodeId) {
        self.promise_passes();
        self.handle().campaign().await.expect("its promise has passed");
        let round = loop {
            let body = self.next_sent().await.packet.envelope.message.body;
            if let Body::PreVote { round, .. } = body {
                break round;
            }
        };
        let granted = Body::PreVoteReply { asked_in: Term(0), round, granted: true };
        self.say(peer, 0, granted, Vec::new()).await;
        while self.next_sent().await.kind() != Kind::RequestVote {}
        self.say(peer, 1, Body::RequestVoteReply { granted: true }, Vec::new()).await;
        let what = "it leads and has written its no-op";
        self.status(what, |status| status.leader == Some(ME) && status.durable_index == Index(1))
            .await;
    }

    /// The entries that it has read from its disk since it was last asked.
    pub(crate) fn reads(&self) -> Vec<EntryId> {
        std::mem::take(&mut *self.read.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Waits until the writer is at a write that a stall holds up, and the node has had the time
    /// to hear of everything that the writer may have said before.
    pub(crate) async fn write_is_held_up(&self) {
        eventually("a write is held up", async || self.disk.is_waiting().then_some(())).await;
        for _ in 0..10 {
            self.handle().status().await.expect("the node runs");
            tokio::task::yield_now().await;
        }
    }

    /// The next packet that the node sends.
    pub(crate) async fn next_sent(&mut self) -> Sent {
        soon("it sends something", self.sent.recv()).await.expect("the node runs")
    }

    /// Waits until the node is gone, and finds that it sent nothing more.
    pub(crate) async fn nothing_more_is_sent(&mut self) {
        let more = soon("the node is gone", self.sent.recv()).await;
        assert!(more.is_none(), "it sent {:?}", more.map(|sent| sent.packet));
    }

    /// Says something to the node.
    pub(crate) async fn say(&self, from: NodeId, term: u64, body: Body, records: Vec<Record>) {
        self.deliver(from, term, body, records, None).await;
    }

    /// Gives the node a snapshot that covers everything up to `last`, of a machine in this state.
    pub(crate) async fn install(&self, from: NodeId, term: u64, last: EntryId, state: &[u8]) {
        let configuration = Configuration::of((1..=3).map(NodeId));
        let body = Body::InstallSnapshot { snapshot: Snapshot { last, configuration } };
        self.deliver(from, term, body, Vec::new(), Some(state.into())).await;
    }

    async fn deliver(
        &self,
        from: NodeId,
        term: u64,
        body: Body,
        records: Vec<Record>,
        state: Option<Payload>,
    ) {
        let message = Message { term: Term(term), body };
        let packet = Packet { envelope: Envelope { from, to: ME, message }, records, state };
        self.inbox.send(packet).await.expect("the node runs");
    }

    /// Waits until the node is like this.
    pub(crate) async fn status(&self, what: &str, is: impl Fn(&Status) -> bool) -> Status {
        eventually(what, async || {
            let status = self.handle().status().await.expect("the node runs");
            is(&status).then_some(status)
        })
        .await
    }
}
