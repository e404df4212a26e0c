//! The thread on which views of the machine become bytes, while the machine goes on.

use std::io::{self, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::{mem, thread};

use quorate_spec::{EntryId, Index};
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::metrics::Metrics;
use crate::record::MachineState;

/// Writes a view of the machine out.
type Writing = Box<dyn FnOnce(&mut dyn Write) -> io::Result<()> + Send>;

/// A view of the machine after the entry `last`, to be written out.
pub(crate) struct View {
    pub(crate) last: EntryId,
    pub(crate) write: Writing,
}

/// The way to the thread. It writes one view at a time: while it does, no other is taken.
#[derive(Debug)]
pub(crate) struct SnapshotWriter {
    views: mpsc::Sender<View>,
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    busy: AtomicBool,
    /// The node stops: what is half written is of no use to anyone.
    ended: AtomicBool,
}

impl SnapshotWriter {
    /// Starts the thread. It gives what it has written to `taken`, and holds `alive` for its life.
    pub(crate) fn start(
        taken: mpsc::Sender<MachineState>,
        metrics: Arc<Metrics>,
        alive: watch::Sender<Index>,
    ) -> SnapshotWriter {
        let (views, mut queue) = mpsc::channel::<View>(1);
        let shared = Arc::new(Shared::default());
        let writer = SnapshotWriter { views, shared: Arc::clone(&shared) };
        thread::spawn(move || {
            let _alive = alive;
            while let Some(View { last, write }) = queue.blocking_recv() {
                match bytes(write, &shared, &metrics) {
                    Ok(bytes) => {
                        info!(index = last.index.0, bytes = bytes.len(), "took a snapshot");
                        // It waits for the owner, and ends with it.
                        if taken.blocking_send(MachineState { last, bytes: bytes.into() }).is_err()
                        {
                            return;
                        }
                        metrics.snapshots.inc();
                    }
                    Err(_) if shared.ended.load(Ordering::Acquire) => return,
                    Err(error) => {
                        metrics.snapshots_failed.inc();
                        warn!(index = last.index.0, %error, "gave a snapshot up: the log stays as long as it is");
                    }
                }
                shared.busy.store(false, Ordering::Release);
            }
        });
        writer
    }

    /// Whether a view would be written at once.
    pub(crate) fn is_idle(&self) -> bool {
        !self.shared.busy.load(Ordering::Acquire)
    }

    /// Has the view written. Without the thread, which only a panic ends, the owner hears of that.
    pub(crate) fn write(&self, view: View) {
        self.shared.busy.store(true, Ordering::Release);
        let _ = self.views.try_send(view);
    }
}

impl Drop for SnapshotWriter {
    fn drop(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
    }
}

fn bytes(write: Writing, shared: &Shared, metrics: &Metrics) -> io::Result<Vec<u8>> {
    metrics.snapshot_bytes.set(0);
    let mut page = Page { bytes: Vec::new(), shared, metrics };
    write(&mut page)?;
    Ok(mem::take(&mut page.bytes))
}

/// What has been written so far.
struct Page<'a> {
    bytes: Vec<u8>,
    shared: &'a Shared,
    metrics: &'a Metrics,
}

impl Write for Page<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.shared.ended.load(Ordering::Relaxed) {
            return Err(io::Error::other("the node stops"));
        }
        self.bytes.extend_from_slice(bytes);
        self.metrics.snapshot_bytes.set(i64::try_from(self.bytes.len()).unwrap_or(i64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
