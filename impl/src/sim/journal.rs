//! What a run says of itself: its lines, how often what happened, and what was wrong.

use std::collections::{BTreeMap, VecDeque};
use std::fmt;

/// The lines of a run, or the last of them, and its counts.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Journal {
    /// How many lines are kept.
    most: usize,
    lines: VecDeque<String>,
    /// What was false.
    pub(super) wrong: Vec<String>,
    pub(super) counts: Counts,
}

/// How often what happened.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub(super) struct Counts(BTreeMap<&'static str, u64>);

impl Journal {
    pub(super) fn keeping(most: usize) -> Journal {
        Journal { most, ..Journal::default() }
    }

    /// Whether lines are kept at all.
    pub(super) fn is_kept(&self) -> bool {
        self.most > 0
    }

    /// Adds a line.
    pub(super) fn say(&mut self, line: String) {
        if self.lines.len() >= self.most {
            self.lines.pop_front();
        }
        self.lines.push_back(line);
    }

    pub(super) fn lines(&self) -> impl ExactSizeIterator<Item = &String> {
        self.lines.iter()
    }
}

impl Counts {
    pub(super) fn add(&mut self, what: &'static str, times: u64) {
        if times > 0 {
            *self.0.entry(what).or_default() += times;
        }
    }

    pub(super) fn of(&self, what: &str) -> u64 {
        self.0.get(what).copied().unwrap_or(0)
    }

    pub(super) fn absorb(&mut self, other: &Counts) {
        other.0.iter().for_each(|(what, times)| self.add(what, *times));
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|(what, times)| writeln!(f, "{times:>9} {what}"))
    }
}
