//! The laws can fail: storages with one flaw each, and the law that sees it.

use std::convert::Infallible;
use std::future::pending;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use quorate::memory::MemoryStorage;
use quorate::storage::conformance::{CrashingDisk, Law};
use quorate::{Lookup, MachineState, MemoryDisk, Progress, Record, Storage, StorageError, Stretch};
use quorate_spec::durable::Write;
use quorate_spec::{Durable, EntryId, Persist, WriteId};
use tokio::sync::{mpsc, watch};
use tokio::time::timeout;

use crate::copies::configuration;

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Flaw {
    None,
    /// A write is reported when it is submitted.
    ReportsEarly,
    /// The latest report is sometimes of an earlier write.
    ReportsGoBack,
    /// A write is reported that failed.
    ReportsAFailedWrite,
    /// Two writes change places.
    LosesOrder,
    /// Every fourth write is not written.
    LosesAWrite,
    /// Entries go when others take their place, and not before.
    ForgetsTruncation,
    /// Term and vote are not written where entries are.
    ForgetsTheVote,
    /// States of the machine are in memory only.
    ForgetsTheState,
    /// The leader's snapshot leaves the old state where it was.
    ForgetsTheInstalledState,
    /// Whatever has the index is given out.
    ReadsByIndex,
    /// What is not durable is not found.
    ReadsTheDurable,
    /// What was truncated is still found.
    ReadsTheTruncated,
    /// What is not durable has to be fetched.
    FetchesTheUnwritten,
    /// Whatever had the index first is fetched.
    FetchesByIndex,
    /// A stretch goes on where an entry was left out.
    FetchesWithAGap,
    /// The newest state is fetched, whichever was asked for.
    FetchesTheNewestState,
    /// What comes is given the name that was asked for.
    FetchesUnderAnyName,
    /// One record too many is fetched.
    FetchesTooMany,
    /// Bytes are not counted.
    FetchesTooMuch,
    /// An entry that is longer than what was asked for is not fetched.
    FetchesNothingLong,
    /// A fetch does not end.
    FetchesForEver,
    /// A fetch ends with the next write.
    FetchesBehindWrites,
    /// The storage is not closed while there was a fetch that nobody waits for.
    WaitsForFetches,
    /// The last write waits for the next.
    LagsBehind,
    /// What a crash took is written by the next opening.
    WritesLate,
}

type Submitted = (Persist, Vec<Record>);

struct BrokenDisk {
    disk: MemoryDisk,
    flaw: Flaw,
    /// What was submitted since the disk was held.
    unwritten: Arc<Mutex<Vec<Submitted>>>,
    held: bool,
}

struct Broken {
    inner: MemoryStorage,
    disk: MemoryDisk,
    flaw: Flaw,
    own: watch::Sender<Progress>,
    waiting: Option<Submitted>,
    every: Vec<Record>,
    states: Vec<MachineState>,
    unwritten: Arc<Mutex<Vec<Submitted>>>,
    /// Closes when nobody fetches any more.
    fetched: mpsc::Receiver<Infallible>,
    fetching: mpsc::Sender<Infallible>,
}

impl BrokenDisk {
    fn new(flaw: Flaw) -> BrokenDisk {
        let disk = MemoryDisk::new(configuration());
        BrokenDisk { disk, flaw, unwritten: Arc::default(), held: false }
    }
}

impl CrashingDisk for BrokenDisk {
    type Storage = Broken;

    fn open(&mut self) -> Broken {
        let mut inner = self.disk.open();
        let late = std::mem::take(&mut *self.unwritten.lock().expect("no panic before"));
        if self.flaw == Flaw::WritesLate && self.held {
            for (persist, records) in late {
                inner.submit(persist, records);
            }
        }
        self.held = false;
        let (fetching, fetched) = mpsc::channel(1);
        Broken {
            fetched,
            fetching,
            inner,
            disk: self.disk.clone(),
            flaw: self.flaw,
            own: watch::channel(Progress::default()).0,
            waiting: None,
            every: Vec::new(),
            states: Vec::new(),
            unwritten: Arc::clone(&self.unwritten),
        }
    }

    fn crash(&mut self, running: Broken) {
        self.disk.crash();
        drop(running);
    }

    fn hold(&mut self) -> bool {
        self.unwritten.lock().expect("no panic before").clear();
        self.held = true;
        self.disk.stall();
        true
    }

    fn release(&mut self) {
        self.disk.resume();
    }

    fn fail(&mut self) -> bool {
        self.disk.fail_next_write();
        true
    }
}

impl Broken {
    fn write(&mut self, persist: Persist, records: Vec<Record>) {
        self.inner.submit(persist, records);
    }

    fn report(&mut self, id: u64) {
        self.own.send_modify(|progress| progress.persisted = WriteId(id));
    }
}

impl Storage for Broken {
    fn recovered(&self) -> Durable {
        self.inner.recovered()
    }

    fn recovered_state(&mut self) -> Option<MachineState> {
        self.inner.recovered_state()
    }

    fn progress(&self) -> watch::Receiver<Progress> {
        match self.flaw {
            Flaw::ReportsEarly | Flaw::ReportsGoBack => self.own.subscribe(),
            Flaw::ReportsAFailedWrite => {
                let (own, mut inner) = (self.own.clone(), self.inner.progress());
                tokio::spawn(async move {
                    while inner.changed().await.is_ok() {
                        let mut progress = inner.borrow_and_update().clone();
                        progress.persisted.0 += u64::from(progress.failed.is_some());
                        own.send_replace(progress);
                    }
                });
                self.own.subscribe()
            }
            _ => self.inner.progress(),
        }
    }

    fn submit(&mut self, mut persist: Persist, records: Vec<Record>) {
        self.every.extend(records.iter().cloned());
        let submitted = (persist.clone(), records.clone());
        self.unwritten.lock().expect("no panic before").push(submitted);
        let id = persist.id.0;
        match self.flaw {
            Flaw::ReportsEarly => self.report(id),
            Flaw::ReportsGoBack => self.report(if id.is_multiple_of(3) { id - 2 } else { id }),
            Flaw::LosesAWrite if id.is_multiple_of(4) => {
                return self.write(Persist { write: Write::default(), ..persist }, Vec::new());
            }
            Flaw::ForgetsTruncation if records.is_empty() => persist.write.log = None,
            Flaw::ForgetsTheVote if persist.write.log.is_some() => persist.write.hard_state = None,
            Flaw::LagsBehind => {
                let before = self.waiting.replace((persist, records));
                return before
                    .into_iter()
                    .for_each(|(persist, records)| self.write(persist, records));
            }
            Flaw::LosesOrder => match self.waiting.take() {
                // A later vote before earlier entries, under each other's numbers.
                Some((mut before, earlier)) => {
                    std::mem::swap(&mut before.id, &mut persist.id);
                    self.write(persist, records);
                    return self.write(before, earlier);
                }
                None => {
                    self.waiting = Some((persist, records));
                    return;
                }
            },
            _ => {}
        }
        self.write(persist, records);
    }

    fn keep(&mut self, state: MachineState) {
        self.states.push(state.clone());
        match self.flaw {
            Flaw::ForgetsTheState => {}
            Flaw::ForgetsTheInstalledState if !self.inner.recovered().log.contains(state.last) => {}
            _ => self.inner.keep(state),
        }
    }

    fn state(&self, last: EntryId) -> Lookup<MachineState> {
        let here = self.states.iter().find(|state| state.last == last).cloned();
        here.map_or_else(|| self.inner.state(last), Lookup::Here)
    }

    fn read(&self, id: EntryId) -> Lookup<Record> {
        let latest = |same: fn(EntryId, EntryId) -> bool| {
            self.every.iter().rev().find(|record| same(record.id, id)).cloned()
        };
        let found = self.inner.read(id);
        let is_durable = |record: &Record| self.disk.records().contains(record);
        match (self.flaw, &found) {
            (Flaw::ReadsByIndex, _) => {
                latest(|found, id| found.index == id.index).map_or(found, Lookup::Here)
            }
            (Flaw::ReadsTheTruncated, _) => {
                latest(|found, id| found == id).map_or(found, Lookup::Here)
            }
            (Flaw::ReadsTheDurable, Lookup::Here(record)) if !is_durable(record) => Lookup::Gone,
            (Flaw::FetchesTheUnwritten, Lookup::Here(_)) => Lookup::Away,
            _ => found,
        }
    }

    fn fetch(
        &self,
        stretch: Stretch,
    ) -> impl Future<Output = Result<Vec<Record>, StorageError>> + Send + 'static {
        let (flaw, asked) = (self.flaw, stretch);
        let wider = match flaw {
            Flaw::FetchesTooMany => Stretch { entries: asked.entries + 1, ..asked },
            Flaw::FetchesTooMuch => Stretch { bytes: usize::MAX, ..asked },
            _ => asked,
        };
        let (fetch, every, mut progress) =
            (self.inner.fetch(wider), self.every.clone(), self.inner.progress());
        let going_on = (flaw == Flaw::WaitsForFetches).then(|| self.fetching.clone());
        async move {
            let first = every.iter().find(|record| record.id.index == asked.first.index);
            match flaw {
                Flaw::FetchesByIndex => return Ok(first.cloned().into_iter().collect()),
                Flaw::FetchesForEver => over(pending()).await,
                Flaw::FetchesBehindWrites => {
                    progress.mark_unchanged();
                    over(progress.changed()).await.expect("there is a writer");
                }
                _ => {}
            }
            if let Some(going_on) = going_on {
                // Nobody tells it that it is over.
                tokio::spawn(async move {
                    pending::<()>().await;
                    drop(going_on);
                });
            }
            let mut records = fetch.await?;
            match flaw {
                Flaw::FetchesWithAGap if records.len() > 2 => drop(records.remove(1)),
                Flaw::FetchesNothingLong => records.retain(|it| it.len() <= asked.bytes),
                Flaw::FetchesUnderAnyName => {
                    // That of the index, whatever was there when it was read.
                    let latest = every.iter().find(|it| it.id.index == asked.first.index);
                    let content = latest.map(|it| it.content.clone());
                    content.into_iter().for_each(|content| records[0].content = content);
                }
                _ => {}
            }
            Ok(records)
        }
    }

    fn fetch_state(
        &self,
        last: EntryId,
    ) -> impl Future<Output = Result<MachineState, StorageError>> + Send + 'static {
        let newest = self.states.last().filter(|_| self.flaw == Flaw::FetchesTheNewestState);
        self.inner.fetch_state(newest.map_or(last, |state| state.last))
    }

    async fn close(self) {
        let Broken { inner, fetching, mut fetched, .. } = self;
        inner.close().await;
        drop(fetching);
        over(async { while fetched.recv().await.is_some() {} }).await;
    }
}

/// Waits for what may never come, in which case nobody waits for that in earnest: with nothing to do, a
/// clock that stands still goes on to the next moment that somebody waits for.
async fn over<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    for _ in 0..100 {
        if let Ok(done) = timeout(Duration::from_millis(1), future.as_mut()).await {
            return done;
        }
    }
    tokio::time::pause();
    future.await
}

async fn breaks(flaw: Flaw, law: Law) {
    let broken = law.check(&mut BrokenDisk::new(flaw)).await;
    let seen = broken.expect_err("the flaw is seen");
    assert_eq!(seen.law, law);
    println!("{flaw:?}: {seen}");
}

#[tokio::test]
async fn without_a_flaw_every_law_is_kept() {
    for law in Law::ALL {
        assert_eq!(law.check(&mut BrokenDisk::new(Flaw::None)).await, Ok(()));
    }
}

#[tokio::test]
async fn reports_that_come_early_are_seen() {
    breaks(Flaw::ReportsEarly, Law::ReportedSurvives).await;
}

#[tokio::test]
async fn reports_that_go_back_are_seen() {
    breaks(Flaw::ReportsGoBack, Law::ReportsAreCumulative).await;
}

#[tokio::test]
async fn a_report_of_a_failed_write_is_seen() {
    breaks(Flaw::ReportsAFailedWrite, Law::FailureIsFinal).await;
}

#[tokio::test]
async fn writes_out_of_order_are_seen() {
    breaks(Flaw::LosesOrder, Law::PrefixSurvives).await;
}

#[tokio::test]
async fn a_write_that_is_left_out_is_seen() {
    breaks(Flaw::LosesAWrite, Law::PrefixSurvives).await;
}

#[tokio::test]
async fn a_truncation_that_is_forgotten_is_seen() {
    breaks(Flaw::ForgetsTruncation, Law::PrefixSurvives).await;
}

#[tokio::test]
async fn a_vote_that_is_not_written_with_its_entries_is_seen() {
    breaks(Flaw::ForgetsTheVote, Law::PrefixSurvives).await;
}

#[tokio::test]
async fn a_state_that_is_not_written_is_seen() {
    breaks(Flaw::ForgetsTheState, Law::StateFitsLog).await;
    breaks(Flaw::ForgetsTheInstalledState, Law::StateFitsLog).await;
}

#[tokio::test]
async fn reads_by_index_are_seen() {
    breaks(Flaw::ReadsByIndex, Law::ReadsGoByName).await;
}

#[tokio::test]
async fn reads_that_wait_for_the_disk_are_seen() {
    breaks(Flaw::ReadsTheDurable, Law::ReadsGoByName).await;
}

#[tokio::test]
async fn reads_of_what_is_gone_are_seen() {
    breaks(Flaw::ReadsTheTruncated, Law::ReadsGoByName).await;
}

#[tokio::test]
async fn fetches_of_what_is_not_durable_are_seen() {
    breaks(Flaw::FetchesTheUnwritten, Law::ReadsGoByName).await;
}

#[tokio::test]
async fn fetches_of_something_else_are_seen() {
    breaks(Flaw::FetchesByIndex, Law::FetchesGoByName).await;
    breaks(Flaw::FetchesWithAGap, Law::FetchesGoByName).await;
    breaks(Flaw::FetchesUnderAnyName, Law::FetchesGoByName).await;
    breaks(Flaw::FetchesTheNewestState, Law::FetchesGoByName).await;
}

#[tokio::test]
async fn fetches_of_too_much_or_of_nothing_are_seen() {
    breaks(Flaw::FetchesTooMany, Law::FetchesAreBounded).await;
    breaks(Flaw::FetchesTooMuch, Law::FetchesAreBounded).await;
    breaks(Flaw::FetchesNothingLong, Law::FetchesAreBounded).await;
}

#[tokio::test]
async fn fetches_that_do_not_end_are_seen() {
    breaks(Flaw::FetchesForEver, Law::FetchesEnd).await;
    tokio::time::resume();
    breaks(Flaw::FetchesBehindWrites, Law::FetchesEnd).await;
    tokio::time::resume();
    breaks(Flaw::WaitsForFetches, Law::FetchesEnd).await;
}

#[tokio::test]
async fn a_close_that_forgets_is_seen() {
    breaks(Flaw::LagsBehind, Law::CloseFinishes).await;
}

#[tokio::test]
async fn writes_of_an_earlier_opening_are_seen() {
    breaks(Flaw::WritesLate, Law::EarlierOpeningIsSilent).await;
}
