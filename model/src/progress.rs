//! Progress without temporal logic: from a state, a benign scheduler runs the cluster without
//! faults, and a leader has to commit, and to bring its log and its commit to everyone that it
//! reaches (claims NoDeadlock, CommitProgress, ReplicationProgress, SnapshotProgress: AG EF).
//!
//! The run starts with everything that is under way lost and everything written durable; servers
//! that hear a leader do not time out; the others time out one after the other. It depends on the
//! servers and the links alone, so its verdict is remembered by them (`verdicts`). It is imagined, no
//! part of the explored graph: what happens in it does not count as seen.

use quorate_spec::property::cluster::log_matching;
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::role::{Pace, Progress};
use quorate_spec::{Kind, Log, NodeId, Role};

use crate::intern::Interned;
use crate::model::SliceModel;
use crate::server::{Delivery, Operation, Outcome, PRESENT};
use crate::slice::Cutting;
use crate::state::{Budget, Servers, State};

/// How many rounds of messages follow each timeout: enough for a log to be repaired and a
/// configuration of two rounds of votes to be won.
const ROUNDS: usize = 12;

/// The scheduler.
pub(crate) struct Benign {
    servers: usize,
}

impl Benign {
    /// The claims that a benign run decides.
    pub(crate) const CLAIMS: ClaimSet = ClaimSet::of(&[
        Claim::NoDeadlock,
        Claim::CommitProgress,
        Claim::ReplicationProgress,
        Claim::SnapshotProgress,
    ]);

    /// A scheduler for so many servers.
    #[must_use]
    pub(crate) fn new(servers: usize) -> Benign {
        Benign { servers }
    }

    /// The claims that the benign run from this state breaks: it commits an entry of its leader's
    /// term, and takes everyone along. Links that can heal have healed; the others stay cut.
    pub(crate) fn progress(&self, model: &SliceModel, state: &State) -> ClaimSet {
        let heals = model.slice.cutting == Cutting::Heals;
        let cut = if heals { 0 } else { state.budget.cut };
        let mut run = Run {
            model,
            servers: state.servers.clone(),
            links: Budget { cut, ..Budget::default() },
            heard: vec![false; self.servers],
        };
        run.write_everything();
        run.stop_moving_snapshots();
        for attempt in 0..3 * self.servers {
            if let Some(leader) = run.commits() {
                return run.takes_along(leader);
            }
            run.let_time_pass();
            if let Some(leader) = run.commits() {
                return run.takes_along(leader);
            }
            run.time_out(NodeId((attempt % self.servers) as u64));
        }
        run.commits().map_or(Benign::CLAIMS, |leader| run.takes_along(leader))
    }
}

struct Run<'a> {
    model: &'a SliceModel,
    servers: Servers,
    links: Budget,
    /// Which servers heard the leader of their term in the last exchange.
    heard: Vec<bool>,
}

impl Run<'_> {
    fn act(&mut self, id: NodeId, operation: Operation) -> Interned<Outcome> {
        let delivery = Delivery { sync: true, eager: false };
        let at = id.0 as usize;
        let outcome = self.model.imagine(self.servers[at], operation, delivery);
        self.servers[at] = outcome.server;
        outcome
    }

    fn ids(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.servers.len() as u64).map(NodeId)
    }

    fn write_everything(&mut self) {
        for id in self.ids() {
            let pending = self.servers[id.0 as usize].disk.pending.len() as u8;
            self.act(id, Operation::Report(pending));
        }
    }

    /// What was being moved is lost with everything else that is under way, and the leaders hear it.
    fn stop_moving_snapshots(&mut self) {
        for leader in self.ids() {
            for peer in self.ids() {
                if self.servers[leader.0 as usize].moves_snapshot_to(peer).is_some() {
                    self.act(leader, Operation::StopMoving(peer));
                }
            }
        }
    }

    /// Everyone sends what is due to everyone, and every answer arrives, until nothing changes.
    fn exchange(&mut self) {
        self.heard.iter_mut().for_each(|heard| *heard = false);
        for _ in 0..ROUNDS {
            let before = self.servers.clone();
            for from in self.ids() {
                for to in self.ids().filter(|to| *to != from) {
                    self.ask(from, to);
                }
            }
            if before == self.servers {
                return;
            }
        }
    }

    fn ask(&mut self, from: NodeId, to: NodeId) {
        if matches!(self.servers[from.0 as usize].node.role(), Role::Follower { .. }) {
            return;
        }
        let Some(request) = self.act_transmit(from, to) else { return };
        if !self.links.is_open(from, to) {
            return;
        }
        let kind = request.message.body.kind();
        let append = matches!(kind, Kind::AppendEntries | Kind::InstallSnapshot);
        let answer = self.act(to, Operation::Receive(request));
        if append && self.servers[to.0 as usize].node.leader() == Some(from) {
            self.heard[to.0 as usize] = true;
        }
        for reply in &answer.sent {
            if self.links.is_open(to, reply.to) {
                self.act(reply.to, Operation::Receive(*reply));
            }
        }
    }

    fn act_transmit(
        &mut self,
        from: NodeId,
        to: NodeId,
    ) -> Option<Interned<quorate_spec::Envelope>> {
        self.act(from, Operation::Transmit(to)).sent.first().copied()
    }

    /// An election timeout passes everywhere: promises that are not renewed end, and leaders
    /// forget who answered. Drawn timeouts are longer, so no one campaigns yet.
    fn let_time_pass(&mut self) {
        for id in self.ids() {
            self.act(id, Operation::Lapse);
        }
    }

    /// Leaders that no quorum answered step down.
    fn look_at_leaders(&mut self) {
        for leader in self.ids() {
            if self.servers[leader.0 as usize].node.is_leader() {
                self.act(leader, Operation::Tick);
            }
        }
    }

    /// A server that no leader reached campaigns.
    fn time_out(&mut self, id: NodeId) {
        let node = &self.servers[id.0 as usize].node;
        let promised = node.promised_until() > PRESENT;
        if !node.is_leader() && !promised && !self.heard[id.0 as usize] {
            self.act(id, Operation::Timeout);
        }
    }

    /// The leader that has committed an entry of its term without being asked to, and commits what
    /// a client proposes now: a commit from before the run alone does not count.
    fn commits(&mut self) -> Option<NodeId> {
        self.exchange();
        self.look_at_leaders();
        let mut proposed = Vec::new();
        for id in self.ids() {
            let node = &self.servers[id.0 as usize].node;
            let own = node.log().term_at(node.commit_index()) == Some(node.current_term());
            if node.is_leader() && own {
                self.act(id, Operation::Propose);
                proposed.push((id, self.servers[id.0 as usize].node.log().last()));
            }
        }
        if proposed.is_empty() {
            return None;
        }
        self.exchange();
        let done = proposed.into_iter().find(|(id, entry)| {
            let node = &self.servers[id.0 as usize].node;
            node.is_leader() && node.commit_index() >= entry.index
        });
        done.map(|(id, _)| id)
    }

    /// The claims that are false although the leader commits: every server that it reaches, and
    /// that reaches it, has its log, with the leader's knowledge, and its commit index.
    fn takes_along(&mut self, leader: NodeId) -> ClaimSet {
        self.exchange();
        let node = &self.servers[leader.0 as usize].node;
        let reached = |id: &NodeId| {
            self.links.is_open(leader, *id) && self.links.is_open(*id, leader) && *id != leader
        };
        let others: Vec<NodeId> = self.ids().filter(reached).collect();
        let other = |id: &NodeId| &self.servers[id.0 as usize].node;
        let matched = |id: &NodeId| {
            let Role::Leader(leadership) = node.role() else { return false };
            let peer = leadership.peers.get(id);
            peer.is_some_and(|peer| peer.match_index == node.log().last().index)
                && same_log(other(id).log(), node.log())
        };
        let beyond_snapshot = |id: &NodeId| {
            let Role::Leader(leadership) = node.role() else { return false };
            let base = node.log().base().index;
            let arrived = |peer: &Progress| {
                peer.match_index >= base && !matches!(peer.pace, Pace::Snapshot(_))
            };
            leadership.peers.get(id).is_some_and(arrived)
        };
        let mut broken = ClaimSet::NONE;
        broken.require(Claim::SnapshotProgress, others.iter().all(beyond_snapshot));
        let committed = others.iter().all(|id| other(id).commit_index() == node.commit_index());
        broken.require(Claim::CommitProgress, committed);
        broken.require(Claim::ReplicationProgress, others.iter().all(matched));
        broken
    }
}

/// Whether both logs end alike and agree in what both know.
fn same_log(a: &Log, b: &Log) -> bool {
    a.last() == b.last() && log_matching(a, b) && a.configuration() == b.configuration()
}
