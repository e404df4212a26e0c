//! Random runs, and how a failing one is shrunk.
//!
//! proptest's own vectors shrink by one element at a time, which is slow for thousands of steps;
//! here whole stretches are left out first, and then the numbers of what remains are made small.

use std::ops::Range;

use proptest::prelude::{Rng, RngExt, Strategy};
use proptest::strategy::{NewTree, ValueTree};
use proptest::test_runner::TestRunner;
use quorate_model::simulation::{Scenario, Step, Trace, Verb};

/// Random runs of a cluster.
#[derive(Clone, Debug)]
pub struct Traces {
    /// How many servers the cluster has.
    pub servers: usize,
    /// How many steps a run has.
    pub steps: Range<usize>,
    /// What the run is about: which verbs are drawn.
    pub scenario: Scenario,
}

impl Strategy for Traces {
    type Tree = TraceTree;
    type Value = Trace;

    fn new_tree(&self, runner: &mut TestRunner) -> NewTree<Self> {
        let rng = runner.rng();
        let length = rng.random_range(self.steps.clone());
        let mut steps = Vec::with_capacity(length);
        while steps.len() < length {
            let episode = rng.random_range(20..200).min(length - steps.len());
            let mood = Mood::random(self.scenario, rng);
            if rng.random_range(0..2) == 0 {
                steps.push(Step { verb: Verb::HealAll, who: 0, size: 0, draw: 0 });
            }
            steps.extend((0..episode).map(|_| mood.step(self.servers, rng)));
        }
        Ok(TraceTree::new(steps))
    }
}

/// What an episode of a run is like: how often each verb is drawn. Some things do not happen in
/// it at all and some happen often, which reaches more states than the same mixture throughout.
struct Mood {
    weights: Vec<(Verb, u32)>,
    total: u32,
}

impl Mood {
    fn random(scenario: Scenario, rng: &mut impl Rng) -> Mood {
        let mut weigh = |verb: &Verb| {
            let often = match rng.random_range(0..4) {
                0 => 0,
                1 | 2 => 1,
                _ => 4,
            };
            // Without messages and time nothing else matters.
            let least = u32::from(matches!(verb, Verb::Deliver | Verb::ElapseAll));
            (*verb, scenario.weight(*verb) * least.max(often))
        };
        let drawn = Verb::ALL.iter().filter(|verb| scenario.weight(**verb) > 0);
        let weights: Vec<_> = drawn.map(&mut weigh).collect();
        let total = weights.iter().map(|(_, weight)| weight).sum();
        Mood { weights, total }
    }

    fn step(&self, servers: usize, rng: &mut impl Rng) -> Step {
        let mut at = rng.random_range(0..self.total);
        let mut drawn = Verb::Deliver;
        for (verb, weight) in &self.weights {
            drawn = *verb;
            if at < *weight {
                break;
            }
            at -= weight;
        }
        let who = rng.random_range(0..servers as u8);
        Step { verb: drawn, who, size: rng.random(), draw: rng.random() }
    }
}

/// A run that is being shrunk.
#[derive(Clone, Debug)]
pub struct TraceTree {
    /// The shortest failing run so far.
    steps: Vec<Step>,
    /// A shorter or simpler one that is being tried.
    candidate: Option<Vec<Step>>,
    next: Attempt,
}

/// What is to be tried next.
#[derive(Clone, Copy, Debug)]
enum Attempt {
    /// To leave out so many steps that end here; `progress` says whether that succeeded since all
    /// steps were gone through last.
    LeaveOut {
        length: usize,
        end: usize,
        progress: bool,
    },
    /// To make this step smaller in this way.
    Simplify {
        at: usize,
        way: usize,
        progress: bool,
    },
    Nothing,
}

/// How many ways there are to make a step smaller.
const WAYS: usize = 7;

impl TraceTree {
    fn new(steps: Vec<Step>) -> TraceTree {
        let length = steps.len().div_ceil(2);
        let next = Attempt::LeaveOut { length, end: steps.len(), progress: false };
        TraceTree { steps, candidate: None, next }
    }

    /// Finds the next candidate; none when all have been tried.
    fn propose(&mut self) -> Option<Vec<Step>> {
        loop {
            match self.next {
                Attempt::LeaveOut { end: 0, length, progress } => {
                    self.next = after_pass(length, progress, self.steps.len());
                }
                Attempt::LeaveOut { length, end, progress } => {
                    let start = end.saturating_sub(length);
                    self.next = Attempt::LeaveOut { length, end: start, progress };
                    return Some([&self.steps[..start], &self.steps[end..]].concat());
                }
                Attempt::Simplify { at, progress, .. } if at == self.steps.len() => {
                    self.next =
                        if progress { leave_out_one(self.steps.len()) } else { Attempt::Nothing };
                }
                Attempt::Simplify { at, way, progress } => {
                    let (at_next, way_next) =
                        if way + 1 < WAYS { (at, way + 1) } else { (at + 1, 0) };
                    self.next = Attempt::Simplify { at: at_next, way: way_next, progress };
                    let simpler = simplified(self.steps[at], way);
                    if simpler != self.steps[at] {
                        let mut steps = self.steps.clone();
                        steps[at] = simpler;
                        return Some(steps);
                    }
                }
                Attempt::Nothing => return None,
            }
        }
    }

    fn try_next(&mut self) -> bool {
        self.candidate = self.propose();
        self.candidate.is_some()
    }
}

/// After all steps were gone through: shorter stretches, single steps again where that helped,
/// and at last the numbers.
fn after_pass(length: usize, progress: bool, steps: usize) -> Attempt {
    match (length, progress) {
        (0 | 1, false) => Attempt::Simplify { at: 0, way: 0, progress: false },
        (0 | 1, true) => leave_out_one(steps),
        (length, _) => {
            Attempt::LeaveOut { length: length.div_ceil(2), end: steps, progress: false }
        }
    }
}

fn leave_out_one(steps: usize) -> Attempt {
    Attempt::LeaveOut { length: 1, end: steps, progress: false }
}

fn simplified(step: Step, way: usize) -> Step {
    let Step { who, size, draw, .. } = step;
    match way {
        0 => Step { draw: 0, ..step },
        1 => Step { size: 0, ..step },
        2 => Step { size: size / 2, ..step },
        3 => Step { size: size.saturating_sub(1), ..step },
        4 => Step { who: 0, ..step },
        5 => Step { who: who.saturating_sub(1), ..step },
        _ => Step { draw: draw / 2, ..step },
    }
}

impl ValueTree for TraceTree {
    type Value = Trace;

    fn current(&self) -> Trace {
        Trace(self.candidate.as_ref().unwrap_or(&self.steps).clone())
    }

    /// The candidate fails too: it takes the place of the run.
    fn simplify(&mut self) -> bool {
        if let Some(candidate) = self.candidate.take() {
            self.steps = candidate;
            match &mut self.next {
                Attempt::LeaveOut { progress, .. } => *progress = true,
                Attempt::Simplify { at, way, progress } => {
                    *progress = true;
                    // The same step once more, from its first way on.
                    *at -= usize::from(*way == 0);
                    *way = 0;
                }
                Attempt::Nothing => {}
            }
        }
        self.try_next()
    }

    /// The candidate does not fail: the next one is tried.
    fn complicate(&mut self) -> bool {
        self.try_next()
    }
}
