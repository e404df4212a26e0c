//! The actor model in the Explorer.

use quorate_spec::property::history::History;
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Envelope, Message, NodeId};
use stateright::actor::{ActorModelAction, Id};
use stateright::{Expectation, Model};

use super::link;
use super::refused::Trial;
use super::slice::{broken, verdicts};
use super::story::{self, Event, Told};
use super::walk::{Header, Verdict, Walk, shortest};
use crate::actors::{
    CLOCK_MOVES, Forgetful, RaftState, Timer, actor_model_with, asked, can_act, proposed,
};
use crate::clocks::Rooms;
use crate::guards::Guards;
use crate::intern::Interned;
use crate::mutation::Mutation;
use crate::slice::Slice;
use crate::state::{Budget, Net, State};
use crate::verdicts::Verdicts;

/// A counterexample of the actor model is looked for among so many states.
const LIMIT: usize = 300_000;

/// Claims that the actor model decides between the servers of a state, as properties.
const BETWEEN: ClaimSet = ClaimSet::of(&[
    Claim::ElectionSafety,
    Claim::EntryIdentity,
    Claim::QuorumIntersection,
    Claim::LogMatching,
    Claim::StateMachineSafety,
    Claim::LeaderCompleteness,
    Claim::MatchIndexSound,
]);

/// The actor model of a slice, to walk through.
pub struct ActorWalk {
    model: Forgetful,
    claims: ClaimSet,
    header: Header,
    mutation: Option<Mutation>,
}

impl ActorWalk {
    /// The actor model of the slice, over Stateright's network; none where the slice has features
    /// that actors do not have.
    #[must_use]
    pub fn of(slice: &Slice, mutation: Option<Mutation>) -> Option<ActorWalk> {
        if !can_act(slice) {
            return None;
        }
        let guards = mutation.map_or_else(Guards::sound, Guards::broken);
        let model = Forgetful(actor_model_with(slice, guards, CLOCK_MOVES));
        let header = Header {
            kind: "actors",
            slice: slice.name.to_owned(),
            about: format!("{}, as a Stateright actor model", slice.about),
            // Actors keep their names and every message.
            bounds: Slice { symmetric: false, reduced: false, forgets: false, ..model.0.cfg }
                .bounds(),
            mutant: mutation.map(broken),
            ..Header::default()
        };
        // Those that the direct model decides between servers are here as far as actors do.
        let steps = slice.claims.iter().filter(|claim| !Verdicts::DECIDES.contains(*claim));
        let leases = ClaimSet::of(&[Claim::LeaseExclusive, Claim::LinearizableRead]);
        let between = slice.lease.map_or(BETWEEN, |_| BETWEEN.union(leases));
        let claims = steps.fold(between, |set, claim| set.union(ClaimSet::of(&[claim])));
        Some(ActorWalk { model, claims, header, mutation })
    }

    /// Looks for the shortest path on which the mutant's claim fails, and keeps its link.
    pub fn find_counterexample(&mut self) -> Option<Vec<ActorAction>> {
        let claim = self.header.mutant.as_ref()?.claim.clone();
        let actions = shortest(self, &claim, LIMIT)?;
        self.header.trace = link::hash(self, &self.header, &actions);
        Some(actions)
    }
}

/// An action of the actor model.
pub type ActorAction = ActorModelAction<Message, Timer, ()>;

fn node_id(id: Id) -> NodeId {
    NodeId(usize::from(id) as u64)
}

impl Walk for ActorWalk {
    type State = RaftState;
    type Action = ActorAction;

    fn header(&self) -> Header {
        self.header.clone()
    }

    fn initial(&self) -> RaftState {
        self.model.init_states().remove(0)
    }

    fn steps(&self, state: &RaftState) -> Vec<(ActorAction, RaftState)> {
        let mut steps: Vec<_> = self.model.next_steps(state);
        // Stateright's sets of messages have no order of their own.
        steps.sort_by_cached_key(|(action, _)| format!("{action:?}"));
        steps
    }

    fn cluster(&self, state: &RaftState) -> State {
        let members = || state.actor_states.iter();
        let mut net: Net = state.network.iter_all().map(envelope).collect();
        net.sort_unstable();
        State {
            servers: members().map(|member| Interned::new(member.server.clone())).collect(),
            net,
            history: Interned::new(History::default()),
            budget: Budget {
                commands: self.model.0.cfg.commands - proposed(state),
                changes: (self.model.0.cfg.changes.len() - asked(state)) as u8,
                ..Budget::default()
            },
            clocks: Rooms::default(),
            broken: members().fold(ClaimSet::NONE, |all, member| all.union(member.broken)),
        }
    }

    fn verdicts(&self, state: &RaftState) -> Vec<Verdict> {
        let broken = |all: ClaimSet, member| all.union(member);
        let steps = state.actor_states.iter().map(|m| m.broken).fold(ClaimSet::NONE, broken);
        let properties = self.model.properties().into_iter();
        let refuted: Vec<_> = properties
            .filter(|property| property.expectation == Expectation::Always)
            .filter(|property| !(property.condition)(&self.model, state))
            .map(|property| property.name)
            .collect();
        let between = BETWEEN.iter().filter(|claim| refuted.contains(&claim.name()));
        let all = between.fold(steps, |set, claim| set.union(ClaimSet::of(&[claim])));
        verdicts(self.claims, all)
    }

    fn trial(&self) -> Option<Trial> {
        let slice = &self.model.0.cfg;
        let (params, timed) = (slice.params(), slice.clocks.is_some());
        Some(Trial { params, mutation: self.mutation, timed })
    }

    fn tell(&self, before: &RaftState, action: &ActorAction, after: &RaftState) -> Told {
        let (before, after) = (self.cluster(before), self.cluster(after));
        let kind = match action {
            ActorModelAction::Timeout(_, timer) => Some(match timer {
                Timer::Election => "Timeout",
                Timer::Promise => "Lapse",
                Timer::Client => "Propose",
                Timer::Operator => "ChangeMembers",
                Timer::Clock => "Advance",
                Timer::Heartbeat => "Exchange",
            }),
            _ => None,
        };
        let (first, opening) = match action {
            ActorModelAction::Deliver { src, dst, msg } => {
                let (from, to) = (node_id(*src), node_id(*dst));
                let arrived = Envelope { from, to, message: msg.clone() };
                let says = crate::render::message(&arrived);
                let opening = format!("n{to} receives from n{from}: {says}");
                (Event::Arrives(Interned::new(arrived)), opening)
            }
            ActorModelAction::Timeout(id, Timer::Election) => {
                let id = node_id(*id);
                (Event::At(id, "timeout".to_owned()), format!("n{id}'s election timeout passes"))
            }
            ActorModelAction::Timeout(id, Timer::Promise) => {
                let id = node_id(*id);
                (Event::At(id, "promise ends".to_owned()), format!("n{id}'s promise ends"))
            }
            ActorModelAction::Timeout(id, Timer::Client) => {
                let id = node_id(*id);
                let opening = format!("a client proposes a command to n{id}");
                (Event::At(id, "command".to_owned()), opening)
            }
            ActorModelAction::Timeout(id, Timer::Operator) => {
                let id = node_id(*id);
                let opening = format!("an operator asks n{id} for other members");
                (Event::At(id, "change of members".to_owned()), opening)
            }
            ActorModelAction::Timeout(id, Timer::Clock) => {
                let id = node_id(*id);
                (Event::At(id, "tick".to_owned()), format!("n{id}'s clock advances"))
            }
            ActorModelAction::Timeout(id, Timer::Heartbeat) => {
                let id = node_id(*id);
                (Event::At(id, "heartbeat".to_owned()), format!("n{id} sends its heartbeats"))
            }
            // The model neither loses messages nor crashes, and its actors draw no numbers.
            other => (Event::Everywhere(String::new()), format!("{other:?}")),
        };
        story::by_difference((None, kind), first, &opening, &before, &after)
    }
}

fn envelope(of: stateright::actor::Envelope<&Message>) -> Interned<Envelope> {
    let (from, to) = (node_id(of.src), node_id(of.dst));
    Interned::new(Envelope { from, to, message: of.msg.clone() })
}
