//! The figures as a table, or as JSON.

use std::time::Duration;

use crate::load::{Kind, Measured};

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) all: Vec<Measured>,
    /// The disk's own rate, before and after.
    pub(crate) fdatasync: [f64; 2],
    /// The most memory of the three nodes and their clients, in bytes.
    pub(crate) peak: u64,
    /// Of the machine, over the last minute.
    pub(crate) load: f64,
}

impl Report {
    pub(crate) fn print(&self, json: bool) {
        if json {
            println!("{}", self.json());
            return;
        }
        println!(
            "{:<17} {:>7} {:>11} {:>10} {:>10} {:>10} {:>8}",
            "", "clients", "a second", "p50 us", "p99 us", "CPU us", "fsyncs"
        );
        for line in &self.all {
            let syncs = match line.kind {
                Kind::Proposal => format!("{:.3}", line.syncs),
                Kind::LeaseRead | Kind::ReadIndex => "-".to_owned(),
            };
            println!(
                "{:<17} {:>7} {:>11.0} {:>10.1} {:>10.1} {:>10.2} {syncs:>8}",
                line.kind.name(),
                line.clients,
                line.rate,
                micros(line.p50),
                micros(line.p99),
                micros(line.processor),
            );
        }
        let [before, after] = self.fdatasync;
        println!("CPU: all three nodes and their clients, for one operation; fsyncs: the leader's");
        println!("fdatasync of 256 bytes, in place: {before:.0}/s before, {after:.0}/s after");
        println!("peak memory {:.0} MiB, load average {:.1}", mebibytes(self.peak), self.load);
    }

    fn json(&self) -> serde_json::Value {
        let lines = self.all.iter().map(|line| {
            serde_json::json!({
                "operation": line.kind.name(),
                "clients": line.clients,
                "per_second": line.rate,
                "p50_us": micros(line.p50),
                "p99_us": micros(line.p99),
                "cpu_us": micros(line.processor),
                "leader_fsyncs": line.syncs,
            })
        });
        serde_json::json!({
            "lines": lines.collect::<Vec<_>>(),
            "fdatasync_per_second": self.fdatasync,
            "peak_bytes": self.peak,
            "load_average": self.load,
        })
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}

fn mebibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 20)
}
