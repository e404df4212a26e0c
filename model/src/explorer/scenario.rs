//! A counterexample as text, to be kept and replayed: a regression scenario.
//!
//! ```text
//! # What it shows.
//! slice election-async
//! mutant CountsOldVotes
//! finds ElectionSafety
//! n0's election timeout passes
//! n1 receives from n0: RequestVote of term 1, log up to 0@t0
//! ```
//!
//! A line is what happens, and not what comes of it, so that the same lines can be followed under
//! other rules: either they end where something is not possible any more, or the claim holds to the
//! end, or it does not.

use std::collections::HashSet;
use std::fmt;

use quorate_spec::property::Claim;

use crate::action::{Action, Fate, What};
use crate::guards::Guards;
use crate::model::SliceModel;
use crate::mutation::Mutation;
use crate::search::Trace;
use crate::slice::Slice;
use crate::slices;
use crate::state::State;

/// A way through a slice, in words.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Scenario {
    /// The slice's name.
    pub slice: String,
    /// The guard that is broken, if one is.
    pub mutation: Option<Mutation>,
    /// The claim that is false at its end, and not before.
    pub claim: Claim,
    /// What happens, step by step.
    pub steps: Vec<String>,
}

/// What became of a scenario.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Replayed {
    /// The claim is false after so many steps.
    Violated(usize),
    /// The claim holds to the end.
    Holds,
    /// The step of this number, counted from 1, is not possible any more; until then the claim held.
    Impossible(usize),
}

/// Why a text is no scenario.
#[derive(Clone, PartialEq, Eq, Debug, thiserror::Error)]
pub enum ScenarioError {
    /// A first word with a name that nothing has.
    #[error("line {line}: there is no {what} {name}")]
    Unknown {
        /// The line, counted from 1.
        line: usize,
        /// What kind of thing it should name.
        what: &'static str,
        /// The name.
        name: String,
    },
    /// It does not say what it is about.
    #[error("a scenario needs a line \"slice NAME\" and a line \"finds CLAIM\"")]
    Incomplete,
}

impl Scenario {
    /// The scenario of a trace of this slice.
    #[must_use]
    pub fn of(slice: &Slice, mutation: Option<Mutation>, claim: Claim, trace: &Trace) -> Scenario {
        let steps = trace.steps.iter().map(|(action, _)| words(slice, *action)).collect();
        Scenario { slice: slice.name.to_owned(), mutation, claim, steps }
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// A name that nothing has, or one that is missing.
    pub fn parse(text: &str) -> Result<Scenario, ScenarioError> {
        let (mut slice, mut mutation, mut claim, mut steps) = (None, None, None, Vec::new());
        for (number, line) in text.lines().enumerate() {
            let line = line.trim();
            let unknown = |what, name: &str| ScenarioError::Unknown {
                line: number + 1,
                what,
                name: name.to_owned(),
            };
            match line.split_once(' ') {
                _ if line.is_empty() || line.starts_with('#') => {}
                Some(("slice", name)) => {
                    let found = slices::named(name).ok_or_else(|| unknown("slice", name))?;
                    slice = Some(found.name.to_owned());
                }
                Some(("mutant", name)) => {
                    let found = Mutation::ALL.iter().find(|it| it.name() == name);
                    mutation = Some(*found.ok_or_else(|| unknown("mutant", name))?);
                }
                Some(("finds", name)) => {
                    let found = Claim::ALL.into_iter().find(|it| it.name() == name);
                    claim = Some(found.ok_or_else(|| unknown("claim", name))?);
                }
                _ => steps.push(line.to_owned()),
            }
        }
        let (Some(slice), Some(claim)) = (slice, claim) else {
            return Err(ScenarioError::Incomplete);
        };
        Ok(Scenario { slice, mutation, claim, steps })
    }

    /// Follows the steps under the rules that the scenario names.
    #[must_use]
    pub fn replay(&self) -> Replayed {
        self.replay_under(self.mutation.map_or_else(Guards::sound, Guards::broken))
    }

    /// Follows the steps under these rules. Where words fit more than one action all of those are
    /// taken: it is enough that one way leads to a violation.
    #[must_use]
    pub fn replay_under(&self, guards: Guards) -> Replayed {
        let Some(slice) = slices::named(&self.slice) else { return Replayed::Impossible(0) };
        let model = SliceModel::new(slice, guards);
        let mut states: HashSet<State> = model.plain_initials().into_iter().collect();
        for (number, step) in self.steps.iter().enumerate() {
            let steps = states.iter().flat_map(|state| model.plain_steps(state));
            let fits = |(action, next)| (words(&slice, action) == *step).then_some(next);
            states = steps.filter_map(fits).collect();
            if states.is_empty() {
                return Replayed::Impossible(number + 1);
            }
            if states.iter().any(|state| model.false_claims(state).contains(self.claim)) {
                return Replayed::Violated(number + 1);
            }
        }
        Replayed::Holds
    }
}

impl fmt::Display for Scenario {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Scenario { slice, mutation, claim, steps } = self;
        let about = mutation.map_or(claim.entry().sentence, Mutation::about);
        writeln!(f, "# {about}")?;
        writeln!(f, "slice {slice}")?;
        if let Some(mutation) = mutation {
            writeln!(f, "mutant {}", mutation.name())?;
        }
        writeln!(f, "finds {claim}")?;
        steps.iter().try_for_each(|step| writeln!(f, "{step}"))
    }
}

/// What happens in an action, whatever comes of it. Fates are said where messages do not simply
/// arrive, for as many as the slice can tell apart.
fn words(slice: &Slice, action: Action) -> String {
    let what = match action {
        Action::Exchange(_, _, What::Heartbeat, _) | Action::Park(_, _, What::Heartbeat) => {
            ", without entries"
        }
        _ => "",
    };
    let fates = (0..slice.servers * 2).map(|position| match action.fates().of(position) {
        Fate::Arrives => "arrives",
        Fate::Lost => "is lost",
        Fate::Parked => "is delayed",
    });
    let mut fates: Vec<&str> = fates.collect();
    while fates.last() == Some(&"arrives") {
        fates.pop();
    }
    let fates = match fates.is_empty() {
        true => String::new(),
        false => format!("; what is sent {}", fates.join(", ")),
    };
    format!("{action}{what}{fates}")
}
