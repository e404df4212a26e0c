//! Whoever connects and is no node of this cluster, or no node at all: it is turned away, and nobody
//! else notices.

use quorate::net::codec::encode;
use quorate::net::{Fault, LinkState, Objection, WireError};
use quorate::{Packet, Transport};
use quorate_spec::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::rig::{End, cluster, eventually, options, packet, pair, soon};
use quorate::net::{ClusterId, NetLimits, Security, TcpOptions};

/// The bytes of a greeting, written by hand from its description.
pub(crate) fn hello(from: u64, to: u64) -> Vec<u8> {
    greeting(cluster().as_str(), (1, 1), (from, 88), to)
}

/// The bytes of a greeting from the node `from`, on the directory with that number.
pub(crate) fn greeting(
    cluster: &str,
    versions: (u8, u8),
    (from, directory): (u64, u64),
    to: u64,
) -> Vec<u8> {
    let mut bytes = b"QUORATE\n".to_vec();
    bytes.extend([0, versions.0, versions.1, 0, 0, 0]);
    bytes.extend(from.to_le_bytes());
    bytes.extend(77_u64.to_le_bytes());
    bytes.extend(directory.to_le_bytes());
    bytes.extend(to.to_le_bytes());
    bytes.push(u8::try_from(cluster.len()).expect("it is short"));
    bytes.extend(cluster.as_bytes());
    bytes.resize(110, 0);
    bytes.extend(crc32c::crc32c(&bytes).to_le_bytes());
    bytes
}

/// Connects and says this. Returns what is said until the other side closes.
pub(crate) async fn say(to: &End, bytes: &[u8]) -> Vec<u8> {
    let mut stream = TcpStream::connect(to.address()).await.expect("it listens");
    stream.write_all(bytes).await.expect("it reads");
    let mut answer = Vec::new();
    // A connection that is reset has ended, too.
    let _ = soon("the connection ends", stream.read_to_end(&mut answer)).await;
    answer
}

pub(crate) fn verdict(answer: &[u8]) -> Option<u8> {
    answer.get(8).copied()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_another_cluster_is_told_so() {
    let (one, mut two) = pair().await;
    let cluster = ClusterId::new("other").expect("it is a label");
    let three = End::start(TcpOptions { cluster, ..options(3, Security::Open) }).await;
    three.learn(&one);
    one.learn(&three);
    for (from, to) in [(&three, NodeId(1)), (&one, NodeId(3))] {
        from.down(to, |fault| *fault == Fault::Refused(Objection::ForeignCluster)).await;
        from.turned_away(|it| *it == Fault::TurnedAway(Objection::ForeignCluster)).await;
    }
    one.reaches(&mut two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_at_the_address_of_another_one_says_so() {
    let (one, mut two) = pair().await;
    one.transport.addresses().set(NodeId(3), two.address());
    one.down(NodeId(3), |fault| *fault == Fault::Refused(Objection::WrongNode)).await;
    two.turned_away(|fault| *fault == Fault::TurnedAway(Objection::WrongNode)).await;
    one.reaches(&mut two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_runs_twice_under_one_id_is_told_so() {
    let (one, mut two) = pair().await;
    assert_eq!(verdict(&say(&one, &hello(1, 1)).await), Some(3));
    one.turned_away(|fault| *fault == Fault::TurnedAway(Objection::SameNode)).await;
    one.reaches(&mut two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_of_a_later_version_is_told_so_and_one_that_speaks_both_is_welcome() {
    let (one, mut two) = pair().await;
    let later = greeting(cluster().as_str(), (2, 9), (3, 88), 1);
    assert_eq!(verdict(&say(&one, &later).await), Some(4));
    one.turned_away(|fault| *fault == Fault::TurnedAway(Objection::Version)).await;
    let both = greeting(cluster().as_str(), (1, 9), (3, 88), 1);
    let mut stream = TcpStream::connect(one.address()).await.expect("it listens");
    stream.write_all(&both).await.expect("it reads");
    let mut answer = [0; 114];
    stream.read_exact(&mut answer).await.expect("it answers");
    assert_eq!(verdict(&answer), Some(0));
    one.reaches(&mut two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bytes_of_something_else_end_their_connection_and_nothing_else() {
    let (one, mut two) = pair().await;
    let http = b"GET / HTTP/1.1\r\nHost: example\r\n\r\n".repeat(4);
    assert_eq!(say(&one, &http).await, b"", "nobody answers what is no greeting");
    one.turned_away(|fault| *fault == Fault::Wire(WireError::Magic)).await;
    let mut damaged = hello(3, 1);
    damaged[20] ^= 1;
    assert_eq!(say(&one, &damaged).await, b"");
    one.turned_away(|fault| *fault == Fault::Wire(WireError::Checksum)).await;
    one.reaches(&mut two).await;
}

/// Greets as node 3, says this, and returns why nobody listens any more.
async fn as_three(one: &End, bytes: &[u8]) -> Fault {
    if !one.transport.knows(NodeId(3)) {
        // What is known of node 3 is kept when its connection ends. It was met before.
        say(one, &[&hello(3, 1)[..], &[7; 12]].concat()).await;
        one.transport.addresses().set(NodeId(3), "127.0.0.1:9");
    }
    let answer = say(one, &[&hello(3, 1), bytes].concat()).await;
    assert_eq!(verdict(&answer), Some(0), "the greeting is good");
    eventually("the connection has ended", || {
        one.transport.status().heard.get(&NodeId(3))?.ended.clone()
    })
    .await
}

fn frame(packet: &Packet) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode(packet, 1 << 20, &mut bytes).expect("it is short");
    bytes
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_the_name_of_another_node_ends_the_connection_and_is_not_heard() {
    let (mut one, mut two) = pair().await;
    let (me, other) = (NodeId(1), NodeId(2));
    let forged = frame(&packet(other, me, 7));
    let fault = as_three(&one, &forged).await;
    assert_eq!(fault, Fault::Impersonation { from: NodeId(3), claimed: other, to: me });
    let misled = frame(&packet(NodeId(3), other, 7));
    let fault = as_three(&one, &misled).await;
    assert_eq!(fault, Fault::Impersonation { from: NodeId(3), claimed: NodeId(3), to: other });
    one.reaches(&mut two).await;
    assert!(one.packets.try_recv().is_none(), "nothing came through");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn hostile_bytes_after_the_handshake_end_the_connection_and_nothing_else() {
    let (mut one, mut two) = pair().await;
    let good = frame(&packet(NodeId(3), NodeId(1), 7));
    let mut damaged = good.clone();
    *damaged.last_mut().expect("it has bytes") ^= 1;
    let fault = as_three(&one, &[good.clone(), damaged].concat()).await;
    assert_eq!(fault, Fault::Wire(WireError::Checksum));
    let came = soon("the good one arrives", one.packets.recv()).await.expect("it listens");
    assert_eq!(came, packet(NodeId(3), NodeId(1), 7));
    assert_eq!(as_three(&one, &[7; 100]).await, Fault::Wire(WireError::Magic));
    let mut endless = good;
    endless[4..8].copy_from_slice(&u32::MAX.to_le_bytes());
    let fault = as_three(&one, &endless).await;
    assert!(matches!(fault, Fault::Wire(WireError::TooLong { .. })), "{fault}");
    one.reaches(&mut two).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn those_who_connect_and_say_nothing_keep_nobody_out() {
    let few = NetLimits {
        handshakes: 2,
        handshake_patience: std::time::Duration::from_millis(200),
        ..options(1, Security::Open).limits
    };
    let mut one = End::start(TcpOptions { limits: few, ..options(1, Security::Open) }).await;
    let mut idle = Vec::new();
    for _ in 0..20 {
        idle.push(TcpStream::connect(one.address()).await.expect("it listens"));
    }
    let two = End::open(2).await;
    two.learn(&one);
    two.reaches(&mut one).await;
    one.turned_away(|fault| *fault == Fault::Slow).await;
    for mut stream in idle {
        let mut byte = [0];
        let read = soon("it is closed", stream.read(&mut byte)).await;
        assert!(!matches!(read, Ok(1)), "nothing is said to those who say nothing");
    }
    assert!(matches!(two.link(NodeId(1)), Some(LinkState::Connected(_))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_later_connection_takes_the_place_of_an_earlier_one_of_the_same_node() {
    let (mut one, mut two) = pair().await;
    let connect = async || {
        let mut stream = TcpStream::connect(one.address()).await.expect("it listens");
        stream.write_all(&hello(3, 1)).await.expect("it reads");
        let mut answer = [0; 114];
        stream.read_exact(&mut answer).await.expect("it answers");
        assert_eq!(verdict(&answer), Some(0));
        stream
    };
    let mut earlier = connect().await;
    let mut later = connect().await;
    let mut byte = [0];
    let ended = soon("the earlier one ends", earlier.read(&mut byte)).await;
    assert!(!matches!(ended, Ok(1)), "it is not spoken to");
    // What is still written to it is not heard.
    let _ = earlier.write_all(&frame(&packet(NodeId(3), NodeId(1), 1))).await;
    later.write_all(&frame(&packet(NodeId(3), NodeId(1), 2))).await.expect("it is heard");
    let came = soon("the later one is heard", one.packets.recv()).await;
    assert_eq!(came, Some(packet(NodeId(3), NodeId(1), 2)));
    one.reaches(&mut two).await;
}
