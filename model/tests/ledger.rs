//! The ledger counts what was shown, and says how to see it again.

#![allow(missing_docs)]

use quorate_model::check::{Checked, Killed, Memory, TRACE_LIMIT, Watch, check, kill};
use quorate_model::ledger::deep::{Found, Record};
use quorate_model::ledger::{self, Findings};
use quorate_model::mutation::Mutation;
use quorate_model::slices;
use quorate_spec::property::Claim;

fn run(name: &str, time_limit: Option<std::time::Duration>) -> Checked {
    let slice = slices::named(name).expect("it is in the catalogue");
    let memory = Memory { now: || 0, peak: || 0, reset: || {} };
    check(
        slice,
        &Watch { threads: 2, time_limit, trace_limit: TRACE_LIMIT, memory, progress: &|_| {} },
    )
}

fn render(checked: &[Checked], killed: &[Killed]) -> String {
    let deep = Record::default();
    ledger::render(&Findings { checked, killed, cells: &[], deep: &deep })
}

/// The lines of a claim's section.
fn section<'a>(ledger: &'a str, claim: &str) -> &'a str {
    let (_, rest) = ledger.split_once(&format!("\n### {claim}\n")).expect("every claim has one");
    rest.split("\n#").next().expect("it has a beginning")
}

fn row<'a>(ledger: &'a str, start: &str) -> &'a str {
    ledger.lines().find(|line| line.starts_with(start)).expect("there is such a row")
}

#[test]
fn a_slice_counts_for_a_claim_only_with_a_verdict_on_it() {
    let none = Some(std::time::Duration::ZERO);
    let checked = [run("election-two", None), run("isolated-naive", None), run("election", none)];
    let text = render(&checked, &[]);
    assert!(row(&text, "| [ElectionSafety]").ends_with("| 2 | 0 | 0 |"), "election was given up");
    assert!(row(&text, "| [NonDisruption]").ends_with("| 1 | 0 | 0 |"));
    assert!(row(&text, "| [NoDeadlock]").ends_with("| 1 | 0 | 0 |"));
    let disruption = section(&text, "NonDisruption");
    assert!(
        disruption.contains(
            "VIOLATED, as declared, in 1 of the [slices](#slices): `isolated-naive` after"
        )
    );
    assert!(!disruption.contains("EXHAUSTED in"), "{disruption}");
    let safety = section(&text, "ElectionSafety");
    assert!(
        safety
            .contains("EXHAUSTED in 2 of the [slices](#slices): `election-two`, `isolated-naive`."),
        "{safety}"
    );
    assert!(
        row(&text, "| `isolated-naive`").contains("VIOLATED NonDisruption; the others EXHAUSTED")
    );
    assert!(row(&text, "| `election` |").contains("| INCOMPLETE | - | - | - | - |"));
    assert!(text.contains("Claims checked in every slice: {}."), "one slice was given up");
}

#[test]
fn a_claim_is_run_again_where_its_mutants_die_or_where_three_servers_are() {
    let checked = [run("single", None), run("isolated", None), run("election-async", None)];
    let text = render(&checked, &[kill(Mutation::CountsOldVotes)]);
    assert!(section(&text, "ElectionSafety").contains("-- check election-async`."));
    // None of its own: the smallest slice of three servers.
    let monotonic = section(&text, "TermMonotonic");
    assert!(monotonic.contains("-- check election-async`."), "{monotonic}");
    assert!(monotonic.contains("(spec/tests/refuted/main.rs) refutes it"), "{monotonic}");
}

/// What was seen in a claim's slices stands with the claim, and so does what was not.
#[test]
fn a_claim_says_what_was_seen_in_its_slices_and_what_was_not() {
    let checked = [run("election-two", None)];
    let text = render(&checked, &[]);
    let safety = section(&text, "ElectionSafety");
    let states = checked[0].unique;
    for part in [
        "2 servers, 3 terms, 1 crashes, PULL-0, ASYNC".to_owned(),
        format!("{states} unique states"),
        "NOT checked together with: commands, changes of the members, snapshots, reads, transfers, \
         pre-vote, leases and clocks, links that are cut."
            .to_owned(),
        "kinds of messages (not PreVote".to_owned(),
        "`leads_after_restart`".to_owned(),
        "`may_install`".to_owned(),
        "[`transition/request_vote`](spec/src/transition/request_vote.rs)".to_owned(),
    ] {
        let constant = part == "`leads_after_restart`";
        assert_eq!(safety.contains(&part), !constant, "{part}: {safety}");
    }
}

/// A result counts as one of the present specification or says that it is older.
#[test]
fn what_was_found_on_another_specification_says_so() {
    let mut run = run("election-two", None);
    run.slice = slices::named("deep-pre-vote").expect("it is in the catalogue");
    let found = Found::of(&run);
    assert!(found.is_of(&run.slice));
    let row_of = |found: &Found| {
        let mut deep = Record::default();
        deep.take(found.clone());
        let text = ledger::render(&Findings { checked: &[], killed: &[], cells: &[], deep: &deep });
        row(&text, "| `deep-pre-vote`").to_owned()
    };
    assert!(row_of(&found).ends_with("` |"), "{}", row_of(&found));
    let older = Found { specification: "0123456789ab".to_owned(), ..found.clone() };
    assert!(
        !older.is_of(&run.slice)
            && row_of(&older).ends_with("`0123456789ab`, an older specification |")
    );
    let other = Found { bounds: "3 voters".to_owned(), ..found.clone() };
    assert!(!other.is_of(&run.slice) && row_of(&other).ends_with(", other bounds |"));
    // A slice that the catalogue does not have any more is forgotten.
    let mut deep = Record::default();
    deep.take(Found { slice: "no-more".to_owned(), ..found });
    assert_eq!(deep, Record::default());
}

/// Whoever breaks a claim's code is led there.
#[test]
fn the_code_that_a_claim_constrains_is_there() {
    let spec = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../spec/src");
    for claim in Claim::ALL {
        let files = ledger::transitions_of(claim);
        assert!(!files.is_empty());
        files.iter().for_each(|file| assert!(spec.join(format!("{file}.rs")).is_file(), "{file}"));
    }
}

/// An auditor follows them, in the ledger that is there and in one with nothing in it.
#[test]
fn every_link_of_the_ledger_leads_to_a_file_or_a_section() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let kept = std::fs::read_to_string(root.join("CLAIMS.md")).expect("the ledger is there");
    for text in [kept, render(&[], &[])] {
        let links: Vec<&str> =
            text.split("](").skip(1).filter_map(|rest| rest.split(')').next()).collect();
        assert!(links.len() > 34, "each claim has its own: {}", links.len());
        for link in links {
            let leads = match link.strip_prefix('#') {
                Some(section) => {
                    let heading = format!("# {}\n", section.replace('-', " "));
                    text.to_lowercase().contains(&heading)
                }
                None => root.join(link).is_file(),
            };
            assert!(leads, "{link} leads nowhere");
        }
    }
}

/// What refutes the claims of progress are mutants: nothing else is promised where none is killed.
#[test]
fn a_hand_made_case_is_promised_where_there_is_one() {
    let text = render(&[], &[kill(Mutation::NoNoOp)]);
    let promises = |claim| section(&text, claim).contains("a hand-made case");
    assert!(promises("ElectionSafety") && promises("LogMatching"));
    for claim in
        ["StableLeader", "ElectionProgress", "NoDeadlock", "CommitProgress", "ReplicationProgress"]
    {
        assert!(!promises(claim), "{claim}");
    }
    assert!(section(&text, "NoDeadlock").contains("Mutants killed: `NoNoOp` in 0 steps."));
    assert!(section(&text, "SnapshotProgress").contains("Mutants killed: none.\n"));
    // At its end more is false than the claim that kills it.
    let besides = "Mutants killed: none of its own; false as well at the end of `NoNoOp`, which NoDeadlock kills.";
    assert!(section(&text, "CommitProgress").contains(besides));
    assert!(section(&text, "StableLeader").contains("model/tests/links.rs"));
}

#[test]
fn the_bounds_of_a_slice_name_all_that_bounds_or_reduces_it() {
    let bounds = |name| slices::named(name).expect("it is in the catalogue").bounds();
    let election = bounds("election");
    for part in ["ASYNC", "naive election", "1 crash, ≤ 1 write pending", "no AppendEntries"] {
        assert!(election.contains(part), "{election}");
    }
    let reduced = "writes at once, canonical names, dead messages dropped, spent votes forgotten";
    assert!(bounds("check-quorum").contains("pre-vote + promise + check-quorum"));
    assert!(bounds("check-quorum").ends_with(reduced), "{}", bounds("check-quorum"));
    assert!(bounds("step-down").contains("naive election + check-quorum"));
    assert!(bounds("flaky-two-of-five").contains("n0 leads term 1, timers run at n3 and n4 alone"));
    assert!(bounds("operator").contains("no timer runs, an operator asks n1 and n2 to campaign"));
    assert!(bounds("isolated-restart").contains("n0 leads term 1 and does not crash"));
    assert!(bounds("replication-stepwise").contains("≤ 1 entry a request, heartbeats beside"));
}
