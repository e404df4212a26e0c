//! What a packet costs between two nodes on this machine: packets a second in one direction, and the
//! time of both sides' processors for each.
//!
//!     cargo run --release -p quorate --example transport [tls]
//!
//! With `tls` it takes the certificates from the files `authority.pem`, and `node-1.pem`, `node-1.key`,
//! `node-2.pem`, `node-2.key` of the folder in `QUORATE_CERTIFICATES`.

use std::error::Error;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate::disk::Register;
use quorate::net::{Addresses, ClusterId, NetLimits, Security, TcpOptions, TcpTransport, Tls};
use quorate::{Content, Inbox, Packet, Record, Transport};
use quorate_spec::{Body, Entries, EntryId, Envelope, Index, Message, NodeId, Term};

const ONE: NodeId = NodeId(1);
const TWO: NodeId = NodeId(2);
const BYTES: usize = 256;

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> Result<(), Failure> {
    let encrypted = std::env::args().any(|argument| argument == "tls");
    let addresses = Addresses::new([] as [(NodeId, String); 0]);
    let (sender, _unheard) = start(ONE, &addresses, encrypted).await?;
    let (receiver, mut packets) = start(TWO, &addresses, encrypted).await?;
    addresses.set(TWO, receiver.listening().to_string());
    println!(
        "{:>8} {:>7} {:>12} {:>9} {:>16}",
        "entries", "window", "packets/s", "MB/s", "CPU µs/packet"
    );
    for (entries, window, count) in
        [(1, 1, 20_000), (1, 64, 400_000), (1, 1024, 1_000_000), (64, 1, 10_000), (64, 64, 50_000)]
    {
        measure(&sender, &mut packets, entries, window, count).await?;
    }
    Ok(())
}

async fn start(
    id: NodeId,
    addresses: &Addresses,
    encrypted: bool,
) -> Result<(TcpTransport, Inbox<Packet>), Failure> {
    let security = if encrypted { Security::Tls(certificate(id)?) } else { Security::Open };
    let options = TcpOptions {
        cluster: ClusterId::new("bench")?,
        id,
        listen: "127.0.0.1:0".to_owned(),
        addresses: addresses.clone(),
        security,
        limits: NetLimits::default(),
        register: Register::default(),
    };
    let (transport, arrivals) = TcpTransport::start(options).await?;
    Ok((transport, arrivals.packets))
}

fn certificate(id: NodeId) -> Result<Tls, Failure> {
    let folder = std::env::var("QUORATE_CERTIFICATES")?;
    let file = |name: String| std::fs::read(Path::new(&folder).join(name));
    let (root, chain) = (file("authority.pem".to_owned())?, file(format!("node-{id}.pem"))?);
    Ok(Tls::from_pem(&root, &chain, &file(format!("node-{id}.key"))?)?)
}

/// Sends `count` packets, of which `window` are under way at a time.
async fn measure(
    sender: &TcpTransport,
    packets: &mut Inbox<Packet>,
    entries: u64,
    window: u64,
    count: u64,
) -> Result<(), Failure> {
    let packet = packet(entries);
    // The first ones find no connection, or the one before is not empty yet.
    loop {
        sender.send(packet.clone());
        if tokio::time::timeout(Duration::from_millis(50), packets.recv()).await.is_ok() {
            break;
        }
    }
    while packets.try_recv().is_some() {}
    let (began, used) = (Instant::now(), processor_time());
    let mut sent = 0;
    for arrived in 0..count {
        while sent < count && sent < arrived + window {
            sender.send(packet.clone());
            sent += 1;
        }
        packets.recv().await.ok_or("the receiver has ended")?;
    }
    let (took, used) = (began.elapsed().as_secs_f64(), processor_time() - used);
    let rate = count as f64 / took;
    let megabytes = rate * (entries as f64) * BYTES as f64 / 1e6;
    let each = used.as_secs_f64() * 1e6 / count as f64;
    println!("{entries:>8} {window:>7} {rate:>12.0} {megabytes:>9.1} {each:>16.2}");
    Ok(())
}

fn packet(count: u64) -> Packet {
    let (prev, term) = (EntryId { term: Term(1), index: Index(5) }, Term(2));
    let entries = Entries::of_term(prev.index, term, count);
    let content = Content::Command(Arc::from([7; BYTES]));
    let record = |id| Record { id, content: content.clone() };
    let records = entries.ids(prev.index).map(record).collect();
    let body = Body::AppendEntries { prev, entries, leader_commit: Index(1) };
    Packet {
        envelope: Envelope { from: ONE, to: TWO, message: Message::new(term, body) },
        records,
        state: None,
    }
}

/// What this process has used of the processors, where the system says it as Linux does.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks: u64 = after_name
        .split_whitespace()
        .skip(11)
        .take(2)
        .filter_map(|it| it.parse::<u64>().ok())
        .sum();
    Duration::from_millis(ticks * 10)
}
