//! The premise of NonDisruption: a leader that its voters have heard, reached by the protocol itself.

use quorate_spec::property::cluster::leader_undisturbed;
use quorate_spec::{NodeId, Term};

use crate::action::Fates;
use crate::model::SliceModel;
use crate::server::{Delivery, Operation};
use crate::slice::Established;
use crate::state::State;

impl SliceModel {
    /// Server 0 leads term 1, and the others have heard it: reached by the protocol itself.
    pub(crate) fn establish(&self, mut state: State, premise: Established) -> State {
        let leader = NodeId(0);
        let delivery = Delivery { sync: true, eager: false };
        let act = |state: &mut State, id: NodeId, operation| {
            let outcome = self.perform(state.server(id), operation, delivery);
            self.put(state, id, outcome, Fates::ON_THEIR_WAY);
            outcome
        };
        let sent = |state: &mut State, to| {
            let outcome = act(state, leader, Operation::Transmit(to));
            let request = outcome.sent.first().copied();
            state.net.clear();
            request
        };
        act(&mut state, leader, Operation::Timeout);
        // Pre-votes where they are on, votes, and the first entries and heartbeats.
        for _ in 0..5 {
            for to in self.ids().filter(|to| *to != leader) {
                let Some(request) = sent(&mut state, to) else { continue };
                let reply = act(&mut state, to, Operation::Receive(request)).sent.first().copied();
                state.net.clear();
                if let Some(reply) = reply {
                    act(&mut state, leader, Operation::Receive(reply));
                    state.net.clear();
                }
            }
        }
        debug_assert!(leader_undisturbed(&state.server(leader).node, Term(1)));
        debug_assert!(premise.flaky.iter().all(|id| *id != leader.0), "the leader is heard");
        state.net.clear();
        state
    }
}
