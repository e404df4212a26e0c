//! One step, told: a sentence for the list, and events for the sequence diagram.

use std::collections::BTreeSet;

use quorate_spec::{AppendOutcome, Body, Envelope, NodeId, RoleName};

use super::source::{Change, Place};
use crate::action::{ACTION_KINDS, Action, Fate};
use crate::intern::Interned;
use crate::model::SliceModel;
use crate::narrate;
use crate::render::{changes, log, sending};
use crate::slice::Network;
use crate::state::State;

/// A step, told.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Told {
    /// In a sentence.
    pub sentence: String,
    /// In events, in their order.
    pub events: Vec<Event>,
    /// Where the functions are that made it.
    pub sources: Vec<Place>,
}

/// What the diagram draws.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Event {
    /// Something at one server.
    At(NodeId, String),
    /// Something that is no server's.
    Everywhere(String),
    /// A message that was under way arrives.
    Arrives(Interned<Envelope>),
    /// A message is sent and arrives in this very step.
    Passes(Interned<Envelope>),
    /// A message is sent, and is under way from here on.
    Leaves(Interned<Envelope>),
    /// A message is sent and lost.
    IsLost(Interned<Envelope>),
}

impl Event {
    /// The server at which it happens, if it is one's.
    #[must_use]
    pub fn actor(&self) -> Option<NodeId> {
        match self {
            Event::At(id, _) => Some(*id),
            Event::Arrives(envelope) | Event::Passes(envelope) => Some(envelope.to),
            Event::Leaves(envelope) | Event::IsLost(envelope) => Some(envelope.from),
            Event::Everywhere(_) => None,
        }
    }

    /// The message that arrives in it, if one does.
    #[must_use]
    pub fn arriving(&self) -> Option<Interned<Envelope>> {
        match self {
            Event::Arrives(envelope) | Event::Passes(envelope) => Some(*envelope),
            Event::At(..) | Event::Everywhere(_) | Event::Leaves(_) | Event::IsLost(_) => None,
        }
    }
}

/// Where the functions are that made a step: what set it off, the messages that arrived, and what
/// came of them.
fn sources(kind: Option<&str>, events: &[Event], before: &State, after: &State) -> Vec<Place> {
    let mut places: Vec<Place> = kind.and_then(Place::of_action).into_iter().collect();
    let arrived = events.iter().filter_map(Event::arriving);
    places.extend(arrived.map(|it| Place::of_message(it.message.body.kind())));
    let servers = before.servers.iter().zip(&after.servers);
    let changes = servers.flat_map(|(was, is)| {
        let (was, is) = (&was.node, &is.node);
        let (term, role) = (was.current_term() == is.current_term(), is.role().name());
        let fresh = was.role().name() != role || !term;
        let commits = is.commit_index() > was.commit_index();
        [
            (fresh && role == RoleName::Candidate, Change::Candidate),
            (fresh && role == RoleName::Leader, Change::Elected),
            (!term && role == RoleName::Follower, Change::HigherTerm),
            (commits && is.is_leader(), Change::LeaderCommits),
            (commits && !is.is_leader(), Change::FollowerCommits),
        ]
    });
    places.extend(changes.filter(|(is, _)| *is).map(|(_, change)| Place::of_change(change)));
    let mut seen = BTreeSet::new();
    places.retain(|place| seen.insert(*place));
    places
}

/// A step of a slice.
#[must_use]
pub(super) fn of_slice(model: &SliceModel, before: &State, action: Action, after: &State) -> Told {
    let explained = model.explain(before, action);
    let mut events: Vec<Event> = match action {
        Action::Deliver(envelope, _) => vec![Event::Arrives(envelope)],
        Action::Exchange(..) => explained.request.map(Event::Passes).into_iter().collect(),
        Action::Park(..) => explained.request.map(Event::Leaves).into_iter().collect(),
        Action::AdvanceAll | Action::Heal | Action::Break => {
            vec![Event::Everywhere(action.to_string())]
        }
        Action::Timeout(id, _)
        | Action::Tick(id, _)
        | Action::Lapse(id)
        | Action::Advance(id)
        | Action::Campaign(id, _)
        | Action::Propose(id, _)
        | Action::Read(id, _)
        | Action::Transfer(id, ..)
        | Action::ChangeMembers(id, ..)
        | Action::Wipe(id)
        | Action::Report(id, ..)
        | Action::TakeSnapshot(id, _)
        | Action::StopMoving(id, _)
        | Action::Crash(id, _) => vec![Event::At(id, happening(action).to_owned())],
    };
    if let Some(id) = explained.actor {
        events.extend(notes(before, after, id));
    }
    let pull = matches!(model.slice.network, Network::Pull { .. });
    events.extend(explained.sent.iter().map(|(envelope, fate)| match fate {
        Fate::Arrives if pull => Event::Passes(*envelope),
        Fate::Arrives | Fate::Parked => Event::Leaves(*envelope),
        Fate::Lost => Event::IsLost(*envelope),
    }));
    events.extend(notes_of_others(before, after, explained.actor));
    let kind = match action {
        // A deadline that passes at a leader is about its quorum.
        Action::Timeout(id, _) if before.server(id).node.is_leader() => "Tick",
        _ => ACTION_KINDS[action.kind()],
    };
    let sources = sources(Some(kind), &events, before, after);
    Told { sentence: narrate::step(model, before, action, after), events, sources }
}

/// A step of which only the states are known, and perhaps a sentence and the kind of action: what is
/// under way afterwards and was not before has been sent in it. Without a sentence it is told by what
/// changed.
#[must_use]
pub(super) fn by_difference(
    (sentence, kind): (Option<&str>, Option<&str>),
    first: Event,
    opening: &str,
    before: &State,
    after: &State,
) -> Told {
    let actor = first.actor();
    let ids = || before.servers.iter().map(|server| server.node.id());
    let others = || ids().filter(|id| Some(*id) != actor);
    let changed = |id: NodeId| changes(&before.server(id).node, &after.server(id).node);
    let sent: Vec<_> = after.net.iter().filter(|sent| !before.net.contains(sent)).collect();
    let mut clauses = vec![opening.to_owned()];
    clauses.extend(actor.into_iter().flat_map(changed));
    clauses.extend(sent.iter().map(|envelope| sending(envelope)));
    clauses.extend(others().flat_map(changed));
    let mut events = match &first {
        Event::Everywhere(text) if text.is_empty() => Vec::new(),
        _ => vec![first],
    };
    events.extend(actor.into_iter().flat_map(|id| notes(before, after, id)));
    events.extend(sent.into_iter().map(|envelope| Event::Leaves(*envelope)));
    events.extend(notes_of_others(before, after, actor));
    let sources = sources(kind, &events, before, after);
    Told { sentence: sentence.map_or_else(|| clauses.join("; "), str::to_owned), events, sources }
}

fn happening(action: Action) -> &'static str {
    match action {
        Action::Timeout(..) => "timeout",
        Action::Tick(..) => "looks at its quorum",
        Action::Lapse(_) => "promise ends",
        Action::Advance(_) | Action::AdvanceAll => "tick",
        Action::Campaign(..) => "told to campaign",
        Action::Propose(..) => "command",
        Action::ChangeMembers(..) => "change of members",
        Action::Read(..) => "read",
        Action::Transfer(..) => "told to hand over",
        Action::Wipe(_) => "disk lost",
        Action::Report(..) => "disk reports",
        Action::Crash(..) => "crash, restart",
        Action::TakeSnapshot(..) => "snapshot",
        Action::StopMoving(..) => "stops moving",
        Action::Deliver(..) | Action::Exchange(..) | Action::Park(..) => "message",
        Action::Heal | Action::Break => "links",
    }
}

fn notes_of_others(before: &State, after: &State, actor: Option<NodeId>) -> Vec<Event> {
    let ids = before.servers.iter().map(|server| server.node.id());
    ids.filter(|id| Some(*id) != actor).flat_map(|id| notes(before, after, id)).collect()
}

/// What changed at a server, in a few letters each.
fn notes(before: &State, after: &State, id: NodeId) -> Vec<Event> {
    let (was, is) = (&before.server(id).node, &after.server(id).node);
    let term = is.current_term();
    let mut notes = Vec::new();
    if was.role().name() != is.role().name() {
        notes.push(format!("{} t{term}", is.role().name().to_string().to_lowercase()));
    } else if was.current_term() != term {
        notes.push(format!("term {term}"));
    }
    if (was.log().last(), was.log().base()) != (is.log().last(), is.log().base()) {
        notes.push(format!("log {}", log(is.log())));
    }
    if was.commit_index() != is.commit_index() {
        notes.push(format!("commit {}", is.commit_index()));
    }
    notes.into_iter().map(|note| Event::At(id, note)).collect()
}

/// A message in a few letters.
#[must_use]
pub(super) fn label(envelope: &Envelope) -> String {
    let term = envelope.message.term;
    match &envelope.message.body {
        Body::RequestVote { .. } if term.0 == 0 => "RequestVote, stale".to_owned(),
        Body::AppendEntries { .. } if term.0 == 0 => "AppendEntries, stale".to_owned(),
        Body::InstallSnapshot { .. } if term.0 == 0 => "InstallSnapshot, stale".to_owned(),
        Body::InstallSnapshot { snapshot } => format!("Snapshot t{term}: {:?}", snapshot.last),
        Body::RequestVote { .. } => format!("RequestVote t{term}"),
        Body::RequestVoteReply { granted: true } => format!("vote t{term}"),
        Body::RequestVoteReply { granted: false } => format!("no vote t{term}"),
        Body::PreVote { .. } => format!("PreVote t{term}"),
        Body::PreVoteReply { granted: true, .. } => format!("pre-vote t{term}"),
        Body::PreVoteReply { granted: false, .. } => format!("no pre-vote t{term}"),
        Body::AppendEntries { prev, entries, leader_commit } => {
            let terms: Vec<_> =
                entries.ids(prev.index).map(|id| format!("t{}", id.term)).take(4).collect();
            match terms.is_empty() {
                true => format!("heartbeat t{term}, commit {leader_commit}"),
                false => format!("Append t{term}: {}, commit {leader_commit}", terms.join(" ")),
            }
        }
        Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) => {
            format!("ok up to {match_index}, t{term}")
        }
        Body::AppendEntriesReply(AppendOutcome::Conflict { prev_index, .. }) => {
            format!("no match at {prev_index}, t{term}")
        }
        Body::AppendEntriesReply(AppendOutcome::Stale) => format!("stale, t{term}"),
        Body::TimeoutNow => format!("TimeoutNow t{term}"),
        Body::ReadIndex { token } => format!("ReadIndex {token:?}"),
        Body::ReadIndexReply { token, index } => format!("read {token:?} at {index}"),
    }
}
