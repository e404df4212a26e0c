//! What leaves a node and what arrives.

use quorate_spec::{Body, Envelope, NodeId};

use crate::record::{Payload, Record};

/// A message of the protocol with the contents of the entries, or the state, that it names.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Packet {
    /// The message.
    pub envelope: Envelope,
    /// The contents of its entries, in order; empty for anything but an AppendEntries.
    pub records: Vec<Record>,
    /// The state that an InstallSnapshot names; none for anything else.
    pub state: Option<Payload>,
}

impl Packet {
    /// Whether the contents belong to exactly the entries that the message names. One that fails
    /// this is dropped, as if the network had lost it.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        let body = &self.envelope.message.body;
        let named = match body {
            Body::AppendEntries { prev, entries, .. } => entries.ids(prev.index).collect(),
            _ => Vec::new(),
        };
        let installs = matches!(body, Body::InstallSnapshot { .. });
        named.iter().eq(self.records.iter().map(|record| &record.id))
            && self.state.is_some() == installs
    }
}

/// The way to the other nodes.
pub trait Transport: Send + Sync + 'static {
    /// Sends the packet to `packet.envelope.to`, or drops it. It never waits: the protocol repeats
    /// what is lost, and limits what is under way to a peer (`Params::max_in_flight`).
    fn send(&self, packet: Packet);

    /// Whether there is a way to this node, an address or a channel. A change of the members that
    /// adds one without it is refused: nobody could bring it up to date.
    fn knows(&self, id: NodeId) -> bool;
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
}
