//! An id belongs to one disk: whoever comes under it with another one is refused, and told why.

use std::fs;
use std::path::Path;

use quorate::disk::{DiskOptions, forget};
use quorate::net::{Fault, NetLimits, Objection, Security, TcpOptions};
use quorate::{DiskStorage, Storage};
use quorate_spec::{Configuration, NodeId};
use tempfile::TempDir;

use crate::rig::{Authority, End, limits, options};
use crate::strangers::{greeting, say, verdict};

/// An end of a node that has a directory.
struct Housed {
    end: End,
    storage: DiskStorage,
}

impl Housed {
    async fn start(id: u64, folder: &Path, security: Security) -> Housed {
        Housed::within(limits(), id, folder, security).await
    }

    async fn within(limits: NetLimits, id: u64, folder: &Path, security: Security) -> Housed {
        let nobody = Configuration::default();
        let storage = DiskStorage::open(folder, DiskOptions::new(7, NodeId(id), nobody));
        let storage = storage.expect("nothing is wrong with it");
        let register = storage.register();
        let end = End::start(TcpOptions { register, limits, ..options(id, security) }).await;
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

    fs::remove_dir(&in_the_way).expect("it is empty");
    three.reaches(&mut one.end).await;
    one.end.reaches(&mut three).await;
    one.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn strangers_do_not_fill_the_register() {
    let mut one = End::open(1).await;
    // Whose address is known does not count.
    let mut three = End::open(3).await;
    one.learn(&three);
    one.reaches(&mut three).await;
    let mut answers = Vec::new();
    for id in 100..100 + 1024 {
        let hello = greeting("test-7f", (1, 1), (id, id), 1);
        answers.push(verdict(&say(&one, &[&hello[..], &[7; 12]].concat()).await));
    }
    assert!(answers.iter().all(|verdict| *verdict == Some(0)), "{answers:?}");
    let another = greeting("test-7f", (1, 1), (99, 1), 1);
    assert_eq!(verdict(&say(&one, &another).await), Some(10));
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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_takes_an_id_first_from_elsewhere_than_its_address_does_not_have_it() {
    let (mut one, mut three) = (End::open(1).await, End::open(3).await);
    one.transport.addresses().set(NodeId(3), "127.0.0.1:9");
    let false_claim = greeting("test-7f", (1, 1), (3, 88), 1);
    for _ in 0..3 {
        assert_eq!(verdict(&say(&one, &false_claim).await), Some(11));
    }
    one.learn(&three);
    three.learn(&one);
    one.reaches(&mut three).await;
    three.reaches(&mut one).await;
    assert_eq!(verdict(&say(&one, &false_claim).await), Some(8));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_id_that_another_server_came_under_first_is_forgotten_by_the_operator() {
    let (disk, disk_three) = (folder(), folder());
    let one = Housed::start(1, disk.path(), Security::Open).await;
    let false_claim = greeting("test-7f", (1, 1), (3, 88), 1);
    let said = say(&one.end, &[&false_claim[..], &[7; 12]].concat()).await;
    assert_eq!(verdict(&said), Some(0), "its address is not known");
    let mut three = Housed::start(3, disk_three.path(), Security::Open).await;
    one.end.learn(&three.end);
    three.end.learn(&one.end);
    are_strangers(&one.end, &three.end).await;
    assert!(forget(disk.path(), NodeId(3)).is_err(), "the node runs");
    one.stop().await;
    assert!(forget(disk.path(), NodeId(3)).expect("nobody has it open"));
    let mut one = Housed::start(1, disk.path(), Security::Open).await;
    one.end.learn(&three.end);
    three.end.learn(&one.end);
    one.end.reaches(&mut three.end).await;
    three.end.reaches(&mut one.end).await;
    three.stop().await;
    one.stop().await;
}

/// A file that nothing can be written to until somebody reads it, as on a disk that stands still.
#[cfg(target_os = "linux")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn where_the_disk_stands_still_one_waits_for_it_and_the_others_are_told() {
    let disk = folder();
    let patience = std::time::Duration::from_secs(4);
    let limits = NetLimits { handshake_patience: patience, ..limits() };
    let one = Housed::within(limits, 1, disk.path(), Security::Open).await;
    let pipe = disk.path().join("register.new");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().expect("it is there");
    assert!(made.success());
    let hello = [3, 4, 5].map(|id| greeting("test-7f", (1, 1), (id, 88), 1));
    let [a, b, c] = &hello;
    let said = tokio::join!(say(&one.end, a), say(&one.end, b), say(&one.end, c));
    let mut verdicts = [&said.0, &said.1, &said.2].map(|said| verdict(said));
    verdicts.sort();
    // Open for both, it waits for nobody, and all who wait go on, however many there are.
    let open = fs::OpenOptions::new().read(true).write(true).open(&pipe).expect("it is there");
    // Not before, or a thread that still waits would keep the test from its end.
    assert_eq!(verdicts, [None, Some(9), Some(9)]);
    fs::remove_file(&pipe).expect("it is there");
    drop(open);
    let said = say(&one.end, &[&hello[0][..], &[7; 12]].concat()).await;
    assert_eq!(verdict(&said), Some(0));
    one.stop().await;
}
