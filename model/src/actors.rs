//! The same protocol as a Stateright [`ActorModel`]: a thin, independent driver of [`Machine`],
//! to read, and to cross-check the direct model on small bounds (`tests/actors.rs`).
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

use std::borrow::Cow;
use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;

use quorate_spec::property::cluster::{log_matching, match_index_sound, quorum_intersection};
use quorate_spec::property::history::Event;
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{EntryId, Envelope, Index, Instant, Message, Node, NodeId, Term};
use stateright::actor::{
    Actor, ActorModel, ActorModelAction, ActorModelState, Id, Network, Out, model_timeout,
};
use stateright::{Expectation, Model, Property};

use crate::guards::Guards;
use crate::intern::Interned;
use crate::internable;
use crate::model::SliceModel;
use crate::server::{Delivery, E, Machine, Operation, PRESENT, Server};
use crate::slice::{self, Slice};
use crate::state::Servers;

/// Writes are durable at once, and requests leave as soon as they are due.
const DELIVERY: Delivery = Delivery { sync: true, eager: true };

/// How often a server's clock may move where messages carry times, unless it is said otherwise.
pub const CLOCK_MOVES: u64 = 1;

/// A server of the actor model.
pub struct RaftActor {
    machine: Arc<Machine<Guards>>,
    slice: Slice,
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
}

impl Timer {
    /// All of them.
    pub const ALL: [Timer; 4] = [Timer::Election, Timer::Promise, Timer::Client, Timer::Operator];
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
        && slice.clocks.is_none()
        && slice.established.is_none()
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
    let machine = Arc::new(SliceModel::new(*slice, guards).machine);
    let ids = (0..slice.servers as u64).map(NodeId);
    let actor = |_| RaftActor { machine: Arc::clone(&machine), slice: *slice, clock_moves };
    let network = slice::Network::Async;
    let mut model = ActorModel::new(Slice { network, ..*slice }, ())
        .actors(ids.map(actor))
        .init_network(Network::new_unordered_duplicating([]))
        .within_boundary(|slice, state| proposed(state) <= slice.commands && asked(state) <= 1);
    model.properties = properties(slice);
    model
}

/// How many commands clients have proposed.
#[must_use]
pub fn proposed(state: &RaftState) -> u8 {
    members(state).map(|member| member.proposed).sum()
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
        Member {
            server: self.machine.first(node_id(id), self.slice.genesis(node_id(id))),
            led: BTreeSet::new(),
            created: BTreeSet::new(),
            proposed: 0,
            asked: false,
            broken: ClaimSet::NONE,
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
                self.perform(state, Operation::Timeout, out);
            }
            Timer::Promise if self.may_lapse(&state.server.node) => {
                self.perform(state, Operation::Lapse, out);
            }
            Timer::Client if state.server.node.is_leader() => self.propose(state, out),
            Timer::Operator if state.server.node.is_leader() => self.change_members(state, out),
            Timer::Election | Timer::Promise | Timer::Client | Timer::Operator => {}
        }
    }
}

impl RaftActor {
    /// A leader looks for its quorum in every term; others campaign below the last one.
    fn may_time_out(&self, node: &Node) -> bool {
        if node.is_leader() {
            self.slice.election.check_quorum
        } else {
            node.current_term().0 < self.slice.max_term
        }
    }

    /// For a leader that looks for its quorum, time passes by timeouts alone.
    fn may_lapse(&self, node: &Node) -> bool {
        let looks = node.is_leader() && self.slice.election.check_quorum;
        !looks && node.promised_until() > PRESENT
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

    fn perform(&self, state: &mut Cow<Member>, operation: Operation, out: &mut Out<Self>) {
        let outcome = self.machine.perform(&state.server, operation, DELIVERY);
        let clock = if self.slice.election.pre_vote { state.clock + outcome.moved.by } else { 0 };
        if clock > self.clock_moves * E {
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

fn node_id(id: Id) -> NodeId {
    NodeId(usize::from(id) as u64)
}

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

/// A model of which the claims about a whole state can be asked.
trait Cluster: Model<State = RaftState> {
    fn guards(&self) -> &Guards;
    fn slice(&self) -> &Slice;
}

impl Cluster for RaftModel {
    fn guards(&self) -> &Guards {
        &self.actors[0].machine.protocol.rules
    }

    fn slice(&self) -> &Slice {
        &self.cfg
    }
}

impl Cluster for Forgetful {
    fn guards(&self) -> &Guards {
        self.0.guards()
    }

    fn slice(&self) -> &Slice {
        self.0.slice()
    }
}

/// The claims, and what shows that they are not empty.
fn properties<M: Cluster>(slice: &Slice) -> Vec<Property<M>> {
    let mut properties = vec![
        Property::always("ElectionSafety", |_, state| {
            pairs(state).all(|(a, b)| a.led.is_disjoint(&b.led))
        }),
        Property::always("EntryIdentity", |_, state| {
            let once = |member: &Member| !member.broken.contains(Claim::EntryIdentity);
            members(state).all(once) && pairs(state).all(|(a, b)| a.created.is_disjoint(&b.created))
        }),
        Property::always("QuorumIntersection", |model: &M, state| {
            quorum_intersection(model.guards(), || {
                Box::new(members(state).map(|member| &member.server.node))
            })
        }),
        Property::always("LogMatching", |_, state| {
            node_pairs(state).all(|(a, b)| log_matching(a.log(), b.log()))
        }),
        Property::always("StateMachineSafety", |_, state| {
            node_pairs(state).all(|(a, b)| {
                let both = a.commit_index().min(b.commit_index());
                committed(a, both) == committed(b, both)
            })
        }),
        Property::always("LeaderCompleteness", |_, state| {
            // A server that hears a leader contradict a commit says so itself.
            let heard = |member: &Member| !member.broken.contains(Claim::LeaderCompleteness);
            let complete = node_pairs(state).all(|(a, b)| is_complete(a, b) && is_complete(b, a));
            members(state).all(heard) && complete
        }),
        Property::always("MatchIndexSound", |_, state| {
            pairs(state).all(|(a, b)| knows(a, b) && knows(b, a))
        }),
        Property::always("steps", |_, state| members(state).all(|m| m.broken.is_empty())),
        Property::sometimes("a leader is elected", |_, state| {
            members(state).any(|member| member.server.node.is_leader())
        }),
    ];
    if slice.appends {
        properties.push(Property::sometimes("a leader commits", |_, state| {
            members(state)
                .map(|member| &member.server.node)
                .any(|node| node.is_leader() && node.commit_index() > Index::ZERO)
        }));
    }
    if !slice.changes.is_empty() {
        properties.push(Property::sometimes("the members have changed", |model: &M, state| {
            members(state).any(|member| has_changed(model.slice(), &member.server.node))
        }));
    }
    if slice.appends && slice.commands > 0 {
        properties
            .push(Property::sometimes("every server knows of a committed command", |_, state| {
                members(state).all(|member| knows_of_a_command(&member.server.node))
            }));
    }
    properties
}

fn members(state: &RaftState) -> impl Iterator<Item = &Member> {
    state.actor_states.iter().map(|member| &**member)
}

/// Every two members, once.
fn pairs(state: &RaftState) -> impl Iterator<Item = (&Member, &Member)> {
    members(state).enumerate().flat_map(|(i, a)| members(state).take(i).map(move |b| (a, b)))
}

fn node_pairs(state: &RaftState) -> impl Iterator<Item = (&Node, &Node)> {
    pairs(state).map(|(a, b)| (&a.server.node, &b.server.node))
}

fn knows(leader: &Member, follower: &Member) -> bool {
    let disk = &follower.server.disk.reported;
    match_index_sound(&leader.server.node, &follower.server.node, disk)
}

/// Whether the server knows that the members are those that the slice asks for.
fn has_changed(slice: &Slice, node: &Node) -> bool {
    let target = slice.changes.first().map(|to| to.target());
    target.is_some() && node.settled_members() == target
}

/// A term's first entry is no command, and every other one is.
fn knows_of_a_command(node: &Node) -> bool {
    let known = committed(node, node.commit_index());
    known.windows(2).any(|pair| pair[0].term == pair[1].term)
}

fn committed(node: &Node, upto: Index) -> Vec<EntryId> {
    node.log().ids().take_while(|id| id.index <= upto).collect()
}

/// If `leader` leads a later term than `other` is in, it has what `other` knows to be committed:
/// that was committed in an earlier term than the leader's.
fn is_complete(leader: &Node, other: &Node) -> bool {
    let owes = leader.is_leader() && leader.current_term() > other.current_term();
    !owes || committed(other, other.commit_index()) == committed(leader, other.commit_index())
}
