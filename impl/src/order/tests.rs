//! Each promise of the driver broken in the driver, and seen: every scenario runs with all promises
//! kept, when nothing may be found, and with one of them broken, when something has to be.

use std::io::{self, Read, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate_spec::property::release::{
    SentVote, message_term_persisted, vote_durability, vote_in, vote_once_per_term,
};
use quorate_spec::{
    AppendOutcome, Body, Configuration, Durable, Entries, EntryId, Envelope, Index, Instant,
    Message, NodeId, Params, Persist, ReadView, Term,
};
use tokio::sync::{mpsc, watch};

use super::{Order, Promise};
use crate::clock::{Clock, span};
use crate::machine::{Command, Response, StateMachine};
use crate::memory::MemoryStorage;
use crate::node::{Options, Parts, start_in};
use crate::record::{Content, MachineState, Record};
use crate::transport::{Packet, Transport};
use crate::{Limits, MemoryDisk, Progress, RunningNode, Storage};

const ME: NodeId = NodeId(1);
const PEER: NodeId = NodeId(2);
const OTHER: NodeId = NodeId(3);

/// What the node showed, sent and applied, and what of it was wrong.
#[derive(Default)]
struct Notes {
    wrong: Mutex<Vec<String>>,
    last_vote: Mutex<Option<SentVote>>,
    view: Mutex<Option<watch::Receiver<ReadView>>>,
    /// Up to where all of the log is known to be committed, by the leader that the test plays.
    committed: AtomicU64,
    /// The last write that the disk will ever see, and how many came after it.
    last_write: AtomicU64,
    withheld: AtomicU64,
}

impl Notes {
    fn require(&self, claim: &str, holds: bool, about: &dyn std::fmt::Debug) {
        if !holds {
            let mut wrong = self.wrong.lock().unwrap_or_else(PoisonError::into_inner);
            wrong.push(format!("{claim} is broken by {about:?}"));
        }
    }

    fn shown(&self) -> Option<ReadView> {
        let view = self.view.lock().unwrap_or_else(PoisonError::into_inner);
        view.as_ref().map(|view| *view.borrow())
    }

    fn found(&self) -> Vec<String> {
        self.wrong.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

/// The way out: every message is held against the disk and the view of that moment.
struct Outlet {
    disk: MemoryDisk,
    notes: Arc<Notes>,
}

impl Transport for Outlet {
    fn send(&self, packet: Packet) {
        let (notes, disk, envelope) = (&self.notes, self.disk.durable(), packet.envelope);
        notes.require("MessageTermPersisted", message_term_persisted(&envelope, &disk), &envelope);
        notes.require("AckDurability", has_what_it_acknowledges(&envelope, &disk), &envelope);
        if let Some(vote) = vote_in(&envelope) {
            let mut last = notes.last_vote.lock().unwrap_or_else(PoisonError::into_inner);
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

/// A disk that looks, whenever a committed entry is read to be applied, whether readers saw the
/// commit; and that never writes what comes after a certain write.
struct Ledger {
    storage: MemoryStorage,
    notes: Arc<Notes>,
}

impl Storage for Ledger {
    fn recovered(&self) -> Durable {
        self.storage.recovered()
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

    fn state(&self, last: EntryId) -> Option<MachineState> {
        self.storage.state(last)
    }

    fn read(&self, id: EntryId) -> Option<Record> {
        if let Some(shown) = self.notes.shown() {
            self.notes.require("readers saw the commit", shown.commit_index >= id.index, &id);
        }
        self.storage.read(id)
    }

    async fn close(self) {
        self.storage.close().await;
    }
}

/// A machine that looks, at each command, whether it was committed.
struct Witness(Arc<Notes>);

impl StateMachine for Witness {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        for Command { id, .. } in commands {
            let committed = self.0.committed.load(Ordering::SeqCst);
            self.0.require("only what is committed is applied", id.index.0 <= committed, id);
        }
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
struct Stage {
    order: Order,
    disk: MemoryDisk,
    notes: Arc<Notes>,
    clock: Arc<Hand>,
    limits: Limits,
    node: RunningNode,
    inbox: mpsc::Sender<Packet>,
}

fn params() -> Params {
    let millis = |millis| span(Duration::from_millis(millis));
    Params::new(millis(100), millis(10))
}

impl Stage {
    fn set(order: Order, voters: u64) -> Stage {
        Stage::set_with(order, voters, Limits::default())
    }

    fn set_with(order: Order, voters: u64, limits: Limits) -> Stage {
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
        let (inbox, packets) = mpsc::channel(16);
        *notes.view.lock().unwrap_or_else(PoisonError::into_inner) = None;
        let parts = Parts {
            storage: Ledger { storage: disk.open(), notes: Arc::clone(&notes) },
            transport: Arc::new(Outlet { disk: disk.clone(), notes: Arc::clone(&notes) }),
            packets,
            mail: None,
            clock: Arc::clone(&clock) as Arc<dyn Clock>,
            machine: Witness(Arc::clone(&notes)),
        };
        let options = Options { id: ME, params: params(), seed: 7, limits };
        let node = start_in(order, options, parts).expect("the parameters fit");
        let view = node.handle().watch();
        *notes.view.lock().unwrap_or_else(PoisonError::into_inner) = Some(view);
        Stage { order, disk, notes, clock, limits, node, inbox }
    }

    /// Takes the power from the node and starts it again on its disk.
    async fn restart(self) -> Stage {
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
    async fn append(&self, from: NodeId, term: u64, prev: EntryId, count: u64, commit: u64) {
        let entries = Entries::of_term(prev.index, Term(term), count);
        let command = |id| Record { id, content: Content::Command(Arc::from([0].as_slice())) };
        let records = entries.ids(prev.index).map(command).collect();
        let leader_commit = Index(commit);
        self.notes.committed.fetch_max(commit, Ordering::SeqCst);
        self.say(from, term, Body::AppendEntries { prev, entries, leader_commit }, records).await;
    }

    async fn ask_for_vote(&self, from: NodeId, term: u64) {
        let last = EntryId { term: Term(term), index: Index(9) };
        self.say(from, term, Body::RequestVote { last, handover: false }, Vec::new()).await;
    }

    /// Lets the promise pass that a node starts with, but not its election timeout.
    fn promise_passes(&self) {
        let now = self.clock.now().after(params().election_timeout);
        self.clock.0.store(now.0, Ordering::SeqCst);
    }

    /// Lets everything happen that can: inputs are taken, the writer has written or stands still, and
    /// the machine has applied what it was given.
    async fn settle(&self) {
        for _ in 0..5_000 {
            // A node that has stopped has settled.
            let Ok(status) = self.node.handle().status().await else { return };
            let withheld = self.notes.withheld.load(Ordering::SeqCst);
            let written = status.unwritten as u64 <= withheld || self.disk.is_waiting();
            let taken = self.inbox.capacity() == self.inbox.max_capacity();
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

    fn found(&self) -> Vec<String> {
        self.notes.found()
    }
}

fn id(term: u64, index: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}

/// Runs the scenario with every promise kept, and with this one broken.
async fn is_needed<F: Future<Output = Vec<String>>>(
    promise: Promise,
    claim: &str,
    scenario: impl Fn(Order) -> F,
) {
    assert_eq!(scenario(Order::default()).await, Vec::<String>::new());
    let found = scenario(Order { broken: Some(promise) }).await;
    assert!(
        found.iter().any(|what| what.starts_with(claim)),
        "{promise:?} is not missed: {found:?}"
    );
}

#[tokio::test]
async fn p1_a_vote_and_its_term_are_written_before_they_are_told() {
    is_needed(Promise::WritesBeforeSending, "VoteDurability", async |order| {
        let stage = Stage::set(order, 3);
        stage.promise_passes();
        stage.disk.stall();
        stage.ask_for_vote(PEER, 5).await;
        stage.settle().await;
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn p2_entries_are_written_before_they_are_acknowledged() {
    is_needed(Promise::WritesBeforeSending, "AckDurability", async |order| {
        let stage = Stage::set(order, 3);
        stage.append(PEER, 1, EntryId::ZERO, 1, 0).await;
        stage.settle().await;
        stage.disk.stall();
        stage.append(PEER, 1, id(1, 1), 2, 0).await;
        stage.settle().await;
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn p3_a_leader_counts_only_what_its_disk_has() {
    is_needed(Promise::CountsWhatIsDurable, "the commit is durable", async |order| {
        let stage = Stage::set(order, 1);
        stage.notes.committed.store(u64::MAX, Ordering::SeqCst);
        stage.promise_passes();
        stage.node.handle().campaign().await.expect("its promise has passed");
        stage.settle().await;
        stage.disk.stall();
        let handle = stage.node.handle().clone();
        let client = tokio::spawn(async move { handle.propose("on a stalled disk").await });
        stage.settle().await;
        let (shown, disk) = (stage.node.handle().view(), stage.disk.durable());
        let durable = shown.commit_index <= disk.log.last().index;
        stage.notes.require("the commit is durable", durable, &shown);
        client.abort();
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn p4_what_was_committed_before_a_crash_is_learnt_anew() {
    is_needed(Promise::StartsAtTheSnapshot, "only what is committed is applied", async |order| {
        let stage = Stage::set(order, 3);
        // The next leader may well replace this entry, which no quorum has.
        stage.append(PEER, 1, EntryId::ZERO, 1, 0).await;
        stage.settle().await;
        let stage = stage.restart().await;
        stage.append(PEER, 1, id(1, 1), 0, 0).await;
        stage.settle().await;
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn p5_a_report_of_a_write_says_nothing_of_those_that_replace_it() {
    is_needed(Promise::ReportsNameWrites, "AckDurability", async |order| {
        let stage = Stage::set(order, 3);
        stage.append(PEER, 1, EntryId::ZERO, 1, 0).await;
        stage.settle().await;
        // A write is at the disk when the next leader replaces what it writes; it becomes durable,
        // and the write that replaces it does not.
        stage.disk.stall();
        stage.append(PEER, 1, id(1, 1), 2, 0).await;
        stage.settle().await;
        stage.notes.last_write.store(2, Ordering::SeqCst);
        stage.append(OTHER, 2, id(1, 1), 3, 0).await;
        stage.settle().await;
        stage.disk.resume();
        stage.settle().await;
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn p6_after_a_failed_write_nothing_is_acknowledged() {
    is_needed(Promise::StopsAtFailure, "AckDurability", async |order| {
        let stage = Stage::set(order, 3);
        stage.append(PEER, 1, EntryId::ZERO, 1, 0).await;
        stage.settle().await;
        stage.disk.fail_next_write();
        stage.append(PEER, 1, id(1, 1), 1, 0).await;
        stage.settle().await;
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn p7_a_node_that_restarts_remembers_its_vote() {
    is_needed(Promise::StartsFromTheDisk, "VoteOncePerTerm", async |order| {
        let stage = Stage::set(order, 3);
        stage.promise_passes();
        stage.ask_for_vote(PEER, 5).await;
        stage.settle().await;
        let stage = stage.restart().await;
        stage.promise_passes();
        stage.ask_for_vote(OTHER, 5).await;
        stage.settle().await;
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn p8_only_what_is_committed_is_applied() {
    is_needed(Promise::AppliesTheCommitted, "only what is committed is applied", async |order| {
        let stage = Stage::set(order, 3);
        stage.append(PEER, 1, EntryId::ZERO, 3, 1).await;
        stage.settle().await;
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn p8_a_log_is_compacted_when_the_state_that_takes_its_place_is_durable() {
    is_needed(Promise::KeepsStateBeforeCompaction, "the log's state is durable", async |order| {
        let limits = Limits { entries_per_snapshot: 2, ..Limits::default() };
        let stage = Stage::set_with(order, 3, limits);
        stage.append(PEER, 1, EntryId::ZERO, 1, 0).await;
        stage.settle().await;
        stage.disk.stall();
        stage.append(PEER, 1, id(1, 1), 2, 3).await;
        stage.settle().await;
        // The protocol forgets what it may: the state that covers that has to be on the disk.
        let status = stage.node.handle().status().await.expect("it runs");
        let states = stage.disk.states();
        let covered =
            status.base == EntryId::ZERO || states.iter().any(|it| it.last == status.base);
        stage.notes.require("the log's state is durable", covered, &status.base);
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn readers_see_a_view_before_the_message_leaves_that_goes_with_it() {
    is_needed(Promise::PublishesBeforeSending, "PublishedFirst", async |order| {
        let stage = Stage::set(order, 3);
        stage.append(PEER, 1, EntryId::ZERO, 1, 0).await;
        stage.settle().await;
        // Its answer waits for no write: only the order of the effects keeps it behind the view.
        stage.append(PEER, 1, id(1, 1), 0, 1).await;
        stage.settle().await;
        stage.found()
    })
    .await;
}

#[tokio::test]
async fn readers_see_a_commit_before_it_is_applied_and_answered() {
    is_needed(Promise::PublishesBeforeApplying, "readers saw the commit", async |order| {
        let stage = Stage::set(order, 3);
        stage.append(PEER, 1, EntryId::ZERO, 3, 0).await;
        stage.settle().await;
        stage.append(PEER, 1, id(1, 3), 0, 3).await;
        stage.settle().await;
        stage.found()
    })
    .await;
}
