//! A server as a page sees it.

use serde::Serialize;

use quorate_spec::small::Set;
use quorate_spec::{Configuration, Instant, Node, NodeId, Protocol, Role, Rules};

use super::host::{Down, Host};

/// A server at some moment. Instants are on its own clock, in microseconds.
#[derive(Clone, Serialize, PartialEq, Eq, Debug)]
pub struct HostView {
    /// Since when it is like that, from the start of the scene on.
    pub at: i64,
    /// Whether it runs.
    pub up: bool,
    /// Why it has stopped for good.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stopped: Option<String>,
    /// Its role.
    pub role: &'static str,
    /// Whether it votes, as far as it knows.
    pub votes: bool,
    /// Its term.
    pub term: u64,
    /// Whom it voted for in that term.
    pub vote: Option<u64>,
    /// The leader that it knows.
    pub leader: Option<u64>,
    /// The entries of its log, as terms and how many of each follow each other.
    pub log: Vec<(u64, u64)>,
    /// Which entries are configurations.
    pub configurations: Vec<u64>,
    /// Up to where it knows its log to be committed.
    pub commit: u64,
    /// Up to where its log is on its disk.
    pub durable: u64,
    /// Since when its clock goes at its present speed, from the start on; what it showed then; and
    /// the speed in percent.
    pub clock: (i64, u64, u64),
    /// Until when it has promised not to vote.
    pub promise: u64,
    /// When its election timer fires; 0 for a leader, which has none.
    pub timer: u64,
    /// Until when it holds a lease.
    pub lease: Option<u64>,
    /// The configuration that it goes by.
    pub members: Members,
    /// Whoever counts for it in a majority, itself included: who has answered it lately as a leader,
    /// or has granted it a vote.
    pub support: Vec<u64>,
    /// Whether these are a majority, by the rules that it runs under.
    pub decides: bool,
}

/// A configuration.
#[derive(Clone, Serialize, PartialEq, Eq, Debug)]
pub struct Members {
    /// The voters, of the new half in a joint configuration.
    pub voters: Vec<u64>,
    /// The voters of the old half, if it is joint.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outgoing: Vec<u64>,
    /// The learners.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub learners: Vec<u64>,
}

impl HostView {
    /// What a server looks like at this true instant, where the scene starts at `start`.
    pub(crate) fn of<R: Rules>(
        protocol: &Protocol<R>,
        host: &Host,
        now: u64,
        start: u64,
    ) -> HostView {
        let (node, clock) = (&host.server.node, host.clock);
        let time = |at: u64| at.cast_signed() - start.cast_signed();
        let configuration = protocol.configuration(node);
        let until = |at: Instant| at.0;
        let lease = protocol.read_view(node).lease_until.map(until);
        let stopped = match host.down {
            Some(Down::Stopped(fatal)) => Some(fatal.to_string()),
            Some(Down::Crashed) | None => None,
        };
        let support = support(host, now, protocol.params.election_timeout.0);
        HostView {
            at: time(now),
            up: host.is_up(),
            stopped,
            role: role(node),
            votes: configuration.is_voter(node.id()),
            term: node.current_term().0,
            vote: node.voted_for().map(|id| id.0),
            leader: node.leader().map(|id| id.0),
            log: log(node),
            configurations: node.log().configurations().map(|(at, _)| at.0).collect(),
            commit: node.commit_index().0,
            durable: node.durable_index().0,
            clock: (time(clock.since), clock.shows, clock.rate),
            promise: node.promised_until().0,
            timer: if node.is_leader() { 0 } else { node.election_deadline().0 },
            lease,
            members: members(configuration),
            decides: decides(protocol, host, now),
            support,
        }
    }

    /// Whether it is the same but for the moment.
    pub(crate) fn same(&self, other: &HostView) -> bool {
        HostView { at: other.at, ..self.clone() } == *other
    }
}

fn role(node: &Node) -> &'static str {
    match node.role() {
        Role::Follower { .. } => "follower",
        Role::PreCandidate(_) => "pre-candidate",
        Role::Candidate(_) => "candidate",
        Role::Leader(_) => "leader",
    }
}

fn log(node: &Node) -> Vec<(u64, u64)> {
    let mut runs: Vec<(u64, u64)> = Vec::new();
    for id in node.log().ids() {
        match runs.last_mut() {
            Some((term, count)) if *term == id.term.0 => *count += 1,
            _ => runs.push((id.term.0, 1)),
        }
    }
    runs
}

fn members(configuration: &Configuration) -> Members {
    let list = |ids: &Set<NodeId>| ids.iter().map(|id| id.0).collect();
    let Configuration { voters, outgoing, learners, .. } = configuration;
    Members { voters: list(voters), outgoing: list(outgoing), learners: list(learners) }
}

/// Whether those who count for a server are a majority, by the rules that it runs under.
pub(crate) fn decides<R: Rules>(protocol: &Protocol<R>, host: &Host, now: u64) -> bool {
    let support = support(host, now, protocol.params.election_timeout.0);
    let counts = |id: NodeId| support.contains(&id.0);
    let configuration = protocol.configuration(&host.server.node);
    !support.is_empty() && protocol.rules.is_quorum(configuration, &counts)
}

/// Only for the drawing: what counts is decided by the specification.
fn support(host: &Host, now: u64, lately: u64) -> Vec<u64> {
    let node = &host.server.node;
    let mut ids: Vec<u64> = match node.role() {
        Role::Follower { .. } => return Vec::new(),
        Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
            campaign.granted.iter().map(|id| id.0).collect()
        }
        Role::Leader(_) => {
            let heard = host.heard.iter().filter(|(_, at)| now.saturating_sub(**at) <= lately);
            heard.map(|(id, _)| id.0).collect()
        }
    };
    ids.push(node.id().0);
    ids.sort_unstable();
    ids.dedup();
    ids
}
