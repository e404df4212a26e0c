//! What holds between servers in one state.

use alloc::vec::Vec;

use crate::configuration::Configuration;
use crate::durable::Durable;
use crate::log::{Log, Snapshot};
use crate::node::Node;
use crate::property::history::History;
use crate::property::membership::may_lead;
use crate::role::{Role, RoleName};
use crate::rules::Rules;
use crate::small::Set;
use crate::types::{EntryId, Index, NodeId, Term};

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

/// Whether the node may campaign, and a quorum of its own configuration has no more up-to-date log
/// than the node, so that nothing but time and messages stands between it and leadership.
fn could_win<'a>(rules: &impl Rules, node: &Node, nodes: NodeIter<'a>) -> bool {
    let configuration = node.log().configuration();
    let mine = node.log().last();
    let behind: Vec<NodeId> =
        nodes.filter(|other| other.log().last() <= mine).map(Node::id).collect();
    may_lead(node) && rules.is_quorum(configuration, &|id| behind.contains(&id))
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

/// If both logs have an entry of one index and term, they agree up to it (§3.2), configurations
/// included, from where both are known on: the last entry that the longer snapshot covers.
#[must_use]
pub fn log_matching(a: &Log, b: &Log) -> bool {
    let both = a.base().index.max(b.base().index);
    let common = a.known(both, Index::LIMIT).filter(|id| b.contains(*id)).last();
    let Some(common) = common else { return true };
    let shared = |log: &'_ Log| -> Vec<(Index, Configuration)> {
        let all = log.configurations().filter(|(at, _)| *at > both && *at <= common.index);
        all.cloned().collect()
    };
    a.known(both, common.index).eq(b.known(both, common.index)) && shared(a) == shared(b)
}

/// The server's snapshot ends with the entry that was committed at its index, and with the
/// configuration in force there: the latest one committed before, or the first one (§5.1).
#[must_use]
pub fn snapshot_committed(history: &History, first: &Configuration, log: &Log) -> bool {
    let Snapshot { last, configuration } = log.snapshot();
    let committed = history.committed.get(&last.index).is_some_and(|(term, _)| *term == last.term);
    let mut before = history.configurations.range(..=last.index);
    let in_force = before.next_back().map_or(first, |(_, configuration)| configuration);
    last == EntryId::ZERO || (committed && *configuration == *in_force)
}

/// What a leader believes a follower has is on the follower's disk and equal, or the follower is
/// in a later term (§3.5).
#[must_use]
pub fn match_index_sound(leader: &Node, follower: &Node, disk: &Durable) -> bool {
    let Role::Leader(leadership) = leader.role() else { return true };
    let Some(peer) = leadership.peers.get(&follower.id()) else { return true };
    if follower.current_term() > leader.current_term() {
        return true;
    }
    let mut believed = leader.log().known(Index::ZERO, peer.match_index);
    disk.log.last().index >= peer.match_index && believed.all(|id| disk.log.covers(id))
}

/// Every committed entry is in so many logs that no server that could win an election now has a
/// quorum without it (§3.6.3).
pub fn quorum_log<'a>(
    rules: &impl Rules,
    history: &History,
    nodes: impl Fn() -> NodeIter<'a>,
) -> bool {
    held_by_quorums(rules, history, &nodes, |node, id| node.log().covers(id))
}

/// Every committed entry is on so many disks that no server that could win an election now has a
/// quorum without it (§3.5).
pub fn committed_is_durable<'a>(
    rules: &impl Rules,
    history: &History,
    nodes: impl Fn() -> NodeIter<'a>,
    disk: impl Fn(NodeId) -> &'a Durable,
) -> bool {
    held_by_quorums(rules, history, &nodes, |node, id| disk(node.id()).log.covers(id))
}

/// Whether for each committed entry, and each server that could win an election now, the servers
/// that have the entry are a majority of its voters. A majority of one half of a joint
/// configuration is in the way of every quorum, too.
fn held_by_quorums<'a>(
    rules: &impl Rules,
    history: &History,
    nodes: &impl Fn() -> NodeIter<'a>,
    has: impl Fn(&Node, EntryId) -> bool,
) -> bool {
    let electable = || nodes().filter(|node| could_win(rules, node, nodes()));
    let mut configurations: Vec<&Configuration> = Vec::new();
    for configuration in electable().map(|node| node.log().configuration()) {
        if !configurations.contains(&configuration) {
            configurations.push(configuration);
        }
    }
    history.committed.iter().all(|(index, (term, _))| {
        let id = EntryId { term: *term, index: *index };
        let holders: Vec<NodeId> = nodes().filter(|node| has(node, id)).map(Node::id).collect();
        let majority = |half: &Set<NodeId>| {
            2 * half.iter().filter(|id| holders.contains(id)).count() > half.len()
        };
        configurations.iter().all(|c| majority(&c.voters) || majority(&c.outgoing))
    })
}
