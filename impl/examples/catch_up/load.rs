//! An open-loop load: writes are due at a steady rate, whether or not those before are answered. A
//! latency is counted from the moment at which its write was due.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use quorate::Handle;
use tokio::task::JoinHandle;

use crate::heap;
use crate::latencies::Latencies;

/// The length of a command in bytes.
const LENGTH: usize = 256;

/// What has become of the writes of one part of the run.
pub(crate) struct Part {
    pub(crate) took: Latencies,
    pub(crate) longest: Duration,
    pub(crate) failed: u64,
}

impl Part {
    fn new() -> Part {
        Part { took: Latencies::new(), longest: Duration::ZERO, failed: 0 }
    }
}

/// The writes that go on.
pub(crate) struct Load {
    stop: Arc<AtomicBool>,
    done: Arc<Mutex<(Part, Instant)>>,
    begun: Arc<AtomicU64>,
    task: JoinHandle<()>,
}

impl Load {
    /// So many writes a second to this node from now on.
    pub(crate) fn start(leader: Handle, rate: u64) -> Load {
        let (stop, begun) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
        let done = Arc::new(Mutex::new((Part::new(), Instant::now())));
        let (stopped, count, noted) = (Arc::clone(&stop), Arc::clone(&begun), Arc::clone(&done));
        let task = tokio::spawn(async move {
            let start = Instant::now();
            for number in 0.. {
                let due = start + Duration::from_nanos(number * 1_000_000_000 / rate);
                if due > Instant::now() {
                    tokio::time::sleep_until(due.into()).await;
                }
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                count.fetch_add(1, Ordering::Relaxed);
                tokio::spawn(one(leader.clone(), number, due, Arc::clone(&noted)));
            }
        });
        Load { stop, done, begun, task }
    }

    /// How many writes were due so far.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// What was answered since this was asked for last, and in how long a time.
    pub(crate) fn part(&self) -> (Part, Duration) {
        let mut done = self.done.lock().unwrap_or_else(PoisonError::into_inner);
        let (part, since) = std::mem::replace(&mut *done, (Part::new(), Instant::now()));
        (part, since.elapsed())
    }

    pub(crate) async fn stop(self) {
        self.stop.store(true, Ordering::Relaxed);
        // It ends by itself.
        let _ = self.task.await;
    }
}

async fn one(leader: Handle, number: u64, due: Instant, done: Arc<Mutex<(Part, Instant)>>) {
    let outcome = leader.propose(heap::write(number, LENGTH)).await;
    let took = due.elapsed();
    let (part, _) = &mut *done.lock().unwrap_or_else(PoisonError::into_inner);
    match outcome {
        Ok(_) => {
            part.took.add(took);
            part.longest = part.longest.max(took);
        }
        Err(_) => part.failed += 1,
    }
}
