//! One step, told: a sentence for the list, and events for the sequence diagram.

use quorate_spec::{AppendOutcome, Body, Envelope, NodeId};

use crate::action::{Action, Fate};
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
    Told { sentence: narrate::step(model, before, action, after), events }
}

/// A step of which only the states are known: what is under way afterwards and was not before has
/// been sent in it. Without a sentence it is told by what changed.
#[must_use]
pub(super) fn by_difference(
    sentence: Option<&str>,
    first: Event,
    opening: &str,
    before: &State,
    after: &State,
) -> Told {
    let actor = match &first {
        Event::At(id, _) => Some(*id),
        Event::Arrives(envelope) | Event::Passes(envelope) => Some(envelope.to),
        Event::Leaves(envelope) | Event::IsLost(envelope) => Some(envelope.from),
        Event::Everywhere(_) => None,
    };
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
    Told { sentence: sentence.map_or_else(|| clauses.join("; "), str::to_owned), events }
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
                true => format!("heartbeat t{term}, c{leader_commit}"),
                false => format!("Append t{term}: {}, c{leader_commit}", terms.join(" ")),
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
