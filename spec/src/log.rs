//! The log without its payload: runs of equal terms, and the configuration entries, after what a
//! snapshot covers.
//!
//! `(term, index)` names an entry (claim EntryIdentity), so the protocol needs no bytes and no
//! list of entries. The size of this type grows with the number of terms and of configuration
//! changes since the snapshot, not with the number of entries.

use alloc::boxed::Box;
use alloc::vec::Vec;
use core::fmt;

use crate::configuration::Configuration;
use crate::types::{EntryId, Index, Term};

/// Consecutive entries of one term, up to and including index `last`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Run {
    /// The term of every entry of the run.
    pub term: Term,
    /// The index of the run's last entry.
    pub last: Index,
}

impl fmt::Debug for Run {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "t{}..={}", self.term.0, self.last.0)
    }
}

/// A stretch of log that follows some entry: what an AppendEntries carries and a write appends.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Entries {
    /// The runs, in order; empty for a heartbeat.
    pub runs: Vec<Run>,
    /// The configuration entries among them, in order.
    pub configurations: Vec<(Index, Configuration)>,
}

impl Entries {
    /// `count` entries of one term after `previous`.
    #[must_use]
    pub fn of_term(previous: Index, term: Term, count: u64) -> Entries {
        let last = Index(previous.0.saturating_add(count));
        let runs = if count == 0 { Vec::new() } else { alloc::vec![Run { term, last }] };
        Entries { runs, configurations: Vec::new() }
    }

    /// One configuration entry after `previous`.
    #[must_use]
    pub fn of_configuration(previous: Index, term: Term, configuration: Configuration) -> Entries {
        let configurations = alloc::vec![(previous.next(), configuration)];
        Entries { configurations, ..Entries::of_term(previous, term, 1) }
    }

    /// Whether there is no entry.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// The index of the last entry, or `previous` if there is none.
    #[must_use]
    pub fn last_index(&self, previous: Index) -> Index {
        self.runs.last().map_or(previous, |run| run.last)
    }

    /// Whether these can follow `previous` in a log of a leader of `term`: contiguous, terms
    /// strictly rising from run to run, none below `previous` or above `term`, and
    /// configurations inside. Messages come from outside; one that fails this is refused.
    #[must_use]
    pub fn is_well_formed(&self, previous: EntryId, term: Term) -> bool {
        let mut at = previous;
        if at.term > term || at.index >= Index::LIMIT {
            return false;
        }
        for (i, run) in self.runs.iter().enumerate() {
            let rises = if i == 0 { run.term >= at.term } else { run.term > at.term };
            let possible = run.last > at.index && run.last < Index::LIMIT && run.term <= term;
            if !rises || !possible {
                return false;
            }
            at = EntryId { term: run.term, index: run.last };
        }
        let mut before = previous.index;
        self.configurations.iter().all(|(index, configuration)| {
            let inside = *index > before && *index <= at.index;
            before = *index;
            inside && configuration.is_well_formed()
        })
    }

    /// The part of these entries after `index`.
    #[must_use]
    pub fn after(&self, index: Index) -> Entries {
        Entries {
            runs: self.runs.iter().copied().filter(|run| run.last > index).collect(),
            configurations: self.configurations.iter().filter(|c| c.0 > index).cloned().collect(),
        }
    }

    /// The entries one by one, as names, where they follow `previous`.
    pub fn ids(&self, previous: Index) -> impl Iterator<Item = EntryId> + '_ {
        ids(&self.runs, previous)
    }
}

/// What the protocol knows of a snapshot (thesis §5.1): the state of the machine stays with the
/// driver.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Snapshot {
    /// The last entry that it covers, which was applied before it was taken.
    pub last: EntryId,
    /// The configuration in force at that entry: the latest one at or before it (rule S1). Boxed,
    /// as every message has the size of the largest one.
    pub configuration: Box<Configuration>,
}

impl Snapshot {
    /// What covers everything up to `last`, where that configuration is in force.
    #[must_use]
    pub fn new(last: EntryId, configuration: Configuration) -> Snapshot {
        Snapshot { last, configuration: Box::new(configuration) }
    }

    /// Whether a leader of `term` can have this snapshot. Messages come from outside; one that
    /// fails this is refused.
    #[must_use]
    pub fn is_well_formed(&self, term: Term) -> bool {
        let EntryId { term: of, index } = self.last;
        let possible = index > Index::ZERO && index < Index::LIMIT && of <= term;
        possible && !self.configuration.voters.is_empty()
    }
}

/// The entries of these runs, as names, where they follow `previous`.
fn ids(runs: &[Run], previous: Index) -> impl Iterator<Item = EntryId> + '_ {
    let of_run = |at: &mut Index, run: &Run| {
        let (first, term) = (at.next(), run.term);
        *at = run.last;
        Some((first.0..=run.last.0).map(move |i| EntryId { term, index: Index(i) }))
    };
    runs.iter().scan(previous, of_run).flatten()
}

/// A server's log: everything after `base`, which is what its snapshot ends with.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Log {
    base: EntryId,
    base_configuration: Configuration,
    entries: Entries,
}

impl fmt::Debug for Log {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.base)?;
        for run in &self.entries.runs {
            write!(f, " {run:?}")?;
        }
        write!(f, " {:?}", self.configuration())
    }
}

impl Log {
    /// The empty log of a cluster that starts with this configuration.
    #[must_use]
    pub fn new(configuration: Configuration) -> Log {
        Log { base: EntryId::ZERO, base_configuration: configuration, entries: Entries::default() }
    }

    /// The empty log after a snapshot.
    #[must_use]
    pub fn from_snapshot(snapshot: Snapshot) -> Log {
        let Snapshot { last, configuration } = snapshot;
        Log { base: last, base_configuration: *configuration, entries: Entries::default() }
    }

    /// What this log begins with: the last entry that is no longer in it, and the configuration in
    /// force there.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        Snapshot { last: self.base, configuration: Box::new(self.base_configuration.clone()) }
    }

    /// What a snapshot up to `index` ends with; none where the log does not have that entry.
    #[must_use]
    pub fn snapshot_at(&self, index: Index) -> Option<Snapshot> {
        let last = EntryId { term: self.term_at(index)?, index };
        let configuration = Box::new(self.configuration_at(index)?.clone());
        Some(Snapshot { last, configuration })
    }

    /// The name of the last entry, or of the boundary where there is none.
    #[must_use]
    pub fn last(&self) -> EntryId {
        let base = self.base;
        self.entries.runs.last().map_or(base, |run| EntryId { term: run.term, index: run.last })
    }

    /// The boundary: the last entry that the snapshot covers.
    #[must_use]
    pub fn base(&self) -> EntryId {
        self.base
    }

    /// The term of the entry at `index`; none where the log does not reach or was compacted.
    #[must_use]
    pub fn term_at(&self, index: Index) -> Option<Term> {
        if index <= self.base.index {
            return (index == self.base.index).then_some(self.base.term);
        }
        let runs = &self.entries.runs;
        let run = runs.partition_point(|run| run.last < index);
        runs.get(run).map(|run| run.term)
    }

    /// The last index of the run of equal terms that `index` is in; none where the log does not
    /// reach or was compacted.
    #[must_use]
    pub fn end_of_run_at(&self, index: Index) -> Option<Index> {
        if index <= self.base.index {
            return (index == self.base.index).then_some(index);
        }
        let run = self.entries.runs.partition_point(|run| run.last < index);
        self.entries.runs.get(run).map(|run| run.last)
    }

    /// Whether this log has exactly this entry, or it is the boundary.
    #[must_use]
    pub fn contains(&self, id: EntryId) -> bool {
        self.term_at(id.index) == Some(id.term)
    }

    /// Whether this log has exactly this entry, or a snapshot has taken its place. What is below
    /// the boundary has no name any more; claim SnapshotCommitted says that it was committed.
    #[must_use]
    pub fn covers(&self, id: EntryId) -> bool {
        id.index < self.base.index || self.contains(id)
    }

    /// The latest entry at or before `id.index` whose term is at most `id.term`, or the boundary:
    /// the last place where a log that has `id` could agree with this one (the hint of thesis
    /// §3.5). None if that place was compacted: nothing is known below the boundary (rule S6).
    #[must_use]
    pub fn last_possible_match(&self, id: EntryId) -> Option<EntryId> {
        let mut at = self.base;
        if at.index > id.index || at.term > id.term {
            return None;
        }
        for run in &self.entries.runs {
            if run.term > id.term || at.index >= id.index {
                break;
            }
            at = EntryId { term: run.term, index: run.last.min(id.index) };
        }
        Some(at)
    }

    /// The configuration in force: the latest one in the log, committed or not (rule J4).
    #[must_use]
    pub fn configuration(&self) -> &Configuration {
        self.latest_configuration().1
    }

    /// The configuration in force, and the index of its entry; that of the boundary where the
    /// log has none.
    #[must_use]
    pub fn latest_configuration(&self) -> (Index, &Configuration) {
        let latest = self.entries.configurations.last();
        latest.map_or((self.base.index, &self.base_configuration), |(at, c)| (*at, c))
    }

    /// The configuration that the latest one is to replace, where that is not known to be
    /// committed: the one that comes back if it is truncated, and that may still be needed (§4.2.2).
    #[must_use]
    pub fn superseded_configuration(&self, commit_index: Index) -> Option<&Configuration> {
        let (at, _) = self.latest_configuration();
        if at > commit_index { self.configuration_at(at.previous()) } else { None }
    }

    /// The configurations, with the indices of their entries, in order; the first is that of the
    /// boundary.
    pub fn all_configurations(&self) -> impl Iterator<Item = (Index, &Configuration)> {
        let later = self.entries.configurations.iter().map(|(at, c)| (*at, c));
        core::iter::once((self.base.index, &self.base_configuration)).chain(later)
    }

    /// The configuration in force at `index`: the latest one at or before it (rule S1); none where
    /// the log was compacted.
    #[must_use]
    pub fn configuration_at(&self, index: Index) -> Option<&Configuration> {
        if index < self.base.index {
            return None;
        }
        let before = self.entries.configurations.iter().rev().find(|(at, _)| *at <= index);
        Some(before.map_or(&self.base_configuration, |(_, configuration)| configuration))
    }

    /// The configuration entries after the boundary, in order.
    pub fn configurations(&self) -> impl Iterator<Item = &(Index, Configuration)> {
        self.entries.configurations.iter()
    }

    /// At most `limit` entries that follow the entry at `previous`, which this log must have.
    #[must_use]
    pub fn entries_after(&self, previous: Index, limit: u64) -> Entries {
        let end = Index(previous.0.saturating_add(limit)).min(self.last().index);
        let mut entries = self.entries.after(previous);
        entries.runs.retain_mut(|run| {
            let first = self.first_of(run.last);
            run.last = run.last.min(end);
            first <= end
        });
        entries.configurations.retain(|(index, _)| *index <= end);
        if end <= previous { Entries::default() } else { entries }
    }

    /// The index of the first entry of the run that ends at `last`.
    fn first_of(&self, last: Index) -> Index {
        let run = self.entries.runs.partition_point(|run| run.last < last);
        match run.checked_sub(1).and_then(|before| self.entries.runs.get(before)) {
            Some(before) => before.last.next(),
            None => self.base.index.next(),
        }
    }

    /// The index of the first entry of `term`, if that is the last term of this log: of the no-op
    /// with which a leader begins. What was compacted of the term counts as one entry.
    #[must_use]
    pub fn first_of_last_term(&self, term: Term) -> Option<Index> {
        let first = match self.entries.runs.last() {
            Some(run) => self.first_of(run.last),
            None => self.base.index,
        };
        (self.last().term == term).then_some(first)
    }

    /// Appends entries that follow the last one.
    pub fn append(&mut self, entries: &Entries) {
        for run in &entries.runs {
            match self.entries.runs.last_mut() {
                Some(last) if last.term == run.term => last.last = run.last,
                Some(_) | None => self.entries.runs.push(*run),
            }
        }
        self.entries.configurations.extend(entries.configurations.iter().cloned());
    }

    /// Removes every entry after `index`. The boundary stays. What was the latest configuration
    /// before those entries is in force again (rule J4).
    pub fn truncate_after(&mut self, index: Index) {
        self.truncate(index, |at| at <= index);
    }

    /// The same, where the rules say of the index of each configuration entry whether it stays.
    pub(crate) fn truncate(&mut self, index: Index, keeps: impl Fn(Index) -> bool) {
        let index = index.max(self.base.index);
        self.entries.configurations.retain(|(at, _)| keeps(*at));
        let mut from = self.base.index;
        self.entries.runs.retain_mut(|run| {
            let keep = from < index;
            from = run.last;
            run.last = run.last.min(index);
            keep
        });
    }

    /// Forgets the entries up to `index`, whose effect a snapshot keeps; nothing changes where the
    /// log does not have that entry after the boundary.
    pub fn compact(&mut self, index: Index) {
        let Some(Snapshot { last, configuration }) = self.snapshot_at(index) else { return };
        (self.base, self.base_configuration) = (last, *configuration);
        self.entries = self.entries.after(index);
    }

    /// The entries one by one, as names, after the boundary.
    pub fn ids(&self) -> impl Iterator<Item = EntryId> + '_ {
        self.entries.ids(self.base.index)
    }

    /// The boundary and the entries, as names, from `first` to `last`, as far as they are known.
    pub fn known(&self, first: Index, last: Index) -> impl Iterator<Item = EntryId> + '_ {
        let all = core::iter::once(self.base).chain(self.ids());
        all.skip_while(move |id| id.index < first).take_while(move |id| id.index <= last)
    }

    /// Whether the entries follow each other from the boundary on, terms do not fall, and each
    /// configuration is that of an entry (claim LogContiguous).
    #[must_use]
    pub fn is_contiguous(&self) -> bool {
        let Log { base, entries, .. } = self;
        let rises = |at: &mut EntryId, run: &Run| {
            let follows = run.last > at.index && run.term >= at.term;
            *at = EntryId { term: run.term, index: run.last };
            Some(follows)
        };
        let (mut before, last) = (base.index, entries.last_index(base.index));
        entries.runs.iter().scan(*base, rises).all(|follows| follows)
            && entries.configurations.iter().all(|(index, _)| {
                let inside = *index > before && *index <= last;
                before = *index;
                inside
            })
    }

    /// The same, after the entry at `previous`, which this log must have.
    pub fn ids_after(&self, previous: Index) -> impl Iterator<Item = EntryId> + '_ {
        let from = self.entries.runs.partition_point(|run| run.last <= previous);
        ids(&self.entries.runs[from..], previous)
    }

    /// Renumbers the boundary and the entries.
    pub(crate) fn renumber_with(
        &mut self,
        id: impl Fn(EntryId) -> EntryId,
        entries: impl Fn(&mut Entries),
    ) {
        self.base = id(self.base);
        entries(&mut self.entries);
        // What follows the boundary at once has become the boundary.
        self.entries.runs.retain(|run| run.last > self.base.index);
    }

    pub(crate) fn configurations_mut(&mut self) -> impl Iterator<Item = &mut Configuration> {
        let later = self.entries.configurations.iter_mut().map(|(_, configuration)| configuration);
        core::iter::once(&mut self.base_configuration).chain(later)
    }
}
