//! The graph of a pattern: every state of the quotient that can be reached, and the steps between.
//!
//! What is assumed of time, so that it needs no clock but one that knows what came before what:
//!
//! - A message over an open link arrives at once: no time passes while some exchange would still
//!   change something. In which order the exchanges go is open.
//! - A cut link loses everything, an open one nothing.
//! - Whoever hears the leader that it follows does not time out, and renews its promise: that ends
//!   only where no such leader reaches it. In which order promises end and timers fire is what `clock`
//!   says; how long a drawn timeout is at most is open.
//! - A leader with check-quorum looks whether a quorum has answered within an election timeout: in
//!   it everyone has answered who can.
//! - Clients propose to any leader at any moment, and each new leader adds an entry of its own.
//! - Nobody crashes after the links are cut, and no members change.

use std::collections::HashMap;

use quorate_spec::NodeId;

use super::clock::Timed;
use super::history::Event;
use super::quotient::{Quotient, widened_logs, widened_terms};
use crate::action::{Action, Fates, What};
use crate::model::SliceModel;
use crate::state::{Budget, State};

/// Every message that an operation sends is lost: on a cut link.
const LOST: Fates = Fates(1 + 3 + 9 + 27);

/// A step of the graph.
#[derive(Clone, Copy, Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    pub(super) action: Action,
    /// Whether a leader with open links to a quorum, both ways, leads no more.
    pub(super) deposes: bool,
}

/// The graph.
#[derive(Default)]
pub(super) struct Graph {
    /// The states, the nearest first.
    pub(super) states: Vec<Timed>,
    /// By which step each was met first; none for those in which the links are cut.
    pub(super) parents: Vec<Option<usize>>,
    /// The steps, by the state that they lead from.
    pub(super) edges: Vec<Edge>,
    /// Where the steps of each state begin.
    pub(super) first_edge: Vec<usize>,
    /// The states as they are in which the links are cut, and what led there, for the first ones.
    pub(super) initial: Vec<(Timed, Vec<Event>)>,
    /// Whether no time passes in a state before an exchange.
    pub(super) is_busy: Vec<bool>,
    /// Whether everything was explored.
    pub(super) whole: bool,
}

impl Graph {
    /// Explores everything that these states lead to, or as much as `limit` states.
    pub(super) fn explore(
        model: &SliceModel,
        quotient: &Quotient,
        initial: Vec<(Timed, Vec<Event>)>,
        limit: usize,
    ) -> Graph {
        let mut graph = Graph { whole: true, ..Graph::default() };
        let mut known: HashMap<Timed, usize, foldhash::fast::RandomState> = HashMap::default();
        for (state, _) in &initial {
            graph.meet(quotient.of(model, state), None, &mut known);
        }
        graph.initial = initial;
        let mut at = 0;
        while at < graph.states.len() {
            if graph.states.len() > limit {
                graph.whole = false;
                break;
            }
            graph.first_edge.push(graph.edges.len());
            let state = graph.states[at].clone();
            let steps = Steps::in_quotient(model, &state);
            graph.is_busy.push(steps.busy);
            for (action, after) in steps.after {
                let deposes = deposes(&state.state, &after.state);
                let to =
                    graph.meet(quotient.of(model, &after), Some(graph.edges.len()), &mut known);
                graph.edges.push(Edge { from: at, to, action, deposes });
            }
            at += 1;
        }
        graph.first_edge.push(graph.edges.len());
        graph
    }

    fn meet(
        &mut self,
        state: Timed,
        parent: Option<usize>,
        known: &mut HashMap<Timed, usize, foldhash::fast::RandomState>,
    ) -> usize {
        let next = self.states.len();
        let at = *known.entry(state.clone()).or_insert(next);
        if at == next {
            self.states.push(state);
            self.parents.push(parent);
        }
        at
    }

    /// The steps from a state.
    pub(super) fn edges_from(&self, at: usize) -> &[Edge] {
        let next = self.first_edge.get(at..at + 2);
        next.map_or(&[], |bounds| &self.edges[bounds[0]..bounds[1]])
    }

    /// The steps by which a state was met first, from where the links are cut.
    pub(super) fn stem(&self, mut at: usize) -> Vec<Edge> {
        let mut stem = Vec::new();
        while let Some(edge) = self.parents[at] {
            stem.push(self.edges[edge]);
            at = self.edges[edge].from;
        }
        stem.reverse();
        stem
    }
}

/// What can happen next in a state.
pub(super) struct Steps {
    /// Whether an exchange comes before anything that takes time.
    pub(super) busy: bool,
    /// The steps, with the states that they lead to.
    pub(super) after: Vec<(Action, Timed)>,
}

impl Steps {
    /// What can happen next in this state.
    pub(super) fn of(model: &SliceModel, timed: &Timed) -> Steps {
        let mut steps = exchanges(model, &timed.state);
        let busy = !steps.is_empty();
        if !busy {
            steps = takes_time(model, timed);
        }
        let after = |(action, state)| (action, timed.after(action, state));
        Steps { busy, after: steps.into_iter().map(after).collect() }
    }

    /// The same, and what can happen where the gaps between terms are wider.
    fn in_quotient(model: &SliceModel, timed: &Timed) -> Steps {
        let Steps { busy, mut after } = Steps::of(model, timed);
        let term = |timed: &Timed, id| timed.state.server(id).node.current_term();
        let last = |timed: &Timed, id| timed.state.server(id).node.log().last().index;
        let wider = |(action, next): &(Action, Timed)| {
            let id = actor(*action);
            let raises = term(next, id) > term(timed, id);
            let terms = raises.then(|| widened_terms(timed, id)).flatten();
            let appends = last(next, id) > last(timed, id);
            let logs = appends.then(|| widened_logs(timed, id)).flatten();
            let step = |wider: Timed| {
                let state = model.after(&with_a_command(&wider.state), *action)?;
                Some((*action, wider.after(*action, state)))
            };
            terms.into_iter().chain(logs).filter_map(step).collect::<Vec<_>>()
        };
        let wider: Vec<(Action, Timed)> = after.iter().flat_map(wider).collect();
        after.extend(wider);
        Steps { busy, after }
    }
}

/// Who may raise its term in this action.
fn actor(action: Action) -> NodeId {
    match action {
        Action::Timeout(id, _)
        | Action::Lapse(id)
        | Action::Tick(id, _)
        | Action::Propose(id, _) => id,
        Action::Exchange(from, ..) => from,
        other => unreachable!("{other} is no step of these graphs"),
    }
}

/// The exchanges that change something, over open links.
pub(super) fn exchanges(model: &SliceModel, state: &State) -> Vec<(Action, State)> {
    let pairs = model.ids().flat_map(|from| model.ids().map(move |to| (from, to)));
    let open = pairs.filter(|(from, to)| from != to && state.budget.is_open(*from, *to));
    let exchange = |(from, to)| {
        let fates = if state.budget.is_open(to, from) { Fates::ON_THEIR_WAY } else { LOST };
        Action::Exchange(from, to, What::Entries, fates)
    };
    open.map(exchange).filter_map(|action| changes(model, state, action)).collect()
}

/// The state that the action leads to, if it changes anything.
fn changes(model: &SliceModel, state: &State, action: Action) -> Option<(Action, State)> {
    let after = model.after(&with_a_command(state), action)?;
    differ(state, &after).then_some((action, after))
}

/// The state with a command that a client may propose: there is always another.
fn with_a_command(state: &State) -> State {
    State { budget: Budget { commands: 1, ..state.budget }, ..state.clone() }
}

/// Whether anything differs but ghosts.
fn differ(a: &State, b: &State) -> bool {
    let pairs = a.servers.iter().zip(&b.servers);
    pairs.into_iter().any(|(a, b)| a != b && (a.node != b.node || a.disk != b.disk))
}

/// What happens when time passes, where no exchange would change anything.
fn takes_time(model: &SliceModel, timed: &Timed) -> Vec<(Action, State)> {
    let (state, none) = (&timed.state, Fates::ON_THEIR_WAY);
    let mut actions = Vec::new();
    for id in model.ids() {
        let node = &state.server(id).node;
        if node.is_leader() {
            actions.push(Action::Propose(id, none));
            actions.push(Action::Tick(id, none));
            if loses_quorum(model, state, id) {
                actions.push(Action::Lapse(id));
            }
        } else if timed.promise_may_end(id) {
            actions.push(Action::Lapse(id));
        } else if timed.may_time_out(id) {
            actions.push(Action::Timeout(id, none));
        }
    }
    actions.into_iter().filter_map(|action| changes(model, state, action)).collect()
}

/// Whether a leader steps down that waits for answers for an election timeout.
fn loses_quorum(model: &SliceModel, state: &State, leader: NodeId) -> bool {
    let mut waits = state.clone();
    let mut act = |action| {
        if let Some(after) = model.after(&waits, action) {
            waits = after;
        }
    };
    act(Action::Lapse(leader));
    for to in model.ids().filter(|to| *to != leader && state.budget.is_open(leader, *to)) {
        let fates = if state.budget.is_open(to, leader) { Fates::ON_THEIR_WAY } else { LOST };
        act(Action::Exchange(leader, to, What::Entries, fates));
    }
    act(Action::Tick(leader, Fates::ON_THEIR_WAY));
    !waits.server(leader).node.is_leader()
}

/// Whether a leader with open links to a quorum, both ways, leads no more.
fn deposes(before: &State, after: &State) -> bool {
    before.servers.iter().any(|server| {
        let id = server.node.id();
        let lost = server.node.is_leader() && !after.server(id).node.is_leader();
        lost && has_quorum(before, id)
    })
}

/// Whether links are open to a quorum and back.
pub(super) fn has_quorum(state: &State, id: NodeId) -> bool {
    let budget = state.budget;
    let both = |other| id == other || budget.is_open(id, other) && budget.is_open(other, id);
    state.server(id).node.log().configuration().is_quorum(both)
}
