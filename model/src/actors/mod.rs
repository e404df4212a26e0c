//! The same protocol as a Stateright [`ActorModel`]: a thin, independent driver of [`Machine`],
//! to read, and to cross-check the direct model on small bounds (`model/tests/actors.rs`).
//!
//! What differs from [`SliceModel`], and why both are kept:
//!
//! * Servers and messages are plain data here, and Stateright's own network carries them. There
//!   is no memo, no reduction and no symmetry: what the direct model's shortcuts lose shows up as
//!   a difference.
//! * One server's part, [`Machine::perform`], is shared: what it gets wrong, both get wrong.
//! * Loss is non-delivery, and nothing crashes: writes are durable at once.
//! * The history is what the servers remember of themselves, [`Member::led`], [`Member::created`]
//!   and [`Member::broken`]: Stateright lets messages update a history, and being elected is none.
//! * Clients propose by a timer, [`Timer::Client`]. How many commands there are in all is the
//!   model's boundary, as no actor sees what was proposed to another.
//! * An operator asks for other members by a timer too, [`Timer::Operator`], for one change at most:
//!   no actor sees what another was asked for.
//! * Clocks. A server's own times are kept relative to its present, as in the direct model, but
//!   an actor cannot move the times in messages under way. Only pre-votes carry times: the names
//!   of rounds. Without pre-vote the two models have the same states. With it each actor counts
//!   how far its clock has moved and translates rounds as they leave and come back; that clock
//!   only rises, so the number of its moves is bounded, and the check is one up to that bound.
//! * Leases. In a timed slice a clock advances by a timer, too, a tick at a time: [`Timer::Clock`].
//!   All begin together, and the model's boundary keeps them within the slice's bound of each other,
//!   as no actor sees another's clock. Requests carry times then, as rounds of pre-votes do, and
//!   stay under way; so a leader sends them when it is elected, and once more, [`Timer::Heartbeat`].

mod properties;
mod reach;

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::sync::Arc;

use quorate_spec::property::history::Event;
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{EntryId, Envelope, Index, Instant, Message, Node, NodeId, Term};
use stateright::actor::{Actor, ActorModel, ActorModelState, Id, Network, Out, model_timeout};

pub use self::reach::{Forgetful, Reached, protocol_states};
use crate::clocks::{Assumption, Clocks};
use crate::guards::Guards;
use crate::intern::Interned;
use crate::internable;
use crate::model::SliceModel;
use crate::server::{Delivery, E, Machine, Operation, PRESENT, Server};
use crate::slice::{self, Slice};

/// Writes are durable at once, and requests leave as soon as they are due.
const DELIVERY: Delivery = Delivery { sync: true, eager: true };

/// How many election timeouts may pass on a server's clock where messages carry times, unless it is
/// said otherwise.
pub const CLOCK_MOVES: u64 = 1;

/// A server of the actor model.
pub struct RaftActor {
    machine: Arc<Machine<Guards>>,
    slice: Slice,
    /// The servers as they begin.
    first: Arc<[Server]>,
    clock_moves: u64,
}

/// A server, and what it remembers for the claims.
#[derive(Clone, PartialEq, Eq, Hash, Debug)]
pub struct Member {
    /// The server.
    pub server: Server,
    /// The terms that it has led: a ghost.
    pub led: BTreeSet<Term>,
    /// The entries that it has created as leader: a ghost.
    pub created: BTreeSet<EntryId>,
    /// How many commands clients have proposed to it: a ghost.
    pub proposed: u8,
    /// Whether an operator has asked it for other members: a ghost.
    pub asked: bool,
    /// The claims about steps and messages that it has broken: a ghost.
    pub broken: ClaimSet,
    /// Whether it has sent the heartbeats of a slice with clocks: a ghost.
    pub beat: bool,
    /// How far its clock has moved; it stays 0 where no message carries times.
    pub clock: u64,
}

internable!(Member);

/// A server's timers. All are set at all times and are set again as they fire, so that the sets
/// of timers never differ: Stateright 0.31.0 hashes them without their lengths, and would merge
/// states.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Timer {
    /// An election timeout passes.
    Election,
    /// The promise ends, and nothing else happens.
    Promise,
    /// A client proposes one command.
    Client,
    /// An operator asks for the members that the slice names.
    Operator,
    /// The server's clock advances by a tick.
    Clock,
    /// A leader whose requests carry times sends them, once.
    Heartbeat,
}

impl Timer {
    /// All of them.
    pub const ALL: [Timer; 6] = [
        Timer::Election,
        Timer::Promise,
        Timer::Client,
        Timer::Operator,
        Timer::Clock,
        Timer::Heartbeat,
    ];
}

/// The actor model.
pub type RaftModel = ActorModel<RaftActor, Slice>;

/// A state of the actor model.
pub type RaftState = ActorModelState<RaftActor>;

/// Whether the actor model has all features of the slice but its network: that of the actors is
/// Stateright's, [`Network::Async`](slice::Network::Async).
#[must_use]
pub fn can_act(slice: &Slice) -> bool {
    (slice.crashes, slice.snapshots, slice.campaigns, slice.heartbeats) == (0, 0, false, false)
        && slice.cuts.is_empty()
        && slice.changes.len() <= 1
        && slice.wiped.is_none()
        && slice.clocks.is_none_or(|clocks| within(&clocks).is_some())
        && (slice.reads, slice.transfers) == (0, 0)
        && slice.established.is_none()
}

/// How far apart the clocks of the actors may be, if each has one of its own.
fn within(clocks: &Clocks) -> Option<u64> {
    match clocks.assumption {
        Assumption::Skew(bound) if clocks.are_own() => Some(bound),
        Assumption::Skew(_) | Assumption::Drift(_) => None,
    }
}

/// The actor model of a slice.
///
/// # Panics
/// If the slice has features that actors do not: see [`actor_model_with`].
#[must_use]
pub fn actor_model(slice: &Slice) -> RaftModel {
    actor_model_with(slice, Guards::sound(), CLOCK_MOVES)
}

/// The actor model of a slice under these guards, where each clock moves so often at most if
/// messages carry times.
///
/// # Panics
/// If the slice has crashes, operators, heartbeats beside entries, cuts or an established leader.
#[must_use]
pub fn actor_model_with(slice: &Slice, guards: Guards, clock_moves: u64) -> RaftModel {
    assert!(can_act(slice), "actors do not have every feature of slice {}", slice.name);
    let direct = SliceModel::new(*slice, guards);
    let first = direct.plain_initial().servers.into_iter().map(|server| (*server).clone());
    let (first, machine): (Arc<[Server]>, _) = (first.collect(), Arc::new(direct.machine));
    let ids = (0..slice.servers as u64).map(NodeId);
    let actor = |_| {
        let (machine, first) = (Arc::clone(&machine), Arc::clone(&first));
        RaftActor { machine, slice: *slice, first, clock_moves }
    };
    let network = slice::Network::Async;
    let mut model = ActorModel::new(Slice { network, ..*slice }, ())
        .actors(ids.map(actor))
        .init_network(Network::new_unordered_duplicating([]))
        .within_boundary(|slice, state| {
            proposed(state) <= slice.commands && asked(state) <= 1 && are_together(slice, state)
        });
    model.properties = properties::properties(slice);
    model
}

/// How many commands clients have proposed.
#[must_use]
pub fn proposed(state: &RaftState) -> u8 {
    members(state).map(|member| member.proposed).sum()
}

/// Whether the clocks are as close together as the slice has them.
fn are_together(slice: &Slice, state: &RaftState) -> bool {
    let Some(bound) = slice.clocks.as_ref().and_then(within) else { return true };
    let clocks = || members(state).map(|member| member.clock);
    clocks().max().unwrap_or(0) - clocks().min().unwrap_or(0) <= bound
}

/// How many servers an operator has asked for other members.
#[must_use]
pub fn asked(state: &RaftState) -> usize {
    members(state).filter(|member| member.asked).count()
}

impl Actor for RaftActor {
    type Msg = Message;
    type State = Member;
    type Timer = Timer;
    type Random = ();
    type Storage = ();

    fn on_start(&self, id: Id, _: &Option<()>, out: &mut Out<Self>) -> Member {
        Timer::ALL.iter().for_each(|timer| out.set_timer(*timer, model_timeout()));
        let server = self.first[usize::from(id)].clone();
        // Whoever leads when it begins has created all of its log.
        let leads = server.node.is_leader();
        let created = server.node.log().ids().filter(|_| leads).collect();
        Member {
            led: server.node.is_leader().then(|| server.node.current_term()).into_iter().collect(),
            created,
            server,
            proposed: 0,
            asked: false,
            broken: ClaimSet::NONE,
            beat: false,
            clock: 0,
        }
    }

    fn on_msg(
        &self,
        id: Id,
        state: &mut Cow<Member>,
        from: Id,
        mut message: Message,
        out: &mut Out<Self>,
    ) {
        if !message.body.kind().is_request() {
            // A reply carries the time of the request, which was this server's.
            message.rebase(Instant(PRESENT.0 + state.clock), PRESENT);
        }
        let envelope = Envelope { from: node_id(from), to: node_id(id), message };
        self.perform(state, Operation::Receive(Interned::new(envelope)), out);
    }

    fn on_timeout(&self, _: Id, state: &mut Cow<Member>, timer: &Timer, out: &mut Out<Self>) {
        out.set_timer(*timer, model_timeout());
        match timer {
            Timer::Election if self.may_time_out(&state.server.node) => {
                let looks = self.slice.clocks.is_some() && state.server.node.is_leader();
                let operation = if looks { Operation::Tick } else { Operation::Timeout };
                self.perform(state, operation, out);
            }
            Timer::Clock if self.slice.clocks.is_some() => {
                self.perform(state, Operation::Advance, out);
            }
            Timer::Promise if self.may_lapse(&state.server.node) => {
                self.perform(state, Operation::Lapse, out);
            }
            Timer::Client if state.server.node.is_leader() => self.propose(state, out),
            Timer::Operator if state.server.node.is_leader() => self.change_members(state, out),
            Timer::Heartbeat if self.slice.clocks.is_some() && state.server.node.is_leader() => {
                self.beat(state, out);
            }
            Timer::Election
            | Timer::Promise
            | Timer::Client
            | Timer::Operator
            | Timer::Clock
            | Timer::Heartbeat => {}
        }
    }
}

impl RaftActor {
    /// A leader looks for its quorum in every term; others campaign below the last one.
    fn may_time_out(&self, node: &Node) -> bool {
        let due = node.election_deadline().max(node.promised_until()) <= PRESENT;
        // Who follows the leader of the beginning are alike: the first of them campaigns.
        let first = node.id() == NodeId(1);
        if node.is_leader() {
            self.slice.election.check_quorum
        } else {
            let may = self.slice.clocks.is_none() || due && !self.slice.led || due && first;
            node.current_term().0 < self.slice.max_term && may
        }
    }

    /// For a leader that looks for its quorum, time passes by timeouts alone, and for a server with
    /// a clock by its ticks.
    fn may_lapse(&self, node: &Node) -> bool {
        let looks = node.is_leader() && self.slice.election.check_quorum;
        !looks && self.slice.clocks.is_none() && node.promised_until() > PRESENT
    }

    fn propose(&self, state: &mut Cow<Member>, out: &mut Out<Self>) {
        if state.proposed < self.slice.commands {
            state.to_mut().proposed += 1;
            self.perform(state, Operation::Propose, out);
        }
    }

    /// A request that has no effect can be made again.
    fn change_members(&self, state: &mut Cow<Member>, out: &mut Out<Self>) {
        let Some(to) = self.slice.changes.first().filter(|_| !state.asked) else { return };
        let before = state.server.clone();
        self.perform(state, Operation::ChangeMembers(*to), out);
        if state.server != before {
            state.to_mut().asked = true;
        }
    }

    /// Looking at its timers changes nothing of a leader that does not check its quorum, so this is
    /// to send what is due.
    fn beat(&self, state: &mut Cow<Member>, out: &mut Out<Self>) {
        if !state.beat {
            state.to_mut().beat = true;
            self.perform_with(state, Operation::Tick, DELIVERY, out);
        }
    }

    fn perform(&self, state: &mut Cow<Member>, operation: Operation, out: &mut Out<Self>) {
        let waits = self.slice.clocks.is_some() && state.server.node.is_leader();
        self.perform_with(state, operation, Delivery { eager: !waits, ..DELIVERY }, out);
    }

    fn perform_with(
        &self,
        state: &mut Cow<Member>,
        operation: Operation,
        delivery: Delivery,
        out: &mut Out<Self>,
    ) {
        let outcome = self.machine.perform(&state.server, operation, delivery);
        let timed = self.slice.clocks.is_some();
        let told = timed || self.slice.election.pre_vote;
        let clock = if told { state.clock + outcome.moved.by } else { 0 };
        if clock > self.clock_moves * self.slice.clocks.map_or(E, |it| it.election_timeout) {
            return;
        }
        let mut after = Member {
            server: (*outcome.server).clone(),
            broken: state.broken.union(outcome.broken),
            clock,
            ..(**state).clone()
        };
        after.remember(&outcome.events);
        // Stateright takes an untouched state for a step that did not happen.
        if after != **state {
            *state.to_mut() = after;
        }
        for envelope in outcome.sent {
            let Envelope { to, mut message, .. } = (*envelope).clone();
            if message.body.kind().is_request() {
                message.rebase(PRESENT, Instant(PRESENT.0 + clock));
            }
            out.send(Id::from(to.0 as usize), message);
        }
    }
}

impl Member {
    fn remember(&mut self, events: &[Event]) {
        for event in events {
            match event {
                Event::Elected { term, .. } => {
                    self.led.insert(*term);
                }
                Event::Created { first, last } => {
                    for index in first.index.0..=last.0 {
                        let fresh = self.created.insert(EntryId { index: Index(index), ..*first });
                        self.broken.require(Claim::EntryIdentity, fresh);
                    }
                }
                Event::Committed { .. }
                | Event::Configured { .. }
                | Event::ReadAsked { .. }
                | Event::ReadAnswered { .. }
                | Event::Restarted(_) => {}
            }
        }
    }
}

fn members(state: &RaftState) -> impl Iterator<Item = &Member> {
    state.actor_states.iter().map(|member| &**member)
}

fn node_id(id: Id) -> NodeId {
    NodeId(usize::from(id) as u64)
}
