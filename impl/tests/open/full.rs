//! A node whose disk is full stops and says so, and nothing that it acknowledged is lost.

use std::env;
use std::process::Command;

use quorate::{Node, StopReason, StorageError};
use quorate_spec::NodeId;

use crate::rig::{Journal, open, propose, site, soon};

const FOLDER: &str = "QUORATE_TEST_FOLDER";

/// So long that few of them fill what there is.
const LENGTH: usize = 200_000;

fn command(number: u64) -> Vec<u8> {
    number.to_le_bytes().repeat(LENGTH / 8)
}

/// Does nothing, unless it is started by the other test.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fills_its_disk() {
    let Ok(folder) = env::var(FOLDER) else { return };
    let node = Node::open(NodeId(1), site(folder.as_ref()), Journal::default()).await;
    let node = node.expect("it is whole");
    let handle = node.handle();
    propose(&node, command(0)).await;
    println!("acknowledged 0");
    for number in 1_u64.. {
        match soon("an answer", handle.propose(command(number))).await {
            Ok(_) => println!("acknowledged {number}"),
            Err(error) => {
                println!("error {error}");
                break;
            }
        }
    }
    let reason = soon("it stops", handle.stopped()).await;
    assert!(matches!(&reason, StopReason::Storage(StorageError::Disk { .. })), "{reason}");
    println!("stopped {reason}");
}

#[cfg(unix)]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_the_node_which_says_what_to_do_and_loses_nothing() {
    let folder = tempfile::tempdir().expect("there is room");
    let journal = Journal::default();
    open(1, site(folder.path()), &journal).await.expect("it is new").shutdown().await;
    // Files may not grow beyond some 20 MiB, and a signal that would say so is ignored.
    let limited = "trap '' XFSZ; ulimit -f 40000; exec \"$@\"";
    let said = Command::new("sh")
        .args(["-c", limited, "sh"])
        .arg(env::current_exe().expect("this is a program"))
        .args(["--exact", "full::fills_its_disk", "--nocapture"])
        .env(FOLDER, folder.path())
        .output()
        .expect("it can be started");
    let said = String::from_utf8_lossy(&said.stdout);
    let stopped = said.lines().find(|line| line.starts_with("stopped "));
    let stopped = stopped.unwrap_or_else(|| panic!("it has not stopped: {said}"));
    assert!(stopped.contains("make room or check the disk"), "{stopped}");
    let last =
        said.lines().filter_map(|line| line.strip_prefix("acknowledged ")?.parse().ok()).max();
    let last: u64 = last.expect("something was acknowledged");

    // There is room again.
    let node = open(1, site(folder.path()), &journal).await.expect("nothing is lost");
    propose(&node, "there is room again").await;
    let has = |number: u64| journal.lines()[number as usize] == command(number);
    assert!((0..=last).all(has), "{last} were acknowledged");
    node.shutdown().await;
}
