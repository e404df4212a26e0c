//! The laws, each with a run that finds out whether a storage keeps it.

use std::collections::BTreeMap;
use std::time::Duration;

use quorate_spec::{EntryId, Index, Log, Term, WriteId};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::random::Random;
use crate::record::Record;
use crate::storage::conformance::script::{self, Action, Contents, Script, Step};
use crate::storage::conformance::{CrashingDisk, Violation};
use crate::storage::{Progress, Storage};

/// How long a write may take before it counts as lost.
const PATIENCE: Duration = Duration::from_secs(30);

/// How long a report is waited for that should not come.
const GRACE: Duration = Duration::from_millis(30);

/// Something that a [`Storage`] has to keep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Law {
    /// A write that was reported is on the disk: no crash takes it (rules P1, P2).
    ReportedSurvives,
    /// A crash leaves the state after some write: each is there as a whole, and so are all before it.
    PrefixSurvives,
    /// Reports rise, say nothing of what was not submitted, and come for everything in the end.
    ReportsAreCumulative,
    /// A record is found under its name at once, and never under a name that the log does not have.
    ReadsGoByName,
    /// Whenever a crash comes, the state is there that the log begins with (rule S5).
    StateFitsLog,
    /// What was submitted before the storage was closed is there when it is opened.
    CloseFinishes,
    /// What an earlier opening had left to write is not written after the next one.
    EarlierOpeningIsSilent,
    /// After a failure nothing more is reported, and all that was reported is there (rule P6).
    FailureIsFinal,
}

impl Law {
    /// All of them.
    pub const ALL: [Law; 8] = [
        Law::ReportedSurvives,
        Law::PrefixSurvives,
        Law::ReportsAreCumulative,
        Law::ReadsGoByName,
        Law::StateFitsLog,
        Law::CloseFinishes,
        Law::EarlierOpeningIsSilent,
        Law::FailureIsFinal,
    ];

    /// Checks it on a new, empty disk.
    ///
    /// # Errors
    /// What was seen that the law forbids.
    pub async fn check<D: CrashingDisk>(self, disk: &mut D) -> Result<(), Violation> {
        let checked = match self {
            Law::ReportedSurvives => reported_survives(disk).await,
            Law::PrefixSurvives => prefix_survives(disk).await,
            Law::ReportsAreCumulative => reports_are_cumulative(disk).await,
            Law::ReadsGoByName => reads_go_by_name(disk).await,
            Law::StateFitsLog => state_fits_log(disk).await,
            Law::CloseFinishes => close_finishes(disk).await,
            Law::EarlierOpeningIsSilent => earlier_opening_is_silent(disk).await,
            Law::FailureIsFinal => failure_is_final(disk).await,
        };
        checked.map_err(|what| Violation { law: self, what })
    }
}

type Checked = Result<(), String>;

async fn reported_survives<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 1);
    let mut random = Random::seeded(1);
    for round in 0..4 {
        run.perform(&Action::Append(vec![9, 300, 0]));
        run.all_reported().await?;
        // What is submitted to a disk that is held up must not be reported.
        disk.hold();
        for _ in 0..=round {
            run.perform(&script::random(&mut random));
        }
        let reported = run.late_report().await;
        run = run.crash(disk, reported)?;
    }
    Ok(())
}

async fn prefix_survives<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 2);
    for action in script::one_of_each() {
        run.perform(&Action::Append(vec![40, 3, 700]));
        run.perform(&action);
        let reported = run.all_reported().await?;
        run = run.crash(disk, reported)?;
    }
    for seed in 0..CRASHES {
        let mut random = Random::seeded(seed);
        for _ in 0..random.next() % 12 {
            run.perform(&script::random(&mut random));
            match random.next() % 8 {
                0 => {
                    disk.release();
                    run.all_reported().await?;
                }
                1 => drop(disk.hold()),
                2 => disk.release(),
                _ => tokio::task::yield_now().await,
            }
            if random.next().is_multiple_of(3) {
                disk.release();
            }
        }
        let reported = run.progress.borrow().persisted;
        run = run.crash(disk, reported)?;
    }
    Ok(())
}

/// How many crashes the random laws go through.
const CRASHES: u64 = 12;

async fn reports_are_cumulative<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 3);
    let mut random = Random::seeded(3);
    let mut before = Progress::default();
    for _ in 0..60 {
        run.perform(&script::random(&mut random));
        tokio::task::yield_now().await;
        let now = run.progress.borrow().clone();
        if now.persisted < before.persisted || now.kept < before.kept {
            return Err(format!("after {before:?} it reports {now:?}"));
        }
        if now.persisted > run.script.last() {
            return Err(format!(
                "it reports {}, and {} was the last",
                now.persisted,
                run.script.last()
            ));
        }
        before = now;
    }
    run.perform(&Action::Append(vec![1]));
    run.perform(&Action::Keep(0));
    let latest = run.script.contents().durable.log.last().index;
    run.all_reported().await?;
    let kept =
        run.progress.wait_for(|progress| progress.kept >= latest || progress.failed.is_some());
    match timeout(PATIENCE, kept).await {
        Ok(Ok(progress)) if progress.failed.is_none() => Ok(()),
        _ => Err(format!("the state after entry {latest} was not reported as kept")),
    }
}

async fn reads_go_by_name<D: CrashingDisk>(disk: &mut D) -> Checked {
    for held in [true, false] {
        let mut run = Run::start(disk, 4);
        let mut random = Random::seeded(4);
        if held {
            disk.hold();
        }
        run.perform(&Action::Append(vec![5, 6, 7, 8]));
        run.perform(&Action::Overwrite(2, vec![50]));
        for _ in 0..40 {
            let before = run.script.contents().clone();
            run.shows(&before)?;
            run.perform(&script::random(&mut random));
            run.shows(run.script.contents())?;
            run.shows_no_other_than(&before)?;
        }
        disk.release();
        let reported = run.all_reported().await?;
        run.shows(run.script.contents())?;
        run = run.crash(disk, reported)?;
        run.shows(run.script.contents())?;
        run.storage.close().await;
    }
    Ok(())
}

async fn state_fits_log<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 5);
    for round in 0..CRASHES {
        run.perform(&Action::Append(vec![30; 5]));
        if round % 3 == 0 {
            run.all_reported().await?;
        }
        match round % 4 {
            0 => disk.hold(),
            _ => false,
        };
        // A state that no log comes to begin with, one that it does begin with, one of the leader.
        run.perform(&Action::Keep(1));
        run.perform(&Action::Append(vec![1]));
        run.perform(&Action::Keep(1));
        if round % 2 == 0 {
            run.perform(&Action::Compact);
        } else {
            run.perform(&Action::Install(3));
            run.perform(&Action::Append(vec![2]));
        }
        let reported = match round % 4 {
            0 | 1 => run.late_report().await,
            2 => run.all_reported().await?,
            _ => run.progress.borrow().persisted,
        };
        run = run.crash(disk, reported)?;
    }
    Ok(())
}

async fn close_finishes<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 6);
    let mut random = Random::seeded(6);
    for _ in 0..4 {
        for _ in 0..10 {
            run.perform(&script::random(&mut random));
        }
        let Run { storage, script, .. } = run;
        storage.close().await;
        run = Run::reopen(disk, &script, script.last())?;
    }
    Ok(())
}

async fn earlier_opening_is_silent<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 7);
    run.perform(&Action::Append(vec![1, 2]));
    let reported = run.all_reported().await?;
    disk.hold();
    run.perform(&Action::Overwrite(1, vec![3, 4, 5]));
    run.perform(&Action::Vote);
    // Opened at once, held up or not: the writes of the earlier opening had their chance.
    run = run.crash(disk, reported)?;
    run.late_report().await;
    run.perform(&Action::Append(vec![6]));
    let reported = run.all_reported().await?;
    run = run.crash(disk, reported)?;
    run.shows(run.script.contents())
}

async fn failure_is_final<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 8);
    run.perform(&Action::Append(vec![1, 2]));
    let reported = run.all_reported().await?;
    if !disk.fail() {
        return Ok(());
    }
    run.perform(&Action::Append(vec![3]));
    let failed = run.progress.wait_for(|progress| progress.failed.is_some());
    let failed =
        timeout(PATIENCE, failed).await.map(|failed| failed.map(|progress| progress.clone()));
    let Ok(Ok(at_failure)) = failed else {
        return Err("a write failed, and no failure was reported".to_owned());
    };
    if at_failure.persisted > reported {
        return Err(format!("write {} failed, and is reported as durable", at_failure.persisted));
    }
    run.perform(&Action::Vote);
    run.late_report().await;
    let later = run.progress.borrow().clone();
    if later != at_failure {
        return Err(format!("after the failure, {at_failure:?}, it reports {later:?}"));
    }
    run.crash(disk, later.persisted).map(drop)
}

/// A storage, and the script that it was given.
struct Run<S> {
    storage: S,
    script: Script,
    progress: watch::Receiver<Progress>,
    seed: u64,
}

impl<S: Storage> Run<S> {
    /// Opens the disk, whatever is on it.
    fn start(disk: &mut impl CrashingDisk<Storage = S>, seed: u64) -> Run<S> {
        let storage = disk.open();
        let durable = storage.recovered();
        let log = &durable.log;
        let records = log.ids().filter_map(|id| storage.read(id)).map(|it| (it.id.index, it));
        let states = storage.state(log.base()).map(|state| (state.last.index, state));
        let (records, states) = (records.collect(), states.into_iter().collect());
        let contents = Contents { durable, records, states };
        let script = Script::from(contents, WriteId::NONE, seed);
        Run { progress: storage.progress(), storage, script, seed }
    }

    fn perform(&mut self, action: &Action) {
        for step in self.script.perform(action) {
            match step {
                Step::Submit(persist, records) => self.storage.submit(*persist, records),
                Step::Keep(state) => self.storage.keep(state),
            }
        }
    }

    /// Waits until everything is reported.
    async fn all_reported(&mut self) -> Result<WriteId, String> {
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
    async fn late_report(&mut self) -> WriteId {
        while let Ok(Ok(())) = timeout(GRACE, self.progress.changed()).await {}
        self.progress.borrow().persisted
    }

    /// The power goes; then the disk has to hold what was reported, and the state after some write.
    fn crash(
        self,
        disk: &mut impl CrashingDisk<Storage = S>,
        reported: WriteId,
    ) -> Result<Run<S>, String> {
        let Run { storage, script, .. } = self;
        disk.crash(storage);
        disk.release();
        Run::reopen(disk, &script, reported)
    }

    fn reopen(
        disk: &mut impl CrashingDisk<Storage = S>,
        script: &Script,
        reported: WriteId,
    ) -> Result<Run<S>, String> {
        let mut run = Run::start(disk, 0);
        let found = run.storage.recovered();
        let after = script.possible(reported).find(|(_, contents)| contents.durable == found);
        let Some((_, expected)) = after else {
            let earlier = script.possible(WriteId::NONE).find(|(_, it)| it.durable == found);
            return Err(match earlier {
                Some((id, _)) => format!("write {reported} was reported, and it recovers {id}"),
                None => format!("it recovers {found:?}, which was the state after no write"),
            });
        };
        run.shows(expected)?;
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

    /// Whether every record is found under its name, and no other one at its index.
    fn shows(&self, contents: &Contents) -> Checked {
        // Of contents that are past only what is still in the log is asked for.
        let log = &self.script.contents().durable.log;
        for (_, record) in contents.records.iter().filter(|(_, it)| is_in(log, it.id)) {
            let found = self.storage.read(record.id);
            if found.as_ref() != Some(record) {
                return Err(format!("{:?} was asked for, and it found {found:?}", record.id));
            }
            let other = EntryId { term: Term(record.id.term.0 + 1), ..record.id };
            if let Some(Record { id, .. }) = self.storage.read(other) {
                return Err(format!("{other:?} was asked for, and it found {id:?}"));
            }
        }
        Ok(())
    }

    /// Whether what is not in the log any more is not found.
    fn shows_no_other_than(&self, before: &Contents) -> Checked {
        let log = &self.script.contents().durable.log;
        let gone = before.records.values().filter(|record| !is_in(log, record.id));
        match gone.into_iter().find(|record| self.storage.read(record.id).is_some()) {
            Some(record) => Err(format!("{:?} is not in the log, and is found", record.id)),
            None => Ok(()),
        }
    }
}

fn is_in(log: &Log, id: EntryId) -> bool {
    id.index > log.base().index && log.contains(id)
}

fn clone<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}
