//! The figures as lines, or as JSON.

use std::time::Duration;

use quorate_spec::Term;

use crate::Options;
use crate::load::Part;

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) options: Options,
    /// The writes before the node came back, and until it had caught up.
    pub(crate) parts: [(Part, Duration); 2],
    /// From its opening until it had applied what was committed then, and until it had applied
    /// what was committed a moment before.
    pub(crate) restored: Duration,
    pub(crate) caught_up: Duration,
    /// Bytes of snapshots that it was sent, and from the first to the last of them.
    pub(crate) sent: (u64, Duration),
    /// Before and after.
    pub(crate) terms: [Term; 2],
    /// The longest that a step's work took a task that waits for nobody.
    pub(crate) controls: [Duration; 2],
    /// Of each node.
    pub(crate) nodes: Vec<NodeFigures>,
    /// Syncs of the disk in a second, before everything.
    pub(crate) fdatasync: f64,
    /// The most memory of the three nodes and the load, before the node came back and at the end,
    /// in bytes.
    pub(crate) peak: [u64; 2],
    /// Processor time of everything from the opening until it had caught up.
    pub(crate) processor: Duration,
    pub(crate) load: f64,
}

/// What a node says of itself.
pub(crate) struct NodeFigures {
    pub(crate) id: u64,
    /// The longest time that one event kept its owner: until the node came back, and at the end.
    pub(crate) longest_step: [f64; 2],
    pub(crate) longest_pause: [f64; 2],
    /// Snapshots of its own that it finished meanwhile.
    pub(crate) snapshots: f64,
}

const NAMES: [&str; 2] = ["before", "during the catch-up"];

impl Report {
    /// Whether nobody was elected.
    pub(crate) fn is_calm(&self) -> bool {
        self.terms[0] == self.terms[1]
    }

    pub(crate) fn print(&self) {
        if self.options.json {
            println!("{:#}", self.json());
            return;
        }
        let Options { state, rate, entries_per_snapshot, .. } = &self.options;
        println!(
            "state {state} MiB, {rate} writes/s due, a snapshot every {entries_per_snapshot} entries"
        );
        println!(
            "{:<20} {:>9} {:>8} {:>8} {:>8} {:>8}",
            "writes", "a second", "p50 ms", "p99 ms", "max ms", "failed"
        );
        for ((part, span), name) in self.parts.iter().zip(NAMES) {
            println!(
                "{name:<20} {:>9.0} {:>8.1} {:>8.1} {:>8.1} {:>8}",
                part.took.len() as f64 / span.as_secs_f64(),
                millis(part.took.at(0.50)),
                millis(part.took.at(0.99)),
                millis(part.longest),
                part.failed
            );
        }
        let (bytes, span) = self.sent;
        println!(
            "caught up in {:.1} s, {:.1} s until it had what was committed when it came",
            self.caught_up.as_secs_f64(),
            self.restored.as_secs_f64()
        );
        println!("snapshots sent: {:.0} MiB in {:.1} s", mebibytes(bytes), span.as_secs_f64());
        println!(
            "{:<5} {:>21} {:>22} {:>16}",
            "node", "longest step ms", "longest pause ms", "snapshots taken"
        );
        for NodeFigures { id, longest_step, longest_pause, snapshots } in &self.nodes {
            let [step, step_after] = longest_step.map(|it| 1e3 * it);
            let [pause, pause_after] = longest_pause.map(|it| 1e3 * it);
            let step = format!("{step:.1} -> {step_after:.1}");
            let pause = format!("{pause:.1} -> {pause_after:.1}");
            println!("{id:<5} {step:>21} {pause:>22} {snapshots:>16}");
        }
        let [before, after] = self.controls.map(millis);
        println!("{:<5} {:>21}", "bare", format!("{before:.1} -> {after:.1}"));
        let [before, after] = self.terms;
        println!("elections: {}", if before == after { "none" } else { "YES" });
        let [before, after] = self.peak;
        println!(
            "peak memory {:.0} MiB before, {:.0} MiB at the end; CPU {:.1} s; fdatasync {:.0}/s; load average {:.1}",
            mebibytes(before),
            mebibytes(after),
            self.processor.as_secs_f64(),
            self.fdatasync,
            self.load
        );
    }

    fn json(&self) -> serde_json::Value {
        let writes = self.parts.iter().zip(NAMES).map(|((part, span), name)| {
            serde_json::json!({
                "part": name,
                "per_second": part.took.len() as f64 / span.as_secs_f64(),
                "p50_ms": millis(part.took.at(0.50)),
                "p99_ms": millis(part.took.at(0.99)),
                "max_ms": millis(part.longest),
                "failed": part.failed,
            })
        });
        let nodes = self.nodes.iter().map(|node| {
            serde_json::json!({
                "node": node.id,
                "longest_step_s": node.longest_step,
                "longest_pause_s": node.longest_pause,
                "snapshots": node.snapshots,
            })
        });
        serde_json::json!({
            "state_mib": self.options.state,
            "rate": self.options.rate,
            "entries_per_snapshot": self.options.entries_per_snapshot,
            "writes": writes.collect::<Vec<_>>(),
            "restored_s": self.restored.as_secs_f64(),
            "caught_up_s": self.caught_up.as_secs_f64(),
            "snapshot_bytes": self.sent.0,
            "snapshot_s": self.sent.1.as_secs_f64(),
            "bare_step_s": self.controls.map(|it| it.as_secs_f64()),
            "terms": self.terms.map(|term| term.0),
            "nodes": nodes.collect::<Vec<_>>(),
            "peak_bytes": self.peak,
            "cpu_s": self.processor.as_secs_f64(),
            "fdatasync_per_second": self.fdatasync,
            "load_average": self.load,
        })
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
