//! When a leader cuts its log: not while a peer that is behind, and answers, needs what would go; but
//! however far behind it is, the log stays as long as its limit.

use quorate::{Limits, Status};
use quorate_spec::message::Kind;
use quorate_spec::{EntryId, Index, NodeId};

use crate::lab::{Recorder, eventually, soon};
use crate::solo::Solo;

const PEER: NodeId = NodeId(2);
const BEHIND: NodeId = NodeId(3);

/// A leader that takes a snapshot every two entries, and one of whose peers has the first entry and no
/// other.
async fn with_a_peer_behind(entries_kept_for_peers: u64) -> Solo {
    let limits = Limits { entries_per_snapshot: 2, entries_kept_for_peers, ..Limits::default() };
    let mut solo = Solo::start(3, limits, Recorder::default());
    solo.lead_by(PEER).await;
    let no_op = solo.next_to(BEHIND, Kind::AppendEntries).await;
    solo.accept(&no_op, 1).await;
    solo
}

/// Has the leader commit entries up to this one with the peer that is not behind.
async fn commit(solo: &mut Solo, last: u64) -> Status {
    let first = solo.handle().status().await.expect("it runs").last.index.0 + 1;
    for index in first..=last {
        let handle = solo.handle().clone();
        let proposed = tokio::spawn(async move { handle.propose("command").await });
        solo.status("it is in the log", |status| status.last.index == Index(index)).await;
        let request = solo.next_to(PEER, Kind::AppendEntries).await;
        solo.accept(&request, index).await;
        soon("it is committed", proposed).await.expect("no panic").expect("it leads");
    }
    solo.handle().status().await.expect("it runs")
}

async fn a_snapshot_is_kept(solo: &Solo) {
    eventually("a snapshot is kept", async || (!solo.disk.states().is_empty()).then_some(())).await;
}

#[tokio::test]
async fn the_log_is_not_cut_under_a_peer_that_answers_until_it_is_long() {
    let mut solo = with_a_peer_behind(9).await;
    commit(&mut solo, 4).await;
    a_snapshot_is_kept(&solo).await;
    assert_eq!(commit(&mut solo, 8).await.base, EntryId::ZERO, "the peer needs the second entry");
    commit(&mut solo, 9).await;
    solo.status("the log is cut", |status| status.base.index > Index(1)).await;
}

#[tokio::test]
async fn the_log_is_cut_under_a_peer_that_has_been_silent() {
    let mut solo = with_a_peer_behind(u64::MAX).await;
    commit(&mut solo, 4).await;
    a_snapshot_is_kept(&solo).await;
    assert_eq!(commit(&mut solo, 6).await.base, EntryId::ZERO, "the peer needs the second entry");
    solo.give_up_transfer(PEER).await;
    solo.status("the log is cut", |status| status.base.index > Index(1)).await;
}
