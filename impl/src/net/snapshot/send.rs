//! The leader's side of a transfer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate_spec::{Body, EntryId};
use tokio::io::{ReadHalf, WriteHalf};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{Instrument, info, info_span};

use super::{OFFSET, Offer, sha256};
use crate::lock::lock;
use crate::net::backoff::Backoff;
use crate::net::codec;
use crate::net::fault::{Fault, SnapshotFault};
use crate::net::frame::{self, FrameReader, Kind};
use crate::net::greeting::Purpose;
use crate::net::link;
use crate::net::peer::{Peer, write};
use crate::net::shared::{Shared, Stream};
use crate::net::status::Transfer;
use crate::net::wire::WireError;
use crate::state::StateBytes;
use crate::transport::Packet;

/// The snapshot that a peer is to get: the latest one that was sent, and no other.
#[derive(Default)]
pub(crate) struct Slot {
    wanted: watch::Sender<Option<Arc<Packet>>>,
    moved: AtomicU64,
    transfer: Mutex<Option<Transfer>>,
    /// When something was put here last, or some of it was written.
    touched: Mutex<Option<Instant>>,
}

impl Slot {
    /// Takes the packet in the place of an earlier one.
    pub(crate) fn put(&self, packet: Packet) {
        // Before the packet, or `give_up` would go by the one before.
        self.touch();
        self.wanted.send_replace(Some(Arc::new(packet)));
    }

    fn touch(&self) {
        *lock(&self.touched) = Some(Instant::now());
    }

    /// Lets go of this state where nothing of it has moved for so long, and nobody has sent it again:
    /// it may be large, and who sent it may lead no more. Says whether it did.
    fn give_up(&self, state: &StateBytes, patience: Duration) -> bool {
        let over = self.wanted.send_if_modified(|wanted| {
            let touched = *lock(&self.touched);
            let over = touched.is_none_or(|at| at.elapsed() >= patience);
            let is_it = |packet: &Arc<Packet>| has(packet, state);
            wanted.take_if(|packet| over && is_it(packet)).is_some()
        });
        if over {
            self.note(|transfer| *transfer = None);
        }
        over
    }

    /// Bytes of states that were written so far.
    pub(crate) fn moved(&self) -> u64 {
        self.moved.load(Ordering::Relaxed)
    }

    /// What is under way.
    pub(crate) fn transfer(&self) -> Option<Transfer> {
        lock(&self.transfer).clone()
    }

    fn note(&self, note: impl FnOnce(&mut Option<Transfer>)) {
        note(&mut lock(&self.transfer));
    }

    /// The packet with this very state that was put last; none if there is another state now.
    fn latest(&self, state: &StateBytes) -> Option<Arc<Packet>> {
        self.wanted.borrow().clone().filter(|packet| has(packet, state))
    }

    /// Whatever was sent in this packet's term has arrived with it.
    fn arrived(&self, sent: &Packet) {
        let name = |packet: &Packet| (covers(packet), packet.envelope.message.term);
        self.wanted.send_if_modified(|wanted| {
            let same = wanted.as_ref().is_some_and(|packet| name(packet) == name(sent));
            if same {
                *wanted = None;
            }
            same
        });
        self.note(|transfer| *transfer = None);
    }
}

/// Whether the packet has this very state.
fn has(packet: &Packet, state: &StateBytes) -> bool {
    packet.state.as_ref().is_some_and(|other| state.is_same(other))
}

/// The last entry that the packet's snapshot covers.
fn covers(packet: &Packet) -> Option<EntryId> {
    match &packet.envelope.message.body {
        Body::InstallSnapshot { snapshot } => Some(snapshot.last),
        _ => None,
    }
}

/// Sends the peer every snapshot that is put into its slot, one after the other, for ever.
pub(crate) async fn send(shared: &Shared, peer: &Peer) {
    let mut wanted = peer.slot.wanted.subscribe();
    loop {
        // The sender is in the slot, which outlives this.
        let Ok(packet) = wanted.wait_for(Option::is_some).await.map(|packet| packet.clone()) else {
            return;
        };
        let named = packet.and_then(|packet| Some((covers(&packet)?, packet.state.clone()?)));
        let Some((last, state)) = named else {
            peer.slot.wanted.send_replace(None);
            continue;
        };
        let hashed = state.clone();
        let Ok(sha256) = tokio::task::spawn_blocking(move || sha256(&hashed)).await else { return };
        let offer = Offer { last, length: state.len() as u64, sha256 };
        let of = offer.length;
        peer.slot.note(|it| *it = Some(Transfer { last, bytes: 0, of, interrupted: None }));
        let (index, bytes) = (last.index.0, of);
        let (me, direction) = (shared.me.id, "out");
        let span = info_span!("transfer", direction, node = %me, peer = %peer.id, index, bytes);
        deliver(shared, peer, offer, &state).instrument(span).await;
    }
}

/// Tries until the state has arrived, another one is wanted, or nothing has moved for long.
async fn deliver(shared: &Shared, peer: &Peer, offer: Offer, state: &StateBytes) {
    let limits = &shared.limits;
    let seed = !shared.me.incarnation.0 ^ peer.id.0;
    let mut backoff = Backoff::new(limits.first_backoff, limits.longest_backoff, seed);
    while peer.slot.latest(state).is_some() {
        let before = peer.slot.moved();
        match attempt(shared, peer, offer, state).await {
            Ok(sent) => {
                if let Some(sent) = sent {
                    info!("the snapshot has arrived");
                    peer.slot.arrived(&sent);
                }
                return;
            }
            Err(fault) => {
                let (me, to) = (shared.me.id, peer.id);
                tracing::debug!(node = %me, peer = %to, %fault, "snapshot interrupted");
                peer.slot.note(|transfer| {
                    if let Some(transfer) = transfer {
                        transfer.interrupted = Some(fault);
                    }
                });
            }
        }
        if peer.slot.moved() > before {
            backoff.reset();
        }
        if peer.slot.give_up(state, limits.snapshot_patience) {
            tracing::debug!(node = %shared.me.id, peer = %peer.id, "snapshot given up");
            return;
        }
        tokio::time::sleep(backoff.wait()).await;
    }
}

/// One connection's worth. Returns the packet that has arrived; none if another snapshot is wanted.
async fn attempt(
    shared: &Shared,
    peer: &Peer,
    offer: Offer,
    state: &StateBytes,
) -> Result<Option<Arc<Packet>>, Fault> {
    let limits = &shared.limits;
    let link = link::open(shared, peer.id, &peer.address, Purpose::Snapshot).await?;
    let version = link.version;
    let (reader, writer) = tokio::io::split(link.stream);
    let answers = FrameReader::new(reader, version, ANSWER, None);
    let mut wire = Wire { answers, writer, version, patience: limits.silence };

    wire.write(Kind::Offer, |body| codec::put(&offer, body)).await?;
    let has = wire.answer(Kind::Have, limits.silence).await?;
    let at = usize::try_from(has).ok().filter(|at| *at <= state.len());
    let at = at.ok_or(WireError::OutOfTurn)?;
    peer.slot.note(|transfer| {
        if let Some(transfer) = transfer {
            transfer.bytes = has;
        }
    });

    info!(has, "sends a snapshot");
    let mut pace = Pace { rate: limits.snapshot_rate.max(1), next: Instant::now() };
    let chunk = limits.chunk_at_rate();
    let mut offset = has;
    for bytes in state.chunks(at, chunk) {
        if peer.slot.latest(state).is_none() {
            return Ok(None);
        }
        wire.write(Kind::Chunk, |body| {
            body.reserve(OFFSET + bytes.len());
            body.extend_from_slice(&offset.to_le_bytes());
            body.extend_from_slice(bytes);
            Ok(())
        })
        .await?;
        offset += bytes.len() as u64;
        peer.slot.moved.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        peer.slot.touch();
        peer.slot.note(|transfer| {
            if let Some(transfer) = transfer {
                transfer.bytes += bytes.len() as u64;
            }
        });
        sleep_until(pace.after(bytes.len(), Instant::now())).await;
    }

    let Some(packet) = peer.slot.latest(state) else { return Ok(None) };
    wire.write(Kind::Finish, |body| codec::put(&packet.envelope, body)).await?;
    // The other side computes the checksum of the whole now, and hands the packet to its node.
    wire.answer(Kind::Done, limits.silence.saturating_mul(CHECKING)).await?;
    Ok(Some(packet))
}

/// The most bytes of an answer.
const ANSWER: usize = 256;
/// How many times as long as usual the other side may be silent while it checks the whole.
const CHECKING: u32 = 20;

/// The two ends of a transfer's connection.
struct Wire {
    answers: FrameReader<ReadHalf<Stream>>,
    writer: WriteHalf<Stream>,
    version: u8,
    patience: Duration,
}

impl Wire {
    async fn write(
        &mut self,
        kind: Kind,
        body: impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>,
    ) -> Result<(), Fault> {
        let mut buffer = Vec::new();
        frame::append(&mut buffer, (self.version, kind), usize::MAX, body)?;
        write(&mut self.writer, &buffer, self.patience).await
    }

    /// The number that an answer of this kind carries; 0 if it carries none.
    async fn answer(&mut self, kind: Kind, patience: Duration) -> Result<u64, Fault> {
        let answer = timeout(patience, self.answers.next()).await.map_err(|_| Fault::Silent)??;
        match answer {
            (Kind::Declined, body) => Err(codec::take::<SnapshotFault>(body)?.0.into()),
            (got, []) if got == kind => Ok(0),
            (got, body) if got == kind => Ok(codec::take(body)?.0),
            _ => Err(WireError::OutOfTurn.into()),
        }
    }
}

/// Keeps to a rate: says after each chunk when the next one is due.
struct Pace {
    rate: u64,
    next: Instant,
}

impl Pace {
    fn after(&mut self, bytes: usize, now: Instant) -> Instant {
        let takes = Duration::from_secs_f64(bytes as f64 / self.rate as f64);
        // What was missed while the other side was slow is not made up for.
        let earliest = now.checked_sub(takes).unwrap_or(self.next);
        self.next = self.next.max(earliest) + takes;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use quorate_spec::message::Stamp;
    use quorate_spec::{Configuration, Envelope, Index, Message, NodeId, Snapshot, Term};

    use super::*;

    #[test]
    fn chunks_keep_to_the_rate_and_what_was_missed_is_not_made_up_for() {
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        let mut pace = Pace { rate: 1_000, next: start };
        assert_eq!(pace.after(1_000, start), start + second);
        assert_eq!(pace.after(500, start + second), start + second * 3 / 2);
        // The other side took nothing for a while.
        let later = start + second * 60;
        assert_eq!(pace.after(1_000, later), later, "it was due, and is now");
        assert_eq!(pace.after(1_000, later), later + second, "the one after waits its time");
    }

    fn packet(state: &StateBytes) -> Packet {
        let last = EntryId { term: Term(1), index: Index(5) };
        let snapshot = Snapshot::new(last, Configuration::default());
        let body = Body::InstallSnapshot { snapshot };
        let message = Message { term: Term(1), stamp: Stamp::default(), body };
        let envelope = Envelope { from: NodeId(1), to: NodeId(2), message };
        Packet { envelope, records: Vec::new(), state: Some(state.clone()) }
    }

    #[tokio::test(start_paused = true)]
    async fn a_state_of_which_nothing_moves_is_let_go_where_nobody_sends_it_again() {
        let (slot, patience) = (Slot::default(), Duration::from_secs(60));
        let state: StateBytes = b"abc".as_slice().into();
        slot.put(packet(&state));
        for again in [true, false] {
            tokio::time::advance(patience / 2).await;
            assert!(!slot.give_up(&state, patience), "it is not over");
            match again {
                true => slot.put(packet(&state)),
                false => slot.touch(),
            }
        }
        tokio::time::advance(patience).await;
        let other: StateBytes = b"abc".as_slice().into();
        assert!(!slot.give_up(&other, patience), "another one is wanted");
        assert!(slot.latest(&state).is_some());
        assert!(slot.give_up(&state, patience));
        assert!(slot.latest(&state).is_none());
    }
}
