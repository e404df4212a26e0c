//! What the checks took, when and where: the part of the ledger that no comparison looks at.

use std::fmt::Write;

use crate::check::Checked;
use crate::machine;

const BEGIN: &str = "<!-- measured: not compared -->";
const END: &str = "<!-- end of what was measured -->";

/// The times and the memory of the slices.
pub(super) fn section(text: &mut String, checked: &[Checked]) {
    let seconds: f64 = checked.iter().map(|run| run.seconds).sum();
    let states: u64 = checked.iter().map(|run| run.unique).sum();
    let peak = checked.iter().filter_map(bytes).max().unwrap_or(0);
    // Writing into a String does not fail.
    let _ = writeln!(
        text,
        "\n## Measured\n\n{BEGIN}\n\nOn {}, {}: all default slices in {seconds:.0} s, \
         {states} unique states, {:.1} GiB at the peak. These figures are as they came in the run that \
         wrote this file, and are not compared.\n",
        machine::today(),
        machine::name(),
        gibibytes(peak),
    );
    text.push_str(
        "| slice | seconds | unique states a second | bytes a state |\n|---|--:|--:|--:|\n",
    );
    for run in checked.iter().filter(|run| run.seconds >= 1.0) {
        let _ = writeln!(
            text,
            "| `{}` | {:.1} | {:.0} | {} |",
            run.slice.name,
            run.seconds,
            run.unique as f64 / run.seconds,
            run.bytes_per_state.map_or("-".to_owned(), |bytes| format!("{bytes:.0}")),
        );
    }
    let _ = writeln!(text, "\nSlices of less than a second are left out.\n\n{END}");
}

fn bytes(run: &Checked) -> Option<u64> {
    Some((run.bytes_per_state? * run.unique as f64) as u64)
}

pub(super) fn gibibytes(bytes: u64) -> f64 {
    bytes as f64 / f64::from(1 << 30)
}

/// The lines of a ledger with their numbers, without what was measured.
pub(super) fn without(ledger: &str) -> impl Iterator<Item = (usize, &str)> {
    let mut measured = false;
    ledger.lines().enumerate().filter_map(move |(at, line)| {
        measured |= line == BEGIN;
        let kept = (!measured).then_some((at + 1, line));
        measured &= line != END;
        kept
    })
}

#[cfg(test)]
mod tests {
    use crate::ledger::first_difference;

    fn ledger(claim: &str, time: &str) -> String {
        format!("{claim}\n{}\n{time}\n{}\nend\n", super::BEGIN, super::END)
    }

    #[test]
    fn what_was_measured_is_not_compared_and_everything_else_is() {
        assert_eq!(first_difference(&ledger("a", "1 s"), &ledger("a", "2 s\n3 s")), None);
        let difference = first_difference(&ledger("a", "1 s"), &ledger("b", "1 s"));
        assert_eq!(difference, Some((1, "a".to_owned(), "b".to_owned())));
        let longer = format!("{}more\n", ledger("a", "2 s\n3 s"));
        let end = "(end of file)".to_owned();
        assert_eq!(
            first_difference(&ledger("a", "1 s"), &longer),
            Some((7, end.clone(), "more".to_owned()))
        );
        let difference = first_difference(&longer, &ledger("a", "1 s"));
        assert_eq!(difference, Some((6, "more".to_owned(), end)));
    }
}
