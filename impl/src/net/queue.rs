//! The packets that wait for one peer.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use super::limits::NetLimits;
use crate::transport::Packet;

/// A bounded queue. Putting something in never waits: what does not fit is dropped, and so is what
/// comes while there is no connection, for it would be old when there is one again. The protocol
/// repeats what still matters.
#[derive(Debug)]
pub(crate) struct Queue {
    waiting: Mutex<Waiting>,
    came: Notify,
    packets: usize,
    bytes: usize,
}

#[derive(Debug, Default)]
struct Waiting {
    packets: VecDeque<Packet>,
    bytes: usize,
    open: bool,
    dropped: u64,
}

/// What a packet counts beside its commands: what it takes in memory, more or less.
const OVERHEAD: usize = 128;

impl Queue {
    pub(crate) fn new(limits: &NetLimits) -> Queue {
        Queue {
            waiting: Mutex::default(),
            came: Notify::new(),
            packets: limits.queued_packets,
            bytes: limits.queued_bytes,
        }
    }

    /// Puts the packet in, or drops it.
    pub(crate) fn put(&self, packet: Packet) {
        let mut waiting = self.lock();
        let bytes = size(&packet);
        let fits = waiting.packets.len() < self.packets && waiting.bytes + bytes <= self.bytes;
        if waiting.open && (fits || waiting.packets.is_empty()) {
            waiting.packets.push_back(packet);
            waiting.bytes += bytes;
            drop(waiting);
            self.came.notify_one();
        } else {
            waiting.dropped += 1;
        }
    }

    /// Opens the queue, until what is returned is dropped.
    pub(crate) fn open(&self) -> Open<'_> {
        self.lock().open = true;
        Open(self)
    }

    /// Waits for packets, and takes the first and as many more as have `bytes` together.
    pub(crate) async fn take(&self, bytes: usize) -> Vec<Packet> {
        loop {
            let taken = self.lock().take(bytes);
            if !taken.is_empty() {
                return taken;
            }
            self.came.notified().await;
        }
    }

    /// How many packets wait, and how many were dropped.
    pub(crate) fn counts(&self) -> (usize, u64) {
        let waiting = self.lock();
        (waiting.packets.len(), waiting.dropped)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Waiting {
    fn take(&mut self, bytes: usize) -> Vec<Packet> {
        let (mut taken, mut sum) = (Vec::new(), 0);
        while let Some(packet) = self.packets.front() {
            sum += size(packet);
            if !taken.is_empty() && sum > bytes {
                break;
            }
            self.bytes -= size(packet);
            taken.extend(self.packets.pop_front());
        }
        taken
    }
}

fn size(packet: &Packet) -> usize {
    let records = packet.records.iter().map(|record| OVERHEAD / 2 + record.len());
    OVERHEAD + records.sum::<usize>()
}

/// The queue takes packets while this is there.
pub(crate) struct Open<'a>(&'a Queue);

impl Drop for Open<'_> {
    fn drop(&mut self) {
        let mut waiting = self.0.lock();
        waiting.dropped += waiting.packets.len() as u64;
        waiting.packets.clear();
        (waiting.bytes, waiting.open) = (0, false);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_spec::{Body, EntryId, Envelope, Index, Message, NodeId, Term};

    use super::*;
    use crate::record::{Content, Record};

    fn packet(term: u64, bytes: usize) -> Packet {
        let message = Message::new(Term(term), Body::TimeoutNow);
        let id = EntryId { term: Term(1), index: Index(1) };
        let content = Content::Command(Arc::from(vec![7; bytes]));
        let envelope = Envelope { from: NodeId(1), to: NodeId(2), message };
        Packet { envelope, records: vec![Record { id, content }], state: None }
    }

    fn queue(queued_packets: usize, queued_bytes: usize) -> Queue {
        Queue::new(&NetLimits { queued_packets, queued_bytes, ..NetLimits::default() })
    }

    fn terms(packets: &[Packet]) -> Vec<u64> {
        packets.iter().map(|packet| packet.envelope.message.term.0).collect()
    }

    #[tokio::test]
    async fn packets_come_out_in_order_and_what_does_not_fit_is_dropped() {
        let queue = queue(3, 1 << 20);
        let _open = queue.open();
        (1..=5).for_each(|term| queue.put(packet(term, 1)));
        assert_eq!(queue.counts(), (3, 2));
        assert_eq!(terms(&queue.take(usize::MAX).await), [1, 2, 3]);
    }

    #[tokio::test]
    async fn bytes_are_bounded_and_a_long_packet_waits_alone() {
        let queue = queue(100, 10_000);
        let _open = queue.open();
        queue.put(packet(1, 50_000));
        queue.put(packet(2, 1));
        assert_eq!(terms(&queue.take(1).await), [1]);
        (3..=5).for_each(|term| queue.put(packet(term, 4_000)));
        assert_eq!(queue.counts(), (2, 2));
        assert_eq!(terms(&queue.take(1).await), [3], "a batch has a size, too");
    }

    #[test]
    fn without_a_connection_nothing_is_kept() {
        let queue = queue(100, 10_000);
        queue.put(packet(1, 1));
        let open = queue.open();
        queue.put(packet(2, 1));
        drop(open);
        assert_eq!(queue.counts(), (0, 2));
        let _open = queue.open();
        queue.put(packet(3, 1));
        assert_eq!(terms(&queue.lock().take(1)), [3]);
    }
}
