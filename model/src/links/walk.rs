//! Ways through the quotient, walked in states as they are: only what can be walked is reported.

use super::clock::Timed;
use super::graph::{Edge, Graph, Steps};
use super::history::Event;
use super::quotient::Quotient;
use crate::action::Action;
use crate::model::SliceModel;
use crate::state::State;

/// Steps, each with the state after it.
pub type Way = Vec<(Action, State)>;

/// A way with the clock at its end.
pub(super) struct Walked {
    pub(super) way: Way,
    pub(super) last: Timed,
}

/// A run from where the links are cut.
pub struct Run {
    /// What happened before.
    pub history: Vec<Event>,
    /// The state in which the links are cut.
    pub initial: State,
    /// The steps.
    pub steps: Way,
}

impl Run {
    /// The state after the last step.
    #[must_use]
    pub fn last(&self) -> &State {
        self.steps.last().map_or(&self.initial, |(_, state)| state)
    }
}

/// A graph with what it was made by.
pub(super) struct Walker<'a> {
    pub(super) model: &'a SliceModel,
    pub(super) quotient: &'a Quotient,
    pub(super) graph: &'a Graph,
}

impl Walker<'_> {
    /// Walks to a state of the quotient by the way by which it was met first; none where the gaps
    /// between terms do not allow it.
    pub(super) fn to(&self, at: usize) -> Option<(Run, Timed)> {
        let stem = self.graph.stem(at);
        let root = stem.first().map_or(at, |edge| edge.from);
        let (initial, history) = self.graph.initial.get(root)?.clone();
        let Walked { way, last } = self.along(&initial, &stem)?;
        Some((Run { history, initial: initial.state, steps: way }, last))
    }

    /// Walks along these edges. Names are the servers' own here, so each step is looked for by where
    /// it leads.
    pub(super) fn along(&self, from: &Timed, edges: &[Edge]) -> Option<Walked> {
        let mut last = from.clone();
        let mut way = Way::new();
        for edge in edges {
            let mut steps = Steps::of(self.model, &last).after.into_iter();
            let leads =
                |next: &Timed| self.quotient.of(self.model, next) == self.graph.states[edge.to];
            let (action, next) = steps.find(|(_, next)| leads(next))?;
            way.push((action, next.state.clone()));
            last = next;
        }
        Some(Walked { way, last })
    }
}
