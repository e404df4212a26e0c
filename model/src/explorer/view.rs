//! A state as the page shows it: the JSON document that Stateright hands on.

use quorate_spec::durable::{SnapshotWrite, Write};
use quorate_spec::role::{Pace, Progress};
use quorate_spec::{EntryId, Envelope, NodeId, Role};
use serde::Serialize;

use super::walk::{Header, Verdict};
use crate::render::{configuration, message, times, under_way};
use crate::server::{PRESENT, Server};
use crate::state::State;

/// A state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StateView {
    /// What is served: in the first state only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub served: Option<Header>,
    /// The servers.
    pub nodes: Vec<NodeView>,
    /// What is under way.
    pub messages: Vec<MessageView>,
    /// The links that are cut.
    pub cut: Vec<String>,
    /// What may still happen, of what is bounded.
    pub left: Vec<String>,
    /// Each claim, the false ones first.
    pub claims: Vec<Verdict>,
    /// A number of all of the above, the same in every build: a link carries it.
    pub fingerprint: String,
}

/// A server.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct NodeView {
    /// Its name.
    pub name: String,
    /// Its role.
    pub role: String,
    /// Its term.
    pub term: u64,
    /// Whom it voted for in that term.
    pub vote: Option<String>,
    /// The last index that is no longer in the log.
    pub base: u64,
    /// Its log, entry by entry.
    pub log: Vec<EntryView>,
    /// Its commit index.
    pub commit: u64,
    /// Whether it has promised not to vote.
    pub promised: bool,
    /// What only its role knows.
    pub notes: Vec<String>,
    /// The writes that are not on disk.
    pub unwritten: Vec<String>,
    /// The messages that wait for them.
    pub held: Vec<String>,
}

/// An entry of a log.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct EntryView {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The configuration that it is, if it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub configuration: Option<String>,
    /// Whether its server knows it to be committed.
    pub committed: bool,
    /// Whether it is on the server's disk, reported or not by the server.
    pub durable: bool,
}

/// A message under way.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct MessageView {
    /// The sender.
    pub from: String,
    /// The receiver.
    pub to: String,
    /// What kind of message it is.
    pub kind: String,
    /// In a clause.
    pub says: String,
}

/// A step, for the list of steps: it names what it changes.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct StepView {
    /// What happens.
    pub sentence: String,
    /// The fields that differ, as `n0.role`.
    pub changed: Vec<String>,
    /// The positions, among the messages afterwards, of those that were not there before.
    pub sent: Vec<usize>,
    /// The claims that held before and are false now.
    pub broke: Vec<String>,
}

/// The view of a state with the truth of its claims. States may come from anywhere: the models, or
/// a trace that was recorded elsewhere.
#[must_use]
pub fn state(state: &State, mut claims: Vec<Verdict>) -> StateView {
    claims.sort_by_key(|verdict| verdict.holds);
    let ids = || state.servers.iter().map(|server| server.node.id());
    let cut = ids().flat_map(|from| ids().map(move |to| (from, to)));
    let cut = cut.filter(|(from, to)| !state.budget.is_open(*from, *to));
    let left = [
        ("crash", "crashes", state.budget.crashes),
        ("command", "commands", state.budget.commands),
        ("change of members", "changes of members", state.budget.changes),
        ("lost disk", "lost disks", state.budget.wipes),
        ("snapshot", "snapshots", state.budget.snapshots),
        ("read", "reads", state.budget.reads),
        ("transfer", "transfers", state.budget.transfers),
    ];
    let left = left.into_iter().filter(|(_, _, n)| *n > 0);
    let mut view = StateView {
        served: None,
        nodes: state.servers.iter().map(|server| node(state, server)).collect(),
        messages: state.net.iter().map(|envelope| message_view(state, envelope)).collect(),
        cut: cut.map(|(from, to)| format!("n{from} ↛ n{to}")).collect(),
        left: left
            .map(|(one, many, n)| format!("{n} {}", if n == 1 { one } else { many }))
            .collect(),
        claims,
        fingerprint: String::new(),
    };
    view.fingerprint = fingerprint(&view);
    view
}

fn node(state: &State, server: &Server) -> NodeView {
    let Server { node, gate, disk, .. } = server;
    let entry = |id: EntryId| EntryView {
        index: id.index.0,
        term: id.term.0,
        configuration: node
            .log()
            .configurations()
            .find(|(at, _)| *at == id.index)
            .map(|(_, members)| configuration(members)),
        committed: id.index <= node.commit_index(),
        durable: disk.reported.log.contains(id),
    };
    let held = gate.held().map(|(_, (to, said))| {
        let envelope = Envelope { from: node.id(), to: *to, message: said.clone() };
        format!("to n{to}: {}", message(&envelope))
    });
    NodeView {
        name: name(node.id()),
        role: node.role().name().to_string(),
        term: node.current_term().0,
        vote: node.voted_for().map(name),
        base: node.log().base().index.0,
        log: node.log().ids().map(entry).collect(),
        commit: node.commit_index().0,
        promised: node.promised_until() > PRESENT,
        notes: notes(node.role()).into_iter().chain(times(state, server)).collect(),
        unwritten: disk.pending.iter().map(write).collect(),
        held: held.collect(),
    }
}

fn name(id: NodeId) -> String {
    format!("n{id}")
}

fn notes(role: &Role) -> Vec<String> {
    match role {
        Role::Follower { leader } => {
            leader.map(|id| format!("follows n{id}")).into_iter().collect()
        }
        Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
            let granted: Vec<_> = campaign.granted.iter().map(|id| format!("n{id}")).collect();
            let list =
                if granted.is_empty() { "nobody yet".to_owned() } else { granted.join(", ") };
            vec![format!("granted by {list}")]
        }
        Role::Leader(leadership) => {
            let peers = leadership.peers.iter();
            let knows = |(id, peer): (&NodeId, &Progress)| match peer.pace {
                Pace::Snapshot(index) => format!("n{id} is sent a snapshot up to {index}"),
                Pace::Probe | Pace::Replicate(_) => format!("n{id} has {}", peer.match_index),
            };
            peers.map(knows).collect()
        }
    }
}

fn write(write: &Write) -> String {
    let mut parts = Vec::new();
    if let Some(hard_state) = write.hard_state {
        let vote = hard_state.voted_for.map_or("no vote".to_owned(), |id| format!("vote n{id}"));
        parts.push(format!("term {}, {vote}", hard_state.current_term));
    }
    match &write.snapshot {
        Some(SnapshotWrite::Compact(snapshot)) => {
            parts.push(format!("snapshot up to {:?}", snapshot.last));
        }
        Some(SnapshotWrite::Install(snapshot)) => {
            parts.push(format!("snapshot up to {:?} in the place of the log", snapshot.last));
        }
        None => {}
    }
    if let Some(log) = &write.log {
        let terms: Vec<_> = log.entries.ids(log.keep).map(|id| format!("t{}", id.term)).collect();
        let kept = format!("log after {}", log.keep);
        parts.push(if terms.is_empty() {
            format!("{kept} dropped")
        } else {
            format!("{kept}: {}", terms.join(" "))
        });
    }
    parts.join("; ")
}

fn message_view(state: &State, envelope: &Envelope) -> MessageView {
    MessageView {
        from: name(envelope.from),
        to: name(envelope.to),
        kind: format!("{:?}", envelope.message.body.kind()),
        says: under_way(state, envelope),
    }
}

/// FNV-1a: it does not depend on the build, and its rule fits in a line.
fn fingerprint(view: &StateView) -> String {
    let broken: Vec<_> = view.claims.iter().filter(|v| !v.holds).map(|v| &v.claim).collect();
    let text = serde_json::to_string(&(&view.nodes, &view.messages, &view.cut, &view.left, broken))
        .expect("a view has no maps");
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}

impl StepView {
    /// The step between these two states.
    #[must_use]
    pub fn new(sentence: String, before: &StateView, after: &StateView) -> StepView {
        let nodes = before.nodes.iter().zip(&after.nodes);
        let held = |claim: &str| before.claims.iter().any(|v| v.claim == claim && v.holds);
        let broke = after.claims.iter().filter(|v| !v.holds && held(&v.claim));
        StepView {
            sentence,
            changed: nodes.flat_map(|(was, is)| differences(was, is)).collect(),
            sent: sent(&before.messages, &after.messages),
            broke: broke.map(|verdict| verdict.claim.clone()).collect(),
        }
    }
}

/// The positions of new messages. Where one of the same kind is gone between the same two, a
/// reduction has only taken from it what no longer matters.
fn sent(before: &[MessageView], after: &[MessageView]) -> Vec<usize> {
    let mut gone: Vec<_> = before.iter().filter(|message| !after.contains(message)).collect();
    let fresh = after.iter().enumerate().filter(|(_, message)| !before.contains(message));
    fresh
        .filter(|(_, is)| {
            let name = |m: &MessageView| (m.from.clone(), m.to.clone(), m.kind.clone());
            let reduced = gone.iter().position(|was| name(was) == name(is));
            reduced.map(|at| gone.swap_remove(at)).is_none()
        })
        .map(|(i, _)| i)
        .collect()
}

fn differences(was: &NodeView, is: &NodeView) -> Vec<String> {
    let fields = [
        ("role", was.role != is.role),
        ("term", was.term != is.term),
        ("vote", was.vote != is.vote),
        ("log", (was.base, &was.log) != (is.base, &is.log)),
        ("commit", was.commit != is.commit),
        ("promised", was.promised != is.promised),
        ("notes", was.notes != is.notes),
        ("disk", (&was.unwritten, &was.held) != (&is.unwritten, &is.held)),
    ];
    let differ = fields.into_iter().filter(|(_, differs)| *differs);
    differ.map(|(field, _)| format!("{}.{field}", is.name)).collect()
}
