//! What leaves a node and what arrives.

use quorate_spec::{Body, Envelope, NodeId};

use crate::record::Record;
use crate::state::StateBytes;
use crate::traffic::Traffic;

/// A message of the protocol with the contents of the entries, or the state, that it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The message.
    pub envelope: Envelope,
    /// The contents of its entries, in order; empty for anything but an AppendEntries.
    pub records: Vec<Record>,
    /// The state that an InstallSnapshot names; none for anything else.
    pub state: Option<StateBytes>,
}

impl Packet {
    /// Whether the contents belong to exactly the entries that the message names. One that fails
    /// this is dropped, as if the network had lost it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let body = &self.envelope.message.body;
        let found = self.records.iter().map(|record| record.id);
        // A message may name any number of entries: no more are looked at than there are contents.
        let has_records = match body {
            Body::AppendEntries { prev, entries, .. } => entries.ids(prev.index).eq(found),
            _ => self.records.is_empty(),
        };
        has_records && self.state.is_some() == matches!(body, Body::InstallSnapshot { .. })
    }
}

/// The way to the other nodes.
///
/// The packets from one node to another arrive in the order in which they were sent, or not at all;
/// none arrives twice, changed, or elsewhere. Those that carry a state may come later than others:
/// they are long, and nothing should wait behind them.
/// [`conformance`](crate::net::conformance) checks all of that for a transport of your own.
pub trait Transport: Send + Sync + 'static {
    /// Sends the packet to `packet.envelope.to`, or drops it. It never waits: the protocol repeats
    /// what is lost, and limits what is under way to a peer (`Params::max_in_flight`).
    fn send(&self, packet: Packet);

    /// Whether there is a way to this node, an address or a channel. A change of the members that
    /// adds one without it is refused: nobody could bring it up to date.
    fn knows(&self, id: NodeId) -> bool;

    /// How many bytes of states have left for this node so far. A snapshot for which this number
    /// changes is on its way, however slowly; one for which it stands still is given up after a while,
    /// and sent again. A transport that does not know says 0: then each has the same time to arrive.
    fn moved(&self, to: NodeId) -> u64 {
        let _ = to;
        0
    }

    /// What is on its way at this moment, for the metrics. A transport that does not know says nothing.
    fn traffic(&self) -> Traffic {
        Traffic::default()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_spec::{Entries, EntryId, Index, Message, Term};

    use super::*;
    use crate::record::Content;

    fn record(term: u64, index: u64) -> Record {
        let id = EntryId { term: Term(term), index: Index(index) };
        Record { id, content: Content::Command(Arc::from([1].as_slice())) }
    }

    fn append(records: Vec<Record>) -> Packet {
        let prev = EntryId { term: Term(1), index: Index(3) };
        let entries = Entries::of_term(prev.index, Term(2), 2);
        let body = Body::AppendEntries { prev, entries, leader_commit: Index(3) };
        let message = Message::new(Term(2), body);
        Packet {
            envelope: Envelope { from: NodeId(1), to: NodeId(2), message },
            records,
            state: None,
        }
    }

    #[test]
    fn contents_of_other_entries_make_a_packet_incomplete() {
        assert!(append(vec![record(2, 4), record(2, 5)]).is_complete());
        assert!(!append(vec![record(2, 4)]).is_complete());
        assert!(!append(vec![record(1, 4), record(2, 5)]).is_complete());
        assert!(!append(vec![record(2, 4), record(2, 5), record(2, 6)]).is_complete());
    }

    #[test]
    fn a_message_that_names_more_entries_than_there_can_be_is_seen_through_at_once() {
        let mut packet = append(vec![record(2, 4)]);
        if let Body::AppendEntries { prev, entries, .. } = &mut packet.envelope.message.body {
            *entries = Entries::of_term(prev.index, Term(2), u64::MAX);
        }
        assert!(!packet.is_complete());
    }
}
