//! Everything that CLAIMS.md tells, run once: the default slices, the mutants, and the table of cut
//! links are as declared, together they see all that can happen, and the ledger says just that.

#![allow(missing_docs)]

use std::path::Path;
use std::{fs, thread};

use quorate_model::action::ACTION_KINDS;
use quorate_model::check::{Checked, Killed, Memory, TRACE_LIMIT, Watch, check, kill};
use quorate_model::coverage::Coverage;
use quorate_model::guards::{Guard, Guards};
use quorate_model::ledger::deep::Record;
use quorate_model::ledger::{self, Findings};
use quorate_model::links::pattern::{COMBINATIONS, PATTERNS, Pattern};
use quorate_model::links::run::{Cell, check_all};
use quorate_model::links::table;
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::slice::Slice;
use quorate_model::slices;
use quorate_model::witness::Witness;
use quorate_spec::Kind;
use quorate_spec::role::TRANSITIONS;
use stateright::Model;

const THREADS: usize = 2;

/// One test, for the ledger is made of all three: none of them is run a second time for it.
#[test]
fn all_is_as_declared_and_the_ledger_says_so() {
    let (checked, killed, cells) = (default_slices(), mutants(), cut_links());
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let deep = Record::load(&root.join("deep.json")).expect("it is in the repository");
    let findings = Findings { checked: &checked, killed: &killed, cells: &cells, deep: &deep };
    let kept = fs::read_to_string(root.join("../CLAIMS.md")).expect("it is in the repository");
    if let Some((line, was, is)) = ledger::first_difference(&kept, &ledger::render(&findings)) {
        panic!(
            "CLAIMS.md is stale at line {line}:\n  - {was}\n  + {is}\n`cargo run --release -p \
             quorate-model -- claims` writes it anew"
        );
    }
}

/// Every default slice is as declared, with its pinned number of states; what none of them sees
/// happen was not checked.
fn default_slices() -> Vec<Checked> {
    let watch = Watch {
        threads: THREADS,
        time_limit: None,
        trace_limit: TRACE_LIMIT,
        memory: Memory { now: || 0, peak: || 0, reset: || {} },
        progress: &|_| {},
    };
    let seen = Coverage::default();
    let run = |slice: Slice| {
        let checked = check(slice, &watch);
        assert_eq!(checked.complaint(), None, "slice {}", slice.name);
        seen.absorb(&checked.coverage);
        checked
    };
    let checked = slices::all().into_iter().filter(|slice| !slice.deep).map(run).collect();
    assert_eq!(seen.actions(), ACTION_KINDS.to_vec());
    assert_eq!(seen.kinds(), Kind::ALL.to_vec());
    assert_eq!(seen.transitions().len(), TRANSITIONS.len());
    assert_eq!(seen.witnesses(), Witness::ALL.to_vec());
    for guard in Guard::ALL {
        let (granted, refused) = seen.guard(*guard);
        assert!(granted || guard.refuses_always().is_some(), "{} never grants", guard.name());
        assert!(refused || guard.grants_always().is_some(), "{} never refuses", guard.name());
    }
    checked
}

/// Every mutant is killed by the claim that it names, and its trace replays in Stateright.
fn mutants() -> Vec<Killed> {
    let kill_all = |some: &[Mutation]| -> Vec<Killed> {
        some.iter().map(|mutation| replayed(*mutation, kill(*mutation))).collect()
    };
    let share = Mutation::ALL.len().div_ceil(THREADS);
    thread::scope(|scope| {
        let shares = Mutation::ALL.chunks(share);
        let threads: Vec<_> = shares.map(|some| scope.spawn(move || kill_all(some))).collect();
        let ended = threads.into_iter().map(|thread| thread.join().expect("it has said why"));
        ended.flatten().collect()
    })
}

fn replayed(mutation: Mutation, killed: Killed) -> Killed {
    let (Some(slice), Some(trace)) = (&killed.slice, &killed.trace) else {
        panic!("{} survives its slices {:?}", mutation.name(), mutation.slices());
    };
    // Without canonical names the states of the trace are the model's own.
    let plain = Slice { symmetric: false, forgets: false, ..*slice };
    let broken = SliceModel::new(plain, Guards::broken(mutation));
    let actions: Vec<_> = trace.steps.iter().map(|(action, _)| *action).collect();
    let path = stateright::Path::from_actions(&broken, trace.initial.clone(), &actions)
        .unwrap_or_else(|| panic!("the trace of {} is a path", mutation.name()));
    let claim = mutation.killer();
    assert!(!broken.holds(path.last_state(), claim), "{} breaks its claim", mutation.name());
    for state in path.into_states().iter().rev().skip(1) {
        assert!(broken.holds(state, claim), "{} no earlier", mutation.name());
    }
    // The same trace under the sound rules is no path, or breaks nothing.
    let sound = SliceModel::new(plain, Guards::sound());
    let initial = sound.init_states().remove(0);
    if let Some(path) = stateright::Path::from_actions(&sound, initial, &actions) {
        assert!(sound.false_claims(path.last_state()).is_empty(), "{}", mutation.name());
    }
    killed
}

/// The table of cut links is as declared.
fn cut_links() -> Vec<Cell> {
    let patterns: Vec<&Pattern> = PATTERNS.iter().collect();
    let cells = check_all(&patterns, THREADS, &|_, _| {});
    assert_eq!(cells.len(), PATTERNS.len() * COMBINATIONS.len());
    for cell in &cells {
        let (name, shown) = (cell.pattern.name, table::word(cell.shown()));
        assert!(cell.is_as_declared(), "{name} with {} is {shown}", cell.election);
    }
    let text = table::markdown(&cells);
    assert_eq!(text.lines().count(), 2 + PATTERNS.len(), "{text}");
    assert!(text.starts_with("| links | what is cut | naive election | pre-vote |"), "{text}");
    cells
}
