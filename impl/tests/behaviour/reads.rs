//! What becomes of reads.

use std::pin::pin;

use quorate::{Limits, ReadError, ReadLevel, Stopped};
use quorate_spec::message::Kind;
use quorate_spec::{
    AppendOutcome, Body, Entries, EntryId, Index, NodeId, Refusal, Stamp, Term, Token,
};
use tokio::task::JoinSet;

use crate::lab::{Lab, Recorder, commands, eventually, params, soon};
use crate::solo::{ME, Sent, Solo, append, heartbeat, id, record};

const PEER: NodeId = NodeId(2);
const OTHER: NodeId = NodeId(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_reads_after_a_write_sees_it_on_every_node_and_at_every_level() {
    let lab = Lab::start(81);
    lab.leader().await;
    for (round, command) in commands("seen", 30).into_iter().enumerate() {
        let written = lab.propose(&command).await.index;
        let level = [ReadLevel::ReadIndex, ReadLevel::Lease][round % 2];
        for node in (1..=3).map(NodeId) {
            assert!(lab.read(node, level).await >= written, "{level:?} on n{node}");
            assert!(lab.machine(node).commands().contains(&command), "{level:?} on n{node}");
            let stale = lab.read(node, ReadLevel::Stale).await;
            assert!(stale >= written, "n{node} has applied it");
        }
    }
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stale_read_asks_nobody_and_shows_what_is_applied() {
    let machine = Recorder::default();
    let mut solo = Solo::start(3, Limits::default(), machine.clone());
    assert_eq!(solo.handle().read(ReadLevel::Stale).await, Ok(Index(0)));
    solo.say(PEER, 1, append(1, 2), vec![record(1, 1), record(1, 2)]).await;
    solo.next_to(PEER, Kind::AppendAccepted).await;
    solo.say(PEER, 1, heartbeat(id(1, 2)), Vec::new()).await;
    solo.status("it has applied both", |status| status.applied == Index(2)).await;
    assert_eq!(solo.handle().read(ReadLevel::Stale).await, Ok(Index(2)));
    assert_eq!(machine.applied().len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_serves_a_read_when_a_quorum_has_answered_a_request_from_after_it() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    let before = solo.lead_by(PEER).await;
    let read = solo.read(ReadLevel::ReadIndex);
    let after = next_round(&mut solo, 1).await;
    // The peer says again what it said before: that was asked before the read had come.
    solo.accept(&before, 1).await;
    solo.accept(&before, 1).await;
    solo.status("the read waits", |status| status.waiting_reads == 1).await;
    assert!(!read.is_finished());
    solo.accept(&after, 1).await;
    assert_eq!(soon("it is served", read).await.expect("no panic"), Ok(Index(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_only_voter_is_its_own_quorum() {
    let solo = Solo::start(1, Limits::default(), Recorder::default());
    solo.lead().await;
    let written = solo.handle().propose(&b"first"[..]).await.expect("it leads");
    assert_eq!(solo.handle().read(ReadLevel::ReadIndex).await, Ok(written.entry.index));
}

// On one thread: all of them are in the queue before the node looks into it.
#[tokio::test]
async fn reads_that_come_together_share_a_round() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.lead_by(PEER).await;
    let mut reads = JoinSet::new();
    for _ in 0..100 {
        let handle = solo.handle().clone();
        reads.spawn(async move { handle.read(ReadLevel::ReadIndex).await });
    }
    let asked = next_round(&mut solo, 1).await;
    let status = solo.handle().status().await.expect("the node runs");
    assert_eq!(status.waiting_reads, 100);
    solo.accept(&asked, 1).await;
    let served = soon("all are served by one answer", reads.join_all()).await;
    assert_eq!(served, vec![Ok(Index(1)); 100]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_asks_its_leader_and_serves_when_it_has_applied_that() {
    let machine = Recorder::default();
    let mut solo = Solo::start(3, Limits::default(), machine.clone());
    solo.say(PEER, 1, append(1, 1), vec![record(1, 1)]).await;
    let read = solo.read(ReadLevel::ReadIndex);
    let token = asked_of(&mut solo, PEER).await;
    let reply = Body::ReadIndexReply { token, index: Index(1) };
    solo.say(PEER, 1, reply, Vec::new()).await;
    solo.status("the answer has come", |status| status.waiting_reads == 0).await;
    assert!(!read.is_finished(), "the entry is not committed here");
    solo.say(PEER, 1, heartbeat(id(1, 1)), Vec::new()).await;
    assert_eq!(soon("it is served", read).await.expect("no panic"), Ok(Index(1)));
    assert_eq!(machine.applied().len(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_leader_a_read_waits_until_there_is_one() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    let read = solo.read(ReadLevel::Lease);
    solo.status("the read waits", |status| status.waiting_reads == 1).await;
    solo.say(PEER, 1, heartbeat(EntryId::ZERO), Vec::new()).await;
    let token = asked_of(&mut solo, PEER).await;
    // It asks again, whoever leads, until somebody answers.
    solo.clock.advance(params().heartbeat_interval);
    assert_eq!(asked_of(&mut solo, PEER).await, token);
    solo.say(OTHER, 2, heartbeat(EntryId::ZERO), Vec::new()).await;
    assert_eq!(asked_of(&mut solo, OTHER).await, token);
    solo.say(OTHER, 2, Body::ReadIndexReply { token, index: Index(0) }, Vec::new()).await;
    assert_eq!(soon("it is served", read).await.expect("no panic"), Ok(Index(0)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dropped_read_is_withdrawn_and_makes_room_for_another() {
    let limits = Limits { waiting_reads: 1, ..Limits::default() };
    let solo = Solo::start(3, limits, Recorder::default());
    for _ in 0..3 {
        let handle = solo.handle();
        {
            let mut waiting = pin!(handle.read(ReadLevel::ReadIndex));
            tokio::select! {
                biased;
                served = &mut waiting => panic!("nobody leads, and yet: {served:?}"),
                _ = solo.status("the read waits", |status| status.waiting_reads == 1) => {}
            }
            assert_eq!(handle.read(ReadLevel::Lease).await, Err(ReadError::Overloaded));
            assert_eq!(handle.read(ReadLevel::Stale).await, Ok(Index(0)), "that one never waits");
        }
        solo.status("it is withdrawn", |status| status.waiting_reads == 0).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_reads_of_a_leader_that_is_deposed_fail_and_say_to_ask_again() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.lead_by(PEER).await;
    let read = solo.read(ReadLevel::ReadIndex);
    next_round(&mut solo, 1).await;
    solo.say(OTHER, 2, heartbeat(id(1, 1)), Vec::new()).await;
    let failed = soon("it fails", read).await.expect("no panic");
    assert_eq!(failed, Err(ReadError::Refused(Refusal::LostLeadership)));
    let error = failed.map(|_| String::new()).unwrap_or_else(|error| error.to_string());
    assert!(error.contains("ask again"), "{error}");
    let again = solo.read(ReadLevel::ReadIndex);
    let token = asked_of(&mut solo, OTHER).await;
    solo.say(OTHER, 2, Body::ReadIndexReply { token, index: Index(1) }, Vec::new()).await;
    assert_eq!(soon("it is served", again).await.expect("no panic"), Ok(Index(1)));
}

/// A new leader knows that it leads before its no-op is committed, and is deposed. The log of the
/// next one is shorter: nobody may ever write an entry at that index, so no read waits for it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_does_not_wait_for_an_index_that_the_next_leader_does_not_have() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.say(PEER, 1, append(1, 2), vec![record(1, 1), record(1, 2)]).await;
    solo.next_to(PEER, Kind::AppendAccepted).await;
    solo.be_elected_by(PEER).await;
    let read = solo.read(ReadLevel::ReadIndex);
    let asked = next_round(&mut solo, 1).await;
    let conflict = AppendOutcome::Conflict { prev_index: Index(2), hint: EntryId::ZERO };
    solo.answer(&asked, Body::AppendEntriesReply(conflict)).await;
    solo.next_to(PEER, Kind::AppendEntries).await;
    assert!(!read.is_finished(), "its index is that of the no-op, which is not committed");

    let shorter = Body::AppendEntries {
        prev: EntryId::ZERO,
        entries: Entries::of_term(Index(0), Term(3), 1),
        leader_commit: Index(1),
    };
    solo.say(OTHER, 3, shorter, vec![record(3, 1)]).await;
    let failed = soon("it fails", read).await.expect("no panic");
    assert_eq!(failed, Err(ReadError::Refused(Refusal::LostLeadership)));
    let again = solo.read(ReadLevel::ReadIndex);
    let token = asked_of(&mut solo, OTHER).await;
    solo.say(OTHER, 3, Body::ReadIndexReply { token, index: Index(1) }, Vec::new()).await;
    assert_eq!(soon("it is served", again).await.expect("no panic"), Ok(Index(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_to_a_read_of_an_earlier_life_serves_none_of_this_one() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.say(PEER, 1, heartbeat(EntryId::ZERO), Vec::new()).await;
    let lost = solo.read(ReadLevel::ReadIndex);
    let first = asked_of(&mut solo, PEER).await;
    let Solo { node, disk, .. } = solo;
    node.kill().await;
    assert_eq!(lost.await.expect("no panic"), Err(ReadError::Stopped(Stopped)));

    let mut solo = Solo::start_on(disk, params(), Limits::default(), Recorder::default());
    solo.say(PEER, 1, heartbeat(EntryId::ZERO), Vec::new()).await;
    let read = solo.read(ReadLevel::ReadIndex);
    let second = asked_of(&mut solo, PEER).await;
    // This was answered before the present read had come, and so may lack what it has to see.
    let late = Body::ReadIndexReply { token: first, index: Index(0) };
    solo.say(PEER, 1, late, Vec::new()).await;
    solo.say(PEER, 1, Body::ReadIndexReply { token: second, index: Index(1) }, Vec::new()).await;
    solo.say(PEER, 1, append(1, 1), vec![record(1, 1)]).await;
    solo.say(PEER, 1, heartbeat(id(1, 1)), Vec::new()).await;
    assert_eq!(soon("it is served", read).await.expect("no panic"), Ok(Index(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_stopped_serves_no_read() {
    let solo = Solo::start(1, Limits::default(), Recorder::default());
    solo.lead().await;
    let handle = solo.handle().clone();
    solo.node.shutdown().await;
    for level in [ReadLevel::ReadIndex, ReadLevel::Lease, ReadLevel::Stale] {
        assert_eq!(handle.read(level).await, Err(ReadError::Stopped(Stopped)), "{level:?}");
    }
}

/// Clients learn of an entry when it is applied, and it is read from the disk for that.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_is_published_before_anyone_can_acknowledge_it() {
    let solo = Solo::start(1, Limits::default(), Recorder::default());
    solo.lead().await;
    for command in commands("published", 20) {
        solo.handle().propose(command).await.expect("it leads");
    }
    let read = solo.away.read();
    assert_eq!(read.iter().filter(|(id, _)| id.index > Index(1)).count(), 20);
    for (id, shown) in read {
        assert!(shown >= id.index, "{id:?} is handed on, while readers see {shown:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_serves_nothing_from_before() {
    let mut lab = Lab::start(82);
    for round in 0..4 {
        let (leader, _) = lab.leader().await;
        lab.propose(format!("before-{round}").as_bytes()).await;
        lab.cluster.kill(leader).await;
        let written = lab.propose(format!("meanwhile-{round}").as_bytes()).await.index;
        lab.start_node(leader);
        assert_eq!(lab.view(leader).lease_until, None);
        let level = [ReadLevel::Lease, ReadLevel::ReadIndex][round % 2];
        assert!(lab.read(leader, level).await >= written, "{level:?}");
        let seen = lab.machine(leader).commands();
        assert!(seen.contains(&format!("meanwhile-{round}").into_bytes()));
    }
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reads_get_through_a_network_that_loses_packets() {
    let lab = Lab::start(83);
    lab.leader().await;
    lab.cluster.network().lose(20);
    for command in commands("lossy", 10) {
        let written = lab.propose(&command).await.index;
        for node in (1..=3).map(NodeId) {
            assert!(lab.read(node, ReadLevel::ReadIndex).await >= written);
        }
    }
    lab.cluster.network().lose(0);
    let leads = eventually("someone leads", async || lab.view(ME).leader).await;
    assert!(leads.0 <= 3);
    lab.finish().await;
}

/// The next request of the leader to the peer in this round of reads.
async fn next_round(solo: &mut Solo, round: u64) -> Sent {
    loop {
        let sent = solo.next_to(PEER, Kind::AppendEntries).await;
        let Stamp { round: of, .. } = sent.packet.envelope.message.stamp;
        if of == round {
            return sent;
        }
    }
}

/// The name under which the node asks this leader for its reads next.
async fn asked_of(solo: &mut Solo, leader: NodeId) -> Token {
    match solo.next_to(leader, Kind::ReadIndex).await.packet.envelope.message.body {
        Body::ReadIndex { token } => token,
        other => unreachable!("it is of that kind: {other:?}"),
    }
}
