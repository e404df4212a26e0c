//! The tables of the ledger.

use std::fmt::Write;

use quorate_spec::property::{Claim, ClaimSet};

use super::{Findings, text};
use crate::check::{Checked, Killed, Reach, Verdict};
use crate::exempt::EXEMPT;
use crate::links::run::Cell;
use crate::links::table::markdown;

pub(super) fn claims(text: &mut String, findings: &Findings<'_>) {
    let Findings { checked, killed, deep, .. } = *findings;
    text.push_str("| claim | in one sentence | thesis | slices | deep | mutants killed |\n");
    text.push_str("|---|---|---|--:|--:|--:|\n");
    for entry in Claim::ALL.map(Claim::entry) {
        let slices = checked.iter().filter(|run| run.settles(entry.claim)).count();
        let name = entry.claim.name();
        let larger = deep.results.iter().filter(|found| found.claims.iter().any(|c| c == name));
        let mutants = mutants_of(killed, entry.claim).count();
        // Writing into a String does not fail.
        let _ = writeln!(
            text,
            "| [{name}](#{anchor}) | {} | {} | {slices} | {} | {mutants} |",
            entry.sentence,
            entry.thesis,
            larger.count(),
            anchor = name.to_lowercase(),
        );
    }
}

pub(super) fn mutants_of(killed: &[Killed], claim: Claim) -> impl Iterator<Item = &Killed> {
    killed.iter().filter(move |run| run.mutation.killer() == claim && run.trace.is_some())
}

/// Mutants that another claim kills, at the end of whose trace this one is false as well.
pub(super) fn others_of(killed: &[Killed], claim: Claim) -> impl Iterator<Item = &Killed> {
    killed.iter().filter(move |run| run.mutation.killer() != claim && run.besides.contains(claim))
}

pub(super) fn slices(text: &mut String, checked: &[Checked]) {
    text.push_str("\n## Slices\n\nOne of them again: `cargo run --release -p quorate-model -- check NAME`.\n\n| slice | about | bounds | verdict | unique states | generated | depth | collisions expected |\n|---|---|---|---|--:|--:|--:|--:|\n");
    for run in checked {
        // A run that ends early stops when a checker thread happens to see it.
        let whole = run.reach == Reach::All;
        let count = |n: u64| if whole { n.to_string() } else { "-".to_owned() };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {} | {} | {} |",
            run.slice.name,
            run.slice.about,
            run.slice.bounds(),
            verdict(run),
            count(run.unique),
            count(run.generated),
            run.depth.map_or("-".to_owned(), |depth| depth.to_string()),
            if whole { format!("{:.0e}", run.collision_estimate()) } else { "-".to_owned() },
        );
    }
    let _ = writeln!(text, "\nClaims checked in every slice: {:?}.", common(checked));
}

pub(super) fn links(text: &mut String, cells: &[Cell]) {
    text.push_str(&markdown(cells));
    text.push_str(text::NOT_LIVE);
}

/// A violation is one claim's: the others have the verdict of the search.
fn verdict(run: &Checked) -> String {
    let verdict = run.verdict();
    match (verdict, run.violations.len()) {
        (Verdict::Violated(_), 1) => format!("{verdict}; the others {}", run.reach.verdict()),
        _ => verdict.to_string(),
    }
}

fn common(checked: &[Checked]) -> ClaimSet {
    let all = ClaimSet::of(&Claim::ALL);
    checked.iter().fold(all, |common, run| common.intersection(run.settled()))
}

pub(super) fn mutants(text: &mut String, killed: &[Killed]) {
    text.push_str("\n## Mutants\n\nOne of them again, step by step: `cargo run --release -p quorate-model -- mutants NAME`; in a browser: `... -- explore --mutant NAME`.\n\n| mutant | what it breaks | guard | as in | killed by | in slice | steps |\n|---|---|---|---|---|---|--:|\n");
    for run in killed {
        let length =
            run.trace.as_ref().map_or("survives".to_owned(), |t| t.steps.len().to_string());
        let _ = writeln!(
            text,
            "| `{}` | {} | [`{}`](spec/src/rules.rs) | {} | {} | `{}` | {length} |",
            run.mutation.name(),
            run.mutation.about(),
            run.mutation.guard().name(),
            run.mutation.bugs(),
            run.mutation.killer(),
            run.slice.map_or("-", |slice| slice.name),
        );
    }
}

/// The real bugs that no mutant stands for.
pub(super) fn exemptions(text: &mut String) {
    text.push_str("\n### Real bugs without a mutant\n\nNo guard could be broken as in these. What each was is in [`spec/README.md`](spec/README.md).\n\n| bugs | why |\n|---|---|\n");
    for (bugs, why) in EXEMPT {
        let _ = writeln!(text, "| {} | {why} |", bugs.join(", "));
    }
}
