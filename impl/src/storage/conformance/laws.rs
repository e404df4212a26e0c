//! The laws, each with a run that finds out whether a storage keeps it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::time::timeout;

use crate::random::Random;
use crate::storage::conformance::run::{Checked, PATIENCE, Run};
use crate::storage::conformance::script::{self, Action};
use crate::storage::conformance::{CrashingDisk, Violation};
use crate::storage::{Progress, Storage, Stretch};

/// Something that a [`Storage`] has to keep.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Law {
    /// A write that was reported is on the disk: no crash takes it (rules P1, P2).
    ReportedSurvives,
    /// A crash leaves the state after some write: each is there as a whole, and so are all before it.
    PrefixSurvives,
    /// Reports rise, say nothing of what was not submitted, and come for everything in the end.
    ReportsAreCumulative,
    /// A record is found under its name as soon as it was submitted, and at once for as long as it is
    /// not durable; and never under a name that the log does not have.
    ReadsGoByName,
    /// What is fetched is what the log has, from the very entry on that was asked for; and the very
    /// state. What is written meanwhile may be missing, and nothing has another one's name.
    FetchesGoByName,
    /// A fetch gives at least one record, and no more of them, nor more bytes, than were asked for.
    FetchesAreBounded,
    /// A fetch ends, though no write becomes durable meanwhile; and one that is given up is in nobody's
    /// way.
    FetchesEnd,
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
    pub const ALL: [Law; 11] = [
        Law::ReportedSurvives,
        Law::PrefixSurvives,
        Law::ReportsAreCumulative,
        Law::ReadsGoByName,
        Law::FetchesGoByName,
        Law::FetchesAreBounded,
        Law::FetchesEnd,
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
            Law::FetchesGoByName => fetches_go_by_name(disk).await,
            Law::FetchesAreBounded => fetches_are_bounded(disk).await,
            Law::FetchesEnd => fetches_end(disk).await,
            Law::StateFitsLog => state_fits_log(disk).await,
            Law::CloseFinishes => close_finishes(disk).await,
            Law::EarlierOpeningIsSilent => earlier_opening_is_silent(disk).await,
            Law::FailureIsFinal => failure_is_final(disk).await,
        };
        checked.map_err(|what| Violation { law: self, what })
    }
}

async fn reported_survives<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 1).await?;
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
        run = run.crash(disk, reported).await?;
    }
    Ok(())
}

async fn prefix_survives<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 2).await?;
    for action in script::one_of_each() {
        run.perform(&Action::Append(vec![40, 3, 700]));
        run.perform(&action);
        let reported = run.all_reported().await?;
        run = run.crash(disk, reported).await?;
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
        run = run.crash(disk, reported).await?;
    }
    Ok(())
}

/// How many crashes the random laws go through.
const CRASHES: u64 = 12;

async fn reports_are_cumulative<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 3).await?;
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
        let mut run = Run::start(disk, 4).await?;
        let mut random = Random::seeded(4);
        // Then nothing is durable, and everything is in memory.
        let at_once = held && disk.hold();
        run.perform(&Action::Append(vec![5, 6, 7, 8]));
        run.perform(&Action::Overwrite(2, vec![50]));
        for _ in 0..40 {
            let before = run.script.contents().clone();
            run.shows(&before, at_once).await?;
            run.perform(&script::random(&mut random));
            run.shows(run.script.contents(), at_once).await?;
            run.shows_no_other_than(&before)?;
        }
        disk.release();
        let reported = run.all_reported().await?;
        run.shows(run.script.contents(), false).await?;
        run = run.crash(disk, reported).await?;
        run.shows(run.script.contents(), false).await?;
        run.storage.close().await;
    }
    Ok(())
}

async fn fetches_go_by_name<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 9).await?;
    run.perform(&Action::Append(vec![40, 300, 0, 700, 5, 60]));
    run.all_reported().await?;
    // Entries of other terms in the places of some.
    run.perform(&Action::Overwrite(3, vec![9, 90, 0, 400, 30]));
    run.perform(&Action::Keep(3));
    run.perform(&Action::Configure(2));
    run.perform(&Action::Compact);
    run.perform(&Action::Keep(0));
    run.all_reported().await?;
    let mut random = Random::seeded(9);
    for _ in 0..CRASHES {
        run.fetches_everything().await?;
        // The log changes while everything is being fetched.
        let before = run.script.contents().clone();
        let fetches = run.begin_fetches();
        run.perform(&script::random(&mut random));
        run.fetches_no_other_than(&before, fetches).await?;
        run.perform(&Action::Append(vec![50; 2]));
        let reported = run.all_reported().await?;
        run.fetches_everything().await?;
        run = run.crash(disk, reported).await?;
    }
    Ok(())
}

async fn fetches_are_bounded<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 10).await?;
    run.perform(&Action::Append(vec![40, 300, 0, 0, 700, 5, 60, 500]));
    let reported = run.all_reported().await?;
    let run = run.crash(disk, reported).await?;
    for first in run.script.contents().durable.log.ids() {
        for (entries, bytes) in [(1, 1 << 20), (3, 1 << 20), (100, 1), (100, 340), (2, 50)] {
            let stretch = Stretch { first, entries, bytes };
            let records = run.fetch(stretch).await?;
            let length: usize = records.iter().map(|record| record.len()).sum();
            let (few, short) = (records.len() <= entries, records.len() == 1 || length <= bytes);
            if records.is_empty() || !few || !short {
                let count = records.len();
                return Err(format!("{stretch:?} gives {count} records of {length} bytes"));
            }
        }
    }
    Ok(())
}

async fn fetches_end<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 11).await?;
    run.perform(&Action::Append(vec![10, 20, 30]));
    run.all_reported().await?;
    disk.hold();
    run.perform(&Action::Append(vec![40]));
    let first = run.script.contents().durable.log.ids().next();
    let Some(first) = first else { return Err("its log is empty".to_owned()) };
    let stretch = Stretch { first, entries: 2, bytes: 100 };
    run.fetch(stretch).await?;
    disk.release();
    run.all_reported().await?;
    for _ in 0..4 {
        // Given up when it has begun.
        let mut fetch = pin!(run.storage.fetch(stretch));
        poll_fn(|context| Poll::Ready(fetch.as_mut().poll(context).is_ready())).await;
    }
    let Run { storage, script, .. } = run;
    if timeout(PATIENCE, storage.close()).await.is_err() {
        return Err("after fetches that were given up it does not close".to_owned());
    }
    Run::reopen(disk, &script, script.last()).await.map(drop)
}

async fn state_fits_log<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 5).await?;
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
        run = run.crash(disk, reported).await?;
    }
    Ok(())
}

async fn close_finishes<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 6).await?;
    let mut random = Random::seeded(6);
    for _ in 0..4 {
        for _ in 0..10 {
            run.perform(&script::random(&mut random));
        }
        let Run { storage, script, .. } = run;
        storage.close().await;
        run = Run::reopen(disk, &script, script.last()).await?;
    }
    Ok(())
}

async fn earlier_opening_is_silent<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 7).await?;
    run.perform(&Action::Append(vec![1, 2]));
    let reported = run.all_reported().await?;
    disk.hold();
    run.perform(&Action::Overwrite(1, vec![3, 4, 5]));
    run.perform(&Action::Vote);
    // Opened at once, held up or not: the writes of the earlier opening had their chance.
    run = run.crash(disk, reported).await?;
    run.late_report().await;
    run.perform(&Action::Append(vec![6]));
    let reported = run.all_reported().await?;
    run = run.crash(disk, reported).await?;
    run.shows(run.script.contents(), false).await
}

async fn failure_is_final<D: CrashingDisk>(disk: &mut D) -> Checked {
    let mut run = Run::start(disk, 8).await?;
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
    run.crash(disk, later.persisted).await.map(drop)
}
