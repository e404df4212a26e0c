//! The group commit: what is reported is durable, and a shutdown leaves nothing behind.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::sync::{Condvar, Mutex};
use loom::thread;
use quorate_sync::{Care, Disk, Sender, Sound, queue, run};

use crate::explore::{finds, holds};
use crate::mistakes::{EndsAtOnce, GoesSilently, NeverCalls, WaitsBlindly};

/// What the disk holds: the number of the last write. Its own accesses order nothing.
type Platter = Arc<AtomicU64>;

/// Where the owner hears of what is durable, as it does by tokio's `watch`.
#[derive(Default)]
struct Report {
    last: Mutex<Heard>,
    changed: Condvar,
}

#[derive(Clone, Copy, Default, PartialEq, Debug)]
struct Heard {
    persisted: u64,
    failed: bool,
}

impl Report {
    fn tell(&self, change: impl FnOnce(&mut Heard)) {
        change(&mut self.last.lock().expect("nobody panics"));
        self.changed.notify_one();
    }

    fn wait_for(&self, write: u64) -> Heard {
        let mut last = self.last.lock().expect("nobody panics");
        while last.persisted < write && !last.failed {
            last = self.changed.wait(last).expect("nobody panics");
        }
        *last
    }
}

/// A disk that takes whatever has come as one group.
struct Model {
    platter: Platter,
    report: Arc<Report>,
    noted: u64,
    written: u64,
    /// The write whose sync fails.
    fails_at: u64,
    /// Superfluous entries that are still to be removed.
    litter: u64,
}

struct Failed;

impl Disk for Model {
    type Job = u64;
    type Group = u64;
    type Done = u64;
    type Failure = Failed;

    fn note(&mut self, job: u64) -> Result<(), Failed> {
        assert_eq!(job, self.noted + 1, "writes come in order");
        self.noted = job;
        Ok(())
    }

    fn group(&mut self) -> Option<(u64, u64)> {
        (self.written < self.noted).then_some((self.noted, self.noted))
    }

    fn write(&mut self, group: u64, done: u64) -> Result<(), Failed> {
        if (self.written + 1..=done).contains(&self.fails_at) {
            return Err(Failed);
        }
        self.platter.store(group, Ordering::Relaxed);
        self.written = group;
        Ok(())
    }

    fn report(&mut self, done: u64) {
        self.report.tell(|heard| heard.persisted = done);
    }

    fn tidy(&mut self) -> Result<bool, Failed> {
        let some = self.litter > 0;
        self.litter = self.litter.saturating_sub(1);
        Ok(some)
    }
}

/// A writer's thread on a new disk.
fn start<C: Care + Send + 'static>(
    fails_at: u64,
) -> (Sender<u64, C>, Platter, Arc<Report>, thread::JoinHandle<()>) {
    let (jobs, queue) = queue::<u64, C>();
    let (platter, report) = (Platter::default(), Arc::new(Report::default()));
    let (disk, told) = (Arc::clone(&platter), Arc::clone(&report));
    let writer = thread::spawn(move || {
        let report = Arc::clone(&told);
        let mut disk = Model { platter: disk, report, noted: 0, written: 0, fails_at, litter: 1 };
        if run(&queue, &mut disk).is_err() {
            told.tell(|heard| heard.failed = true);
        }
    });
    (jobs, platter, report, writer)
}

/// The owner issues two writes and waits for each: what it hears of is on the disk, and the last
/// write is, once the writer has ended.
fn what_is_reported<C: Care + Send + 'static>() {
    let (jobs, platter, report, writer) = start::<C>(u64::MAX);
    jobs.send(1).expect("the writer is there");
    jobs.send(2).expect("the writer is there");
    for write in 1..=2 {
        let Heard { persisted, .. } = report.wait_for(write);
        let durable = platter.load(Ordering::Relaxed);
        assert!(durable >= persisted, "{persisted} is reported, and {durable} is durable");
    }
    jobs.close();
    writer.join().expect("it writes and goes");
}

#[test]
fn what_is_reported_is_durable() {
    holds("group commit", None, 10_000, what_is_reported::<Sound>);
}

struct ReportsFirst;

impl Care for ReportsFirst {
    const REPORTS_WHAT_IS_DURABLE: bool = false;
}

#[test]
fn a_durable_index_before_the_sync_is_found() {
    finds("report before sync", "is reported, and", None, what_is_reported::<ReportsFirst>);
}

#[test]
fn a_writer_that_sleeps_for_ever_is_found() {
    finds("no call", "deadlock", None, what_is_reported::<NeverCalls>);
    finds("a wait without a look", "deadlock", None, what_is_reported::<WaitsBlindly>);
}

/// The owner closes the storage at once: both writes are durable when the writer has ended.
fn shutdown<C: Care + Send + 'static>() {
    let (jobs, platter, report, writer) = start::<C>(u64::MAX);
    jobs.send(1).expect("the writer is there");
    jobs.send(2).expect("the writer is there");
    jobs.close();
    writer.join().expect("it writes and goes");
    let durable = platter.load(Ordering::Relaxed);
    assert_eq!(durable, 2, "a shutdown leaves a write behind");
    assert_eq!(report.wait_for(2), Heard { persisted: 2, failed: false });
}

#[test]
fn a_shutdown_loses_nothing_that_was_queued() {
    holds("shutdown", None, 300, shutdown::<Sound>);
}

#[test]
fn a_shutdown_that_loses_something_or_never_ends_is_found() {
    finds("end before empty", "leaves a write behind", None, shutdown::<EndsAtOnce>);
    finds("no call at the end", "deadlock", None, shutdown::<GoesSilently>);
}

#[test]
fn after_a_failed_sync_nothing_more_is_reported_and_the_owner_hears_of_it() {
    holds("failed sync", None, 1_000, || {
        let (jobs, platter, report, writer) = start::<Sound>(2);
        jobs.send(1).expect("the writer is there");
        jobs.send(2).expect("the writer is there");
        let heard = report.wait_for(2);
        // The writer is gone, or goes: a write that comes now is not written.
        let _ = jobs.send(3);
        drop(jobs);
        writer.join().expect("it fails and goes");
        let durable = platter.load(Ordering::Relaxed);
        assert!(heard.failed && heard.persisted <= durable && durable < 2, "{heard:?}, {durable}");
        assert_eq!(report.wait_for(3), heard, "nothing is reported after the failure");
    });
}
