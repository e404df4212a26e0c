//! What a node counts and measures, in the text format that Prometheus reads.

use std::fmt;
use std::sync::Mutex;

use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use quorate_spec::{Duration, NodeId, RoleName};

use crate::inbox::Level;
use crate::lock::lock;
use crate::storage::Syncs;
use crate::traffic::{Traffic, TrafficGauges};
use crate::vitals::Vitals;

/// One label with one of a few values.
type Label = [(&'static str, &'static str); 1];

/// A gauge of seconds.
type Seconds = Gauge<f64, std::sync::atomic::AtomicU64>;

/// The metrics of a node. The threads of the node write to them as they go; what others know already
/// is set when somebody asks for the text.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    role: Family<Label, Gauge>,
    term: Gauge,
    index: Family<Label, Gauge>,
    lag: Family<Label, Gauge>,
    queued: Family<Label, Gauge>,
    proposal_bytes: Gauge,
    inbox_bytes: Gauge,
    lease: Seconds,
    traffic: TrafficGauges,
    /// One at a time: what is set is what is told.
    rendering: Mutex<()>,
    /// Writes that are not durable, messages that wait for them, proposals that wait for a commit,
    /// and snapshots on their way to peers.
    pub(crate) unwritten: Gauge,
    pub(crate) held: Gauge,
    pub(crate) waiting: Gauge,
    pub(crate) moving: Gauge,
    /// From the moment a write is issued until it is reported durable.
    pub(crate) write_seconds: Histogram,
    sync_seconds: Histogram,
    /// From the moment the leader takes proposals until they are committed.
    pub(crate) commit_seconds: Histogram,
    pub(crate) changes_of_role: Family<Label, Counter>,
    /// Messages, in or out.
    pub(crate) dropped: Counter,
    pub(crate) pauses: Counter,
    pub(crate) longest_pause: Seconds,
    pub(crate) longest_step: Seconds,
    pub(crate) snapshots: Counter,
    pub(crate) snapshots_failed: Counter,
    /// Of the snapshot that is being written, or was last.
    pub(crate) snapshot_bytes: Gauge,
}

/// What is known elsewhere at the moment of asking.
pub(crate) struct Sample {
    pub(crate) vitals: Vitals,
    pub(crate) lease_left: Duration,
    pub(crate) queued_proposals: usize,
    pub(crate) proposal_bytes: usize,
    pub(crate) waiting_reads: usize,
    pub(crate) forwarded: usize,
    pub(crate) inbox: Level,
    pub(crate) traffic: Traffic,
}

const ROLES: [RoleName; 4] =
    [RoleName::Follower, RoleName::PreCandidate, RoleName::Candidate, RoleName::Leader];

impl Metrics {
    /// Those of this node, whose log is synced like this.
    pub(crate) fn of(id: NodeId, syncs: &Syncs) -> Metrics {
        let queued = Family::<Label, Gauge>::default();
        let queue = |name| queued.get_or_create_owned(&[("queue", name)]);
        let mut metrics = Metrics {
            registry: Registry::default(),
            role: Family::default(),
            term: Gauge::default(),
            index: Family::default(),
            lag: Family::default(),
            unwritten: queue("writes"),
            held: queue("messages held for a write"),
            waiting: queue("proposals waiting for a commit"),
            moving: queue("snapshots under way"),
            queued,
            proposal_bytes: Gauge::default(),
            inbox_bytes: Gauge::default(),
            lease: Seconds::default(),
            traffic: TrafficGauges::default(),
            rendering: Mutex::default(),
            write_seconds: latencies(),
            sync_seconds: syncs.seconds(),
            commit_seconds: latencies(),
            changes_of_role: Family::default(),
            dropped: Counter::default(),
            pauses: Counter::default(),
            longest_pause: Seconds::default(),
            longest_step: Seconds::default(),
            snapshots: Counter::default(),
            snapshots_failed: Counter::default(),
            snapshot_bytes: Gauge::default(),
        };
        metrics.registry = metrics.registered(id);
        metrics
    }

    fn registered(&self, id: NodeId) -> Registry {
        let node = [("node".into(), id.to_string().into())];
        let mut all = Registry::with_prefix_and_labels("quorate", node.into_iter());
        self.register_state(&mut all);
        self.register_latencies(&mut all);
        self.register_troubles(&mut all);
        self.register_snapshots(&mut all);
        self.traffic.register(&mut all);
        all
    }

    /// How the node is, and what waits in it.
    fn register_state(&self, all: &mut Registry) {
        all.register("role", "1 for the role that the node has", self.role.clone());
        all.register("term", "The node's term", self.term.clone());
        all.register("index", "The last entry of each kind", self.index.clone());
        all.register(
            "lag_entries",
            "Entries not known to be committed, and committed ones that are not applied",
            self.lag.clone(),
        );
        all.register("queued", "What waits in each queue", self.queued.clone());
        all.register(
            "proposal_bytes",
            "Bytes of commands that wait for an answer",
            self.proposal_bytes.clone(),
        );
        all.register(
            "inbox_bytes",
            "Bytes of packets that have arrived and wait for the node",
            self.inbox_bytes.clone(),
        );
        all.register_with_unit(
            "lease_left",
            "How long this node may still answer reads alone",
            Unit::Seconds,
            self.lease.clone(),
        );
    }

    fn register_latencies(&self, all: &mut Registry) {
        all.register_with_unit(
            "write",
            "From issuing a write until it is durable",
            Unit::Seconds,
            self.write_seconds.clone(),
        );
        all.register_with_unit(
            "sync",
            "Writing a group of writes to the disk and syncing it",
            Unit::Seconds,
            self.sync_seconds.clone(),
        );
        all.register_with_unit(
            "commit",
            "From taking proposals until they are committed",
            Unit::Seconds,
            self.commit_seconds.clone(),
        );
    }

    fn register_troubles(&self, all: &mut Registry) {
        all.register("changes_of_role", "By the role that began", self.changes_of_role.clone());
        all.register(
            "dropped_messages",
            "Messages that were dropped: their contents did not fit or were gone, \
             or too many waited for a write",
            self.dropped.clone(),
        );
        all.register(
            "pauses",
            "How often the node did not run for an election timeout",
            self.pauses.clone(),
        );
        all.register_with_unit(
            "longest_pause",
            "The longest time by which the node woke too late",
            Unit::Seconds,
            self.longest_pause.clone(),
        );
        all.register_with_unit(
            "longest_step",
            "The longest time that one event kept the node's owner",
            Unit::Seconds,
            self.longest_step.clone(),
        );
    }

    /// Of the node's own machine.
    fn register_snapshots(&self, all: &mut Registry) {
        all.register("snapshots", "Snapshots that were taken", self.snapshots.clone());
        all.register(
            "snapshots_failed",
            "Snapshots that the machine gave up",
            self.snapshots_failed.clone(),
        );
        all.register(
            "snapshot_bytes",
            "Bytes so far of the snapshot that is being written, or all of the last one",
            self.snapshot_bytes.clone(),
        );
    }

    /// All of it as text.
    pub(crate) fn render(&self, sample: &Sample) -> String {
        let _alone = lock(&self.rendering);
        let Sample { vitals, lease_left, .. } = sample;
        for role in ROLES {
            let label = [("role", name(role))];
            self.role.get_or_create(&label).set(i64::from(vitals.role == role));
        }
        self.term.set(signed(vitals.term.0));
        let set = |family: &Family<Label, Gauge>, key, label, value| {
            family.get_or_create(&[(key, label)]).set(signed(value));
        };
        for (kind, index) in [
            ("last", vitals.last),
            ("durable", vitals.durable),
            ("committed", vitals.commit),
            ("applied", vitals.applied),
        ] {
            set(&self.index, "kind", kind, index.0);
        }
        set(&self.lag, "kind", "commit", vitals.commit_lag());
        set(&self.lag, "kind", "apply", vitals.apply_lag());
        set(&self.queued, "queue", "proposals", sample.queued_proposals as u64);
        set(&self.queued, "queue", "reads", sample.waiting_reads as u64);
        set(&self.queued, "queue", "forwarded proposals", sample.forwarded as u64);
        set(&self.queued, "queue", "packets", sample.inbox.things() as u64);
        self.inbox_bytes.set(signed(sample.inbox.bytes() as u64));
        self.traffic.show(&sample.traffic);
        self.proposal_bytes.set(signed(sample.proposal_bytes as u64));
        self.lease.set(seconds(*lease_left));
        let mut text = String::new();
        // Writing to a string does not fail.
        let written: fmt::Result = encode(&mut text, &self.registry);
        debug_assert!(written.is_ok());
        text
    }
}

/// A number as a gauge has it.
pub(crate) fn signed(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// A role as a label.
pub(crate) fn name(role: RoleName) -> &'static str {
    match role {
        RoleName::Follower => "follower",
        RoleName::PreCandidate => "pre-candidate",
        RoleName::Candidate => "candidate",
        RoleName::Leader => "leader",
    }
}

/// A span of the node's clock in seconds.
pub(crate) fn seconds(Duration(nanoseconds): Duration) -> f64 {
    nanoseconds as f64 / 1e9
}

/// A histogram of seconds, from 50 microseconds to 13 seconds.
pub(crate) fn latencies() -> Histogram {
    Histogram::new(exponential_buckets(50e-6, 2.0, 19))
}

#[cfg(test)]
mod tests {
    use quorate_spec::{Index, Term};

    use super::*;
    use crate::inbox::{InboxSender, inbox};
    use crate::record::Payload;
    use crate::traffic::{Moved, PeerTraffic};

    fn sample(inbox: &InboxSender<Payload>, traffic: Traffic) -> Sample {
        let none = Index(0);
        let vitals = Vitals {
            role: RoleName::Follower,
            term: Term(1),
            leader: None,
            last: none,
            durable: none,
            commit: none,
            applied: none,
        };
        Sample {
            vitals,
            lease_left: Duration(0),
            queued_proposals: 0,
            proposal_bytes: 0,
            waiting_reads: 0,
            forwarded: 0,
            inbox: inbox.level(),
            traffic,
        }
    }

    #[test]
    fn what_waits_and_what_moves_is_in_the_text_and_goes_from_it() {
        let metrics = Metrics::of(NodeId(1), &Syncs::default());
        let (sender, _inbox) = inbox(8, 10_000);
        assert_eq!(sender.try_send(vec![7; 872].into()), Ok(()));
        let (to, from) = (Moved { bytes: 3, of: 9 }, Moved { bytes: 4, of: 8 });
        let two = PeerTraffic { queued: 5, queued_bytes: 70, sending: Some(to), receiving: None };
        let three = PeerTraffic { receiving: Some(from), ..PeerTraffic::default() };
        let traffic = Traffic::from([(NodeId(2), two), (NodeId(3), three)]);
        let text = metrics.render(&sample(&sender, traffic));
        for line in [
            "quorate_queued{node=\"1\",queue=\"packets\"} 1",
            "quorate_inbox_bytes{node=\"1\"} 1000",
            "quorate_peer_queued{node=\"1\",peer=\"2\"} 5",
            "quorate_peer_queued_bytes{node=\"1\",peer=\"2\"} 70",
            "quorate_peer_queued{node=\"1\",peer=\"3\"} 0",
            "quorate_transfer_moved_bytes{node=\"1\",peer=\"2\",direction=\"to\"} 3",
            "quorate_transfer_whole_bytes{node=\"1\",peer=\"2\",direction=\"to\"} 9",
            "quorate_transfer_moved_bytes{node=\"1\",peer=\"3\",direction=\"from\"} 4",
            "quorate_transfer_whole_bytes{node=\"1\",peer=\"3\",direction=\"from\"} 8",
        ] {
            assert!(text.lines().any(|it| it == line), "{line} in\n{text}");
        }
        let after = metrics.render(&sample(&sender, Traffic::new()));
        assert!(!after.contains("peer=\""), "what is over is not shown:\n{after}");
    }
}
