//! What the owner of a node tells the people who watch it: how it is, how long things take, and
//! whether it was kept from running.

use std::collections::VecDeque;
use std::sync::Arc;

use quorate_spec::{Duration, Effects, Index, Instant, Node, WriteId};
use tokio::sync::watch;
use tracing::{info, warn};

use crate::metrics::{Metrics, name, seconds, signed};
use crate::vitals::Vitals;

/// The owner's notes.
#[derive(Debug)]
pub(crate) struct Observer {
    pub(crate) metrics: Arc<Metrics>,
    vitals: watch::Sender<Vitals>,
    /// Writes that are not durable, by when they were issued.
    writes: VecDeque<(WriteId, Instant)>,
    /// Proposals that are not committed: the last entry of each step, and when it was made.
    proposals: VecDeque<(Index, Instant)>,
    /// From how long on a node that does not run counts as paused: others take it for dead by then.
    pause: Duration,
    longest_pause: Duration,
    longest_step: Duration,
    /// Until when the owner wants to sleep.
    due: Instant,
    /// When it began to work on this event, once that is known: the clock is read for steps anyway,
    /// and for nothing else.
    woken: Option<Instant>,
}

impl Observer {
    pub(crate) fn new(
        metrics: Arc<Metrics>,
        vitals: watch::Sender<Vitals>,
        pause: Duration,
    ) -> Observer {
        Observer {
            metrics,
            vitals,
            writes: VecDeque::new(),
            proposals: VecDeque::new(),
            pause,
            longest_pause: Duration(0),
            longest_step: Duration(0),
            due: Instant(0),
            woken: None,
        }
    }

    /// The owner begins: what was before is no pause.
    pub(crate) fn begins(&mut self, now: Instant) {
        (self.due, self.woken) = (now, Some(now));
    }

    /// The owner is about to wait, until then at the latest.
    pub(crate) fn waits(&mut self, now: Instant, deadline: Instant) {
        self.wakes(now);
        let step = since(self.woken.take().unwrap_or(now), now);
        if step > self.longest_step {
            self.longest_step = step;
            self.metrics.longest_step.set(seconds(step));
        }
        self.look_for_pause(step);
        self.due = deadline.max(now);
    }

    /// The owner runs again. Where it should have run long before, the process was stopped, its
    /// machine suspended, or the processor was somebody else's. However long that was, what is due
    /// is due once: there is no tick to catch up with.
    pub(crate) fn wakes(&mut self, now: Instant) {
        if self.woken.is_some() {
            return;
        }
        let late = since(self.due, now);
        if late > self.longest_pause {
            self.longest_pause = late;
            self.metrics.longest_pause.set(seconds(late));
        }
        self.look_for_pause(late);
        self.woken = Some(now);
    }

    fn look_for_pause(&self, away: Duration) {
        if away >= self.pause {
            self.metrics.pauses.inc();
            let seconds = seconds(away);
            warn!(seconds, "the node did not run: stopped, suspended, or short of processors");
        }
    }

    /// How often the node was paused.
    pub(crate) fn pauses(&self) -> u64 {
        self.metrics.pauses.get()
    }

    /// A write was issued.
    pub(crate) fn issued(&mut self, id: WriteId, now: Instant) {
        self.writes.push_back((id, now));
    }

    /// Every write up to this one is durable.
    pub(crate) fn persisted(&mut self, id: WriteId, now: Instant) {
        for issued in up_to(&mut self.writes, id) {
            self.metrics.write_seconds.observe(seconds(since(issued, now)));
        }
    }

    /// The node has taken a step.
    pub(crate) fn stepped(&mut self, node: &Node, effects: &Effects, now: Instant) {
        for (from, to, why) in &effects.changed {
            let (from, to) = (name(*from), name(*to));
            info!(term = node.current_term().0, from, to, ?why, "changed its role");
            self.metrics.changes_of_role.get_or_create(&[("to", to)]).inc();
        }
        if !node.is_leader() {
            self.proposals.clear();
        }
        if let Some(proposed) = effects.proposed {
            let last = proposed.first.index.0 + proposed.count.saturating_sub(1);
            self.proposals.push_back((Index(last), now));
        }
        for taken in up_to(&mut self.proposals, node.commit_index()) {
            self.metrics.commit_seconds.observe(seconds(since(taken, now)));
        }
        self.metrics.unwritten.set(signed(node.unwritten().len() as u64));
    }

    /// Shows how the node is now.
    pub(crate) fn show(&self, vitals: Vitals) {
        self.vitals.send_if_modified(|shown| {
            // What is applied is known to others first.
            let same = Vitals { applied: shown.applied, ..vitals } == *shown;
            *shown = vitals;
            !same
        });
    }
}

/// Takes what is numbered up to `last` out of the queue, and gives when each began.
fn up_to<N: PartialOrd>(
    queue: &mut VecDeque<(N, Instant)>,
    last: N,
) -> impl Iterator<Item = Instant> {
    let count = queue.iter().take_while(|(number, _)| *number <= last).count();
    queue.drain(..count).map(|(_, begin)| begin)
}

fn since(earlier: Instant, now: Instant) -> Duration {
    Duration(now.0.saturating_sub(earlier.0))
}
