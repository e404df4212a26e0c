//! The program as people run it.

pub(crate) mod connections;
pub(crate) mod mutants;

use std::process::{Command, Output};

pub(crate) fn quorate_model(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_quorate-model");
    Command::new(program).args(arguments).output().expect("the program starts")
}

/// The one line of an error, with exit code 2.
pub(crate) fn refusal(arguments: &[&str]) -> String {
    let output = quorate_model(arguments);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{arguments:?} prints nothing else");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}
