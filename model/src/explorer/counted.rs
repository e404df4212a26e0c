//! Who was counted when a server was elected or a leader committed: read off the states before and
//! after a step, and the messages that arrived in it. The rules are asked for one thing alone: up to
//! where a leader counts itself.

use std::collections::BTreeMap;

use quorate_spec::small::Set;
use quorate_spec::{Body, Configuration, EntryId, Envelope, Index, Node, NodeId, Rules, Term};

use super::story::Event;
use crate::intern::Interned;
use crate::state::State;

/// An election that was won.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Election {
    /// The number of the step.
    pub step: usize,
    /// Who won.
    pub leader: NodeId,
    /// The term.
    pub term: Term,
    /// Whose votes were counted, with the terms of those that were of another one.
    pub votes: BTreeMap<NodeId, Option<Term>>,
    /// The configuration that the winner went by.
    pub configuration: Configuration,
}

/// A commit by a leader.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Commit {
    /// The number of the step.
    pub step: usize,
    /// Who committed.
    pub leader: NodeId,
    /// The term in which it did.
    pub term: Term,
    /// The first entry that it committed.
    pub first: Index,
    /// The last one.
    pub last: EntryId,
    /// Whose copies were counted.
    pub holders: Set<NodeId>,
    /// The configuration that the leader went by.
    pub configuration: Configuration,
}

impl Election {
    /// Whose votes were counted.
    #[must_use]
    pub fn voters(&self) -> Set<NodeId> {
        self.votes.keys().copied().collect()
    }
}

/// What was counted in a step.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Counted {
    /// The elections.
    pub elections: Vec<Election>,
    /// The commits.
    pub commits: Vec<Commit>,
}

impl Counted {
    /// What was counted in the step of this number between these states.
    #[must_use]
    pub fn of(
        step: usize,
        (before, after): (&State, &State),
        events: &[Event],
        rules: &impl Rules,
    ) -> Counted {
        let mut counted = Counted::default();
        for (was, is) in before.servers.iter().zip(&after.servers) {
            let (was, is) = (&was.node, &is.node);
            if !is.is_leader() {
                continue;
            }
            let again = was.is_leader() && was.current_term() == is.current_term();
            if !again {
                let votes = votes(was, is, &arrived(before, events, after));
                let configuration = was.log().configuration().clone();
                let (leader, term) = (is.id(), is.current_term());
                let election = Election { step, leader, term, votes, configuration };
                counted.elections.push(election);
            }
            counted.commits.extend(commit(step, was, is, rules));
        }
        counted
    }
}

/// The messages that arrived in the step. Where only the states are known, those that are under way
/// no more.
fn arrived(before: &State, events: &[Event], after: &State) -> Vec<Interned<Envelope>> {
    let told = events.iter().filter_map(|event| match event {
        Event::Arrives(envelope) | Event::Passes(envelope) => Some(*envelope),
        Event::At(..) | Event::Everywhere(_) | Event::Leaves(_) | Event::IsLost(_) => None,
    });
    let told: Vec<_> = told.collect();
    if !told.is_empty() {
        return told;
    }
    before.net.iter().filter(|envelope| !after.net.contains(envelope)).copied().collect()
}

fn votes(was: &Node, is: &Node, arrived: &[Interned<Envelope>]) -> BTreeMap<NodeId, Option<Term>> {
    let (me, term) = (is.id(), is.current_term());
    let mut votes = BTreeMap::new();
    if was.log().configuration().is_voter(me) {
        votes.insert(me, None);
    }
    let campaign = was.campaign().filter(|_| was.current_term() == term);
    votes.extend(campaign.iter().flat_map(|it| &it.granted).map(|id| (*id, None)));
    for envelope in arrived.iter().filter(|envelope| envelope.to == me) {
        if envelope.message.body == (Body::RequestVoteReply { granted: true }) {
            let other = Some(envelope.message.term).filter(|granted_in| *granted_in != term);
            votes.insert(envelope.from, other);
        }
    }
    votes
}

fn commit(step: usize, was: &Node, is: &Node, rules: &impl Rules) -> Option<Commit> {
    let leadership = is.leadership()?;
    let last = is.commit_index();
    if last <= was.commit_index() {
        return None;
    }
    let peers = leadership.peers.iter().filter(|(_, peer)| peer.match_index >= last);
    let own = rules.own_match(is.durable_index(), is.log().last().index);
    let own = (own >= last).then(|| is.id());
    Some(Commit {
        step,
        leader: is.id(),
        term: is.current_term(),
        first: was.commit_index().next(),
        last: EntryId { term: is.log().term_at(last)?, index: last },
        holders: peers.map(|(id, _)| *id).chain(own).collect(),
        configuration: was.log().configuration().clone(),
    })
}
