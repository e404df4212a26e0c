//! The clients of a lane: they stand beside every server, so no cut link comes between.
//!
//! A write is the next number, given to whichever server leads; a read gives the latest number that
//! the reader's server answers for.

use std::collections::BTreeMap;

use quorate_spec::{EntryId, Index, Node, NodeId, Term, Token};

/// What clients know and wait for.
#[derive(Default)]
pub(crate) struct Clients {
    /// The numbers that were written so far.
    written: u64,
    /// Which number each entry holds.
    values: BTreeMap<EntryId, u64>,
    /// The writes that wait for their commit, by the server that took them.
    waiting: BTreeMap<NodeId, Vec<EntryId>>,
    /// What clients were told to be committed: the terms of the entries at each index.
    told: BTreeMap<Index, Vec<Term>>,
    last_token: u64,
    /// The reads that wait, by name: their numbers in the record.
    reads: BTreeMap<Token, usize>,
}

/// A write that a client was told of.
pub(crate) struct Acknowledged {
    /// Whether another entry was acknowledged at the same index.
    pub(crate) contradicts: bool,
}

impl Clients {
    /// A server took a command: it is this entry.
    pub(crate) fn wrote(&mut self, server: NodeId, entry: EntryId) {
        self.written += 1;
        self.values.insert(entry, self.written);
        self.waiting.entry(server).or_default().push(entry);
    }

    /// Which of the writes that this server took it now answers: what it knows to be committed. A
    /// server that leads no more answers nothing.
    pub(crate) fn acknowledged(&mut self, node: &Node) -> Vec<Acknowledged> {
        let Some(waiting) = self.waiting.get_mut(&node.id()) else { return Vec::new() };
        let commit = node.commit_index();
        let done = |id: &EntryId| id.index <= commit && node.log().contains(*id);
        let (ready, open): (Vec<_>, Vec<_>) = std::mem::take(waiting).into_iter().partition(done);
        *waiting = if node.is_leader() { open } else { Vec::new() };
        let told = &mut self.told;
        let tell = |id: EntryId| {
            let terms = told.entry(id.index).or_default();
            terms.push(id.term);
            Acknowledged { contradicts: terms.iter().any(|term| *term != id.term) }
        };
        ready.into_iter().map(tell).collect()
    }

    /// The latest number in this log up to this index; 0 before the first.
    pub(crate) fn value(&self, node: &Node, index: Index) -> u64 {
        let ids = node.log().ids().take_while(|id| id.index <= index);
        ids.filter_map(|id| self.values.get(&id)).copied().max().unwrap_or(0)
    }

    /// The latest number that is committed, where this is what is.
    pub(crate) fn newest(&self, committed: &BTreeMap<Index, (Term, Term)>) -> u64 {
        let ids =
            committed.iter().rev().map(|(index, (term, _))| EntryId { term: *term, index: *index });
        ids.filter_map(|id| self.values.get(&id)).next().copied().unwrap_or(0)
    }

    /// A read waits; it has this number in the record.
    pub(crate) fn asked(&mut self, number: usize) -> Token {
        self.last_token += 1;
        let token = Token(self.last_token);
        self.reads.insert(token, number);
        token
    }

    /// The number in the record of a read that is answered now.
    pub(crate) fn answered(&mut self, token: Token) -> Option<usize> {
        self.reads.remove(&token)
    }
}
