//! The direct Stateright model: a slice of the protocol as a [`stateright::Model`].

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use quorate_spec::property::history::History;
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Configuration, Durable, Envelope, Limit, NodeId, Protocol, Role, Rules};
use stateright::{Model, Property};

use crate::action::{Action, Fate, Fates, What};
use crate::canonical::Canonical;
use crate::coverage::Coverage;
use crate::forget::Oblivion;
use crate::guards::Guards;
use crate::intern::Interned;
use crate::memo::{Memory, silent};
use crate::progress::Benign;
use crate::server::{Delivery, Machine, Operation, Outcome, PRESENT, Server};
use crate::slice::{Cutting, Network, Slice};
use crate::state::{Budget, Net, Servers, State, link};
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
    pub(crate) memory: Option<Memory>,
    verdicts: Verdicts,
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
            coverage,
        };
        SliceModel {
            benign: Benign::new(slice.servers),
            canonical: slice.symmetric.then(|| Canonical::new(&slice)),
            oblivion: Oblivion::default(),
            verdicts: Verdicts::default(),
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
            Role::Follower { .. } => true,
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
        if outcome.elapsed > 0 {
            self.move_clock(state, id, outcome.elapsed);
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
    fn move_clock(&self, state: &mut State, id: NodeId, by: u64) {
        let now = quorate_spec::Instant(PRESENT.0 + by);
        let moved = |envelope: &Interned<Envelope>| {
            let request = envelope.message.body.kind().is_request();
            let owner = if request { envelope.from } else { envelope.to };
            if owner != id {
                return *envelope;
            }
            let mut moved = (**envelope).clone();
            moved.message.rebase(now, PRESENT);
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
            Action::Lapse(id) => self.own(&mut state, id, Operation::Lapse, fates),
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

    /// The initial state, before servers are renamed: where a trace begins.
    #[must_use]
    pub fn plain_initial(&self) -> State {
        let first = |id| Interned::new(self.silent.first(id, self.slice.genesis(id)));
        let servers: Servers = self.ids().map(first).collect();
        let Slice { crashes, commands, snapshots, .. } = self.slice;
        let budget = Budget {
            crashes,
            commands,
            snapshots,
            changes: self.slice.changes.len() as u8,
            wipes: u8::from(self.slice.wiped.is_some()),
            cut: 0,
        };
        let mut state = State {
            servers,
            net: Net::new(),
            history: Interned::new(History::default()),
            budget,
            broken: ClaimSet::NONE,
        };
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
        vec![self.stored(self.plain_initial())]
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
