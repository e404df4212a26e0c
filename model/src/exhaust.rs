//! A slice's whole graph, searched by Stateright: whichever claims fail, and how far it came.

use std::sync::Arc;
use std::thread::sleep;
use std::time::{Duration, Instant};

use quorate_spec::property::{Claim, ClaimSet};
use stateright::{Checker, HasDiscoveries, Model};

use crate::action::Action;
use crate::check::{Phase, Progress, Watch};
use crate::checked::{Checked, Reach, Violation};
use crate::model::SliceModel;
use crate::search::{Hook, breadth_first_watched, plain_trace};
use crate::slice::Declared;
use crate::state::State;

/// Lets Stateright search everything. It goes on past a claim that is declared to fail, so that
/// this one does not hide another; any other violation ends it.
pub(crate) fn exhaust(model: &Arc<SliceModel>, watch: &Watch<'_>, start: Instant) -> Checked {
    let expects = matches!(model.slice.declared, Declared::Violated(_));
    let stop = if expects { HasDiscoveries::All } else { HasDiscoveries::AnyFailures };
    let shared = Shared(Arc::clone(model));
    let checker = shared.checker().threads(watch.threads).finish_when(stop).spawn_dfs();
    let mut pause = Duration::from_millis(1);
    while !checker.is_done() {
        sleep(pause);
        pause = (pause * 2).min(Duration::from_millis(200));
        let (unique, elapsed) = (checker.unique_state_count(), start.elapsed());
        (watch.progress)(&Progress {
            phase: Phase::Search,
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
    // A discovery is a list of positions among the actions of each state: a stopped model has none.
    let stopped = model.resume();
    let discoveries = checker.discoveries();
    let name = |claim: &Claim| discoveries.contains_key(claim.name());
    let failing: Vec<Claim> = model.slice.claims.iter().filter(name).collect();
    // Where every claim has failed the search ends early, and there is nothing left to settle.
    let whole = !stopped && (failing.is_empty() || expects);
    let met = |claim: Claim| discoveries.get(claim.name()).map(|path| path.clone().into_states());
    Checked {
        slice: model.slice,
        reach: if whole { Reach::All } else { Reach::Part },
        violations: violations(model, watch, start, &failing, &met),
        unique: checker.unique_state_count() as u64,
        generated: checker.state_count() as u64,
        depth: None,
        seconds: 0.0,
        bytes_per_state: None,
        second_opinion: None,
        coverage: model.coverage().clone(),
    }
}

/// The claims that fail, each with the shortest trace that can be found: those that the slice does
/// not declare come first, with one search for all of them, for another claim may fail earlier
/// than the one that Stateright met.
fn violations(
    model: &SliceModel,
    watch: &Watch<'_>,
    start: Instant,
    failing: &[Claim],
    met: &dyn Fn(Claim) -> Option<Vec<State>>,
) -> Vec<Violation> {
    let declared = match model.slice.declared {
        Declared::Violated(claim) => ClaimSet::of(&[claim]),
        Declared::Exhausted | Declared::Bounded(_) => ClaimSet::NONE,
    };
    let undeclared = |claim: &Claim| !declared.contains(*claim);
    let mut violations = Vec::new();
    if failing.iter().any(undeclared) {
        let others = model.slice.claims.iter().filter(undeclared);
        let others = others.fold(ClaimSet::NONE, |set, claim| set.union(ClaimSet::of(&[claim])));
        violations.extend(shortest(model, watch, start, others));
        // The others that Stateright met fail later: each has a shortest trace of its own.
        for claim in failing.iter().filter(|claim| undeclared(claim)) {
            if violations.iter().all(|violation: &Violation| violation.claim != *claim) {
                let found = shortest(model, watch, start, ClaimSet::of(&[*claim]));
                violations.extend(found.into_iter().filter(|found| found.claim == *claim));
            }
        }
    }
    if failing.iter().any(|claim| declared.contains(*claim)) {
        violations.extend(shortest(model, watch, start, declared));
    }
    for claim in failing {
        if violations.iter().all(|violation| violation.claim != *claim) {
            let path = met(*claim).unwrap_or_default();
            let trace = plain_trace(model, &path);
            let steps = path.len().saturating_sub(1);
            violations.push(Violation { claim: *claim, steps, shortest: false, trace });
        }
    }
    violations.sort_by_key(|violation| declared.contains(violation.claim));
    violations
}

/// The shortest trace on which one of these claims fails, and which fail at its end; none where
/// the search came to its limit.
fn shortest(
    model: &SliceModel,
    watch: &Watch<'_>,
    start: Instant,
    wanted: ClaimSet,
) -> Vec<Violation> {
    let hook: Hook<'_> = &|now| watch.goes_on(Phase::ShortestTrace, now, start);
    let found = breadth_first_watched(model, wanted, watch.trace_limit, usize::MAX, Some(hook));
    let Some(path) = found.path else { return Vec::new() };
    let violation = |claim| Violation {
        claim,
        steps: path.len() - 1,
        shortest: true,
        trace: plain_trace(model, &path),
    };
    found.false_claims.iter().map(violation).collect()
}

/// A model that the checker and its watcher share.
struct Shared(Arc<SliceModel>);

impl Model for Shared {
    type State = State;
    type Action = Action;

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
