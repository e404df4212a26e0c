//! What has arrived for a node and waits for whoever deals with it: counted in pieces and in bytes, for
//! a packet may be as long as a frame.
//!
//! Whoever brings something waits for room in the order of coming. So each connection, which brings one
//! thing at a time, has its turn, however much another one has to say; and something long is not passed
//! for ever by what is short. What is longer than all of the room waits until nothing else is there, and
//! is taken alone. Where the inbox is gone nobody waits.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use quorate_spec::NodeId;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

use crate::record::Payload;
use crate::transport::Packet;

/// Something whose length counts.
pub trait Weighed {
    /// The bytes that it takes in memory, more or less.
    fn bytes(&self) -> usize;
}

/// What a thing counts beside its bytes.
const OVERHEAD: usize = 128;

impl Weighed for Packet {
    fn bytes(&self) -> usize {
        let records = self.records.iter().map(|record| OVERHEAD / 2 + record.len());
        OVERHEAD + records.sum::<usize>() + self.state.as_ref().map_or(0, |state| state.len())
    }
}

impl Weighed for Payload {
    fn bytes(&self) -> usize {
        weight(self)
    }
}

/// What bytes count for that are a payload, or will be.
pub(crate) fn weight(bytes: &[u8]) -> usize {
    OVERHEAD + bytes.len()
}

/// A letter, and who sent it.
impl Weighed for (NodeId, Payload) {
    fn bytes(&self) -> usize {
        self.1.bytes()
    }
}

/// The most bytes that an inbox can count.
pub(crate) const MOST_BYTES: usize = u32::MAX as usize;

/// An inbox for so many things of so many bytes together, and the way into it.
#[must_use]
pub fn inbox<T: Weighed>(most: usize, bytes: usize) -> (InboxSender<T>, Inbox<T>) {
    let (sender, things) = mpsc::channel(most.max(1));
    let bytes = u32::try_from(bytes.max(1)).unwrap_or(u32::MAX);
    let room = Arc::new(Semaphore::new(bytes as usize));
    let level = Level { things: Arc::default(), room: Arc::clone(&room), bytes };
    (InboxSender { things: sender, level: level.clone() }, Inbox { things, level })
}

/// What waits, and is taken in the order in which it came.
#[derive(Debug)]
pub struct Inbox<T> {
    things: mpsc::Receiver<Placed<T>>,
    level: Level,
}

/// The way into an inbox. Clones lead to the same one.
#[derive(Debug)]
pub struct InboxSender<T> {
    things: mpsc::Sender<Placed<T>>,
    level: Level,
}

/// How full an inbox is. Clones are of the same one.
#[derive(Clone, Debug)]
pub struct Level {
    things: Arc<AtomicUsize>,
    room: Arc<Semaphore>,
    bytes: u32,
}

/// Why something was not put into an inbox.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum NotTaken {
    /// There is no room now.
    #[error("the inbox is full")]
    Full,
    /// Nobody reads it any more.
    #[error("nobody reads the inbox any more")]
    Gone,
}

/// Room in an inbox for something, which is free again when this is dropped.
#[derive(Debug)]
pub(crate) struct Room(OwnedSemaphorePermit);

/// Something with its place, which is free again when it is taken out.
#[derive(Debug)]
struct Placed<T> {
    thing: T,
    place: Place,
}

#[derive(Debug)]
struct Place {
    things: Arc<AtomicUsize>,
    _bytes: OwnedSemaphorePermit,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.things.fetch_sub(1, Ordering::Relaxed);
    }
}

impl<T: Weighed> InboxSender<T> {
    /// Puts the thing in as soon as there is room.
    ///
    /// # Errors
    /// [`NotTaken::Gone`] where nobody reads the inbox any more.
    pub async fn send(&self, thing: T) -> Result<(), NotTaken> {
        let room = self.room(thing.bytes()).await?;
        self.put(thing, room).await
    }

    /// Waits for room for so many bytes, for something that is not made yet.
    pub(crate) async fn room(&self, bytes: usize) -> Result<Room, NotTaken> {
        let bytes = self.level.share(bytes);
        let room = Arc::clone(&self.level.room).acquire_many_owned(bytes).await;
        room.map(Room).map_err(|_| NotTaken::Gone)
    }

    /// Puts the thing in, for which there is room.
    pub(crate) async fn put(&self, thing: T, Room(bytes): Room) -> Result<(), NotTaken> {
        let place = self.level.place(bytes);
        self.things.send(Placed { thing, place }).await.map_err(|_| NotTaken::Gone)
    }

    /// Puts the thing in, where there is room now.
    ///
    /// # Errors
    /// It is dropped, for the reason that is given.
    pub fn try_send(&self, thing: T) -> Result<(), NotTaken> {
        self.try_send_with(thing.bytes(), || thing)
    }

    /// The same for something of so many bytes that is not made yet.
    pub(crate) fn try_send_with(
        &self,
        bytes: usize,
        make: impl FnOnce() -> T,
    ) -> Result<(), NotTaken> {
        let bytes = self.level.share(bytes);
        let bytes = Arc::clone(&self.level.room).try_acquire_many_owned(bytes);
        let gone = self.level.room.is_closed();
        let bytes = bytes.map_err(|_| if gone { NotTaken::Gone } else { NotTaken::Full });
        let place = self.level.place(bytes?);
        self.things.try_send(Placed { thing: make(), place }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NotTaken::Full,
            mpsc::error::TrySendError::Closed(_) => NotTaken::Gone,
        })
    }

    /// How full it is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level.clone()
    }
}

impl<T> Clone for InboxSender<T> {
    fn clone(&self) -> InboxSender<T> {
        InboxSender { things: self.things.clone(), level: self.level.clone() }
    }
}

impl<T> Inbox<T> {
    /// Takes what came first, or waits for it; none once nothing more can come. A future that is
    /// dropped has taken nothing.
    pub async fn recv(&mut self) -> Option<T> {
        self.things.recv().await.map(Placed::taken)
    }

    /// Takes what came first; none where nothing is there.
    pub fn try_recv(&mut self) -> Option<T> {
        self.things.try_recv().ok().map(Placed::taken)
    }

    /// How full it is.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level.clone()
    }
}

impl<T> Drop for Inbox<T> {
    fn drop(&mut self) {
        // Else whoever waits for bytes would wait for ever.
        self.level.room.close();
    }
}

impl<T> Placed<T> {
    fn taken(self) -> T {
        drop(self.place);
        self.thing
    }
}

impl Level {
    /// How many things wait.
    #[must_use]
    pub fn things(&self) -> usize {
        self.things.load(Ordering::Relaxed)
    }

    /// Their bytes. What is longer than all of the room counts as much as that.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes as usize - self.room.available_permits()
    }

    fn share(&self, bytes: usize) -> u32 {
        u32::try_from(bytes).unwrap_or(u32::MAX).min(self.bytes)
    }

    fn place(&self, bytes: OwnedSemaphorePermit) -> Place {
        self.things.fetch_add(1, Ordering::Relaxed);
        Place { things: Arc::clone(&self.things), _bytes: bytes }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;
    use std::time::Duration;

    use tokio::task::JoinSet;
    use tokio::time::timeout;

    use super::*;

    fn letter(bytes: usize) -> Payload {
        vec![7; bytes - OVERHEAD].into()
    }

    /// Whether the future is over when it is asked once.
    async fn is_over<F: Future + Unpin>(future: &mut F) -> bool {
        std::future::poll_fn(|context| {
            Poll::Ready(std::pin::Pin::new(&mut *future).poll(context).is_ready())
        })
        .await
    }

    #[tokio::test]
    async fn things_come_out_in_order_and_their_room_is_free_again() {
        let (sender, mut inbox) = inbox(3, 1_000);
        for bytes in [300, 400, 300] {
            assert_eq!(sender.try_send(letter(bytes)), Ok(()));
        }
        let level = inbox.level();
        assert_eq!((level.things(), level.bytes()), (3, 1_000));
        assert_eq!(sender.try_send(letter(128)), Err(NotTaken::Full));
        assert_eq!(inbox.recv().await, Some(letter(300)));
        assert_eq!((level.things(), level.bytes()), (2, 700));
        assert_eq!(sender.try_send(letter(301)), Err(NotTaken::Full), "bytes");
        assert_eq!(sender.try_send(letter(128)), Ok(()));
        assert_eq!(sender.try_send(letter(128)), Err(NotTaken::Full), "pieces");
        assert_eq!(inbox.try_recv(), Some(letter(400)));
        drop(inbox);
        assert_eq!(sender.try_send(letter(128)), Err(NotTaken::Gone));
    }

    #[tokio::test]
    async fn what_is_longer_than_all_of_the_room_is_taken_alone() {
        let (sender, mut inbox) = inbox(10, 1_000);
        assert_eq!(sender.try_send(letter(200)), Ok(()));
        assert_eq!(sender.try_send(letter(50_000)), Err(NotTaken::Full));
        let mut long = Box::pin(sender.send(letter(50_000)));
        assert!(!is_over(&mut long).await);
        assert_eq!(inbox.recv().await, Some(letter(200)));
        assert!(is_over(&mut long).await);
        assert_eq!(sender.try_send(letter(128)), Err(NotTaken::Full));
        assert_eq!(inbox.recv().await, Some(letter(50_000)));
        assert_eq!(sender.try_send(letter(200)), Ok(()));
    }

    #[tokio::test]
    async fn whoever_has_more_to_say_does_not_pass_those_who_came_before() {
        let (sender, mut inbox) = inbox(10, 1_000);
        // One that never stops, and one that has something long to say.
        let mut loud = JoinSet::new();
        let flood = sender.clone();
        loud.spawn(async move { while flood.send(letter(128)).await.is_ok() {} });
        while sender.level().bytes() < 800 {
            tokio::task::yield_now().await;
        }
        let quiet = tokio::spawn(async move { sender.send(letter(900)).await });
        let mut before = 0;
        while inbox.recv().await.is_some_and(|came| came.len() < 500) {
            before += 1;
            assert!(before < 1_000, "it is passed for ever");
        }
        assert_eq!(quiet.await.ok(), Some(Ok(())));
        drop(inbox);
        loud.join_next().await;
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_waits_for_an_inbox_that_is_gone() {
        let (sender, inbox) = inbox(1, 1_000);
        assert_eq!(sender.try_send(letter(500)), Ok(()));
        let (mut for_bytes, mut for_place) =
            (Box::pin(sender.send(letter(900))), Box::pin(sender.send(letter(128))));
        assert!(!is_over(&mut for_place).await);
        assert!(!is_over(&mut for_bytes).await);
        drop(inbox);
        let long = Duration::from_secs(60);
        assert_eq!(timeout(long, for_bytes).await, Ok(Err(NotTaken::Gone)));
        assert_eq!(timeout(long, for_place).await, Ok(Err(NotTaken::Gone)));
    }
}
