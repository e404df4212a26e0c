//! Counterexamples that are kept as text: under the rules that one names its claim is false at its end,
//! and under the rules as they are it is not. `explore … --export NAME.scenario` writes them.

#![allow(missing_docs)]

use quorate_model::explorer::{Replayed, Scenario};
use quorate_model::guards::Guards;

fn kept() -> Vec<(String, Scenario)> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scenarios");
    let entries = std::fs::read_dir(folder).expect("the folder is there");
    let mut paths: Vec<_> = entries.map(|entry| entry.expect("an entry").path()).collect();
    paths.retain(|path| path.extension().is_some_and(|extension| extension == "scenario"));
    paths.sort();
    let read = |path: &std::path::PathBuf| {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).expect("it can be read");
        let scenario = Scenario::parse(&text).unwrap_or_else(|error| panic!("{name}: {error}"));
        (name, scenario)
    };
    paths.iter().map(read).collect()
}

#[test]
fn kept_scenarios_violate_their_claim_under_their_mutant() {
    assert!(kept().len() >= 3);
    for (name, scenario) in kept().into_iter().filter(|(_, it)| it.mutation.is_some()) {
        assert_eq!(scenario.replay(), Replayed::Violated(scenario.steps.len()), "{name}");
    }
}

#[test]
fn kept_scenarios_violate_nothing_under_the_rules_as_they_are() {
    for (name, scenario) in kept() {
        let replayed = scenario.replay_under(Guards::sound());
        assert!(!matches!(replayed, Replayed::Violated(_)), "{name}: {replayed:?}");
    }
}
