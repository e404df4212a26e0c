//! What a run is: everything in it follows from its plan.

use std::time::Duration;

use quorate_spec::{NodeId, Params};

use crate::clock::span;
use crate::limits::Limits;
use crate::order::Promise;

/// A run.
#[derive(Clone, Debug)]
pub(super) struct Plan {
    pub(super) seed: u64,
    pub(super) servers: u64,
    /// How long there are faults.
    pub(super) chaos: Duration,
    /// What goes wrong meanwhile.
    pub(super) faults: Faults,
    /// The promise that every driver breaks.
    pub(super) broken: Option<Promise>,
    /// By how many parts per million clocks are off at most. The lease allows for [`DRIFT`].
    pub(super) drift: u32,
    /// A crash comes at this boundary, counted over all nodes.
    pub(super) crash_at: Option<u64>,
    /// Whether nobody looks into a node: only what clients and other servers can see counts.
    pub(super) from_outside: bool,
    /// How many lines are kept.
    pub(super) lines: usize,
}

/// What goes wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Faults {
    /// Nothing but the plan's crash; and clients do a few things in a fixed order.
    None,
    /// Everything.
    All,
    /// A leader is cut off from those who could elect another, whose clocks are as fast as they may be.
    CutOff,
}

/// By how many parts per million the lease allows clocks to be off.
pub(super) const DRIFT: u32 = 50_000;

/// The election timeout.
pub(super) const E: Duration = Duration::from_millis(300);

impl Plan {
    /// A random run of this seed.
    pub(super) fn random(seed: u64) -> Plan {
        Plan {
            seed,
            servers: if seed % 4 == 3 { 5 } else { 3 },
            chaos: Duration::from_secs(12),
            faults: Faults::All,
            broken: None,
            drift: DRIFT,
            crash_at: None,
            from_outside: false,
            lines: 0,
        }
    }

    pub(super) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (1..=self.servers).map(NodeId)
    }

    pub(super) fn params(&self) -> Params {
        let heartbeat = Duration::from_millis(30);
        let params = Params::new(span(E), span(heartbeat));
        let params = params.with_lease(DRIFT, span(Duration::from_millis(1)));
        Params { max_in_flight: 4, max_uncommitted: 48, ..params }
    }

    /// Small numbers, so that every one of them is reached.
    pub(super) fn limits(&self) -> Limits {
        Limits {
            queued_proposals: 16,
            proposals_per_write: 4,
            waiting_proposals: 24,
            unwritten_writes: 8,
            held_messages: 64,
            entries_per_request: 6,
            batches: 2,
            entries_per_batch: 5,
            bytes_per_batch: 60,
            entries_per_fetch: 7,
            bytes_per_fetch: 120,
            entries_per_snapshot: 15,
            forward_patience: Duration::from_millis(400),
            ..Limits::default()
        }
    }
}
