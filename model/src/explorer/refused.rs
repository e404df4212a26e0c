//! What the protocol would refuse in a state, and the rule that refuses it. Steps that change nothing
//! are none of a model: so each input is tried, at a copy of the server.

use quorate_spec::{
    Effects, Envelope, Input, Moment, Node, NodeId, Params, Protocol, Refusal, Token,
};
use serde::Serialize;

use super::asked::Asked;
use super::source::{Place, Refuser};
use super::view::name;
use crate::guards::{Guard, Guards};
use crate::intern::Interned;
use crate::mutation::Mutation;
use crate::render::message;
use crate::server::PRESENT;
use crate::state::State;

/// An input that was refused, or a part of it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct RefusedView {
    /// The servers at which it is.
    pub servers: Vec<String>,
    /// The input.
    pub what: String,
    /// The refusal, by its name in the specification.
    pub refusal: String,
    /// Why, in a clause.
    pub why: String,
    /// The guard that said no, or the function that refuses without one, by its key in the header's
    /// sources.
    pub source: String,
    /// Whether something comes of the input all the same: an answer, or a term that rises.
    pub acts: bool,
}

/// Rules, parameters and time, to try inputs with.
#[derive(Clone, Copy, Debug)]
pub struct Trial {
    /// Timeouts and switches.
    pub params: Params,
    /// The guard that is broken, if one is.
    pub mutation: Option<Mutation>,
    /// Whether deadlines come when the clock says so, and not at any moment.
    pub timed: bool,
}

impl Trial {
    /// What is refused in this state: messages that may arrive, timeouts that may pass, and what
    /// clients and operators may ask for.
    #[must_use]
    pub fn of(&self, state: &State, arriving: &[Interned<Envelope>]) -> Vec<RefusedView> {
        let mut refused: Vec<RefusedView> = Vec::new();
        for envelope in arriving {
            gather(&mut refused, self.of_message(state, *envelope));
        }
        for server in &state.servers {
            let node = &server.node;
            let transfer = state.servers.iter().map(|it| it.node.id()).find(|id| *id != node.id());
            let asks = [
                ("an election timeout", Some(Input::Tick)),
                ("an operator asks it to campaign", Some(Input::Campaign)),
                ("a client's command", Some(Input::Propose { count: 1 })),
                ("a client's read", Some(Input::Read(Token(u64::MAX)))),
                ("an operator asks it to hand over", transfer.map(Input::TransferLeadership)),
                (
                    "a snapshot of its next entry is complete",
                    Some(Input::SnapshotTaken { index: node.commit_index().next() })
                        .filter(|_| node.log().last().index > node.commit_index()),
                ),
            ];
            for (what, input) in asks {
                let tried = input.map(|input| self.try_input(node, what, input));
                gather(&mut refused, tried.unwrap_or_default());
            }
            gather(&mut refused, self.lease_read(node));
        }
        refused
    }

    /// What is refused of a message that arrives in this state.
    #[must_use]
    pub fn of_message(&self, state: &State, envelope: Interned<Envelope>) -> Vec<RefusedView> {
        let node = &state.server(envelope.to).node;
        let what = format!("from n{}: {}", envelope.from, message(&envelope));
        self.try_input(node, &what, Input::Receive((*envelope).clone()))
    }

    /// What is refused of an input, each refusal with the guard that gave it.
    fn try_input(&self, node: &Node, what: &str, input: Input) -> Vec<RefusedView> {
        let rules = self.mutation.map_or_else(Guards::sound, Guards::broken);
        let coverage = rules.coverage();
        let protocol = Protocol { rules, params: self.params };
        let horizon = || protocol.horizon(node, PRESENT);
        let takes = takes(&input);
        let now = if self.timed || input != Input::Tick { PRESENT } else { horizon() };
        let mut after = node.clone();
        let mut effects = Effects::default();
        protocol.step(&mut after, Moment { now, draw: 0 }, input, &mut effects);
        let said_no = |guard: Guard| coverage.guard(guard).1;
        let acts = after != *node || !effects.send.is_empty();
        let refused = effects.refused.iter();
        refused.map(|refusal| view((node.id(), what), refusal, (said_no, takes), acts)).collect()
    }

    /// The guards that are asked where this message arrives in this state.
    #[must_use]
    pub fn asked(&self, state: &State, envelope: Interned<Envelope>) -> Asked {
        let node = &state.server(envelope.to).node;
        let answers = |rules: Guards| {
            let coverage = rules.coverage();
            let protocol = Protocol { rules, params: self.params };
            let input = Input::Receive((*envelope).clone());
            let moment = Moment { now: PRESENT, draw: 0 };
            protocol.step(&mut node.clone(), moment, input, &mut Effects::default());
            coverage
        };
        let (here, sound) = (
            answers(self.mutation.map_or_else(Guards::sound, Guards::broken)),
            answers(Guards::sound()),
        );
        let was_asked = |guard: &Guard| here.guard(*guard) != (false, false);
        let guards: Vec<Guard> = Guard::ALL.iter().copied().filter(was_asked).collect();
        let broken = self.mutation.map(Mutation::guard).filter(|guard| guards.contains(guard));
        let broken = broken.map(|guard| (guard, sound.guard(guard).1 && !here.guard(guard).1));
        Asked { guards, broken }
    }

    fn lease_read(&self, node: &Node) -> Vec<RefusedView> {
        let rules = self.mutation.map_or_else(Guards::sound, Guards::broken).silent();
        let protocol = Protocol { rules, params: self.params };
        let read = protocol.read_view(node).lease_read(PRESENT);
        let refused = read.err().filter(|_| self.params.lease.is_some());
        let what = "a client's read by lease";
        let takes = Place { file: "spec/src/read_view.rs", function: "lease_read" };
        refused
            .iter()
            .map(|refusal| view((node.id(), what), refusal, (|_| false, takes), false))
            .collect()
    }
}

/// The function that takes an input.
fn takes(input: &Input) -> Place {
    let action = match input {
        Input::Receive(envelope) => return Place::of_message(envelope.message.body.kind()),
        Input::Tick => "Timeout",
        Input::Persisted(_) => "Report",
        Input::Propose { .. } => "Propose",
        Input::ChangeMembers(_) => "ChangeMembers",
        Input::SnapshotTaken { .. } => "TakeSnapshot",
        Input::SnapshotReported { .. } => "StopMoving",
        Input::Campaign => "Campaign",
        Input::TransferLeadership(_) => "Transfer",
        Input::Read(_) => "Read",
    };
    Place::of_action(action).expect("each of these has a function")
}

/// What is shown of a refusal, given which guards said no and what takes the input.
fn view(
    (at, what): (NodeId, &str),
    refusal: &Refusal,
    (said_no, takes): (impl Fn(Guard) -> bool, Place),
    acts: bool,
) -> RefusedView {
    let variant = format!("{refusal:?}");
    let end = variant.find(|c: char| !c.is_ascii_alphanumeric()).unwrap_or(variant.len());
    RefusedView {
        servers: vec![name(at)],
        what: what.to_owned(),
        refusal: variant[..end].to_owned(),
        why: refusal.to_string(),
        source: Refuser::of(refusal).place(said_no, takes).key(),
        acts,
    }
}

/// Adds what is refused, with what is refused alike at another server.
fn gather(all: &mut Vec<RefusedView>, refused: Vec<RefusedView>) {
    for one in refused {
        let alike = |other: &&mut RefusedView| {
            (&other.what, &other.why, &other.source, other.acts)
                == (&one.what, &one.why, &one.source, one.acts)
        };
        match all.iter_mut().find(alike) {
            Some(other) if !other.servers.contains(&one.servers[0]) => {
                other.servers.extend(one.servers);
            }
            Some(_) => {}
            None => all.push(one),
        }
    }
}
