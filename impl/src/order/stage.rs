//! One node whose peers the test plays, held against its disk and its view whenever it says, shows or
//! applies something.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_spec::property::release::{
    SentVote, message_term_persisted, vote_durability, vote_in, vote_once_per_term,
};
use quorate_spec::{
    AppendOutcome, Body, Configuration, Durable, Entries, EntryId, Envelope, Index, Instant,
    Message, NodeId, Params, Persist, ReadView, Term,
};
use tokio::sync::watch;

use super::Order;
use crate::clock::{Clock, span};
use crate::inbox::{InboxSender, inbox};
use crate::lock::lock;
use crate::machine::{Command, Response, StateMachine};
use crate::memory::MemoryStorage;
use crate::node::{Options, Parts, start_in};
use crate::record::{Content, MachineState, Record};
use crate::setting::Setting;
use crate::transport::{Packet, Transport};
use crate::{Limits, Lookup, MemoryDisk, Progress, RunningNode, Storage, StorageError, Stretch};

const ME: NodeId = NodeId(1);

/// What the node showed, sent and applied, and what of it was wrong.
#[derive(Default)]
pub(super) struct Notes {
    wrong: Mutex<Vec<String>>,
    last_vote: Mutex<Option<SentVote>>,
    view: Mutex<Option<watch::Receiver<ReadView>>>,
    /// Up to where all of the log is known to be committed, by the leader that the test plays.
    pub(super) committed: AtomicU64,
    /// The last write that the disk will ever see, and how many came after it.
    pub(super) last_write: AtomicU64,
    withheld: AtomicU64,
}

impl Notes {
    pub(super) fn require(&self, claim: &str, holds: bool, about: &dyn std::fmt::Debug) {
        if !holds {
            let mut wrong = lock(&self.wrong);
            wrong.push(format!("{claim} is broken by {about:?}"));
        }
    }

    fn shown(&self) -> Option<ReadView> {
        let view = lock(&self.view);
        view.as_ref().map(|view| *view.borrow())
    }

    pub(super) fn found(&self) -> Vec<String> {
        lock(&self.wrong).clone()
    }
}

/// The way out: every message is held against the disk and the view of that moment.
struct Outlet {
    pub(super) disk: MemoryDisk,
    pub(super) notes: Arc<Notes>,
}

impl Transport for Outlet {
    fn send(&self, packet: Packet) {
        let (notes, disk, envelope) = (&self.notes, self.disk.durable(), packet.envelope);
        notes.require("MessageTermPersisted", message_term_persisted(&envelope, &disk), &envelope);
        notes.require("AckDurability", has_what_it_acknowledges(&envelope, &disk), &envelope);
        if let Some(vote) = vote_in(&envelope) {
            let mut last = lock(&notes.last_vote);
            notes.require("VoteDurability", vote_durability(vote, &disk), &envelope);
            notes.require("VoteOncePerTerm", vote_once_per_term(vote, *last), &envelope);
            *last = Some(vote);
        }
        if let Some(shown) = notes.shown() {
            let commit = Index(notes.committed.load(Ordering::SeqCst));
            let known = accepted(&envelope).map_or(Index::ZERO, |agreed| agreed.min(commit));
            let first = shown.term >= envelope.message.term && shown.commit_index >= known;
            notes.require("PublishedFirst", first, &envelope);
        }
    }

    fn knows(&self, _: NodeId) -> bool {
        true
    }
}

/// The disk has what is acknowledged, or a later term, in which it may have lost it.
fn has_what_it_acknowledges(envelope: &Envelope, disk: &Durable) -> bool {
    accepted(envelope).is_none_or(|match_index| {
        disk.log.last().index >= match_index || disk.hard_state.current_term > envelope.message.term
    })
}

/// Up to where the message says that its sender has the leader's log.
fn accepted(envelope: &Envelope) -> Option<Index> {
    match envelope.message.body {
        Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) => Some(match_index),
        _ => None,
    }
}

/// A disk that looks, whenever an entry is read to be applied, whether it is committed and readers saw
/// that, on the thread that gave it away; and that never writes what comes after a certain write.
struct Ledger {
    storage: MemoryStorage,
    pub(super) notes: Arc<Notes>,
}

impl Storage for Ledger {
    fn recovered(&self) -> Durable {
        self.storage.recovered()
    }

    fn recovered_state(&mut self) -> Option<MachineState> {
        self.storage.recovered_state()
    }

    fn progress(&self) -> watch::Receiver<Progress> {
        self.storage.progress()
    }

    fn submit(&mut self, persist: Persist, records: Vec<Record>) {
        if persist.id.0 > self.notes.last_write.load(Ordering::SeqCst) {
            self.notes.withheld.fetch_add(1, Ordering::SeqCst);
        } else {
            self.storage.submit(persist, records);
        }
    }

    fn keep(&mut self, state: MachineState) {
        self.storage.keep(state);
    }

    fn state(&self, last: EntryId) -> Lookup<MachineState> {
        self.storage.state(last)
    }

    fn fetch(
        &self,
        stretch: Stretch,
    ) -> impl Future<Output = Result<Vec<Record>, StorageError>> + Send + 'static {
        self.storage.fetch(stretch)
    }

    fn fetch_state(
        &self,
        last: EntryId,
    ) -> impl Future<Output = Result<MachineState, StorageError>> + Send + 'static {
        self.storage.fetch_state(last)
    }

    fn read(&self, id: EntryId) -> Lookup<Record> {
        if let Some(shown) = self.notes.shown() {
            self.notes.require("readers saw the commit", shown.commit_index >= id.index, &id);
        }
        let committed = self.notes.committed.load(Ordering::SeqCst);
        self.notes.require("only what is committed is applied", id.index.0 <= committed, &id);
        self.storage.read(id)
    }

    async fn close(self) {
        self.storage.close().await;
    }
}

/// A machine that does nothing.
struct Idle;

impl StateMachine for Idle {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        |_: &mut dyn Write| Ok(())
    }

    fn restore(&mut self, _: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }
}

/// A clock that the test sets.
struct Hand(AtomicU64);

impl Clock for Hand {
    fn now(&self) -> Instant {
        Instant(self.0.load(Ordering::SeqCst))
    }

    fn counts_suspended_time(&self) -> bool {
        true
    }
}

/// One node whose peers the test plays.
pub(super) struct Stage {
    order: Order,
    pub(super) disk: MemoryDisk,
    pub(super) notes: Arc<Notes>,
    clock: Arc<Hand>,
    limits: Limits,
    pub(super) node: RunningNode,
    inbox: InboxSender<Packet>,
}

fn params() -> Params {
    let millis = |millis| span(Duration::from_millis(millis));
    Params::new(millis(100), millis(10))
}

impl Stage {
    pub(super) fn set(order: Order, voters: u64) -> Stage {
        Stage::set_with(order, voters, Limits::default())
    }

    pub(super) fn set_with(order: Order, voters: u64, limits: Limits) -> Stage {
        let disk = MemoryDisk::new(Configuration::of((1..=voters).map(NodeId)));
        let notes = Notes { last_write: AtomicU64::new(u64::MAX), ..Notes::default() };
        let (notes, clock) = (Arc::new(notes), Arc::new(Hand(AtomicU64::new(0))));
        Stage::on(order, disk, notes, clock, limits)
    }

    fn on(
        order: Order,
        disk: MemoryDisk,
        notes: Arc<Notes>,
        clock: Arc<Hand>,
        limits: Limits,
    ) -> Stage {
        let (inbox, packets) = inbox(16, 1 << 20);
        *lock(&notes.view) = None;
        let parts = Parts {
            storage: Ledger { storage: disk.open(), notes: Arc::clone(&notes) },
            transport: Arc::new(Outlet { disk: disk.clone(), notes: Arc::clone(&notes) }),
            packets,
            mail: None,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            machine: Idle,
        };
        let options = Options { id: ME, params: params(), seed: 7, limits };
        let node = start_in(Setting { order, ..Setting::default() }, options, parts)
            .expect("the parameters fit");
        let view = node.handle().watch();
        *lock(&notes.view) = Some(view);
        Stage { order, disk, notes, clock, limits, node, inbox }
    }

    /// Takes the power from the node and starts it again on its disk.
    pub(super) async fn restart(self) -> Stage {
        self.disk.crash();
        self.node.kill().await;
        Stage::on(self.order, self.disk, self.notes, self.clock, self.limits)
    }

    async fn say(&self, from: NodeId, term: u64, body: Body, records: Vec<Record>) {
        let envelope = Envelope { from, to: ME, message: Message::new(Term(term), body) };
        let packet = Packet { envelope, records, state: None };
        self.inbox.send(packet).await.expect("the node runs");
    }

    /// A leader sends commands, `count` of them after `prev`, and says how far all are committed.
    pub(super) async fn append(
        &self,
        from: NodeId,
        term: u64,
        prev: EntryId,
        count: u64,
        commit: u64,
    ) {
        let entries = Entries::of_term(prev.index, Term(term), count);
        let command = |id| Record { id, content: Content::Command(Arc::from([0].as_slice())) };
        let records = entries.ids(prev.index).map(command).collect();
        let leader_commit = Index(commit);
        self.notes.committed.fetch_max(commit, Ordering::SeqCst);
        self.say(from, term, Body::AppendEntries { prev, entries, leader_commit }, records).await;
    }

    pub(super) async fn ask_for_vote(&self, from: NodeId, term: u64) {
        let last = EntryId { term: Term(term), index: Index(9) };
        self.say(from, term, Body::RequestVote { last, handover: false }, Vec::new()).await;
    }

    /// Lets the promise pass that a node starts with, but not its election timeout.
    pub(super) fn promise_passes(&self) {
        let now = self.clock.now().after(params().election_timeout);
        self.clock.0.store(now.0, Ordering::SeqCst);
    }

    /// Lets everything happen that can: inputs are taken, the writer has written or stands still, and
    /// the machine has applied what it was given.
    pub(super) async fn settle(&self) {
        for _ in 0..5_000 {
            let taken = self.inbox.level().things() == 0;
            // A node that has stopped has settled.
            let Ok(status) = self.node.handle().status().await else { return };
            let withheld = self.notes.withheld.load(Ordering::SeqCst);
            let written = status.unwritten as u64 <= withheld || self.disk.is_waiting();
            if taken && written && status.applied >= status.commit_index {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        // Whatever was under way between threads arrives.
        for _ in 0..10 {
            let _ = self.node.handle().status().await;
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// Waits until the machine has given its first snapshot to the node.
    pub(super) async fn snapshot_is_taken(&self) {
        while !self.node.handle().metrics().contains("quorate_snapshots_total{node=\"1\"} 1\n") {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    pub(super) fn found(&self) -> Vec<String> {
        self.notes.found()
    }
}

pub(super) fn id(term: u64, index: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}
