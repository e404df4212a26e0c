//! What holds over the whole run, crashes included: a record of who led and what was created,
//! which no server can see or lose.

use alloc::collections::{BTreeMap, BTreeSet};

use crate::property::claim::{Claim, ClaimSet};
use crate::types::{EntryId, Index, NodeId, Term};

/// Something that the history remembers.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Event {
    /// A server became leader.
    Elected {
        /// Of this term.
        term: Term,
        /// The server.
        leader: NodeId,
    },
    /// A leader created entries, from the first to the last.
    Created {
        /// The first of them.
        first: EntryId,
        /// The index of the last.
        last: Index,
    },
}

/// The record.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct History {
    /// Every server that ever led a term.
    pub leaders: BTreeMap<Term, BTreeSet<NodeId>>,
    /// The last index that was ever created in a term.
    pub created: BTreeMap<Term, Index>,
}

impl History {
    /// Adds an event, and returns the claims that it breaks.
    pub fn observe(&mut self, event: Event) -> ClaimSet {
        let mut broken = ClaimSet::NONE;
        match event {
            Event::Elected { term, leader } => {
                self.leaders.entry(term).or_default().insert(leader);
                broken.require(Claim::ElectionSafety, self.election_safety());
            }
            Event::Created { first, last } => {
                let created = self.created.entry(first.term).or_insert(Index::ZERO);
                broken.require(Claim::EntryIdentity, first.index > *created);
                *created = last.max(*created);
            }
        }
        broken
    }

    /// At most one leader for every term, ever (§3.2).
    #[must_use]
    pub fn election_safety(&self) -> bool {
        self.leaders.values().all(|leaders| leaders.len() <= 1)
    }
}
