//! The thread on which views of the machine become bytes, while the machine goes on.

use std::io::{self, Write};
use std::sync::Arc;
use std::thread;

use quorate_spec::{EntryId, Index};
use quorate_sync::Slot;
use tokio::sync::{mpsc, watch};
use tracing::{Span, info, info_span, warn};

use crate::metrics::{Metrics, signed};
use crate::record::MachineState;
use crate::setting::Setting;
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
    #[cfg(test)]
    tasks: Option<Arc<tasks::Tasks>>,
}

impl SnapshotWriter {
    /// Starts the thread. It gives what it has written to `taken`, and holds `alive` for its life.
    #[cfg_attr(not(test), expect(unused_variables, reason = "threads are what there is"))]
    pub(crate) fn start(
        taken: mpsc::Sender<MachineState>,
        metrics: Arc<Metrics>,
        alive: watch::Sender<Index>,
        setting: &Setting,
    ) -> SnapshotWriter {
        let views = Arc::new(Slot::default());
        #[cfg(test)]
        if let Some(simulation) = setting.simulation.clone() {
            let tasks = tasks::Tasks { taken, metrics, simulation, _alive: alive };
            return SnapshotWriter { views, tasks: Some(Arc::new(tasks)) };
        }
        let writer = SnapshotWriter {
            views: Arc::clone(&views),
            #[cfg(test)]
            tasks: None,
        };
        // Whose thread it is.
        let node = Span::current();
        thread::spawn(move || {
            let _within = node.entered();
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
        #[cfg(test)]
        if let Some(tasks) = &self.tasks {
            tokio::spawn(Arc::clone(tasks).write(Arc::clone(&self.views)));
        }
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
    view: View,
    views: &Slot<View>,
    taken: &mpsc::Sender<MachineState>,
    metrics: &Metrics,
) -> bool {
    let Some(state) = state(view, views, metrics) else { return !views.has_ended() };
    // It waits for the owner, and ends with it.
    let handed_on = taken.blocking_send(state).is_ok();
    metrics.snapshots.inc_by(u64::from(handed_on));
    handed_on
}

/// Writes a view out; none where that was given up, or the node stops.
fn state(
    View { last, write }: View,
    views: &Slot<View>,
    metrics: &Metrics,
) -> Option<MachineState> {
    let _within = info_span!("snapshot", index = last.index.0).entered();
    info!("begins to write a snapshot");
    match bytes(write, views, metrics) {
        Ok(bytes) => {
            info!(index = last.index.0, bytes = bytes.len(), "took a snapshot");
            Some(MachineState { last, bytes })
        }
        Err(_) if views.has_ended() => None,
        Err(error) => {
            metrics.snapshots_failed.inc();
            warn!(index = last.index.0, %error, "gave a snapshot up: the log stays as long as it is");
            None
        }
    }
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
        self.metrics.snapshot_bytes.set(signed(self.bytes.len() as u64));
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The same in a simulation, which has no threads.
#[cfg(test)]
mod tasks {
    use std::fmt;

    use super::*;
    use crate::setting::Simulation;

    /// What each task needs.
    pub(super) struct Tasks {
        pub(super) taken: mpsc::Sender<MachineState>,
        pub(super) metrics: Arc<Metrics>,
        pub(super) simulation: Arc<dyn Simulation>,
        /// The last task, or the way to them, goes: they have ended.
        pub(super) _alive: watch::Sender<Index>,
    }

    impl Tasks {
        /// Writes the view that was put there.
        pub(super) async fn write(self: Arc<Tasks>, views: Arc<Slot<View>>) {
            tokio::time::sleep(self.simulation.pause()).await;
            let Some(view) = views.take_now() else { return };
            if let Some(state) = state(view, &views, &self.metrics)
                && self.taken.send(state).await.is_ok()
            {
                self.metrics.snapshots.inc();
            }
            views.free();
        }
    }

    impl fmt::Debug for Tasks {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.debug_struct("Tasks").finish_non_exhaustive()
        }
    }
}
