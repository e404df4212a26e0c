//! The writer: one thread that makes writes durable, all that are queued at a time, with one sync.
//! When it writes, reports and ends is decided by [`quorate_sync::run`], which loom checks.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Instant;

use quorate_spec::durable::{SnapshotWrite, Write};
use quorate_spec::{Durable, EntryId, Index, Persist, Term, WriteId};
use quorate_sync::Taker;
use tokio::sync::watch;

use crate::disk::codec::{Codec, Head, Manifest};
use crate::disk::directory::Directory;
use crate::disk::engine::{Batch, Engine};
use crate::disk::mark::Mark;
use crate::disk::register::OnDisk;
use crate::disk::states::Shelf;
use crate::record::Record;
use crate::storage::{Progress, StorageError, Syncs};

/// What the writer is asked for.
#[derive(Debug)]
pub(super) enum Job {
    Write(Box<Persist>, Vec<Record>),
    /// A state is in its file, durably.
    Kept(Manifest),
    /// A state could not be written.
    Failed(StorageError),
    /// The writer is to panic.
    #[cfg(test)]
    Panic,
}

/// Bytes of commands in one group: more wait for the next, or their sync would take long.
const BYTES_PER_GROUP: usize = 4 << 20;

/// Superfluous entries that are removed with a group of writes, and while there is nothing to write.
const PURGED_PER_GROUP: usize = 256;
const PURGED_AT_REST: usize = 4096;

/// The writer: what it is asked for, and what it does that with.
pub(super) struct Writer {
    pub(super) jobs: Taker<Job>,
    pub(super) disk: Writing,
}

/// The writer's state. The order of the fields is that in which they are dropped: whoever sees that
/// `report` is gone may open the directory again.
pub(super) struct Writing {
    pub(super) engine: Engine,
    pub(super) mark: Mark,
    pub(super) shelf: Arc<Shelf>,
    pub(super) queue: Queue,
    pub(super) log: Written,
    pub(super) syncs: Syncs,
    /// Before the directory, which is somebody else's once it is unlocked.
    pub(super) _register: OnDisk,
    pub(super) _directory: Arc<Directory>,
    pub(super) report: Arc<watch::Sender<Progress>>,
}

/// What was asked for and not begun.
#[derive(Default)]
pub(super) struct Queue {
    writes: VecDeque<(Box<Persist>, Vec<Record>)>,
    kept: Vec<Manifest>,
}

/// What is on the disk.
pub(super) struct Written {
    pub(super) codec: Codec,
    pub(super) durable: Durable,
    /// The number of the last group.
    pub(super) group: u64,
    /// The states that are named there, and whose files are there.
    pub(super) states: BTreeMap<Index, EntryId>,
    /// States that are named there and that an earlier opening left unused: their files are gone.
    pub(super) unused: Vec<Index>,
    /// From here to the beginning of the log there may be entries that nobody needs.
    pub(super) purged: Option<Index>,
}

/// What a group reports.
#[derive(Clone, Copy, Default)]
pub(super) struct Done {
    persisted: WriteId,
    kept: Index,
}

impl Writer {
    /// Writes until the storage is closed and everything is written, until it is dropped, or until a
    /// write fails.
    pub(super) fn run(self) {
        let Writer { jobs, mut disk } = self;
        match quorate_sync::run(&jobs, &mut disk) {
            // Nothing is lost without it but the bound that it gives after a power loss.
            Ok(()) => drop(disk.mark.sync()),
            Err(error) => disk.report.send_modify(|progress| progress.failed = Some(error)),
        }
    }
}

impl quorate_sync::Disk for Writing {
    type Job = Job;
    type Group = Batch;
    type Done = Done;
    type Failure = StorageError;

    fn note(&mut self, job: Job) -> Result<(), StorageError> {
        match job {
            Job::Write(persist, records) => self.queue.writes.push_back((persist, records)),
            Job::Kept(manifest) => {
                self.shelf.written(manifest);
                self.queue.kept.push(manifest);
            }
            Job::Failed(error) => return Err(error),
            #[cfg(test)]
            Job::Panic => panic!("planted"),
        }
        Ok(())
    }

    fn group(&mut self) -> Option<(Batch, Done)> {
        let is_ready = self.queue.is_ready(&self.log.states);
        is_ready.then(|| self.log.next(&mut self.queue, &self.engine))
    }

    fn write(&mut self, batch: Batch, done: Done) -> Result<(), StorageError> {
        let failed = |reason: String| match done.persisted {
            WriteId::NONE => {
                let what = format!("the name of the state after entry {}", done.kept);
                StorageError::Disk { what, reason }
            }
            last => StorageError::Disk { what: format!("write {last}"), reason },
        };
        let begun = Instant::now();
        batch.commit().map_err(failed)?;
        self.syncs.count(begun.elapsed());
        self.mark.advance(self.log.group).map_err(|error| failed(error.to_string()))
    }

    fn report(&mut self, done: Done) {
        self.report.send_modify(|progress| {
            progress.persisted = progress.persisted.max(done.persisted);
            progress.kept = progress.kept.max(done.kept);
        });
        let base = self.log.durable.log.base().index;
        if self.log.forget_states_before(base) {
            self.shelf.remove_before(base);
        }
    }

    /// Removes superfluous entries.
    fn tidy(&mut self) -> Result<bool, StorageError> {
        if self.log.purged.is_none() {
            return Ok(false);
        }
        let mut batch = self.engine.batch();
        let purged = self.log.purge(&mut batch, &self.engine, PURGED_AT_REST);
        let failed =
            |reason| StorageError::Disk { what: "the purge of the log".to_owned(), reason };
        purged.and_then(|()| batch.commit()).map_err(failed)?;
        Ok(true)
    }
}

impl Queue {
    /// Whether something can be written now. A write with which the log begins anew waits for its
    /// state, and the writes behind it do: a crash must not find the one without the other (S5).
    fn is_ready(&self, states: &BTreeMap<Index, EntryId>) -> bool {
        !self.kept.is_empty() || self.is_write_ready(states)
    }

    fn is_write_ready(&self, states: &BTreeMap<Index, EntryId>) -> bool {
        let is_there = |last: EntryId| states.get(&last.index) == Some(&last);
        self.writes.front().is_some_and(|(persist, _)| {
            let begins = persist.write.snapshot.as_ref();
            begins.is_none_or(|begins| is_there(begins.snapshot().last))
        })
    }
}

impl Written {
    /// Takes what can be written now from the queue, and makes one batch of it.
    fn next(&mut self, queue: &mut Queue, engine: &Engine) -> (Batch, Done) {
        let (mut batch, mut done) = (engine.batch(), Done::default());
        let kept = std::mem::take(&mut queue.kept);
        for manifest in &kept {
            self.states.insert(manifest.last.index, manifest.last);
            done.kept = done.kept.max(manifest.last.index);
        }
        let (mut entries, mut bytes) = (Entries::new(), 0);
        while bytes < BYTES_PER_GROUP && queue.is_write_ready(&self.states) {
            let Some((persist, records)) = queue.writes.pop_front() else { break };
            bytes += records.iter().map(Record::len).sum::<usize>();
            self.apply(&persist.write, &records, &mut entries);
            done.persisted = persist.id;
        }
        let base = self.durable.log.base().index;
        for (index, value) in entries.split_off(&base.next()) {
            match value {
                Some(value) => batch.put_entry(index, value),
                None => batch.remove_entry(index),
            }
        }
        // What cannot be read now can be purged later.
        let _ = self.purge(&mut batch, engine, PURGED_PER_GROUP);
        self.states.range(..base).for_each(|(index, _)| batch.remove_state(*index));
        let kept_again = |unused: &Index| kept.iter().any(|it| it.last.index == *unused);
        let unused = self.unused.drain(..).filter(|unused| *unused > base && !kept_again(unused));
        unused.for_each(|unused| batch.remove_state(unused));
        for manifest in kept.iter().filter(|manifest| manifest.last.index >= base) {
            batch.put_state(manifest.last.index, self.codec.manifest(manifest));
        }
        self.group += 1;
        batch.head(self.codec.head(&self.head()));
        (batch, done)
    }

    fn head(&self) -> Head {
        let Durable { hard_state, log } = &self.durable;
        Head { group: self.group, hard_state: *hard_state, base: log.snapshot(), last: log.last() }
    }

    /// Follows a write, and notes what becomes of which entry: each at most once in a batch.
    fn apply(&mut self, write: &Write, records: &[Record], entries: &mut Entries) {
        let before = self.durable.log.last().index;
        let old_base = self.durable.log.base().index;
        self.durable.apply(write);
        let log = &self.durable.log;
        let keep = match (&write.snapshot, &write.log) {
            (_, Some(change)) => change.keep,
            (Some(SnapshotWrite::Install(_)), None) => log.base().index,
            (Some(SnapshotWrite::Compact(_)) | None, None) => before,
        };
        // What a truncation leaves beyond the end would be taken for a part of the log.
        let last = log.last().index.max(keep);
        entries.extend((last.0 + 1..=before.0).map(|index| (Index(index), None)));
        for record in records {
            let value = self.entry(record, write);
            entries.insert(record.id.index, Some(value));
        }
        if log.base().index > old_base {
            self.purged = Some(self.purged.unwrap_or(old_base));
        }
    }

    fn entry(&self, record: &Record, write: &Write) -> Vec<u8> {
        let index = record.id.index;
        let previous = self.durable.log.term_at(index.previous()).unwrap_or(Term(0));
        let changes = write.log.iter().flat_map(|log| &log.entries.configurations);
        let mut changes = changes.filter(|(at, _)| *at == index);
        self.codec.entry(record, previous, changes.next().map(|(_, it)| it))
    }

    /// Removes at most `limit` entries before the log.
    fn purge(&mut self, batch: &mut Batch, engine: &Engine, limit: usize) -> Result<(), String> {
        let (Some(from), base) = (self.purged, self.durable.log.base().index) else {
            return Ok(());
        };
        let mut next = None;
        for (count, entry) in engine.entries(from..=base).enumerate() {
            let (index, _) = entry?;
            if count == limit {
                next = Some(index);
                break;
            }
            batch.remove_entry(index);
        }
        self.purged = next;
        Ok(())
    }

    /// Forgets the states that came before the one with which the log begins; says whether there
    /// were any.
    fn forget_states_before(&mut self, base: Index) -> bool {
        let later = self.states.split_off(&base);
        !std::mem::replace(&mut self.states, later).is_empty()
    }
}

/// What becomes of which entry: a new value, or none.
type Entries = BTreeMap<Index, Option<Vec<u8>>>;

#[cfg(test)]
mod tests {
    use quorate_spec::{Configuration, Snapshot, Term};

    use super::*;

    fn id(term: u64, index: u64) -> EntryId {
        EntryId { term: Term(term), index: Index(index) }
    }

    fn install(last: EntryId) -> Write {
        let snapshot = Snapshot::new(last, Configuration::default());
        Write { snapshot: Some(SnapshotWrite::Install(snapshot)), ..Write::default() }
    }

    fn queue(writes: impl IntoIterator<Item = Write>) -> Queue {
        let numbered = writes.into_iter().zip(1..).map(|(write, id)| {
            let persist = Persist { id: WriteId(id), write };
            (Box::new(persist), Vec::new())
        });
        Queue { writes: numbered.collect(), ..Queue::default() }
    }

    #[test]
    fn a_write_waits_for_the_state_that_it_begins_the_log_with_and_for_no_other() {
        let queue = queue([install(id(2, 9)), Write::default()]);
        let mut states = BTreeMap::from([(Index(5), id(1, 5))]);
        assert!(!queue.is_ready(&states), "the state is not there");
        states.insert(Index(9), id(1, 9));
        assert!(!queue.is_ready(&states), "a state of another entry is there");
        states.insert(Index(9), id(2, 9));
        assert!(queue.is_ready(&states));
    }

    #[test]
    fn a_state_that_is_being_written_holds_up_no_entries() {
        let queue = queue([Write::default(), install(id(2, 9))]);
        assert!(queue.is_ready(&BTreeMap::new()));
    }
}
