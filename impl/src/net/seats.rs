//! One connection a node and purpose: the latest. So nothing that is left in an earlier connection is
//! heard after something of a later one, and packets of one node stay in order.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use quorate_spec::NodeId;
use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, watch};

use super::greeting::Purpose;
use crate::lock::lock;

type Key = (NodeId, Purpose);

/// The seats of all nodes that are connected.
#[derive(Default)]
pub(crate) struct Seats(Arc<Mutex<BTreeMap<Key, Arc<Seat>>>>);

#[derive(Default)]
struct Seat {
    /// How many have come for it.
    latest: watch::Sender<u64>,
    taken: Arc<AsyncMutex<()>>,
}

/// A connection that has the seat, until another one comes.
pub(crate) struct Seated {
    seats: Arc<Mutex<BTreeMap<Key, Arc<Seat>>>>,
    key: Key,
    seat: Option<Arc<Seat>>,
    turn: u64,
    taken: Option<OwnedMutexGuard<()>>,
}

impl Seats {
    /// Tells whoever has the seat to go, waits until it has gone, and takes it.
    pub(crate) async fn take(&self, id: NodeId, purpose: Purpose) -> Seated {
        let key = (id, purpose);
        let seat = {
            let mut seats = lock(&self.0);
            Arc::clone(seats.entry(key).or_default())
        };
        let mut turn = 0;
        seat.latest.send_modify(|latest| {
            *latest += 1;
            turn = *latest;
        });
        let lock = Arc::clone(&seat.taken);
        let mut seated =
            Seated { seats: Arc::clone(&self.0), key, seat: Some(seat), turn, taken: None };
        seated.taken = Some(lock.lock_owned().await);
        seated
    }
}

impl Seated {
    /// Waits until another connection has come for the seat.
    pub(crate) async fn lost(&self) {
        if let Some(seat) = &self.seat {
            // The sender is in the seat, which is here.
            let _ = seat.latest.subscribe().wait_for(|latest| *latest != self.turn).await;
        }
    }
}

impl Drop for Seated {
    fn drop(&mut self) {
        let mut seats = lock(&self.seats);
        self.taken = None;
        self.seat = None;
        // One that nobody has or waits for goes, or every id that ever came would keep one.
        if seats.get(&self.key).is_some_and(|seat| Arc::strong_count(seat) == 1) {
            seats.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_latest_has_the_seat_once_the_one_before_has_gone() {
        let seats = Seats::default();
        let first = seats.take(NodeId(1), Purpose::Messages).await;
        let other = seats.take(NodeId(2), Purpose::Messages).await;
        let mut second = Box::pin(seats.take(NodeId(1), Purpose::Messages));
        tokio::select! {
            biased;
            _ = &mut second => panic!("the first one has not gone"),
            () = first.lost() => {}
        }
        drop(first);
        let second = second.await;
        assert_eq!(second.turn, 2);
        drop((second, other));
        assert!(seats.0.lock().expect("no panic before").is_empty(), "nothing is kept");
    }
}
