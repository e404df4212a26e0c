//! A first start that is interrupted: the next one begins again, with what it is told to begin with. And
//! a directory that was a node's never does.

use std::fs;
use std::path::Path;

use quorate::{Begin, NodeError, OpenError, Site};
use quorate_spec::NodeId;
use tempfile::TempDir;

use crate::rig::{Journal, open, propose, site, soon};

/// What an interrupted creation leaves, in the order in which it comes to be: the identity is a draft
/// until everything else is there. `half` has its first bytes only.
const LEFT: [&[&str]; 10] = [
    &["lock"],
    &["lock", "identity.new half"],
    &["lock", "identity.new"],
    &["lock", "identity.new", "log.new half"],
    &["lock", "identity.new", "log.new"],
    &["lock", "identity.new", "log"],
    &["lock", "identity.new", "log", "mark.new half"],
    &["lock", "identity.new", "log", "mark"],
    &["lock", "identity.new", "log", "mark", "register.new half"],
    &["lock", "identity.new", "log", "mark", "register"],
];

/// A directory of node 1 that has begun to join: it holds no members.
async fn finished() -> TempDir {
    let folder = tempfile::tempdir().expect("there is room");
    let joining = Site { begin: Begin::Join, ..site(folder.path()) };
    let node = open(1, joining, &Journal::default()).await.expect("it is new");
    node.shutdown().await;
    folder
}

fn copy(from: &Path, to: &Path, half: bool) {
    if !from.is_dir() {
        let bytes = fs::read(from).expect("it is there");
        let length = if half { bytes.len() / 2 } else { bytes.len() };
        return fs::write(to, &bytes[..length]).expect("there is room");
    }
    fs::create_dir(to).expect("there is room");
    for file in fs::read_dir(from).expect("it is there").skip(usize::from(half)) {
        let name = file.expect("it is there").file_name();
        copy(&from.join(&name), &to.join(&name), half);
    }
}

/// A directory whose creation was interrupted.
async fn interrupted(left: &[&str]) -> TempDir {
    let (whole, folder) = (finished().await, tempfile::tempdir().expect("there is room"));
    for part in left {
        let (name, half) = part.strip_suffix(" half").map_or((*part, false), |name| (name, true));
        let from = whole.path().join(name.trim_end_matches(".new"));
        copy(&from, &folder.path().join(name), half);
    }
    folder
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_founder_whose_first_start_was_interrupted_founds() {
    for left in LEFT {
        let folder = interrupted(left).await;
        let opened = open(1, site(folder.path()), &Journal::default()).await;
        let node = opened.unwrap_or_else(|error| panic!("{left:?}: {error}"));
        let status = node.handle().status().await.expect("it runs");
        assert!(status.configuration.members().any(|it| it == NodeId(1)), "{left:?}: {status:?}");
        propose(&node, "it leads").await;
        node.shutdown().await;
        let resumed = Site { begin: Begin::Resume, ..site(folder.path()) };
        let journal = Journal::default();
        let node = open(1, resumed, &journal).await.expect("it is a node's now");
        propose(&node, "still").await;
        assert_eq!(journal.lines().len(), 2);
        node.shutdown().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_first_start_was_interrupted_joins() {
    for left in LEFT {
        let folder = interrupted(left).await;
        let joining = Site { begin: Begin::Join, ..site(folder.path()) };
        let node = open(1, joining, &Journal::default()).await;
        let node = node.unwrap_or_else(|error| panic!("{left:?}: {error}"));
        assert!(node.handle().campaign().await.is_err(), "it is no member of anything");
        node.shutdown().await;
    }
}

/// It never spoke to anyone, so nobody knows it on the directory that it had begun.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_whose_first_start_was_interrupted_is_welcome_in_a_cluster() {
    let founder = tempfile::tempdir().expect("there is room");
    let site_one = site(founder.path());
    let peers = site_one.peers.clone();
    let one = open(1, site_one, &Journal::default()).await.expect("it is new");
    peers.set(NodeId(1), one.network().listening().to_string());
    propose(&one, "alone").await;
    let folder = interrupted(LEFT[LEFT.len() - 1]).await;
    let draft = fs::read_to_string(folder.path().join("identity.new")).expect("it is there");
    // As if it had been begun for node 2.
    let joining = Site { peers: peers.clone(), begin: Begin::Join, ..site(folder.path()) };
    let two = open(2, joining, &Journal::default()).await.expect("it begins again");
    let identity = fs::read_to_string(folder.path().join("identity")).expect("it is there");
    let incarnation = |text: &str| text.lines().nth(3).map(str::to_owned);
    assert_ne!(incarnation(&draft), incarnation(&identity), "it is another one than was begun");
    peers.set(NodeId(2), two.network().listening().to_string());
    let change = one.handle().change_members([1, 2].map(NodeId), []);
    soon("it is a member", change).await.expect("it catches up");
    two.shutdown().await;
    one.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_that_is_to_go_on_does_not_begin_where_a_first_start_was_interrupted() {
    for left in LEFT {
        let folder = interrupted(left).await;
        let resumed = Site { begin: Begin::Resume, ..site(folder.path()) };
        let error = open(1, resumed, &Journal::default()).await.expect_err("there is nothing");
        let expected = match left {
            ["lock"] => "is its disk mounted?",
            _ => "was interrupted before it was a node's, and it holds nothing: say again",
        };
        assert!(error.to_string().contains(expected), "{left:?}: {error}");
        assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), left.len());
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_lost_its_log_and_its_mark_does_not_begin_anew() {
    for lost in
        [&["log", "mark"][..], &["log", "mark", "states"], &["mark"], &["log"], &["register"]]
    {
        for begin in [Begin::Resume, Begin::Join, Begin::found([NodeId(1)])] {
            let folder = finished().await;
            for part in lost {
                let path = folder.path().join(part);
                if path.is_dir() { fs::remove_dir_all(path) } else { fs::remove_file(path) }
                    .expect("it was there");
            }
            let site = Site { begin, ..site(folder.path()) };
            let error = open(1, site, &Journal::default()).await.expect_err("votes are lost");
            let is_damaged = matches!(error, NodeError::Directory(OpenError::Damaged { .. }));
            assert!(is_damaged, "{lost:?}: {error}");
            assert!(error.to_string().contains("it is missing"), "{lost:?}: {error}");
        }
    }
}
