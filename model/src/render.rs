//! States and messages for people: sentences and a small table.

use std::fmt::Write;

use quorate_spec::role::Pace;
use quorate_spec::small::Set;
use quorate_spec::{
    AppendOutcome, Body, Configuration, EntryId, Envelope, Index, Instant, Log, Node, NodeId, Role,
    Snapshot,
};

use crate::server::{PRESENT, Server};
use crate::state::State;

/// What a message says, in a clause without its sender and receiver.
#[must_use]
pub fn message(envelope: &Envelope) -> String {
    let term = envelope.message.term;
    match &envelope.message.body {
        Body::PreVote { last, .. } => {
            format!("PreVote in term {term}, log up to {last:?}")
        }
        Body::PreVoteReply { granted: true, asked_in, .. } => {
            format!("a granted pre-vote for the term after {asked_in}")
        }
        Body::PreVoteReply { granted: false, .. } => {
            format!("a refused pre-vote, in term {term}")
        }
        // No candidate and no leader is in term 0: this is what the reductions leave of a request
        // that can only be refused.
        Body::RequestVote { .. } if term.0 == 0 => "a RequestVote whose term is over".to_owned(),
        Body::AppendEntries { .. } if term.0 == 0 => {
            "an AppendEntries whose term is over".to_owned()
        }
        Body::InstallSnapshot { .. } if term.0 == 0 => {
            "an InstallSnapshot whose term is over".to_owned()
        }
        Body::InstallSnapshot { snapshot } => {
            let Snapshot { last, configuration } = snapshot;
            format!("InstallSnapshot of term {term}, up to {last:?}, members {configuration:?}")
        }
        Body::RequestVote { last, handover } => {
            let why = if *handover { ", by handover" } else { "" };
            format!("RequestVote of term {term}, log up to {last:?}{why}")
        }
        Body::RequestVoteReply { granted: true } => format!("a granted vote of term {term}"),
        Body::RequestVoteReply { granted: false } => format!("a refused vote, in term {term}"),
        Body::AppendEntries { prev, entries, leader_commit } => {
            let until = entries.last_index(prev.index);
            let what = if entries.is_empty() {
                format!("heartbeat after {prev:?}")
            } else {
                let with = entries.configurations.iter();
                let with = with.map(|(at, c)| format!(" with {at}: {}", configuration(c)));
                format!("entries after {prev:?} up to {until}{}", with.collect::<String>())
            };
            let round = envelope.message.stamp.round;
            let round = if round > 0 { format!(", round {round}") } else { String::new() };
            format!("AppendEntries of term {term}, {what}, commit {leader_commit}{round}")
        }
        Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) => {
            format!("success up to {match_index}, in term {term}")
        }
        Body::AppendEntriesReply(AppendOutcome::Conflict { prev_index, hint }) => {
            format!("no match at {prev_index}, at most {hint:?}, in term {term}")
        }
        Body::AppendEntriesReply(AppendOutcome::Stale) => {
            format!("\"your term is over\", in term {term}")
        }
        Body::TimeoutNow => format!("TimeoutNow of term {term}"),
        Body::ReadIndex { token } => format!("ReadIndex for its read {token}"),
        Body::ReadIndexReply { token, index } => {
            format!("\"your read {token} is served at {index}\"")
        }
    }
}

/// What a message does when it leaves its sender, as a sentence.
#[must_use]
pub fn sending(envelope: &Envelope) -> String {
    let Envelope { from, to, message: said } = envelope;
    let term = said.term;
    match &said.body {
        Body::PreVote { .. } => format!("n{from} asks n{to} for a pre-vote"),
        Body::PreVoteReply { granted: true, .. } => {
            format!("n{from} would vote for n{to}")
        }
        Body::PreVoteReply { granted: false, .. } => format!("n{from} refuses n{to} a pre-vote"),
        Body::RequestVote { .. } => format!("n{from} asks n{to} for its vote in term {term}"),
        Body::RequestVoteReply { granted: true } => {
            format!("n{from} grants its vote to n{to} in term {term}")
        }
        Body::RequestVoteReply { granted: false } => {
            format!("n{from} refuses n{to} its vote in term {term}")
        }
        Body::AppendEntries { .. } | Body::InstallSnapshot { .. } => {
            format!("n{from} sends n{to} {}", message(envelope))
        }
        Body::AppendEntriesReply(AppendOutcome::Stale) => {
            format!("n{from} tells n{to} that it is in term {term}")
        }
        Body::AppendEntriesReply(_) => format!("n{from} answers n{to}: {}", message(envelope)),
        Body::TimeoutNow => format!("n{from} tells n{to} to campaign"),
        Body::ReadIndex { token } => format!("n{from} asks n{to} where to serve its read {token}"),
        Body::ReadIndexReply { .. } => format!("n{from} tells n{to}: {}", message(envelope)),
    }
}

/// What a message under way says; in a timed slice also when it, or what it answers, was sent.
#[must_use]
pub fn under_way(state: &State, envelope: &Envelope) -> String {
    let sent = envelope.message.stamp.sent.filter(|_| state.clocks.has_time());
    let when = sent.map_or(String::new(), |sent| format!(", {}", made(sent)));
    format!("{}{when}", message(envelope))
}

/// A small table of the servers, then what is under way.
#[must_use]
pub fn table(state: &State) -> String {
    let mut text =
        String::from("      role          term vote log                    commit notes\n");
    for server in &state.servers {
        row(&mut text, server, times(state, server));
    }
    for envelope in &state.net {
        // Writing into a String does not fail.
        let _ = writeln!(text, "   ⇢ n{}→n{} {}", envelope.from, envelope.to, message(envelope));
    }
    if state.budget.cut != 0 {
        text.push_str("   links cut\n");
    }
    if !state.broken.is_empty() {
        let _ = writeln!(text, "   false: {:?}", state.broken);
    }
    text
}

/// The times of a server in a timed slice: how long its promise lasts, when the requests were made
/// that followers have answered, and how many ticks its clock may gain on each other one.
#[must_use]
pub fn times(state: &State, server: &Server) -> Vec<String> {
    let (node, clocks) = (&server.node, state.clocks);
    let mut times = Vec::new();
    if clocks.has_time() && node.promised_until() > PRESENT {
        times.push(format!("promised for {}", node.promised_until().0 - PRESENT.0));
    }
    for (id, peer) in node.leadership().iter().flat_map(|leadership| &leadership.peers) {
        let heard = peer.heard.sent.filter(|_| clocks.has_time());
        times.extend(heard.map(|sent| format!("n{id} answered what was {}", made(sent))));
    }
    if clocks.are_counted() {
        let others = state.servers.iter().map(|other| other.node.id());
        let others = others.filter(|other| *other != node.id());
        let gains = others.map(|other| format!("{} on n{other}", clocks.of(node.id(), other)));
        times.push(format!("clock may gain {}", gains.collect::<Vec<_>>().join(", ")));
    }
    times
}

/// When a request was made, by the clock of who made it.
pub(crate) fn made(sent: Instant) -> String {
    match PRESENT.0.saturating_sub(sent.0) {
        0 => "sent now".to_owned(),
        1 => "sent 1 tick ago".to_owned(),
        ticks => format!("sent {ticks} ticks ago"),
    }
}

fn row(text: &mut String, server: &Server, times: Vec<String>) {
    let Server { node, gate, disk, .. } = server;
    let vote = node.voted_for().map_or("-".to_owned(), |id| format!("n{id}"));
    let mut notes = Vec::new();
    if times.is_empty() && node.promised_until() > PRESENT {
        notes.push("promised".to_owned());
    }
    match node.role() {
        Role::Follower { leader: Some(leader) } => notes.push(format!("follows n{leader}")),
        Role::Follower { leader: None } => {}
        Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
            if !campaign.granted.is_empty() {
                notes.push(format!("granted by {:?}", campaign.granted));
            }
        }
        Role::Leader(leadership) => {
            let matched = leadership.peers.iter();
            let list: Vec<_> = matched.map(|(id, p)| format!("n{id}:{}", p.match_index)).collect();
            notes.push(format!("match {}", list.join(" ")));
            let moved = leadership.peers.iter().filter_map(|(id, peer)| match peer.pace {
                Pace::Snapshot(index) => Some(format!("snapshot {index} to n{id}")),
                Pace::Probe | Pace::Replicate(_) => None,
            });
            notes.extend(moved);
            let reads = leadership.reads.iter();
            notes.extend(reads.map(|read| format!("read {} in round {}", read.token, read.round)));
            notes.extend(leadership.transfer.map(|it| format!("hands over to n{}", it.to)));
        }
    }
    notes.extend(node.forwards().iter().map(|forward| format!("asks for read {}", forward.token)));
    if !disk.pending.is_empty() {
        notes.push(format!("{} unwritten", disk.pending.len()));
    }
    notes.extend(times);
    let waiting = gate.held().count();
    if waiting > 0 {
        notes.push(format!("{waiting} held back"));
    }
    let _ = writeln!(
        text,
        "   n{} {:<13} {:<4} {:<4} {:<22} {:<6} {}",
        node.id(),
        node.role().name(),
        node.current_term(),
        vote,
        log(node.log()),
        node.commit_index(),
        notes.join(", ")
    );
}

/// The log as the terms of its entries, each with the configuration that it may be, after what its
/// snapshot ends with.
#[must_use]
pub fn log(log: &Log) -> String {
    let base = log.base();
    let compacted = (base.index > Index::ZERO).then(|| format!("[{base:?}]"));
    let named = |id: EntryId| {
        let here = log.configurations().find(|(at, _)| *at == id.index);
        here.map_or(String::new(), |(_, c)| format!(":{}", configuration(c)))
    };
    let entries = log.ids().map(|id| format!("t{}{}", id.term, named(id)));
    let parts: Vec<_> = compacted.into_iter().chain(entries).collect();
    if parts.is_empty() { "·".to_owned() } else { parts.join(" ") }
}

/// A configuration in few signs: `(0,1→1,2+3)` is joint, from the voters 0 and 1 to 1 and 2 and the
/// learner 3; `(0,1⇒1,2)` waits for the new voters to catch up.
#[must_use]
pub fn configuration(configuration: &Configuration) -> String {
    let list = |ids: &Set<NodeId>| ids.iter().map(NodeId::to_string).collect::<Vec<_>>().join(",");
    let half = |voters, learners: &Set<NodeId>| match learners.is_empty() {
        true => list(voters),
        false => format!("{}+{}", list(voters), list(learners)),
    };
    let Configuration { voters, outgoing, learners, target } = configuration;
    let (new, old) = (half(voters, learners), list(outgoing));
    let to = target.as_ref().map(|to| format!("⇒{}", half(&to.voters, &to.learners)));
    let arrow = if outgoing.is_empty() { "" } else { "→" };
    format!("({old}{arrow}{new}{})", to.unwrap_or_default())
}

/// What changed at a server, in clauses.
#[must_use]
pub fn changes(before: &Node, after: &Node) -> Vec<String> {
    let (id, term) = (after.id(), after.current_term());
    let mut clauses = Vec::new();
    let same_role = before.role().name() == after.role().name();
    let same_term = before.current_term() == term;
    match after.role() {
        Role::Follower { .. } if !same_role => {
            clauses.push(format!("n{id} steps back to follower in term {term}"));
        }
        Role::Follower { .. } if !same_term => clauses.push(format!("n{id} moves to term {term}")),
        Role::Follower { .. } => {}
        Role::PreCandidate(_) if before.role() != after.role() && !same_role => {
            clauses.push(format!("n{id} becomes a pre-candidate, still in term {term}"));
        }
        Role::PreCandidate(_) => {}
        Role::Candidate(_) if !same_role || !same_term => {
            clauses.push(format!("n{id} becomes a candidate and votes for itself in term {term}"));
        }
        Role::Candidate(_) => {}
        Role::Leader(_) if !same_role || !same_term => {
            clauses.push(format!("n{id} becomes leader of term {term}"));
        }
        Role::Leader(_) => {}
    }
    let (was, is) = (before.log(), after.log());
    if (was.last(), was.base()) != (is.last(), is.base()) {
        clauses.push(format!("n{id}'s log is now {}", log(is)));
    }
    if before.commit_index() != after.commit_index() {
        clauses.push(format!("n{id} commits up to {}", after.commit_index()));
    }
    clauses
}
