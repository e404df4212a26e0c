//! What can happen next in a state, as far as the bounds of the slice allow it.

use quorate_spec::{Body, Envelope, Index, NodeId};

use crate::action::{Action, Fate, Fates, What};
use crate::clocks::Clocks;
use crate::intern::Interned;
use crate::model::SliceModel;
use crate::server::{Operation, PRESENT, Server};
use crate::slice::{Members, Network};
use crate::state::State;

impl SliceModel {
    /// Whether a server may do anything but have its writes reported.
    fn has_room(&self, server: &Server) -> bool {
        server.disk.pending.len() < self.slice.pending.max(1)
    }

    /// What time does to this server.
    pub(crate) fn timed_actions(&self, state: &State, id: NodeId, actions: &mut Vec<Action>) {
        if let Some(clocks) = self.slice.clocks {
            return self.clocked_actions(&clocks, state, id, actions);
        }
        let node = &state.server(id).node;
        if !self.slice.is_flaky(id) || !self.has_room(&state.server(id)) {
            return;
        }
        let bound = node.current_term().0 < self.slice.max_term;
        let check_quorum = self.slice.election.check_quorum;
        if node.is_leader() && check_quorum {
            self.with_fates(state, id, Operation::Timeout, actions, |f| Action::Timeout(id, f));
            // It changes nothing while a quorum is in contact: the guard is seen to say so.
            self.with_fates(state, id, Operation::Tick, actions, |f| Action::Tick(id, f));
        }
        if self.slice.campaigns && !node.is_leader() && bound {
            let campaign = |f| Action::Campaign(id, f);
            self.with_fates(state, id, Operation::Campaign, actions, campaign);
        }
        if self.slice.campaigns && self.slice.established.is_some() {
            // Only the operator disturbs: no time passes.
            return;
        }
        if !(node.is_leader() && check_quorum) && node.promised_until() > PRESENT {
            actions.push(Action::Lapse(id));
        }
        let hands_over = node.leadership().is_some_and(|it| it.transfer.is_some());
        if !node.is_leader() && bound || hands_over && !check_quorum {
            self.with_fates(state, id, Operation::Timeout, actions, |f| Action::Timeout(id, f));
        }
    }

    /// The operation by which a server's promise ends of itself.
    pub(crate) fn lapse(&self) -> Operation {
        if self.slice.clocks.is_some() { Operation::EndTimers } else { Operation::Lapse }
    }

    /// What time does to this server in a timed slice: its clock advances, its timers may end
    /// early, and what has ended may be acted upon, at once or late.
    fn clocked_actions(
        &self,
        clocks: &Clocks,
        state: &State,
        id: NodeId,
        actions: &mut Vec<Action>,
    ) {
        let server = state.server(id);
        let node = &server.node;
        if clocks.are_own() && state.clocks.advance(id, self.slice.servers).is_some() {
            actions.push(Action::Advance(id));
        }
        if node.has_timer_within(&self.machine.protocol.params, PRESENT, clocks.slack()) {
            actions.push(Action::Lapse(id));
        }
        if !self.slice.is_flaky(id) || !self.has_room(&server) {
            return;
        }
        if let Some(leadership) = node.leadership() {
            let ends = leadership.transfer.is_some_and(|transfer| transfer.deadline <= PRESENT);
            if self.slice.election.check_quorum || ends {
                self.with_fates(state, id, Operation::Tick, actions, |f| Action::Tick(id, f));
            }
            return;
        }
        let bound = node.current_term().0 < self.slice.max_term;
        let due = node.election_deadline().max(node.promised_until()) <= PRESENT;
        if bound && due {
            self.with_fates(state, id, Operation::Timeout, actions, |f| Action::Timeout(id, f));
        }
        if bound && self.slice.campaigns {
            let campaign = |f| Action::Campaign(id, f);
            self.with_fates(state, id, Operation::Campaign, actions, campaign);
        }
    }

    /// What happens to this server's disk, and what clients and operators ask it for.
    pub(crate) fn disk_actions(&self, state: &State, id: NodeId, actions: &mut Vec<Action>) {
        let pending = state.server(id).disk.pending.len() as u8;
        for writes in 1..=pending {
            let report = |f| Action::Report(id, writes, f);
            self.with_fates(state, id, Operation::Report(writes), actions, report);
        }
        // The premise of an established leader excludes that it crashes.
        let stays = self.slice.established.is_some() && id == NodeId(0);
        if state.budget.crashes > 0 && !stays {
            actions.extend((0..=pending).map(|kept| Action::Crash(id, kept)));
        }
        let leads = state.server(id).node.is_leader();
        if leads && state.budget.commands > 0 && self.has_room(&state.server(id)) {
            self.with_fates(state, id, Operation::Propose, actions, |f| Action::Propose(id, f));
        }
        if state.budget.reads > 0 && self.has_room(&state.server(id)) {
            let read = Operation::Read(self.next_token(state));
            self.with_fates(state, id, read, actions, |f| Action::Read(id, f));
        }
        self.operator_actions(state, id, actions);
    }

    /// What an operator asks a leader for, and a disk that is lost.
    fn operator_actions(&self, state: &State, id: NodeId, actions: &mut Vec<Action>) {
        let server = state.server(id);
        let to = self.next_change(state).filter(|_| server.node.is_leader());
        if let Some(to) = to.filter(|_| self.has_room(&server)) {
            let change = |f| Action::ChangeMembers(id, to, f);
            self.with_fates(state, id, Operation::ChangeMembers(to), actions, change);
        }
        if state.budget.transfers > 0 && server.node.is_leader() && self.has_room(&server) {
            for to in self.ids().filter(|to| *to != id) {
                let transfer = Operation::Transfer(to);
                self.with_fates(state, id, transfer, actions, |f| Action::Transfer(id, to, f));
            }
        }
        if state.budget.wipes > 0 && self.slice.wiped == Some(id.0) {
            actions.push(Action::Wipe(id));
        }
    }

    /// What an operator asks for next.
    fn next_change(&self, state: &State) -> Option<Members> {
        let asked = self.slice.changes.len() - usize::from(state.budget.changes);
        self.slice.changes.get(asked).copied()
    }

    /// The snapshots that this server can take, and those that it no longer moves.
    pub(crate) fn snapshot_actions(&self, state: &State, id: NodeId, actions: &mut Vec<Action>) {
        let server = state.server(id);
        if state.budget.snapshots > 0 && self.has_room(&server) {
            let log = server.node.log();
            // One more than the rules allow: they are seen to say so.
            let end = server.node.commit_index().next().min(log.last().index);
            let indices = log.base().index.next().0..=end.0;
            actions.extend(indices.map(|index| Action::TakeSnapshot(id, Index(index))));
        }
        let moves = |peer: &NodeId| server.moves_snapshot_to(*peer).is_some();
        actions.extend(self.ids().filter(moves).map(|peer| Action::StopMoving(id, peer)));
    }

    /// What arrives, and what is sent.
    pub(crate) fn message_actions(&self, state: &State, actions: &mut Vec<Action>) {
        for envelope in &state.net {
            let (to, open) = (envelope.to, state.budget.is_open(envelope.from, envelope.to));
            if open && self.has_room(&state.server(to)) {
                let receive = Operation::Receive(*envelope);
                self.with_fates(state, to, receive, actions, |f| Action::Deliver(*envelope, f));
            }
        }
        let Network::Pull { parked } = self.slice.network else { return };
        for from in self.ids() {
            for to in self.ids().filter(|to| *to != from && state.budget.is_open(from, *to)) {
                for what in [What::Entries, What::Heartbeat] {
                    let (parks, arrives) =
                        (state.net.len() < parked, self.has_room(&state.server(to)));
                    let off = what == What::Heartbeat && !self.slice.heartbeats;
                    if off || !(parks || arrives) {
                        continue;
                    }
                    let Some((_, request)) = self.request(state, from, to, what) else { continue };
                    if parks && self.may_be_late(request) {
                        actions.push(Action::Park(from, to, what));
                    }
                    if arrives {
                        let receive = Operation::Receive(request);
                        let exchange = |f| Action::Exchange(from, to, what, f);
                        self.with_fates(state, to, receive, actions, exchange);
                    }
                }
            }
        }
    }

    /// The action, once for each fate of what leaves the server in it.
    fn with_fates(
        &self,
        state: &State,
        id: NodeId,
        operation: Operation,
        actions: &mut Vec<Action>,
        action: impl Fn(Fates) -> Action,
    ) {
        let Network::Pull { parked } = self.slice.network else {
            return actions.push(action(Fates::ON_THEIR_WAY));
        };
        let sent = &self.act(state, id, operation).sent;
        let messages = sent.len();
        let delivered = matches!(action(Fates::ON_THEIR_WAY), Action::Deliver(..));
        let room = parked + usize::from(delivered) - state.net.len().min(parked);
        let late = |fates: &Fates| {
            let parked = |at: &usize| fates.of(*at) == Fate::Parked;
            (0..messages).filter(parked).all(|at| self.may_be_late(sent[at]))
        };
        let possible = Fates::all(messages).filter(|f| f.parked(messages) <= room).filter(late);
        actions.extend(possible.map(action));
    }

    /// Whether the message may be parked.
    fn may_be_late(&self, envelope: Interned<Envelope>) -> bool {
        let vote = matches!(
            envelope.message.body,
            Body::PreVote { .. }
                | Body::PreVoteReply { .. }
                | Body::RequestVote { .. }
                | Body::RequestVoteReply { .. }
        );
        self.slice.late_votes || !vote
    }
}
