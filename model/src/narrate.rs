//! A trace in sentences.

use std::fmt::Write;

use quorate_spec::NodeId;
use quorate_spec::property::Claim;

use crate::action::{Action, Fate};
use crate::model::SliceModel;
use crate::render::{changes, sending, table};
use crate::search::Trace;
use crate::slice::Network;
use crate::state::State;

/// One step in sentences: what happens, what is sent and what becomes of it, and who changes how.
#[must_use]
pub fn step(model: &SliceModel, before: &State, action: Action, after: &State) -> String {
    let explained = model.explain(before, action);
    let leads = |id: NodeId| before.server(id).node.is_leader();
    let mut clauses = vec![match action {
        Action::Timeout(id, _) if leads(id) => {
            format!("no quorum has answered n{id} for an election timeout")
        }
        _ => opening(&action, explained.request.as_deref()),
    }];
    let first = explained.actor;
    if let Some(id) = first {
        clauses.extend(changes_of(before, after, id));
    }
    let parks = matches!(model.slice.network, Network::Pull { .. });
    for (envelope, fate) in &explained.sent {
        let fate = match fate {
            Fate::Arrives if !parks => "",
            Fate::Arrives => ", which arrives",
            Fate::Lost => ", but that is lost",
            Fate::Parked => ", but that is delayed",
        };
        clauses.push(format!("{}{fate}", sending(envelope)));
    }
    for server in &before.servers {
        if Some(server.node.id()) != first {
            clauses.extend(changes_of(before, after, server.node.id()));
        }
    }
    clauses.join("; ")
}

fn opening(action: &Action, request: Option<&quorate_spec::Envelope>) -> String {
    match (action, request) {
        (Action::Exchange(..), Some(request)) => sending(request),
        (Action::Park(..), Some(request)) => format!("{}, but that is delayed", sending(request)),
        _ => action.to_string(),
    }
}

fn changes_of(before: &State, after: &State, id: NodeId) -> Vec<String> {
    changes(&before.server(id).node, &after.server(id).node)
}

/// The whole trace: numbered sentences, then the table of the last state and what is false in it.
#[must_use]
pub fn trace(model: &SliceModel, trace: &Trace, claim: Claim) -> String {
    let mut text = String::new();
    let mut before = &trace.initial;
    for (i, (action, after)) in trace.steps.iter().enumerate() {
        // Writing into a String does not fail.
        let _ = writeln!(text, "{:>4}. {}", i + 1, step(model, before, *action, after));
        before = after;
    }
    let _ = writeln!(text, "\n{}", table(before));
    let committed = before.history.last_committed();
    for (id, index) in model.lease_readers(before) {
        let behind = format!(", though {committed} is committed");
        let behind = if index < committed { behind } else { String::new() };
        let _ = writeln!(text, "   n{id} holds a lease: it serves reads at {index}{behind}");
    }
    let others: Vec<Claim> = model.false_claims(before).iter().filter(|it| *it != claim).collect();
    if !others.is_empty() {
        let _ = writeln!(text, "   false besides: {others:?}");
    }
    let _ = write!(text, "   {claim} is false: {}", claim.entry().sentence);
    text
}
