//! The way out: how much fits into a request; a message waits in the gate for its write, gets the
//! contents of its entries when it leaves, and goes.

use std::sync::Arc;

use quorate_spec::{Body, EntryId, Envelope, Gate, NodeId, Outgoing, Room, WriteId};

use crate::limits::Limits;
use crate::record::Record;
use crate::state::StateBytes;
use crate::storage::Storage;
use crate::transport::{Packet, Transport};

/// What fits into a request by number and by bytes, but at least one entry, or a large one would never
/// leave.
pub(crate) struct RequestRoom<'a, S> {
    pub(crate) storage: &'a S,
    pub(crate) limits: &'a Limits,
}

impl<S: Storage> Room for RequestRoom<'_, S> {
    fn fits(&self, entries: &mut dyn Iterator<Item = EntryId>) -> u64 {
        let most = usize::try_from(self.limits.entries_per_request).unwrap_or(usize::MAX);
        let (mut fit, mut bytes) = (0, 0);
        for id in entries.take(most) {
            bytes += self.storage.read(id).map_or(0, |record| record.len());
            if fit > 0 && bytes > self.limits.bytes_per_request {
                break;
            }
            fit += 1;
        }
        fit
    }

    fn fits_snapshot(&self) -> bool {
        true
    }
}

pub(crate) struct Outbox {
    id: NodeId,
    gate: Gate<Outgoing>,
    persisted: WriteId,
    /// Messages that may wait for writes. Each heartbeat is answered with its own stamp, so a disk
    /// that stands still would have them pile up.
    most_held: usize,
    transport: Arc<dyn Transport>,
    dropped: u64,
}

impl Outbox {
    pub(crate) fn new(id: NodeId, transport: Arc<dyn Transport>, most_held: usize) -> Outbox {
        let (gate, persisted) = (Gate::default(), WriteId::NONE);
        Outbox { id, gate, persisted, most_held, transport, dropped: 0 }
    }

    /// Sends the message, now or when its write is durable; or drops it, as a network would, where
    /// too many wait already.
    pub(crate) fn post(&mut self, outgoing: Outgoing, storage: &impl Storage) {
        if outgoing.needs > self.persisted && self.held() >= self.most_held {
            self.dropped += 1;
            return;
        }
        if let Some(outgoing) = self.gate.pass(outgoing.needs, outgoing) {
            self.dispatch(outgoing, storage);
        }
    }

    /// Every write up to `id` is durable: sends what waited for them.
    pub(crate) fn persisted(&mut self, id: WriteId, storage: &impl Storage) {
        self.persisted = self.persisted.max(id);
        for outgoing in self.gate.persisted(id) {
            self.dispatch(outgoing, storage);
        }
    }

    /// Whether there is a way to this node.
    pub(crate) fn knows(&self, id: NodeId) -> bool {
        self.transport.knows(id)
    }

    /// See [`Transport::moved`].
    pub(crate) fn moved(&self, to: NodeId) -> u64 {
        self.transport.moved(to)
    }

    /// How many messages wait for a write.
    pub(crate) fn held(&self) -> usize {
        self.gate.held().count()
    }

    /// How many messages were dropped because the log no longer has the entries that they name, or
    /// because too many waited.
    pub(crate) fn dropped(&self) -> u64 {
        self.dropped
    }

    fn dispatch(&mut self, outgoing: Outgoing, storage: &impl Storage) {
        let Outgoing { to, message, .. } = outgoing;
        match contents(&message.body, storage) {
            Some((records, state)) => {
                let envelope = Envelope { from: self.id, to, message };
                self.transport.send(Packet { envelope, records, state });
            }
            None => self.dropped += 1,
        }
    }
}

/// The contents of the entries, or the state, that the message names; none if the log has lost one
/// of them while the message waited. The name is asked for, never the index alone.
fn contents(body: &Body, storage: &impl Storage) -> Option<(Vec<Record>, Option<StateBytes>)> {
    match body {
        Body::AppendEntries { prev, entries, .. } => {
            let records: Option<_> = entries.ids(prev.index).map(|id| storage.read(id)).collect();
            Some((records?, None))
        }
        Body::InstallSnapshot { snapshot } => {
            Some((Vec::new(), Some(storage.state(snapshot.last)?.bytes)))
        }
        _ => Some((Vec::new(), None)),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use quorate_spec::durable::{LogWrite, Write};
    use quorate_spec::{Configuration, Entries, Index, Instant, Message, Persist, Term};

    use super::*;
    use crate::memory::{MemoryDisk, MemoryStorage};
    use crate::record::Content;

    #[derive(Default)]
    struct Sent(Mutex<Vec<Packet>>);

    impl Transport for Sent {
        fn send(&self, packet: Packet) {
            self.0.lock().expect("no other test shares it").push(packet);
        }

        fn knows(&self, _: NodeId) -> bool {
            true
        }
    }

    fn first_entry(term: u64) -> Record {
        let id = EntryId { term: Term(term), index: Index(1) };
        Record { id, content: Content::Command(Arc::from(term.to_be_bytes())) }
    }

    fn write_first_entry(storage: &mut MemoryStorage, id: u64, term: u64) {
        let log = LogWrite { keep: Index(0), entries: Entries::of_term(Index(0), Term(term), 1) };
        let write = Write { log: Some(log), ..Write::default() };
        storage.submit(Persist { id: WriteId(id), write }, vec![first_entry(term)]);
    }

    fn append_first_entry(needs: u64) -> Outgoing {
        let entries = Entries::of_term(Index(0), Term(1), 1);
        let body = Body::AppendEntries { prev: EntryId::ZERO, entries, leader_commit: Index(0) };
        Outgoing { needs: WriteId(needs), to: NodeId(2), message: Message::new(Term(1), body) }
    }

    #[test]
    fn contents_are_attached_when_the_message_leaves_even_if_they_are_not_durable_yet() {
        let disk = MemoryDisk::new(Configuration::of([NodeId(1), NodeId(2)]));
        disk.stall();
        let (mut storage, sent) = (disk.open(), Arc::new(Sent::default()));
        let mut outbox = Outbox::new(NodeId(1), Arc::clone(&sent) as Arc<dyn Transport>, 2);
        write_first_entry(&mut storage, 1, 1);
        outbox.post(append_first_entry(0), &storage);
        let sent = sent.0.lock().expect("no panic before");
        assert_eq!(sent.first().map(|packet| packet.records.clone()), Some(vec![first_entry(1)]));
    }

    #[test]
    fn a_message_whose_entry_was_replaced_while_it_waited_is_dropped() {
        let disk = MemoryDisk::new(Configuration::of([NodeId(1), NodeId(2)]));
        let (mut storage, sent) = (disk.open(), Arc::new(Sent::default()));
        let mut outbox = Outbox::new(NodeId(1), Arc::clone(&sent) as Arc<dyn Transport>, 2);
        write_first_entry(&mut storage, 1, 1);
        outbox.post(append_first_entry(1), &storage);
        write_first_entry(&mut storage, 2, 2);
        outbox.persisted(WriteId(2), &storage);
        assert!(sent.0.lock().expect("no panic before").is_empty());
        assert_eq!((outbox.held(), outbox.dropped()), (0, 1));
    }

    #[test]
    fn a_disk_that_stands_still_does_not_have_messages_pile_up() {
        let disk = MemoryDisk::new(Configuration::of([NodeId(1), NodeId(2)]));
        disk.stall();
        let (mut storage, sent) = (disk.open(), Arc::new(Sent::default()));
        let mut outbox = Outbox::new(NodeId(1), Arc::clone(&sent) as Arc<dyn Transport>, 2);
        write_first_entry(&mut storage, 1, 1);
        for sent in 0..5 {
            let mut reply = append_first_entry(1);
            reply.message.stamp.sent = Some(Instant(sent));
            outbox.post(reply, &storage);
        }
        assert_eq!((outbox.held(), outbox.dropped()), (2, 3));
        outbox.persisted(WriteId(1), &storage);
        outbox.post(append_first_entry(1), &storage);
        assert_eq!(sent.0.lock().expect("no panic before").len(), 3, "there is room again");
    }
}
