//! What a directory held when it was opened: every record of the log is read and checked.
//!
//! The state is that after the last group of writes, or it is refused. The head says where the log
//! begins and ends; the entries between have to be there, each whole, under its own name, after the
//! entry after which it was written; and nothing may be there beyond. So whichever batch the engine
//! lost, it shows: a name stands for everything before it.

use quorate_spec::{Durable, Entries, EntryId, Index, Log};

use crate::disk::codec::{Codec, Head, Manifest, Stored};
use crate::disk::engine::{Engine, EngineError};

/// What was recovered.
#[derive(Debug)]
pub(super) struct Recovered {
    pub(super) durable: Durable,
    /// The number of the last group of writes.
    pub(super) group: u64,
    /// Every state that the log names.
    pub(super) states: Vec<Manifest>,
}

/// Recovers the log; none if there was none yet. An error says what is wrong.
pub(super) fn recover(engine: &Engine, codec: Codec) -> Result<Option<Recovered>, EngineError> {
    let Some(head) = engine.head()? else {
        return match engine.entries(Index::ZERO..=Index(u64::MAX)).next() {
            Some(_) => Err("it has entries, and no head of the log".to_owned()),
            None => Ok(None),
        };
    };
    let head = codec.read_head(&head).map_err(|error| format!("the head of the log: {error}"))?;
    let log = log(engine, codec, &head)?;
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

fn log(engine: &Engine, codec: Codec, head: &Head) -> Result<Log, EngineError> {
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
