//! What waits for one peer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard};

use tokio::sync::Notify;

use super::limits::NetLimits;
use crate::inbox::Weighed;
use crate::lock::lock;
use crate::record::Payload;
use crate::transport::Packet;

/// What goes to a peer on the connection for packets.
#[derive(Debug)]
pub(crate) enum Parcel {
    /// A packet of the protocol.
    Packet(Packet),
    /// Something beside the protocol.
    Letter(Payload),
}

/// A bounded queue. Putting something in never waits: what does not fit is dropped, and so is what
/// comes while there is no connection, for it would be old when there is one again. The protocol
/// repeats what still matters.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    came: Notify,
    parcels: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    parcels: VecDeque<Parcel>,
    bytes: usize,
    open: bool,
    dropped: u64,
}

/// How a queue is at one moment.
pub(crate) struct Counts {
    /// Parcels that wait.
    pub(crate) parcels: usize,
    /// Their bytes.
    pub(crate) bytes: usize,
    /// Parcels that were dropped.
    pub(crate) dropped: u64,
}

impl Queue {
    pub(crate) fn new(limits: &NetLimits) -> Queue {
        Queue {
            waiting: Mutex::default(),
            came: Notify::new(),
            parcels: limits.queued_packets,
            bytes: limits.queued_bytes,
        }
    }

    /// Puts the parcel in, or drops it. Says whether it may arrive.
    pub(crate) fn put(&self, parcel: Parcel) -> bool {
        let mut waiting = self.lock();
        let bytes = size(&parcel);
        let fits = waiting.parcels.len() < self.parcels && waiting.bytes + bytes <= self.bytes;
        let taken = waiting.open && (fits || waiting.parcels.is_empty());
        if taken {
            waiting.parcels.push_back(parcel);
            waiting.bytes += bytes;
            drop(waiting);
            self.came.notify_one();
        } else {
            waiting.dropped += 1;
        }
        taken
    }

    /// Opens the queue, until what is returned is dropped.
    pub(crate) fn open(&self) -> Open<'_> {
        self.lock().open = true;
        Open(self)
    }

    /// Waits for parcels, and takes the first and as many more as have `bytes` together.
    pub(crate) async fn take(&self, bytes: usize) -> Vec<Parcel> {
        loop {
            let taken = self.lock().take(bytes);
            if !taken.is_empty() {
                return taken;
            }
            self.came.notified().await;
        }
    }

    pub(crate) fn counts(&self) -> Counts {
        let waiting = self.lock();
        let Waiting { bytes, dropped, .. } = *waiting;
        Counts { parcels: waiting.parcels.len(), bytes, dropped }
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

impl Waiting {
    fn take(&mut self, bytes: usize) -> Vec<Parcel> {
        let (mut taken, mut sum) = (Vec::new(), 0);
        while let Some(parcel) = self.parcels.front() {
            sum += size(parcel);
            if !taken.is_empty() && sum > bytes {
                break;
            }
            self.bytes -= size(parcel);
            taken.extend(self.parcels.pop_front());
        }
        taken
    }
}

fn size(parcel: &Parcel) -> usize {
    match parcel {
        Parcel::Packet(packet) => packet.bytes(),
        Parcel::Letter(letter) => letter.bytes(),
    }
}

/// The queue takes packets while this is there.
pub(crate) struct Open<'a>(&'a Queue);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.dropped += waiting.parcels.len() as u64;
        waiting.parcels.clear();
        (waiting.bytes, waiting.open) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_spec::{Body, EntryId, Envelope, Index, Message, NodeId, Term};

    use super::*;
    use crate::record::{Content, Record};

    fn packet(term: u64, bytes: usize) -> Parcel {
        let message = Message::new(Term(term), Body::TimeoutNow);
        let id = EntryId { term: Term(1), index: Index(1) };
        let content = Content::Command(Arc::from(vec![7; bytes]));
        let envelope = Envelope { from: NodeId(1), to: NodeId(2), message };
        Parcel::Packet(Packet { envelope, records: vec![Record { id, content }], state: None })
    }

    fn queue(queued_packets: usize, queued_bytes: usize) -> Queue {
        Queue::new(&NetLimits { queued_packets, queued_bytes, ..NetLimits::default() })
    }

    /// How many parcels wait, and how many were dropped.
    fn counts(queue: &Queue) -> (usize, u64) {
        let Counts { parcels, dropped, .. } = queue.counts();
        (parcels, dropped)
    }

    fn terms(parcels: &[Parcel]) -> Vec<u64> {
        let term = |parcel: &Parcel| match parcel {
            Parcel::Packet(packet) => packet.envelope.message.term.0,
            Parcel::Letter(_) => 0,
        };
        parcels.iter().map(term).collect()
    }

    #[tokio::test]
    async fn packets_come_out_in_order_and_what_does_not_fit_is_dropped() {
        let queue = queue(3, 1 << 20);
        let _open = queue.open();
        for term in 1..=5 {
            assert_eq!(queue.put(packet(term, 1)), term <= 3);
        }
        assert_eq!(counts(&queue), (3, 2));
        assert_eq!(terms(&queue.take(usize::MAX).await), [1, 2, 3]);
    }

    #[tokio::test]
    async fn bytes_are_bounded_and_a_long_packet_waits_alone() {
        let queue = queue(100, 10_000);
        let _open = queue.open();
        queue.put(packet(1, 50_000));
        queue.put(packet(2, 1));
        assert_eq!(terms(&queue.take(1).await), [1]);
        for term in 3..=5 {
            assert_eq!(queue.put(packet(term, 4_000)), term <= 4);
        }
        assert_eq!(counts(&queue), (2, 2));
        assert_eq!(terms(&queue.take(1).await), [3], "a batch has a size, too");
    }

    #[test]
    fn without_a_connection_nothing_is_kept() {
        let queue = queue(100, 10_000);
        queue.put(packet(1, 1));
        let open = queue.open();
        queue.put(packet(2, 1));
        drop(open);
        assert_eq!(counts(&queue), (0, 2));
        let _open = queue.open();
        queue.put(packet(3, 1));
        assert_eq!(terms(&queue.lock().take(1)), [3]);
    }
}
