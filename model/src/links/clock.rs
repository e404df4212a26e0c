//! What came before what: the order of the moments at which promises were renewed and timers reset.
//!
//! A promise ends an election timeout after it was renewed, and a timer fires no earlier than that
//! after it was reset; how much later is open. So promises end in the order in which they were renewed,
//! and a timer fires only after every promise has ended that was renewed before the timer was reset, or
//! at that moment. No other measure of time is needed.

use quorate_spec::{NodeId, Role, RoleName};

use crate::action::Action;
use crate::server::PRESENT;
use crate::state::{MAX_SERVERS, State};

type Moments = [u16; MAX_SERVERS];

/// A state with its clock.
#[derive(Clone, PartialEq, Eq, Hash)]
pub(super) struct Timed {
    pub(super) state: State,
    pub(super) clock: Clock,
}

/// Moments, as numbers that only their order matters of; 0 is long ago.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(super) struct Clock {
    /// The present moment.
    now: u16,
    /// When each promise that is in force was renewed.
    promised: Moments,
    /// When the timer of each server that does not lead was reset.
    reset: Moments,
}

impl Timed {
    /// A state at the beginning: what promises there are were made just now.
    pub(super) fn first(state: State) -> Timed {
        let mut clock = Clock { now: 1, ..Clock::default() };
        for server in &state.servers {
            if server.node.promised_until() > PRESENT {
                clock.promised[server.node.id().0 as usize] = 1;
            }
        }
        Timed { state, clock }
    }

    /// Whether the leader that a server follows reaches it: then it makes its promise and resets its
    /// timer all the time.
    pub(super) fn hears_leader(&self, id: NodeId) -> bool {
        let node = &self.state.server(id).node;
        node.leader().is_some_and(|leader| {
            let other = &self.state.server(leader).node;
            let leads = other.is_leader() && other.current_term() == node.current_term();
            leads && self.state.budget.is_open(leader, id)
        })
    }

    /// When the promise of this server was renewed, if it is in force and nobody renews it.
    fn running_out(&self, id: NodeId) -> Option<u16> {
        let promised = self.state.server(id).node.promised_until() > PRESENT;
        (promised && !self.hears_leader(id)).then(|| self.clock.promised[id.0 as usize])
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.state.servers.len() as u64).map(NodeId)
    }

    /// Whether this promise is the next to end, or one of them.
    pub(super) fn promise_may_end(&self, id: NodeId) -> bool {
        let oldest = self.ids().filter_map(|id| self.running_out(id)).min();
        oldest.is_some() && self.running_out(id) == oldest
    }

    /// Whether this server's timer may fire.
    pub(super) fn may_time_out(&self, id: NodeId) -> bool {
        let reset = self.clock.reset[id.0 as usize];
        let waits = |promised: u16| promised <= reset;
        !self.hears_leader(id)
            && self.running_out(id).is_none()
            && !self.ids().filter_map(|id| self.running_out(id)).any(waits)
    }

    /// The clock after an action that leads to this state.
    pub(super) fn after(&self, action: Action, state: State) -> Timed {
        let mut clock = self.clock;
        if !matches!(action, Action::Exchange(..)) {
            clock.now += 1;
        }
        let heard = self.ids().filter(|id| self.hears_leader(*id));
        for id in heard.map(|id| id.0 as usize) {
            (clock.promised[id], clock.reset[id]) = (clock.now, clock.now);
        }
        for id in self.ids() {
            let (was, is) = (&self.state.server(id).node, &state.server(id).node);
            let contact = match action {
                Action::Exchange(from, to, ..) => {
                    to == id
                        && self.state.server(from).node.is_leader()
                        && is.leader() == Some(from)
                }
                _ => false,
            };
            let at = id.0 as usize;
            if contact || is.promised_until() > was.promised_until() {
                clock.promised[at] = clock.now;
            }
            let name = |role: &Role| role.name();
            let campaigns = name(is.role()) != name(was.role()) && is.campaign().is_some();
            let fires = matches!(action, Action::Timeout(actor, _) if actor == id);
            let votes = is.voted_for().is_some() && is.voted_for() != was.voted_for();
            let steps_down = name(was.role()) == RoleName::Leader && !is.is_leader();
            if contact || campaigns || fires || votes || steps_down {
                clock.reset[at] = clock.now;
            }
        }
        Timed { state, clock }
    }

    /// The same order in the least numbers, without what makes no difference. Where nothing more happens
    /// at the present moment, the next one comes.
    pub(super) fn normal(mut self, is_busy: bool) -> Timed {
        let mut clock = Clock::default();
        let in_force =
            |timed: &Timed, id: NodeId| timed.state.server(id).node.promised_until() > PRESENT;
        let heard: Vec<NodeId> = self.ids().filter(|id| self.hears_leader(*id)).collect();
        for id in heard.into_iter().map(|id| id.0 as usize) {
            (self.clock.promised[id], self.clock.reset[id]) = (self.clock.now, self.clock.now);
        }
        let promises = self.ids().filter(|id| in_force(&self, *id));
        let mut moments: Vec<u16> = promises.map(|id| self.clock.promised[id.0 as usize]).collect();
        moments.push(self.clock.now);
        moments.sort_unstable();
        moments.dedup();
        // The latest of these moments that is not later; 0 if there is none.
        let rank = |at: u16| moments.partition_point(|moment| *moment <= at) as u16;
        for id in self.ids() {
            let at = id.0 as usize;
            if in_force(&self, id) {
                clock.promised[at] = rank(self.clock.promised[at]);
            }
            if !self.state.server(id).node.is_leader() {
                clock.reset[at] = rank(self.clock.reset[at]);
            }
        }
        clock.now = rank(self.clock.now) + u16::from(!is_busy);
        Timed { clock, ..self }
    }
}

impl Clock {
    /// The clock under other names: for each server, by its old name, the new one.
    pub(super) fn renamed(self, names: &[usize]) -> Clock {
        let mut renamed = self;
        for (old, new) in names.iter().enumerate() {
            renamed.promised[*new] = self.promised[old];
            renamed.reset[*new] = self.reset[old];
        }
        renamed
    }
}
