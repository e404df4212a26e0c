//! A recorded run in the Explorer: one state after the other, each with the sentence of the step
//! that led to it.

use quorate_spec::property::ClaimSet;

use super::link;
use super::refused::Trial;
use super::slice::verdicts;
use super::story::{self, Event, Told};
use super::walk::{Header, Verdict, Walk};
use crate::simulation::{ReplayError, Trace, replay};
use crate::state::State;

/// A run to walk through, forwards only.
pub struct TraceWalk {
    header: Header,
    /// The rules that it ran under, where they are known.
    trial: Option<Trial>,
    claims: ClaimSet,
    states: Vec<(String, State)>,
}

impl TraceWalk {
    /// The run through these states, of which there is at least one. The first one is where it
    /// begins, and its sentence is not shown; the sentence of every other says what led to it.
    /// Of `claims`, those are false in a state that it has in [`State::broken`].
    ///
    /// # Panics
    /// If there is no state.
    #[must_use]
    pub fn new(name: &str, about: &str, claims: ClaimSet, states: Vec<(String, State)>) -> Self {
        assert!(!states.is_empty(), "a run begins somewhere");
        let servers = states[0].1.servers.len();
        let steps = states.len() - 1;
        let header = Header {
            kind: "trace",
            slice: name.to_owned(),
            about: about.to_owned(),
            bounds: format!("{servers} servers, {steps} recorded steps"),
            ..Header::default()
        };
        let mut walk = TraceWalk { header, trial: None, claims, states };
        let actions: Vec<usize> = (1..=steps).collect();
        walk.header.trace = link::hash(&walk, &walk.header, &actions);
        walk
    }

    /// The run that a trace file of this name records: see [`replay`].
    ///
    /// # Errors
    /// Where the text is no trace file, or one of more servers than a state holds.
    pub fn of_file(name: &str, text: &str) -> Result<Self, ReplayError> {
        let states = replay(text)?;
        let (setup, _) = Trace::parse(text)?;
        let walk = TraceWalk::new(name, &setup.to_string(), setup.claims(), states);
        let (params, mutation) = (*setup.cluster().params(), setup.mutation);
        Ok(TraceWalk { trial: Some(Trial { params, mutation, timed: false }), ..walk })
    }

    /// The number of its steps, and with it the last of its states.
    #[must_use]
    pub fn last(&self) -> usize {
        self.states.len() - 1
    }

    /// The hash of the link to the last state.
    #[must_use]
    pub fn link(&self) -> &str {
        self.header.trace.as_deref().unwrap_or_default()
    }
}

impl Walk for TraceWalk {
    type State = usize;
    type Action = usize;

    fn header(&self) -> Header {
        self.header.clone()
    }

    fn initial(&self) -> usize {
        0
    }

    fn steps(&self, at: &usize) -> Vec<(usize, usize)> {
        let next = at + 1;
        if next < self.states.len() { vec![(next, next)] } else { Vec::new() }
    }

    fn cluster(&self, at: &usize) -> State {
        self.states[*at].1.clone()
    }

    fn verdicts(&self, at: &usize) -> Vec<Verdict> {
        verdicts(self.claims, self.states[*at].1.broken)
    }

    fn trial(&self) -> Option<Trial> {
        self.trial
    }

    fn tell(&self, before: &usize, _: &usize, after: &usize) -> Told {
        let (sentence, state) = &self.states[*after];
        let first = Event::Everywhere(String::new());
        story::by_difference((Some(sentence), None), first, "", &self.states[*before].1, state)
    }
}
