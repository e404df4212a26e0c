//! What a directory held when it was opened: every record of the log is read and checked.
//!
//! The state is that after the last group of writes, or it is refused. The head says where the log
//! begins and ends; the entries between have to be there, each whole, under its own name, after the
//! entry after which it was written; and nothing may be there beyond. So whichever batch the engine
//! lost, it shows: a name stands for everything before it.

use quorate_spec::{Durable, Entries, EntryId, Index, Log};

use crate::disk::codec::{Codec, Head, Manifest, Stored};
use crate::disk::engine::{Engine, EngineError};
use crate::disk::recent::Recent;

/// What was recovered.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) durable: Durable,
    /// The number of the last group of writes.
    pub(super) group: u64,
    /// Every state that the log names.
    pub(super) states: Vec<Manifest>,
}

/// Recovers the log; none if there was none yet. Every record is read for that, and the last ones stay
/// in memory: a node that starts applies them next. An error says what is wrong.
pub(super) fn recover(
    engine: &Engine,
    codec: Codec,
    recent: &mut Recent,
) -> Result<Option<Recovered>, EngineError> {
    let Some(head) = engine.head()? else {
        return match engine.entries(Index::ZERO..=Index(u64::MAX)).next() {
            Some(_) => Err("it has entries, and no head of the log".to_owned()),
            None => Ok(None),
        };
    };
    let head = codec.read_head(&head).map_err(|error| format!("the head of the log: {error}"))?;
    let log = log(engine, codec, &head, recent)?;
    if head.hard_state.current_term < log.last().term {
        let (term, last) = (head.hard_state.current_term, log.last());
        return Err(format!("its term is {term}, and entry {} has term {}", last.index, last.term));
    }
    let states: Result<Vec<Manifest>, EngineError> = engine
        .states()
        .map(|value| {
            codec.read_manifest(&value?).map_err(|error| format!("the name of a state: {error}"))
        })
        .collect();
    let durable = Durable { hard_state: head.hard_state, log };
    Ok(Some(Recovered { durable, group: head.group, states: states? }))
}

fn log(
    engine: &Engine,
    codec: Codec,
    head: &Head,
    recent: &mut Recent,
) -> Result<Log, EngineError> {
    let mut log = Log::from_snapshot(head.base.clone());
    for entry in engine.entries(log.base().index.next()..=Index(u64::MAX)) {
        let (index, value) = entry.map_err(|error| {
            let next = log.last().index.next();
            format!("entry {next} or a later one cannot be read: {error}; {}", whole_up_to(&log))
        })?;
        let stored = codec.read_entry(&value);
        let stored =
            stored.map_err(|error| format!("entry {index}: {error}; {}", whole_up_to(&log)))?;
        follows(&log, head, index, &stored)
            .map_err(|what| format!("entry {index} {what}; {}", whole_up_to(&log)))?;
        let Stored { record, previous: _, configuration } = stored;
        let (before, term) = (log.last().index, record.id.term);
        log.append(&match configuration {
            Some(configuration) => Entries::of_configuration(before, term, configuration),
            None => Entries::of_term(before, term, 1),
        });
        recent.recovered(record);
    }
    if log.last() != head.last {
        let EntryId { term, index } = head.last;
        let what = format!("the log went up to entry {index} of term {term}");
        return Err(format!("{what}, and the rest is missing; {}", whole_up_to(&log)));
    }
    Ok(log)
}

/// Whether this entry, found at `index`, is the next one of the log.
fn follows(log: &Log, head: &Head, index: Index, stored: &Stored) -> Result<(), String> {
    let (before, id) = (log.last(), stored.record.id);
    if id.index != index {
        return Err(format!("is stored in its place, and calls itself {}", id.index));
    }
    if index != before.index.next() {
        return Err(format!("follows entry {}: what was between them is missing", before.index));
    }
    if stored.previous != before.term {
        let (was, is) = (stored.previous, before.term);
        return Err(format!(
            "was written after an entry of term {was}, and follows one of term {is}"
        ));
    }
    if id.term < before.term || index > head.last.index {
        return Err(format!("of term {} cannot be in this log", id.term));
    }
    match &stored.configuration {
        Some(configuration) if !configuration.is_well_formed() => {
            Err("names members that no leader could have named".to_owned())
        }
        _ => Ok(()),
    }
}

fn whole_up_to(log: &Log) -> String {
    let EntryId { term, index } = log.last();
    format!("the log is whole up to entry {index} of term {term}")
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_spec::{Configuration, NodeId, Term};

    use super::*;
    use crate::disk::engine::Batch;
    use crate::record::{Content, Record};

    const CODEC: Codec = Codec { seed: 7 };

    fn id(term: u64, index: u64) -> EntryId {
        EntryId { term: Term(term), index: Index(index) }
    }

    /// The value of entry `name`, written after an entry of term `previous`.
    fn entry(name: EntryId, previous: u64) -> Vec<u8> {
        let record = Record { id: name, content: Content::Command(Arc::from([1, 2, 3])) };
        CODEC.entry(&record, Term(previous), None)
    }

    fn head(term: u64, last: EntryId) -> Vec<u8> {
        let Durable { mut hard_state, log } = Durable::genesis(Configuration::of([NodeId(1)]));
        hard_state.current_term = Term(term);
        CODEC.head(&Head { group: 3, hard_state, base: log.snapshot(), last })
    }

    /// What is recovered of a whole log of three entries after this change.
    fn after(change: impl FnOnce(&mut Batch)) -> Result<EntryId, String> {
        let folder = tempfile::tempdir().expect("there is room");
        let engine = Engine::open(folder.path()).expect("it is new");
        let mut batch = engine.batch();
        batch.head(head(4, id(2, 3)));
        batch.put_entry(Index(1), entry(id(1, 1), 0));
        batch.put_entry(Index(2), entry(id(2, 2), 1));
        batch.put_entry(Index(3), entry(id(2, 3), 2));
        batch.commit().expect("there is room");
        let mut batch = engine.batch();
        change(&mut batch);
        batch.commit().expect("there is room");
        recover(&engine, CODEC, &mut Recent::new(0))
            .map(|it| it.expect("it has a head").durable.log.last())
    }

    fn is_refused(change: impl FnOnce(&mut Batch), said: &str) {
        let refused = after(change).expect_err("it is damaged");
        assert!(refused.contains(said), "{refused:?} instead of {said:?}");
    }

    #[test]
    fn a_whole_log_is_recovered() {
        assert_eq!(after(|_| ()), Ok(id(2, 3)));
    }

    #[test]
    fn a_log_that_is_not_the_one_that_was_written_is_refused_by_the_name_of_an_entry() {
        is_refused(|it| it.remove_entry(Index(2)), "entry 3 follows entry 1");
        is_refused(|it| it.remove_entry(Index(1)), "entry 2 follows entry 0");
        is_refused(|it| it.remove_entry(Index(3)), "the log went up to entry 3 of term 2");
        // As if a batch had been lost that replaced entry 2, or one that removed entry 4.
        is_refused(|it| it.put_entry(Index(2), entry(id(1, 2), 1)), "entry 3 was written after");
        is_refused(|it| it.put_entry(Index(4), entry(id(2, 4), 2)), "entry 4 of term 2 cannot be");
        is_refused(|it| it.put_entry(Index(3), entry(id(2, 2), 2)), "calls itself 2");
        is_refused(|it| it.put_entry(Index(3), entry(id(1, 3), 2)), "entry 3 of term 1 cannot be");
        is_refused(|it| it.head(head(4, id(3, 3))), "the log went up to entry 3 of term 3");
        is_refused(|it| it.head(head(1, id(2, 3))), "its term is 1, and entry 3 has term 2");
        let rotten = |it: &mut Batch| {
            let mut value = entry(id(2, 2), 1);
            value[20] ^= 1;
            it.put_entry(Index(2), value);
        };
        is_refused(rotten, "entry 2: its checksum does not fit; the log is whole up to entry 1");
    }

    #[test]
    fn entries_without_a_head_are_no_empty_log() {
        let folder = tempfile::tempdir().expect("there is room");
        let engine = Engine::open(folder.path()).expect("it is new");
        let recover = || recover(&engine, CODEC, &mut Recent::new(0));
        assert!(matches!(recover(), Ok(None)));
        let mut batch = engine.batch();
        batch.put_entry(Index(1), entry(id(1, 1), 0));
        batch.commit().expect("there is room");
        assert!(recover().is_err());
    }
}
