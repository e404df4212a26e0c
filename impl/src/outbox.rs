//! The way out: how much fits into a request; a message gets the contents of its entries when it is
//! posted, waits in the gate for its write, and goes.

use std::cell::Cell;
use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use quorate_spec::{Body, EntryId, Envelope, Gate, NodeId, Outgoing, Room, WriteId};

use crate::fetches::{AtHand, Want};
use crate::limits::{Limits, Most};
use crate::record::Record;
use crate::state::StateBytes;
use crate::storage::{Lookup, Storage};
use crate::transport::{Packet, Transport};

/// What fits into a request by number and by bytes, but at least one entry, or a large one would never
/// leave. There is no room for what is away: only heartbeats leave until it is there.
pub(crate) struct RequestRoom<'a, S> {
    at_hand: AtHand<'a, S>,
    limits: &'a Limits,
    /// The entry whose state takes the place of entries that are gone; none while that is on its way.
    snapshot: Option<EntryId>,
    want: Cell<Option<Want>>,
}

impl<'a, S> RequestRoom<'a, S> {
    pub(crate) fn of(
        at_hand: AtHand<'a, S>,
        limits: &'a Limits,
        snapshot: Option<EntryId>,
    ) -> Self {
        RequestRoom { at_hand, limits, snapshot, want: Cell::new(None) }
    }

    /// What could have left, had it been here.
    pub(crate) fn want(&self) -> Option<Want> {
        self.want.get()
    }
}

impl<S: Storage> Room for &RequestRoom<'_, S> {
    fn fits(&self, entries: &mut dyn Iterator<Item = EntryId>) -> u64 {
        let most = usize::try_from(self.limits.entries_per_request).unwrap_or(usize::MAX);
        let (mut fit, mut bytes) = (0, 0);
        for id in entries.take(most) {
            bytes += match self.at_hand.read(id) {
                Lookup::Here(record) => record.len(),
                Lookup::Away if fit == 0 => {
                    self.want.set(Some(Want::Entries(id)));
                    break;
                }
                Lookup::Away => break,
                // The message will be dropped.
                Lookup::Gone => 0,
            };
            if fit > 0 && bytes > self.limits.bytes_per_request {
                break;
            }
            fit += 1;
        }
        fit
    }

    fn fits_snapshot(&self) -> bool {
        // It is asked as well while one is on its way, and none is sent then: nothing is to be read.
        let Some(last) = self.snapshot else { return true };
        let is_away = matches!(self.at_hand.state(last), Lookup::Away);
        if is_away {
            self.want.set(Some(Want::State(last)));
        }
        !is_away
    }
}

pub(crate) struct Outbox {
    id: NodeId,
    gate: Gate<Held>,
    persisted: WriteId,
    /// Messages that may wait for writes, and bytes in them. Each heartbeat is answered with its own
    /// stamp, so a disk that stands still would have them pile up.
    most: Most,
    transport: Arc<dyn Transport>,
    /// Messages that were dropped, of the whole node.
    dropped: Counter,
}

/// A message with its contents. It has them from the moment at which it is posted: what was fetched for
/// it may be gone when it leaves, and they are shared, so that they cost memory only where nobody else
/// has them any more; which is counted.
struct Held {
    outgoing: Outgoing,
    contents: Contents,
}

/// The contents of its entries, or the state, that a message names.
#[derive(Default)]
struct Contents {
    records: Vec<Record>,
    state: Option<StateBytes>,
}

/// The names of the entries stand for their contents (claim EntryIdentity).
impl PartialEq for Held {
    fn eq(&self, other: &Held) -> bool {
        self.outgoing == other.outgoing
    }
}

impl Outbox {
    pub(crate) fn new(
        id: NodeId,
        transport: Arc<dyn Transport>,
        most: Most,
        dropped: Counter,
    ) -> Outbox {
        let (gate, persisted) = (Gate::default(), WriteId::NONE);
        Outbox { id, gate, persisted, most, transport, dropped }
    }

    /// Sends the message, now or when its write is durable; or drops it, as a network would, where
    /// too many wait already, or the log does not have an entry that it names.
    pub(crate) fn post(&mut self, outgoing: Outgoing, at_hand: &AtHand<'_, impl Storage>) {
        let Some(contents) = contents(&outgoing.message.body, at_hand) else {
            self.dropped.inc();
            return;
        };
        let held = Held { outgoing, contents };
        if held.outgoing.needs > self.persisted && !self.has_room_for(&held) {
            self.dropped.inc();
            return;
        }
        if let Some(held) = self.gate.pass(held.outgoing.needs, held) {
            self.dispatch(held);
        }
    }

    fn has_room_for(&self, held: &Held) -> bool {
        let (Most { count, bytes }, length) = (self.most, held.contents.len());
        let before = || self.gate.held().map(|(_, held)| held.contents.len()).sum::<usize>();
        let fits = |before: usize| before == 0 || before.saturating_add(length) <= bytes;
        self.held() < count && (length == 0 || fits(before()))
    }

    /// Every write up to `id` is durable: sends what waited for them, unless the log has lost an entry of
    /// it meanwhile. The names are asked for, never the indices alone.
    pub(crate) fn persisted(&mut self, id: WriteId, storage: &impl Storage) {
        self.persisted = self.persisted.max(id);
        for held in self.gate.persisted(id) {
            if names(&held.outgoing.message.body, storage) {
                self.dispatch(held);
            } else {
                self.dropped.inc();
            }
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

    fn dispatch(&mut self, held: Held) {
        let Held { outgoing: Outgoing { to, message, .. }, contents } = held;
        let (envelope, Contents { records, state }) =
            (Envelope { from: self.id, to, message }, contents);
        self.transport.send(Packet { envelope, records, state });
    }
}

impl Contents {
    /// How many bytes they have.
    fn len(&self) -> usize {
        let records: usize = self.records.iter().map(Record::len).sum();
        records + self.state.as_ref().map_or(0, StateBytes::len)
    }
}

/// The contents of the entries, or the state, that the message names; none if one is not at hand.
fn contents(body: &Body, at_hand: &AtHand<'_, impl Storage>) -> Option<Contents> {
    match body {
        Body::AppendEntries { prev, entries, .. } => {
            let records = entries.ids(prev.index).map(|id| at_hand.read(id).here());
            Some(Contents { records: records.collect::<Option<_>>()?, state: None })
        }
        Body::InstallSnapshot { snapshot } => {
            let state = Some(at_hand.state(snapshot.last).here()?.bytes);
            Some(Contents { records: Vec::new(), state })
        }
        _ => Some(Contents::default()),
    }
}

/// Whether the storage still has what the message names.
fn names(body: &Body, storage: &impl Storage) -> bool {
    match body {
        Body::AppendEntries { prev, entries, .. } => {
            entries.ids(prev.index).all(|id| storage.read(id) != Lookup::Gone)
        }
        Body::InstallSnapshot { snapshot } => storage.state(snapshot.last) != Lookup::Gone,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use quorate_spec::durable::{LogWrite, Write};
    use quorate_spec::{Configuration, Entries, Index, Instant, Message, Persist, Term};

    use super::*;
    use crate::fetches::{Consumer, Fetches};
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

    fn outbox(sent: &Arc<Sent>, (count, bytes): (usize, usize)) -> Outbox {
        let transport = Arc::clone(sent) as Arc<dyn Transport>;
        Outbox::new(NodeId(1), transport, Most { count, bytes }, Counter::default())
    }

    fn post(outbox: &mut Outbox, outgoing: Outgoing, storage: &MemoryStorage) {
        let fetches = Fetches::new(&Limits::default());
        let consumer = Consumer::Peer(outgoing.to);
        outbox.post(outgoing, &fetches.at_hand(consumer, storage));
    }

    fn append_first_entry(needs: u64) -> Outgoing {
        let entries = Entries::of_term(Index(0), Term(1), 1);
        let body = Body::AppendEntries { prev: EntryId::ZERO, entries, leader_commit: Index(0) };
        Outgoing { needs: WriteId(needs), to: NodeId(2), message: Message::new(Term(1), body) }
    }

    #[test]
    fn contents_leave_with_the_message_even_if_they_are_not_durable_yet() {
        let disk = MemoryDisk::new(Configuration::of([NodeId(1), NodeId(2)]));
        disk.stall();
        let (mut storage, sent) = (disk.open(), Arc::new(Sent::default()));
        let mut outbox = outbox(&sent, (2, 16));
        write_first_entry(&mut storage, 1, 1);
        post(&mut outbox, append_first_entry(0), &storage);
        let sent = sent.0.lock().expect("no panic before");
        assert_eq!(sent.first().map(|packet| packet.records.clone()), Some(vec![first_entry(1)]));
    }

    #[test]
    fn a_message_whose_entry_was_replaced_while_it_waited_is_dropped() {
        let disk = MemoryDisk::new(Configuration::of([NodeId(1), NodeId(2)]));
        let (mut storage, sent) = (disk.open(), Arc::new(Sent::default()));
        let mut outbox = outbox(&sent, (2, 16));
        write_first_entry(&mut storage, 1, 1);
        post(&mut outbox, append_first_entry(1), &storage);
        write_first_entry(&mut storage, 2, 2);
        outbox.persisted(WriteId(2), &storage);
        assert!(sent.0.lock().expect("no panic before").is_empty());
        assert_eq!((outbox.held(), outbox.dropped.get()), (0, 1));
    }

    #[test]
    fn a_disk_that_stands_still_does_not_have_messages_pile_up() {
        let disk = MemoryDisk::new(Configuration::of([NodeId(1), NodeId(2)]));
        disk.stall();
        let (mut storage, sent) = (disk.open(), Arc::new(Sent::default()));
        let mut outbox = outbox(&sent, (2, 16));
        write_first_entry(&mut storage, 1, 1);
        for sent in 0..5 {
            let mut reply = append_first_entry(1);
            reply.message.stamp.sent = Some(Instant(sent));
            post(&mut outbox, reply, &storage);
        }
        assert_eq!((outbox.held(), outbox.dropped.get()), (2, 3));
        outbox.persisted(WriteId(1), &storage);
        post(&mut outbox, append_first_entry(1), &storage);
        assert_eq!(sent.0.lock().expect("no panic before").len(), 3, "there is room again");
    }

    #[test]
    fn bytes_of_messages_that_wait_are_counted_and_one_waits_however_long_it_is() {
        let disk = MemoryDisk::new(Configuration::of([NodeId(1), NodeId(2)]));
        disk.stall();
        let (mut storage, sent) = (disk.open(), Arc::new(Sent::default()));
        let mut outbox = outbox(&sent, (10, 7));
        write_first_entry(&mut storage, 1, 1);
        let mut other = append_first_entry(1);
        other.message.stamp.sent = Some(Instant(1));
        let mut reply = other.clone();
        reply.message.body = Body::PreVote { last: EntryId::ZERO, round: Instant(1) };
        for outgoing in [append_first_entry(1), other, reply] {
            post(&mut outbox, outgoing, &storage);
        }
        assert_eq!(
            (outbox.held(), outbox.dropped.get()),
            (2, 1),
            "8 bytes wait, and what has none"
        );
    }
}
