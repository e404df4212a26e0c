//! The property: whatever happens to a cluster, no claim becomes false.

use std::fmt;

use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Configuration, Duration, NodeId, Params};

use super::clock::Drift;
use super::cluster::{Cluster, PARAMS};
use super::counts::{Count, Counts};
use super::fair::Settled;
use super::finding::{Findings, Watch};
use super::step::{Step, Verb};
use super::trace::Trace;
use crate::guards::Guards;
use crate::mutation::Mutation;

/// By how much the rates of clocks may be off, in parts per million, where leases rest on it. Much,
/// so that leases are much shorter than promises, and both ends of the bound are tried.
const DRIFT_PPM: u32 = 100_000;

/// What a run is about.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Scenario {
    /// Faults everywhere.
    Faults,
    /// Faults everywhere, without pre-vote, stickiness and check-quorum: safety does not rest on
    /// them.
    Naive,
    /// The same, and without a window: entries leave with a request that is due anyway.
    Windowless,
    /// Faults everywhere, and the last server is a learner.
    Learner,
    /// Three voters, and the other servers know no cluster. Faults everywhere, snapshots, and
    /// operators who ask for any members; after them none: the last change has to complete (claim
    /// ReconfigCompletes).
    Membership,
    /// Faults everywhere, and after them none: the cluster has to commit (claim NoDeadlock).
    Recovery,
    /// Faults everywhere, leases, and clocks that drift as far as those allow: no read is stale.
    Leases,
    /// The same, while the members change as in [`Scenario::Membership`].
    LeasedMembership,
    /// Leases, and clocks that drift three times as far as those allow: some read is stale.
    Overdrift,
    /// Everyone has heard a leader; from then on faults hit a minority that does not lead. It
    /// has to stay leader (claim NonDisruption).
    Disturbance,
}

impl Scenario {
    /// All of them.
    pub const ALL: [Scenario; 10] = [
        Scenario::Faults,
        Scenario::Naive,
        Scenario::Windowless,
        Scenario::Learner,
        Scenario::Membership,
        Scenario::Recovery,
        Scenario::Leases,
        Scenario::LeasedMembership,
        Scenario::Overdrift,
        Scenario::Disturbance,
    ];

    fn params(self) -> Params {
        match self {
            Scenario::Naive => PARAMS.naive(),
            Scenario::Windowless => Params { max_in_flight: 0, ..PARAMS.naive() },
            Scenario::Leases | Scenario::LeasedMembership | Scenario::Overdrift => {
                PARAMS.with_lease(DRIFT_PPM, Duration(1))
            }
            Scenario::Faults
            | Scenario::Learner
            | Scenario::Membership
            | Scenario::Recovery
            | Scenario::Disturbance => PARAMS,
        }
    }

    fn drift(self) -> Drift {
        match self {
            Scenario::Leases | Scenario::LeasedMembership => Drift::Bounded(DRIFT_PPM),
            Scenario::Overdrift => Drift::Bounded(3 * DRIFT_PPM),
            _ => Drift::Unbounded,
        }
    }

    /// Whether a leader may hold a lease.
    fn has_leases(self) -> bool {
        self.params().lease.is_some()
    }

    fn changes_members(self) -> bool {
        matches!(self, Scenario::Membership | Scenario::LeasedMembership)
    }

    /// Whether a run ends without faults, and has to come to rest.
    pub(crate) fn comes_to_rest(self) -> bool {
        self.changes_members() || matches!(self, Scenario::Recovery | Scenario::Leases)
    }

    /// The claim that it does.
    pub(crate) fn rest(self) -> Claim {
        if self.changes_members() { Claim::ReconfigCompletes } else { Claim::NoDeadlock }
    }

    /// How often this verb is drawn in a random run, relative to the others: only where the members
    /// change are they asked to, only where one time passes for all clocks do they drift from it,
    /// and no operator asks a leader to go that has to stay.
    #[must_use]
    pub fn weight(self, verb: Verb) -> u32 {
        let drawn = match verb {
            Verb::ChangeMembers => self.changes_members(),
            Verb::TakeSnapshot | Verb::StopMoving => self == Scenario::Membership,
            Verb::Drift | Verb::Pause => self.has_leases(),
            Verb::Read | Verb::Transfer => self != Scenario::Disturbance,
            _ => true,
        };
        match verb {
            _ if !drawn => 0,
            // For all clocks: every lease would have ended before anything came of it.
            Verb::Timeout if self.has_leases() => verb.weight() / 8,
            Verb::Calm if self.has_leases() => verb.weight() * 3,
            _ => verb.weight(),
        }
    }

    fn configuration(self, servers: usize) -> Configuration {
        if self.changes_members() {
            return Configuration::of((0..servers.min(3) as u64).map(NodeId));
        }
        let learners = u64::from(self == Scenario::Learner);
        let (voters, all) = (servers as u64 - learners, servers as u64);
        Configuration {
            learners: (voters..all).map(NodeId).collect(),
            ..Configuration::of((0..voters).map(NodeId))
        }
    }
}

/// Which cluster runs, under which rules, and what is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// How many servers.
    pub servers: usize,
    /// What the run is about.
    pub scenario: Scenario,
    /// The guard that is broken, if one is.
    pub mutation: Option<Mutation>,
    /// What ends the run.
    pub watch: Watch,
}

impl Setup {
    /// The rules as they are, and no claim may fail.
    #[must_use]
    pub fn sound(servers: usize, scenario: Scenario) -> Setup {
        Setup { servers, scenario, mutation: None, watch: Watch::Everything }
    }

    /// The claims that a run decides: whether a leader stays undisturbed, and whether the cluster
    /// comes to commit, only where that is what the run is about.
    #[must_use]
    pub fn claims(&self) -> ClaimSet {
        let decided = |claim: &Claim| match claim {
            Claim::NonDisruption => self.scenario == Scenario::Disturbance,
            Claim::NoDeadlock => {
                let Setup { scenario, .. } = self;
                let rests = scenario.comes_to_rest() && !scenario.changes_members();
                rests || *scenario == Scenario::Disturbance
            }
            Claim::ReconfigCompletes => self.scenario.changes_members(),
            Claim::LeaseExclusive => self.scenario.has_leases(),
            Claim::TransferProgress => self.scenario.comes_to_rest(),
            Claim::StableLeader | Claim::ElectionProgress => false,
            // Decided where the whole graph is searched, from each of its states.
            Claim::CommitProgress | Claim::ReplicationProgress | Claim::SnapshotProgress => false,
            _ => true,
        };
        let all = Claim::ALL.into_iter().filter(decided);
        all.fold(ClaimSet::NONE, |set, claim| set.union(ClaimSet::of(&[claim])))
    }

    /// The cluster at the beginning.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        let rules = self.mutation.map_or_else(Guards::sound, Guards::broken);
        let first = self.scenario.configuration(self.servers);
        let (params, drift) = (self.scenario.params(), self.scenario.drift());
        Cluster::new(self.servers, first, params, drift, rules)
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} on {} servers", self.scenario, self.servers)?;
        match self.mutation {
            Some(mutation) => write!(f, ", mutant {}", mutation.name()),
            None => Ok(()),
        }
    }
}

/// A run that made something false.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Failure {
    /// What was looked for and found.
    pub found: Findings,
    /// After so many steps.
    pub steps: usize,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} steps: {}", self.steps, self.found)
    }
}

impl std::error::Error for Failure {}

/// A run in which everything held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Ran {
    /// What happened in it.
    pub counts: Counts,
    /// How it came to rest, where its scenario has it do so.
    pub settled: Option<Settled>,
}

/// Runs the trace up to the first finding.
///
/// # Errors
/// What was found.
pub fn run(setup: &Setup, trace: &Trace) -> Result<Ran, Failure> {
    let mut play = Play::begin(setup);
    for (number, step) in trace.0.iter().enumerate() {
        play.step(step);
        play.verdict(number + 1)?;
    }
    play.end(trace);
    play.verdict(trace.0.len())?;
    let mut counts = play.cluster.counts();
    counts.add(Count::Runs, 1);
    Ok(Ran { counts, settled: play.settled })
}

/// A run in progress.
pub(crate) struct Play {
    setup: Setup,
    pub(crate) cluster: Cluster,
    pub(crate) settled: Option<Settled>,
}

impl Play {
    pub(crate) fn begin(setup: &Setup) -> Play {
        let cluster = setup.cluster();
        let mut play = Play { setup: *setup, cluster, settled: None };
        if setup.scenario == Scenario::Disturbance {
            play.establish();
        }
        play
    }

    /// Everyone hears a leader; the minority after it is what faults will hit.
    fn establish(&mut self) {
        let settled = self.cluster.settle(0);
        self.cluster.require(Claim::NoDeadlock, settled.is_ok());
        if let Ok(Settled { leader, .. }) = settled {
            let servers = self.setup.servers;
            let minority = (servers - 1) / 2;
            let exposed = (1..=minority).map(|i| (leader + i) % servers).collect();
            self.cluster.protect(NodeId(leader as u64), exposed);
        }
    }

    pub(crate) fn step(&mut self, step: &Step) {
        self.cluster.apply(step);
    }

    /// What remains to be looked at after the last step.
    pub(crate) fn end(&mut self, trace: &Trace) {
        self.cluster.check_everything();
        let seed = trace.0.last().map_or(0, |step| u64::from(step.draw));
        if self.setup.scenario.comes_to_rest() {
            let owed = self.cluster.history().reads.len() as u64;
            self.cluster.add(Count::ReadsOwed, owed);
            self.cluster.add(Count::TransfersOwed, u64::from(self.cluster.hands_over()));
            let settled = self.cluster.settle(seed);
            self.cluster.require(self.setup.scenario.rest(), settled.is_ok());
            self.cluster.require(Claim::TransferProgress, !self.cluster.hands_over());
            self.settled = settled.ok();
        }
        if let Some(Settled { leader, rounds, .. }) = self.settled {
            let answers = self.cluster.answers_reads();
            self.cluster.require(Claim::ReadProgress, answers);
            let succeeds = self.cluster.succeeds(leader);
            self.cluster.require(Claim::TransferProgress, succeeds);
            let rests = self.cluster.settle(seed).ok();
            self.cluster.require(self.setup.scenario.rest(), rests.is_some());
            self.settled = rests.map(|rests| Settled { rounds, ..rests });
        }
    }

    /// # Errors
    /// What was found, if it is looked for.
    pub(crate) fn verdict(&self, steps: usize) -> Result<(), Failure> {
        let found = self.cluster.found();
        if found.is_empty() {
            return Ok(());
        }
        let found = found.watched(self.setup.watch);
        if found.is_empty() { Ok(()) } else { Err(Failure { found, steps }) }
    }
}
