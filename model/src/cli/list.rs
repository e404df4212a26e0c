//! `quorate-model list`.

use quorate_model::links::pattern::PATTERNS;
use quorate_model::mutation::Mutation;
use quorate_model::slices;
use quorate_spec::property::Claim;

use super::table;

/// Prints slices, patterns of cut links, claims and mutants, a sentence each.
pub(super) fn run() {
    let mut rows = table(&["slice", "what it is about", "bounds"]);
    for slice in slices::all() {
        let deep = if slice.deep { " (deep)" } else { "" };
        rows.add_row(vec![slice.name.to_owned(), format!("{}{deep}", slice.about), slice.bounds()]);
    }
    let rows = rows.trim_fmt();
    say!("{rows}\n");
    let mut rows = table(&["cut links", "what is cut"]);
    for pattern in PATTERNS {
        rows.add_row(vec![format!("links/{}", pattern.name), pattern.about.to_owned()]);
    }
    let rows = rows.trim_fmt();
    say!("{rows}\n");
    let mut rows = table(&["claim", "what it says", "thesis"]);
    for entry in Claim::ALL.map(Claim::entry) {
        rows.add_row(vec![entry.claim.name(), entry.sentence, entry.thesis]);
    }
    let rows = rows.trim_fmt();
    say!("{rows}\n");
    let mut rows = table(&["mutant", "what it breaks", "killed by", "as in"]);
    for mutation in Mutation::ALL {
        rows.add_row(vec![
            mutation.name(),
            mutation.about(),
            mutation.killer().name(),
            mutation.bugs(),
        ]);
    }
    let rows = rows.trim_fmt();
    say!("{rows}");
}
