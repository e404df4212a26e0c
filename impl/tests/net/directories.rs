//! An id belongs to one disk: whoever comes under it with another one is refused, and told why.

use std::fs;
use std::path::Path;

use quorate::disk::{DiskOptions, Register};
use quorate::net::{Fault, Objection, Security, TcpOptions};
use quorate::{DiskStorage, Storage};
use quorate_spec::{Configuration, NodeId};
use tempfile::TempDir;

use crate::rig::{Authority, End, options};
use crate::strangers::{greeting, say, verdict};

/// An end of a node that has a directory.
struct Housed {
    end: End,
    storage: DiskStorage,
}

impl Housed {
    async fn start(id: u64, folder: &Path, security: Security) -> Housed {
        let nobody = Configuration::default();
        let storage = DiskStorage::open(folder, DiskOptions::new(7, NodeId(id), nobody));
        let storage = storage.expect("nothing is wrong with it");
        let register = storage.register();
        let end = End::start(TcpOptions { register, ..options(id, security) }).await;
        Housed { end, storage }
    }

    async fn stop(self) {
        self.end.transport.shutdown().await;
        self.storage.close().await;
    }
}

fn folder() -> TempDir {
    tempfile::tempdir().expect("there is room")
}

async fn are_strangers(one: &End, other: &End) {
    let (refused, turned_away) =
        (Fault::Refused(Objection::OtherDirectory), Fault::TurnedAway(Objection::OtherDirectory));
    // Each of them connects: whoever remembers says no, as the host and as the guest.
    other.down(one.id(), |fault| *fault == refused).await;
    one.down(other.id(), |fault| *fault == turned_away).await;
    one.turned_away(|fault| *fault == turned_away).await;
}

async fn a_replaced_disk_is_found_out(security: impl Fn(u64) -> Security) {
    let (disk_one, disk_two, new_disk) = (folder(), folder(), folder());
    let start = |id, disk: &TempDir| {
        let (security, disk) = (security(id), disk.path().to_path_buf());
        async move { Housed::start(id, &disk, security).await }
    };
    let mut one = start(1, &disk_one).await;
    let mut two = start(2, &disk_two).await;
    let mut three = End::start(options(3, security(3))).await;
    one.end.learn(&two.end);
    two.end.learn(&one.end);
    one.end.learn(&three);
    one.end.reaches(&mut two.end).await;
    two.end.reaches(&mut one.end).await;
    two.stop().await;

    let replaced = start(2, &new_disk).await;
    one.end.learn(&replaced.end);
    replaced.end.learn(&one.end);
    are_strangers(&one.end, &replaced.end).await;
    one.end.reaches(&mut three).await;

    // It is remembered, whoever restarts.
    one.stop().await;
    let mut one = start(1, &disk_one).await;
    one.end.learn(&replaced.end);
    replaced.end.learn(&one.end);
    are_strangers(&one.end, &replaced.end).await;
    let sent = replaced.end.transport.status().peers[&NodeId(1)].sent;
    let said = format!("{}", Fault::Refused(Objection::OtherDirectory));
    assert!(sent == 0 && said.contains("add the server again under a new id"), "{said}");
    replaced.stop().await;

    // The disk that it was met on is welcome.
    let mut two = start(2, &disk_two).await;
    one.end.learn(&two.end);
    two.end.learn(&one.end);
    one.end.reaches(&mut two.end).await;
    two.end.reaches(&mut one.end).await;
    two.stop().await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_disk_was_replaced_is_refused_on_both_sides_and_its_old_disk_is_welcome() {
    a_replaced_disk_is_found_out(|_| Security::Open).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_does_not_make_another_disk_the_same_node() {
    let authority = Authority::new();
    a_replaced_disk_is_found_out(|id| Security::Tls(authority.vouches(id))).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_came_without_a_directory_is_refused_with_one_and_the_other_way_round() {
    let (disk_one, disk_two) = (folder(), folder());
    let mut one = Housed::start(1, disk_one.path(), Security::Open).await;
    let mut without = End::open(2).await;
    one.end.learn(&without);
    without.learn(&one.end);
    one.end.reaches(&mut without).await;
    without.reaches(&mut one.end).await;
    without.transport.shutdown().await;

    // As a node in memory it may come back: nobody can tell its lives apart.
    let mut again = End::open(2).await;
    one.end.learn(&again);
    one.end.reaches(&mut again).await;
    again.transport.shutdown().await;

    let mut housed = Housed::start(2, disk_two.path(), Security::Open).await;
    one.end.learn(&housed.end);
    housed.end.learn(&one.end);
    are_strangers(&one.end, &housed.end).await;
    let mut three = End::open(3).await;
    three.learn(&housed.end);
    housed.end.learn(&three);
    three.reaches(&mut housed.end).await;
    housed.end.reaches(&mut three).await;
    housed.stop().await;
    let without = End::open(2).await;
    three.learn(&without);
    without.learn(&three);
    are_strangers(&three, &without).await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_note_down_whom_it_meets_meets_nobody_new() {
    let disk = folder();
    let mut one = Housed::start(1, disk.path(), Security::Open).await;
    let mut two = End::open(2).await;
    one.end.learn(&two);
    one.end.reaches(&mut two).await;

    // A folder in the way of the file, as a full disk would be.
    let in_the_way = disk.path().join("register.new");
    fs::create_dir(&in_the_way).expect("there is room");
    let mut three = End::open(3).await;
    three.learn(&one.end);
    three.down(NodeId(1), |fault| *fault == Fault::Refused(Objection::NotNoted)).await;
    one.end.turned_away(|fault| matches!(fault, Fault::NotNoted(_))).await;
    one.end.learn(&three);
    let fault = one.end.down(NodeId(3), |fault| matches!(fault, Fault::NotNoted(_))).await;
    assert!(fault.to_string().contains("register"), "{fault}");
    one.end.reaches(&mut two).await;
    assert_eq!(one.storage.register().of(NodeId(3)), None);

    fs::remove_dir(&in_the_way).expect("it is empty");
    three.reaches(&mut one.end).await;
    one.end.reaches(&mut three).await;
    assert_eq!(one.storage.register().of(NodeId(3)), Some(None));
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_not_fill_the_register() {
    let register = Register::default();
    let mut one =
        End::start(TcpOptions { register: register.clone(), ..options(1, Security::Open) }).await;
    let mut answers = Vec::new();
    for id in 100..100 + 1024 {
        let hello = greeting("test-7f", (1, 1), (id, id), 1);
        answers.push(verdict(&say(&one, &[&hello[..], &[7; 12]].concat()).await));
    }
    assert!(answers.iter().all(|verdict| *verdict == Some(0)), "{answers:?}");
    let another = greeting("test-7f", (1, 1), (99, 1), 1);
    assert_eq!(verdict(&say(&one, &another).await), Some(10));
    assert_eq!(register.of(NodeId(99)), None);
    // Whose address is known is no stranger.
    let two = End::open(2).await;
    two.learn(&one);
    two.down(NodeId(1), |fault| *fault == Fault::Refused(Objection::Stranger)).await;
    one.learn(&two);
    two.reaches(&mut one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_was_met_comes_with_its_directory_or_not_at_all() {
    let one = End::open(1).await;
    let with = |directory| greeting("test-7f", (1, 1), (3, directory), 1);
    let mut said = Vec::new();
    for directory in [88, 89, 0, 88] {
        said.push(verdict(&say(&one, &[&with(directory)[..], &[7; 12]].concat()).await));
    }
    assert_eq!(said, [Some(0), Some(8), Some(8), Some(0)]);
}
