//! What holds over the whole run, crashes included: a record of who led and what was created,
//! which no server can see or lose.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::configuration::Configuration;
use crate::effects::{Effects, Input};
use crate::log::Log;
use crate::node::Node;
use crate::property::claim::{Claim, ClaimSet};
use crate::refusal::Refusal;
use crate::small::Set;
use crate::types::{EntryId, Index, NodeId, Term, Token};

/// Something that the history remembers.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// A server became leader.
    Elected {
        /// Of this term.
        term: Term,
        /// The server.
        leader: NodeId,
        /// Its log when it was elected.
        log: Log,
    },
    /// A leader created entries, from the first to the last.
    Created {
        /// The first of them.
        first: EntryId,
        /// The index of the last.
        last: Index,
    },
    /// A server learnt that these entries are committed.
    Committed {
        /// The entries.
        entries: Vec<EntryId>,
        /// The server's term at that moment; the leader of that term is the first to know.
        term: Term,
    },
    /// A server learnt that this configuration is committed.
    Configured {
        /// The index of its entry.
        index: Index,
        /// The configuration.
        configuration: Configuration,
    },
    /// A client asked a server for a read.
    ReadAsked {
        /// The server.
        server: NodeId,
        /// Its name for the read.
        token: Token,
    },
    /// The server answered.
    ReadAnswered {
        /// The server.
        server: NodeId,
        /// Its name for the read.
        token: Token,
        /// Where the read is served; none where it failed.
        index: Option<Index>,
    },
    /// A server restarted: the clients that it had not answered hear nothing.
    Restarted(NodeId),
}

/// The read that this input asks for, unless it is refused.
#[must_use]
pub fn asked(server: NodeId, input: &Input, effects: &Effects) -> Option<Event> {
    let Input::Read(token) = *input else { return None };
    let refused = effects.refused.contains(&Refusal::SameToken(token));
    (!refused).then_some(Event::ReadAsked { server, token })
}

/// The reads that are answered by these effects.
pub fn answered(server: NodeId, effects: &Effects) -> impl Iterator<Item = Event> + '_ {
    let answer = |read: &crate::effects::ReadAnswer| (read.token, read.outcome.ok());
    let answers = effects.reads.iter().map(answer);
    answers.map(move |(token, index)| Event::ReadAnswered { server, token, index })
}

/// What the history has to remember of a step of one server.
#[must_use]
pub fn events(before: &Node, after: &Node) -> Vec<Event> {
    let mut events = Vec::new();
    let term = after.current_term();
    if after.is_leader() {
        if !before.is_leader() || before.current_term() != term {
            events.push(Event::Elected { term, leader: after.id(), log: before.log().clone() });
        }
        let (was, is) = (before.log().last(), after.log().last());
        if is.index > was.index {
            let first = EntryId { term, index: was.index.next() };
            events.push(Event::Created { first, last: is.index });
        }
    }
    let (was, is) = (before.commit_index(), after.commit_index());
    if is > was {
        // Of what came with a snapshot only the last entry is known, and its configuration with it:
        // whoever committed them first knew all.
        let entries = after.log().known(was.next(), is).collect();
        events.push(Event::Committed { entries, term });
        let fresh = after.log().configurations().filter(|(at, _)| *at > was && *at <= is);
        let configured = |(index, configuration)| Event::Configured { index, configuration };
        events.extend(fresh.cloned().map(configured));
    }
    events
}

/// The record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct History {
    /// Every server that ever led a term.
    pub leaders: BTreeMap<Term, Set<NodeId>>,
    /// The last index that was ever created in a term.
    pub created: BTreeMap<Term, Index>,
    /// What was committed: for each index the entry's term, and the term in which it was.
    pub committed: BTreeMap<Index, (Term, Term)>,
    /// Which configurations were committed, by the indices of their entries.
    pub configurations: BTreeMap<Index, Configuration>,
    /// The reads that wait for an answer, by server and name: what was committed when they came.
    pub reads: BTreeMap<(NodeId, Token), Index>,
}

impl History {
    /// Adds an event, and returns the claims that it breaks.
    pub fn observe(&mut self, event: &Event) -> ClaimSet {
        let mut broken = ClaimSet::NONE;
        match event {
            Event::Elected { term, leader, log } => {
                self.leaders.entry(*term).or_default().insert(*leader);
                broken.require(Claim::ElectionSafety, self.election_safety());
                broken.require(Claim::LeaderCompleteness, self.is_complete(*term, log));
            }
            Event::Created { first, last } => {
                let created = self.created.entry(first.term).or_insert(Index::ZERO);
                broken.require(Claim::EntryIdentity, first.index > *created);
                *created = *last.max(created);
            }
            Event::Committed { entries, term } => {
                for id in entries {
                    let first = self.committed.entry(id.index).or_insert((id.term, *term));
                    broken.require(Claim::StateMachineSafety, first.0 == id.term);
                }
            }
            Event::Configured { index, configuration } => {
                self.configurations.entry(*index).or_insert_with(|| configuration.clone());
            }
            Event::ReadAsked { server, token } => {
                self.reads.insert((*server, *token), self.last_committed());
            }
            Event::ReadAnswered { server, token, index } => {
                let known = self.reads.remove(&(*server, *token));
                // An answer to no question would be one too many.
                let last = self.last_committed();
                let sees =
                    |index: Index| known.is_some_and(|known| index >= known && index <= last);
                broken.require(Claim::LinearizableRead, index.is_none_or(sees));
            }
            Event::Restarted(server) => self.reads.retain(|(asked, _), _| asked != server),
        }
        broken
    }

    /// The last entry that anyone knows to be committed: a client can know of no later one.
    #[must_use]
    pub fn last_committed(&self) -> Index {
        self.committed.last_key_value().map_or(Index::ZERO, |(index, _)| *index)
    }

    /// The log of a leader of `term` has what was committed in earlier terms (§3.6.3). The term of
    /// the commit counts: a leader of an older term may be elected late, and owes nothing.
    fn is_complete(&self, term: Term, log: &Log) -> bool {
        let earlier = self.committed.iter().filter(|(_, (_, committed_in))| *committed_in < term);
        let mut ids = earlier.map(|(index, (of, _))| EntryId { term: *of, index: *index });
        ids.all(|id| log.covers(id))
    }

    /// At most one leader for every term, ever (§3.2).
    #[must_use]
    pub fn election_safety(&self) -> bool {
        self.leaders.values().all(|leaders| leaders.len() <= 1)
    }
}
