//! The thread on which views of the machine become bytes, while the machine goes on.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use quorate_spec::{EntryId, Index};
use quorate_sync::Slot;
use tokio::sync::{mpsc, watch};
use tracing::{info, warn};

use crate::metrics::Metrics;
use crate::record::MachineState;
use crate::state::{Growing, StateBytes};

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
    views: Arc<Slot<View>>,
}

impl SnapshotWriter {
    /// Starts the thread. It gives what it has written to `taken`, and holds `alive` for its life.
    pub(crate) fn start(
        taken: mpsc::Sender<MachineState>,
        metrics: Arc<Metrics>,
        alive: watch::Sender<Index>,
    ) -> SnapshotWriter {
        let views = Arc::new(Slot::default());
        let writer = SnapshotWriter { views: Arc::clone(&views) };
        thread::spawn(move || {
            views.serve(|view| write(view, &views, &taken, &metrics));
            // A view that nobody served is gone before the life of the thread is over.
            drop(views);
            drop(alive);
        });
        writer
    }

    /// Whether a view would be written at once.
    pub(crate) fn is_idle(&self) -> bool {
        self.views.is_free()
    }

    /// Has the view written. Without the thread, which only a panic ends, the owner hears of that.
    pub(crate) fn write(&self, view: View) {
        self.views.put(view);
    }
}

impl Drop for SnapshotWriter {
    /// The node stops: what is half written is of no use to anyone.
    fn drop(&mut self) {
        self.views.end();
    }
}

/// Writes a view out and hands the bytes on; false where nobody takes any more.
fn write(
    View { last, write }: View,
    views: &Slot<View>,
    taken: &mpsc::Sender<MachineState>,
    metrics: &Metrics,
) -> bool {
    match bytes(write, views, metrics) {
        Ok(bytes) => {
            info!(index = last.index.0, bytes = bytes.len(), "took a snapshot");
            // It waits for the owner, and ends with it.
            if taken.blocking_send(MachineState { last, bytes }).is_err() {
                return false;
            }
            metrics.snapshots.inc();
        }
        Err(_) if views.has_ended() => return false,
        Err(error) => {
            metrics.snapshots_failed.inc();
            warn!(index = last.index.0, %error, "gave a snapshot up: the log stays as long as it is");
        }
    }
    true
}

fn bytes(write: Writing, views: &Slot<View>, metrics: &Metrics) -> io::Result<StateBytes> {
    metrics.snapshot_bytes.set(0);
    let mut page = Page { bytes: Growing::default(), views, metrics };
    write(&mut page)?;
    Ok(page.bytes.finish())
}

/// What has been written so far.
struct Page<'a> {
    bytes: Growing,
    views: &'a Slot<View>,
    metrics: &'a Metrics,
}

impl Write for Page<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.views.has_ended() {
            return Err(io::Error::other("the node stops"));
        }
        self.bytes.extend(bytes);
        self.metrics.snapshot_bytes.set(i64::try_from(self.bytes.len()).unwrap_or(i64::MAX));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
