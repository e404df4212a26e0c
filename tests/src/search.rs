//! Random runs of a setup: either all of them hold, or the first that does not is shrunk.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use proptest::test_runner::{
    Config, FileFailurePersistence, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner,
};
use quorate_model::simulation::{
    Counts, Failure, Finding, Settled, Setup, Trace, Watch, run, tell,
};

use crate::strategy::Traces;

/// How many attempts a shrinking may take.
const SHRINKING: u32 = 20_000;

/// How many runs of a setup, and how long they are.
#[derive(Clone, Debug)]
pub struct Search {
    /// What runs.
    pub setup: Setup,
    /// How many runs there are at most.
    pub runs: u32,
    /// How many steps each has.
    pub steps: Range<usize>,
}

/// What was seen in runs that all held.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// How often things happened, in all of them.
    pub counts: Counts,
    /// How each came to rest, where the scenario has it do so.
    pub settled: Vec<Settled>,
}

/// A run that did not hold.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counterexample {
    /// What is left of it after shrinking.
    pub trace: Trace,
    /// What that shows.
    pub failure: Failure,
    /// How many runs held before it was found.
    pub held: u32,
    /// How many steps it took when it was found.
    pub steps_before: usize,
    /// How many runs the shrinking tried.
    pub attempts: u32,
}

impl Counterexample {
    /// The shrunk run of this setup on which its one claim fails, among a thousand random ones.
    ///
    /// # Panics
    /// Where the claim holds in all of them, or the setup is not about one claim.
    #[must_use]
    pub fn to_claim_of(setup: Setup) -> Counterexample {
        let Watch::Only(claim) = setup.watch else { panic!("{setup} is not about one claim") };
        let found = Search { setup, runs: 1000, steps: 100..900 }.finds();
        let Some(found) = found else { panic!("{setup}: {claim} held") };
        println!(
            "{setup}: {claim} after {} runs, shrunk from {} to {} steps in {} attempts",
            found.held,
            found.steps_before,
            found.trace.0.len(),
            found.attempts
        );
        assert!(found.failure.found.contains(Finding::Claim(claim)), "{:?}", found.failure);
        found
    }

    /// Its story, and the command that walks through it, with the file that this has written
    /// among the temporary ones.
    #[must_use]
    pub fn report(&self, setup: &Setup) -> String {
        let mutant = setup.mutation.map_or(String::new(), |mutant| format!("-{}", mutant.name()));
        let name = format!("quorate-{:?}-{}{mutant}.trace", setup.scenario, setup.servers);
        let path = std::env::temp_dir().join(name);
        let (file, story) = (path.display(), tell(setup, &self.trace));
        let lost = match std::fs::write(&path, self.trace.file(setup)) {
            Ok(()) => String::new(),
            Err(error) => format!(", once it is there (writing it: {error})"),
        };
        format!(
            "{story}\nTo walk through it in a browser{lost}:\n\
             cargo run --release -p quorate-model -- explore --trace {file}\n"
        )
    }
}

impl Search {
    /// Requires every run to hold: those that failed once, whose seeds are in `regressions`, and
    /// new random ones, `QUORATE_SCALE` times as many where that is set.
    ///
    /// # Panics
    /// With the report on the shortest run that does not hold.
    #[must_use]
    pub fn holds(&self, regressions: &'static str) -> Seen {
        let scale = std::env::var("QUORATE_SCALE").ok().and_then(|text| text.parse().ok());
        let persistence = FileFailurePersistence::Direct(regressions);
        let config = Config {
            cases: self.runs * scale.unwrap_or(1),
            max_shrink_iters: SHRINKING,
            failure_persistence: Some(Box::new(persistence)),
            ..Config::default()
        };
        match self.explore(&mut TestRunner::new(config)) {
            Ok(seen) => seen,
            Err(counterexample) => panic!("{}", counterexample.report(&self.setup)),
        }
    }

    /// Looks for a run that does not hold; always the same ones, in the same order.
    #[must_use]
    pub fn finds(&self) -> Option<Counterexample> {
        let config = Config {
            cases: self.runs,
            max_shrink_iters: SHRINKING,
            failure_persistence: None,
            ..Config::default()
        };
        let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
        self.explore(&mut TestRunner::new_with_rng(config, rng)).err()
    }

    fn explore(&self, runner: &mut TestRunner) -> Result<Seen, Counterexample> {
        let seen = RefCell::new(Seen::default());
        let (held, attempts, steps_before) = (Cell::new(0), Cell::new(0), Cell::new(None));
        let Setup { servers, scenario, .. } = self.setup;
        let traces = Traces { servers, steps: self.steps.clone(), scenario };
        let outcome = runner.run(&traces, |trace| {
            let ran = run(&self.setup, &trace);
            if steps_before.get().is_some() {
                attempts.set(attempts.get() + 1);
            }
            match ran {
                Ok(ran) => {
                    held.set(held.get() + u32::from(steps_before.get().is_none()));
                    let mut seen = seen.borrow_mut();
                    seen.counts.absorb(&ran.counts);
                    seen.settled.extend(ran.settled);
                    Ok(())
                }
                Err(failure) => {
                    steps_before.set(steps_before.get().or(Some(failure.steps)));
                    Err(TestCaseError::fail(failure.to_string()))
                }
            }
        });
        let trace = match outcome {
            Ok(()) => return Ok(seen.into_inner()),
            Err(TestError::Fail(_, trace)) => trace,
            Err(TestError::Abort(reason)) => unreachable!("no run is rejected: {reason}"),
        };
        match (run(&self.setup, &trace), steps_before.get()) {
            (Err(failure), Some(steps_before)) => Err(Counterexample {
                trace,
                failure,
                held: held.get(),
                steps_before,
                attempts: attempts.get(),
            }),
            (Ok(_), _) | (Err(_), None) => unreachable!("a run depends on its trace alone"),
        }
    }
}
