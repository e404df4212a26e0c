//! Cycles on which a leader is deposed: strongly connected components (Tarjan), then the shortest
//! stem and cycle, then a walk along it in states as they are.

use std::collections::HashMap;

use super::graph::{Edge, Graph};
use super::walk::{Run, Walker, Way};

/// So many depositions are tried, the nearest first, until the shortest lasso is taken.
const TRIED: usize = 200;

/// A run that goes on for ever.
pub struct Lasso {
    /// The way to the cycle.
    pub stem: Run,
    /// The steps of the cycle: its last state is like the one before the first, but for numbers and
    /// names.
    pub cycle: Way,
}

/// What the search for a lasso showed.
pub(super) enum Found {
    /// There is none in the quotient, and so none in the protocol.
    None,
    /// This one.
    Lasso(Box<Lasso>),
    /// There are some in the quotient, and none of those that were tried is a run of the protocol.
    Unconfirmed,
}

/// Looks for a cycle on which a leader is deposed.
pub(super) fn find(walker: &Walker<'_>) -> Found {
    let graph = walker.graph;
    let components = components(graph);
    let same = |edge: &&Edge| edge.deposes && components[edge.from] == components[edge.to];
    let mut lassos: Vec<(usize, Vec<Edge>)> = Vec::new();
    let mut any = false;
    for edge in graph.edges.iter().filter(same).take(TRIED) {
        any = true;
        let stem = graph.stem(edge.from).len();
        let best = lassos.first().map_or(usize::MAX, |(length, _)| *length);
        if let Some(back) = path(graph, &components, edge.to, edge.from, best.saturating_sub(stem))
        {
            let cycle: Vec<Edge> = std::iter::once(*edge).chain(back).collect();
            lassos.push((stem + cycle.len(), cycle));
            lassos.sort_by_key(|(length, _)| *length);
        }
    }
    let walked = lassos.into_iter().find_map(|(_, cycle)| walk(walker, &cycle));
    match walked {
        Some(lasso) => Found::Lasso(Box::new(lasso)),
        None if any => Found::Unconfirmed,
        None => Found::None,
    }
}

/// The shortest way within a component, if it is shorter than `limit`.
fn path(
    graph: &Graph,
    components: &[usize],
    from: usize,
    to: usize,
    limit: usize,
) -> Option<Vec<Edge>> {
    let mut came: HashMap<usize, Option<Edge>, foldhash::fast::RandomState> = HashMap::default();
    came.insert(from, None);
    let mut level = vec![from];
    for _ in 0..limit.min(graph.states.len()) {
        if came.contains_key(&to) {
            break;
        }
        let mut next = Vec::new();
        for at in level {
            for edge in graph.edges_from(at).iter().filter(|e| components[e.to] == components[to]) {
                came.entry(edge.to).or_insert_with(|| {
                    next.push(edge.to);
                    Some(*edge)
                });
            }
        }
        if next.is_empty() {
            break;
        }
        level = next;
    }
    let mut at = to;
    let mut way = Vec::new();
    while let Some(edge) = came.get(&at)? {
        way.push(*edge);
        at = edge.from;
    }
    way.reverse();
    Some(way)
}

/// Walks along stem and cycle; none where that leads elsewhere. The second time round shows that the
/// first one can be repeated.
fn walk(walker: &Walker<'_>, cycle: &[Edge]) -> Option<Lasso> {
    let (stem, begins) = walker.to(cycle.first()?.from)?;
    let round = walker.along(&begins, cycle)?;
    walker.along(&round.last, cycle)?;
    Some(Lasso { stem, cycle: round.way })
}

/// For each state the number of its strongly connected component (Tarjan, without recursion).
fn components(graph: &Graph) -> Vec<usize> {
    const NONE: usize = usize::MAX;
    let states = graph.states.len();
    let (mut index, mut low) = (vec![NONE; states], vec![NONE; states]);
    let (mut component, mut stack) = (vec![NONE; states], Vec::new());
    let (mut next, mut number) = (0, 0);
    for root in 0..states {
        if index[root] != NONE {
            continue;
        }
        // A state, and which of its steps is next.
        let mut calls = vec![(root, 0_usize)];
        while let Some((at, step)) = calls.pop() {
            if step == 0 {
                (index[at], low[at]) = (next, next);
                next += 1;
                stack.push(at);
            }
            let edges = graph.edges_from(at);
            let done = step.checked_sub(1).map(|done| edges[done].to);
            if let Some(child) = done.filter(|child| component[*child] == NONE) {
                low[at] = low[at].min(low[child]);
            }
            if let Some(edge) = edges.get(step) {
                calls.push((at, step + 1));
                if index[edge.to] == NONE {
                    calls.push((edge.to, 0));
                }
            } else if low[at] == index[at] {
                while let Some(member) = stack.pop() {
                    component[member] = number;
                    if member == at {
                        break;
                    }
                }
                number += 1;
            }
        }
    }
    component
}
