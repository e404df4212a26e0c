//! What no server can ask about any more, states do not keep: two that differ in nothing else
//! behave alike for ever.
//!
//! Like the canonical names this is done to states as they are stored, and not to those that a
//! trace shows. Where a rule decides, the rule is asked. `tests/reductions.rs` compares verdicts
//! with and without.

use dashmap::DashMap;
use quorate_spec::durable::HardState;
use quorate_spec::property::history::History;
use quorate_spec::{Envelope, Kind, Message, NodeId, Role, Rules, Term};

use crate::intern::Interned;
use crate::server::Server;
use crate::state::State;

type Fold = foldhash::fast::FixedState;

/// What was forgotten of servers and records, once for each.
pub(crate) struct Oblivion {
    servers: DashMap<(Interned<Server>, bool), Interned<Server>, Fold>,
    histories: DashMap<(Interned<History>, Term), Interned<History>, Fold>,
}

impl Default for Oblivion {
    fn default() -> Self {
        Oblivion {
            servers: DashMap::with_hasher(Fold::with_seed(6)),
            histories: DashMap::with_hasher(Fold::with_seed(7)),
        }
    }
}

impl Oblivion {
    /// The state without what nobody can ask about.
    pub(crate) fn of<R: Rules>(&self, rules: &R, mut state: State) -> State {
        for at in 0..state.servers.len() {
            renumber_rounds(&mut state, at);
        }
        if rules.term_after_install(Term(2), Term(1)) < Term(2) {
            // Where terms fall, none is over.
            return state;
        }
        for at in 0..state.servers.len() {
            let server = state.servers[at];
            let spent = vote_is_spent(rules, &server, &state);
            let late =
                server.last_vote.is_some_and(|(term, _)| term < on_disk(&server).current_term);
            if spent || late {
                state.servers[at] = self.server(server, spent);
            }
        }
        let passed = state.servers.iter().map(|server| on_disk(server).current_term).min();
        let passed = passed.unwrap_or_default();
        let old = |first: Option<&Term>| first.is_some_and(|term| *term < passed);
        let History { leaders, created, committed, .. } = &*state.history;
        let settled = committed.values().any(|(of, by)| of < by && *by < passed);
        if old(leaders.keys().next()) || old(created.keys().next()) || settled {
            state.history = self.history(state.history, passed);
        }
        state
    }

    /// The server without its latest vote, if that was of a past term, and without the name in a
    /// vote that is spent.
    fn server(&self, server: Interned<Server>, spent: bool) -> Interned<Server> {
        if let Some(known) = self.servers.get(&(server, spent)) {
            return *known;
        }
        let mut copy = (*server).clone();
        let current = on_disk(&copy).current_term;
        copy.last_vote = copy.last_vote.filter(|(term, _)| *term >= current);
        if spent {
            let me = copy.node.id();
            copy.node.forget_for_whom();
            copy.disk.reported.hard_state.voted_for = Some(me);
            copy.last_vote = copy.last_vote.map(|(term, _)| (term, me));
        }
        let copy = Interned::new(copy);
        self.servers.insert((server, spent), copy);
        copy
    }

    /// The record without who led, and what was created, in terms that every disk has passed: no
    /// one is elected in them any more, and creates anything. What was committed in them is owed
    /// by every election to come.
    fn history(&self, history: Interned<History>, passed: Term) -> Interned<History> {
        if let Some(known) = self.histories.get(&(history, passed)) {
            return *known;
        }
        let mut copy = (*history).clone();
        copy.leaders.retain(|term, _| *term >= passed);
        copy.created.retain(|term, _| *term >= passed);
        for (of, by) in copy.committed.values_mut().filter(|(_, by)| *by < passed) {
            *by = *of;
        }
        let copy = Interned::new(copy);
        self.histories.insert((history, passed), copy);
        copy
    }
}

/// Rounds of reads before those that any read waits for are not told apart, in a leader and in what
/// it has said and is told in its term. An answer to a request of an earlier term keeps its number:
/// it belongs to another count.
fn renumber_rounds(state: &mut State, at: usize) {
    if state.servers[at].node.leadership().is_none_or(|leadership| leadership.round < 2) {
        return;
    }
    let mut leader = (*state.servers[at]).clone();
    let by = leader.node.renumber_rounds();
    if by == 0 {
        return;
    }
    let (id, term) = (leader.node.id(), leader.node.current_term());
    let renumber = |from: NodeId, to: NodeId, message: &mut Message| {
        let kind = message.body.kind();
        let whose = if kind.is_request() { from } else { to };
        if whose == id && message.term == term && kind != Kind::AppendStale {
            message.stamp.round = message.stamp.round.saturating_sub(by);
        }
    };
    for (to, message) in leader.gate.items_mut() {
        renumber(id, *to, message);
    }
    state.servers[at] = Interned::new(leader);
    for server in state.servers.iter_mut().filter(|server| server.gate.held().next().is_some()) {
        let mut other = (**server).clone();
        let from = other.node.id();
        other.gate.items_mut().for_each(|(to, message)| renumber(from, *to, message));
        *server = Interned::new(other);
    }
    for envelope in &mut state.net {
        let mut other = (**envelope).clone();
        renumber(other.from, other.to, &mut other.message);
        *envelope = Interned::new(other);
    }
    state.net.sort_unstable();
    state.net.dedup();
}

fn on_disk(server: &Server) -> HardState {
    server.disk.reported.hard_state
}

/// Whether it no longer matters for whom the server voted in its term, only that it did: the one
/// it voted for has counted the vote, or is no candidate of that term and will not be again; and
/// none of its requests is under way, which a mutant might grant a second time.
fn vote_is_spent<R: Rules>(rules: &R, server: &Server, state: &State) -> bool {
    let (node, vote) = (&server.node, server.node.voted_for());
    let Some(candidate) = vote.filter(|candidate| *candidate != node.id()) else { return false };
    let (term, id) = (node.current_term(), node.id());
    let own = HardState { current_term: term, voted_for: Some(id) };
    let settled = server.disk.pending.is_empty() && server.gate.held().next().is_none();
    if !settled || node.hard_state() != on_disk(server) || rules.leads_after_restart(id, own) {
        return false;
    }
    let asks = |envelope: &Interned<Envelope>| {
        let request = envelope.message.body.kind() == Kind::RequestVote;
        request && (envelope.from, envelope.to) == (candidate, id)
    };
    if state.net.iter().any(asks) {
        return false;
    }
    let candidate = state.server(candidate);
    match candidate.node.role() {
        Role::Candidate(campaign) if candidate.node.current_term() == term => {
            campaign.granted.contains(&id)
        }
        Role::Candidate(_) | Role::Follower { .. } | Role::PreCandidate(_) | Role::Leader(_) => {
            on_disk(&candidate).current_term >= term
        }
    }
}
