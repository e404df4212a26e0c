//! The follower's side of a transfer.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_spec::{Body, Envelope, Index, NodeId};
use tokio::time::Instant;
use tracing::{Instrument, info, info_span};

use super::{OFFSET, Offer, sha256};
use crate::net::codec;
use crate::net::fault::{Fault, SnapshotFault};
use crate::net::frame::{self, FrameReader, Kind};
use crate::net::peer::write;
use crate::net::shared::{Shared, Stream};
use crate::net::wire::WireError;
use crate::state::{Growing, StateBytes};
use crate::traffic::Moved;
use crate::transport::Packet;

/// So many parts wait at most: the leader's, and that of the one before it.
const PARTS: usize = 2;

/// What has arrived of states that are not whole: it waits here for the next connection. A part may be
/// as long as a state, so there are few, none is a stranger's, and none stays that nobody continues.
#[derive(Default)]
pub(crate) struct Shelf(Mutex<BTreeMap<NodeId, Part>>);

struct Part {
    offer: Offer,
    bytes: Growing,
    /// When it was put here.
    since: Instant,
}

impl Shelf {
    /// What is there of the state, from this peer or from another one: nothing, where it is a new one.
    /// What there was of another state goes.
    /// It comes back to the shelf where the peer `stays`.
    fn take(&self, from: NodeId, stays: bool, offer: Offer) -> Held<'_> {
        let mut parts = self.lock();
        let own = parts.remove(&from).filter(|part| part.offer == offer);
        let holder = parts.iter().find(|(_, part)| part.offer == offer).map(|(id, _)| *id);
        let part = own.or_else(|| holder.and_then(|id| parts.remove(&id)));
        let part = part.unwrap_or(Part { offer, bytes: Growing::default(), since: Instant::now() });
        Held { shelf: self, from, stays, part: Some(part) }
    }

    /// Puts a part here, in the place of those that wait longest.
    fn put(&self, from: NodeId, part: Part) {
        let mut parts = self.lock();
        parts.insert(from, part);
        while parts.len() > PARTS {
            let oldest = parts.iter().min_by_key(|(_, part)| part.since).map(|(id, _)| *id);
            oldest.map(|id| parts.remove(&id));
        }
    }

    /// Lets go of what has waited for so long.
    pub(crate) fn expire(&self, patience: Duration) {
        self.lock().retain(|_, part| part.since.elapsed() < patience);
    }

    /// A state up to `index` is whole: what would lead to no later one goes.
    fn forget(&self, index: Index) {
        self.lock().retain(|_, part| part.offer.last.index > index);
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Part>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A part that grows. It goes back to the shelf when the connection ends, whatever ends it.
struct Held<'a> {
    shelf: &'a Shelf,
    from: NodeId,
    stays: bool,
    part: Option<Part>,
}

impl Held<'_> {
    fn length(&self) -> u64 {
        self.part.as_ref().map_or(0, |part| part.bytes.len() as u64)
    }

    /// Appends a chunk: where it begins, and its bytes.
    fn append(&mut self, body: &[u8]) -> Result<usize, SnapshotFault> {
        let (offset, bytes) =
            body.split_first_chunk::<OFFSET>().ok_or(SnapshotFault::OutOfOrder)?;
        let follows = u64::from_le_bytes(*offset) == self.length();
        let part = self.part.as_mut().filter(|part| {
            let room = part.offer.length.saturating_sub(part.bytes.len() as u64);
            follows && !bytes.is_empty() && bytes.len() as u64 <= room
        });
        part.ok_or(SnapshotFault::OutOfOrder)?.bytes.extend(bytes);
        Ok(bytes.len())
    }

    /// The whole state. Where it is not what was offered, it is gone.
    async fn complete(mut self) -> Result<StateBytes, SnapshotFault> {
        let Part { offer, bytes, .. } = self.part.take().ok_or(SnapshotFault::OutOfOrder)?;
        let checked = tokio::task::spawn_blocking(move || {
            let state = bytes.finish();
            (sha256(&state) == offer.sha256).then_some(state)
        });
        checked.await.ok().flatten().ok_or(SnapshotFault::Checksum)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        if let Some(part) = self.part.take().filter(|part| self.stays && part.bytes.len() > 0) {
            self.shelf.put(self.from, Part { since: Instant::now(), ..part });
        }
    }
}

/// Takes one state after the other and hands each to the node, until the connection ends.
pub(crate) async fn receive(
    shared: &Shared,
    mut frames: FrameReader<Stream>,
    from: NodeId,
) -> Fault {
    loop {
        match transfer(shared, &mut frames, from).await {
            Ok(()) => {}
            Err(Fault::Snapshot(reason)) => {
                let _ =
                    answer(shared, &mut frames, Kind::Declined, |body| codec::put(&reason, body))
                        .await;
                return reason.into();
            }
            Err(fault) => return fault,
        }
    }
}

async fn transfer(
    shared: &Shared,
    frames: &mut FrameReader<Stream>,
    from: NodeId,
) -> Result<(), Fault> {
    let limit = shared.limits.max_snapshot;
    let offer = match frames.next().await? {
        (Kind::Offer, body) => codec::take::<Offer>(body)?.0,
        _ => return Err(WireError::OutOfTurn.into()),
    };
    if offer.length > limit {
        return Err(SnapshotFault::TooLarge { bytes: offer.length, limit }.into());
    }
    let (index, bytes) = (offer.last.index.0, offer.length);
    let (me, direction) = (shared.me.id, "in");
    let span = info_span!("transfer", direction, node = %me, peer = %from, index, bytes);
    take(shared, frames, from, offer).instrument(span).await
}

/// Takes the state that was offered, and hands it to the node.
async fn take(
    shared: &Shared,
    frames: &mut FrameReader<Stream>,
    from: NodeId,
    offer: Offer,
) -> Result<(), Fault> {
    let mut held = shared.shelf.take(from, shared.addresses.knows(from), offer);
    let has = held.length();
    let shown = shared.receiving.begin(from, Moved { bytes: has, of: offer.length });
    info!(has, "a snapshot comes");
    answer(shared, frames, Kind::Have, |body| codec::put(&has, body)).await?;
    let envelope = loop {
        match frames.next().await? {
            (Kind::Chunk, body) => {
                let bytes = held.append(body)?;
                shared.visits.came(from, 0, bytes);
                shown.came(bytes);
            }
            (Kind::Finish, body) if held.length() == offer.length => {
                break codec::decode_install(body)?;
            }
            _ => return Err(WireError::OutOfTurn.into()),
        }
    };
    check(shared, &envelope, from, offer)?;
    let state = held.complete().await?;
    shared.shelf.forget(offer.last.index);
    let packet = Packet { envelope, records: Vec::new(), state: Some(state) };
    // Where it fails the node has stopped.
    shared.inbox.send(packet).await.map_err(|_| Fault::Closed)?;
    info!("the snapshot is whole");
    answer(shared, frames, Kind::Done, |_| Ok(())).await
}

/// The snapshots that come at this moment, by whom they come from.
#[derive(Default)]
pub(crate) struct Receiving(Mutex<BTreeMap<NodeId, Moved>>);

/// One that is shown there until this is dropped. A node has one connection for them.
struct Shown<'a> {
    all: &'a Receiving,
    from: NodeId,
}

impl Receiving {
    pub(crate) fn all(&self) -> BTreeMap<NodeId, Moved> {
        self.lock().clone()
    }

    fn begin(&self, from: NodeId, moved: Moved) -> Shown<'_> {
        self.lock().insert(from, moved);
        Shown { all: self, from }
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<NodeId, Moved>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shown<'_> {
    fn came(&self, bytes: usize) {
        if let Some(moved) = self.all.lock().get_mut(&self.from) {
            moved.bytes += bytes as u64;
        }
    }
}

impl Drop for Shown<'_> {
    fn drop(&mut self) {
        self.all.lock().remove(&self.from);
    }
}

/// Whether the message is one of this peer, for this node, and about this snapshot.
fn check(shared: &Shared, envelope: &Envelope, from: NodeId, offer: Offer) -> Result<(), Fault> {
    let (claimed, to) = (envelope.from, envelope.to);
    if (claimed, to) != (from, shared.me.id) {
        return Err(Fault::Impersonation { from, claimed, to });
    }
    match &envelope.message.body {
        Body::InstallSnapshot { snapshot } if snapshot.last == offer.last => Ok(()),
        _ => Err(SnapshotFault::OtherSnapshot.into()),
    }
}

async fn answer(
    shared: &Shared,
    frames: &mut FrameReader<Stream>,
    kind: Kind,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>,
) -> Result<(), Fault> {
    let mut buffer = Vec::new();
    frame::append(&mut buffer, (codec::VERSION, kind), usize::MAX, body)?;
    write(frames.stream(), &buffer, shared.limits.silence).await
}

#[cfg(test)]
mod tests {
    use quorate_spec::{EntryId, Term};

    use super::*;

    fn offer(index: u64, bytes: &[u8]) -> Offer {
        let last = EntryId { term: Term(1), index: Index(index) };
        Offer { last, length: bytes.len() as u64, sha256: sha256(&bytes.into()) }
    }

    fn chunk(offset: u64, bytes: &[u8]) -> Vec<u8> {
        [&offset.to_le_bytes(), bytes].concat()
    }

    #[tokio::test]
    async fn what_has_arrived_waits_for_the_next_connection_even_of_another_leader() {
        let (shelf, of) = (Shelf::default(), offer(5, b"abcdef"));
        let mut held = shelf.take(NodeId(1), true, of);
        assert_eq!(held.append(&chunk(0, b"abc")), Ok(3));
        drop(held);
        let held = shelf.take(NodeId(1), true, of);
        assert_eq!(held.length(), 3);
        drop(held);
        let mut held = shelf.take(NodeId(2), true, of);
        assert_eq!(held.length(), 3, "the same state of another leader");
        assert_eq!(held.append(&chunk(3, b"def")), Ok(3));
        assert_eq!(held.complete().await, Ok(b"abcdef".as_slice().into()));
        assert!(shelf.lock().is_empty());
    }

    #[test]
    fn a_chunk_follows_what_is_there_and_stays_inside() {
        let shelf = Shelf::default();
        let mut held = shelf.take(NodeId(1), true, offer(5, b"abcdef"));
        assert_eq!(held.append(&chunk(0, b"abc")), Ok(3));
        for wrong in [chunk(0, b"abc"), chunk(4, b"e"), chunk(3, b"defg"), chunk(3, b""), vec![3]] {
            assert_eq!(held.append(&wrong), Err(SnapshotFault::OutOfOrder));
        }
        assert_eq!(held.append(&chunk(3, b"def")), Ok(3));
    }

    #[tokio::test]
    async fn bytes_that_are_not_those_of_the_offer_are_thrown_away() {
        let (shelf, of) = (Shelf::default(), offer(5, b"abcdef"));
        let mut held = shelf.take(NodeId(1), true, of);
        assert_eq!(held.append(&chunk(0, b"abcdeX")), Ok(6));
        assert_eq!(held.complete().await, Err(SnapshotFault::Checksum));
        assert_eq!(shelf.take(NodeId(1), true, of).length(), 0);
    }

    #[test]
    fn another_state_takes_the_place_of_a_part_and_a_whole_one_that_of_earlier_ones() {
        let shelf = Shelf::default();
        let part = |from, index| {
            let mut held = shelf.take(NodeId(from), true, offer(index, b"abcdef"));
            held.append(&chunk(held.length(), b"a")).map(|_| held.length())
        };
        assert_eq!(part(1, 5), Ok(1));
        assert_eq!(part(1, 6), Ok(1), "one a peer: the part of the earlier state is gone");
        assert_eq!(part(2, 7), Ok(1));
        shelf.forget(Index(6));
        assert_eq!(shelf.lock().keys().copied().collect::<Vec<_>>(), [NodeId(2)]);
    }

    fn left_by(shelf: &Shelf) -> Vec<u64> {
        shelf.lock().keys().map(|id| id.0).collect()
    }

    #[tokio::test(start_paused = true)]
    async fn few_parts_wait_and_none_of_strangers_or_for_ever() {
        let (shelf, second) = (Shelf::default(), Duration::from_secs(1));
        let part = |from, stays| {
            let mut held = shelf.take(NodeId(from), stays, offer(from, b"abcdef"));
            assert_eq!(held.append(&chunk(0, b"a")), Ok(1));
        };
        part(9, false);
        assert!(left_by(&shelf).is_empty(), "a stranger's");
        for from in [3, 1, 2] {
            part(from, true);
            tokio::time::advance(second).await;
        }
        assert_eq!(left_by(&shelf), [1, 2], "the oldest has gone");
        shelf.expire(2 * second);
        assert_eq!(left_by(&shelf), [2], "nobody continued the other one");
    }
}
