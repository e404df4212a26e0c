//! The table of patterns and switches.

use std::fmt::Write;

use super::pattern::{COMBINATIONS, Declared, PATTERNS};
use super::run::Cell;

/// What a cell shows: whether it is live and whether it is stable.
#[must_use]
pub fn word(shown: Option<Declared>) -> String {
    let word = |yes| if yes { "yes" } else { "no" };
    shown.map_or("INCOMPLETE".to_owned(), |Declared { live, stable }| {
        format!("{} / {}", word(live), word(stable))
    })
}

/// The names of the columns: the combinations of switches.
#[must_use]
pub fn columns() -> Vec<String> {
    COMBINATIONS.iter().map(ToString::to_string).collect()
}

/// A row for each pattern of these cells: its name, its sentence, and what each combination shows.
#[must_use]
pub fn rows(cells: &[Cell]) -> Vec<(&'static str, &'static str, Vec<String>)> {
    let row = |name: &str| {
        let of = cells.iter().filter(|cell| cell.pattern.name == name);
        of.map(|cell| word(cell.shown())).collect::<Vec<_>>()
    };
    let rows = PATTERNS.iter().map(|pattern| (pattern.name, pattern.about, row(pattern.name)));
    rows.filter(|(_, _, row)| !row.is_empty()).collect()
}

/// The table in Markdown: live / stable, for each pattern and combination. No times, so that it is the
/// same in every run.
#[must_use]
pub fn markdown(cells: &[Cell]) -> String {
    let columns = columns();
    let mut text = format!("| links | what is cut | {} |\n|---|---|", columns.join(" | "));
    text.push_str(&":-:|".repeat(columns.len()));
    text.push('\n');
    for (name, about, row) in rows(cells) {
        // Writing into a String does not fail.
        let _ = writeln!(text, "| `{name}` | {about} | {} |", row.join(" | "));
    }
    text
}
