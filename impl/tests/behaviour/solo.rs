//! One node whose peers and clock are played by the test.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate::node::{self, Parts};
use quorate::{
    Clock, Content, Handle, InboxSender, Limits, MemoryDisk, Options, Packet, ReadError, ReadLevel,
    Record, RunningNode, SessionLimits, StartError, StateBytes, StateMachine, Status, Transport,
    inbox,
};
use quorate_spec::message::Kind;
use quorate_spec::{
    AppendOutcome, Body, Configuration, Durable, Duration, Entries, EntryId, Envelope, Index,
    Instant, Message, NodeId, Params, ReadView, Snapshot, Term,
};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::away::{Away, AwayStorage, Published};
use crate::lab::{Recorder, eventually, params, soon};

pub(crate) const ME: NodeId = NodeId(1);

/// A clock that stands still until it is set, and says what it is told to say of suspended time.
pub(crate) struct ManualClock(AtomicU64, bool);

impl ManualClock {
    pub(crate) fn set(&self, now: Instant) {
        self.0.store(now.0, Ordering::SeqCst);
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.0.fetch_add(by.0, Ordering::SeqCst);
    }

    pub(crate) fn read(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }

    fn counts_suspended_time(&self) -> bool {
        self.1
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

/// Sees what the node sends.
struct Outlet {
    moved: Arc<AtomicU64>,
    disk: MemoryDisk,
    view: Published,
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

    fn moved(&self, _: NodeId) -> u64 {
        self.moved.load(Ordering::SeqCst)
    }
}

/// How a snapshot begins that was taken while nobody had a session.
fn no_sessions() -> Vec<u8> {
    let SessionLimits { sessions, open_commands, answer_bytes } = SessionLimits::default();
    let numbers = [sessions, open_commands, answer_bytes, 0].map(|number| number as u64);
    [b"QSESSIO1".to_vec(), numbers.map(u64::to_le_bytes).concat()].concat()
}

pub(crate) struct Solo {
    /// Bytes of states that the transport says it has moved.
    pub(crate) moved: Arc<AtomicU64>,
    pub(crate) node: RunningNode,
    pub(crate) disk: MemoryDisk,
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) sent: mpsc::UnboundedReceiver<Sent>,
    inbox: InboxSender<Packet>,
    /// What of its disk is away.
    pub(crate) away: Arc<Away>,
}

impl Solo {
    /// Node 1 of the voters `1..=voters`, on an empty disk and at the beginning of time.
    pub(crate) fn start(voters: u64, limits: Limits, machine: impl StateMachine) -> Solo {
        Solo::start_with(voters, params(), limits, machine)
    }

    /// The same, with these parameters.
    pub(crate) fn start_with(
        voters: u64,
        params: Params,
        limits: Limits,
        machine: impl StateMachine,
    ) -> Solo {
        let disk = MemoryDisk::new(Configuration::of((1..=voters).map(NodeId)));
        Solo::start_on(disk, params, limits, machine)
    }

    /// Node 1 on this disk, at the beginning of time.
    pub(crate) fn start_on(
        disk: MemoryDisk,
        params: Params,
        limits: Limits,
        machine: impl StateMachine,
    ) -> Solo {
        let clock = Arc::new(ManualClock(AtomicU64::new(0), true));
        Solo::try_start(disk, clock, params, limits, machine).expect("the parameters fit")
    }

    /// Why a node with these parameters does not start, on a clock that counts suspended time or
    /// does not.
    pub(crate) fn refused(params: Params, counts_suspended_time: bool) -> StartError {
        let disk = MemoryDisk::new(Configuration::of([ME]));
        let clock = Arc::new(ManualClock(AtomicU64::new(0), counts_suspended_time));
        let started = Solo::try_start(disk, clock, params, Limits::default(), Recorder::default());
        started.err().expect("it is refused")
    }

    fn try_start(
        disk: MemoryDisk,
        clock: Arc<ManualClock>,
        params: Params,
        limits: Limits,
        machine: impl StateMachine,
    ) -> Result<Solo, StartError> {
        let (sender, sent) = mpsc::unbounded_channel();
        let (inbox, packets) = inbox(16, 1 << 20);
        let view = Published::default();
        let (away, moved) = (Arc::new(Away::default()), Arc::new(AtomicU64::new(0)));
        let parts = Parts {
            storage: AwayStorage {
                storage: disk.open(),
                away: Arc::clone(&away),
                view: Arc::clone(&view),
            },
            transport: Arc::new(Outlet {
                moved: Arc::clone(&moved),
                disk: disk.clone(),
                view: Arc::clone(&view),
                sent: sender,
            }),
            packets,
            mail: None,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            machine,
        };
        let options = Options { id: ME, params, seed: 7, limits };
        let node = node::start(options, parts)?;
        view.set(node.handle().watch()).expect("it is set once");
        Ok(Solo { moved, node, disk, clock, sent, inbox, away })
    }

    /// The way in for packets.
    pub(crate) fn inbox(&self) -> InboxSender<Packet> {
        self.inbox.clone()
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

    /// Makes a node the leader of its next term by the votes of this peer. What it then says to its
    /// peers is still to be taken from `sent`.
    pub(crate) async fn be_elected_by(&mut self, peer: NodeId) {
        self.promise_passes();
        self.handle().campaign().await.expect("its promise has passed");
        let (term, round) = loop {
            let message = self.next_sent().await.packet.envelope.message;
            if let Body::PreVote { round, .. } = message.body {
                break (message.term, round);
            }
        };
        let granted = Body::PreVoteReply { asked_in: term, round, granted: true };
        self.say(peer, term.0, granted, Vec::new()).await;
        while self.next_sent().await.kind() != Kind::RequestVote {}
        self.say(peer, term.0 + 1, Body::RequestVoteReply { granted: true }, Vec::new()).await;
        self.status("it leads and has written its no-op", |status| {
            status.leader == Some(ME) && status.durable_index == status.last.index
        })
        .await;
    }

    /// Makes a node of an empty disk the leader of term 1, whose no-op this peer has accepted. Gives
    /// the request that it accepted.
    pub(crate) async fn lead_by(&mut self, peer: NodeId) -> Sent {
        self.be_elected_by(peer).await;
        let no_op = self.next_to(peer, Kind::AppendEntries).await;
        self.accept(&no_op, 1).await;
        self.status("its no-op is applied", |status| status.applied == Index(1)).await;
        no_op
    }

    /// Reads on a task of its own.
    pub(crate) fn read(&self, level: ReadLevel) -> JoinHandle<Result<Index, ReadError>> {
        let handle = self.handle().clone();
        tokio::spawn(async move { handle.read(level).await })
    }

    /// Lets the time of a transfer pass, in which this peer answers the leader.
    pub(crate) async fn give_up_transfer(&mut self, peer: NodeId) {
        let Params { heartbeat_interval, election_timeout, .. } = params();
        for _ in 0..=election_timeout.0 / heartbeat_interval.0 {
            self.clock.advance(heartbeat_interval);
            let now = self.clock.read();
            let asked = loop {
                let sent = self.next_to(peer, Kind::AppendEntries).await;
                if sent.packet.envelope.message.stamp.sent == Some(now) {
                    break sent;
                }
            };
            self.accept(&asked, 1).await;
        }
    }

    /// The next packet of this kind that the node sends to this peer.
    pub(crate) async fn next_to(&mut self, peer: NodeId, kind: Kind) -> Sent {
        loop {
            let sent = self.next_sent().await;
            if (sent.packet.envelope.to, sent.kind()) == (peer, kind) {
                return sent;
            }
        }
    }

    /// Says that whoever this request of the leader went to has everything up to this index.
    pub(crate) async fn accept(&self, request: &Sent, match_index: u64) {
        let accepted = AppendOutcome::Accepted { match_index: Index(match_index) };
        self.answer(request, Body::AppendEntriesReply(accepted)).await;
    }

    /// Answers a request of the leader, under its stamp.
    pub(crate) async fn answer(&self, request: &Sent, body: Body) {
        let Envelope { to, message, .. } = &request.packet.envelope;
        let message = Message { body, ..message.clone() };
        self.deliver_message(*to, message, Vec::new(), None).await;
    }

    /// The entries that it has read from its disk since it was last asked.
    pub(crate) fn reads(&self) -> Vec<EntryId> {
        self.away.read().into_iter().map(|(id, _)| id).collect()
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
        let body = Body::InstallSnapshot { snapshot: Snapshot::new(last, configuration) };
        let state = [&no_sessions(), state].concat();
        self.deliver(from, term, body, Vec::new(), Some(state.into())).await;
    }

    async fn deliver(
        &self,
        from: NodeId,
        term: u64,
        body: Body,
        records: Vec<Record>,
        state: Option<StateBytes>,
    ) {
        self.deliver_message(from, Message::new(Term(term), body), records, state).await;
    }

    async fn deliver_message(
        &self,
        from: NodeId,
        message: Message,
        records: Vec<Record>,
        state: Option<StateBytes>,
    ) {
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

pub(crate) fn id(term: u64, index: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}

pub(crate) fn record(term: u64, index: u64) -> Record {
    // The last byte says that it belongs to no session.
    let content = Content::Command(Arc::from(format!("{index}@{term}\0").into_bytes()));
    Record { id: id(term, index), content }
}

/// The first `count` entries of a log, all of `term`.
pub(crate) fn append(term: u64, count: u64) -> Body {
    let entries = Entries::of_term(Index::ZERO, Term(term), count);
    Body::AppendEntries { prev: EntryId::ZERO, entries, leader_commit: Index::ZERO }
}

/// A heartbeat of a leader that knows of a common log up to `prev`, all committed.
pub(crate) fn heartbeat(prev: EntryId) -> Body {
    Body::AppendEntries { prev, entries: Entries::default(), leader_commit: prev.index }
}
