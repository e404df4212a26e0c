//! The quotient: states that differ only in how much has happened before them are one state, so that
//! a graph without a last term is finite, and what repeats for ever is a cycle in it.
//!
//! - Terms are numbered anew in their order, without the gaps between them.
//! - Of entries that follow each other and that nothing tells apart, the last one stays: each log has
//!   all of them or none, or each pair of logs differs in all of them, and nobody's knowledge ends in
//!   between.
//! - Servers that the cut links treat alike have canonical names.
//! - What no server can see is left out.
//!
//! A gap between two terms, or between the ends of two logs, stands for every wider one:
//! [`widened_terms`] and [`widened_logs`] give the state with a wider gap, and the search goes on from
//! there, too. So the quotient has every run of the protocol and perhaps
//! others; a cycle counts only once it was walked in states as they are (`lasso.rs`).

use std::cell::RefCell;
use std::collections::HashMap;

use quorate_spec::property::ClaimSet;
use quorate_spec::property::history::History;
use quorate_spec::{Index, Node, NodeId, Numbers, Rename, Renumber, Role, Term};

use super::clock::Timed;
use super::graph::exchanges;
use crate::canonical::permutations;
use crate::intern::Interned;
use crate::model::SliceModel;
use crate::server::Server;
use crate::state::{Budget, Servers, State, link};

/// For each server, by its old name, the new one.
type Names = Vec<usize>;

/// What each renaming, by its position, makes of each server.
type Renamed = HashMap<(Interned<Server>, usize), Interned<Server>, foldhash::fast::FixedState>;

/// The quotient under a pattern of cut links.
pub(super) struct Quotient {
    /// Every renaming that leaves the cut links as they are; the first one changes nothing.
    renamings: Vec<Names>,
    /// What a renaming makes of a server.
    renamed: RefCell<Renamed>,
}

impl Renumber for Server {
    fn renumber(&mut self, to: Numbers<'_>) {
        self.node.renumber(to);
        self.disk.reported.renumber(to);
        // The latest vote that left the server is a ghost.
        self.last_vote = None;
    }
}

impl Quotient {
    /// The quotient for so many servers and these cut links.
    pub(super) fn new(servers: usize, cut: u64) -> Quotient {
        let ids: Vec<usize> = (0..servers).collect();
        let keeps = |names: &Names| {
            let pairs = ids.iter().flat_map(|a| ids.iter().map(move |b| (*a, *b)));
            let is_cut = |a: usize, b: usize| cut & link(NodeId(a as u64), NodeId(b as u64)) != 0;
            pairs.into_iter().all(|(a, b)| is_cut(a, b) == is_cut(names[a], names[b]))
        };
        let mut renamings: Vec<Names> = permutations(&ids).into_iter().filter(keeps).collect();
        renamings.sort_unstable();
        Quotient { renamings, renamed: RefCell::default() }
    }

    /// The one state that stands for all that are like this one.
    pub(super) fn of(&self, model: &SliceModel, timed: &Timed) -> Timed {
        let state = normal(&timed.state);
        let is_busy = !exchanges(model, &state).is_empty();
        let clock = timed.clock;
        let Timed { state, clock } = Timed { state, clock }.normal(is_busy);
        // Of the orders by what no renaming changes, the least; of equal ones, by content.
        let key = |names: &Names| {
            let mut key = vec![0; names.len()];
            for (old, new) in names.iter().enumerate() {
                key[*new] = state.servers[old].signature();
            }
            key
        };
        let keys: Vec<Vec<u64>> = self.renamings.iter().map(key).collect();
        let least = keys.iter().min();
        let ties = (0..keys.len()).filter(|at| Some(&keys[*at]) == least);
        let renamed = |at| (self.servers(&state.servers, at), clock.renamed(&self.renamings[at]));
        let (servers, clock) = ties.map(renamed).min().unwrap_or_default();
        Timed { state: State { servers, ..state }, clock }
    }

    fn servers(&self, servers: &Servers, renaming: usize) -> Servers {
        let names = &self.renamings[renaming];
        let mut renamed = servers.clone();
        for (old, server) in servers.iter().enumerate() {
            let mut memo = self.renamed.borrow_mut();
            renamed[names[old]] = *memo.entry((*server, renaming)).or_insert_with(|| {
                let mut server = (**server).clone();
                server.rename(&|id| NodeId(names[id.0 as usize] as u64));
                Interned::new(server)
            });
        }
        renamed
    }
}

/// The state with its numbers and without its ghosts.
fn normal(state: &State) -> State {
    let kept = kept(state);
    let terms = terms(state, &kept);
    let term = |term: Term| Term(terms.partition_point(|other| *other < term) as u64);
    let index = |at: Index| Index(kept.partition_point(|kept| *kept <= at.0) as u64);
    let servers = renumbered(state, Numbers { term: &term, index: &index });
    let history = Interned::new(History::default());
    let budget = Budget { cut: state.budget.cut, ..Budget::default() };
    State { servers, history, budget, broken: ClaimSet::NONE, ..state.clone() }
}

/// The same state with a wider gap between this server's term and the next higher one; none where no
/// term is higher. With it the server can reach a term that nobody is in.
pub(super) fn widened_terms(timed: &Timed, id: NodeId) -> Option<Timed> {
    let term = |id: NodeId| timed.state.server(id).node.current_term();
    let own = term(id);
    let above = timed.state.servers.iter().any(|server| term(server.node.id()) > own);
    let numbers =
        Numbers { term: &|at| if at > own { at.next() } else { at }, index: &|index| index };
    above.then(|| widened(timed, numbers))
}

/// The same state with another entry in every log that is longer than this server's, behind its end;
/// none where no log is. With it the server can append and its log is still shorter.
pub(super) fn widened_logs(timed: &Timed, id: NodeId) -> Option<Timed> {
    let last = |id: NodeId| timed.state.server(id).node.log().last().index;
    let own = last(id);
    let above = timed.state.servers.iter().any(|server| last(server.node.id()) > own);
    let numbers =
        Numbers { term: &|term| term, index: &|at| if at > own { at.next() } else { at } };
    above.then(|| widened(timed, numbers))
}

fn widened(timed: &Timed, to: Numbers<'_>) -> Timed {
    let servers = renumbered(&timed.state, to);
    Timed { state: State { servers, ..timed.state.clone() }, clock: timed.clock }
}

fn renumbered(state: &State, to: Numbers<'_>) -> Servers {
    let renumber = |server: &Interned<Server>| {
        let mut server = (**server).clone();
        server.renumber(to);
        Interned::new(server)
    };
    state.servers.iter().map(renumber).collect()
}

/// The indices of the entries that stay, in order.
fn kept(state: &State) -> Vec<u64> {
    let nodes = || state.servers.iter().map(|server| &server.node);
    let last = nodes().map(|node| node.log().last().index.0).max().unwrap_or(0);
    let mut marked = vec![false; last as usize + 2];
    let mut mark = |index: Index| marked[index.0 as usize] = true;
    for node in nodes() {
        known(node).into_iter().for_each(&mut mark);
    }
    let terms = |at: u64| nodes().map(move |node| node.log().term_at(Index(at)));
    // Which logs have the same entry there as which others.
    let alike = |at: u64| -> Vec<usize> {
        terms(at).map(|term| terms(at).position(|other| other == term).unwrap_or(0)).collect()
    };
    let stays = |at: &u64| marked[*at as usize] || alike(*at) != alike(at + 1);
    (1..=last).filter(stays).collect()
}

/// The indices at which something that the server knows ends.
fn known(node: &Node) -> Vec<Index> {
    let mut known = vec![node.log().last().index, node.commit_index(), node.durable_index()];
    if let Role::Leader(leadership) = node.role() {
        for peer in leadership.peers.values() {
            known.extend([peer.match_index, peer.next_index.previous()]);
        }
    }
    known
}

/// The terms that are left, in order; the first is 0, that of the empty prefix.
fn terms(state: &State, kept: &[u64]) -> Vec<Term> {
    let mut terms = vec![Term(0)];
    for server in &state.servers {
        let node = &server.node;
        terms.push(node.current_term());
        terms.extend(kept.iter().filter_map(|index| node.log().term_at(Index(*index))));
    }
    terms.sort_unstable();
    terms.dedup();
    terms
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::guards::Guards;
    use crate::links::graph::{Graph, Steps};
    use crate::links::lasso;
    use crate::links::pattern::{COMBINATIONS, PATTERNS, Pattern};
    use crate::links::walk::Walker;

    fn three() -> impl Iterator<Item = &'static Pattern> {
        PATTERNS.iter().filter(|pattern| pattern.servers == 3)
    }

    /// States as they are, with their numbers and names, lead nowhere but the quotient does.
    #[test]
    fn runs_in_states_as_they_are_stay_in_the_quotient() {
        let mut random = 1_u64;
        let mut below = |bound: usize| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            (random >> 33) as usize % bound
        };
        // Of five servers with everything on: without, there are too many states for a test.
        for pattern in PATTERNS {
            let combinations = if pattern.servers == 3 { 0..8 } else { 7..8 };
            for election in &COMBINATIONS[combinations] {
                let model = SliceModel::new(pattern.slice(*election), Guards::sound());
                let quotient = Quotient::new(pattern.servers, model.cuts());
                let initial = pattern.histories.states(&model, &quotient, pattern.led_by);
                let graph = Graph::explore(&model, &quotient, initial, usize::MAX);
                let known: HashSet<&Timed> = graph.states.iter().collect();
                for _ in 0..60 {
                    let mut at = graph.initial[below(graph.initial.len())].0.clone();
                    for _ in 0..80 {
                        let stands = quotient.of(&model, &at);
                        assert!(
                            known.contains(&stands),
                            "{} {election}: {:?}",
                            pattern.name,
                            at.state
                        );
                        let mut after = Steps::of(&model, &at).after;
                        if after.is_empty() {
                            break;
                        }
                        at = after.swap_remove(below(after.len())).1;
                    }
                }
            }
        }
    }

    /// Canonical names are a reduction: with the servers' own names there are the same verdicts.
    #[test]
    fn names_make_no_difference() {
        for pattern in three() {
            for election in COMBINATIONS {
                let model = SliceModel::new(pattern.slice(election), Guards::sound());
                let verdicts = |quotient: &Quotient| {
                    let initial = pattern.histories.states(&model, quotient, pattern.led_by);
                    let graph = Graph::explore(&model, quotient, initial, usize::MAX);
                    let walker = Walker { model: &model, quotient, graph: &graph };
                    let stable = matches!(lasso::find(&walker), lasso::Found::None);
                    let live = crate::links::live::find(&walker);
                    (stable, matches!(live, crate::links::live::Found::Live))
                };
                let canonical = Quotient::new(pattern.servers, model.cuts());
                let renamings = vec![(0..pattern.servers).collect()];
                let plain = Quotient { renamings, renamed: RefCell::default() };
                assert_eq!(verdicts(&canonical), verdicts(&plain), "{} {election}", pattern.name);
            }
        }
    }
}
