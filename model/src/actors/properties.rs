//! The claims as Stateright properties of the actor model.

use quorate_spec::property::Claim;
use quorate_spec::property::cluster::{log_matching, match_index_sound, quorum_intersection};
use quorate_spec::property::reads::lease_exclusive;
use quorate_spec::{EntryId, Index, Node, Term};
use stateright::{Model, Property};

use super::{Forgetful, Member, RaftModel, RaftState, members};
use crate::guards::Guards;
use crate::server::{Machine, PRESENT};
use crate::slice::Slice;

/// A model of which the claims about a whole state can be asked.
pub(super) trait Cluster: Model<State = RaftState> {
    fn machine(&self) -> &Machine<Guards>;
    fn slice(&self) -> &Slice;
}

impl Cluster for RaftModel {
    fn machine(&self) -> &Machine<Guards> {
        &self.actors[0].machine
    }

    fn slice(&self) -> &Slice {
        &self.cfg
    }
}

impl Cluster for Forgetful {
    fn machine(&self) -> &Machine<Guards> {
        self.0.machine()
    }

    fn slice(&self) -> &Slice {
        self.0.slice()
    }
}

/// The claims, and what shows that they are not empty.
pub(super) fn properties<M: Cluster>(slice: &Slice) -> Vec<Property<M>> {
    let mut properties = vec![
        Property::always("ElectionSafety", |_, state| {
            pairs(state).all(|(a, b)| a.led.is_disjoint(&b.led))
        }),
        Property::always("EntryIdentity", |_, state| {
            let once = |member: &Member| !member.broken.contains(Claim::EntryIdentity);
            members(state).all(once) && pairs(state).all(|(a, b)| a.created.is_disjoint(&b.created))
        }),
        Property::always("QuorumIntersection", |model: &M, state| {
            quorum_intersection(&model.machine().protocol.rules, || {
                Box::new(members(state).map(|member| &member.server.node))
            })
        }),
        Property::always("LogMatching", |_, state| {
            node_pairs(state).all(|(a, b)| log_matching(a.log(), b.log()))
        }),
        Property::always("StateMachineSafety", |_, state| {
            node_pairs(state).all(|(a, b)| {
                let both = a.commit_index().min(b.commit_index());
                committed(a, both) == committed(b, both)
            })
        }),
        Property::always("LeaderCompleteness", |_, state| {
            // A server that hears a leader contradict a commit says so itself.
            let heard = |member: &Member| !member.broken.contains(Claim::LeaderCompleteness);
            let complete = node_pairs(state).all(|(a, b)| is_complete(a, b) && is_complete(b, a));
            members(state).all(heard) && complete
        }),
        Property::always("MatchIndexSound", |_, state| {
            pairs(state).all(|(a, b)| knows(a, b) && knows(b, a))
        }),
        Property::always("steps", |_, state| members(state).all(|m| m.broken.is_empty())),
        Property::sometimes("a leader is elected", |_, state| {
            members(state).any(|member| member.server.node.is_leader())
        }),
    ];
    if slice.appends {
        properties.push(Property::sometimes("a leader commits", |_, state| {
            members(state)
                .map(|member| &member.server.node)
                .any(|node| node.is_leader() && node.commit_index() > Index::ZERO)
        }));
    }
    if slice.lease.is_some() {
        properties.extend(of_leases());
    }
    if !slice.changes.is_empty() {
        properties.push(Property::sometimes("the members have changed", |model: &M, state| {
            members(state).any(|member| has_changed(model.slice(), &member.server.node))
        }));
    }
    if slice.appends && slice.commands > 0 {
        properties
            .push(Property::sometimes("every server knows of a committed command", |_, state| {
                members(state).all(|member| knows_of_a_command(&member.server.node))
            }));
    }
    properties
}

/// The claims about lease reads, and that there are any, also beside a leader of a later term.
fn of_leases<M: Cluster>() -> Vec<Property<M>> {
    vec![
        Property::always("LeaseExclusive", |model: &M, state| {
            readers(model, state).all(|(holder, _)| {
                let led = members(state).flat_map(|member| member.led.iter().copied());
                lease_exclusive(holder, led)
            })
        }),
        Property::always("LinearizableRead", |model: &M, state| {
            let known = members(state).map(|member| member.server.node.commit_index()).max();
            readers(model, state).all(|(_, index)| Some(index) >= known)
        }),
        Property::sometimes("a lease is held", |model: &M, state| {
            readers(model, state).next().is_some()
        }),
        Property::sometimes("a later leader commits", |_, state| {
            members(state).map(|member| &member.server.node).any(|node| {
                let own = node.log().term_at(node.commit_index()) == Some(node.current_term());
                node.is_leader() && node.current_term() > Term(1) && own
            })
        }),
    ]
}

/// The servers that serve lease reads now, by what they have published, and at which index.
fn readers<'a, M: Cluster>(
    model: &'a M,
    state: &'a RaftState,
) -> impl Iterator<Item = (&'a Node, Index)> + 'a {
    let machine = model.machine();
    let served = |node: &Node| machine.protocol.read_view(node).lease_read(PRESENT).ok();
    let nodes = members(state).map(|member| &member.server.node);
    nodes.filter_map(move |node| Some((node, served(node)?)))
}

/// Every two members, once.
fn pairs(state: &RaftState) -> impl Iterator<Item = (&Member, &Member)> {
    members(state).enumerate().flat_map(|(i, a)| members(state).take(i).map(move |b| (a, b)))
}

fn node_pairs(state: &RaftState) -> impl Iterator<Item = (&Node, &Node)> {
    pairs(state).map(|(a, b)| (&a.server.node, &b.server.node))
}

fn knows(leader: &Member, follower: &Member) -> bool {
    let disk = &follower.server.disk.reported;
    match_index_sound(&leader.server.node, &follower.server.node, disk)
}

/// Whether the server knows that the members are those that the slice asks for.
fn has_changed(slice: &Slice, node: &Node) -> bool {
    let target = slice.changes.first().map(|to| to.target());
    target.is_some() && node.settled_members() == target
}

/// A term's first entry is no command, and every other one is.
fn knows_of_a_command(node: &Node) -> bool {
    let known = committed(node, node.commit_index());
    known.windows(2).any(|pair| pair[0].term == pair[1].term)
}

fn committed(node: &Node, upto: Index) -> Vec<EntryId> {
    node.log().ids().take_while(|id| id.index <= upto).collect()
}

/// If `leader` leads a later term than `other` is in, it has what `other` knows to be committed:
/// that was committed in an earlier term than the leader's.
fn is_complete(leader: &Node, other: &Node) -> bool {
    let owes = leader.is_leader() && leader.current_term() > other.current_term();
    !owes || committed(other, other.commit_index()) == committed(leader, other.commit_index())
}
