//! A run as a text file, so that it can be kept, read and replayed without a random number.
//!
//! ```text
//! # What it shows.
//! servers 5
//! mutant VotesForEveryone
//! timeout 0 0 0
//! deliver 1 0 0
//! ```

use std::fmt;

use quorate_model::mutation::Mutation;

use crate::property::Setup;
use crate::step::{Step, Verb};

/// The steps of a run.
#[derive(Clone, PartialEq, Eq)]
pub struct Trace(pub Vec<Step>);

/// Why a trace file was not understood: the line, from 1.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct TraceError {
    /// The line, counted from 1.
    pub line: usize,
}

impl fmt::Display for TraceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: neither a verb with three numbers nor servers, mutant or #", self.line)
    }
}

impl std::error::Error for TraceError {}

impl Trace {
    /// The trace as the text of a file.
    #[must_use]
    pub fn file(&self, setup: &Setup) -> String {
        let mutant = setup.mutation.map(|mutation| format!("mutant {}\n", mutation.name()));
        let steps: Vec<_> = self.0.iter().map(Step::to_string).collect();
        format!("servers {}\n{}{}\n", setup.servers, mutant.unwrap_or_default(), steps.join("\n"))
    }

    /// Reads the text of a file: how many servers, the mutant that it shows, and the steps.
    ///
    /// # Errors
    /// The first line that is not understood.
    pub fn parse(text: &str) -> Result<(usize, Option<Mutation>, Trace), TraceError> {
        let (mut servers, mut mutant, mut steps) = (5, None, Vec::new());
        for (number, line) in text.lines().enumerate() {
            let error = TraceError { line: number + 1 };
            let words: Vec<_> = line.split_whitespace().collect();
            match words.as_slice() {
                [] => {}
                [first, ..] if first.starts_with('#') => {}
                ["servers", count] => servers = count.parse().map_err(|_| error)?,
                ["mutant", name] => mutant = Some(mutation_named(name).ok_or(error)?),
                [verb, who, size, draw] => steps.push(Step {
                    verb: Verb::of_word(verb).ok_or(error)?,
                    who: who.parse().map_err(|_| error)?,
                    size: size.parse().map_err(|_| error)?,
                    draw: draw.parse().map_err(|_| error)?,
                }),
                _ => return Err(error),
            }
        }
        Ok((servers, mutant, Trace(steps)))
    }
}

fn mutation_named(name: &str) -> Option<Mutation> {
    Mutation::ALL.iter().copied().find(|mutation| mutation.name() == name)
}

/// In one line: this is what proptest writes next to the seed of a failure.
impl fmt::Debug for Trace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} steps: ", self.0.len())?;
        f.debug_list().entries(&self.0).finish()
    }
}
