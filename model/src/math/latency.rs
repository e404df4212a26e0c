//! How long a commit takes: as long as the slowest of the fastest quorum, the leader counted, whose
//! own acknowledgement needs no network and only its disk.
//!
//! One command at a time, and every delay independent of every other one.

use quorate_spec::{Duration, Params};
use serde::Serialize;

use super::binomial::at_least_of;
use super::cluster::{Cluster, Site};
use super::delay::{Answer, Delay};
use super::estimate::Estimate;
use super::quorum::majority;

/// The share of a round trip that varies; the rest is the same each time.
pub const VARIES: f64 = 0.2;

/// A cluster whose server 0 leads, and some of whose followers are slow.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Fleet {
    /// The number of servers, the leader included.
    pub servers: u64,
    /// How many followers are slow: less than `servers`.
    pub slow: u64,
    /// How many times slower they are, network and disk.
    pub factor: f64,
    /// The mean round trip between two servers that are not slow, in ticks.
    pub round_trip: f64,
    /// How long the disk of such a server takes, in ticks.
    pub fsync: f64,
}

impl Fleet {
    /// The servers, the slow ones last.
    fn sites(&self) -> Vec<Site> {
        let site = |id: u64| {
            let factor = if id >= self.servers - self.slow { self.factor } else { 1.0 };
            let link = Delay::of_round_trip(self.round_trip, VARIES).times(factor);
            Site { link, fsync: Duration((self.fsync * factor).round() as u64) }
        };
        (0..self.servers).map(site).collect()
    }

    /// When each server acknowledges, the leader first.
    #[must_use]
    pub fn answers(&self) -> Vec<Answer> {
        let sites = self.sites();
        let follower = |site: &Site| Answer::of(site.link, site.fsync);
        let own = Answer::own(sites[0].fsync);
        std::iter::once(own).chain(sites.iter().skip(1).map(follower)).collect()
    }

    /// The probability that an entry is committed within so many ticks: that a quorum has
    /// acknowledged it.
    #[must_use]
    pub fn committed_within(&self, ticks: f64) -> f64 {
        let arrived: Vec<f64> = self.answers().iter().map(|it| it.within(ticks)).collect();
        at_least_of(majority(self.servers) as usize, &arrived)
    }

    /// By when the share `p` of entries is committed, in ticks.
    #[must_use]
    pub fn quantile(&self, p: f64) -> f64 {
        let (mut low, mut high) = (0.0, self.round_trip + self.fsync);
        while self.committed_within(high) < p {
            high *= 2.0;
        }
        // The difference is below a tick long before that.
        for _ in 0..100 {
            let middle = f64::midpoint(low, high);
            if self.committed_within(middle) < p { low = middle } else { high = middle }
        }
        high
    }

    /// Lets the transition functions commit so many commands, one after the other, and gives how
    /// long each took at the leader, in ticks, from the shortest to the longest.
    #[must_use]
    pub fn simulate(&self, runs: usize, seed: u64) -> Vec<f64> {
        // No heartbeat and no timer comes between: a heartbeat behind an entry that is still under
        // way would acknowledge it, too, and what the formula says would not be what is measured.
        let slowest = (self.round_trip + self.fsync) * self.factor.max(1.0);
        let heartbeat = Duration((slowest * 1_000.0) as u64);
        let params = Params::new(Duration(heartbeat.0 * 10), heartbeat);
        let mut cluster = Cluster::established(params, &self.sites(), seed);
        let mut took: Vec<f64> = (0..runs).map(|_| commit(&mut cluster)).collect();
        took.sort_by(f64::total_cmp);
        took
    }
}

fn commit(cluster: &mut Cluster) -> f64 {
    cluster.settle();
    let begun = cluster.now();
    let index = cluster.propose(0);
    cluster.run_while(|cluster| cluster.committed(0) < index);
    (cluster.now().0 - begun.0) as f64
}

/// A row of the table: what the runs of a fleet came to, beside the formula. Times in ticks.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row {
    /// The fleet.
    #[serde(flatten)]
    pub fleet: Fleet,
    /// How many commits were timed.
    pub runs: usize,
    /// The median by the formula.
    pub p50_by_formula: f64,
    /// The median of the runs.
    pub p50: Estimate,
    /// The 99th percentile by the formula.
    pub p99_by_formula: f64,
    /// The 99th percentile of the runs.
    pub p99: Estimate,
}

impl Row {
    /// Times so many commits of a fleet.
    #[must_use]
    pub fn of(fleet: Fleet, runs: usize, seed: u64) -> Row {
        let took = fleet.simulate(runs, seed);
        Row {
            fleet,
            runs,
            p50_by_formula: fleet.quantile(0.5),
            p50: Estimate::of_quantile(&took, 0.5),
            p99_by_formula: fleet.quantile(0.99),
            p99: Estimate::of_quantile(&took, 0.99),
        }
    }
}
