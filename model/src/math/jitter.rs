//! The spread of election timeouts: how often votes split, and how long a cluster is without a
//! leader, by how many round trips wide the window is from which the timeouts are drawn.
//!
//! The leader stops at a random moment between two of its heartbeats, and the clock runs until
//! another one leads. Every message is under way for half a round trip, so that the probability of a
//! split vote has a formula to compare with.

use quorate_spec::{Duration, Instant, Params, ParamsError};
use serde::Serialize;

use super::binomial::at_least;
use super::cluster::{Cluster, Site};
use super::delay::Delay;
use super::estimate::{Estimate, Share, Z95};
use super::quorum::majority;
use crate::draws::Draws;

/// A round trip, in ticks. Nothing but ratios matters.
const ROUND_TRIP: u64 = 1_000_000;

/// The rule of thumb: a window of ten round trips.
pub const RULE: f64 = 10.0;

/// The minimum election timeout of the experiments, in round trips.
pub const ELECTION_TIMEOUT: f64 = 10.0;

/// The heartbeat interval of the experiments, in round trips.
pub const HEARTBEAT: f64 = 1.0;

/// The windows of the table, in round trips.
pub const WINDOWS: [f64; 9] = [1.0, 2.0, 3.0, 5.0, 10.0, 15.0, 20.0, 30.0, 50.0];

/// The narrowest window, in round trips: within half a round trip nobody can hear of another
/// candidate, and each vote splits.
pub const NARROWEST: f64 = 0.6;

/// What is varied.
#[derive(Clone, Copy, PartialEq, Debug, Serialize)]
pub struct Setting {
    /// The number of servers, the leader included: three or more, for those that are left have to be
    /// a quorum.
    pub servers: u64,
    /// Whether they ask for pre-votes first (thesis §9.6).
    pub pre_vote: bool,
    /// The window from which election timeouts are drawn, in round trips: not below [`NARROWEST`].
    pub window: f64,
}

/// What one run came to.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Failover {
    /// From the end of the old leader to the beginning of the new one, in round trips.
    pub took: f64,
    /// Terms that nobody led.
    pub burnt: u64,
    /// How often a server became a candidate.
    pub candidacies: u64,
}

impl Setting {
    fn params(&self) -> Params {
        let ticks = |round_trips: f64| Duration((round_trips * ROUND_TRIP as f64).round() as u64);
        let params = Params::new(ticks(ELECTION_TIMEOUT), ticks(HEARTBEAT));
        Params { election_jitter: ticks(self.window), pre_vote: self.pre_vote, ..params }
    }

    /// Runs the transition functions so many times; `seed` determines all of it.
    #[must_use]
    pub fn simulate(&self, runs: usize, seed: u64) -> Vec<Failover> {
        let params = self.params();
        let site = Site { link: Delay::constant(ROUND_TRIP / 2), fsync: Duration(0) };
        let before = Cluster::established(params, &vec![site; self.servers as usize], seed);
        let mut draws = Draws(seed);
        (0..runs).map(|_| fail_over(before.clone(), &params, &mut draws)).collect()
    }

    /// The probability that the first term after the old leader's elects nobody. The voters that
    /// are left hear a candidate half a round trip after its timer. Where so many other timers fire
    /// by then that the remaining voters are no quorum, nobody has one. The distance between two of
    /// `n` uniform numbers in order is a beta distribution, which is a sum of binomial terms. The
    /// first heard is the first candidate, so that the others' votes are all its own.
    #[must_use]
    pub fn split_vote(&self) -> f64 {
        let left = self.servers - 1;
        let (quorum, near) = (majority(self.servers), (0.5 / self.window).min(1.0));
        at_least((left + 1).saturating_sub(quorum), left, near)
    }

    /// About how long it takes until another one leads, in round trips: the timeout and the first
    /// timer of those that are left, counted from a heartbeat that came on average half an interval
    /// before the end and half a round trip late; a round trip for the votes, and another for the
    /// pre-votes; and that again for each vote that splits, as if it were the first.
    #[must_use]
    pub fn expected_time(&self) -> f64 {
        let rounds = if self.pre_vote { 2.0 } else { 1.0 };
        let wait = ELECTION_TIMEOUT + self.window / self.servers as f64;
        let split = self.split_vote();
        let again = split / (1.0 - split) * (wait + rounds - 1.0);
        0.5 - HEARTBEAT / 2.0 + wait + rounds + again
    }
}

fn fail_over(mut cluster: Cluster, params: &Params, draws: &mut Draws) -> Failover {
    cluster.draw_from(draws.next());
    // Within an interval everyone has been sent a heartbeat, and draws its timeout when it comes.
    let heartbeat = params.heartbeat_interval.0;
    let stops = Instant(cluster.now().0 + heartbeat + draws.below(heartbeat));
    cluster.run_until(stops);
    let term = cluster.led_term().expect("server 0 leads until it stops");
    let candidacies = cluster.candidacies();
    cluster.stop(0);
    cluster.run_while(|cluster| cluster.led_term().is_none());
    let led = cluster.led_term().expect("it was waited for");
    Failover {
        took: (cluster.now().0 - stops.0) as f64 / ROUND_TRIP as f64,
        burnt: led.0 - term.next().0,
        candidacies: cluster.candidacies() - candidacies,
    }
}

/// A row of the table: what the runs of a setting came to, beside the formula.
#[derive(Clone, Copy, Debug, Serialize)]
pub struct Row {
    /// The setting.
    #[serde(flatten)]
    pub setting: Setting,
    /// How many runs.
    pub runs: usize,
    /// The share of runs in which the first vote split.
    pub split: Estimate,
    /// The probability of that by the formula.
    pub split_by_formula: f64,
    /// The mean time until another one leads, in round trips.
    pub mean: Estimate,
    /// The same by the formula, which is an approximation.
    pub mean_by_formula: f64,
    /// The 99th percentile of that time, in round trips.
    pub p99: Estimate,
    /// The mean number of terms that nobody led.
    pub burnt: Estimate,
    /// The mean number of candidacies.
    pub candidacies: Estimate,
}

impl Row {
    /// Runs a setting so many times.
    #[must_use]
    pub fn of(setting: Setting, runs: usize, seed: u64) -> Row {
        let found = setting.simulate(runs, seed);
        let values = |of: fn(&Failover) -> f64| found.iter().map(of).collect::<Vec<f64>>();
        let mut took = values(|run| run.took);
        took.sort_by(f64::total_cmp);
        let split = found.iter().filter(|run| run.burnt > 0).count();
        Row {
            setting,
            runs,
            split: Estimate::of_share(Share { happened: split, runs }),
            split_by_formula: setting.split_vote(),
            mean: Estimate::of_mean(&took, Z95),
            mean_by_formula: setting.expected_time(),
            p99: Estimate::of_quantile(&took, 0.99),
            burnt: Estimate::of_mean(&values(|run| run.burnt as f64), Z95),
            candidacies: Estimate::of_mean(&values(|run| run.candidacies as f64), Z95),
        }
    }
}

/// The parameters for a measured round trip, the disks of both ends included: a heartbeat each round
/// trip, ten of them in an election timeout, and a window of ten round trips.
///
/// # Errors
/// The round trip is so short that production refuses the parameters.
pub fn recommended(round_trip: Duration) -> Result<Params, ParamsError> {
    let times = |factor: f64| Duration((round_trip.0 as f64 * factor).round() as u64);
    let params = Params::new(times(ELECTION_TIMEOUT), times(HEARTBEAT));
    let params = Params { election_jitter: times(RULE), ..params };
    params.validate().map(|()| params)
}
