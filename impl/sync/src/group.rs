//! Group commit: what has come while the disk was busy becomes durable together, and counts from then
//! on and not before.

use std::collections::VecDeque;

use crate::care::Care;
use crate::queue::{Feed, Taker};

/// What the thread that writes does with what is queued.
pub trait Disk {
    /// What is asked for.
    type Job;
    /// What becomes durable as a whole or not at all.
    type Group;
    /// What a group makes durable.
    type Done: Copy;
    /// Why the disk writes no more.
    type Failure;

    /// Takes note of a job. Jobs come in the order in which they were queued.
    ///
    /// # Errors
    /// The job says that something has failed already.
    fn note(&mut self, job: Self::Job) -> Result<(), Self::Failure>;

    /// The next group of what was noted; none while nothing of it can be written.
    fn group(&mut self) -> Option<(Self::Group, Self::Done)>;

    /// Writes a group: it is durable once this returns.
    ///
    /// # Errors
    /// Nobody knows what the disk holds of it now.
    fn write(&mut self, group: Self::Group, done: Self::Done) -> Result<(), Self::Failure>;

    /// A group is durable: tells whoever waits for that.
    fn report(&mut self, done: Self::Done);

    /// Does a little of what can wait, while there is nothing to write. False when there is nothing
    /// of that kind either.
    ///
    /// # Errors
    /// As for a group.
    fn tidy(&mut self) -> Result<bool, Self::Failure>;
}

/// Writes what comes until the queue is closed and everything is durable, until it is abandoned, or
/// until something fails: then nothing is reported any more (rule P6).
///
/// # Errors
/// What failed.
pub fn run<D: Disk, C: Care>(jobs: &Taker<D::Job, C>, disk: &mut D) -> Result<(), D::Failure> {
    let mut came = VecDeque::new();
    loop {
        let feed = jobs.take(&mut came);
        for job in came.drain(..) {
            disk.note(job)?;
        }
        if feed == Feed::Abandoned {
            return Ok(());
        }
        if let Some((group, done)) = disk.group() {
            if !C::REPORTS_WHAT_IS_DURABLE {
                disk.report(done);
            }
            disk.write(group, done)?;
            disk.report(done);
        } else if feed == Feed::Closed {
            return Ok(());
        } else if !disk.tidy()? {
            jobs.wait();
        }
    }
}
