//! What is not in memory is fetched, and nobody waits for it but who needs it.

use std::sync::Arc;

use quorate::builder::Wire;
use quorate::disk::DiskOptions;
use quorate::{
    Applied, Builder, DiskStorage, Limits, MemoryDisk, Network, ProposeError, ReadLevel, Record,
    RunningNode, Storage,
};
use quorate_spec::durable::{LogWrite, Write};
use quorate_spec::message::Kind;
use quorate_spec::{
    AppendOutcome, Body, Configuration, Entries, Envelope, Index, NodeId, Params, Persist, Term,
    WriteId,
};
use tokio::task::{JoinHandle, JoinSet};

use crate::lab::{Recorder, eventually, params, soon};
use crate::solo::{ME, Sent, Solo, heartbeat, id, record};

const PEER: NodeId = NodeId(2);
const BEHIND: NodeId = NodeId(3);

/// Has the leader propose a command, and one peer accept it.
async fn commit(solo: &mut Solo, command: &'static str) -> Applied {
    let handle = solo.handle().clone();
    let mut proposed: JoinHandle<Result<Applied, ProposeError>> =
        tokio::spawn(async move { handle.propose(command).await });
    let committed = async {
        loop {
            tokio::select! {
                biased;
                applied = &mut proposed => break applied.expect("no panic").expect("it leads"),
                request = solo.next_to(PEER, Kind::AppendEntries) => {
                    let last = request.packet.records.last().map(|record| record.id.index.0);
                    if let Some(last) = last {
                        solo.accept(&request, last).await;
                    }
                }
            }
        }
    };
    soon("it is committed", committed).await
}

/// What a leader sends to this peer once the time of a heartbeat has passed.
async fn next_heartbeat(solo: &mut Solo, peer: NodeId) -> Sent {
    solo.clock.advance(params().heartbeat_interval);
    let now = solo.clock.read();
    loop {
        let sent = solo.next_sent().await;
        let Envelope { to, message, .. } = &sent.packet.envelope;
        if (*to, message.stamp.sent) == (peer, Some(now)) {
            return sent;
        }
    }
}

fn indices(records: &[Record]) -> Vec<u64> {
    records.iter().map(|record| record.id.index.0).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_peer_waits_for_the_disk_the_leader_leads() {
    let limits = Limits { entries_per_fetch: 2, entries_per_request: 2, ..Limits::default() };
    let mut solo = Solo::start(3, limits, Recorder::default());
    solo.lead_by(PEER).await;
    for command in ["two", "three", "four", "five"] {
        commit(&mut solo, command).await;
    }
    solo.away.entries(5);
    solo.away.hold(true);
    let accepted = AppendOutcome::Accepted { match_index: Index(1) };
    solo.say(BEHIND, 1, Body::AppendEntriesReply(accepted), Vec::new()).await;
    // Heartbeats, proposals and reads go on, and nothing but heartbeats leaves for who is behind.
    for _ in 0..3 {
        assert_eq!(next_heartbeat(&mut solo, BEHIND).await.packet.records, []);
    }
    commit(&mut solo, "six").await;
    let read = solo.read(ReadLevel::ReadIndex);
    while !read.is_finished() {
        let asked = next_heartbeat(&mut solo, PEER).await;
        solo.accept(&asked, 6).await;
    }
    assert_eq!(read.await.expect("no panic"), Ok(Index(6)));
    assert_eq!(next_heartbeat(&mut solo, BEHIND).await.packet.records, []);
    assert_eq!(solo.away.fetched(), [id(1, 2)], "one at a time, and once");

    solo.away.hold(false);
    let mut arrived = Vec::new();
    while arrived.last() != Some(&6) {
        let sent = solo.next_to(BEHIND, Kind::AppendEntries).await;
        let new = indices(&sent.packet.records);
        if let Some(last) = new.last() {
            solo.accept(&sent, *last).await;
        }
        arrived.extend(new);
    }
    assert_eq!(arrived, [2, 3, 4, 5, 6]);
    assert_eq!(solo.away.fetched(), [id(1, 4)], "and the last one was in memory");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_a_state_is_fetched_the_leader_leads_and_then_it_is_sent() {
    let limits = Limits { entries_per_snapshot: 2, ..Limits::default() };
    let mut solo = Solo::start(3, limits, Recorder::default());
    solo.lead_by(PEER).await;
    commit(&mut solo, "two").await;
    solo.status("the log is compacted", |status| status.base.index == Index(2)).await;
    solo.away.states();
    solo.away.hold(true);
    for _ in 0..2 {
        next_heartbeat(&mut solo, BEHIND).await;
    }
    assert_eq!(solo.away.fetched(), [], "nobody knows whether it is there");
    let sent = next_heartbeat(&mut solo, BEHIND).await;
    let empty = AppendOutcome::Conflict { prev_index: Index(2), hint: id(0, 0) };
    solo.answer(&sent, Body::AppendEntriesReply(empty)).await;
    for _ in 0..2 {
        assert_eq!(next_heartbeat(&mut solo, BEHIND).await.packet.records, []);
    }
    for command in ["three", "four"] {
        commit(&mut solo, command).await;
    }
    let next = async || solo.disk.states().iter().any(|state| state.last == id(1, 4)).then_some(());
    eventually("the next state is kept", next).await;
    next_heartbeat(&mut solo, BEHIND).await;
    let base = solo.handle().status().await.expect("it runs").base;
    assert_eq!(base, id(1, 2), "the log is not cut again before it has left");
    assert_eq!(solo.away.fetched(), [id(1, 2)], "once");
    solo.away.hold(false);
    let sent = async {
        loop {
            solo.clock.advance(params().heartbeat_interval);
            // It says something to everyone, so this ends.
            let sent = solo.next_sent().await;
            match (sent.packet.envelope.to, sent.kind()) {
                (BEHIND, Kind::InstallSnapshot) => return sent,
                (PEER, _) => solo.accept(&sent, 4).await,
                _ => {}
            }
        }
    };
    let Sent { packet, .. } = soon("the state is sent", sent).await;
    assert!(packet.is_complete());
    let states = solo.disk.states();
    assert_eq!(packet.state, states.first().map(|state| state.bytes.clone()));
    for _ in 0..3 {
        next_heartbeat(&mut solo, BEHIND).await;
    }
    assert_eq!(solo.away.fetched(), [], "while it is on its way nobody reads it again");
}

/// A disk with the no-op and some commands of a leader, all of term 1.
async fn disk_with(count: u64) -> MemoryDisk {
    let disk = MemoryDisk::new(Configuration::of((1..=3).map(NodeId)));
    let mut storage = disk.open();
    let log = LogWrite { keep: Index(0), entries: Entries::of_term(Index(0), Term(1), count) };
    let write = Write { log: Some(log), ..Write::default() };
    let records = (1..=count).map(|index| record(1, index)).collect();
    storage.submit(Persist { id: WriteId(1), write }, records);
    storage.close().await;
    disk
}

fn commands(count: u64) -> Vec<Vec<u8>> {
    (1..=count).map(|index| format!("{index}@1").into_bytes()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_machine_waits_for_the_disk_the_node_takes_part_in_everything() {
    let machine = Recorder::default();
    let limits =
        Limits { entries_per_fetch: 3, entries_per_batch: 2, batches: 1, ..Limits::default() };
    let disk = disk_with(10).await;
    let mut solo = Solo::start_on(disk, params(), limits, machine.clone());
    solo.away.entries(10);
    solo.away.hold(true);
    solo.say(PEER, 1, heartbeat(id(1, 10)), Vec::new()).await;
    solo.status("it knows what is committed", |it| it.commit_index == Index(10)).await;
    // It takes in more, and asks for votes.
    let prev = id(1, 10);
    let entries = Entries::of_term(prev.index, Term(1), 1);
    let body = Body::AppendEntries { prev, entries, leader_commit: Index(11) };
    solo.say(PEER, 1, body, vec![record(1, 11)]).await;
    solo.status("it has the next one", |it| it.durable_index == Index(11)).await;
    let Params { election_timeout, .. } = params();
    solo.clock.advance(election_timeout);
    solo.clock.advance(election_timeout);
    solo.handle().campaign().await.expect("its promise has passed");
    while solo.next_sent().await.kind() != Kind::PreVote {}
    assert_eq!((machine.commands(), solo.away.fetched()), (vec![], vec![id(1, 1)]));

    solo.away.hold(false);
    solo.status("all is applied", |it| it.applied == Index(11)).await;
    assert_eq!(machine.commands(), commands(11), "in order");
    assert_eq!(solo.away.fetched(), [id(1, 4), id(1, 7), id(1, 10)]);
}

/// The only voter, on a real directory.
fn start(folder: &std::path::Path, recent_bytes: usize, machine: Recorder) -> RunningNode {
    let options = DiskOptions::new(7, ME, Configuration::of([ME]));
    let storage = DiskStorage::open(folder, DiskOptions { recent_bytes, ..options });
    let network = Network::new(7);
    let packets = network.attach(ME, 16);
    let wire = Wire { packets, mail: None, transport: Arc::new(network) };
    let limits = Limits { entries_per_fetch: 50, bytes_per_fetch: 4000, ..Limits::default() };
    let builder = Builder::new(ME).params(params()).limits(limits);
    builder.start(storage.expect("nobody else has it"), wire, machine).expect("it fits")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_restarts_with_a_long_log_applies_all_of_it_in_order() {
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("node");
    let (node, mut proposed) = (start(&path, 0, Recorder::default()), Vec::new());
    eventually("it leads", async || node.handle().view().leader).await;
    for first in (0..1000).step_by(100) {
        let mut together = JoinSet::new();
        for number in first..first + 100 {
            let (handle, command) = (node.handle().clone(), format!("{number}").into_bytes());
            together.spawn(async move {
                let applied = handle.propose(command.clone()).await.expect("it leads");
                (applied.entry, command)
            });
        }
        proposed.extend(together.join_all().await);
    }
    proposed.sort();
    node.shutdown().await;
    for recent_bytes in [0, 5000] {
        let machine = Recorder::default();
        let node = start(&path, recent_bytes, machine.clone());
        let all = || (machine.applied().len() == 1000).then_some(());
        eventually("it has applied everything", async || all()).await;
        assert_eq!(machine.applied(), proposed);
        node.shutdown().await;
    }
}
