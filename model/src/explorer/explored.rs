//! The Stateright model of a walk.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, OnceLock};

use serde::Serialize;
use stateright::{Model, Property};

use super::diagram;
use super::fields::StepView;
use super::refused::RefusedView;
use super::shown::{Past, Shown, Step, json};
use super::story::Event;
use super::walk::Walk;

/// A state's steps, kept: Stateright walks every path again from its beginning, many times.
type Steps<W> = Arc<Vec<Arc<Step<W>>>>;

/// Beyond so many states the kept steps are forgotten.
const KEPT: usize = 5_000;

/// The Stateright model of a walk. Its states are plain, under the names that servers have
/// throughout. All its actions lead somewhere, but the last one of each state: see
/// [`Choice::Beside`].
pub struct Explored<W: Walk> {
    walk: Arc<W>,
    kept: Mutex<HashMap<W::State, Steps<W>>>,
}

/// An action as Stateright hands it to the page.
pub enum Choice<W: Walk> {
    /// A step of the walk.
    Step(W::Action),
    /// What there is to say of a state beside its steps. To Stateright it is an action that is
    /// ignored, which it hands on all the same; so it is asked for once in a state, where everything
    /// else is computed for each of its steps.
    Beside(Shown<W>),
}

impl<W: Walk> Clone for Choice<W> {
    fn clone(&self) -> Self {
        match self {
            Choice::Step(action) => Choice::Step(action.clone()),
            Choice::Beside(shown) => Choice::Beside(shown.clone()),
        }
    }
}

impl<W: Walk> PartialEq for Choice<W> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Choice::Step(action), Choice::Step(other)) => action == other,
            (Choice::Beside(shown), Choice::Beside(other)) => shown == other,
            (Choice::Step(_), Choice::Beside(_)) | (Choice::Beside(_), Choice::Step(_)) => false,
        }
    }
}

impl<W: Walk> fmt::Debug for Choice<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Choice::Step(action) => action.fmt(f),
            Choice::Beside(shown) => f.write_str(&beside(shown)),
        }
    }
}

/// What a state has beside its steps.
#[derive(Serialize)]
struct Beside {
    /// What would be refused.
    refused: Vec<RefusedView>,
    /// The space-time diagram of the way to the state.
    svg: String,
}

fn beside<W: Walk>(shown: &Shown<W>) -> String {
    let Shown { walk, state, .. } = shown;
    let cluster = walk.cluster(state);
    let refused = walk.trial().map(|trial| trial.of(&cluster, &walk.arriving(state)));
    json(&Beside { refused: refused.unwrap_or_default(), svg: drawing(shown) })
}

/// The space-time diagram of the way to a state.
#[must_use]
pub fn drawing<W: Walk>(shown: &Shown<W>) -> String {
    let servers = shown.walk.cluster(&shown.state).servers.len();
    let way = shown.way();
    let told = way.iter().filter_map(|shown| shown.told());
    let events: Vec<Vec<Event>> = told.map(|told| told.events.clone()).collect();
    diagram::svg(servers, &events)
}

impl<W: Walk> Explored<W> {
    /// The model of this walk.
    #[must_use]
    pub fn new(walk: W) -> Explored<W> {
        Explored { walk: Arc::new(walk), kept: Mutex::default() }
    }

    /// What is walked through.
    #[must_use]
    pub fn walk(&self) -> &W {
        &self.walk
    }

    fn steps(&self, state: &W::State) -> Steps<W> {
        let mut kept = self.kept.lock().expect("no thread panics here");
        if let Some(steps) = kept.get(state) {
            return Arc::clone(steps);
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let steps = self.walk.steps(state).into_iter();
        let told = OnceLock::new;
        let step = |(action, next)| Arc::new(Step { action, next, told: told() });
        let steps = Arc::new(steps.map(step).collect());
        kept.insert(state.clone(), Arc::clone(&steps));
        steps
    }
}

impl<W: Walk> Model for Explored<W> {
    type State = Shown<W>;
    type Action = Choice<W>;

    fn init_states(&self) -> Vec<Shown<W>> {
        vec![Shown { walk: Arc::clone(&self.walk), state: self.walk.initial(), past: None }]
    }

    fn actions(&self, shown: &Shown<W>, actions: &mut Vec<Choice<W>>) {
        let steps = self.steps(&shown.state);
        actions.extend(steps.iter().map(|step| Choice::Step(step.action.clone())));
        actions.push(Choice::Beside(shown.clone()));
    }

    fn next_state(&self, last: &Shown<W>, choice: Choice<W>) -> Option<Shown<W>> {
        let Choice::Step(action) = choice else { return None };
        let steps = self.steps(&last.state);
        let step = steps.iter().find(|step| step.action == action)?;
        let past = Past { before: last.clone(), step: Arc::clone(step) };
        let walk = Arc::clone(&self.walk);
        Some(Shown { walk, state: step.next.clone(), past: Some(Arc::new(past)) })
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every claim", |_, shown: &Shown<W>| {
            shown.walk.verdicts(&shown.state).iter().all(|verdict| verdict.holds)
        })]
    }

    fn format_action(&self, choice: &Choice<W>) -> String {
        format!("{choice:?}")
    }

    /// The step as the page's JSON.
    fn format_step(&self, last: &Shown<W>, choice: Choice<W>) -> Option<String> {
        Some(json(&step(last, &self.next_state(last, choice)?)?))
    }
}

/// What the page shows of the step between these two states.
pub(super) fn step<W: Walk>(last: &Shown<W>, next: &Shown<W>) -> Option<StepView> {
    let told = next.told()?;
    let mut view = StepView::new(told.sentence.clone(), &last.view(), &next.view());
    view.sources = told.sources.iter().map(|place| place.key()).collect();
    let first = told.events.first().and_then(Event::arriving);
    if let (Some(envelope), Some(trial)) = (first, next.walk.trial()) {
        view.refused = trial.of_message(&next.walk.cluster(&last.state), envelope);
    }
    Some(view)
}
