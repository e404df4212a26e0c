//! What a connection goes through: broken, frozen, moved, full.

use quorate::net::{
    Fault, LinkState, NetLimits, Security, TcpOptions, TcpTransport, TransportError,
};
use quorate::{Content, Payload, Post, Record, Transport};
use quorate_spec::{Body, Entries, EntryId, Index, NodeId, Term};

use crate::proxy::{Proxy, Weather};
use crate::rig::{End, eventually, options, packet, pair};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broken_connection_comes_back() {
    let (one, mut two) = pair().await;
    let network = Proxy::to(two.address()).await;
    one.transport.addresses().set(NodeId(2), network.address());
    one.reaches(&mut two).await;
    network.turn(Weather::Cut);
    one.down(NodeId(2), |_| true).await;
    network.turn(Weather::Fair);
    one.reaches(&mut two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_that_carries_nothing_is_found_and_opened_anew() {
    let patient =
        NetLimits { silence: std::time::Duration::from_millis(300), ..crate::rig::limits() };
    let one = End::start(TcpOptions { limits: patient, ..options(1, Security::Open) }).await;
    let mut two = End::open(2).await;
    let network = Proxy::to(two.address()).await;
    one.transport.addresses().set(NodeId(2), network.address());
    one.reaches(&mut two).await;
    network.turn(Weather::Frozen);
    // What cannot leave waits, and is counted.
    eventually("something waits", || {
        for number in 0..4_000 {
            one.transport.send(packet(NodeId(1), NodeId(2), number));
        }
        let waits = one.transport.traffic().get(&NodeId(2)).copied()?;
        (waits.queued > 0 && waits.queued_bytes > waits.queued).then_some(())
    })
    .await;
    one.down(NodeId(2), |fault| *fault == Fault::Silent).await;
    network.turn(Weather::Fair);
    one.reaches(&mut two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_moves_is_found_where_it_is() {
    let (one, mut two) = pair().await;
    one.reaches(&mut two).await;
    let mut moved = End::open(2).await;
    one.learn(&moved);
    one.reaches(&mut moved).await;
    one.transport.addresses().remove(NodeId(2));
    assert!(!one.transport.knows(NodeId(2)));
    eventually("nothing more is sent to it", || one.link(NodeId(2)).is_none().then_some(())).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_restarted_node_is_another_life_of_the_same_one() {
    let (one, mut two) = pair().await;
    one.reaches(&mut two).await;
    let life = |link| match link {
        Some(LinkState::Connected(incarnation)) => Some(incarnation),
        _ => None,
    };
    let first = life(one.link(NodeId(2))).expect("it was reached");
    assert_eq!(first, two.transport.identity().incarnation);
    let listen = two.address();
    two.transport.shutdown().await;
    let mut two = End::start(TcpOptions { listen, ..options(2, Security::Open) }).await;
    two.learn(&one);
    one.reaches(&mut two).await;
    two.connected(NodeId(1)).await;
    let second = eventually("it is connected", || life(one.link(NodeId(2)))).await;
    assert_ne!(first, second);
    eventually("its new life is heard", || {
        let heard = one.transport.status().heard.remove(&NodeId(2))?;
        (heard.incarnation == second && heard.ended.is_none()).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_cannot_be_sent_is_dropped_and_counted() {
    let small = NetLimits { max_frame: 1_000, ..crate::rig::limits() };
    let one = End::start(TcpOptions { limits: small, ..options(1, Security::Open) }).await;
    let mut two = End::open(2).await;
    one.transport.addresses().set(NodeId(2), "127.0.0.1:9");
    one.down(NodeId(2), |fault| matches!(fault, Fault::Unreachable { .. })).await;
    for number in 0..10 {
        one.transport.send(packet(NodeId(1), NodeId(2), number));
    }
    let dropped = || one.transport.status().peers[&NodeId(2)].dropped;
    assert_eq!(dropped(), 10, "there is no connection");
    one.learn(&two);
    one.reaches(&mut two).await;
    let before = dropped();
    let mut long = packet(NodeId(1), NodeId(2), 1);
    let prev = EntryId { term: Term(2), index: Index(5) };
    let entries = Entries::of_term(prev.index, Term(2), 1);
    long.envelope.message.body = Body::AppendEntries { prev, entries, leader_commit: Index(0) };
    let id = EntryId { term: Term(2), index: Index(6) };
    long.records = vec![Record { id, content: Content::Command(vec![7; 1_001].into()) }];
    one.transport.send(long);
    eventually("it is dropped", || (dropped() > before).then_some(())).await;
    one.reaches(&mut two).await;
}

#[tokio::test]
async fn a_node_does_not_start_where_another_one_listens() {
    let one = End::open(1).await;
    let listen = one.address();
    let started = TcpTransport::start(TcpOptions { listen, ..options(2, Security::Open) }).await;
    assert!(matches!(started, Err(TransportError::Listen { .. })));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_has_stopped_is_heard_by_nobody_and_hears_nobody() {
    let (one, mut two) = pair().await;
    one.reaches(&mut two).await;
    let address = one.address();
    one.transport.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
    one.transport.send(packet(NodeId(1), NodeId(2), 1));
    two.down(NodeId(1), |_| true).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn letters_arrive_once_in_order_and_from_whom_they_are_or_it_is_said_that_they_do_not() {
    let (one, mut two) = pair().await;
    one.reaches(&mut two).await;
    let letter = |number: u32| Payload::from(number.to_le_bytes());
    for number in 0..100 {
        assert!(one.transport.post(NodeId(2), letter(number)));
    }
    for number in 0..100 {
        let came = crate::rig::soon("a letter arrives", two.letters.recv()).await;
        assert_eq!(came, Some((NodeId(1), letter(number))));
    }
    assert!(!one.transport.post(NodeId(3), letter(0)), "nobody knows node 3");
    two.transport.shutdown().await;
    one.down(NodeId(2), |_| true).await;
    assert!(!one.transport.post(NodeId(2), letter(0)), "there is no connection");
}
