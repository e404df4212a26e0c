//! A task that shares nothing with the nodes but the workers of the runtime, and works about as much at
//! a time as an owner's step does: how long that takes where the processors are somebody else's.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinHandle;

/// How long it works at a time where nothing interrupts it, and how long it rests.
const WORK: Duration = Duration::from_micros(50);
const REST: Duration = Duration::from_millis(1);

/// The task.
pub(crate) struct Control {
    longest: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Control {
    pub(crate) fn start() -> Control {
        let longest = Arc::new(AtomicU64::new(0));
        let noted = Arc::clone(&longest);
        let task = tokio::spawn(async move {
            loop {
                let begun = Instant::now();
                while begun.elapsed() < WORK {
                    std::hint::spin_loop();
                }
                let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                noted.fetch_max(took, Ordering::Relaxed);
                tokio::time::sleep(REST).await;
            }
        });
        Control { longest, task }
    }

    /// The longest piece of work since this was asked for last.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest.swap(0, Ordering::Relaxed))
    }

    pub(crate) fn stop(self) {
        self.task.abort();
    }
}
