//! What the protocol never sees: the bytes behind `(term, index)`.

use std::sync::Arc;

use quorate_spec::EntryId;
use quorate_spec::durable::LogWrite;

use crate::state::StateBytes;

/// The bytes of a command, shared by everyone who holds them.
pub type Payload = Arc<[u8]>;

/// A log entry with its content, under the name that the protocol knows it by.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Record {
    /// The entry's name. It is stored and sent with the content, so that no content is ever taken
    /// for that of another entry with the same index (claim EntryIdentity).
    pub id: EntryId,
    /// What the entry says.
    pub content: Content,
}

/// What a log entry says.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Content {
    /// The entry with which a leader begins its term (thesis §3.6.2): no machine sees it.
    NoOp,
    /// The entry with which the members change (thesis §4.1): its configuration is with the log, and
    /// no machine sees it.
    Configuration,
    /// A command for the state machine.
    Command(Payload),
}

impl Record {
    /// The length of its command in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.content {
            Content::NoOp | Content::Configuration => 0,
            Content::Command(payload) => payload.len(),
        }
    }

    /// Whether it carries no bytes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What a state machine was after the entry `last` was applied, under that entry's name: the bytes
/// behind a [`Snapshot`](quorate_spec::Snapshot) of the protocol.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct MachineState {
    /// The last entry that it covers.
    pub last: EntryId,
    /// The bytes that the machine made of itself.
    pub bytes: StateBytes,
}

/// Where the contents of the entries come from that a step writes.
#[derive(Debug)]
pub(crate) enum Source {
    /// From nobody: entries that the protocol makes by itself are no-ops and configurations.
    Protocol,
    /// From the clients whose proposals the step took, in order.
    Clients(Vec<Payload>),
    /// From the leader, with the message that named them.
    Message(Vec<Record>),
    /// From the leader: not entries, but the state that takes their place.
    Snapshot(StateBytes),
}

impl Source {
    /// The records of the entries that `write` appends; none if this is not where they come from.
    pub(crate) fn records(self, write: &LogWrite) -> Option<Vec<Record>> {
        let ids: Vec<EntryId> = write.entries.ids(write.keep).collect();
        let records: Vec<Record> = match self {
            Source::Protocol => {
                let changes = |id: &EntryId| {
                    write.entries.configurations.iter().any(|(at, _)| *at == id.index)
                };
                let content = |id: &EntryId| match changes(id) {
                    true => Content::Configuration,
                    false => Content::NoOp,
                };
                ids.iter().map(|id| Record { id: *id, content: content(id) }).collect()
            }
            Source::Clients(payloads) => ids
                .iter()
                .zip(payloads)
                .map(|(id, payload)| Record { id: *id, content: Content::Command(payload) })
                .collect(),
            Source::Message(records) => {
                records.into_iter().filter(|record| record.id.index > write.keep).collect()
            }
            Source::Snapshot(_) => Vec::new(),
        };
        records.iter().map(|record| record.id).eq(ids).then_some(records)
    }
}

#[cfg(test)]
mod tests {
    use quorate_spec::{Entries, Index, Term};

    use super::*;

    fn id(term: u64, index: u64) -> EntryId {
        EntryId { term: Term(term), index: Index(index) }
    }

    fn record(term: u64, index: u64) -> Record {
        Record { id: id(term, index), content: Content::Command(Arc::from([7].as_slice())) }
    }

    fn write(keep: u64, term: u64, count: u64) -> LogWrite {
        LogWrite { keep: Index(keep), entries: Entries::of_term(Index(keep), Term(term), count) }
    }

    #[test]
    fn a_message_gives_the_records_that_are_missing_here() {
        let message = Source::Message(vec![record(2, 4), record(2, 5), record(2, 6)]);
        assert_eq!(message.records(&write(4, 2, 2)), Some(vec![record(2, 5), record(2, 6)]));
    }

    #[test]
    fn a_record_of_another_term_is_not_taken_for_the_entry_with_its_index() {
        let message = Source::Message(vec![record(1, 5), record(2, 6)]);
        assert_eq!(message.records(&write(4, 2, 2)), None);
    }

    #[test]
    fn too_few_contents_are_no_contents() {
        assert_eq!(Source::Clients(vec![Arc::from([7].as_slice())]).records(&write(4, 2, 2)), None);
        assert_eq!(Source::Message(vec![record(2, 5)]).records(&write(4, 2, 2)), None);
    }

    #[test]
    fn entries_that_the_protocol_makes_are_no_ops() {
        let no_op = Record { id: id(3, 5), content: Content::NoOp };
        assert_eq!(Source::Protocol.records(&write(4, 3, 1)), Some(vec![no_op]));
    }
}
