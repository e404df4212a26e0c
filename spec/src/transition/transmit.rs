//! Requests to a peer are built here and nowhere else. A driver asks whenever the peer has room;
//! the model asks the same function.

use crate::effects::Outgoing;
use crate::log::Entries;
use crate::message::{Body, Stamp};
use crate::node::{Forward, Node};
use crate::protocol::Protocol;
use crate::role::{Campaign, Pace, Role};
use crate::rules::{Pledge, Rules};
use crate::types::{EntryId, Instant, NodeId, Token};

/// How much the peer has room for now. A driver that has no room for entries still asks for requests:
/// heartbeats keep leadership and cost little.
pub trait Room {
    /// How many of these entries, from the first on, fit into one request; with 0 only heartbeats
    /// leave. Asked where they could leave now, and nowhere else: only a driver knows their bytes, and
    /// may have to read them.
    fn fits(&self, entries: &mut dyn Iterator<Item = EntryId>) -> u64;

    /// Whether a snapshot may leave in the place of entries that are gone; else heartbeats do.
    fn fits_snapshot(&self) -> bool;
}

/// Room for a number of entries, whichever they are.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Limit {
    /// At most this many entries in one request.
    pub entries: u64,
}

impl Room for Limit {
    fn fits(&self, _: &mut dyn Iterator<Item = EntryId>) -> u64 {
        self.entries
    }

    fn fits_snapshot(&self) -> bool {
        self.entries > 0
    }
}

impl<R: Rules> Protocol<R> {
    /// The next request to `peer`, if one is due, and what it has to wait for. Calling it again
    /// gives the one after; none means that there is nothing more until the node steps again or
    /// [`Protocol::next_deadline`] comes.
    pub fn poll_transmit(
        &self,
        node: &mut Node,
        peer: NodeId,
        now: Instant,
        room: impl Room,
    ) -> Option<Outgoing> {
        let (last, voter) = (node.log.last(), self.configuration(node).is_voter(peer));
        if peer == node.id {
            return None;
        }
        match &mut node.role {
            Role::Follower { leader } => {
                let asks = *leader == Some(peer);
                let token = asks.then(|| self.forward(&mut node.forwards, peer, now)).flatten()?;
                Some(self.address(node, peer, Pledge::Term, Body::ReadIndex { token }))
            }
            Role::PreCandidate(campaign) => {
                let round = campaign.round;
                let due = voter && self.ask(campaign, peer, now);
                let body = Body::PreVote { last, round };
                due.then(|| self.address(node, peer, Pledge::Term, body))
            }
            Role::Candidate(campaign) => {
                let due = voter && self.ask(campaign, peer, now);
                let body = Body::RequestVote { last, handover: campaign.handover };
                due.then(|| self.address(node, peer, Pledge::Candidacy, body))
            }
            Role::Leader(_) => {
                let body = self.next_request(node, peer, now, voter, &room)?;
                let answered = body != Body::TimeoutNow;
                let stamp = if answered { self.stamp(node, peer, now) } else { Stamp::NONE };
                let mut outgoing = self.address(node, peer, Pledge::Term, body);
                outgoing.message.stamp = stamp;
                Some(outgoing)
            }
        }
    }

    /// The next read that this follower has to ask its leader for.
    fn forward(&self, forwards: &mut [Forward], leader: NodeId, now: Instant) -> Option<Token> {
        let lately = |(asked, at): (NodeId, Instant)| {
            asked == leader && !now.is_past(at, self.params.heartbeat_interval)
        };
        let due = forwards.iter_mut().find(|forward| !forward.asked.is_some_and(lately))?;
        due.asked = Some((leader, now));
        Some(due.token)
    }

    /// What the answer to a request that is made now will confirm.
    fn stamp(&self, node: &mut Node, peer: NodeId, now: Instant) -> Stamp {
        let Role::Leader(leadership) = &mut node.role else { return Stamp::NONE };
        let round = leadership.round;
        if let Some(progress) = leadership.peers.get_mut(&peer) {
            progress.asked = round;
        }
        Stamp { round, sent: self.params.lease.map(|_| now) }
    }

    /// Whether to ask the peer for its vote now: it has not granted it, and was not asked lately.
    fn ask(&self, campaign: &mut Campaign, peer: NodeId, now: Instant) -> bool {
        let asked = campaign.asked.get(&peer);
        let lately = asked.is_some_and(|at| !now.is_past(*at, self.params.heartbeat_interval));
        let due = !lately && !campaign.granted.contains(&peer);
        if due {
            campaign.asked.insert(peer, now);
        }
        due
    }

    /// The next AppendEntries or InstallSnapshot: new entries if the pace allows, the snapshot in the
    /// place of those that are gone, else a heartbeat if one is due.
    fn next_request(
        &self,
        node: &mut Node,
        peer: NodeId,
        now: Instant,
        voter: bool,
        room: &impl Room,
    ) -> Option<Body> {
        let Role::Leader(leadership) = &mut node.role else { return None };
        let confirms = voter && !leadership.reads.is_empty();
        let progress = leadership.peers.get_mut(&peer)?;
        let due = progress.sent_at.is_none_or(|at| now.is_past(at, self.params.heartbeat_interval))
            || (confirms && progress.asked < leadership.round);
        let (base, last) = (node.log.base(), node.log.last().index);
        if let Some(transfer) = leadership.transfer.as_mut().filter(|it| it.to == peer) {
            let tells = due && !transfer.told;
            if tells && self.rules.may_hand_over(progress.match_index, last) {
                transfer.told = self.rules.asks_whom_it_tells();
                if !transfer.told {
                    progress.sent_at = Some(now);
                }
                leadership.handed_over = true;
                return Some(Body::TimeoutNow);
            }
            transfer.told = false;
        }
        if self.rules.needs_snapshot(progress.next_index, base.index) {
            if !due {
                return None;
            }
            progress.sent_at = Some(now);
            if room.fits_snapshot() && !matches!(progress.pace, Pace::Snapshot(_)) {
                progress.pace = Pace::Snapshot(base.index);
                return Some(Body::InstallSnapshot { snapshot: node.log.snapshot() });
            }
            let (prev, leader_commit) = (base, node.commit_index);
            let entries = Entries::default();
            return Some(Body::AppendEntries { prev, entries, leader_commit });
        }
        let prev_index = progress.next_index.previous();
        let prev = EntryId { term: node.log.term_at(prev_index)?, index: prev_index };
        let open = match &progress.pace {
            Pace::Probe => due,
            Pace::Replicate(in_flight) => in_flight.len() < self.params.max_in_flight,
            Pace::Snapshot(_) => false,
        };
        let entries = if open && prev_index < last {
            let fit = room.fits(&mut node.log.ids_after(prev_index));
            node.log.entries_after(prev_index, fit)
        } else {
            Entries::default()
        };
        match &mut progress.pace {
            Pace::Replicate(in_flight) if !entries.is_empty() => {
                let last = entries.last_index(prev_index);
                in_flight.push(last);
                progress.next_index = last.next();
            }
            Pace::Probe | Pace::Replicate(_) | Pace::Snapshot(_) if due => {}
            Pace::Probe | Pace::Replicate(_) | Pace::Snapshot(_) => return None,
        }
        progress.sent_at = Some(now);
        Some(Body::AppendEntries { prev, entries, leader_commit: node.commit_index })
    }
}
