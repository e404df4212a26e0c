//! The project's own breadth-first search: a second opinion on Stateright's counts, with full
//! states in a set and no 64-bit fingerprints; and the source of shortest traces.

use std::collections::HashMap;

use quorate_spec::property::{Claim, ClaimSet};
use stateright::Model;

use crate::action::Action;
use crate::model::SliceModel;
use crate::state::State;

/// A search says how far it is each time that it has looked at so many states.
const LOOK: usize = 1 << 13;

/// What a search found.
pub struct Found {
    /// The states that were met, each once.
    pub unique: usize,
    /// The states that steps led to, counted each time.
    pub generated: usize,
    /// The number of steps to the farthest state.
    pub depth: usize,
    /// The shortest path to a state in which a wanted claim is false: its stored states.
    pub path: Option<Vec<State>>,
    /// The claims that are false at its end.
    pub false_claims: ClaimSet,
    /// Whether it stopped at a limit.
    pub cut_short: bool,
    /// Whether it was told to stop.
    pub stopped: bool,
    /// The states that were met and not yet looked at.
    pub queue: usize,
}

/// Told now and then how far a search is; says whether it shall go on.
pub type Hook<'a> = &'a dyn Fn(&Found) -> bool;

/// Searches until one of `wanted` is false, everything within `depth` steps was seen, or `limit`
/// states were met.
#[must_use]
pub fn breadth_first(model: &SliceModel, wanted: ClaimSet, limit: usize, depth: usize) -> Found {
    breadth_first_watched(model, wanted, limit, depth, None)
}

/// The same, under the eyes of someone who may end it.
#[must_use]
pub fn breadth_first_watched(
    model: &SliceModel,
    wanted: ClaimSet,
    limit: usize,
    depth: usize,
    hook: Option<Hook<'_>>,
) -> Found {
    let mut parents: HashMap<State, usize, foldhash::fast::RandomState> = HashMap::default();
    let mut states: Vec<(State, usize)> = Vec::new();
    let mut found = Found {
        unique: 0,
        generated: 0,
        depth: 0,
        path: None,
        false_claims: ClaimSet::NONE,
        cut_short: false,
        stopped: false,
        queue: 0,
    };
    for state in model.init_states() {
        parents.insert(state.clone(), 0);
        states.push((state, usize::MAX));
    }
    let (mut at, mut level_end) = (0, states.len());
    let mut actions = Vec::new();
    while at < states.len() {
        let state = states[at].0.clone();
        let false_claims = model.false_claims(&state).intersection(wanted);
        if !false_claims.is_empty() {
            found.path = Some(path_to(&states, at));
            found.false_claims = false_claims;
            break;
        }
        if at % LOOK == LOOK - 1 {
            (found.unique, found.queue) = (states.len(), states.len() - at);
            found.stopped = hook.is_some_and(|goes_on| !goes_on(&found));
        }
        if states.len() > limit || found.stopped {
            found.cut_short = true;
            break;
        }
        if found.depth < depth {
            model.actions(&state, &mut actions);
        } else {
            found.cut_short = true;
        }
        for action in actions.drain(..) {
            let Some(next) = model.next_state(&state, action) else { continue };
            found.generated += 1;
            if !parents.contains_key(&next) {
                parents.insert(next.clone(), at);
                states.push((next, at));
            }
        }
        at += 1;
        if at == level_end && level_end < states.len() {
            level_end = states.len();
            found.depth += 1;
        }
    }
    found.unique = states.len();
    found.generated += 1;
    found
}

fn path_to(states: &[(State, usize)], mut at: usize) -> Vec<State> {
    let mut path = vec![states[at].0.clone()];
    while states[at].1 != usize::MAX {
        at = states[at].1;
        path.push(states[at].0.clone());
    }
    path.reverse();
    path
}

/// A trace as people read it: the initial state, then each action with the state after it, under
/// names that stay the same throughout.
pub struct Trace {
    /// The state before the first step.
    pub initial: State,
    /// The steps.
    pub steps: Vec<(Action, State)>,
}

/// Undoes the canonical naming along a path: finds, from the plain initial state on, actions whose
/// outcomes are stored as the path's states. None where the path is not one of the model.
#[must_use]
pub fn plain_trace(model: &SliceModel, path: &[State]) -> Option<Trace> {
    let first = path.first()?;
    let mut initial = model.plain_initials().into_iter();
    let initial = initial.find(|initial| model.stored(initial.clone()) == *first)?;
    let mut at = initial.clone();
    let mut steps = Vec::new();
    for stored in path.iter().skip(1) {
        let next = model
            .plain_steps(&at)
            .into_iter()
            .find(|(_, state)| model.stored(state.clone()) == *stored)?;
        at = next.1.clone();
        steps.push(next);
    }
    Some(Trace { initial, steps })
}

/// The shortest trace on which `claim` becomes false, and how many states it took to find.
///
/// # Panics
/// If the path that was found is none of the plain model: then a reduction is not exact.
#[must_use]
pub fn shortest(model: &SliceModel, claim: Claim, limit: usize) -> (Found, Option<Trace>) {
    let found = breadth_first(model, ClaimSet::of(&[claim]), limit, usize::MAX);
    let plain = |path: &Vec<State>| {
        let trace = plain_trace(model, path);
        Some(trace.expect("what is found among reduced states is a path of the plain model"))
    };
    let trace = found.path.as_ref().and_then(plain);
    (found, trace)
}
