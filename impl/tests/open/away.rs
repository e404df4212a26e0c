//! A node that was away while the logs of the others were compacted: it catches up by a snapshot over
//! TCP while they take writes, and nobody loses leadership over it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use quorate::clock::span;
use quorate::net::Addresses;
use quorate::{Begin, Builder, Handle, Limits, Node, Site};
use quorate_spec::{NodeId, Params};

use crate::rig::{Journal, eventually, propose, site, soon};

const ALL: [u64; 3] = [1, 2, 3];
/// Entries between two snapshots: far fewer than are written while the node is away.
const PER_SNAPSHOT: u64 = 100;
const LONG: usize = 10_000;

/// So patient that a busy machine is no reason for an election.
fn builder(id: u64) -> Builder {
    let params = Params::new(span(Duration::from_secs(4)), span(Duration::from_millis(100)));
    let limits = Limits { entries_per_snapshot: PER_SNAPSHOT, ..Limits::default() };
    Builder::new(NodeId(id)).params(params).limits(limits)
}

/// Has commands applied one after the other until it is told to stop.
async fn keep_writing(leader: Handle, stop: Arc<AtomicBool>, written: Arc<AtomicU64>) {
    while !stop.load(Ordering::Relaxed) {
        leader.propose([7; 256]).await.expect("nobody else leads");
        written.fetch_add(1, Ordering::Relaxed);
    }
}

/// A figure of a node, as its metrics have it.
fn figure(node: &Node, name: &str) -> f64 {
    let text = node.handle().metrics();
    let line = text.lines().find(|line| line.starts_with(name)).expect("it is measured");
    line.rsplit(' ').next().and_then(|value| value.parse().ok()).expect("it is a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_catches_up_by_a_snapshot_under_writes_without_an_election() {
    let folder = tempfile::tempdir().expect("there is room");
    let peers = Addresses::new(ALL.map(|id| (NodeId(id), "127.0.0.1:1")));
    let mut nodes = BTreeMap::new();
    let open = async |id: u64| {
        let directory = folder.path().join(id.to_string());
        let begin = Begin::found(ALL.map(NodeId));
        let site = Site { peers: peers.clone(), begin, ..site(&directory) };
        let journal = Journal::default();
        let node = builder(id).open(site, journal.clone()).await.expect("nothing is wrong");
        peers.set(NodeId(id), node.network().listening().to_string());
        (node, journal)
    };
    for id in ALL {
        nodes.insert(id, open(id).await);
    }
    soon("the first leads", async {
        while nodes[&1].0.handle().view().leader != Some(NodeId(1)) {
            let _ = nodes[&1].0.handle().campaign().await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    propose(&nodes[&1].0, "all are here").await;
    let (away, _) = nodes.remove(&3).expect("it runs");
    away.shutdown().await;
    for _ in 0..2 * PER_SNAPSHOT {
        propose(&nodes[&1].0, vec![7; LONG]).await;
    }

    let leader = nodes[&1].0.handle().clone();
    // Not at once: a peer that answered a moment ago may still come for what would go.
    let cut = async {
        loop {
            let status = leader.status().await.expect("it runs");
            if status.base.index.0 > PER_SNAPSHOT {
                return status;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let before = soon("its log is compacted", cut).await;
    let (stop, written) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let writer = |_| tokio::spawn(keep_writing(leader.clone(), stop.clone(), written.clone()));
    let writers: Vec<_> = (0..8).map(writer).collect();
    nodes.insert(3, open(3).await);
    let back = nodes[&3].0.handle();
    eventually("it has what the others had when it came", || {
        (back.vitals().now().applied >= before.commit_index).then_some(())
    })
    .await;
    let meanwhile = written.load(Ordering::Relaxed);
    eventually("writes go on", || {
        (written.load(Ordering::Relaxed) > meanwhile + PER_SNAPSHOT).then_some(())
    })
    .await;
    stop.store(true, Ordering::Relaxed);
    for writer in writers {
        writer.await.expect("it does not panic");
    }

    let after = leader.status().await.expect("it runs");
    assert_eq!((after.term, after.leader), (before.term, Some(NodeId(1))), "nobody was elected");
    let network = nodes[&3].0.network().status();
    let bytes: u64 = network.heard.values().map(|heard| heard.snapshot_bytes).sum();
    assert!(bytes >= LONG as u64 * PER_SNAPSHOT, "the state came as a snapshot: {bytes} bytes");
    eventually("all machines are the same", || {
        let lines = |id: &u64| nodes[id].1.lines().clone();
        (lines(&1) == lines(&3) && lines(&1) == lines(&2)).then_some(())
    })
    .await;
    println!(
        "{bytes} bytes of state, {} writes meanwhile, longest step {:.1} ms",
        written.load(Ordering::Relaxed),
        1e3 * figure(&nodes[&1].0, "quorate_longest_step_seconds")
    );
    while let Some((_, (node, _))) = nodes.pop_first() {
        node.shutdown().await;
    }
}
