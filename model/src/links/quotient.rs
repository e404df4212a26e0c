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
//! A gap between two terms stands for every wider one: [`widened`] gives the state with a wider gap,
//! and the search goes on from there, too. So the quotient has every run of the protocol and perhaps
//! others; a cycle counts only once it was walked in states as they are (`lasso.rs`).

use std::cell::RefCell;
use std::collections::HashMap;

use quorate_spec::property::ClaimSet;
use quorate_spec::property::history::History;
use quorate_spec::{Index, Node, NodeId, Numbers, Rename, Renumber, Role, Term};

use crate::canonical::permutations;
use crate::intern::Interned;
use crate::server::Server;
use crate::state::{Budget, Servers, State, link};

/// For each server, by its old name, the new one.
type Names = Vec<usize>;

/// The quotient under a pattern of cut links.
pub(super) struct Quotient {
    /// Every renaming that leaves the cut links as they are; the first one changes nothing.
    renamings: Vec<Names>,
    /// What a renaming makes of a server.
    renamed:
        RefCell<HashMap<(Interned<Server>, usize), Interned<Server>, foldhash::fast::FixedState>>,
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
    pub(super) fn of(&self, state: &State) -> State {
        let state = normal(state);
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
        let servers = ties.map(|at| self.servers(&state.servers, at)).min();
        State { servers: servers.unwrap_or_default(), ..state }
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
pub(super) fn widened(state: &State, id: NodeId) -> Option<State> {
    let own = state.servers[id.0 as usize].node.current_term();
    let above = state.servers.iter().any(|server| server.node.current_term() > own);
    above.then(|| {
        let term = |term: Term| if term > own { term.next() } else { term };
        let servers = renumbered(state, Numbers { term: &term, index: &|index| index });
        State { servers, ..state.clone() }
    })
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
