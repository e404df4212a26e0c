//! A slice in the Explorer: plain states of a [`SliceModel`], under the sound rules or a mutant.

use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Index, NodeId};

use super::link;
use super::story::{self, Told};
use super::walk::{Broken, Header, Verdict, Walk};
use crate::action::Action;
use crate::check::TRACE_LIMIT;
use crate::guards::Guards;
use crate::model::SliceModel;
use crate::mutation::Mutation;
use crate::search::{Trace, shortest};
use crate::slice::Slice;
use crate::state::State;

/// A slice to walk through.
pub struct SliceWalk {
    model: SliceModel,
    header: Header,
    /// Where the walk begins, of the slice's initial states.
    initial: State,
}

/// A counterexample, and the slice that it was found in.
pub struct Counterexample {
    /// The slice under the rules that it was found under.
    pub walk: SliceWalk,
    /// The claim that is false at its end.
    pub claim: Claim,
    /// The shortest trace to such a state.
    pub trace: Trace,
}

impl Counterexample {
    /// Searches these slices for the shortest trace on which the mutant's claim fails.
    #[must_use]
    pub fn find(mutation: Mutation, slices: &[Slice]) -> Option<Counterexample> {
        slices.iter().find_map(|slice| {
            let model = SliceModel::new(*slice, Guards::broken(mutation));
            Counterexample::on(SliceWalk::of(model, Some(mutation)), mutation.killer())
        })
    }

    /// Searches the slice for the shortest trace on which this claim fails, under the rules as they
    /// are in this copy of the specification.
    #[must_use]
    pub fn under_present_rules(slice: Slice, claim: Claim) -> Option<Counterexample> {
        Counterexample::on(SliceWalk::sound(slice), claim)
    }

    fn on(mut walk: SliceWalk, claim: Claim) -> Option<Counterexample> {
        let trace = shortest(&walk.model, claim, TRACE_LIMIT).1?;
        walk.initial = trace.initial.clone();
        walk.header.trace = link::hash(&walk, &walk.header, &actions(&trace));
        Some(Counterexample { walk, claim, trace })
    }

    /// The actions that lead to the violation.
    #[must_use]
    pub fn actions(&self) -> Vec<Action> {
        actions(&self.trace)
    }
}

fn actions(trace: &Trace) -> Vec<Action> {
    trace.steps.iter().map(|(action, _)| *action).collect()
}

impl SliceWalk {
    /// The slice under the sound rules.
    #[must_use]
    pub fn sound(slice: Slice) -> SliceWalk {
        SliceWalk::of(SliceModel::new(slice, Guards::sound()), None)
    }

    fn of(model: SliceModel, mutation: Option<Mutation>) -> SliceWalk {
        let header = Header {
            kind: "slice",
            slice: model.slice.name.to_owned(),
            about: model.slice.about.to_owned(),
            bounds: model.slice.bounds(),
            mutant: mutation.map(broken),
            trace: None,
        };
        SliceWalk { initial: model.plain_initial(), model, header }
    }

    /// The slice's model.
    #[must_use]
    pub fn model(&self) -> &SliceModel {
        &self.model
    }
}

/// What the page says of a mutant.
pub(super) fn broken(mutation: Mutation) -> Broken {
    Broken {
        name: mutation.name().to_owned(),
        about: mutation.about().to_owned(),
        bugs: mutation.bugs().to_owned(),
        claim: mutation.killer().name().to_owned(),
        says: mutation.killer().entry().sentence.to_owned(),
    }
}

/// The verdicts on these claims, of which some are false.
pub(super) fn verdicts(claims: ClaimSet, broken: ClaimSet) -> Vec<Verdict> {
    claims.iter().map(|claim| Verdict::on(claim, !broken.contains(claim))).collect()
}

impl Walk for SliceWalk {
    type State = State;
    type Action = Action;

    fn header(&self) -> Header {
        self.header.clone()
    }

    fn initial(&self) -> State {
        self.initial.clone()
    }

    fn steps(&self, state: &State) -> Vec<(Action, State)> {
        self.model.plain_steps(state)
    }

    fn cluster(&self, state: &State) -> State {
        state.clone()
    }

    fn verdicts(&self, state: &State) -> Vec<Verdict> {
        verdicts(self.model.slice.claims, self.model.false_claims(state))
    }

    fn lease_readers(&self, state: &State) -> Vec<(NodeId, Index)> {
        self.model.lease_readers(state)
    }

    fn tell(&self, before: &State, action: &Action, after: &State) -> Told {
        story::of_slice(&self.model, before, *action, after)
    }
}
