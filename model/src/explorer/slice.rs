//! A slice in the Explorer: plain states of a [`SliceModel`], under the sound rules or a mutant.

use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Envelope, NodeId};

use super::link;
use super::refused::Trial;
use super::scenario::Scenario;
use super::story::{self, Told};
use super::walk::{Broken, Header, Lease, Verdict, Walk};
use crate::action::{Action, What};
use crate::check::TRACE_LIMIT;
use crate::guards::Guards;
use crate::intern::Interned;
use crate::model::SliceModel;
use crate::mutation::Mutation;
use crate::search::{Trace, shortest};
use crate::server::PRESENT;
use crate::slice::{Network, Slice};
use crate::state::State;

/// A slice to walk through.
pub struct SliceWalk {
    model: SliceModel,
    header: Header,
    mutation: Option<Mutation>,
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
        let mut found = Counterexample { walk, claim, trace };
        found.walk.header.scenario = Some(found.scenario().to_string());
        Some(found)
    }

    /// The counterexample as text that can be kept and replayed.
    #[must_use]
    pub fn scenario(&self) -> Scenario {
        let SliceWalk { model, mutation, .. } = &self.walk;
        Scenario::of(&model.slice, *mutation, self.claim, &self.trace)
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
            ..Header::default()
        };
        SliceWalk { initial: model.plain_initial(), model, header, mutation }
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

    fn leases(&self, state: &State) -> Vec<Lease> {
        let until = |id: NodeId| {
            let node = &state.server(id).node;
            let until = self.model.silent.protocol.read_view(node).lease_until?;
            state.clocks.has_time().then(|| until.0.saturating_sub(PRESENT.0))
        };
        let readers = self.model.lease_readers(state).into_iter();
        readers.map(|(holder, index)| Lease { holder, index, ticks: until(holder) }).collect()
    }

    fn trial(&self) -> Option<Trial> {
        let timed = self.model.slice.clocks.is_some();
        let params = self.model.silent.protocol.params;
        Some(Trial { params, mutation: self.mutation, timed })
    }

    /// What is under way, and in networks where requests are made as they arrive, those.
    fn arriving(&self, state: &State) -> Vec<Interned<Envelope>> {
        let open = |from, to| from != to && state.budget.is_open(from, to);
        let under_way = state.net.iter().filter(|it| open(it.from, it.to)).copied();
        let pulls = matches!(self.model.slice.network, Network::Pull { .. });
        let ids = || self.model.ids().filter(|_| pulls);
        let links = ids().flat_map(|from| ids().map(move |to| (from, to)));
        let links = links.filter(|(from, to)| open(*from, *to));
        let made =
            links.filter_map(|(from, to)| self.model.request(state, from, to, What::Entries));
        under_way.chain(made.map(|(_, request)| request)).collect()
    }

    fn tell(&self, before: &State, action: &Action, after: &State) -> Told {
        story::of_slice(&self.model, before, *action, after)
    }
}
