//! The figures as one table, or as JSON.

use std::time::Duration;

use crate::contender::Operation;
use crate::load::Measured;

/// What one contender did in all rounds of one line.
pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) rounds: Vec<Measured>,
}

/// One operation from so many clients: ours first.
pub(crate) struct Line {
    pub(crate) operation: Operation,
    pub(crate) clients: usize,
    pub(crate) sides: Vec<Side>,
}

/// Everything that was measured.
pub(crate) struct Report {
    pub(crate) lines: Vec<Line>,
    /// The disk's own rate, before and after.
    pub(crate) fdatasync: [f64; 2],
    pub(crate) load: f64,
    /// The most memory of everything together, in bytes.
    pub(crate) peak: u64,
}

impl Side {
    /// The round in the middle: another program's moment is no property of a contender.
    fn median(&self, of: impl Fn(&Measured) -> f64) -> f64 {
        let mut all: Vec<f64> = self.rounds.iter().map(of).collect();
        all.sort_by(f64::total_cmp);
        all.get(all.len() / 2).copied().unwrap_or(0.0)
    }

    fn rate(&self) -> f64 {
        self.median(|round| round.rate)
    }

    fn at(&self, share: f64) -> f64 {
        self.median(|round| micros(round.took.at(share)))
    }
}

impl Line {
    /// How many times as much as each other contender ours did, in the rounds side by side: the
    /// median of their ratios.
    fn ratio(&self, side: usize) -> f64 {
        let pairs = self.sides[0].rounds.iter().zip(&self.sides[side].rounds);
        let mut ratios: Vec<f64> = pairs.map(|(ours, other)| ours.rate / other.rate).collect();
        ratios.sort_by(f64::total_cmp);
        ratios.get(ratios.len() / 2).copied().unwrap_or(0.0)
    }
}

impl Report {
    pub(crate) fn print(&self, json: bool) {
        if json {
            println!("{:#}", self.json());
            return;
        }
        println!(
            "{:<19} {:>7}  {:<22} {:>9} {:>9} {:>9} {:>8} {:>7} {:>6}",
            "", "clients", "", "a second", "p50 us", "p99 us", "CPU us", "fsyncs", "ratio"
        );
        for line in &self.lines {
            for (number, side) in line.sides.iter().enumerate() {
                let (operation, clients) = match number {
                    0 => (line.operation.name(), line.clients.to_string()),
                    _ => ("", String::new()),
                };
                let syncs = match line.operation {
                    Operation::Proposal => format!("{:.3}", side.median(|round| round.syncs)),
                    Operation::Read => "-".to_owned(),
                };
                println!(
                    "{operation:<19} {clients:>7}  {:<22} {:>9.0} {:>9.0} {:>9.0} {:>8.1} {syncs:>7} {:>6.2}",
                    side.name,
                    side.rate(),
                    side.at(0.50),
                    side.at(0.99),
                    side.median(|round| micros(round.processor)),
                    line.ratio(number)
                );
            }
        }
        let [before, after] = self.fdatasync;
        println!(
            "ratio: operations of quorate for one of this, the median of the rounds side by side"
        );
        println!("CPU: three nodes and their clients, for one operation; fsyncs: the leader's");
        println!("fdatasync of 256 bytes, in place: {before:.0}/s before, {after:.0}/s after");
        println!("peak memory {} MiB, load average {:.1}", self.peak >> 20, self.load);
    }

    fn json(&self) -> serde_json::Value {
        let lines = self.lines.iter().flat_map(|line| {
            line.sides.iter().enumerate().map(|(number, side)| {
                serde_json::json!({
                    "operation": line.operation.name(),
                    "clients": line.clients,
                    "of": side.name,
                    "per_second": side.rate(),
                    "per_second_of_rounds":
                        side.rounds.iter().map(|round| round.rate).collect::<Vec<_>>(),
                    "p50_us": side.at(0.50),
                    "p99_us": side.at(0.99),
                    "cpu_us": side.median(|round| micros(round.processor)),
                    "leader_fsyncs": side.median(|round| round.syncs),
                    "quorate_for_one": line.ratio(number),
                })
            })
        });
        serde_json::json!({
            "lines": lines.collect::<Vec<_>>(),
            "fdatasync_per_second": self.fdatasync,
            "load_average": self.load,
            "peak_bytes": self.peak,
        })
    }
}

fn micros(time: Duration) -> f64 {
    time.as_secs_f64() * 1e6
}
