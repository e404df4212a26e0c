//! The three entry points: start a node, let something happen to it, ask it for a request.

use alloc::vec::Vec;

use crate::configuration::{Configuration, reached_by_quorum};
use crate::durable::{Durable, HardState, LogWrite, SnapshotWrite, Write};
use crate::effects::{Effects, Input, Outgoing, Persist};
use crate::log::Entries;
use crate::message::{Body, Message, Stamp};
use crate::node::{Node, PendingWrite};
use crate::params::Params;
use crate::read_view::ReadView;
use crate::refusal::Refusal;
use crate::role::{Cause, Progress, Role, TRANSITIONS};
use crate::rules::{Pledge, Rules, Sound};
use crate::types::{Duration, Index, Instant, Moment, NodeId, WriteId};

/// The protocol: its rules and parameters. It holds no state; nodes do.
#[derive(Clone, Copy, Debug)]
pub struct Protocol<R = Sound> {
    /// The guards.
    pub rules: R,
    /// Timeouts and switches.
    pub params: Params,
}

impl<R: Rules> Protocol<R> {
    /// A node that starts, or restarts, from what its disk holds: a follower that knows no
    /// leader, and, because it may have heard one just before, is under the promise (rule L8).
    #[must_use]
    pub fn start(&self, id: NodeId, durable: Durable, moment: Moment) -> Node {
        let mut node = Node::recovered(id, durable, moment.now);
        let e = self.params.election_timeout;
        if self.params.stickiness {
            node.promised_until = self.rules.promise_on_restart(moment.now, e);
        }
        node.election_deadline = self.draw_deadline(moment).max(node.promised_until);
        if self.rules.leads_after_restart(id, node.hard_state()) {
            let mut effects = Effects::default();
            let step = Step::new(self, &mut node, moment, &mut effects);
            step.node.role = Role::Leader(step.fresh_leadership());
        }
        node
    }

    /// Lets `input` happen to the node. `effects` is cleared first.
    ///
    /// Total and deterministic: whatever the input, the node ends in a legal state, and what was
    /// refused is in [`Effects::refused`].
    pub fn step(&self, node: &mut Node, moment: Moment, input: Input, effects: &mut Effects) {
        effects.clear();
        let before = (node.hard_state(), self.read_view(node));
        let mut step = Step::new(self, node, moment, effects);
        match input {
            Input::Tick => step.tick(),
            Input::Receive(envelope) => step.receive(envelope),
            Input::Persisted(id) => step.persisted(id),
            Input::Propose { count } => step.propose(count),
            Input::ChangeMembers(target) => step.change_members(target),
            Input::SnapshotTaken { index } => step.snapshot_taken(index),
            Input::SnapshotReported { peer, index } => step.snapshot_reported(peer, index),
            Input::Campaign => step.campaign(),
            Input::TransferLeadership(to) => step.transfer_leadership(to),
            Input::Read(token) => step.read(token),
        }
        step.settle_reads();
        step.finish(before.0);
        let view = self.read_view(node);
        if view != before.1 {
            effects.publish = Some(view);
            if view.commit_index > before.1.commit_index {
                effects.commit = Some(view.commit_index);
            }
        }
    }

    /// When the driver has to call [`Protocol::step`] with [`Input::Tick`] and then ask every
    /// peer's [`Protocol::poll_transmit`] again, at the latest. Every peer: one that is not asked
    /// stays due, and the deadline in the past.
    #[must_use]
    pub fn next_deadline(&self, node: &Node) -> Instant {
        let resend = |at: &Instant| at.after(self.params.heartbeat_interval);
        match &node.role {
            Role::Follower { leader } => {
                let again = |asked: Option<(NodeId, Instant)>| match asked {
                    Some((to, at)) if Some(to) == *leader => resend(&at),
                    Some(_) | None => Instant(0),
                };
                let due = node.forwards.iter().map(|forward| again(forward.asked)).min();
                let due = due.filter(|_| leader.is_some());
                due.map_or(node.election_deadline, |at| at.min(node.election_deadline))
            }
            Role::PreCandidate(campaign) | Role::Candidate(campaign) => {
                let voters = self.configuration(node).all_voters();
                let open = voters.filter(|id| *id != node.id && !campaign.granted.contains(id));
                let due = |id| campaign.asked.get(&id).map_or(Instant(0), resend);
                let earliest = open.map(due).min();
                earliest.map_or(node.election_deadline, |at| at.min(node.election_deadline))
            }
            Role::Leader(leadership) => {
                let sent = leadership.peers.values().map(|peer| peer.sent_at.as_ref());
                let due = sent.map(|at| at.map_or(Instant(0), resend)).min();
                let quiet = self.params.check_quorum.then(|| self.quorum_deadline(node));
                let disk = node.disk_due_by();
                let transfer = leadership.transfer.map(|transfer| transfer.deadline);
                let configuration = self.configuration(node);
                let asks = |(id, peer): (&NodeId, &Progress)| {
                    configuration.is_voter(*id) && peer.asked < leadership.round
                };
                let read = !leadership.reads.is_empty() && leadership.peers.iter().any(asks);
                let read = read.then_some(Instant(0));
                let all = due.into_iter().chain(quiet).chain(disk).chain(transfer).chain(read);
                all.min().unwrap_or(Instant(u64::MAX))
            }
        }
    }

    /// When a leader that hears nothing more has to step down (§6.2).
    fn quorum_deadline(&self, node: &Node) -> Instant {
        let contact = self.quorum_contact(node);
        contact.map_or(Instant(0), |at| at.after(self.params.election_timeout))
    }

    /// The latest instant since when a quorum has answered the leader; its own answer is always
    /// the latest. None where no quorum has.
    pub(crate) fn quorum_contact(&self, node: &Node) -> Option<Instant> {
        let Role::Leader(leadership) = &node.role else { return None };
        let contact = |id: NodeId| {
            if id == node.id {
                return Some(Instant(u64::MAX));
            }
            leadership.peers.get(&id).and_then(|peer| peer.last_contact)
        };
        let configuration = self.configuration(node);
        let is_quorum = |has: &dyn Fn(NodeId) -> bool| self.rules.is_quorum(configuration, has);
        reached_by_quorum(configuration, contact, is_quorum).flatten()
    }

    /// What readers may know at present.
    #[must_use]
    pub fn read_view(&self, node: &Node) -> ReadView {
        ReadView {
            term: node.current_term,
            leader: node.leader(),
            commit_index: node.commit_index,
            lease_until: self.lease_until(node),
        }
    }

    /// Until when no other server can lead a later term, as far as this one knows: a quorum of the
    /// configuration in force promised that, each when it answered a request that had been made by
    /// then (§6.4.1, rules L1 to L6). A leader that votes is one of them: it helps nobody else while
    /// it leads.
    fn lease_until(&self, node: &Node) -> Option<Instant> {
        let (lease, leadership) = (self.params.lease?, node.leadership()?);
        let committed = node.log.term_at(node.commit_index);
        self.rules.may_hold_lease(committed, node.current_term).ok()?;
        let transferring = leadership.transfer.is_some();
        self.rules.lease_survives(transferring, leadership.handed_over).ok()?;
        let promised = |id: NodeId| {
            if id == node.id {
                return Some(Instant(u64::MAX));
            }
            leadership.peers.get(&id).and_then(|peer| peer.heard.sent)
        };
        let configuration = self.configuration(node);
        let is_quorum = |has: &dyn Fn(NodeId) -> bool| self.rules.is_quorum(configuration, has);
        let start = reached_by_quorum(configuration, promised, is_quorum).flatten()?;
        Some(self.rules.lease_end(start, lease.duration))
    }

    /// The configuration that the node goes by: the latest in its log (rule J4).
    #[must_use]
    pub fn configuration<'n>(&self, node: &'n Node) -> &'n Configuration {
        let (at, latest) = node.log.latest_configuration();
        let in_force = self.rules.is_in_force(at, node.commit_index);
        if in_force {
            latest
        } else {
            node.log.configuration_at(node.commit_index).unwrap_or(latest)
        }
    }

    /// The servers that the node may have a request for, now or once it is due: whom a driver asks
    /// [`Protocol::poll_transmit`] for.
    #[must_use]
    pub fn recipients(&self, node: &Node) -> Vec<NodeId> {
        match &node.role {
            Role::Follower { leader } => {
                leader.iter().copied().filter(|_| !node.forwards.is_empty()).collect()
            }
            Role::PreCandidate(_) | Role::Candidate(_) => {
                self.configuration(node).all_voters().filter(|id| *id != node.id).collect()
            }
            Role::Leader(leadership) => leadership.peers.keys().copied().collect(),
        }
    }

    /// The instant by which every deadline of the node has passed, if nothing else happens: what
    /// an untimed model lets happen at any time.
    #[must_use]
    pub fn horizon(&self, node: &Node, now: Instant) -> Instant {
        let e = self.params.election_timeout;
        let quiet = if node.is_leader() { now.after(e) } else { node.election_deadline };
        quiet.max(node.promised_until).max(now)
    }

    pub(crate) fn draw_deadline(&self, moment: Moment) -> Instant {
        let jitter = moment.draw % self.params.election_jitter.0.max(1);
        moment.now.after(self.params.election_timeout).after(Duration(jitter))
    }

    pub(crate) fn address(&self, node: &Node, to: NodeId, pledge: Pledge, body: Body) -> Outgoing {
        let index = match pledge {
            Pledge::Entries(index) => Some(index),
            Pledge::Term | Pledge::Candidacy | Pledge::Vote => None,
        };
        let needs = self.rules.needs(pledge, node.unwritten_up_to(index));
        Outgoing { needs, to, message: Message::new(node.current_term, body) }
    }
}

/// One step in progress. The files of [`transition`](crate::transition) add its methods.
pub(crate) struct Step<'a, R> {
    pub(crate) protocol: &'a Protocol<R>,
    pub(crate) node: &'a mut Node,
    pub(crate) moment: Moment,
    pub(crate) effects: &'a mut Effects,
    pub(crate) snapshot_write: Option<SnapshotWrite>,
    /// The stamp of the message that has come, for the answer to it.
    pub(crate) echo: Stamp,
    log_write: Option<LogWrite>,
    replies: Vec<(Pledge, NodeId, Body)>,
    at_once: Option<(NodeId, Body)>,
}

impl<'a, R: Rules> Step<'a, R> {
    fn new(
        protocol: &'a Protocol<R>,
        node: &'a mut Node,
        moment: Moment,
        effects: &'a mut Effects,
    ) -> Self {
        Step {
            protocol,
            node,
            moment,
            effects,
            snapshot_write: None,
            echo: Stamp::NONE,
            log_write: None,
            replies: Vec::new(),
            at_once: None,
        }
    }

    pub(crate) fn rules(&self) -> &'a R {
        &self.protocol.rules
    }

    pub(crate) fn params(&self) -> &'a Params {
        &self.protocol.params
    }

    pub(crate) fn now(&self) -> Instant {
        self.moment.now
    }

    pub(crate) fn refuse(&mut self, refusal: Refusal) {
        self.effects.refused.push(refusal);
    }

    pub(crate) fn reply(&mut self, to: NodeId, pledge: Pledge, body: Body) {
        self.replies.push((pledge, to, body));
    }

    /// A reply that goes before the others, if it can leave earlier than they.
    pub(crate) fn reply_at_once(&mut self, to: NodeId, body: Body) {
        self.at_once = Some((to, body));
    }

    /// Changes the role: the only place that does, along a row of the table.
    pub(crate) fn become_role(&mut self, role: Role, cause: Cause) {
        let change = (self.node.role.name(), role.name(), cause);
        debug_assert!(
            TRANSITIONS.contains(&change),
            "{} to {} by {cause} is not in the table of transitions",
            change.0,
            change.1,
        );
        self.effects.changed.push(change);
        self.fail_reads();
        self.node.role = role;
    }

    /// Follows this leader, or waits for one. For a follower that is no change of role.
    pub(crate) fn become_follower(&mut self, leader: Option<NodeId>, cause: Cause) {
        if let Role::Follower { leader: followed } = &mut self.node.role {
            *followed = leader;
        } else {
            self.become_role(Role::Follower { leader }, cause);
        }
    }

    pub(crate) fn reset_election_timer(&mut self) {
        let deadline = self.protocol.draw_deadline(self.moment);
        self.node.election_deadline = deadline.max(self.node.promised_until);
    }

    /// Whether this step has changed the log: it does so once.
    pub(crate) fn has_written_log(&self) -> bool {
        self.log_write.is_some()
    }

    /// Changes the log in memory and notes the write; at most once in a step.
    pub(crate) fn write_log(&mut self, keep: Index, entries: Entries) {
        debug_assert!(self.log_write.is_none(), "one change of the log in a step");
        if keep < self.node.log.last().index {
            let rules = self.rules();
            self.node.log.truncate(keep, |at| !rules.truncates_configuration(at, keep));
            self.lower_durable_marks(|durable| rules.durable_after_truncation(durable, keep));
        }
        self.node.log.append(&entries);
        self.log_write = Some(LogWrite { keep, entries });
    }

    /// Less of the log is durable, and will be by the writes under way, than was known before.
    pub(crate) fn lower_durable_marks(&mut self, lower: impl Fn(Index) -> Index) {
        self.node.durable_index = lower(self.node.durable_index);
        for durable_to in self.node.unwritten.iter_mut().filter_map(|w| w.durable_to.as_mut()) {
            *durable_to = lower(*durable_to);
        }
    }

    /// Numbers the write, and addresses the replies now that it is known what they wait for.
    fn finish(mut self, before: HardState) {
        let after = self.node.hard_state();
        let write = Write {
            hard_state: self.rules().hard_state_to_write(before, after),
            snapshot: self.snapshot_write.take(),
            log: self.log_write.take(),
        };
        if !write.is_empty() {
            let id = self.node.last_write.next();
            self.node.last_write = id;
            let installs = matches!(write.snapshot, Some(SnapshotWrite::Install(_)));
            let completes_log = write.log.is_some() || installs;
            let leads = self.params().check_quorum && self.node.is_leader();
            let due_by = leads.then(|| self.now().after(self.params().election_timeout));
            self.node.unwritten.push(PendingWrite {
                id,
                hard_state: write.hard_state.is_some(),
                durable_to: completes_log.then(|| self.node.log.last().index),
                due_by,
            });
            self.effects.persist = Some(Persist { id, write });
        }
        for (pledge, to, body) in core::mem::take(&mut self.replies) {
            let reply = self.answer(to, pledge, body);
            self.effects.send.push(reply);
        }
        if let Some((to, body)) = self.at_once.take() {
            let early = self.answer(to, Pledge::Term, body);
            if self.effects.send.first().is_some_and(|reply| early.needs < reply.needs) {
                self.effects.send.insert(0, early);
            }
        }
    }

    /// A reply. A leader's request is answered under its stamp.
    fn answer(&self, to: NodeId, pledge: Pledge, body: Body) -> Outgoing {
        let answers_leader = matches!(body, Body::AppendEntriesReply(_));
        let mut reply = self.protocol.address(self.node, to, pledge, body);
        if answers_leader {
            reply.message.stamp = self.echo;
        }
        reply
    }

    pub(crate) fn hard_state_is_unwritten(&self) -> WriteId {
        self.node.unwritten_up_to(None).hard_state
    }
}
