//! In timed slices states forget times that can no longer make a difference to a claim.
//!
//! - A server that has the last term of the slice on its disk does not campaign any more: its election
//!   timer does not matter. Nor does its promise once it has voted in that term.
//! - Of a leader's answers only the latest ones of a quorum matter: a lease rests on no others.
//! - What times are about is a lease, and who comes after its leader. Once nobody leads a term below
//!   the last one who holds a lease or may get one, and nobody may come to, no time matters.
//! - Nobody comes after the leader of the last term: whether its lease has ended does not matter, and
//!   counts as not.
//!
//! The first two are exact. By the third promises count as over, so that servers may do at once
//! what else they could do some ticks later. Ticks are always possible, so nothing is reached
//! that could not be, and a trace tells the ticks (`search::plain_trace`).

use dashmap::DashMap;
use quorate_spec::{Body, Envelope, Instant, Kind, Node, Params, Role, Rules, Term};

use crate::clocks::{Rooms, renews};
use crate::intern::Interned;
use crate::server::{PRESENT, Server};
use crate::slice::Slice;
use crate::state::State;

type Fold = foldhash::fast::FixedState;

/// What was forgotten of servers, once for each.
pub(crate) struct Timeless {
    max_term: Term,
    params: Params,
    /// Whether the members stay the same.
    settled: bool,
    /// The clocks of a state in which no time matters.
    clocks: Rooms,
    servers: DashMap<(Interned<Server>, Forgets), Interned<Server>, Fold>,
}

/// Which times a server forgets.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
struct Forgets {
    timer: bool,
    promise: bool,
}

impl Timeless {
    /// What a timed slice can forget.
    pub(crate) fn of_slice(slice: &Slice) -> Option<Timeless> {
        Some(Timeless {
            max_term: Term(slice.max_term),
            params: slice.params(),
            settled: slice.changes.is_empty() && slice.established.is_none(),
            clocks: slice.clocks?.initial(slice.servers).first().copied()?,
            servers: DashMap::with_hasher(Fold::with_seed(8)),
        })
    }

    /// The state without the times that make no difference.
    pub(crate) fn of<R: Rules>(&self, rules: &R, mut state: State) -> State {
        let over = !self.time_matters(rules, &state);
        for at in 0..state.servers.len() {
            let server = state.servers[at];
            let on_disk = server.disk.reported.hard_state;
            let last = on_disk.current_term >= self.max_term;
            let promise = over || (last && on_disk.voted_for.is_some());
            state.servers[at] = self.server(server, Forgets { timer: last || over, promise });
        }
        if over {
            state.clocks = self.clocks;
        }
        let aged = |envelope: &Interned<Envelope>| {
            let sent = envelope.message.stamp.sent.filter(|sent| *sent != PRESENT);
            sent.is_some() && envelope.message.term >= self.max_term
        };
        if state.net.iter().any(aged) {
            let ageless = |envelope: &Interned<Envelope>| {
                let mut copy = (**envelope).clone();
                copy.message.stamp.sent = Some(PRESENT);
                if aged(envelope) { Interned::new(copy) } else { *envelope }
            };
            state.net = state.net.iter().map(ageless).collect();
            state.net.sort_unstable();
            state.net.dedup();
        }
        state
    }

    /// The server without these times, and with no answer that is older than a quorum's.
    fn server(&self, server: Interned<Server>, forgets: Forgets) -> Interned<Server> {
        if let Some(known) = self.servers.get(&(server, forgets)) {
            return *known;
        }
        let mut copy = (*server).clone();
        if forgets.timer {
            copy.node.forget_election_timer(PRESENT);
        }
        if forgets.promise {
            copy.node.forget_promise(PRESENT);
        }
        if let Some(start) = self.settled.then(|| lease_start(&copy.node)).flatten() {
            let last = copy.node.current_term() >= self.max_term;
            copy.node.level_answers(if last { PRESENT } else { start });
        }
        let copy = Interned::new(copy);
        self.servers.insert((server, forgets), copy);
        copy
    }

    /// Whether somebody who leads a term that is not the last one holds a lease or may get one, or
    /// somebody may come to lead such a term.
    fn time_matters<R: Rules>(&self, rules: &R, state: &State) -> bool {
        let leads = state.servers.iter().any(|server| {
            let node = &server.node;
            let below = node.is_leader() && node.current_term() < self.max_term;
            below && self.may_have_lease(rules, node, state)
        });
        let passed = |server: &Interned<Server>| server.disk.reported.hard_state.current_term;
        let passed = state.servers.iter().map(passed).min().unwrap_or_default();
        // A term has one leader, who does not lead it again.
        let open =
            |term: u64| Term(term) >= passed && !state.history.leaders.contains_key(&Term(term));
        leads || (1..self.max_term.0).any(open)
    }

    /// Whether the leader has an answer on which a lease can rest, or may still get one: it is under
    /// way, or the request is, or a server has not passed the leader's term.
    fn may_have_lease<R: Rules>(&self, rules: &R, leader: &Node, state: &State) -> bool {
        let Role::Leader(leadership) = leader.role() else { return false };
        let fresh = |sent: Option<Instant>| sent.is_some_and(|sent| renews(&self.params, sent));
        let term = leader.current_term();
        let comes = |envelope: &Interned<Envelope>| {
            let answers = matches!(envelope.message.body, Body::AppendEntriesReply(_));
            answers && envelope.to == leader.id() && envelope.message.term == term
        };
        let heard = leadership.peers.values().any(|peer| fresh(peer.heard.sent));
        heard
            || state.net.iter().any(comes)
            || rules.confirms(Kind::AppendStale)
            || state.servers.iter().any(|other| {
                let passed = other.disk.reported.hard_state.current_term;
                other.node.id() != leader.id() && passed <= term
            })
    }
}

/// When the latest request was made that a quorum has answered, with the leader itself; none
/// where no quorum has, or where the members are changing.
fn lease_start(node: &Node) -> Option<Instant> {
    let Role::Leader(leadership) = node.role() else { return None };
    let configuration = node.log().configuration();
    if configuration.is_joint() || !configuration.is_voter(node.id()) {
        return None;
    }
    let voters = leadership.peers.iter().filter(|(id, _)| configuration.is_voter(**id));
    let mut heard: Vec<Option<Instant>> = voters.map(|(_, peer)| peer.heard.sent).collect();
    heard.sort_unstable();
    // With its own, so many answers are a majority.
    let others = configuration.voters.len() / 2;
    heard.iter().rev().nth(others.checked_sub(1)?).copied().flatten()
}
