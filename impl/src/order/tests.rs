//! Each promise of the driver broken in the driver, and seen: every scenario runs with all promises
//! kept, when nothing may be found, and with one of them broken, when something has to be.

use std::sync::atomic::Ordering;

use quorate_spec::{EntryId, NodeId};

use super::stage::{Stage, id};
use super::{Order, Promise};
use crate::Limits;

const PEER: NodeId = NodeId(2);
const OTHER: NodeId = NodeId(3);

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
        stage.snapshot_is_taken().await;
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
