//! The states of snapshots: in chunks beside everything else, and on from where they broke off.

use std::time::Duration;

use quorate::net::{Fault, NetLimits, Security, SnapshotFault, TcpOptions};
use quorate::{Packet, StateBytes, Transport};
use quorate_spec::{
    Body, Configuration, EntryId, Envelope, Index, Message, NodeId, Snapshot, Term,
};

use crate::proxy::{Proxy, Weather};
use crate::rig::{End, eventually, limits, options, packet, soon};

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);

fn state(bytes: u32) -> StateBytes {
    (0..bytes / 4).flat_map(|i| i.wrapping_mul(2_654_435_761).to_le_bytes()).collect()
}

fn install(term: u64, index: u64, state: &StateBytes) -> Packet {
    let last = EntryId { term: Term(1), index: Index(index) };
    let snapshot = Snapshot::new(last, Configuration::of([ONE, TWO]));
    let message = Message::new(Term(term), Body::InstallSnapshot { snapshot });
    let envelope = Envelope { from: ONE, to: TWO, message };
    Packet { envelope, records: Vec::new(), state: Some(state.clone()) }
}

async fn open(id: u64, limits: NetLimits) -> End {
    End::start(TcpOptions { limits, ..options(id, Security::Open) }).await
}

/// The next packet that has a state.
async fn next_state(end: &mut End) -> Packet {
    let arrives = async {
        loop {
            let packet = end.packets.recv().await.expect("it listens");
            if packet.state.is_some() {
                return packet;
            }
        }
    };
    soon("a state arrives", arrives).await
}

/// Bytes of states that came from node 1.
fn came(end: &End) -> u64 {
    end.transport.status().heard.get(&ONE).map_or(0, |heard| heard.snapshot_bytes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_arrives_although_the_connection_breaks_again_and_again_and_no_byte_twice() {
    let (one, mut two) = (open(1, limits()).await, open(2, limits()).await);
    let state = state(8 << 20);
    // Packets go another way, so that the connection that breaks is that of the snapshot.
    let network = Proxy::breaking(two.address(), 700_000).await;
    one.transport.addresses().set(TWO, network.address());
    two.learn(&one);
    one.connected(TWO).await;
    eventually("node 1 is heard", || two.transport.status().heard.contains_key(&ONE).then_some(()))
        .await;
    let sent = install(2, 9, &state);
    one.transport.send(sent.clone());
    assert_eq!(next_state(&mut two).await, sent);
    assert_eq!(came(&two), state.len() as u64, "every byte once");
    assert!(network.carried() > state.len() as u64);
    let moved = one.transport.moved(TWO);
    assert!(
        moved >= state.len() as u64,
        "what was on its way when it broke is sent again: {moved}"
    );
    eventually("it is done", || {
        one.transport.status().peers[&TWO].snapshot.is_none().then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn heartbeats_do_not_wait_behind_a_state_and_it_keeps_to_its_rate() {
    let slow = NetLimits { snapshot_rate: 1 << 20, ..limits() };
    let (one, mut two) = (open(1, slow).await, open(2, limits()).await);
    one.learn(&two);
    one.reaches(&mut two).await;
    let sent = install(2, 9, &state(2 << 20));
    one.transport.send(sent.clone());
    let mut between = 0;
    let state_arrives = async {
        loop {
            one.transport.send(packet(ONE, TWO, 7));
            let wait = Duration::from_millis(20);
            match tokio::time::timeout(wait, two.packets.recv()).await {
                Ok(Some(packet)) if packet.state.is_some() => return packet,
                Ok(Some(_)) if came(&two) > 0 => between += 1,
                _ => {}
            }
        }
    };
    assert_eq!(soon("the state arrives", state_arrives).await, sent);
    assert!(between > 20, "{between} packets came while the state was on its way");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_message_that_arrives_is_the_latest_about_this_state() {
    let slow = NetLimits { snapshot_rate: 2 << 20, ..limits() };
    let (one, mut two) = (open(1, slow).await, open(2, limits()).await);
    one.learn(&two);
    one.reaches(&mut two).await;
    let state = state(1 << 20);
    one.transport.send(install(2, 9, &state));
    eventually("it is on its way", || (came(&two) > 0).then_some(())).await;
    one.transport.send(install(3, 9, &state));
    assert_eq!(next_state(&mut two).await, install(3, 9, &state));
    assert_eq!(came(&two), state.len() as u64, "it goes on, and does not begin anew");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_newer_state_takes_the_place_of_one_that_is_on_its_way() {
    let slow = NetLimits { snapshot_rate: 4 << 20, ..limits() };
    let (one, mut two) = (open(1, slow).await, open(2, limits()).await);
    one.learn(&two);
    one.reaches(&mut two).await;
    one.transport.send(install(2, 9, &state(64 << 20)));
    eventually("it is on its way", || (came(&two) > 0).then_some(())).await;
    let newer = install(2, 20, &state(100_000));
    one.transport.send(newer.clone());
    assert_eq!(next_state(&mut two).await, newer);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_leader_goes_on_with_the_same_state() {
    let slow = NetLimits { snapshot_rate: 4 << 20, ..limits() };
    let (one, mut two, three) =
        (open(1, slow).await, open(2, limits()).await, open(3, limits()).await);
    let network = Proxy::to(two.address()).await;
    one.transport.addresses().set(TWO, network.address());
    three.learn(&two);
    // What strangers leave is not kept.
    two.learn(&one);
    two.learn(&three);
    one.reaches(&mut two).await;
    three.reaches(&mut two).await;
    let state = state(8 << 20);
    one.transport.send(install(2, 9, &state));
    eventually("some of it is there", || (came(&two) > 1 << 20).then_some(())).await;
    network.turn(Weather::Cut);
    // What is under way when it is cut still arrives.
    one.down(TWO, |_| true).await;
    eventually("node 1 is gone", || {
        two.transport.status().heard.get(&ONE).is_none_or(|it| it.ended.is_some()).then_some(())
    })
    .await;
    let mut sent = install(3, 9, &state);
    sent.envelope.from = NodeId(3);
    three.transport.send(sent.clone());
    assert_eq!(next_state(&mut two).await, sent);
    let from_three = two.transport.status().heard[&NodeId(3)].snapshot_bytes;
    assert!(from_three < 7 << 20, "{from_three} bytes came from the other leader");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_state_that_is_too_large_is_declined_and_the_sender_knows_why() {
    let few = NetLimits { max_snapshot: 1_000_000, ..limits() };
    let (one, mut two) = (open(1, limits()).await, open(2, few).await);
    one.learn(&two);
    one.reaches(&mut two).await;
    one.transport.send(install(2, 9, &state(1_000_004)));
    let declined = Fault::Snapshot(SnapshotFault::TooLarge { bytes: 1_000_004, limit: 1_000_000 });
    eventually("it is declined", || {
        let transfer = one.transport.status().peers[&TWO].snapshot.clone()?;
        (transfer.interrupted == Some(declined.clone())).then_some(())
    })
    .await;
    let fits = install(2, 10, &state(1_000_000));
    one.transport.send(fits.clone());
    assert_eq!(next_state(&mut two).await, fits);
    one.reaches(&mut two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_empty_state_is_one_too() {
    let (one, mut two) = (open(1, limits()).await, open(2, limits()).await);
    one.learn(&two);
    one.reaches(&mut two).await;
    let sent = install(2, 9, &StateBytes::from([]));
    one.transport.send(sent.clone());
    assert_eq!(next_state(&mut two).await, sent);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_of_strangers_are_few_and_leave_a_place_to_the_others() {
    let slow = NetLimits { snapshot_rate: 64 << 10, ..limits() };
    let (one, mut two) = (open(1, limits()).await, open(2, limits()).await);
    one.learn(&two);
    two.learn(&one);
    one.reaches(&mut two).await;
    let mut strangers = Vec::new();
    for id in 3..7 {
        let stranger = open(id, slow).await;
        stranger.learn(&two);
        stranger.reaches(&mut two).await;
        let mut sent = install(2, 9, &state(32 << 20));
        sent.envelope.from = NodeId(id);
        stranger.transport.send(sent);
        strangers.push(stranger);
    }
    let busy = Fault::Snapshot(SnapshotFault::Busy);
    eventually("all but one are told that there is no place", || {
        assert!(two.transport.status().receiving.len() <= 1);
        let status = strangers.iter().map(|it| it.transport.status().peers[&TWO].snapshot.clone());
        let told = status.flatten().filter(|it| it.interrupted.as_ref() == Some(&busy));
        (told.count() == strangers.len() - 1).then_some(())
    })
    .await;
    let sent = install(2, 20, &state(1 << 20));
    one.transport.send(sent.clone());
    assert_eq!(next_state(&mut two).await, sent);
    assert!(!two.transport.status().receiving.is_empty(), "a stranger's is on its way");
}
