//! A run as a text file, so that it can be kept, read and replayed without a random number.
//!
//! ```text
//! # What it shows.
//! scenario Faults
//! servers 5
//! mutant VotesForEveryone
//! finds VoteOncePerTerm
//! timeout 0 0 0
//! deliver 1 0 0
//! ```

use std::fmt;

use quorate_spec::property::Claim;

use super::finding::Watch;
use super::property::{Scenario, Setup};
use super::step::{Step, Verb};
use crate::mutation::Mutation;

/// The steps of a run.
#[derive(Clone, PartialEq, Eq)]
pub struct Trace(pub Vec<Step>);

/// Why a trace file was not understood.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceError {
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "line {}: neither a verb with three numbers, nor scenario, servers, mutant or finds \
             with a known name, nor a comment after #",
            self.line
        )
    }
}

impl std::error::Error for TraceError {}

impl Trace {
    /// The trace as the text of a file.
    #[must_use]
    pub fn file(&self, setup: &Setup) -> String {
        let mut lines =
            vec![format!("scenario {:?}", setup.scenario), format!("servers {}", setup.servers)];
        lines.extend(setup.mutation.map(|mutation| format!("mutant {}", mutation.name())));
        match setup.watch {
            Watch::Everything => {}
            Watch::Only(claim) => lines.push(format!("finds {claim}")),
        }
        lines.extend(self.0.iter().map(Step::to_string));
        lines.join("\n") + "\n"
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn parse(text: &str) -> Result<(Setup, Trace), TraceError> {
        let mut setup = Setup::sound(5, Scenario::Faults);
        let mut steps = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let words: Vec<_> = line.split_whitespace().collect();
            let comment = words.first().is_none_or(|word| word.starts_with('#'));
            if !comment {
                let read = read_line(&words, &mut setup, &mut steps);
                read.ok_or(TraceError { line: number + 1 })?;
            }
        }
        Ok((setup, Trace(steps)))
    }
}

/// Reads a line; none where it is not understood.
fn read_line(words: &[&str], setup: &mut Setup, steps: &mut Vec<Step>) -> Option<()> {
    match words {
        ["scenario", name] => {
            let named = |scenario: &Scenario| format!("{scenario:?}") == *name;
            setup.scenario = Scenario::ALL.into_iter().find(named)?;
        }
        ["servers", count] => setup.servers = count.parse().ok().filter(|count| *count > 0)?,
        ["mutant", name] => {
            let named = |mutation: &Mutation| mutation.name() == *name;
            setup.mutation = Some(Mutation::ALL.iter().copied().find(named)?);
        }
        ["finds", name] => {
            let named = |claim: &Claim| claim.name() == *name;
            setup.watch = Watch::Only(Claim::ALL.into_iter().find(named)?);
        }
        [word, who, size, draw] => steps.push(Step {
            verb: Verb::ALL.iter().copied().find(|verb| verb.word() == *word)?,
            who: who.parse().ok()?,
            size: size.parse().ok()?,
            draw: draw.parse().ok()?,
        }),
        _ => return None,
    }
    Some(())
}

/// In one line: this is what proptest writes next to the seed of a failure.
impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps: ", self.0.len())?;
        f.debug_list().entries(&self.0).finish()
    }
}
