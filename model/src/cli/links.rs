//! `quorate-model check links`.

use indicatif::ProgressBar;
use quorate_model::guards::Guards;
use quorate_model::links::pattern::{PATTERNS, Pattern};
use quorate_model::links::run::{Cell, check_all};
use quorate_model::links::{story, table as text};

use super::{AS_DECLARED, INCOMPLETE, Usage, VIOLATED, counted, grouped, table, unknown, worse};

/// All patterns.
const ALL: &str = "links";

/// Separates these names, which stand for patterns of cut links, from those of slices: `links` is
/// all of them, `links/one-link` is one.
pub(super) fn choose(names: &[String]) -> Result<(Vec<&'static Pattern>, Vec<String>), Usage> {
    let prefix = format!("{ALL}/");
    let known: Vec<String> = PATTERNS.iter().map(|p| format!("{prefix}{}", p.name)).collect();
    let known: Vec<&str> = known.iter().map(String::as_str).collect();
    let (mut chosen, mut others) = (Vec::new(), Vec::new());
    for name in names {
        match name.strip_prefix(&prefix) {
            Some(pattern) => {
                let found = PATTERNS.iter().find(|other| other.name == pattern);
                chosen.push(found.ok_or_else(|| unknown("pattern", name, &known))?);
            }
            None if name == ALL => chosen.extend(PATTERNS),
            None => others.push(name.clone()),
        }
    }
    Ok((chosen, others))
}

/// Checks patterns, with a progress line on a terminal.
pub(super) fn check(patterns: &[&'static Pattern], threads: usize) -> Vec<Cell> {
    let bar = ProgressBar::new_spinner();
    bar.enable_steady_tick(std::time::Duration::from_millis(200));
    let told = |at, all| bar.set_message(format!("{ALL} {at}/{all}"));
    let cells = check_all(patterns, threads, &told);
    bar.finish_and_clear();
    cells
}

/// Prints the table: live / stable.
pub(super) fn print(cells: &[Cell]) {
    let columns: Vec<String> = text::columns();
    let names: Vec<&str> = [ALL].into_iter().chain(columns.iter().map(String::as_str)).collect();
    let mut rows = table(&names);
    for (name, _, row) in text::rows(cells) {
        rows.add_row([name.to_owned()].into_iter().chain(row));
    }
    say!("live / stable under links that are cut for good:\n\n{rows}");
}

/// Tells why a pattern is not live or not stable under one combination of switches.
pub(super) fn tell(cell: &Cell) {
    for story in story::stories(cell, Guards::sound()) {
        say!("\n{ALL}/{} with {}:\n{story}", cell.pattern.name, cell.election);
    }
}

/// Tells what is not as declared, and chooses the exit code.
pub(super) fn conclude(cells: &[Cell]) -> u8 {
    let mut code = AS_DECLARED;
    for cell in cells.iter().filter(|cell| !cell.is_as_declared()) {
        let (shown, declared) = (text::word(cell.shown()), text::word(Some(cell.declared)));
        let (name, switches) = (cell.pattern.name, cell.election);
        say!("{ALL}/{name} with {switches} is {shown}, declared {declared} (live / stable)");
        let whole = cell.shown().is_some();
        code = worse(code, if whole { VIOLATED } else { INCOMPLETE });
        tell(cell);
    }
    if code == AS_DECLARED {
        let unique: u64 = cells.iter().map(|cell| cell.unique as u64).sum();
        let cycles = cells.iter().filter(|cell| cell.lasso.is_some()).count();
        let stuck = cells.iter().filter(|cell| cell.stuck.is_some()).count();
        say!(
            "\n{} as declared, EXHAUSTED with {} states modulo numbers and names; {stuck} \
             of them are declared not to be live and {cycles} not to be stable",
            counted(cells.len(), "cell"),
            grouped(unique)
        );
    }
    code
}
