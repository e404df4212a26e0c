//! The state diagram in the README is the one that the table of transitions draws.
#![allow(missing_docs)]
#![allow(clippy::disallowed_methods)] // A test may read its environment; the specification not.

use std::path::Path;

const BEGIN: &str = "```mermaid\n";
const END: &str = "```\n";

/// Claim StateTransitions. With `QUORATE_BLESS=1` the README is rewritten instead.
#[test]
fn the_readme_shows_the_diagram_of_the_table_of_transitions() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let readme = std::fs::read_to_string(&path).expect("spec/README.md is there");
    let (before, rest) = readme.split_once(BEGIN).expect("a fenced mermaid block");
    let (block, after) = rest.split_once(END).expect("the block ends");
    let diagram = quorate_spec::role::diagram();
    if std::env::var("QUORATE_BLESS").is_ok_and(|bless| bless == "1") {
        let blessed = format!("{before}{BEGIN}{diagram}{END}{after}");
        std::fs::write(&path, blessed).expect("spec/README.md can be written");
        return;
    }
    assert_eq!(
        block, diagram,
        "spec/README.md shows another diagram than role::TRANSITIONS draws. If the change is \
         meant: QUORATE_BLESS=1 cargo test -p quorate-spec --test spec diagram"
    );
}
