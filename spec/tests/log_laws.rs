//! Laws of the log: runs, configurations and a boundary against a list of entries.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::dice::{Dice, check};
use crate::common::{entries, entry, voters};
use quickcheck::{Arbitrary, Gen};
use quorate_spec::{Configuration, Entries, EntryId, Index, Log, NodeId, Snapshot, Term};

/// A change of a log.
#[derive(Clone, Debug)]
enum Change {
    /// Appends these: by how much each entry's term rises, and the configuration that it may be.
    Append(Vec<(u64, Option<Configuration>)>),
    Truncate(u64),
    Compact(u64),
    /// A snapshot takes the place of the log: it covers so much more, in a term so much later.
    Install(u64, u64),
}

impl Arbitrary for Change {
    fn arbitrary(g: &mut Gen) -> Change {
        let mut dice = Dice::of(g);
        let some_entry = |dice: &mut Dice| {
            let ids = (1..=4).filter(|_| dice.one_in(2)).chain([5]).map(NodeId);
            let configuration = Configuration::of(ids.collect::<Vec<_>>());
            (dice.pick(&[0, 0, 0, 1, 2]), dice.one_in(5).then_some(configuration))
        };
        match dice.below(12) {
            0..3 => Change::Truncate(dice.below(20)),
            3..5 => Change::Compact(dice.below(20)),
            5 => Change::Install(dice.below(4), dice.below(2)),
            _ => Change::Append((0..dice.below(6)).map(|_| some_entry(&mut dice)).collect()),
        }
    }
}

/// A log as a list: for each index from 0 on its term and the configuration that it may be, and how
/// many of the first ones are compacted. What is compacted is kept, and must not be asked for.
struct List {
    all: Vec<(u64, Option<Configuration>)>,
    base: usize,
}

impl List {
    fn new() -> List {
        List { all: vec![(0, Some(first_configuration()))], base: 0 }
    }

    fn last(&self) -> usize {
        self.all.len() - 1
    }

    fn id(&self, index: usize) -> EntryId {
        entry(index as u64, self.all[index].0)
    }

    fn ids(&self) -> Vec<EntryId> {
        (self.base + 1..self.all.len()).map(|index| self.id(index)).collect()
    }

    fn term_at(&self, index: u64) -> Option<u64> {
        let index = usize::try_from(index).ok().filter(|index| *index >= self.base)?;
        self.all.get(index).map(|(term, _)| *term)
    }

    fn configuration_at(&self, index: usize) -> Configuration {
        self.all[..=index].iter().rev().find_map(|(_, c)| c.clone()).unwrap()
    }

    /// What follows `previous`, up to and including `last`.
    fn slice(&self, previous: usize, last: usize) -> Entries {
        let of = &self.all[previous + 1..=last];
        let mut slice =
            entries(previous as u64, &of.iter().map(|(term, _)| *term).collect::<Vec<_>>());
        for (index, (_, configuration)) in (previous as u64 + 1..).zip(of) {
            slice.configurations.extend(configuration.clone().map(|c| (Index(index), c)));
        }
        slice
    }

    fn snapshot(&self) -> Snapshot {
        Snapshot::new(self.id(self.base), self.configuration_at(self.base))
    }

    /// The latest known entry at or before `id.index` of a term up to `id.term`.
    fn last_possible_match(&self, id: EntryId) -> Option<EntryId> {
        let fits = |mine: &EntryId| mine.index <= id.index && mine.term <= id.term;
        (self.base..self.all.len()).map(|index| self.id(index)).rfind(fits)
    }
}

fn first_configuration() -> Configuration {
    voters(&[1])
}

fn changed(changes: Vec<Change>) -> (Log, List) {
    let (mut log, mut list) = (Log::new(first_configuration()), List::new());
    for change in changes.into_iter().take(14) {
        let (last, term) = (list.last(), list.all[list.last()].0);
        match change {
            Change::Truncate(keep) => {
                log.truncate_after(Index(keep));
                list.all.truncate((keep as usize).max(list.base) + 1);
            }
            Change::Append(new) => {
                for (rise, configuration) in new {
                    let term = list.all[list.last()].0.max(1);
                    list.all.push((term + rise, configuration));
                }
                log.append(&list.slice(last, list.last()));
            }
            Change::Compact(index) => {
                log.compact(Index(index));
                list.base = Some(index as usize)
                    .filter(|i| *i <= last)
                    .map_or(list.base, |index| index.max(list.base));
            }
            Change::Install(more, later) => {
                list.all.extend(vec![(term + later, None); more as usize]);
                list.base = list.last();
                log = Log::from_snapshot(list.snapshot());
            }
        }
    }
    (log, list)
}

/// Appending, truncating, compacting and installing runs is doing so with entries, and each log
/// has one form.
#[test]
fn a_log_is_the_list_of_its_entries() {
    fn law(changes: Vec<Change>) {
        let (log, list) = changed(changes);
        assert_eq!(log.ids().collect::<Vec<_>>(), list.ids());
        assert_eq!((log.base(), log.last()), (list.id(list.base), list.id(list.last())));
        assert_eq!(log.configuration(), &list.configuration_at(list.last()));
        assert_eq!(log.snapshot(), list.snapshot());
        assert!(log.is_contiguous(), "{log:?}");
        let mut again = Log::from_snapshot(list.snapshot());
        again.append(&list.slice(list.base, list.last()));
        assert_eq!(log, again);
    }
    check(4_000, law as fn(Vec<Change>));
}

/// A search in the runs is a search in the list; below the boundary nothing is known (rule S6).
#[test]
fn terms_and_places_are_found_in_a_log_as_in_the_list() {
    fn law(changes: Vec<Change>) {
        let (log, list) = changed(changes);
        for index in (0..list.all.len() as u64 + 2).chain([u64::MAX]) {
            let term = list.term_at(index);
            assert_eq!(log.term_at(Index(index)), term.map(Term));
            for asked in (0..12).chain([u64::MAX]) {
                let id = entry(index, asked);
                assert_eq!(log.contains(id), term == Some(asked), "{id:?} in {log:?}");
                let compacted = index < list.base as u64;
                assert_eq!(log.covers(id), compacted || term == Some(asked));
                let possible = log.last_possible_match(id);
                assert_eq!(possible, list.last_possible_match(id), "{id:?} in {log:?}");
            }
        }
    }
    check(600, law as fn(Vec<Change>));
}

/// Rule S1: what a snapshot ends with is the entry and the configuration in force there.
#[test]
fn a_snapshot_is_what_the_list_has_at_its_index() {
    fn law(changes: Vec<Change>) {
        let (log, list) = changed(changes);
        for index in 0..list.all.len() + 2 {
            let known = (list.base..=list.last()).contains(&index);
            let expected =
                known.then(|| Snapshot::new(list.id(index), list.configuration_at(index)));
            assert_eq!(log.snapshot_at(Index(index as u64)), expected, "{index} of {log:?}");
        }
    }
    check(1_000, law as fn(Vec<Change>));
}

/// What a request or a write carries is a slice of the list, in its one form.
#[test]
fn entries_after_are_a_slice_of_the_list() {
    fn law(changes: Vec<Change>) {
        let (log, list) = changed(changes);
        let (base, length) = (list.base, list.last());
        let limits = [0, 1, 2, 5, u64::MAX];
        for (previous, limit) in (base..=length).flat_map(|p| limits.map(|l| (p, l))) {
            let last = length.min(previous.saturating_add(limit as usize));
            let slice = log.entries_after(Index(previous as u64), limit);
            assert_eq!(slice, list.slice(previous, last), "{limit} after {previous}: {log:?}");
            assert_eq!(slice.is_empty(), last == previous);
            assert_eq!(slice.last_index(Index(previous as u64)), Index(last as u64));
            for keep in previous..=last {
                assert_eq!(slice.after(Index(keep as u64)), list.slice(keep, last));
            }
        }
    }
    check(400, law as fn(Vec<Change>));
}

/// The names that are known between two indices: the boundary is one of them.
#[test]
fn what_is_known_of_a_log_begins_with_its_boundary() {
    fn law(changes: Vec<Change>) {
        let (log, list) = changed(changes);
        let end = list.all.len() as u64 + 1;
        for (first, last) in (0..end).flat_map(|first| (0..end).map(move |last| (first, last))) {
            let inside = |id: &EntryId| id.index.0 >= first && id.index.0 <= last;
            let expected: Vec<_> =
                (list.base..=list.last()).map(|index| list.id(index)).filter(inside).collect();
            assert_eq!(log.known(Index(first), Index(last)).collect::<Vec<_>>(), expected);
        }
    }
    check(400, law as fn(Vec<Change>));
}

/// The names of the entries after each place are the end of all names.
#[test]
fn ids_after_are_the_end_of_the_ids() {
    fn law(changes: Vec<Change>) {
        let (log, list) = changed(changes);
        for previous in list.base..=list.last() {
            let after: Vec<_> = log.ids_after(Index(previous as u64)).collect();
            assert_eq!(after, list.ids()[previous - list.base..], "after {previous}: {log:?}");
        }
    }
    check(300, law as fn(Vec<Change>));
}
