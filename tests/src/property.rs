//! The property: whatever happens to a cluster, no claim becomes false.

use std::fmt;

use quorate_model::guards::Guards;
use quorate_model::mutation::Mutation;

use crate::cluster::Cluster;
use crate::counts::{Count, Counts};
use crate::finding::{Findings, Watch};
use crate::trace::Trace;

/// Which cluster runs, under which rules, and what is looked for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Setup {
    /// How many servers, all of them voters.
    pub servers: usize,
    /// The guard that is broken, if one is.
    pub mutation: Option<Mutation>,
    /// What ends the run.
    pub watch: Watch,
}

impl Setup {
    /// The rules as they are, and no claim may fail.
    #[must_use]
    pub fn sound(servers: usize) -> Setup {
        Setup { servers, mutation: None, watch: Watch::Everything }
    }

    /// One guard broken, and the claim is looked for that has to fail for it.
    #[must_use]
    pub fn broken(servers: usize, mutation: Mutation) -> Setup {
        Setup { servers, mutation: Some(mutation), watch: Watch::Only(mutation.killer()) }
    }

    /// The cluster at the beginning.
    #[must_use]
    pub fn cluster(&self) -> Cluster {
        let rules = self.mutation.map_or_else(Guards::sound, Guards::broken);
        Cluster::new(self.servers, rules)
    }
}

impl fmt::Display for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} servers", self.servers)?;
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

/// Runs the trace up to the first finding.
///
/// # Errors
/// What was found.
pub fn run(setup: &Setup, trace: &Trace) -> Result<(Cluster, Counts), Failure> {
    let mut cluster = setup.cluster();
    for (number, step) in trace.0.iter().enumerate() {
        cluster.apply(step);
        verdict(setup, &cluster, number + 1)?;
    }
    cluster.check_everything();
    verdict(setup, &cluster, trace.0.len())?;
    let mut counts = cluster.counts();
    counts.add(Count::Runs, 1);
    Ok((cluster, counts))
}

fn verdict(setup: &Setup, cluster: &Cluster, steps: usize) -> Result<(), Failure> {
    if cluster.found().is_empty() {
        return Ok(());
    }
    let found = cluster.found().watched(setup.watch);
    if found.is_empty() { Ok(()) } else { Err(Failure { found, steps }) }
}
