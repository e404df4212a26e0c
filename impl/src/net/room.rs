//! Room for frames that are longer than a MiB, while they are on their way in and until the node has
//! taken them in.
//!
//! It is shared by all who connect, in the order of coming. A connection for packets has one frame at a
//! time, a node has one such connection, and the room is that of two frames at least
//! ([`NetLimits::validate`](super::NetLimits)): so one node alone never has all of it. Those whose
//! address is not known, of whom there may be any number, have half of it together.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::fault::Fault;

/// See the module.
pub(crate) struct Room {
    bytes: Arc<Semaphore>,
    of_strangers: Arc<Semaphore>,
    half: usize,
}

/// What one frame has of it, until this is dropped.
pub(crate) struct Share(#[expect(dead_code, reason = "held")] [Option<OwnedSemaphorePermit>; 2]);

impl Room {
    pub(crate) fn new(bytes: usize) -> Room {
        let of = |bytes| Arc::new(Semaphore::new(bytes));
        Room { bytes: of(bytes), of_strangers: of(bytes / 2), half: bytes / 2 }
    }

    /// Waits for room for so many bytes.
    pub(crate) async fn share(&self, bytes: usize, of_stranger: bool) -> Result<Share, Fault> {
        // A stranger waits among strangers first: it is in nobody else's way meanwhile.
        let first = match of_stranger {
            true => Some(take(&self.of_strangers, bytes.min(self.half)).await?),
            false => None,
        };
        Ok(Share([first, Some(take(&self.bytes, bytes).await?)]))
    }

    #[cfg(test)]
    pub(crate) fn left(&self) -> usize {
        self.bytes.available_permits()
    }
}

async fn take(room: &Arc<Semaphore>, bytes: usize) -> Result<OwnedSemaphorePermit, Fault> {
    let bytes = u32::try_from(bytes).unwrap_or(u32::MAX);
    // It is closed by nobody.
    Arc::clone(room).acquire_many_owned(bytes).await.map_err(|_| Fault::Closed)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn strangers_have_half_of_the_room_together_and_are_in_nobody_elses_way() {
        let (room, long) = (Room::new(100), Duration::from_secs(60));
        let first = room.share(40, true).await;
        let (mut second, mut third) =
            (Box::pin(room.share(30, true)), Box::pin(room.share(5, false)));
        assert!(timeout(long, &mut second).await.is_err(), "that would be more than half");
        assert!(timeout(long, &mut third).await.is_ok(), "it is known");
        assert!(room.share(60, false).await.is_ok(), "so is this one");
        drop(first);
        assert!(timeout(long, &mut second).await.is_ok());
    }
}
