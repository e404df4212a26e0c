//! The follower's side of a transfer.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quorate_spec::{Body, Envelope, Index, NodeId};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;
use tracing::{Instrument, info, info_span};

use super::{OFFSET, Offer, sha256};
use crate::lock::lock;
use crate::net::codec;
use crate::net::fault::{Fault, SnapshotFault};
use crate::net::frame::{self, FrameReader, Kind};
use crate::net::peer::write;
use crate::net::shared::{Shared, Stream};
use crate::net::wire::WireError;
use crate::state::{Growing, StateBytes};
use crate::traffic::Moved;
use crate::transport::Packet;

/// So many states are here at a time: the leader's, and that of the one before it. Those count that
/// come, that are whole and wait for the node, and parts that wait for the next connection.
const STATES: usize = 2;

/// Nodes whose address is not known may be any number, and anyone: they leave a place to the others.
const OF_STRANGERS: usize = STATES - 1;

/// What has arrived of states that are not whole: it waits here for the next connection. A part may be
/// as long as a state, so there are few, none is a stranger's, and none stays that nobody continues.
pub(crate) struct Shelf {
    parts: Mutex<BTreeMap<NodeId, Part>>,
    places: Arc<Semaphore>,
    of_strangers: Arc<Semaphore>,
}

/// A place for one state, until this is dropped.
struct Place {
    _place: OwnedSemaphorePermit,
    _of_strangers: Option<OwnedSemaphorePermit>,
    /// Whether what comes is kept when the connection breaks.
    stays: bool,
}

struct Part {
    offer: Offer,
    bytes: Growing,
    /// When it was put here.
    since: Instant,
}

impl Default for Shelf {
    fn default() -> Shelf {
        let of = |places| Arc::new(Semaphore::new(places));
        Shelf { parts: Mutex::default(), places: of(STATES), of_strangers: of(OF_STRANGERS) }
    }
}

impl Shelf {
    /// A place for a state of someone whose address is known, or is not; none where all are taken.
    fn place(&self, is_known: bool) -> Result<Place, SnapshotFault> {
        let take = |places: &Arc<Semaphore>| Arc::clone(places).try_acquire_owned();
        let of_strangers = (!is_known).then(|| take(&self.of_strangers)).transpose();
        let _of_strangers = of_strangers.map_err(|_| SnapshotFault::Busy)?;
        let _place = take(&self.places).map_err(|_| SnapshotFault::Busy)?;
        Ok(Place { _place, _of_strangers, stays: is_known })
    }

    /// What is there of the state, from this peer or from another one: nothing, where it is a new one.
    /// What there was of another state goes. The place is that of the state until it is handed on.
    fn take(&self, from: NodeId, place: Place, offer: Offer) -> Held<'_> {
        let mut parts = self.lock();
        let own = parts.remove(&from).filter(|part| part.offer == offer);
        let holder = parts.iter().find(|(_, part)| part.offer == offer).map(|(id, _)| *id);
        let part = own.or_else(|| holder.and_then(|id| parts.remove(&id)));
        let part = part.unwrap_or(Part { offer, bytes: Growing::default(), since: Instant::now() });
        trim(&mut parts, self.places.available_permits());
        Held { shelf: self, from, part: Some(part), place: Some(place) }
    }

    /// Puts a part here, which had this place.
    fn put(&self, from: NodeId, part: Part, place: Place) {
        let mut parts = self.lock();
        parts.insert(from, part);
        drop(place);
        trim(&mut parts, self.places.available_permits());
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
        lock(&self.parts)
    }
}

/// Leaves so many parts: those that wait longest go.
fn trim(parts: &mut BTreeMap<NodeId, Part>, most: usize) {
    while parts.len() > most {
        let oldest = parts.iter().min_by_key(|(_, part)| part.since).map(|(id, _)| *id);
        oldest.map(|id| parts.remove(&id));
    }
}

/// A part that grows. It goes back to the shelf when the connection ends, whatever ends it.
struct Held<'a> {
    shelf: &'a Shelf,
    from: NodeId,
    part: Option<Part>,
    place: Option<Place>,
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

    /// The whole state, and its place. Where it is not what was offered, it is gone.
    async fn complete(mut self) -> Result<(StateBytes, Option<Place>), SnapshotFault> {
        let Part { offer, bytes, .. } = self.part.take().ok_or(SnapshotFault::OutOfOrder)?;
        let place = self.place.take();
        // Whoever waits for this may go meanwhile: the place is taken until the bytes are gone.
        let checked = tokio::task::spawn_blocking(move || {
            let state = bytes.finish();
            (sha256(&state) == offer.sha256).then_some((state, place))
        });
        checked.await.ok().flatten().ok_or(SnapshotFault::Checksum)
    }
}

impl Drop for Held<'_> {
    fn drop(&mut self) {
        let (Some(part), Some(place)) = (self.part.take(), self.place.take()) else { return };
        if place.stays && part.bytes.len() > 0 {
            self.shelf.put(self.from, Part { since: Instant::now(), ..part }, place);
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
    let place = shared.shelf.place(shared.addresses.knows(from))?;
    let mut held = shared.shelf.take(from, place, offer);
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
    let (state, place) = held.complete().await?;
    shared.shelf.forget(offer.last.index);
    let packet = Packet { envelope, records: Vec::new(), state: Some(state) };
    // Where it fails the node has stopped.
    shared.inbox.send(packet).await.map_err(|_| Fault::Closed)?;
    drop(place);
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
        lock(&self.0)
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

    /// What this node has of the state from a peer whose address is known, which goes on with it.
    fn take(shelf: &Shelf, from: u64, offer: Offer) -> Held<'_> {
        let place = shelf.place(true).expect("there is one");
        shelf.take(NodeId(from), place, offer)
    }

    #[tokio::test]
    async fn what_has_arrived_waits_for_the_next_connection_even_of_another_leader() {
        let (shelf, of) = (Shelf::default(), offer(5, b"abcdef"));
        let mut held = take(&shelf, 1, of);
        assert_eq!(held.append(&chunk(0, b"abc")), Ok(3));
        drop(held);
        let held = take(&shelf, 1, of);
        assert_eq!(held.length(), 3);
        drop(held);
        let mut held = take(&shelf, 2, of);
        assert_eq!(held.length(), 3, "the same state of another leader");
        assert_eq!(held.append(&chunk(3, b"def")), Ok(3));
        let whole = held.complete().await.map(|(state, _)| state);
        assert_eq!(whole, Ok(b"abcdef".as_slice().into()));
        assert!(shelf.lock().is_empty());
    }

    #[test]
    fn a_chunk_follows_what_is_there_and_stays_inside() {
        let shelf = Shelf::default();
        let mut held = take(&shelf, 1, offer(5, b"abcdef"));
        assert_eq!(held.append(&chunk(0, b"abc")), Ok(3));
        for wrong in [chunk(0, b"abc"), chunk(4, b"e"), chunk(3, b"defg"), chunk(3, b""), vec![3]] {
            assert_eq!(held.append(&wrong), Err(SnapshotFault::OutOfOrder));
        }
        assert_eq!(held.append(&chunk(3, b"def")), Ok(3));
    }

    #[tokio::test]
    async fn bytes_that_are_not_those_of_the_offer_are_thrown_away() {
        let (shelf, of) = (Shelf::default(), offer(5, b"abcdef"));
        let mut held = take(&shelf, 1, of);
        assert_eq!(held.append(&chunk(0, b"abcdeX")), Ok(6));
        assert_eq!(held.complete().await.map(drop), Err(SnapshotFault::Checksum));
        assert_eq!(take(&shelf, 1, of).length(), 0);
    }

    #[test]
    fn another_state_takes_the_place_of_a_part_and_a_whole_one_that_of_earlier_ones() {
        let shelf = Shelf::default();
        let part = |from, index| {
            let mut held = take(&shelf, from, offer(index, b"abcdef"));
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
        let part = |from, is_known| {
            let place = shelf.place(is_known).expect("there is one");
            let mut held = shelf.take(NodeId(from), place, offer(from, b"abcdef"));
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

    #[tokio::test]
    async fn states_that_come_wait_or_are_whole_are_few_together_and_strangers_leave_a_place() {
        let (shelf, of) = (Shelf::default(), offer(5, b"abc"));
        let stranger = shelf.place(false).expect("there is one");
        let mut stranger = shelf.take(NodeId(9), stranger, offer(9, b"abcdef"));
        assert_eq!(stranger.append(&chunk(0, b"abc")), Ok(3));
        assert_eq!(shelf.place(false).err(), Some(SnapshotFault::Busy), "that is for the others");
        let mut held = take(&shelf, 1, of);
        assert_eq!(shelf.place(true).err(), Some(SnapshotFault::Busy));
        // A part that waits has a place of its own.
        assert_eq!(held.append(&chunk(0, b"a")), Ok(1));
        drop(held);
        assert_eq!(left_by(&shelf), [1]);
        let mut held = take(&shelf, 2, offer(6, b"abc"));
        assert!(left_by(&shelf).is_empty(), "or has none, where another state comes");
        assert_eq!(held.append(&chunk(0, b"abc")), Ok(3));
        // Who is whole has its place until it is handed on.
        let whole = held.complete().await;
        assert_eq!(shelf.place(true).err(), Some(SnapshotFault::Busy));
        drop(whole);
        assert!(shelf.place(true).is_ok());
    }
}
