//! The last entries of the log, in memory: what peers and the machine ask for almost always, and
//! what is not durable yet.

use std::collections::VecDeque;

use quorate_spec::durable::SnapshotWrite;
use quorate_spec::{Index, Persist, WriteId};

use crate::record::Record;
use crate::state::let_go;

/// What a record takes beside its bytes, roughly.
const OVERHEAD: usize = 64;

/// The end of the log, without a gap. What is not durable stays, whatever it takes.
#[derive(Debug)]
pub(super) struct Recent {
    records: VecDeque<(WriteId, Record)>,
    bytes: usize,
    limit: usize,
    /// Nobody asks for these any more. They go a few at a time: a snapshot covers many.
    covered: Index,
}

/// Covered records that go with a write.
const GONE_PER_WRITE: usize = 1024;

impl Recent {
    pub(super) fn new(limit: usize) -> Recent {
        Recent { records: VecDeque::new(), bytes: 0, limit, covered: Index::ZERO }
    }

    /// Takes in the record after the last one, which was found when the directory was opened.
    pub(super) fn recovered(&mut self, record: Record) {
        self.bytes += record.len() + OVERHEAD;
        self.records.push_back((WriteId::NONE, record));
        self.shrink(WriteId::NONE);
    }

    /// Follows a write. Every write up to `persisted` is durable.
    pub(super) fn write(&mut self, persist: &Persist, records: &[Record], persisted: WriteId) {
        match &persist.write.snapshot {
            Some(SnapshotWrite::Compact(snapshot)) => self.covered = snapshot.last.index,
            Some(SnapshotWrite::Install(_)) => {
                let gone = std::mem::take(&mut self.records);
                self.bytes = 0;
                if gone.len() > GONE_PER_WRITE {
                    let_go(gone);
                }
            }
            None => {}
        }
        let (mut count, covered) = (0, self.covered);
        self.drop_first_while(|_, record| {
            count += 1;
            count <= GONE_PER_WRITE && record.id.index <= covered
        });
        if let Some(log) = &persist.write.log {
            while self.records.back().is_some_and(|(_, last)| last.id.index > log.keep) {
                let removed = self.records.pop_back();
                self.bytes -= removed.map_or(0, |(_, last)| last.len() + OVERHEAD);
            }
        }
        for record in records {
            self.bytes += record.len() + OVERHEAD;
            self.records.push_back((persist.id, record.clone()));
        }
        self.shrink(persisted);
    }

    /// Lets go of the first ones that are too many. Every write up to `persisted` is durable.
    fn shrink(&mut self, persisted: WriteId) {
        let mut excess = self.bytes.saturating_sub(self.limit);
        self.drop_first_while(|id, record| {
            let goes = excess > 0 && id <= persisted;
            excess = excess.saturating_sub(record.len() + OVERHEAD);
            goes
        });
    }

    /// The record at this index, if it is here. One that a snapshot covers may be.
    pub(super) fn at(&self, index: Index) -> Option<&Record> {
        let (_, first) = self.records.front()?;
        let position = index.0.checked_sub(first.id.index.0)?;
        self.records.get(usize::try_from(position).ok()?).map(|(_, record)| record)
    }

    fn drop_first_while(&mut self, mut goes: impl FnMut(WriteId, &Record) -> bool) {
        while self.records.front().is_some_and(|(id, first)| goes(*id, first)) {
            let removed = self.records.pop_front();
            self.bytes -= removed.map_or(0, |(_, first)| first.len() + OVERHEAD);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use quorate_spec::durable::{LogWrite, Write};
    use quorate_spec::{Configuration, Entries, EntryId, Snapshot, Term};

    use super::*;
    use crate::record::Content;

    fn append(recent: &mut Recent, id: u64, keep: u64, count: u64, persisted: u64) {
        let entries = Entries::of_term(Index(keep), Term(id), count);
        let record = |id| Record { id, content: Content::Command(Arc::from([0; 36].as_slice())) };
        let records: Vec<Record> = entries.ids(Index(keep)).map(record).collect();
        let log = Some(LogWrite { keep: Index(keep), entries });
        let persist = Persist { id: WriteId(id), write: Write { log, ..Write::default() } };
        recent.write(&persist, &records, WriteId(persisted));
    }

    fn held(recent: &Recent) -> Vec<(u64, u64)> {
        let held = (0..20).filter_map(|index| recent.at(Index(index)));
        held.map(|record| (record.id.term.0, record.id.index.0)).collect()
    }

    #[test]
    fn the_oldest_go_and_what_is_not_durable_stays() {
        let mut recent = Recent::new(250);
        append(&mut recent, 1, 0, 3, 0);
        append(&mut recent, 2, 3, 2, 0);
        assert_eq!(held(&recent), [(1, 1), (1, 2), (1, 3), (2, 4), (2, 5)]);
        append(&mut recent, 3, 5, 1, 1);
        assert_eq!(held(&recent), [(2, 4), (2, 5), (3, 6)]);
        append(&mut recent, 4, 6, 1, 3);
        assert_eq!(held(&recent), [(3, 6), (4, 7)]);
        assert_eq!(recent.bytes, 200);
    }

    #[test]
    fn what_is_overwritten_or_covered_goes() {
        let mut recent = Recent::new(10_000);
        append(&mut recent, 1, 0, 5, 0);
        append(&mut recent, 2, 3, 1, 0);
        assert_eq!(held(&recent), [(1, 1), (1, 2), (1, 3), (2, 4)]);
        let last = EntryId { term: Term(1), index: Index(2) };
        let snapshot = Snapshot::new(last, Configuration::default());
        let write = |snapshot| Write { snapshot: Some(snapshot), ..Write::default() };
        let compact = write(SnapshotWrite::Compact(snapshot.clone()));
        recent.write(&Persist { id: WriteId(3), write: compact }, &[], WriteId(0));
        assert_eq!(held(&recent), [(1, 3), (2, 4)]);
        let install = write(SnapshotWrite::Install(snapshot));
        recent.write(&Persist { id: WriteId(4), write: install }, &[], WriteId(0));
        assert_eq!((held(&recent), recent.bytes), (vec![], 0));
    }
}
