//! A node that takes nothing, and peers that do not stop to send: what they have the node hold has a
//! bound, and none of them keeps the others out. In a program of its own: it counts all of its memory.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use peak_alloc::PeakAlloc;
use quorate::disk::Register;
use quorate::net::codec::encode;
use quorate::net::{
    Addresses, Arrivals, ClusterId, LinkState, NetLimits, Security, TcpOptions, TcpTransport,
};
use quorate::{Content, Packet, Record, Transport};
use quorate_spec::{Body, Entries, EntryId, Envelope, Index, Message, NodeId, Term};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::Mutex;
use tokio::task::JoinSet;
use tokio::time::Instant;

#[global_allocator]
static MEMORY: PeakAlloc = PeakAlloc;

const MIB: usize = 1 << 20;
/// Far more than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);
const ME: NodeId = NodeId(1);
/// Who sends without end, and who has one thing to say.
const LOUD: std::ops::Range<u64> = 10..26;
const QUIET: NodeId = NodeId(2);
/// Bytes of one packet of a loud peer, and of a single one of the quiet peer.
const LONG: usize = 3 * MIB;
/// So long that it needs no share of the room for long frames.
const SHORT: usize = MIB - 1024;
/// The memory that is counted is that of the whole program.
static ALONE: Mutex<()> = Mutex::const_new(());

fn limits() -> NetLimits {
    NetLimits { max_frame: 4 * MIB, inbox: 10_000, inbox_bytes: 8 * MIB, ..NetLimits::default() }
}

fn packet(from: NodeId, bytes: usize) -> Packet {
    let prev = EntryId { term: Term(1), index: Index(1) };
    let entries = Entries::of_term(prev.index, Term(1), 1);
    let body = Body::AppendEntries { prev, entries, leader_commit: Index(1) };
    let envelope = Envelope { from, to: ME, message: Message::new(Term(1), body) };
    let id = EntryId { term: Term(1), index: Index(2) };
    let records = vec![Record { id, content: Content::Command(vec![7; bytes].into()) }];
    Packet { envelope, records, state: None }
}

fn frame(from: u64, bytes: usize) -> Arc<[u8]> {
    let mut frame = Vec::new();
    encode(&packet(NodeId(from), bytes), 4 * MIB, &mut frame).expect("it fits");
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

/// Sends the frame again and again, until the connection ends. Counts the bytes that were taken.
async fn flood(mut stream: TcpStream, frame: Arc<[u8]>, taken: Arc<AtomicUsize>) {
    loop {
        let mut left = &frame[..];
        while let [_, ..] = left {
            let Ok(written @ 1..) = stream.write(left).await else { return };
            taken.fetch_add(written, Ordering::Relaxed);
            left = &left[written..];
        }
    }
}

/// Waits until each of them has sent something, and no more of it is taken.
async fn stand_still(taken: &[Arc<AtomicUsize>]) {
    let now = || taken.iter().map(|it| it.load(Ordering::Relaxed)).collect::<Vec<_>>();
    let mut before = now();
    loop {
        tokio::time::sleep(Duration::from_millis(100)).await;
        let (earlier, now) = (before, now());
        if earlier == now && now.iter().all(|taken| *taken > 0) {
            return;
        }
        before = now;
    }
}

async fn start(id: NodeId, limits: NetLimits) -> (TcpTransport, Arrivals) {
    let options = TcpOptions {
        cluster: ClusterId::new("test").expect("it is a label"),
        id,
        listen: "127.0.0.1:0".to_owned(),
        addresses: Addresses::new([] as [(NodeId, String); 0]),
        security: Security::Open,
        limits,
        register: Register::default(),
    };
    TcpTransport::start(options).await.expect("it can listen")
}

/// The quiet peer, with limits that nobody has changed. Both know where the other one is.
async fn quiet_peer(of: &TcpTransport) -> TcpTransport {
    let (quiet, _) = start(QUIET, NetLimits::default()).await;
    of.addresses().set(QUIET, quiet.listening().to_string());
    quiet.addresses().set(ME, of.listening().to_string());
    quiet
}

/// Has the quiet peer say something long where nothing else of it waits.
fn say(quiet: &TcpTransport) {
    if quiet.traffic().get(&ME).is_some_and(|traffic| traffic.queued == 0) {
        quiet.send(packet(QUIET, LONG));
    }
}

/// Takes packets until one of the quiet peer comes. Returns how many came before it.
async fn quiet_comes(quiet: &TcpTransport, arrivals: &mut Arrivals) -> u64 {
    let mut passed = 0;
    let comes = async {
        loop {
            let wait = Duration::from_millis(100);
            match tokio::time::timeout(wait, arrivals.packets.recv()).await {
                Ok(Some(packet)) if packet.envelope.from == QUIET => return,
                Ok(_) => passed += 1,
                Err(_) => say(quiet),
            }
        }
    };
    tokio::time::timeout(PATIENCE, comes).await.expect("it comes");
    passed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_waits_for_a_node_that_takes_nothing_has_a_bound_and_each_peer_has_its_turn() {
    let _alone = ALONE.lock().await;
    let (transport, mut arrivals) = start(ME, NetLimits { silence: PATIENCE, ..limits() }).await;
    let mut tasks = JoinSet::new();
    // Some with long frames, which share the room for them, and some with those that need none.
    let length = |from| if from % 2 == 0 { LONG } else { SHORT };
    let frames: Vec<_> = LOUD.map(|from| (from, frame(from, length(from)))).collect();
    let before = MEMORY.current_usage();
    let mut taken = Vec::new();
    for (from, frame) in frames {
        let counted = Arc::default();
        taken.push(Arc::clone(&counted));
        tasks.spawn(flood(connect(&transport, from).await, frame, counted));
    }
    let full = async {
        // What the next long one needs is not there.
        while transport.status().inbox_bytes <= limits().inbox_bytes - LONG {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        stand_still(&taken).await;
    };
    tokio::time::timeout(PATIENCE, full).await.expect("they send");
    let held = MEMORY.current_usage().saturating_sub(before);
    // The inbox, the room for long frames, a frame of each connection that needs none; and a little.
    let connections = taken.len() / 2 * MIB + taken.len() * 128 * 1024;
    let most = 2 * limits().inbox_bytes + connections;
    assert!(held < most, "{held} bytes are held, of at most {most}");

    // One more comes. Each of the loud ones may be before it with what it has on the way, and no more.
    let before = MEMORY.current_usage();
    let quiet = quiet_peer(&transport).await;
    let waits = async {
        let sent = || quiet.status().peers.get(&ME).is_some_and(|peer| peer.sent > 0);
        while !sent() {
            say(&quiet);
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        // All of it is there: nothing more moves.
        let (mut held, mut still) = (0, 0);
        while still < 5 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let now = MEMORY.current_usage();
            let moves = now < before + LONG || now.abs_diff(held) > 64 << 10;
            (held, still) = (now, if moves { 0 } else { still + 1 });
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("it sends");
    let passed = quiet_comes(&quiet, &mut arrivals).await;
    let most = 3 * (LOUD.end - LOUD.start);
    assert!(passed <= most, "{passed} packets came before it, of at most {most}");
    quiet.shutdown().await;
    transport.shutdown().await;
    tasks.shutdown().await;
}

/// Sends a frame as long as there can be in twelve seconds, little faster than it has to, and then the
/// next one.
async fn dribble(to: Arc<TcpTransport>, from: u64) {
    let frame = frame(from, 4 * MIB - 1024);
    loop {
        let mut stream = connect(&to, from).await;
        // Else they would have half of the room together.
        to.addresses().set(NodeId(from), "127.0.0.1:9");
        let mut parts = frame.chunks(frame.len() / 240 + 1).cycle();
        while let Some(part) = parts.next()
            && stream.write_all(part).await.is_ok()
        {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_room_for_longer_than_it_hears_nothing_keeps_its_place() {
    let _alone = ALONE.lock().await;
    let (transport, mut arrivals) = start(ME, limits()).await;
    let transport = Arc::new(transport);
    let mut tasks = JoinSet::new();
    // Two of them are all of the room.
    for from in [3, 4] {
        tasks.spawn(dribble(Arc::clone(&transport), from));
    }
    let quiet = quiet_peer(&transport).await;
    let waits = async {
        let mut since = Instant::now();
        while since.elapsed() < NetLimits::default().silence * 2 {
            say(&quiet);
            let wait = Duration::from_millis(2);
            let came = tokio::time::timeout(wait, arrivals.packets.recv()).await;
            let is_quiet = came.is_ok_and(|it| it.is_some_and(|it| it.envelope.from == QUIET));
            let link = quiet.status().peers.get(&ME).map(|peer| peer.link.clone());
            if is_quiet || !matches!(link, Some(LinkState::Connected(_))) {
                since = Instant::now();
            }
        }
    };
    tokio::time::timeout(PATIENCE, waits).await.expect("it stays where it is");
    tasks.shutdown().await;
    quiet_comes(&quiet, &mut arrivals).await;
    quiet.shutdown().await;
    transport.shutdown().await;
}
