//! Running slices: four verdicts, and no other.

use std::fmt;
use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use quorate_spec::property::{Claim, ClaimSet};
use stateright::{Checker, HasDiscoveries, Model};

use crate::coverage::Coverage;
use crate::guards::Guards;
use crate::model::SliceModel;
use crate::mutation::Mutation;
use crate::search::{Found, Trace, breadth_first, shortest};
use crate::slice::{Declared, Slice};

/// A slice with at most so many states is searched a second time, by the project's own search
/// with full states in a set, which also tells the depth.
pub const SECOND_OPINION: usize = 300_000;

/// How many states the search for a shortest trace may keep.
pub const TRACE_LIMIT: usize = 4_000_000;

/// What a run showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every reachable state of the slice was checked, and every claim held.
    Exhausted,
    /// Every state within so many steps was checked, and every claim held.
    Bounded(usize),
    /// This claim fails.
    Violated(Claim),
    /// The run was stopped before its end: it shows nothing.
    Incomplete,
}

impl Verdict {
    /// Whether this is what the slice declares.
    #[must_use]
    pub fn is(self, declared: Declared) -> bool {
        match (self, declared) {
            (Verdict::Exhausted, Declared::Exhausted) => true,
            (Verdict::Bounded(reached), Declared::Bounded(depth)) => reached >= depth,
            (Verdict::Violated(claim), Declared::Violated(expected)) => claim == expected,
            _ => false,
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Exhausted => f.pad("EXHAUSTED"),
            Verdict::Bounded(depth) => f.pad(&format!("BOUNDED({depth})")),
            Verdict::Violated(claim) => f.pad(&format!("VIOLATED {claim}")),
            Verdict::Incomplete => f.pad("INCOMPLETE"),
        }
    }
}

/// A finished run of a slice.
pub struct Checked {
    /// The slice.
    pub slice: Slice,
    /// What it showed.
    pub verdict: Verdict,
    /// The states that were met, each once.
    pub unique: u64,
    /// The states that steps led to, counted each time.
    pub generated: u64,
    /// The number of steps to the farthest state, where a breadth-first search found it.
    pub depth: Option<usize>,
    /// How long it took.
    pub seconds: f64,
    /// The memory that the run needed at its peak, for each unique state.
    pub bytes_per_state: Option<f64>,
    /// What the project's own search counted, where it ran.
    pub second_opinion: Option<u64>,
    /// The shortest trace to the violation, where there is one.
    pub trace: Option<Trace>,
    /// What was seen happening.
    pub coverage: Coverage,
}

impl Checked {
    /// The expected number of pairs of states with equal 64-bit fingerprints, `n²/2^65`: TLC's
    /// optimistic estimate.
    #[must_use]
    pub fn collision_estimate(&self) -> f64 {
        let n = self.unique as f64;
        n * n / 2f64.powi(65)
    }

    /// What is not as the slice declares, in a sentence; none if all is well.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        if !self.verdict.is(self.slice.declared) {
            let declared = crate::report::declared(self.slice.declared);
            return Some(format!("is {}, declared {declared}", self.verdict));
        }
        if let Some(counted) = self.second_opinion.filter(|counted| *counted != self.unique) {
            return Some(format!("Stateright met {} states, our search {counted}", self.unique));
        }
        match self.slice.pinned {
            Some(pinned) if pinned != self.unique && self.verdict == Verdict::Exhausted => {
                Some(format!("has {} unique states, pinned are {pinned}", self.unique))
            }
            Some(_) | None => None,
        }
    }

    /// The verdict on one claim of the slice.
    #[must_use]
    pub fn verdict_on(&self, claim: Claim) -> &'static str {
        match self.verdict {
            Verdict::Violated(violated) if violated == claim => "VIOLATED",
            Verdict::Exhausted => "EXHAUSTED",
            Verdict::Bounded(_) => "BOUNDED",
            Verdict::Violated(_) | Verdict::Incomplete => "INCOMPLETE",
        }
    }
}

/// How a run is limited and watched.
pub struct Watch<'a> {
    /// The number of checker threads.
    pub threads: usize,
    /// After this time a slice ends as INCOMPLETE.
    pub time_limit: Option<Duration>,
    /// The bytes that the process has allocated at present, and at its peak since the last reset.
    pub memory: Memory,
    /// Told about progress several times a second.
    pub progress: &'a dyn Fn(&Progress),
}

/// How a run reads the memory that it needs.
#[derive(Clone, Copy)]
pub struct Memory {
    /// The bytes that are allocated now.
    pub now: fn() -> usize,
    /// The most bytes that were allocated since the last reset.
    pub peak: fn() -> usize,
    /// Forgets the peak.
    pub reset: fn(),
}

/// How far a run is.
pub struct Progress {
    /// Unique states so far.
    pub unique: usize,
    /// Unique states per second so far.
    pub rate: f64,
    /// The depth of the search at present.
    pub depth: usize,
    /// States that were met and not yet looked at.
    pub queue: usize,
}

/// Checks a slice of the sound specification.
///
/// # Panics
/// If a checker thread panics: then the model is wrong, and no verdict is due.
#[must_use]
pub fn check(slice: Slice, watch: &Watch<'_>) -> Checked {
    (watch.memory.reset)();
    let (before, start) = ((watch.memory.now)(), Instant::now());
    let model = Arc::new(SliceModel::new(slice, Guards::sound()));
    let mut checked = match slice.declared {
        Declared::Exhausted | Declared::Violated(_) => exhaust(&model, watch),
        Declared::Bounded(depth) => within(&model, depth, watch),
    };
    let peak = (watch.memory.peak)().saturating_sub(before);
    checked.seconds = start.elapsed().as_secs_f64();
    checked.bytes_per_state =
        (checked.unique >= 100_000).then(|| peak as f64 / checked.unique as f64);
    let small = checked.unique as usize <= SECOND_OPINION;
    if checked.verdict == Verdict::Exhausted && small {
        let found = breadth_first(&model, slice.claims, usize::MAX, usize::MAX);
        checked.second_opinion = Some(found.unique as u64);
        checked.depth = Some(found.depth);
    }
    checked
}

/// Lets Stateright search everything; the shortest trace of a violation is our own search's.
fn exhaust(model: &Arc<SliceModel>, watch: &Watch<'_>) -> Checked {
    let start = Instant::now();
    let checker = Shared(Arc::clone(model))
        .checker()
        .threads(watch.threads)
        .finish_when(HasDiscoveries::AnyFailures)
        .spawn_dfs();
    let mut pause = Duration::from_millis(1);
    while !checker.is_done() && checker.discoveries().is_empty() {
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
        let (unique, elapsed) = (checker.unique_state_count(), start.elapsed());
        (watch.progress)(&Progress {
            unique,
            rate: unique as f64 / elapsed.as_secs_f64(),
            depth: checker.max_depth(),
            queue: unique.saturating_sub(model.visited()),
        });
        if watch.time_limit.is_some_and(|limit| elapsed > limit) {
            model.stop();
        }
    }
    // Joining shows a panic of a checker thread; Stateright's own report would swallow it.
    let checker = checker.join();
    let (unique, generated) = (checker.unique_state_count(), checker.state_count());
    let violated = !checker.discoveries().is_empty();
    let mut verdict = if model.is_stopped() { Verdict::Incomplete } else { Verdict::Exhausted };
    let (mut trace, mut depth) = (None, None);
    if violated {
        // Another claim may fail earlier than the one that Stateright met first; the declared
        // one is shown if it does fail.
        let declared = match model.slice.declared {
            Declared::Violated(claim) => ClaimSet::of(&[claim]),
            Declared::Exhausted | Declared::Bounded(_) => model.slice.claims,
        };
        let found = breadth_first(model, declared, TRACE_LIMIT, usize::MAX);
        let first = found.false_claims.iter().next();
        verdict = first.map_or(Verdict::Incomplete, Verdict::Violated);
        depth = found.path.as_ref().map(|path| path.len() - 1);
        trace = found.path.and_then(|path| crate::search::plain_trace(model, &path));
    }
    Checked {
        slice: model.slice,
        verdict,
        unique: unique as u64,
        generated: generated as u64,
        depth,
        seconds: 0.0,
        bytes_per_state: None,
        second_opinion: None,
        trace,
        coverage: model.coverage().clone(),
    }
}

/// Searches every state within `depth` steps. Stateright counts the states at a depth limit
/// without checking them, so this is our own search.
fn within(model: &SliceModel, depth: usize, watch: &Watch<'_>) -> Checked {
    let found = breadth_first(model, model.slice.claims, usize::MAX, depth);
    (watch.progress)(&Progress { unique: found.unique, rate: 0.0, depth: found.depth, queue: 0 });
    let verdict = match found.false_claims.iter().next() {
        Some(claim) => Verdict::Violated(claim),
        None if found.cut_short => Verdict::Bounded(depth),
        None => Verdict::Exhausted,
    };
    let trace = found.path.as_ref().and_then(|path| crate::search::plain_trace(model, path));
    Checked {
        slice: model.slice,
        verdict,
        unique: found.unique as u64,
        generated: found.generated as u64,
        depth: Some(found.depth),
        seconds: 0.0,
        bytes_per_state: None,
        second_opinion: None,
        trace,
        coverage: model.coverage().clone(),
    }
}

/// A model that the checker and its watcher share.
struct Shared(Arc<SliceModel>);

impl Model for Shared {
    type State = crate::state::State;
    type Action = crate::action::Action;

    fn init_states(&self) -> Vec<Self::State> {
        self.0.init_states()
    }

    fn actions(&self, state: &Self::State, actions: &mut Vec<Self::Action>) {
        self.0.actions(state, actions);
    }

    fn next_state(&self, last: &Self::State, action: Self::Action) -> Option<Self::State> {
        self.0.next_state(last, action)
    }

    fn properties(&self) -> Vec<stateright::Property<Self>> {
        crate::claims::properties(self.0.slice.claims)
    }
}

impl crate::claims::HoldsModel for Shared {
    fn slice_model(&self) -> &SliceModel {
        &self.0
    }
}

/// A mutant's fate.
pub struct Killed {
    /// The mutant.
    pub mutation: Mutation,
    /// The slice that found it, if one did.
    pub slice: Option<Slice>,
    /// The shortest trace to the claim that it breaks.
    pub trace: Option<Trace>,
    /// The states that the search met.
    pub unique: usize,
    /// How long it took.
    pub seconds: f64,
}

/// Searches a mutant's slices for the shortest trace on which its claim fails.
#[must_use]
pub fn kill(mutation: Mutation) -> Killed {
    let start = Instant::now();
    let mut unique = 0;
    for name in mutation.slices() {
        let Some(slice) = crate::slices::named(name) else { continue };
        let model = SliceModel::new(slice, Guards::broken(mutation));
        let (found, trace): (Found, _) = shortest(&model, mutation.killer(), TRACE_LIMIT);
        unique += found.unique;
        if trace.is_some() {
            let seconds = start.elapsed().as_secs_f64();
            return Killed { mutation, slice: Some(slice), trace, unique, seconds };
        }
    }
    Killed { mutation, slice: None, trace: None, unique, seconds: start.elapsed().as_secs_f64() }
}
