//! What a crash, a stalled disk and a failing one do to a node.

use std::io::{self, Read};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate::{
    Applied, Command, Limits, Lookup, MemoryDisk, ProposeError, Response, StateMachine, StopReason,
    Stopped, Storage, StorageError,
};
use quorate_spec::durable::{HardState, LogWrite, Write};
use quorate_spec::message::Kind;
use quorate_spec::{Body, Configuration, Entries, EntryId, Index, NodeId, Persist, Term, WriteId};
use tokio::task::JoinSet;

use crate::lab::{Lab, Recorder, commands, soon};
use crate::solo::{ME, Solo, append, heartbeat, id, record};

const PEER: NodeId = NodeId(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_nodes_restart_from_their_disks_and_keep_what_was_committed() {
    let mut lab = Lab::start(21);
    let before = commands("before", 40);
    for command in &before {
        lab.propose(command).await;
    }
    let all: Vec<NodeId> = (1..=3).map(NodeId).collect();
    let term = all.iter().map(|id| lab.view(*id).term).max();
    for id in &all {
        lab.cluster.kill(*id).await;
    }
    lab.start_all();
    let (_, later) = lab.leader().await;
    assert!(Some(later) > term, "a term is led once");
    let after = commands("after", 10);
    for command in &after {
        lab.propose(command).await;
    }
    lab.all_apply(&[before, after].concat()).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_vote_leaves_only_when_it_is_written() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.promise_passes();
    solo.disk.stall();
    solo.say(PEER, 5, Body::RequestVote { last: EntryId::ZERO, handover: false }, Vec::new()).await;
    solo.status("it has voted", |status| status.voted_for == Some(PEER)).await;
    solo.say(PEER, 5, heartbeat(EntryId::ZERO), Vec::new()).await;
    solo.status("it follows", |status| status.leader == Some(PEER)).await;
    solo.write_is_held_up().await;
    let status = solo.handle().status().await.expect("the node runs");
    assert_eq!((status.held, status.unwritten), (2, 1), "its answers wait for its vote");
    assert!(solo.sent.try_recv().is_err(), "and nothing has left");
    assert_eq!(solo.disk.durable().hard_state, HardState::default());

    solo.disk.resume();
    for kind in [Kind::VoteGrant, Kind::AppendAccepted] {
        let sent = solo.next_sent().await;
        assert_eq!(sent.kind(), kind);
        assert_eq!(
            (sent.disk.hard_state.current_term, sent.disk.hard_state.voted_for),
            (Term(5), Some(PEER))
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_acknowledgement_leaves_only_when_its_entries_are_written() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.say(PEER, 1, heartbeat(EntryId::ZERO), Vec::new()).await;
    solo.next_sent().await;
    solo.disk.stall();
    solo.say(PEER, 1, append(1, 2), vec![record(1, 1), record(1, 2)]).await;
    solo.status("it took the entries", |status| status.last.index == Index(2)).await;
    solo.write_is_held_up().await;
    let status = solo.handle().status().await.expect("the node runs");
    assert_eq!((status.held, status.durable_index), (1, Index(0)));
    assert!(solo.sent.try_recv().is_err());
    solo.disk.resume();
    let sent = solo.next_sent().await;
    assert_eq!(sent.kind(), Kind::AppendAccepted);
    assert_eq!(sent.disk.log.last().index, Index(2));
    assert_eq!(solo.disk.records(), [record(1, 1), record(1, 2)]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_readers_may_see_is_published_before_a_message_leaves() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.say(PEER, 1, append(1, 1), vec![record(1, 1)]).await;
    assert_eq!(solo.next_sent().await.view.commit_index, Index(0));
    // This reply waits for no write: only the order of the effects keeps it behind the view.
    solo.say(PEER, 1, heartbeat(id(1, 1)), Vec::new()).await;
    assert_eq!(solo.next_sent().await.view.commit_index, Index(1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_with_the_contents_of_other_entries_is_dropped() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.say(PEER, 2, append(2, 1), vec![record(1, 1)]).await;
    solo.status("it is dropped", |status| status.dropped == 1).await;
    solo.say(PEER, 2, append(2, 1), vec![record(2, 1)]).await;
    let status = solo.status("it took the entry", |status| status.durable_index == Index(1)).await;
    assert_eq!((status.dropped, status.last), (1, id(2, 1)));
    let sent = solo.next_sent().await;
    assert_eq!(sent.kind(), Kind::AppendAccepted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_write_fails_stops_and_the_others_go_on() {
    let lab = Lab::start(22);
    let (leader, _) = lab.leader().await;
    lab.cluster.disk(leader).fail_next_write();
    // Whoever leads by now, one of these is a write of that node. Its outcome may be any: the two
    // others are a quorum without it.
    let _ = lab.handle(leader).propose(&b"unwritable"[..]).await;
    lab.propose_to(&lab.others(leader), b"the others go on").await;
    let reason = soon("it stops", lab.handle(leader).stopped()).await;
    assert!(matches!(reason, StopReason::Storage(StorageError::WriteFailed(_))), "{reason}");
    let refused = lab.handle(leader).propose(&b"too late"[..]).await;
    assert_eq!(refused, Err(ProposeError::Stopped));
    lab.propose_to(&lab.others(leader), b"and on").await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_write_that_fails_never_leaves() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.promise_passes();
    solo.disk.fail_next_write();
    solo.say(PEER, 5, Body::RequestVote { last: EntryId::ZERO, handover: false }, Vec::new()).await;
    let reason = soon("it stops", solo.handle().stopped()).await;
    assert_eq!(reason, StopReason::Storage(StorageError::WriteFailed(WriteId(1))));
    solo.nothing_more_is_sent().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_shutdown_finishes_the_writes_that_were_issued() {
    let solo = Solo::start(1, Limits::default(), Recorder::default());
    solo.lead().await;
    solo.disk.stall();
    let handle = solo.handle().clone();
    let client = tokio::spawn(async move { handle.propose(&b"the last one"[..]).await });
    solo.status("the proposal is under way", |status| status.waiting == 1).await;
    let Solo { node, disk, .. } = solo;
    let shutdown = tokio::spawn(node.shutdown());
    assert_eq!(
        soon("an answer", client).await.expect("no panic"),
        Err(ProposeError::OutcomeUnknown)
    );
    assert_eq!(disk.durable().log.last().index, Index(1));
    assert!(!shutdown.is_finished(), "it waits for the disk");
    disk.resume();
    let reason = soon("it shuts down", shutdown).await.expect("no panic");
    assert_eq!(reason, StopReason::Shutdown);
    assert_eq!(disk.durable().log.last().index, Index(2));
    assert_eq!(disk.records().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_stops_when_nobody_holds_a_handle() {
    let solo = Solo::start(1, Limits::default(), Recorder::default());
    let Solo { node, mut sent, .. } = solo;
    drop(node);
    assert!(soon("the node is gone", sent.recv()).await.is_none());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_killed_is_gone() {
    let solo = Solo::start(3, Limits::default(), Recorder::default());
    let handle = solo.handle().clone();
    let Solo { node, mut sent, .. } = solo;
    node.kill().await;
    assert_eq!(soon("it is gone", handle.stopped()).await, StopReason::Killed);
    assert_eq!(handle.status().await, Err(Stopped));
    assert_eq!(handle.propose(&b"too late"[..]).await, Err(ProposeError::Stopped));
    assert!(soon("it is gone", sent.recv()).await.is_none());
}

// On one thread: a machine that held it up would hold up everything.
#[tokio::test]
async fn a_slow_machine_does_not_hold_up_the_node() {
    let (machine, go_on) = slow(|| ());
    let solo = Solo::start(1, one_at_a_time(), machine);
    solo.lead().await;
    let mut clients = propose_all(&solo, 8);
    solo.status("all are committed", |status| status.commit_index == Index(9)).await;
    let status = solo.handle().status().await.expect("the node runs");
    assert_eq!(status.applied, Index(1), "the machine has not even applied the first");
    drop(go_on);
    while let Some(outcome) = soon("an answer", clients.join_next()).await {
        assert!(outcome.expect("no client panics").is_ok());
    }
}

#[tokio::test]
async fn a_node_whose_machine_panics_stops_even_if_more_is_committed_than_the_machine_took() {
    let (machine, go_on) = slow(|| panic!("this panic belongs to the test"));
    let solo = Solo::start(1, one_at_a_time(), machine);
    solo.lead().await;
    let clients = propose_all(&solo, 8);
    solo.status("all are committed", |status| status.commit_index == Index(9)).await;
    drop(go_on);
    let reason = soon("it stops", solo.handle().stopped()).await;
    assert_eq!(reason, StopReason::MachineGone);
    let outcomes = soon("all are answered", clients.join_all()).await;
    assert_eq!(outcomes, vec![Err(ProposeError::OutcomeUnknown); 8]);
}

// On one thread, so that the machine goes on only after the kill.
#[tokio::test]
async fn a_node_that_is_killed_applies_nothing_after_the_batch_that_it_is_at() {
    let applied = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&applied);
    let (machine, go_on) = slow(move || {
        count.fetch_add(1, Ordering::SeqCst);
    });
    let solo = Solo::start(1, one_at_a_time(), machine);
    solo.lead().await;
    let _clients = propose_all(&solo, 8);
    solo.status("all are committed", |status| status.commit_index == Index(9)).await;
    let handle = solo.handle().clone();
    let kill = tokio::spawn(solo.node.kill());
    assert_eq!(soon("it stops", handle.stopped()).await, StopReason::Killed);
    drop(go_on);
    soon("it is gone", kill).await.expect("no panic");
    assert!(applied.load(Ordering::SeqCst) <= 1);
}

/// A machine that waits with its first command until it may go on, and then does `then`.
fn slow(then: impl Fn() + Send + 'static) -> (impl StateMachine, std::sync::mpsc::Sender<()>) {
    struct Slow<F>(std::sync::mpsc::Receiver<()>, F);
    impl<F: Fn() + Send + 'static> StateMachine for Slow<F> {
        fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
            let one = |_: &Command<'_>| {
                // It ends, without a value, when the other end is dropped.
                let _ = self.0.recv();
                self.1();
                Vec::new()
            };
            commands.iter().map(one).collect()
        }

        fn snapshot(&self) -> impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static {
            |_: &mut dyn io::Write| Ok(())
        }

        fn restore(&mut self, _: &mut dyn Read) -> io::Result<()> {
            Ok(())
        }
    }
    let (go_on, wait) = std::sync::mpsc::channel();
    (Slow(wait, then), go_on)
}

fn one_at_a_time() -> Limits {
    Limits { batches: 1, entries_per_batch: 1, ..Limits::default() }
}

fn propose_all(solo: &Solo, count: usize) -> JoinSet<Result<Applied, ProposeError>> {
    let mut clients = JoinSet::new();
    for command in commands("slow", count) {
        let handle = solo.handle().clone();
        clients.spawn(async move { handle.propose(command).await });
    }
    clients
}

#[tokio::test]
async fn writes_that_are_queued_together_are_synced_together() {
    let disk = MemoryDisk::new(Configuration::of([ME]));
    let mut storage = disk.open();
    let mut progress = storage.progress();
    disk.stall();
    for i in 1..=3 {
        storage.submit(write(i, i - 1, 1), vec![record(1, i)]);
    }
    disk.resume();
    let written = progress.wait_for(|progress| progress.persisted == WriteId(3));
    soon("it writes", written).await.expect("the writer runs");
    assert_eq!((disk.syncs(), disk.durable().log.last()), (1, id(1, 3)));
}

#[tokio::test]
async fn a_crash_keeps_what_is_durable_and_an_earlier_opening_writes_nothing_more() {
    let disk = MemoryDisk::new(Configuration::of([ME]));
    let mut storage = disk.open();
    storage.submit(write(1, 0, 1), vec![record(1, 1)]);
    let mut progress = storage.progress();
    let written = progress.wait_for(|progress| progress.persisted == WriteId(1));
    soon("it writes", written).await.expect("the writer runs");
    disk.stall();
    storage.submit(write(2, 1, 1), vec![record(1, 2)]);
    disk.crash();
    let reopened = disk.open();
    disk.resume();
    storage.submit(write(3, 2, 1), vec![record(1, 3)]);
    storage.close().await;
    reopened.close().await;
    assert_eq!((disk.durable().log.last(), disk.records()), (id(1, 1), vec![record(1, 1)]));
}

#[tokio::test]
async fn a_write_replaces_the_contents_after_what_it_keeps() {
    let disk = MemoryDisk::new(Configuration::of([ME]));
    let mut storage = disk.open();
    storage.submit(write(1, 0, 3), vec![record(1, 1), record(1, 2), record(1, 3)]);
    let log = LogWrite { keep: Index(1), entries: Entries::of_term(Index(1), Term(2), 1) };
    let overwrite = Persist { id: WriteId(2), write: Write { log: Some(log), ..Write::default() } };
    storage.submit(overwrite, vec![record(2, 2)]);
    assert_eq!(storage.read(id(2, 2)), Lookup::Here(record(2, 2)));
    assert_eq!((storage.read(id(1, 2)), storage.read(id(1, 3))), (Lookup::Gone, Lookup::Gone));
    storage.close().await;
    assert_eq!(disk.records(), [record(1, 1), record(2, 2)]);
}

/// A write with this number of `count` entries of term 1 after `keep`.
fn write(number: u64, keep: u64, count: u64) -> Persist {
    let log =
        LogWrite { keep: Index(keep), entries: Entries::of_term(Index(keep), Term(1), count) };
    Persist { id: WriteId(number), write: Write { log: Some(log), ..Write::default() } }
}
