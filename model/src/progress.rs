//! Progress without temporal logic: from a state, a benign scheduler runs the cluster without
//! faults, and a leader has to commit, and to bring its log and its commit to everyone that it
//! reaches (claims NoDeadlock, CommitProgress, ReplicationProgress, SnapshotProgress: AG EF). Where the
//! members change, it goes on until the change is complete (claim ReconfigCompletes). That someone is
//! elected at all, and followed by all whom it reaches, is a claim of its own (ElectionProgress).
//!
//! The run starts with everything that is under way lost and everything written durable; servers
//! that hear a leader do not time out; the others time out one after the other. Whose turn it is
//! goes by an order of the servers: a claim is false where it is in every order, so that the verdict
//! does not depend on names. It depends on the servers and the links alone, and is remembered by them
//! (`verdicts`). The run is imagined, no part of the explored graph: what happens in it does not count
//! as seen.

use std::collections::{BTreeMap, VecDeque};

use quorate_spec::property::cluster::log_matching;
use quorate_spec::property::history::Event;
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::role::{Pace, Progress};
use quorate_spec::{Index, Kind, Log, NodeId, Role, Token};

use crate::canonical::permutations;
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
    /// Every order of the servers.
    orders: Vec<Vec<NodeId>>,
}

impl Benign {
    /// The claims that a benign run decides.
    pub(crate) const CLAIMS: ClaimSet = ClaimSet::of(&[
        Claim::ElectionProgress,
        Claim::NoDeadlock,
        Claim::CommitProgress,
        Claim::ReplicationProgress,
        Claim::ReconfigCompletes,
        Claim::SnapshotProgress,
        Claim::ReadProgress,
        Claim::TransferProgress,
    ]);

    /// A scheduler for so many servers.
    #[must_use]
    pub(crate) fn new(servers: usize) -> Benign {
        let names: Vec<usize> = (0..servers).collect();
        let order = |names: Vec<usize>| names.into_iter().map(|name| NodeId(name as u64)).collect();
        Benign { orders: permutations(&names).into_iter().map(order).collect() }
    }

    /// The claims that the benign runs from this state break, each of them: none commits an entry of
    /// its leader's term, or none takes everyone along. Under sound rules the first one does both, and
    /// is the only one that is run.
    pub(crate) fn progress(&self, model: &SliceModel, state: &State) -> ClaimSet {
        let mut broken = Benign::CLAIMS;
        for order in &self.orders {
            broken = broken.intersection(broken_in_turn(model, state, order));
            if broken.is_empty() {
                break;
            }
        }
        broken
    }
}

/// The claims that the benign run in this order breaks. Links that can heal have healed; the others
/// stay cut.
fn broken_in_turn(model: &SliceModel, state: &State, order: &[NodeId]) -> ClaimSet {
    let heals = model.slice.cutting == Cutting::Heals;
    let cut = if heals { 0 } else { state.budget.cut };
    let begin = || {
        let mut run = Run {
            model,
            order,
            servers: state.servers.clone(),
            links: Budget { cut, ..Budget::default() },
            heard: vec![false; order.len()],
            answered: Vec::new(),
            loses: None,
        };
        run.write_everything();
        run.stop_moving_snapshots();
        run
    };
    let mut run = begin();
    let leader = run.until(Run::commits, |_, _| true);
    let mut broken = leader.map_or(Benign::CLAIMS, |leader| run.takes_along(leader));
    let elects = leader.is_some_and(|leader| run.is_followed(leader))
        || begin().until(Run::leads, |_, _| true).is_some();
    broken = broken.without(Claim::ElectionProgress);
    broken.require(Claim::ElectionProgress, elects);
    let Some(leader) = leader else { return broken };
    if model.slice.claims.contains(Claim::ReadProgress) {
        broken.require(Claim::ReadProgress, run.answers_reads(leader, &state.history.reads));
    }
    if model.slice.claims.contains(Claim::TransferProgress) {
        broken.require(Claim::TransferProgress, run.hands_over(leader));
    }
    if model.slice.claims.contains(Claim::ReconfigCompletes) {
        broken
            .require(Claim::ReconfigCompletes, run.until(Run::commits, Run::has_changed).is_some());
    }
    broken
}

struct Run<'a> {
    model: &'a SliceModel,
    /// Whose turn it is.
    order: &'a [NodeId],
    servers: Servers,
    links: Budget,
    /// Which servers heard the leader of their term in the last exchange.
    heard: Vec<bool>,
    /// The reads that were answered in the run, by server.
    answered: Vec<(NodeId, Token)>,
    /// What is lost on every link.
    loses: Option<Kind>,
}

impl<'a> Run<'a> {
    fn act(&mut self, id: NodeId, operation: Operation) -> Interned<Outcome> {
        let delivery = Delivery { sync: true, eager: false };
        let at = id.0 as usize;
        let outcome = self.model.imagine(self.servers[at], operation, delivery);
        self.servers[at] = outcome.server;
        self.answered.extend(outcome.events.iter().filter_map(|event| match event {
            Event::ReadAnswered { server, token, .. } => Some((*server, *token)),
            _ => None,
        }));
        outcome
    }

    /// The servers, in turn.
    fn ids(&self) -> impl Iterator<Item = NodeId> + use<'a> {
        self.order.iter().copied()
    }

    /// Runs until there is a leader, one that commits or that leads at all, of which this holds:
    /// gives the leader.
    fn until(
        &mut self,
        leader: impl Fn(&mut Self) -> Option<NodeId>,
        holds: impl Fn(&Self, NodeId) -> bool,
    ) -> Option<NodeId> {
        let order = self.order;
        for next in order.iter().cycle().take(3 * order.len()) {
            if let Some(leader) = leader(self).filter(|leader| holds(self, *leader)) {
                return Some(leader);
            }
            self.let_time_pass();
            if let Some(leader) = leader(self).filter(|leader| holds(self, *leader)) {
                return Some(leader);
            }
            self.time_out(*next);
        }
        leader(self).filter(|leader| holds(self, *leader))
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
        let node = &self.servers[from.0 as usize].node;
        if matches!(node.role(), Role::Follower { .. }) && node.forwards().is_empty() {
            return;
        }
        let Some(request) = self.act_transmit(from, to) else { return };
        if !self.links.is_open(from, to) {
            return;
        }
        let kind = request.message.body.kind();
        if self.loses == Some(kind) {
            return;
        }
        let append = matches!(kind, Kind::AppendEntries | Kind::InstallSnapshot);
        let answer = self.act(to, Operation::Receive(request));
        if append && self.servers[to.0 as usize].node.leader() == Some(from) {
            self.heard[to.0 as usize] = true;
        }
        let mut replies: VecDeque<_> = answer.sent.iter().copied().collect();
        while let Some(reply) = replies.pop_front() {
            if self.links.is_open(reply.from, reply.to) {
                let more = self.act(reply.to, Operation::Receive(reply));
                replies.extend(more.sent.iter().copied());
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
                let before = node.log().last();
                self.act(id, Operation::Propose);
                let entry = self.servers[id.0 as usize].node.log().last();
                if entry != before {
                    proposed.push((id, entry));
                }
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

    /// The members that this leader reaches, and that reach it.
    fn reached(&self, leader: NodeId) -> Vec<NodeId> {
        let configuration = self.servers[leader.0 as usize].node.log().configuration();
        configuration.members().filter(|id| self.is_reached(leader, *id)).collect()
    }

    /// Whether the reads that were waiting have been answered at every server that the leader
    /// reaches. Every read that a client could ask for waits in some state of the slice.
    fn answers_reads(
        &mut self,
        leader: NodeId,
        waiting: &BTreeMap<(NodeId, Token), Index>,
    ) -> bool {
        if waiting.is_empty() {
            return true;
        }
        self.exchange();
        let reached = self.reached(leader);
        let answered = |read: &(NodeId, Token)| self.answered.contains(read);
        let owed = |id: NodeId| id == leader || reached.contains(&id);
        waiting.keys().filter(|(id, _)| owed(*id)).all(answered)
    }

    /// Whether no transfer of leadership is left under way, and one to each voter that the leader
    /// reaches makes that the leader, which takes a last command along; and costs the leader nothing
    /// where the other is told in vain.
    fn hands_over(&mut self, leader: NodeId) -> bool {
        let servers = self.servers.clone();
        let stuck = |id: NodeId| {
            let leadership = servers[id.0 as usize].node.leadership();
            leadership.is_some_and(|leadership| leadership.transfer.is_some())
        };
        let voters = &servers[leader.0 as usize].node.log().configuration().voters;
        let mut all = !self.ids().any(stuck);
        for to in self.reached(leader).into_iter().filter(|id| voters.contains(id)) {
            self.act(leader, Operation::Propose);
            self.act(leader, Operation::Transfer(to));
            let before = self.servers[leader.0 as usize].node.log().last();
            self.act(leader, Operation::Propose);
            all &= self.servers[leader.0 as usize].node.log().last() == before;
            self.exchange();
            all &= self.servers[to.0 as usize].node.is_leader();
            self.servers.clone_from(&servers);
            all &= self.outlasts_transfer(leader, to);
            self.servers.clone_from(&servers);
        }
        all
    }

    /// Whether the leader still leads when it had an election timeout to tell this server to
    /// campaign, and nothing of that arrived.
    fn outlasts_transfer(&mut self, leader: NodeId, to: NodeId) -> bool {
        self.act(leader, Operation::Transfer(to));
        self.loses = Some(Kind::TimeoutNow);
        // On its clock: the others hear it again before their promises end.
        self.act(leader, Operation::Lapse);
        self.exchange();
        self.look_at_leaders();
        self.loses = None;
        self.servers[leader.0 as usize].node.is_leader()
    }

    /// The leader that a quorum follows, with everyone whom it reaches and who reaches it.
    fn leads(&mut self) -> Option<NodeId> {
        self.exchange();
        self.look_at_leaders();
        self.ids().find(|id| {
            let configuration = self.servers[id.0 as usize].node.log().configuration();
            let follows = |other| other == *id || self.is_reached(*id, other);
            self.is_followed(*id) && configuration.is_quorum(follows)
        })
    }

    /// Whether this server leads, and every member follows it that it reaches and that reaches it.
    fn is_followed(&self, leader: NodeId) -> bool {
        let node = &self.servers[leader.0 as usize].node;
        let mut members = node.log().configuration().members();
        node.is_leader()
            && members.all(|id| {
                let other = &self.servers[id.0 as usize].node;
                let follows =
                    other.current_term() == node.current_term() && other.leader() == Some(leader);
                follows || !self.is_reached(leader, id)
            })
    }

    /// Whether the links between two servers are open, both ways.
    fn is_reached(&self, leader: NodeId, id: NodeId) -> bool {
        id != leader && self.links.is_open(leader, id) && self.links.is_open(id, leader)
    }

    /// Whether no change of the members is under way: what this leader goes by is committed, names
    /// it, and leads to nothing else.
    fn has_changed(&self, leader: NodeId) -> bool {
        let node = &self.servers[leader.0 as usize].node;
        let (at, latest) = node.log().latest_configuration();
        let rests = !latest.is_joint() && latest.target.is_none();
        rests && at <= node.commit_index() && latest.voters.contains(&leader)
    }

    /// The claims that are false although the leader commits: every member that it reaches, and
    /// that reaches it, has its log, with the leader's knowledge, and its commit index.
    fn takes_along(&mut self, leader: NodeId) -> ClaimSet {
        self.exchange();
        let node = &self.servers[leader.0 as usize].node;
        let others = self.reached(leader);
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

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use quorate_spec::Rename;
    use stateright::Model;

    use super::*;
    use crate::guards::Guards;
    use crate::mutation::Mutation;
    use crate::server::Server;
    use crate::slice::Slice;
    use crate::slices;

    /// So many states, the nearest first.
    fn states(model: &SliceModel, most: usize) -> Vec<State> {
        let mut states = model.init_states();
        let mut seen: HashSet<State> = states.iter().cloned().collect();
        let mut at = 0;
        while at < states.len() && states.len() < most {
            let next = model.next_states(&states[at]);
            states.extend(next.into_iter().filter(|state| seen.insert(state.clone())));
            at += 1;
        }
        states
    }

    /// The state under other names; the servers alone, for they decide.
    fn renamed(state: &State, names: &[usize]) -> State {
        let mut servers = state.servers.clone();
        for (old, server) in state.servers.iter().enumerate() {
            let mut server: Server = (**server).clone();
            server.rename(&|id| NodeId(names[id.0 as usize] as u64));
            servers[names[old]] = Interned::new(server);
        }
        State { servers, ..state.clone() }
    }

    /// How many states were stuck that were compared under all their names.
    fn compare(slice: Slice, mutation: Mutation, most: usize) -> usize {
        let model = SliceModel::new(slice, Guards::broken(mutation));
        let benign = Benign::new(slice.servers);
        let names: Vec<usize> = (0..slice.servers).collect();
        let mut stuck = 0;
        for state in states(&model, most) {
            let verdict = benign.progress(&model, &state);
            for names in permutations(&names) {
                let other = benign.progress(&model, &renamed(&state, &names));
                assert_eq!(verdict, other, "{} as {names:?}: {state:?}", mutation.name());
            }
            stuck += usize::from(!verdict.is_empty());
        }
        stuck
    }

    #[test]
    fn the_verdict_does_not_depend_on_the_names_of_the_servers() {
        let named = |name| slices::named(name).expect("it is in the catalogue");
        let mut stuck = 0;
        for mutation in Mutation::ALL {
            for name in ["replication", "pre-vote", "step-down"] {
                stuck += compare(named(name), *mutation, 400);
            }
        }
        assert!(stuck >= 1000, "only {stuck} states had something to compare");
    }

    #[test]
    fn five_servers_have_one_verdict_under_all_their_names() {
        let five = slices::named("replication-five").expect("it is in the catalogue");
        assert!(compare(five, Mutation::NeverLearnsCommit, 3) > 0);
        assert_eq!(compare(five, Mutation::IgnoresLogs, 100), 0);
    }
}
