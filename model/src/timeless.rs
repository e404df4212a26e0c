//! In timed slices states forget times that can no longer make a difference to a claim. This is not
//! exact as the other reductions are: where it is done, promises count as over, so that servers may
//! do at once what else they could do some ticks later. Ticks are always possible, so nothing is
//! reached that could not be, and a trace tells the ticks (`search`).
//!
//! - A server that has the last term of the slice on its disk does not campaign any more: its election
//!   timer does not matter. Nor does its promise once it has voted in that term.
//! - What times are about is the lease of a leader, and who comes after it. Once nobody leads a term
//!   below the last one, or may come to, nobody comes after any leader: no time matters.

use dashmap::DashMap;
use quorate_spec::{Rules, Term};

use crate::clocks::Rooms;
use crate::intern::Interned;
use crate::server::{PRESENT, Server};
use crate::slice::Slice;
use crate::state::State;

type Fold = foldhash::fast::FixedState;

/// What was forgotten of servers, once for each.
pub(crate) struct Timeless {
    max_term: Term,
    /// The clocks of a state in which no time matters.
    clocks: Rooms,
    servers: DashMap<(Interned<Server>, bool), Interned<Server>, Fold>,
}

impl Timeless {
    /// What a timed slice can forget.
    pub(crate) fn of_slice(slice: &Slice) -> Option<Timeless> {
        let clocks = slice.clocks?.initial(slice.servers).first().copied()?;
        let servers = DashMap::with_hasher(Fold::with_seed(8));
        Some(Timeless { max_term: Term(slice.max_term), clocks, servers })
    }

    /// The state without the times that make no difference.
    pub(crate) fn of<R: Rules>(&self, rules: &R, mut state: State) -> State {
        let over = !self.time_matters(rules, &state);
        for at in 0..state.servers.len() {
            let server = state.servers[at];
            let on_disk = server.disk.reported.hard_state;
            if on_disk.current_term >= self.max_term || over {
                let promise = over || on_disk.voted_for.is_some();
                state.servers[at] = self.server(server, promise);
            }
        }
        if over {
            state.clocks = self.clocks;
        }
        state
    }

    /// The server without its election timer, and without its promise if that does not matter.
    fn server(&self, server: Interned<Server>, promise: bool) -> Interned<Server> {
        if let Some(known) = self.servers.get(&(server, promise)) {
            return *known;
        }
        let mut copy = (*server).clone();
        copy.node.forget_election_timer(PRESENT);
        if promise {
            copy.node.forget_promise(PRESENT);
        }
        let copy = Interned::new(copy);
        self.servers.insert((server, promise), copy);
        copy
    }

    /// Whether somebody leads a term that is not the last one, or may come to.
    fn time_matters<R: Rules>(&self, _rules: &R, state: &State) -> bool {
        let leads = state
            .servers
            .iter()
            .any(|server| server.node.is_leader() && server.node.current_term() < self.max_term);
        let passed = |server: &Interned<Server>| server.disk.reported.hard_state.current_term;
        let passed = state.servers.iter().map(passed).min().unwrap_or_default();
        // A term has one leader, who does not lead it again.
        let open =
            |term: u64| Term(term) >= passed && !state.history.leaders.contains_key(&Term(term));
        leads || (1..self.max_term.0).any(open)
    }
}
