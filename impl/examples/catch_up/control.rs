//! A thread that shares nothing with the nodes, and works about as much at a time as an owner's step
//! does: how long that takes on this machine, with what else runs on it.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

/// How long it works at a time where nothing interrupts it, and how long it rests.
const WORK: Duration = Duration::from_micros(50);
const REST: Duration = Duration::from_micros(500);

/// The thread.
pub(crate) struct Control {
    longest: Arc<AtomicU64>,
    stop: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Control {
    pub(crate) fn start() -> Control {
        let (longest, stop) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let (noted, stopped) = (Arc::clone(&longest), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            while !stopped.load(Ordering::Relaxed) {
                let begun = Instant::now();
                while begun.elapsed() < WORK {
                    std::hint::spin_loop();
                }
                let took = u64::try_from(begun.elapsed().as_nanos()).unwrap_or(u64::MAX);
                noted.fetch_max(took, Ordering::Relaxed);
                thread::sleep(REST);
            }
        });
        Control { longest, stop, thread }
    }

    /// The longest piece of work since this was asked for last.
    pub(crate) fn longest(&self) -> Duration {
        Duration::from_nanos(self.longest.swap(0, Ordering::Relaxed))
    }

    pub(crate) fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // It does not panic.
        let _ = self.thread.join();
    }
}
