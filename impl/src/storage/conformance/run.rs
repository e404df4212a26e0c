//! A storage that is put through a script, and what it shows held against that.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_spec::{EntryId, Index, Log, Term, WriteId};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::record::Record;
use crate::storage::conformance::script::{Action, Contents, Script, Step};
use crate::storage::conformance::{CrashingDisk, record};
use crate::storage::{Lookup, Progress, Storage, StorageError, Stretch};

/// How long a write or a fetch may take before it counts as lost.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// How long a report is waited for that should not come.
const GRACE: Duration = Duration::from_millis(30);

/// A stretch of a few entries, from whichever on.
const FEW: Stretch = Stretch { first: EntryId::ZERO, entries: 4, bytes: 900 };

pub(super) type Checked = Result<(), String>;

/// A fetch that is under way.
pub(super) type Fetch = JoinHandle<Result<Vec<Record>, StorageError>>;

/// A storage, and the script that it was given.
pub(super) struct Run<S> {
    pub(super) storage: S,
    pub(super) script: Script,
    pub(super) progress: watch::Receiver<Progress>,
    seed: u64,
}

impl<S: Storage> Run<S> {
    /// Opens the disk, whatever is on it.
    pub(super) async fn start(
        disk: &mut impl CrashingDisk<Storage = S>,
        seed: u64,
    ) -> Result<Run<S>, String> {
        let mut storage = disk.open();
        let durable = storage.recovered();
        let mut records = BTreeMap::new();
        for id in durable.log.ids() {
            records.extend(found(&storage, id).await?.map(|record| (id.index, record)));
        }
        let states = storage.recovered_state().map(|state| (state.last.index, state));
        let contents = Contents { durable, records, states: states.into_iter().collect() };
        let script = Script::from(contents, WriteId::NONE, seed);
        Ok(Run { progress: storage.progress(), storage, script, seed })
    }

    pub(super) fn perform(&mut self, action: &Action) {
        for step in self.script.perform(action) {
            match step {
                Step::Submit(persist, records) => self.storage.submit(*persist, records),
                Step::Keep(state) => self.storage.keep(state),
            }
        }
    }

    /// Waits until everything is reported.
    pub(super) async fn all_reported(&mut self) -> Result<WriteId, String> {
        let last = self.script.last();
        let reported = self.progress.wait_for(|it| it.persisted >= last || it.failed.is_some());
        match timeout(PATIENCE, reported).await {
            Ok(Ok(progress)) => match &progress.failed {
                None => Ok(progress.persisted),
                Some(error) => Err(format!("it fails by itself: {error}")),
            },
            Ok(Err(_)) => Err(format!("it has ended without a report on write {last}")),
            Err(_) => Err(format!("it does not report write {last}")),
        }
    }

    /// What it has reported when a report had time to come that perhaps should not.
    pub(super) async fn late_report(&mut self) -> WriteId {
        while let Ok(Ok(())) = timeout(GRACE, self.progress.changed()).await {}
        self.progress.borrow().persisted
    }

    /// The power goes; then the disk has to hold what was reported, and the state after some write.
    pub(super) async fn crash(
        self,
        disk: &mut impl CrashingDisk<Storage = S>,
        reported: WriteId,
    ) -> Result<Run<S>, String> {
        let Run { storage, script, .. } = self;
        disk.crash(storage);
        disk.release();
        Run::reopen(disk, &script, reported).await
    }

    pub(super) async fn reopen(
        disk: &mut impl CrashingDisk<Storage = S>,
        script: &Script,
        reported: WriteId,
    ) -> Result<Run<S>, String> {
        let mut run = Run::start(disk, 0).await?;
        let found = run.storage.recovered();
        let after = script.possible(reported).find(|(_, contents)| contents.durable == found);
        let Some((_, expected)) = after else {
            let earlier = script.possible(WriteId::NONE).find(|(_, it)| it.durable == found);
            return Err(match earlier {
                Some((id, _)) => format!("write {reported} was reported, and it recovers {id}"),
                None => format!("it recovers {found:?}, which was the state after no write"),
            });
        };
        run.shows(expected, false).await?;
        let base = found.log.base();
        let states: BTreeMap<_, _> =
            expected.states.iter().filter(|(_, it)| it.last == base).map(clone).collect();
        if base.index > Index::ZERO && (states.is_empty() || run.script.contents().states != states)
        {
            return Err(format!(
                "the state after {base:?}, with which its log begins, is not there"
            ));
        }
        run.seed = run.seed.wrapping_add(1);
        run.script = Script::from(Contents { states, ..expected.clone() }, WriteId::NONE, run.seed);
        Ok(run)
    }

    /// Whether every record is found under its name, `at_once` or not, and no other one at its index.
    pub(super) async fn shows(&self, contents: &Contents, at_once: bool) -> Checked {
        // Of contents that are past only what is still in the log is asked for.
        let log = &self.script.contents().durable.log;
        for (_, record) in contents.records.iter().filter(|(_, it)| is_in(log, it.id)) {
            if at_once && self.storage.read(record.id) == Lookup::Away {
                return Err(format!("{:?} is not durable, and has to be fetched", record.id));
            }
            let found = found(&self.storage, record.id).await?;
            if found.as_ref() != Some(record) {
                return Err(format!("{:?} was asked for, and it found {found:?}", record.id));
            }
            let other = EntryId { term: Term(record.id.term.0 + 1), ..record.id };
            let found = self.storage.read(other);
            if found != Lookup::Gone {
                return Err(format!("{other:?} was asked for, and it says {found:?}"));
            }
        }
        Ok(())
    }

    /// Whether what is not in the log any more is not found.
    pub(super) fn shows_no_other_than(&self, before: &Contents) -> Checked {
        let log = &self.script.contents().durable.log;
        let mut gone = before.records.values().filter(|record| !is_in(log, record.id));
        match gone.find(|record| self.storage.read(record.id) != Lookup::Gone) {
            Some(record) => Err(format!("{:?} is not in the log, and is found", record.id)),
            None => Ok(()),
        }
    }

    /// What a fetch gives; it has to give something.
    pub(super) async fn fetch(&self, stretch: Stretch) -> Result<Vec<Record>, String> {
        match timeout(PATIENCE, self.storage.fetch(stretch)).await {
            Ok(fetched) => fetched.map_err(|error| format!("{stretch:?} fails: {error}")),
            Err(_) => Err(format!("the fetch of {stretch:?} does not end")),
        }
    }

    /// Whether every stretch of a few of the log's entries, all durable, is fetched as it is, and the
    /// state that the log begins with.
    pub(super) async fn fetches_everything(&self) -> Checked {
        let Contents { durable, records, states } = self.script.contents();
        for first in durable.log.ids() {
            let expected = records.range(first.index..).map(|(_, record)| record);
            let fetched = self.fetch(Stretch { first, ..FEW }).await?;
            if fetched.is_empty() || !fetched.iter().eq(expected.take(fetched.len())) {
                let names: Vec<EntryId> = fetched.iter().map(|record| record.id).collect();
                return Err(format!("from {first:?} on it fetches {names:?}, or other contents"));
            }
        }
        let base = durable.log.base();
        let Some(expected) = states.get(&base.index) else { return Ok(()) };
        match timeout(PATIENCE, self.storage.fetch_state(base)).await {
            Ok(Ok(state)) if state == *expected => Ok(()),
            other => Err(format!("the state after {base:?} was to be fetched, and came {other:?}")),
        }
    }

    /// Begins to fetch from every entry on.
    pub(super) fn begin_fetches(&self) -> Vec<(EntryId, Fetch)> {
        let firsts = self.script.contents().durable.log.ids();
        let fetch = |first| tokio::spawn(self.storage.fetch(Stretch { first, ..FEW }));
        firsts.map(|first| (first, fetch(first))).collect()
    }

    /// Whether every record that comes is one that the log had when it was asked for, or has now; and
    /// those that it still has do come.
    pub(super) async fn fetches_no_other_than(
        &self,
        before: &Contents,
        fetches: Vec<(EntryId, Fetch)>,
    ) -> Checked {
        let now = self.script.contents();
        let is_known = |record: &Record| {
            let named = [before, now].into_iter().filter_map(|it| it.records.get(&record.id.index));
            named.into_iter().any(|known| known == record)
        };
        for (first, fetch) in fetches {
            let fetched = match timeout(PATIENCE, fetch).await {
                Ok(Ok(fetched)) => fetched,
                Ok(Err(error)) => return Err(format!("a fetch ended by itself: {error}")),
                Err(_) => return Err(format!("the fetch from {first:?} on does not end")),
            };
            let records = fetched.as_deref().unwrap_or_default();
            if let Some(record) = records.iter().find(|record| !is_known(record)) {
                return Err(format!("{:?} came, which the log did not have so", record.id));
            }
            let comes = records.first().is_some_and(|record| record.id == first);
            if is_in(&now.durable.log, first) && !comes {
                return Err(format!("{first:?} stayed in the log, and came as {fetched:?}"));
            }
        }
        Ok(())
    }
}

pub(super) fn is_in(log: &Log, id: EntryId) -> bool {
    id.index > log.base().index && log.contains(id)
}

fn clone<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}

/// The record of this entry, fetched if it is away.
async fn found(storage: &impl Storage, id: EntryId) -> Result<Option<Record>, String> {
    match timeout(PATIENCE, record(storage, id)).await {
        Ok(found) => found.map_err(|error| format!("{id:?} was asked for: {error}")),
        Err(_) => Err(format!("the fetch of {id:?} does not end")),
    }
}
