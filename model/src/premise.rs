//! The premise of NonDisruption: a leader that its voters have heard, reached by the protocol itself.

use quorate_spec::property::cluster::leader_undisturbed;
use quorate_spec::{Duration, Index, Instant, NodeId, Rules, Term};

use crate::intern::Interned;
use crate::model::SliceModel;
use crate::server::{Delivery, E, Operation, PRESENT, Server};
use crate::slice::Established;
use crate::state::State;

const LEADER: NodeId = NodeId(0);

impl SliceModel {
    /// Server 0 leads term 1, and everyone has its first entry and knows that to be committed: reached
    /// by the protocol itself, at one moment, before the explored graph begins.
    ///
    /// # Panics
    /// If that is not so at the end.
    pub(crate) fn elect(&self, mut state: State) -> State {
        let delivery = Delivery { sync: true, eager: false };
        let act = |state: &mut State, id: NodeId, operation| {
            let outcome = self.imagine(state.server(id), operation, delivery);
            state.take(id, outcome);
            outcome.sent.first().copied()
        };
        act(&mut state, LEADER, Operation::Timeout);
        // A pre-vote where they are on, a vote, the entry, and that it is committed.
        let rounds = (0..6).flat_map(|_| self.ids());
        for to in rounds.filter(|to| *to != LEADER) {
            let request = act(&mut state, LEADER, Operation::Transmit(to));
            let Some(request) = request else { continue };
            if let Some(reply) = act(&mut state, to, Operation::Receive(request)) {
                act(&mut state, LEADER, Operation::Receive(reply));
            }
        }
        let name = self.slice.name;
        let leads = leader_undisturbed(&state.server(LEADER).node, Term(1));
        assert!(leads, "{name} begins without a leader of term 1");
        let committed = |server: &Interned<Server>| server.node.commit_index() == Index(1);
        assert!(state.servers.iter().all(committed), "{name} begins before its leader is followed");
        state
    }

    /// Server 0 leads term 1, and the others have heard it: reached by the protocol itself, before
    /// the explored graph begins.
    ///
    /// # Panics
    /// If that is not so at its end: then the slice would show nothing of a leader that is heard.
    pub(crate) fn establish(&self, mut state: State, premise: Established) -> State {
        let delivery = Delivery { sync: true, eager: false };
        let act = |state: &mut State, id: NodeId, operation| {
            let outcome = self.imagine(state.server(id), operation, delivery);
            state.take(id, outcome);
            outcome.sent.first().copied()
        };
        act(&mut state, LEADER, Operation::Timeout);
        // Pre-votes where they are on, votes, and the first entries and heartbeats.
        for _ in 0..5 {
            for to in self.ids().filter(|to| *to != LEADER) {
                let request = act(&mut state, LEADER, Operation::Transmit(to));
                let Some(request) = request else { continue };
                if let Some(reply) = act(&mut state, to, Operation::Receive(request)) {
                    act(&mut state, LEADER, Operation::Receive(reply));
                }
            }
        }
        if let Some(members) = premise.members {
            act(&mut state, LEADER, Operation::ChangeMembers(members));
            for to in members.voters.iter().map(|id| NodeId(*id)).cycle().take(12) {
                let request = act(&mut state, LEADER, Operation::Transmit(to));
                let Some(request) = request.filter(|_| to != LEADER) else { continue };
                if let Some(reply) = act(&mut state, to, Operation::Receive(request)) {
                    act(&mut state, LEADER, Operation::Receive(reply));
                }
            }
        }
        self.assert_premise(&state, premise);
        state
    }

    fn assert_premise(&self, state: &State, premise: Established) {
        let name = self.slice.name;
        let leader = &state.server(LEADER).node;
        assert!(leader_undisturbed(leader, Term(1)), "{name} begins without a leader of term 1");
        assert!(!premise.flaky.contains(&LEADER.0), "in {name} the leader itself times out");
        let rules = &self.silent.protocol.rules;
        // A mutant may make no promises.
        let contact = rules.promise_on_contact(Instant(0), PRESENT, Duration(E));
        let promises = self.slice.election.stickiness && contact > PRESENT;
        let (at, configuration) = leader.log().latest_configuration();
        if let Some(members) = premise.members {
            let changed = configuration.destination() == members.target();
            let done = changed && !configuration.is_joint() && at <= leader.commit_index();
            assert!(done, "in {name} the members are {configuration:?} at the beginning");
        }
        for voter in configuration.voters.iter().copied().filter(|voter| *voter != LEADER) {
            let node = &state.server(voter).node;
            let follows = node.leader() == Some(LEADER) && node.current_term() == Term(1);
            assert!(follows, "in {name} n{voter} does not follow the leader at the beginning");
            let promised = node.promised_until() > PRESENT;
            assert!(
                promised || !promises,
                "in {name} n{voter} has not promised the leader its vote"
            );
        }
    }
}
