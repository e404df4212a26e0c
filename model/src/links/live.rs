//! Whether there is a way on from every state of a graph.
//!
//! A step whose outcome depends on the gap between two terms leads on only if each of its outcomes does
//! so: then there is a way whatever the gap is. A state from which no way leads there at all, whatever
//! the gaps are, is stuck.

use quorate_spec::NodeId;
use quorate_spec::property::Claim;

use super::graph::{Graph, has_quorum};
use super::walk::{Run, Walker};
use crate::model::SliceModel;
use crate::state::State;

/// So many stuck states are tried, the nearest first, until the way to one can be walked.
const TRIED: usize = 200;

/// A run to a state from which nothing leads on.
pub struct Stuck {
    /// What can never be again.
    pub claim: Claim,
    /// The way there.
    pub run: Run,
}

/// What the search showed.
pub(super) enum Found {
    /// From everywhere a way leads on.
    Live,
    /// From here none does.
    Stuck(Box<Stuck>),
    /// Neither could be shown.
    Unclear,
}

/// Looks for a state from which no way leads to a leader, or to one that commits.
pub(super) fn find(walker: &Walker<'_>) -> Found {
    if !walker.graph.whole {
        return Found::Unclear;
    }
    let mut found = Found::Live;
    for claim in [Claim::ElectionProgress, Claim::NoDeadlock] {
        let is_goal = |at: usize| !walker.graph.is_busy[at] && is_goal(walker, at, claim);
        let goals: Vec<usize> = (0..walker.graph.is_busy.len()).filter(|at| is_goal(*at)).collect();
        if lead(walker.graph, &goals, Outcomes::All).iter().all(|leads| *leads) {
            continue;
        }
        let some = lead(walker.graph, &goals, Outcomes::Some);
        let mut stuck = (0..some.len()).filter(|at| !some[*at]).take(TRIED);
        match stuck.find_map(|at| walker.to(at)) {
            Some((run, _)) => return Found::Stuck(Box::new(Stuck { claim, run })),
            None => found = Found::Unclear,
        }
    }
    found
}

/// How many outcomes of a step have to lead on.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcomes {
    All,
    Some,
}

/// From which states steps lead to one of these.
fn lead(graph: &Graph, goals: &[usize], outcomes: Outcomes) -> Vec<bool> {
    // A step, with the state that it leads from and how many of its outcomes do not lead on.
    let mut steps: Vec<(usize, usize)> = Vec::new();
    let mut to_steps: Vec<Vec<usize>> = vec![Vec::new(); graph.states.len()];
    for at in 0..graph.states.len() {
        let edges = graph.edges_from(at);
        for (i, edge) in edges.iter().enumerate() {
            let same = edges[..i].iter().any(|other| other.action == edge.action);
            if outcomes == Outcomes::All && same {
                continue;
            }
            let mut all = edges.iter().filter(|other| other.action == edge.action);
            let one = std::iter::once(edge);
            let number = steps.len();
            let mut note = |to: usize| to_steps[to].push(number);
            let open = if outcomes == Outcomes::All {
                all.by_ref().map(|edge| note(edge.to)).count()
            } else {
                one.map(|edge| note(edge.to)).count()
            };
            steps.push((at, open));
        }
    }
    let mut leads = vec![false; graph.states.len()];
    let mut queue = goals.to_vec();
    while let Some(at) = queue.pop() {
        if std::mem::replace(&mut leads[at], true) {
            continue;
        }
        for step in &to_steps[at] {
            let (from, open) = &mut steps[*step];
            *open -= 1;
            if *open == 0 {
                queue.push(*from);
            }
        }
    }
    leads
}

/// Whether there is a leader that everyone follows whom it reaches both ways, a quorum; and, for
/// NoDeadlock, that has committed an entry of its term.
fn is_goal(walker: &Walker<'_>, at: usize, claim: Claim) -> bool {
    let state = &walker.graph.states[at].state;
    walker.model.ids().any(|id| {
        let node = &state.server(id).node;
        let own = node.log().term_at(node.commit_index()) == Some(node.current_term());
        let commits = claim == Claim::ElectionProgress || own;
        node.is_leader() && commits && is_followed(walker.model, state, id)
    })
}

fn is_followed(model: &SliceModel, state: &State, leader: NodeId) -> bool {
    let term = state.server(leader).node.current_term();
    let reached = |id: &NodeId| {
        *id != leader && state.budget.is_open(leader, *id) && state.budget.is_open(*id, leader)
    };
    let follows = |id: NodeId| {
        let node = &state.server(id).node;
        node.leader() == Some(leader) && node.current_term() == term
    };
    has_quorum(state, leader) && model.ids().filter(reached).all(follows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::guards::Guards;
    use crate::links::pattern::{COMBINATIONS, PATTERNS};
    use crate::links::quotient::Quotient;

    /// Where a way leads on from every state, the benign scheduler of the slices finds one.
    #[test]
    fn the_benign_scheduler_agrees_where_a_pattern_is_live() {
        for pattern in PATTERNS.iter().filter(|pattern| pattern.servers == 3) {
            for election in COMBINATIONS {
                let model = SliceModel::new(pattern.slice(election), Guards::sound());
                let quotient = Quotient::new(pattern.servers, model.cuts());
                let initial = pattern.histories.states(&model, &quotient, pattern.led_by);
                let graph = Graph::explore(&model, &quotient, initial, usize::MAX);
                let walker = Walker { model: &model, quotient: &quotient, graph: &graph };
                if !matches!(find(&walker), Found::Live) {
                    continue;
                }
                for state in graph.states.iter().zip(&graph.is_busy).filter(|(_, busy)| !**busy) {
                    let broken = model.benign.progress(&model, &state.0.state);
                    for claim in [Claim::ElectionProgress, Claim::NoDeadlock] {
                        let state = &state.0.state;
                        assert!(!broken.contains(claim), "{} {election}: {state:?}", pattern.name);
                    }
                }
            }
        }
    }
}
