//! The claims themselves: the ledger names real functions, and each function can say no.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::BTreeSet;
use std::path::Path;

use crate::common::dice::{Dice, check};
use crate::common::{Setup, entries, entry, n, voters};
use quickcheck::{Arbitrary, Gen};
use quorate_spec::property::cluster::{log_matching, quorums_intersect};
use quorate_spec::property::history::{Event, History, events};
use quorate_spec::property::release::vote_once_per_term;
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{EntryId, Index, Input, Log, Sound, Term};

/// The file of a function of the ledger: `module::function`, in another crate with its name before.
fn home(function: &str) -> String {
    let parts: Vec<&str> = function.split("::").collect();
    match parts[..] {
        ["quorate_model", ref path @ .., _] => {
            let is_module = |part: &&str| part.chars().all(|c| c.is_lowercase() || c == '_');
            let modules: Vec<&str> = path.iter().copied().filter(is_module).collect();
            format!("model/src/{}.rs", modules.join("/"))
        }
        [module, ..] => format!("spec/src/property/{module}.rs"),
        [] => String::new(),
    }
}

/// An auditor follows the ledger to the code.
#[test]
fn the_ledger_names_functions_that_exist() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    for entry in Claim::ALL.map(Claim::entry) {
        let functions: Vec<&str> = entry.function.split(", ").collect();
        for function in &functions {
            let text = std::fs::read_to_string(root.join(home(function))).unwrap();
            let name = function.rsplit("::").next().unwrap();
            let there =
                text.contains(&format!("fn {name}(")) || text.contains(&format!("fn {name}<"));
            assert!(there, "{}: no {name} in {}", entry.claim, home(function));
        }
        let is_home = functions.iter().any(|function| home(function) == entry.file);
        assert!(is_home, "{}: the ledger links {}", entry.claim, entry.file);
        assert!(entry.sentence.ends_with('.') && entry.thesis.starts_with('§'), "{}", entry.claim);
    }
    let names: BTreeSet<_> = Claim::ALL.map(Claim::name).into();
    assert_eq!(names.len(), Claim::ALL.len());
    assert!(Claim::ALL.is_sorted());
}

/// The codes of rules and bugs in a text: a letter of the list and a number.
fn codes(text: &str) -> BTreeSet<String> {
    let words = text.split(|c: char| !c.is_alphanumeric() && c != '_' && c != '#');
    let is_code = |word: &&str| {
        let (letter, number) = word.split_at(word.chars().next().map_or(0, char::len_utf8));
        let numbered = matches!(number.len(), 1..=2) && number.bytes().all(|b| b.is_ascii_digit());
        numbered && letter.len() == 1 && "ABCDEFGHIJLPRS".contains(letter)
    };
    words.filter(is_code).map(str::to_owned).collect()
}

/// Every file of code below this folder.
fn code_below(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let text = |path: std::path::PathBuf| match path.extension() {
        _ if path.is_dir() => code_below(&path),
        Some(extension) if extension == "rs" => vec![std::fs::read_to_string(&path).unwrap()],
        Some(_) | None => Vec::new(),
    };
    entries.flat_map(text).collect()
}

/// Whoever meets a code in a comment finds it in the README, and the README lists no others.
#[test]
fn the_readme_explains_every_rule_and_bug_that_a_comment_cites() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let folders = ["spec/src", "spec/tests", "model/src", "impl/src"];
    let code = folders.into_iter().flat_map(|folder| code_below(&root.join(folder)));
    let cited: BTreeSet<String> = code.flat_map(|text| codes(&text)).collect();
    let readme = std::fs::read_to_string(root.join("spec/README.md")).unwrap();
    let (_, tables) = readme.split_once("## Rules cited").expect("the section is there");
    let rows = tables.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let listed: BTreeSet<String> = rows.flat_map(codes).collect();
    assert_eq!(cited, listed);
}

/// A `ClaimSet` is a set.
#[test]
fn a_claim_set_is_a_set_of_claims() {
    fn law(seed: u64) {
        let mut dice = Dice(seed);
        let mut some = || -> BTreeSet<Claim> {
            let one_in = dice.pick(&[2, 3, 30]); // With 30 the set is often empty.
            Claim::ALL.into_iter().filter(|_| dice.one_in(one_in)).collect()
        };
        let (a, b) = (some(), some());
        let of = |set: &BTreeSet<Claim>| ClaimSet::of(&set.iter().copied().collect::<Vec<_>>());
        let list = |set: ClaimSet| set.iter().collect::<BTreeSet<_>>();
        assert_eq!(list(of(&a)), a);
        assert_eq!(list(of(&a).union(of(&b))), a.union(&b).copied().collect());
        assert_eq!(list(of(&a).intersection(of(&b))), a.intersection(&b).copied().collect());
        assert_eq!(of(&a).is_empty(), a.is_empty());
        assert!(Claim::ALL.into_iter().all(|claim| of(&a).contains(claim) == a.contains(&claim)));
        let mut required = ClaimSet::NONE;
        Claim::ALL.into_iter().for_each(|claim| required.require(claim, !a.contains(&claim)));
        assert_eq!(list(required), a);
    }
    check(500, law as fn(u64));
}

#[derive(Clone, Debug)]
struct Terms(Vec<u64>);

impl Arbitrary for Terms {
    fn arbitrary(g: &mut Gen) -> Terms {
        let mut dice = Dice::of(g);
        let mut terms: Vec<u64> = (0..dice.below(7)).map(|_| 1 + dice.below(3)).collect();
        terms.sort_unstable();
        Terms(terms)
    }
}

fn log(terms: &[u64]) -> Log {
    let mut log = Log::new(voters(&[1, 2, 3]));
    log.append(&entries(0, terms));
    log
}

/// Thesis §3.2, Log Matching, entry by entry.
#[test]
fn log_matching_is_seen_as_by_comparing_all_prefixes() {
    fn law(a: Terms, b: Terms) {
        let agree = |i: &usize| a.0.get(*i).is_some_and(|term| b.0.get(*i) == Some(term));
        let expected = (0..7).filter(agree).all(|i| a.0[..i] == b.0[..i]);
        assert_eq!(log_matching(&log(&a.0), &log(&b.0)), expected, "{a:?} {b:?}");
    }
    check(5_000, law as fn(Terms, Terms));
}

/// Thesis §3.4: majorities of one set intersect; halves and other sets need not.
#[test]
fn quorums_of_one_configuration_intersect_and_of_others_may_not() {
    for size in 1..=7 {
        let all = voters(&(1..=size).collect::<Vec<_>>());
        assert!(quorums_intersect(&Sound, &all, &all));
    }
    assert!(quorums_intersect(&Sound, &voters(&[1, 2, 3]), &voters(&[1, 2, 3, 4])));
    assert!(!quorums_intersect(&Sound, &voters(&[1, 2, 3]), &voters(&[1, 2, 3, 4, 5])));
    assert!(!quorums_intersect(&Sound, &voters(&[1, 2]), &voters(&[3])));
    let both = crate::common::joint(&[1, 2, 3], &[4, 5, 6]);
    assert!(quorums_intersect(&Sound, &voters(&[1, 2, 3]), &both));
    assert!(quorums_intersect(&Sound, &both, &voters(&[4, 5, 6])));
}

/// Thesis §3.4: of one term to one candidate, and never of an earlier term than the last.
#[test]
fn a_vote_is_given_once_a_term() {
    let given = |term, to, last| vote_once_per_term((Term(term), n(to)), last);
    let last = Some((Term(2), n(3)));
    assert!(given(1, 2, None) && given(2, 3, last) && given(3, 2, last));
    assert!(!given(2, 2, last) && !given(1, 3, last));
}

/// Thesis §3.2: the history sees what no single state shows.
#[test]
fn the_history_sees_what_a_crash_would_hide() {
    let elected = |term, leader, terms: &[u64]| Event::Elected {
        term: Term(term),
        leader: n(leader),
        log: log(terms),
    };
    let created = |first, last| Event::Created { first, last: Index(last) };
    let committed =
        |index, of, term| Event::Committed { entries: vec![entry(index, of)], term: Term(term) };
    let mut history = History::default();
    let mut broken = |event: Event| history.observe(&event).iter().collect::<Vec<_>>();
    assert_eq!(broken(elected(1, 1, &[])), []);
    assert_eq!(broken(elected(1, 2, &[])), [Claim::ElectionSafety]);
    assert_eq!(broken(created(entry(1, 2), 2)), []);
    assert_eq!(broken(created(entry(2, 2), 3)), [Claim::EntryIdentity]);
    assert_eq!(broken(created(entry(3, 3), 3)), []);
    assert_eq!(broken(committed(1, 2, 2)), []);
    assert_eq!(broken(committed(1, 3, 3)), [Claim::StateMachineSafety]);
}

/// Thesis §3.4, §3.5: what a step adds to the history is what changed between two nodes.
#[test]
fn a_step_adds_to_the_history_who_leads_what_was_created_and_what_was_committed() {
    let mut server = Setup { configuration: voters(&[1]), ..Setup::default() }.start();
    let started = server.node.clone();
    server.time_out();
    let candidate = server.node.clone();
    assert_eq!(events(&started, &candidate), []);
    server.sync_one();
    let elected = server.node.clone();
    let term = elected.current_term();
    let first = EntryId { term, index: Index(1) };
    assert_eq!(
        events(&candidate, &elected),
        [
            Event::Elected { term, leader: n(1), log: started.log().clone() },
            Event::Created { first, last: Index(1) },
        ]
    );
    server.step(Input::Propose { count: 2 });
    let proposed = server.node.clone();
    let second = EntryId { term, index: Index(2) };
    assert_eq!(events(&elected, &proposed), [Event::Created { first: second, last: Index(3) }]);
    server.sync();
    let entries: Vec<_> = server.node.log().ids().collect();
    assert_eq!(events(&proposed, &server.node), [Event::Committed { entries, term }]);
    assert_eq!(events(&server.node, &server.node), []);
}
