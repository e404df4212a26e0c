//! Running slices and mutants, watched and limited: four verdicts, and no other.

use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate_spec::property::ClaimSet;

pub use crate::checked::{Checked, Reach, Verdict, Violation};
use crate::exhaust::exhaust;
use crate::guards::Guards;
use crate::model::SliceModel;
use crate::mutation::Mutation;
use crate::search::{Found, Hook, Trace, breadth_first_watched, plain_trace, shortest};
use crate::slice::{Declared, Slice};

/// A slice with at most so many states is searched a second time, by the project's own search
/// with full states in a set, which also tells the depth.
pub const SECOND_OPINION: usize = 300_000;

/// How many states the search for a shortest trace may keep unless said otherwise.
pub const TRACE_LIMIT: usize = 4_000_000;

/// How a run is limited and watched.
pub struct Watch<'a> {
    /// The number of checker threads.
    pub threads: usize,
    /// After this time a slice ends as INCOMPLETE.
    pub time_limit: Option<Duration>,
    /// How many states the search for a shortest trace may keep.
    pub trace_limit: usize,
    /// The bytes that the process has allocated at present, and at its peak since the last reset.
    pub memory: Memory,
    /// Told about progress several times a second.
    pub progress: &'a dyn Fn(&Progress),
}

impl Watch<'_> {
    /// Tells how far a breadth-first search is.
    pub(crate) fn tell(&self, phase: Phase, now: &Found, start: Instant) {
        let rate = now.unique as f64 / start.elapsed().as_secs_f64();
        let Found { unique, depth, queue, .. } = *now;
        (self.progress)(&Progress { phase, unique, rate, depth, queue });
    }

    /// The same, and whether there is time left.
    pub(crate) fn goes_on(&self, phase: Phase, now: &Found, start: Instant) -> bool {
        self.tell(phase, now, start);
        self.time_limit.is_none_or(|limit| start.elapsed() <= limit)
    }
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

/// What a run is doing.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Phase {
    /// It looks at every state.
    Search,
    /// A claim fails, and it looks for the shortest trace to that.
    ShortestTrace,
    /// It searches a second time, without fingerprints.
    SecondOpinion,
}

/// How far a run is.
pub struct Progress {
    /// What it is doing.
    pub phase: Phase,
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
    check_under(slice, Guards::sound(), watch)
}

/// Checks a slice under rules that may be broken.
///
/// # Panics
/// If a checker thread panics: then the model is wrong, and no verdict is due.
#[must_use]
pub fn check_under(slice: Slice, guards: Guards, watch: &Watch<'_>) -> Checked {
    (watch.memory.reset)();
    let (before, start) = ((watch.memory.now)(), Instant::now());
    let model = Arc::new(SliceModel::new(slice, guards));
    let sole = |claim| slice.claims == ClaimSet::of(&[claim]);
    let (mut checked, ours) = match slice.declared {
        // Nothing is left to settle once the only claim has failed.
        Declared::Violated(claim) if sole(claim) => {
            (within(&model, usize::MAX, watch, start), true)
        }
        Declared::Exhausted | Declared::Violated(_) => (exhaust(&model, watch, start), false),
        Declared::Bounded(depth) => (within(&model, depth, watch, start), true),
    };
    let peak = (watch.memory.peak)().saturating_sub(before);
    checked.seconds = start.elapsed().as_secs_f64();
    checked.bytes_per_state =
        (checked.unique >= 100_000).then(|| peak as f64 / checked.unique as f64);
    let small = checked.unique as usize <= SECOND_OPINION;
    if checked.reach == Reach::All && small && !ours {
        let now = Instant::now();
        let hook: Hook<'_> = &|found| {
            watch.tell(Phase::SecondOpinion, found, now);
            true
        };
        let none = ClaimSet::NONE;
        let found = breadth_first_watched(&model, none, usize::MAX, usize::MAX, Some(hook));
        checked.second_opinion = Some(found.unique as u64);
        checked.depth = Some(found.depth);
    }
    checked
}

/// Searches every state within `depth` steps, up to the first in which a claim is false. Stateright
/// counts the states at a depth limit without checking them, and does not find the nearest one first,
/// so this is our own search.
fn within(model: &SliceModel, depth: usize, watch: &Watch<'_>, start: Instant) -> Checked {
    let hook: Hook<'_> = &|now| watch.goes_on(Phase::Search, now, start);
    let found = breadth_first_watched(model, model.slice.claims, usize::MAX, depth, Some(hook));
    let settled = found.false_claims == model.slice.claims;
    let early = (found.path.is_some() && !settled) || found.stopped;
    let reach = match (early, found.cut_short) {
        (true, _) => Reach::Part,
        (false, true) => Reach::Within(depth),
        (false, false) => Reach::All,
    };
    let violation = |claim| {
        let path = found.path.as_deref().unwrap_or_default();
        let (steps, trace) = (path.len().saturating_sub(1), plain_trace(model, path));
        Violation { claim, steps, shortest: true, trace }
    };
    Checked {
        slice: model.slice,
        reach,
        violations: found.false_claims.iter().map(violation).collect(),
        unique: found.unique as u64,
        generated: found.generated as u64,
        depth: Some(found.depth),
        seconds: 0.0,
        bytes_per_state: None,
        second_opinion: None,
        coverage: model.coverage().clone(),
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
    /// What is false at the end of that trace, this claim among it.
    pub besides: ClaimSet,
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
        if let Some(trace) = trace {
            let end = trace.steps.last().map_or(&trace.initial, |(_, state)| state);
            let besides = model.false_claims(end);
            let seconds = start.elapsed().as_secs_f64();
            let (slice, trace) = (Some(slice), Some(trace));
            return Killed { mutation, slice, trace, besides, unique, seconds };
        }
    }
    let (besides, seconds) = (ClaimSet::NONE, start.elapsed().as_secs_f64());
    Killed { mutation, slice: None, trace: None, besides, unique, seconds }
}
