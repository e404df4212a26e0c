//! A state as the page shows it: the JSON document that Stateright hands on.

use quorate_spec::durable::{SnapshotWrite, Write};
use quorate_spec::role::{Pace, Progress};
use quorate_spec::{EntryId, Envelope, Index, Node, NodeId, Role, Term};
use serde::Serialize;

use super::quorum::Explanation;
use super::tally::ticks;
use super::walk::{Header, Verdict};
use crate::render::{configuration, made, message, under_way};
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
    /// What anyone ever knew to be committed, entry by entry, which no server sees.
    pub committed: Vec<CommittedView>,
    /// Each claim, the false ones first.
    pub claims: Vec<Verdict>,
    /// Why claims are false that are.
    pub explained: Vec<Explanation>,
    /// A number of servers, messages, links and claims, the same in every build of the same
    /// specification: a link carries it.
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
    /// The term of that entry.
    pub base_term: u64,
    /// Its log, entry by entry.
    pub log: Vec<EntryView>,
    /// Its commit index.
    pub commit: u64,
    /// The last index that it knows to be on its disk.
    pub durable: u64,
    /// The configuration that it goes by, as far as its log has one.
    pub members: String,
    /// Its promise not to vote, on its own clock; none where it has promised nothing.
    pub promise: Option<String>,
    /// The lease that it holds, on its own clock.
    pub lease: Option<String>,
    /// What it knows of the others as their leader.
    pub peers: Vec<PeerView>,
    /// What else only its role knows.
    pub notes: Vec<String>,
    /// How its clock may move, where each server has its own.
    pub clock: Vec<String>,
    /// The writes that are not on disk.
    pub unwritten: Vec<String>,
    /// The messages that wait for them.
    pub held: Vec<String>,
}

/// A server as its leader knows it.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct PeerView {
    /// Its name.
    pub name: String,
    /// The next entry to send.
    pub next: u64,
    /// Up to where the logs are known to agree.
    pub matched: u64,
    /// How entries are sent at present.
    pub pace: String,
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

/// An entry that was committed.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct CommittedView {
    /// Its index.
    pub index: u64,
    /// Its term.
    pub term: u64,
    /// The term in which it was committed.
    pub by: u64,
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
    StateView {
        served: None,
        nodes: state.servers.iter().map(|server| node(state, server)).collect(),
        messages: state.net.iter().map(|envelope| message_view(state, envelope)).collect(),
        cut: cut.map(|(from, to)| format!("n{from} ↛ n{to}")).collect(),
        left: left
            .map(|(one, many, n)| format!("{n} {}", if n == 1 { one } else { many }))
            .collect(),
        committed: committed(state),
        fingerprint: fingerprint(state, &claims),
        claims,
        explained: Vec::new(),
    }
}

fn committed(state: &State) -> Vec<CommittedView> {
    let committed = state.history.committed.iter();
    let view = |(index, (term, by)): (&Index, &(Term, Term))| CommittedView {
        index: index.0,
        term: term.0,
        by: by.0,
    };
    committed.map(view).collect()
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
        base_term: node.log().base().term.0,
        log: node.log().ids().map(entry).collect(),
        commit: node.commit_index().0,
        durable: node.durable_index().0,
        members: configuration(node.log().configuration()),
        promise: promise(state, server),
        lease: None,
        peers: node.leadership().iter().flat_map(|it| &it.peers).map(peer).collect(),
        notes: notes(node).into_iter().chain(answers(state, server)).collect(),
        clock: clock(state, node.id()),
        unwritten: disk.pending.iter().map(write).collect(),
        held: held.collect(),
    }
}

/// The server's promise, and how long it lasts where time is counted.
fn promise(state: &State, server: &Server) -> Option<String> {
    let until = server.node.promised_until();
    let left = until.0.checked_sub(PRESENT.0).filter(|left| *left > 0)?;
    Some(match state.clocks.has_time() {
        true => format!("for {} more", ticks(left)),
        false => "in force".to_owned(),
    })
}

fn peer((id, peer): (&NodeId, &Progress)) -> PeerView {
    let pace = match &peer.pace {
        Pace::Probe => "probes".to_owned(),
        Pace::Replicate(sent) if sent.is_empty() => "streams".to_owned(),
        Pace::Replicate(sent) => format!("streams, {} not answered", sent.len()),
        Pace::Snapshot(index) => format!("is sent a snapshot up to {index}"),
    };
    let (next, matched) = (peer.next_index.0, peer.match_index.0);
    PeerView { name: name(*id), next, matched, pace }
}

/// When the requests were made that followers have answered, on the leader's clock.
fn answers(state: &State, server: &Server) -> Vec<String> {
    let peers = server.node.leadership().into_iter().flat_map(|leadership| &leadership.peers);
    let timed = peers.filter(|_| state.clocks.has_time());
    let told = timed.filter_map(|(id, peer)| Some((id, peer.heard.sent?)));
    told.map(|(id, sent)| format!("n{id} answered what was {}", made(sent))).collect()
}

/// How much a server's clock may still gain on each other one, where each has its own.
fn clock(state: &State, id: NodeId) -> Vec<String> {
    let others = state.servers.iter().map(|other| other.node.id());
    let others = others.filter(|other| *other != id && state.clocks.are_counted());
    let gain = |other| match state.clocks.of(id, other) {
        0 => format!("n{id}'s clock may gain nothing more on n{other}'s"),
        more => format!("n{id}'s clock may still gain {} on n{other}'s", ticks(more)),
    };
    others.map(gain).collect()
}

pub(super) fn name(id: NodeId) -> String {
    format!("n{id}")
}

fn notes(node: &Node) -> Vec<String> {
    let mut notes = match node.role() {
        Role::Follower { leader } => leader.iter().map(|id| format!("follows n{id}")).collect(),
        Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
            let granted: Vec<_> = campaign.granted.iter().map(|id| format!("n{id}")).collect();
            let list =
                if granted.is_empty() { "nobody yet".to_owned() } else { granted.join(", ") };
            vec![format!("granted by {list}")]
        }
        Role::Leader(leadership) => {
            let reads = leadership.reads.iter();
            let reads = reads.map(|it| format!("read {} waits for round {}", it.token, it.round));
            let transfer = leadership.transfer.iter();
            reads.chain(transfer.map(|it| format!("hands over to n{}", it.to))).collect()
        }
    };
    let asks = node.forwards().iter().map(|forward| forward.token);
    notes.extend(asks.map(|token| format!("asks its leader for read {token}")));
    notes
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

/// FNV-1a: it does not depend on the build, and its rule fits in a line. It is of what servers,
/// messages and links are, and not of the words for them.
fn fingerprint(state: &State, claims: &[Verdict]) -> String {
    let broken: Vec<_> = claims.iter().filter(|v| !v.holds).map(|v| &v.claim).collect();
    let servers: Vec<&Server> = state.servers.iter().map(|server| &**server).collect();
    let net: Vec<&Envelope> = state.net.iter().map(|envelope| &**envelope).collect();
    let text = format!("{:?}", (servers, net, state.budget, state.clocks, broken));
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
    format!("{:016x}", text.bytes().fold(0xcbf2_9ce4_8422_2325, step))
}
