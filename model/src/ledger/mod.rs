//! The claims ledger, `CLAIMS.md`: what is claimed, within which bounds, and what would refute it.
//!
//! Everything in it is deterministic but what was measured, so that a stale ledger is found by
//! comparing texts; times and memory stand between two marks and are not compared.

mod claim;
pub mod deep;
mod tables;
mod text;
mod times;

use quorate_spec::property::Claim;

use crate::check::{Checked, Killed};
use crate::links::run::Cell;
pub use claim::transitions_of;
use deep::Record;

/// What a ledger is made of.
pub struct Findings<'a> {
    /// The default slices, checked.
    pub checked: &'a [Checked],
    /// All mutants.
    pub killed: &'a [Killed],
    /// The table of cut links.
    pub cells: &'a [Cell],
    /// The slices with larger bounds, as they were recorded.
    pub deep: &'a Record,
}

/// The ledger of a full run.
#[must_use]
pub fn render(findings: &Findings<'_>) -> String {
    let Findings { checked, killed, cells, deep } = *findings;
    let mut text = String::from(text::INTRODUCTION);
    tables::claims(&mut text, findings);
    for claim in Claim::ALL {
        claim::section(&mut text, claim, findings);
    }
    tables::slices(&mut text, checked);
    deep::table(&mut text, deep);
    text.push_str(text::LINKS);
    tables::links(&mut text, cells);
    tables::mutants(&mut text, killed);
    tables::exemptions(&mut text);
    text.push_str(text::CAVEATS);
    text.push_str(text::ONCE_FALSE);
    times::section(&mut text, checked);
    text
}

/// The first line in which two ledgers differ, what was measured left out: its number in the new one
/// and both lines.
#[must_use]
pub fn first_difference(was: &str, is: &str) -> Option<(usize, String, String)> {
    let (mut old, mut new) = (times::without(was), times::without(is));
    let mut number = 0;
    loop {
        let (a, b) = (old.next(), new.next());
        number = b.map_or(number + 1, |(number, _)| number);
        match (a, b) {
            (None, None) => return None,
            (Some((_, a)), Some((_, b))) if a == b => {}
            (a, b) => {
                let line = |line: Option<(usize, &str)>| match line {
                    Some((_, line)) => line.to_owned(),
                    None => "(end of file)".to_owned(),
                };
                return Some((number, line(a), line(b)));
            }
        }
    }
}
