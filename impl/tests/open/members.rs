//! How a cluster begins, how a node joins it, and that each goes on where it was.

use std::collections::BTreeMap;

use quorate::net::Addresses;
use quorate::{Begin, Node, ReadLevel, Site};
use quorate_spec::NodeId;
use tempfile::TempDir;

use crate::rig::{Journal, eventually, open, propose, site, soon};

/// Nodes that run, each with its directory.
struct Nodes {
    folder: TempDir,
    peers: Addresses,
    nodes: BTreeMap<u64, (Node, Journal)>,
}

impl Nodes {
    fn new() -> Nodes {
        let folder = tempfile::tempdir().expect("there is room");
        let peers = Addresses::new([] as [(NodeId, String); 0]);
        Nodes { folder, peers, nodes: BTreeMap::new() }
    }

    /// Opens a node on its own directory; its address is known to all from then on.
    async fn open(&mut self, id: u64, begin: Begin) {
        let directory = self.folder.path().join(id.to_string());
        let site = Site { peers: self.peers.clone(), begin, ..site(&directory) };
        let journal = Journal::default();
        let node = open(id, site, &journal).await.expect("nothing is wrong");
        self.peers.set(NodeId(id), node.network().listening().to_string());
        self.nodes.insert(id, (node, journal));
    }

    fn node(&self, id: u64) -> &Node {
        &self.nodes[&id].0
    }

    async fn all_have(&self, lines: &[&str]) {
        for (node, journal) in self.nodes.values() {
            eventually("the machine has all commands", || {
                let found = journal.lines();
                found.iter().eq(lines.iter().map(|line| line.as_bytes())).then_some(())
            })
            .await;
            assert!(node.handle().view().leader.is_some());
        }
    }

    async fn stop(&mut self) {
        while let Some((_, (node, _))) = self.nodes.pop_first() {
            node.shutdown().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_founds_others_join_and_all_go_on_after_a_stop() {
    let mut nodes = Nodes::new();
    nodes.open(1, Begin::found([NodeId(1)])).await;
    propose(nodes.node(1), "alone").await;
    for id in 2..=3 {
        nodes.open(id, Begin::Join).await;
    }
    let change = nodes.node(1).handle().change_members([1, 2, 3].map(NodeId), []);
    soon("they are members", change).await.expect("they catch up");
    // Whichever is asked, the leader applies it.
    propose(nodes.node(3), "together").await;
    soon("a read", nodes.node(2).handle().read(ReadLevel::ReadIndex)).await.expect("all run");
    nodes.all_have(&["alone", "together"]).await;
    nodes.stop().await;

    // There is nothing to begin with any more: each goes on with what it has.
    for id in 1..=3 {
        nodes.open(id, Begin::Resume).await;
    }
    propose(nodes.node(2), "again").await;
    nodes.all_have(&["alone", "together", "again"]).await;
    nodes.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_to_join_elects_nobody_by_itself() {
    let folder = tempfile::tempdir().expect("there is room");
    let site = Site { begin: Begin::Join, ..site(folder.path()) };
    let node = open(1, site, &Journal::default()).await.expect("nothing is wrong");
    assert!(node.handle().campaign().await.is_err(), "it is no member of anything");
    let status = node.handle().status().await.expect("it runs");
    assert_eq!((status.term.0, status.last.index.0), (0, 0), "{status:?}");
    node.shutdown().await;
}
