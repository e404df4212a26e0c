//! What the actor model reaches, by a search that compares whole states.

use std::collections::{BTreeSet, HashSet};

use quorate_spec::{Envelope, Message};
use stateright::actor::{ActorModelAction, Network};
use stateright::{Expectation, Model, Property};

use super::properties::properties;
use super::{Member, RaftModel, RaftState, Timer, members, node_id};
use crate::intern::Interned;
use crate::state::Servers;

/// The actor model without Stateright's note of the message that was delivered last, which is part
/// of a duplicating network's state although nothing reads it: the same protocol, in as many
/// states as it has.
pub struct Forgetful(pub RaftModel);

impl Model for Forgetful {
    type State = RaftState;
    type Action = ActorModelAction<Message, Timer, ()>;

    fn init_states(&self) -> Vec<RaftState> {
        self.0.init_states()
    }

    fn actions(&self, state: &RaftState, actions: &mut Vec<Self::Action>) {
        self.0.actions(state, actions);
    }

    fn next_state(&self, last: &RaftState, action: Self::Action) -> Option<RaftState> {
        let mut state = self.0.next_state(last, action)?;
        if let Network::UnorderedDuplicating(_, delivered) = &mut state.network {
            *delivered = None;
        }
        Model::within_boundary(&self.0, &state).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let kept = |name| self.0.properties.iter().any(|property| property.name == name);
        let mut properties = properties(&self.0.cfg);
        properties.retain(|property| kept(property.name));
        properties
    }

    fn format_action(&self, action: &Self::Action) -> String {
        self.0.format_action(action)
    }
}

/// What the actor model reaches.
pub struct Reached {
    /// The servers without their ghosts, and without what is under way.
    pub protocol: HashSet<Servers>,
    /// The number of states.
    pub unique: usize,
    /// The properties that are false somewhere.
    pub refuted: BTreeSet<&'static str>,
}

/// Everything that the model reaches, by a search that compares whole states: it rests on none of
/// Stateright's hashes.
#[must_use]
pub fn protocol_states<M: Model<State = RaftState>>(model: &M) -> Reached {
    let mut claims = model.properties();
    claims.retain(|property| property.expectation == Expectation::Always);
    let mut waiting = model.init_states();
    let mut seen: HashSet<_> = waiting.iter().map(whole).collect();
    let (mut protocol, mut refuted) = (HashSet::new(), BTreeSet::new());
    while let Some(state) = waiting.pop() {
        protocol.insert(members(&state).map(|m| Interned::new(m.server.clone())).collect());
        let wrong = claims.iter().filter(|claim| !(claim.condition)(model, &state));
        refuted.extend(wrong.map(|claim| claim.name));
        for next in model.next_states(&state) {
            if model.within_boundary(&next) && seen.insert(whole(&next)) {
                waiting.push(next);
            }
        }
    }
    Reached { protocol, unique: seen.len(), refuted }
}

/// All that varies in a state, interned, so that a set of many fits into memory.
type Whole = (Vec<Interned<Member>>, Vec<Interned<Envelope>>, Option<Interned<Envelope>>);

fn whole(state: &RaftState) -> Whole {
    let Network::UnorderedDuplicating(set, last) = &state.network else {
        unreachable!("the model is built with this network");
    };
    let interned = |envelope: &stateright::actor::Envelope<Message>| {
        let (from, to) = (node_id(envelope.src), node_id(envelope.dst));
        Interned::new(Envelope { from, to, message: envelope.msg.clone() })
    };
    let mut net: Vec<_> = set.iter().map(interned).collect();
    net.sort_unstable();
    (members(state).cloned().map(Interned::new).collect(), net, last.as_ref().map(interned))
}
