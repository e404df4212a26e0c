//! The direct Stateright model: a slice of the protocol as a [`stateright::Model`].

use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use quorate_spec::property::history::{Event, History};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Configuration, Durable, Envelope, Limit, NodeId, Protocol, Role, Rules, Token};
use stateright::{Model, Property};

use crate::action::{Action, Fate, Fates, What};
use crate::canonical::Canonical;
use crate::clocks::Moved;
use crate::coverage::Coverage;
use crate::forget::Oblivion;
use crate::guards::Guards;
use crate::intern::Interned;
use crate::memo::{Memory, silent};
use crate::progress::Benign;
use crate::server::{Delivery, Machine, Operation, Outcome, Server};
use crate::slice::{Cutting, Network, Slice};
use crate::state::{Budget, Net, Servers, State, link};
use crate::timeless::Timeless;
use crate::verdicts::Verdicts;

/// A slice, with the rules that it checks.
pub struct SliceModel {
    /// Its bounds and features.
    pub slice: Slice,
    /// The protocol, driven one server at a time.
    pub machine: Machine<Guards>,
    /// The same, for what is no step of the explored graph.
    pub(crate) silent: Machine<Guards>,
    pub(crate) benign: Benign,
    canonical: Option<Canonical>,
    oblivion: Oblivion,
    timeless: Option<Timeless>,
    pub(crate) memory: Option<Memory>,
    verdicts: Verdicts,
    /// The events of the last step, where someone asks for them.
    recorded: Option<Mutex<Vec<Event>>>,
    visited: AtomicUsize,
    stopped: AtomicBool,
}

impl SliceModel {
    /// The model of a slice under these guards.
    #[must_use]
    pub fn new(slice: Slice, guards: Guards) -> SliceModel {
        let coverage = guards.coverage();
        let machine = Machine {
            protocol: Protocol { rules: guards, params: slice.params() },
            limit: Limit { entries: slice.entries },
            appends: slice.appends,
            clocks: slice.clocks,
            coverage,
        };
        SliceModel {
            benign: Benign::new(slice.servers),
            canonical: slice.symmetric.then(|| Canonical::new(&slice)),
            oblivion: Oblivion::default(),
            timeless: Timeless::of_slice(&slice),
            verdicts: Verdicts::default(),
            recorded: None,
            visited: AtomicUsize::new(0),
            stopped: AtomicBool::new(false),
            memory: Some(Memory::default()),
            slice,
            silent: silent(&machine),
            machine,
        }
    }

    /// The same, computing every step anew: slower, and it has to find the same states.
    #[must_use]
    pub fn without_memo(self) -> SliceModel {
        SliceModel { memory: None, ..self }
    }

    /// The same, for one thread that asks for the events of each step:
    /// [`SliceModel::next_with_events`].
    #[must_use]
    pub fn recording(self) -> SliceModel {
        SliceModel { recorded: Some(Mutex::default()), ..self }
    }

    /// The state after the action, if it changes anything, with what happened in it.
    ///
    /// # Panics
    /// If another thread panicked while it asked.
    #[must_use]
    pub fn next_with_events(&self, last: &State, action: Action) -> Option<(State, Vec<Event>)> {
        let taken = || {
            let recorded = self.recorded.as_ref()?.lock();
            Some(std::mem::take(&mut *recorded.expect("no thread panics here")))
        };
        taken();
        let next = self.next_state(last, action)?;
        Some((next, taken().unwrap_or_default()))
    }

    /// How many states were expanded.
    #[must_use]
    pub fn visited(&self) -> usize {
        self.visited.load(Ordering::Relaxed)
    }

    /// Ends a search soon: from here on no state leads anywhere, and the run is INCOMPLETE.
    pub fn stop(&self) {
        self.stopped.store(true, Ordering::Relaxed);
    }

    /// Takes [`SliceModel::stop`] back, and says whether it was in force.
    pub(crate) fn resume(&self) -> bool {
        self.stopped.swap(false, Ordering::Relaxed)
    }

    /// Whether the search was ended before it was complete.
    #[must_use]
    pub fn is_stopped(&self) -> bool {
        self.stopped.load(Ordering::Relaxed)
    }

    /// What was seen happening.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.machine.coverage
    }

    fn delivery(&self, state: &State, server: Interned<Server>) -> Delivery {
        let sync = self.slice.pending == 0
            || self.slice.instant_writes
                && state.budget.crashes == 0
                && server.disk.pending.is_empty();
        Delivery { sync, eager: self.slice.network == Network::Async }
    }

    /// The operation on this server in this state.
    pub(crate) fn act(&self, state: &State, id: NodeId, operation: Operation) -> Interned<Outcome> {
        let server = state.server(id);
        self.perform(server, operation, self.delivery(state, server))
    }

    /// The request that `from` would send to `to`, with the sender afterwards; none where nothing
    /// is due or its term is not durable yet.
    pub(crate) fn request(
        &self,
        state: &State,
        from: NodeId,
        to: NodeId,
        what: What,
    ) -> Option<(Interned<Outcome>, Interned<Envelope>)> {
        let server = state.server(from);
        if what == What::Heartbeat && !server.node.is_leader() {
            return None;
        }
        let silent = match server.node.role() {
            Role::Follower { .. } => server.node.forwards().is_empty(),
            Role::Leader(_) => !self.slice.appends,
            Role::PreCandidate(_) | Role::Candidate(_) => false,
        };
        if silent {
            return None;
        }
        let delivery = Delivery { sync: false, eager: false };
        let operation = match what {
            What::Entries => Operation::Transmit(to),
            What::Heartbeat => Operation::Beat(to),
        };
        let outcome = self.perform(server, operation, delivery);
        outcome.sent.first().map(|envelope| (outcome, *envelope))
    }

    /// Puts the outcome of an operation of `id` into the state; what left it meets its fate.
    pub(crate) fn put(
        &self,
        state: &mut State,
        id: NodeId,
        outcome: Interned<Outcome>,
        fates: Fates,
    ) {
        state.take(id, outcome);
        if let Some(recorded) = &self.recorded {
            let mut recorded = recorded.lock().expect("no thread panics here");
            recorded.extend(outcome.events.iter().cloned());
        }
        if !outcome.moved.is_nothing() {
            self.move_times(state, id, outcome.moved);
        }
        for (position, envelope) in outcome.sent.iter().enumerate() {
            match (self.slice.network, fates.of(position)) {
                (Network::Async, _) | (Network::Pull { .. }, Fate::Parked) => state.add(*envelope),
                (Network::Pull { .. }, Fate::Arrives) => self.arrive(state, *envelope),
                (Network::Pull { .. }, Fate::Lost) => {}
            }
        }
    }

    /// A reply arrives in the same action in which it was sent. It makes no one send another.
    fn arrive(&self, state: &mut State, envelope: Interned<Envelope>) {
        if state.budget.is_open(envelope.from, envelope.to) {
            let outcome = self.act(state, envelope.to, Operation::Receive(envelope));
            self.put(state, envelope.to, outcome, Fates::ON_THEIR_WAY);
        }
    }

    /// Moves the times that belong to this server's clock, wherever they are.
    fn move_times(&self, state: &mut State, id: NodeId, by: Moved) {
        let moved = |envelope: &Interned<Envelope>| {
            let request = envelope.message.body.kind().is_request();
            let owner = if request { envelope.from } else { envelope.to };
            if owner != id {
                return *envelope;
            }
            let mut moved = (**envelope).clone();
            by.apply(self.machine.timed(), &mut moved.message);
            Interned::new(moved)
        };
        let mut net: Net = state.net.iter().map(moved).collect();
        net.sort_unstable();
        net.dedup();
        state.net = net;
        let delivery = Delivery { sync: false, eager: false };
        for server in &mut state.servers {
            if server.node.id() != id && server.gate.held().next().is_some() {
                *server = self.perform(*server, Operation::PeerClock(id, by), delivery).server;
            }
        }
    }

    /// The state as it is stored: without what nobody can ask about, under its canonical names.
    #[must_use]
    pub fn stored(&self, state: State) -> State {
        let rules = &self.silent.protocol.rules;
        // A disk that is lost brings back what was settled, under a mutant.
        let forgets = self.slice.forgets && state.budget.wipes == 0;
        let state = if forgets { self.oblivion.of(rules, state) } else { state };
        let state = match &self.timeless {
            // What answers are levelled to is known to be answered.
            Some(timeless) if self.slice.forgets => {
                self.without_the_dead(timeless.of(rules, state))
            }
            Some(_) | None => state,
        };
        match &self.canonical {
            Some(canonical) => canonical.of(state),
            None => state,
        }
    }

    /// A disk is lost. What starts in the place of its server has another identity: it is one of
    /// the slice's joiners, and takes nothing that is said to the lost one, which is as good as cut
    /// off. Where the rules have it take that, it answers with nothing on its disk.
    fn wipe(&self, state: &mut State, id: NodeId) {
        state.budget.wipes -= 1;
        let another = NodeId(u64::MAX);
        if self.machine.protocol.rules.is_addressed(id, another).is_err() {
            for other in self.ids().filter(|other| *other != id) {
                state.budget.cut |= link(id, other) | link(other, id);
            }
            return;
        }
        let empty = Durable::genesis(Configuration::default());
        state.servers[id.0 as usize] = Interned::new(self.silent.first(id, empty));
    }

    pub(crate) fn cuts(&self) -> u64 {
        let links = self.slice.cuts.iter().map(|(from, to)| link(NodeId(*from), NodeId(*to)));
        links.fold(0, |cut, link| cut | link)
    }

    /// The name of the next read: no two have the same.
    pub(crate) fn next_token(&self, state: &State) -> Token {
        Token(u64::from(self.slice.reads - state.budget.reads) + 1)
    }

    pub(crate) fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.slice.servers as u64).map(NodeId)
    }

    /// The state after the action, not yet reduced; none where it changes nothing.
    pub(crate) fn after(&self, last: &State, action: Action) -> Option<State> {
        let mut state = last.clone();
        let fates = action.fates();
        match action {
            Action::Timeout(id, _) => self.own(&mut state, id, Operation::Timeout, fates),
            Action::Tick(id, _) => self.own(&mut state, id, Operation::Tick, fates),
            Action::Lapse(id) => self.own(&mut state, id, self.lapse(), fates),
            Action::Advance(id) => {
                state.clocks = state.clocks.advance(id, self.slice.servers)?;
                self.own(&mut state, id, Operation::Advance, fates);
            }
            Action::AdvanceAll => {
                self.ids().for_each(|id| self.own(&mut state, id, Operation::Advance, fates));
            }
            Action::Campaign(id, _) => self.own(&mut state, id, Operation::Campaign, fates),
            Action::Propose(id, _) => {
                state.budget.commands -= 1;
                self.own(&mut state, id, Operation::Propose, fates);
            }
            Action::ChangeMembers(id, to, _) => {
                let operation = Operation::ChangeMembers(to);
                if self.act(&state, id, operation).server == state.server(id) {
                    return None;
                }
                state.budget.changes -= 1;
                self.own(&mut state, id, operation, fates);
            }
            Action::Read(id, _) => {
                let token = self.next_token(&state);
                state.budget.reads -= 1;
                self.own(&mut state, id, Operation::Read(token), fates);
            }
            Action::Transfer(id, to, _) => {
                state.budget.transfers -= 1;
                self.own(&mut state, id, Operation::Transfer(to), fates);
            }
            Action::Wipe(id) => self.wipe(&mut state, id),
            Action::Report(id, writes, _) => {
                self.own(&mut state, id, Operation::Report(writes), fates);
            }
            Action::Crash(id, kept) => {
                self.own(&mut state, id, Operation::Crash(kept), fates);
                state.budget.crashes -= 1;
            }
            Action::TakeSnapshot(id, index) => {
                self.own(&mut state, id, Operation::TakeSnapshot(index), fates);
                // What the rules refuse takes nothing from the budget.
                state.budget.snapshots -= u8::from(state.servers != last.servers);
            }
            Action::StopMoving(id, peer) => {
                self.own(&mut state, id, Operation::StopMoving(peer), fates);
            }
            Action::Deliver(envelope, _) => {
                if matches!(self.slice.network, Network::Pull { .. }) {
                    state.net.retain(|other| *other != envelope);
                }
                self.own(&mut state, envelope.to, Operation::Receive(envelope), fates);
            }
            Action::Exchange(from, to, what, _) => {
                let (sender, request) = self.request(&state, from, to, what)?;
                state.servers[from.0 as usize] = sender.server;
                state.broken = state.broken.union(sender.broken);
                self.own(&mut state, to, Operation::Receive(request), fates);
            }
            Action::Park(from, to, what) => {
                let (sender, request) = self.request(&state, from, to, what)?;
                state.servers[from.0 as usize] = sender.server;
                state.broken = state.broken.union(sender.broken);
                state.add(request);
            }
            Action::Heal => state.budget.cut = 0,
            Action::Break => state.budget.cut = self.cuts(),
        }
        (state != *last).then_some(state)
    }

    fn own(&self, state: &mut State, id: NodeId, operation: Operation, fates: Fates) {
        let outcome = self.act(state, id, operation);
        self.put(state, id, outcome, fates);
    }

    /// The claims that are false in this state, of those that the slice checks.
    #[must_use]
    pub fn false_claims(&self, state: &State) -> ClaimSet {
        state.broken.union(self.verdicts.of(self, state)).intersection(self.slice.claims)
    }

    /// Whether the claim holds in this state.
    #[must_use]
    pub fn holds(&self, state: &State, claim: Claim) -> bool {
        let in_steps = !state.broken.contains(claim);
        in_steps
            && !(Verdicts::DECIDES.contains(claim) && self.verdicts.of(self, state).contains(claim))
    }

    /// The initial states, before servers are renamed: where traces begin. They differ in the
    /// clocks of a timed slice.
    #[must_use]
    pub fn plain_initials(&self) -> Vec<State> {
        let initial = self.plain_initial();
        let clocks = self.slice.clocks.map(|clocks| clocks.initial(self.slice.servers));
        let with = |clocks| State { clocks, ..initial.clone() };
        clocks.map_or_else(|| vec![initial.clone()], |all| all.into_iter().map(with).collect())
    }

    /// The first initial state.
    #[must_use]
    pub fn plain_initial(&self) -> State {
        let first = |id| Interned::new(self.silent.first(id, self.slice.genesis(id)));
        let servers: Servers = self.ids().map(first).collect();
        let Slice { crashes, commands, snapshots, reads, transfers, .. } = self.slice;
        let budget = Budget {
            crashes,
            commands,
            snapshots,
            reads,
            transfers,
            changes: self.slice.changes.len() as u8,
            wipes: u8::from(self.slice.wiped.is_some()),
            cut: 0,
        };
        let clocks = self.slice.clocks.and_then(|clocks| {
            let initial = clocks.initial(self.slice.servers);
            initial.first().copied()
        });
        let mut state = State {
            servers,
            net: Net::new(),
            history: Interned::new(History::default()),
            budget,
            clocks: clocks.unwrap_or_default(),
            broken: ClaimSet::NONE,
        };
        if self.slice.led {
            state = self.elect(state);
        }
        if let Some(premise) = self.slice.established {
            state = self.establish(state, premise);
        }
        if self.slice.cutting != Cutting::Breaks {
            state.budget.cut = self.cuts();
        }
        self.without_the_dead(state)
    }

    /// The states that `last` leads to, with the actions, before servers are renamed: what a
    /// trace shows.
    #[must_use]
    pub fn plain_steps(&self, last: &State) -> Vec<(Action, State)> {
        let mut actions = Vec::new();
        self.actions(last, &mut actions);
        let step =
            |action| self.after(last, action).map(|state| (action, self.without_the_dead(state)));
        actions.into_iter().filter_map(step).collect()
    }
}

impl Model for SliceModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut stored: Vec<State> = Vec::new();
        for state in self.plain_initials().into_iter().map(|plain| self.stored(plain)) {
            if !stored.contains(&state) {
                stored.push(state);
            }
        }
        stored
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        self.visited.fetch_add(1, Ordering::Relaxed);
        if self.is_stopped() {
            return;
        }
        for id in self.ids() {
            self.timed_actions(state, id, actions);
            self.disk_actions(state, id, actions);
            self.snapshot_actions(state, id, actions);
        }
        if self.slice.clocks.is_some_and(|clocks| !clocks.are_own()) {
            actions.push(Action::AdvanceAll);
        }
        self.message_actions(state, actions);
        match self.slice.cutting {
            Cutting::Heals if state.budget.cut != 0 => actions.push(Action::Heal),
            Cutting::Breaks if state.budget.cut == 0 => actions.push(Action::Break),
            Cutting::Always | Cutting::Heals | Cutting::Breaks => {}
        }
    }

    fn next_state(&self, last: &State, action: Action) -> Option<State> {
        self.coverage().saw_action(action.kind());
        let state = self.after(last, action)?;
        let state = self.stored(self.without_the_dead(state));
        (state != *last).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        crate::claims::properties(self.slice.claims)
    }

    fn format_action(&self, action: &Action) -> String {
        action.to_string()
    }
}

impl crate::claims::HoldsModel for SliceModel {
    fn slice_model(&self) -> &SliceModel {
        self
    }
}
