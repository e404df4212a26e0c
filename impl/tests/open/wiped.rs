//! A server whose disk was emptied, and that is started again under its old id (bug E22): it has
//! forgotten its votes and what it acknowledged, so nobody counts on it any more.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use quorate::net::{Addresses, Fault, LinkState, Objection};
use quorate::{Begin, Node, Site};
use quorate_spec::{NodeId, RoleName};
use tempfile::TempDir;

use crate::rig::{Journal, eventually, open, propose, site};

const ALL: [u64; 3] = [1, 2, 3];

/// Three nodes on their directories.
struct Nodes {
    folder: TempDir,
    peers: Addresses,
    running: BTreeMap<u64, (Node, Journal)>,
}

impl Nodes {
    async fn found() -> Nodes {
        let peers = Addresses::new(ALL.map(|id| (NodeId(id), "127.0.0.1:1")));
        let folder = tempfile::tempdir().expect("there is room");
        let mut nodes = Nodes { folder, peers, running: BTreeMap::new() };
        for id in ALL {
            nodes.open(id, founding()).await;
        }
        propose(nodes.node(1), "all are here").await;
        for (from, to) in [(1, 2), (1, 3), (2, 1), (2, 3), (3, 1), (3, 2)] {
            nodes.link(from, to, |link| matches!(link, LinkState::Connected(_))).await;
        }
        nodes
    }

    fn directory(&self, id: u64) -> PathBuf {
        self.folder.path().join(id.to_string())
    }

    async fn open(&mut self, id: u64, begin: Begin) {
        let site = Site { peers: self.peers.clone(), begin, ..site(&self.directory(id)) };
        let journal = Journal::default();
        let node = open(id, site, &journal).await.expect("nothing is wrong with its directory");
        self.peers.set(NodeId(id), node.network().listening().to_string());
        self.running.insert(id, (node, journal));
    }

    async fn stop(&mut self, id: u64) {
        let (node, _) = self.running.remove(&id).expect("it runs");
        node.shutdown().await;
    }

    fn node(&self, id: u64) -> &Node {
        &self.running[&id].0
    }

    async fn link(&self, from: u64, to: u64, is: impl Fn(&LinkState) -> bool) {
        eventually("the link is so", || {
            let status = self.node(from).network().status();
            is(&status.peers.get(&NodeId(to))?.link).then_some(())
        })
        .await;
    }

    async fn refuses(&self, from: u64, to: u64) {
        let other = Fault::TurnedAway(Objection::OtherDirectory);
        self.link(from, to, |link| *link == LinkState::Down(other.clone())).await;
    }

    async fn is_refused_by(&self, from: u64, to: u64) {
        let other = Fault::Refused(Objection::OtherDirectory);
        self.link(from, to, |link| *link == LinkState::Down(other.clone())).await;
    }

    async fn has(&self, id: u64, lines: &[&str]) {
        eventually("the machine has all commands", || {
            let found = self.running[&id].1.lines();
            found.iter().eq(lines.iter().map(|line| line.as_bytes())).then_some(())
        })
        .await;
    }
}

fn founding() -> Begin {
    Begin::found(ALL.map(NodeId))
}

/// Node 3 is stopped, and begins on an empty disk; then one of the others is stopped, too.
async fn is_counted_on_no_more(begin: Begin) {
    let mut nodes = Nodes::found().await;
    nodes.stop(3).await;
    let kept = nodes.folder.path().join("kept");
    fs::rename(nodes.directory(3), &kept).expect("it is nobody's now");
    nodes.open(3, begin.clone()).await;
    for member in [1, 2] {
        nodes.refuses(member, 3).await;
        nodes.is_refused_by(3, member).await;
    }
    propose(nodes.node(1), "without it").await;

    // One old server is no majority of three, however often it asks the other two; nor is the new one.
    nodes.stop(2).await;
    let before = nodes.node(1).network().status().turned_away;
    eventually("it has asked for a while", || {
        let is_turned_away = nodes.node(1).network().status().turned_away > before + 50;
        let campaigns = nodes.node(1).handle().vitals().now().role == RoleName::PreCandidate;
        (is_turned_away && campaigns).then_some(())
    })
    .await;
    let (old, new) = (nodes.node(1).handle(), nodes.node(3).handle());
    let (old, new) = (old.status().await.expect("it runs"), new.status().await.expect("it runs"));
    assert_eq!((old.leader, new.leader), (None, None), "{old:?}, {new:?}");
    assert_eq!((new.voted_for, new.last.index.0, new.term.0), (None, 0, 0), "{new:?}");

    nodes.open(2, Begin::Resume).await;
    propose(nodes.node(2), "go on").await;
    nodes.stop(3).await;
    fs::remove_dir_all(nodes.directory(3)).expect("it is nobody's now");
    back_on_its_own(&mut nodes, &kept).await;
}

/// With its old disk it is the server that it was.
async fn back_on_its_own(nodes: &mut Nodes, kept: &Path) {
    fs::rename(kept, nodes.directory(3)).expect("there is room");
    nodes.open(3, Begin::Resume).await;
    propose(nodes.node(3), "welcome").await;
    for id in ALL {
        nodes.has(id, &["all are here", "without it", "go on", "welcome"]).await;
    }
    for id in ALL {
        nodes.stop(id).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_disk_was_emptied_is_counted_on_no_more_where_it_founds() {
    is_counted_on_no_more(founding()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_whose_disk_was_emptied_is_counted_on_no_more_where_it_joins() {
    is_counted_on_no_more(Begin::Join).await;
}

/// What its objection says to do.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn it_is_removed_and_added_under_a_new_id_and_its_old_one_stays_refused() {
    let mut nodes = Nodes::found().await;
    nodes.stop(3).await;
    fs::remove_dir_all(nodes.directory(3)).expect("it is nobody's now");
    nodes.open(4, Begin::Join).await;
    let members = [1, 2, 4].map(NodeId);
    crate::rig::soon("the change", async {
        loop {
            let leader = nodes.node(1).handle().view().leader.map_or(1, |leader| leader.0);
            let leader = nodes.running.get(&leader).map_or(nodes.node(1), |(node, _)| node);
            match leader.handle().change_members(members, []).await {
                Ok(()) => break,
                Err(_) => tokio::time::sleep(std::time::Duration::from_millis(20)).await,
            }
        }
    })
    .await;
    propose(nodes.node(4), "replaced").await;
    nodes.open(3, Begin::Join).await;
    for member in [1, 2] {
        nodes.refuses(member, 3).await;
        nodes.is_refused_by(3, member).await;
    }
    for id in [1, 2, 4] {
        nodes.has(id, &["all are here", "replaced"]).await;
    }
    for id in [1, 2, 3, 4] {
        nodes.stop(id).await;
    }
}
