//! A node that takes nothing, and peers that do not stop to send: what they have the node hold has a
//! bound, and none of them keeps the others out. In a program of its own: it counts all of its memory.

use std::sync::Arc;
use std::time::Duration;

use peak_alloc::PeakAlloc;
use quorate::disk::Register;
use quorate::net::codec::encode;
use quorate::net::{Addresses, ClusterId, NetLimits, Security, TcpOptions, TcpTransport};
use quorate::{Content, Packet, Record};
use quorate_spec::{Body, Entries, EntryId, Envelope, Index, Message, NodeId, Term};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::task::JoinSet;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
/// Far more than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
const ME: NodeId = NodeId(1);
/// Who sends without end, and who has one thing to say.
const LOUD: std::ops::Range<u64> = 10..26;
const QUIET: u64 = 2;
/// Bytes of one packet of a loud peer, and of a single one of the quiet peer.
const LONG: usize = 3 * MIB;

fn limits() -> NetLimits {
    NetLimits {
        max_frame: 4 * MIB,
        inbox: 10_000,
        inbox_bytes: 8 * MIB,
        silence: PATIENCE,
        ..NetLimits::default()
    }
}

fn frame(from: u64, bytes: usize) -> Arc<[u8]> {
    let prev = EntryId { term: Term(1), index: Index(1) };
    let entries = Entries::of_term(prev.index, Term(1), 1);
    let body = Body::AppendEntries { prev, entries, leader_commit: Index(1) };
    let envelope = Envelope { from: NodeId(from), to: ME, message: Message::new(Term(1), body) };
    let id = EntryId { term: Term(1), index: Index(2) };
    let records = vec![Record { id, content: Content::Command(vec![7; bytes].into()) }];
    let mut frame = Vec::new();
    encode(&Packet { envelope, records, state: None }, 4 * MIB, &mut frame).expect("it fits");
    frame.into()
}

/// A connection of this node, greeted by hand.
async fn connect(to: &TcpTransport, from: u64) -> TcpStream {
    let mut hello = b"QUORATE\n\x00\x01\x01\x00\x00\x00".to_vec();
    for number in [from, 77, 0, ME.0] {
        hello.extend(number.to_le_bytes());
    }
    hello.extend(b"\x04test");
    hello.resize(110, 0);
    hello.extend(crc32c::crc32c(&hello).to_le_bytes());
    let mut stream = TcpStream::connect(to.listening()).await.expect("it listens");
    stream.write_all(&hello).await.expect("it reads");
    let mut answer = [0; 114];
    stream.read_exact(&mut answer).await.expect("it answers");
    assert_eq!(answer[8], 0, "it is welcome");
    stream
}

/// Sends the frame again and again, until the connection ends.
async fn flood(mut stream: TcpStream, frame: Arc<[u8]>) {
    while stream.write_all(&frame).await.is_ok() {}
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_node_that_takes_nothing_has_a_bound_and_each_peer_has_its_turn() {
    let options = TcpOptions {
        cluster: ClusterId::new("test").expect("it is a label"),
        id: ME,
        listen: "127.0.0.1:0".to_owned(),
        addresses: Addresses::new([] as [(NodeId, String); 0]),
        security: Security::Open,
        limits: limits(),
        register: Register::default(),
    };
    let (transport, mut arrivals) = TcpTransport::start(options).await.expect("it can listen");
    let mut tasks = JoinSet::new();
    let frames: Vec<_> = LOUD.map(|from| (from, frame(from, LONG))).collect();
    let before = MEMORY.current_usage();
    for (from, frame) in frames {
        tasks.spawn(flood(connect(&transport, from).await, frame));
    }
    let full = async {
        // Two packets wait, and what a third one needs is not there.
        while transport.status().inbox_bytes < 2 * LONG {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // Whoever could hold more has the time to.
        tokio::time::sleep(Duration::from_millis(500)).await;
    };
    tokio::time::timeout(PATIENCE, full).await.expect("they send");
    let status = transport.status();
    assert_eq!(status.inbox, 2);
    assert!(status.inbox_bytes <= limits().inbox_bytes, "{}", status.inbox_bytes);
    let held = MEMORY.current_usage().saturating_sub(before) / MIB;
    // Twice the room: on the way in, read and decoded; and little for each connection.
    assert!(held < 32, "{held} MiB are held");

    // One more comes. Each of the loud ones may be before it with what it has on the way, and no more.
    tasks.spawn(flood(connect(&transport, QUIET).await, frame(QUIET, LONG)));
    let mut passed = 0;
    let comes = async {
        while let Some(packet) = arrivals.packets.recv().await {
            if packet.envelope.from == NodeId(QUIET) {
                return;
            }
            passed += 1;
        }
    };
    tokio::time::timeout(PATIENCE, comes).await.expect("it comes");
    let most = 3 * (LOUD.end - LOUD.start);
    assert!(passed <= most, "{passed} packets came before it, of at most {most}");
    transport.shutdown().await;
    tasks.shutdown().await;
}
