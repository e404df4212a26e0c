//! What a leader sends at once, and what it reads for that.

use quorate::{Limits, Packet};
use quorate_spec::message::Kind;
use quorate_spec::{AppendOutcome, Body, EntryId, Index, NodeId};

use crate::lab::Recorder;
use crate::solo::Solo;

const PEER: NodeId = NodeId(2);

/// A request takes two commands of four bytes each, and the byte after each that says of what kind it
/// is.
fn narrow() -> Limits {
    Limits { bytes_per_request: 10, ..Limits::default() }
}

/// Has the leader take these commands, and waits until its disk has them.
async fn take(solo: &Solo, commands: &[&'static [u8]]) {
    let last = solo.handle().status().await.expect("the node runs").last.index;
    for (at, command) in (1..).zip(commands) {
        let (handle, command) = (solo.handle().clone(), *command);
        // It waits for a commit, which may never come.
        tokio::spawn(async move { handle.propose(command).await });
        let written = Index(last.0 + at);
        solo.status("it is written", |status| status.durable_index == written).await;
    }
}

async fn acknowledge(solo: &Solo, match_index: u64) {
    let accepted = AppendOutcome::Accepted { match_index: Index(match_index) };
    solo.say(PEER, 1, Body::AppendEntriesReply(accepted), Vec::new()).await;
}

/// The indices of the entries in the next request with entries to the peer.
async fn next_entries(solo: &mut Solo) -> Vec<u64> {
    loop {
        let Packet { envelope, records, .. } = solo.next_sent().await.packet;
        if envelope.to == PEER && !records.is_empty() {
            return records.iter().map(|record| record.id.index.0).collect();
        }
    }
}

fn indices(ids: &[EntryId]) -> Vec<u64> {
    ids.iter().map(|id| id.index.0).collect()
}

/// Bytes are counted of entries that can leave: a follower that does not answer costs no reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_disk_is_read_for_what_can_leave_and_for_nothing_else() {
    let mut solo = Solo::start(3, narrow(), Recorder::default());
    solo.be_elected_by(PEER).await;
    assert_eq!(indices(&solo.reads()), [1; 4], "its no-op: counted and sent, for two peers");
    take(&solo, &[b"1234", b"5678", b"9"]).await;
    assert_eq!(solo.reads(), [], "nobody has answered: nothing can leave");
    assert_eq!(next_entries(&mut solo).await, [1]);

    acknowledge(&solo, 1).await;
    assert_eq!(next_entries(&mut solo).await, [2, 3], "the next one is too long for this request");
    assert_eq!(next_entries(&mut solo).await, [4]);
    solo.status("the no-op is applied", |status| status.applied == Index(1)).await;
    let (applied, first, second) = (vec![1], vec![2, 3, 4, 2, 3], vec![4, 4]);
    assert_eq!(indices(&solo.reads()), [applied, first, second].concat());

    acknowledge(&solo, 3).await;
    solo.status("two commands are applied", |status| status.applied == Index(3)).await;
    assert_eq!(indices(&solo.reads()), [2, 3], "to apply them: all have left before");
}

/// A command that is longer than a request travels alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_command_leaves_by_itself() {
    let mut solo = Solo::start(3, narrow(), Recorder::default());
    solo.be_elected_by(PEER).await;
    take(&solo, &[b"1", b"far more than eight bytes", b"2", b"3"]).await;
    assert_eq!(next_entries(&mut solo).await, [1]);
    acknowledge(&solo, 1).await;
    for entries in [&[2][..], &[3], &[4, 5]] {
        assert_eq!(next_entries(&mut solo).await, entries);
    }
}

/// Without room for entries a leader still lets its followers know that it lives.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_room_for_entries_only_heartbeats_leave() {
    let none = Limits { entries_per_request: 0, ..Limits::default() };
    let mut solo = Solo::start(3, none, Recorder::default());
    solo.be_elected_by(PEER).await;
    for _ in 0..2 {
        let sent = loop {
            let sent = solo.next_sent().await;
            if sent.kind() == Kind::AppendEntries {
                break sent;
            }
        };
        assert_eq!(sent.packet.records, []);
    }
    assert_eq!(solo.reads(), []);
}
