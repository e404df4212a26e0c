//! The way to one node: a connection for packets, opened again whenever it breaks.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_spec::NodeId;
use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{Instrument, info_span};

use super::backoff::Backoff;
use super::codec;
use super::fault::Fault;
use super::frame::{self, FrameReader, Kind};
use super::greeting::Purpose;
use super::link::{self, Link};
use super::queue::{Counts, Parcel, Queue};
use super::shared::Shared;
use super::snapshot;
use super::status::{LinkState, PeerStatus, Transfer};
use crate::lock::lock;
use crate::record::Payload;
use crate::traffic::{Moved, PeerTraffic};
use crate::transport::Packet;

/// What is on its way to one node.
pub(crate) struct Peer {
    pub(crate) id: NodeId,
    pub(crate) address: String,
    queue: Queue,
    pub(crate) slot: snapshot::Slot,
    link: Mutex<LinkState>,
    sent: AtomicU64,
    unsendable: AtomicU64,
}

impl Peer {
    pub(crate) fn new(id: NodeId, address: String, shared: &Shared) -> Peer {
        Peer {
            id,
            address,
            queue: Queue::new(&shared.limits),
            slot: snapshot::Slot::default(),
            link: Mutex::new(LinkState::Connecting),
            sent: AtomicU64::new(0),
            unsendable: AtomicU64::new(0),
        }
    }

    /// Takes the packet, or drops it.
    pub(crate) fn send(&self, packet: Packet) {
        if packet.state.is_some() {
            self.slot.put(packet);
        } else {
            self.queue.put(Parcel::Packet(packet));
        }
    }

    /// Takes the letter, or drops it. Says whether it may arrive.
    pub(crate) fn post(&self, letter: Payload) -> bool {
        self.queue.put(Parcel::Letter(letter))
    }

    pub(crate) fn status(&self) -> PeerStatus {
        let waits = self.queue.counts();
        PeerStatus {
            address: self.address.clone(),
            link: lock(&self.link).clone(),
            sent: self.sent.load(Ordering::Relaxed),
            dropped: waits.dropped + self.unsendable.load(Ordering::Relaxed),
            queued: waits.parcels,
            queued_bytes: waits.bytes,
            snapshot: self.slot.transfer(),
            snapshot_bytes: self.slot.moved(),
        }
    }

    pub(crate) fn traffic(&self) -> PeerTraffic {
        let sending = self.slot.transfer().map(|Transfer { bytes, of, .. }| Moved { bytes, of });
        let Counts { parcels: queued, bytes: queued_bytes, .. } = self.queue.counts();
        PeerTraffic { queued, queued_bytes, sending, receiving: None }
    }

    /// Takes note of the connection's state. Says whether it is another one than before.
    fn is(&self, state: LinkState) -> bool {
        let mut link = lock(&self.link);
        let changed = *link != state;
        *link = state;
        changed
    }
}

/// Sends the node packets and snapshots, for ever.
pub(crate) async fn run(shared: Arc<Shared>, peer: Arc<Peer>) {
    tokio::join!(send_packets(&shared, &peer), snapshot::send(&shared, &peer));
}

async fn send_packets(shared: &Shared, peer: &Peer) {
    let limits = &shared.limits;
    let seed = shared.me.incarnation.0 ^ peer.id.0;
    let mut backoff = Backoff::new(limits.first_backoff, limits.longest_backoff, seed);
    // Since when there is no connection, and whether somebody was told.
    let (mut down, mut told) = (Instant::now(), false);
    loop {
        let since = Instant::now();
        let fault = match link::open(shared, peer.id, &peer.address, Purpose::Messages).await {
            Ok(link) => {
                peer.is(LinkState::Connected(link.incarnation));
                tracing::info!(
                    node = %shared.me.id, peer = %peer.id, address = peer.address,
                    incarnation = %link.incarnation, "connected"
                );
                let span = info_span!(
                    "connection", direction = "out", node = %shared.me.id, peer = %peer.id
                );
                let fault = talk(shared, peer, link).instrument(span).await;
                (down, told) = (Instant::now(), false);
                fault
            }
            Err(fault) => fault,
        };
        let (me, to, address) = (shared.me.id, peer.id, &peer.address);
        let attention = fault.needs_attention();
        if peer.is(LinkState::Down(fault.clone())) && attention {
            tracing::warn!(node = %me, peer = %to, address, %fault, "no connection");
        } else if !told && down.elapsed() > limits.silence {
            told = true;
            let seconds = down.elapsed().as_secs();
            tracing::warn!(node = %me, peer = %to, address, %fault, seconds, "no connection");
        } else {
            tracing::debug!(node = %me, peer = %to, address, %fault, "no connection");
        }
        // A connection that is taken and dropped at once, again and again, is not one that went well.
        if since.elapsed() > limits.longest_backoff {
            backoff.reset();
        }
        tokio::time::sleep(backoff.wait()).await;
    }
}

/// Writes what the queue has, and pings, until the connection ends.
async fn talk(shared: &Shared, peer: &Peer, link: Link) -> Fault {
    let limits = &shared.limits;
    let (reader, mut writer) = tokio::io::split(link.stream);
    let heard = AtomicU64::new(0);
    let answers = hear_answers(FrameReader::new(reader, link.version, 0, None), &heard);
    tokio::pin!(answers);
    let _open = peer.queue.open();
    let mut ping = interval(limits.ping_interval);
    ping.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut before, mut asked) = (None, Instant::now());
    let mut buffer = Vec::new();
    loop {
        let mut count = 0;
        tokio::select! {
            fault = &mut answers => return fault,
            parcels = peer.queue.take(limits.batch_bytes) => {
                count = encode(shared, peer, &parcels, &mut buffer);
            }
            _ = ping.tick() => {
                let now = heard.load(Ordering::Relaxed);
                if before != Some(now) {
                    (before, asked) = (Some(now), Instant::now());
                    buffer = frame::bare(link.version, Kind::Ping);
                } else if asked.elapsed() > limits.silence {
                    return Fault::Silent;
                }
            }
        }
        let written = tokio::select! {
            fault = &mut answers => Err(fault),
            written = write_to(&mut writer, &buffer, limits.silence, &heard) => written,
        };
        if let Err(fault) = written {
            return fault;
        }
        peer.sent.fetch_add(count, Ordering::Relaxed);
        buffer.clear();
        if buffer.capacity() > KEPT {
            buffer.shrink_to(KEPT);
        }
    }
}

/// More memory than this is given back once the packets that needed it are written.
const KEPT: usize = 1 << 20;

/// The parcels as frames. One that is too long is dropped here: the other side would not take it.
fn encode(shared: &Shared, peer: &Peer, parcels: &[Parcel], buffer: &mut Vec<u8>) -> u64 {
    let (mut count, limit) = (0, shared.limits.max_frame);
    for parcel in parcels {
        let encoded = match parcel {
            Parcel::Packet(packet) => codec::encode(packet, limit, buffer),
            Parcel::Letter(letter) => {
                frame::append(buffer, (codec::VERSION, Kind::Letter), limit, |body| {
                    body.extend_from_slice(letter);
                    Ok(())
                })
            }
        };
        match encoded {
            Ok(()) => count += 1,
            Err(error) => {
                peer.unsendable.fetch_add(1, Ordering::Relaxed);
                tracing::error!(node = %shared.me.id, peer = %peer.id, %error, "not sent");
            }
        }
    }
    count
}

/// Counts the pongs, until the connection ends. They come unasked where the other side waits for room,
/// and reads nothing meanwhile.
async fn hear_answers<R>(mut frames: FrameReader<R>, heard: &AtomicU64) -> Fault
where
    R: tokio::io::AsyncRead + Unpin,
{
    loop {
        match frames.next().await {
            Ok((Kind::Pong, _)) => heard.fetch_add(1, Ordering::Relaxed),
            Ok(_) => return super::wire::WireError::OutOfTurn.into(),
            Err(fault) => return fault,
        };
    }
}

/// Writes all of the bytes. However many they are, the other side has to take some within `patience`.
pub(crate) async fn write(
    writer: &mut (impl AsyncWrite + Unpin),
    bytes: &[u8],
    patience: Duration,
) -> Result<(), Fault> {
    write_to(writer, bytes, patience, &AtomicU64::new(0)).await
}

/// The same to someone who may take none for longer, as long as more is `heard` from there.
async fn write_to(
    writer: &mut (impl AsyncWrite + Unpin),
    mut bytes: &[u8],
    patience: Duration,
    heard: &AtomicU64,
) -> Result<(), Fault> {
    loop {
        let before = heard.load(Ordering::Relaxed);
        let write = async {
            match bytes {
                [] => writer.flush().await.map(|()| None),
                _ => writer.write(bytes).await.map(Some),
            }
        };
        match timeout(patience, write).await {
            Ok(Ok(None)) => return Ok(()),
            Ok(Ok(Some(0))) => return Err(Fault::Closed),
            Ok(Ok(Some(written))) => bytes = &bytes[written..],
            Ok(Err(error)) => return Err(Fault::of_io(error)),
            Err(_) if heard.load(Ordering::Relaxed) != before => {}
            Err(_) => return Err(Fault::Silent),
        }
    }
}
