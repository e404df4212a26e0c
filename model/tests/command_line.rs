//! What people meet who type a command: one clear line for a mistake, the words that fit the
//! numbers, and a quiet end where nobody reads.

#![allow(missing_docs)]

use std::process::{Command, Stdio};

use crate::common::{quorate_model, refusal};

#[test]
fn a_wrong_number_is_one_clear_line() {
    for wrong in ["x", "0", "1.5"] {
        let text = refusal(&["check", "single", "--threads", wrong]);
        assert!(text.contains("give a whole number from 1 to 512"), "{text}");
    }
    assert!(refusal(&["check", "--time-limit", "soon"]).contains("give whole seconds"));
    assert!(refusal(&["check", "--thread", "2"]).contains("'--threads'"));
    assert!(refusal(&["chekc"]).contains("'check'"));
    assert!(refusal(&[]).contains("check, list, mutants, claims, explore, lab or math"));
}

#[test]
fn a_name_is_guessed_only_where_it_is_near() {
    assert!(refusal(&["check", "electoin"]).contains("did you mean election?"));
    let far = refusal(&["check", "snapshots-with-joint-consensus"]);
    assert!(!far.contains("did you mean"), "{far}");
    assert!(far.contains("`quorate-model list` shows all"), "{far}");
}

#[test]
fn help_is_help() {
    let output = quorate_model(&["check", "--help"]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0));
    assert!(text.contains("--time-limit <SECONDS>") && text.contains("Exit codes: 0"), "{text}");
}

#[test]
fn one_slice_is_as_declared_and_two_are() {
    let said = |arguments: &[&str]| {
        let output = quorate_model(arguments);
        assert_eq!(output.status.code(), Some(0), "{arguments:?}");
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    assert!(said(&["check", "single"]).contains("\n1 slice as declared,"));
    let two = said(&["check", "isolated", "n-deaf-naive"]);
    assert!(two.contains("\n2 slices as declared,"), "{two}");
    assert!(two.contains("n-deaf-naive is VIOLATED NonDisruption on purpose, after 2 steps"));
}

/// An hour of checks is not lost where it is broken off: what is recorded is not run again.
#[test]
fn a_recorded_slice_is_not_run_again() {
    let folder = tempfile::tempdir().expect("there is room");
    let file = folder.path().join("deep.json");
    let path = file.to_str().expect("UTF-8");
    let said = || {
        let output =
            quorate_model(&["check", "deep-isolated", "single", "--deep", "--record", path]);
        assert_eq!(output.status.code(), Some(0));
        String::from_utf8(output.stdout).expect("UTF-8")
    };
    let first = said();
    assert!(first.starts_with("0 of 1 slices are in") && first.contains("1 slice as declared"));
    let record = std::fs::read_to_string(&file).expect("it was written");
    assert!(record.contains("\"slice\": \"deep-isolated\"") && !record.contains("single"));
    let again = said();
    assert!(again.starts_with("1 of 1 slices are in") && !again.contains("as declared"), "{again}");
    std::fs::write(&file, "{").expect("it can be written");
    let text = refusal(&["check", "--deep", "--record", path]);
    assert!(
        text.contains("cannot read") && text.contains("choose another --record file"),
        "{text}"
    );
}

#[test]
fn a_claim_that_holds_or_is_not_checked_is_not_explored() {
    let text = refusal(&["explore", "single", "--claim", "NonDisruption"]);
    assert!(text.contains("NonDisruption is not checked in slice single"), "{text}");
    let text = refusal(&["explore", "single", "--claim", "VoteStable"]);
    assert!(text.contains("no trace of slice single on which VoteStable fails"), "{text}");
    assert!(refusal(&["explore", "--claim", "VoteStable"]).contains("SLICE"));
}

#[test]
fn a_pattern_of_cut_links_is_told_as_runs_and_reported() {
    let file = std::env::temp_dir().join(format!("links-{}.json", std::process::id()));
    let path = file.to_str().expect("UTF-8");
    let output = quorate_model(&["check", "links/one-link", "--json", path]);
    let text = String::from_utf8(output.stdout).expect("UTF-8");
    assert_eq!(output.status.code(), Some(0), "{text}");
    assert!(text.contains("and then for ever:") && text.contains("8 cells as declared"), "{text}");
    let report = std::fs::read_to_string(&file).expect("it was written");
    std::fs::remove_file(&file).expect("it is there");
    let report: serde_json::Value = serde_json::from_str(&report).expect("JSON");
    let row = &report["links"][0];
    assert_eq!((&row["live"], &row["stable"]), (&true.into(), &false.into()), "{row}");
    assert!(refusal(&["check", "links/one-lnk"]).contains("did you mean links/one-link?"));
}

#[test]
fn a_list_that_nobody_reads_ends_quietly() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader);
    let child = Command::new(env!("CARGO_BIN_EXE_quorate-model"))
        .arg("list")
        .stdout(writer)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let output = child.wait_with_output().expect("it ends");
    assert_eq!(output.status.code(), Some(141));
    assert!(output.stderr.is_empty(), "{}", String::from_utf8_lossy(&output.stderr));
}
