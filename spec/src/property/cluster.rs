//! What holds between servers in one state.

use alloc::vec::Vec;

use crate::configuration::Configuration;
use crate::node::Node;
use crate::role::RoleName;
use crate::rules::Rules;
use crate::types::{NodeId, Term};

/// Any two servers that could each win an election now have configurations whose quorums
/// intersect (§3.4, §4.3).
pub fn quorum_intersection<'a>(rules: &impl Rules, nodes: impl Fn() -> NodeIter<'a>) -> bool {
    let mut electable: Vec<&Configuration> = Vec::new();
    for node in nodes().filter(|node| could_win(rules, node, nodes())) {
        let configuration = node.log().configuration();
        if !electable.contains(&configuration) {
            electable.push(configuration);
        }
    }
    electable
        .iter()
        .enumerate()
        .all(|(i, a)| electable.iter().skip(i).all(|b| quorums_intersect(rules, a, b)))
}

/// The nodes of a cluster, one after the other.
pub type NodeIter<'a> = alloc::boxed::Box<dyn Iterator<Item = &'a Node> + 'a>;

/// Whether a quorum of the node's own configuration has no more up-to-date log than the node, so
/// that nothing but time and messages stands between it and leadership.
fn could_win<'a>(rules: &impl Rules, node: &Node, nodes: NodeIter<'a>) -> bool {
    let configuration = node.log().configuration();
    let mine = node.log().last();
    let behind: Vec<NodeId> =
        nodes.filter(|other| other.log().last() <= mine).map(Node::id).collect();
    configuration.is_voter(node.id()) && rules.is_quorum(configuration, &|id| behind.contains(&id))
}

/// Whether every quorum of `a` shares a server with every quorum of `b`: there is no set that is
/// a quorum of the one while the servers outside it are a quorum of the other.
pub fn quorums_intersect(rules: &impl Rules, a: &Configuration, b: &Configuration) -> bool {
    let mut servers: Vec<NodeId> = a.all_voters().chain(b.all_voters()).collect();
    servers.sort_unstable();
    servers.dedup();
    (0u32..1 << servers.len()).all(|subset| {
        let inside = |id: NodeId| {
            servers.iter().position(|s| *s == id).is_some_and(|i| subset & (1 << i) != 0)
        };
        let outside = |id: NodeId| servers.contains(&id) && !inside(id);
        !(rules.is_quorum(a, &inside) && rules.is_quorum(b, &outside))
    })
}

/// The leader still leads the term that it led (§9.6).
#[must_use]
pub fn leader_undisturbed(node: &Node, term: Term) -> bool {
    node.role().name() == RoleName::Leader && node.current_term() == term
}
