//! What each verb does to a cluster.

use quorate_spec::{Duration, Envelope, Index, Node, NodeId, Target};

use super::cluster::{Cluster, PARAMS};
use super::counts::Count;
use super::network::Link;
use super::server::Happening;
use super::step::{Step, Verb};

impl Cluster {
    /// Lets the step happen.
    pub fn apply(&mut self, step: &Step) {
        self.add(Count::Steps, 1);
        self.draw_from(u64::from(step.draw));
        let (who, size) = (usize::from(step.who), usize::from(step.size));
        let position = usize::from(step.draw);
        let link = self.network.link(size, who);
        match step.verb {
            Verb::Deliver => self.deliver(link),
            Verb::Hear => self.hear(self.any(who)),
            Verb::Overtake => self.overtake(link, position),
            Verb::Duplicate => self.duplicate(link, position),
            Verb::Drop => self.lose(link, position),
            Verb::Report => self.report(who, size),
            Verb::Elapse => self.elapse(who, span(size)),
            Verb::ElapseAll => self.elapse_all(who, span(size)),
            Verb::Timeout => self.time_out(who),
            Verb::Propose => self.propose(who, 1 + size as u64 % 3),
            Verb::ChangeMembers => self.change_members(who, size, position),
            Verb::Campaign => self.operate(self.any(who), Happening::Campaign),
            Verb::Crash => self.crash(who, size),
            Verb::TakeSnapshot => self.take_snapshot(self.any(who), size),
            Verb::StopMoving => self.stop_moving(who),
            Verb::Cut => {
                let ends = self.network.ends(link);
                self.cut(|from, to| (from, to) == ends);
            }
            Verb::Isolate => self.isolate(who, 1 + size % 3),
            Verb::Partition => {
                let side = |server: usize| size >> server & 1;
                self.cut(|from, to| side(from) != side(to));
            }
            Verb::Heal => self.heal(link),
            Verb::HealAll => self.heal_all(),
            Verb::Calm => (0..=size % 6).for_each(|_| self.fair_round(|_| true)),
            Verb::Read => self.read(self.leads_or_any(who, size)),
            Verb::Transfer => self.transfer(who, size),
            Verb::Drift => self.drift(self.any(who), size),
            Verb::Pause => self.pause(self.leads_or_any(who, size), size / 2 % LONGEST_PAUSE),
        }
    }

    fn any(&self, number: usize) -> usize {
        number % self.servers().len()
    }

    /// Half of what is about leaders looks for one.
    fn leads_or_any(&self, start: usize, size: usize) -> usize {
        let leads = |id: &usize| self.servers()[*id].node.is_leader();
        let leader = self.first(start, leads).filter(|_| size % 2 == 1);
        leader.unwrap_or(self.any(start))
    }

    /// A server that faults may hit; none where all are spared.
    fn victim(&self, number: usize) -> Option<usize> {
        let position = number.checked_rem(self.exposed().len())?;
        self.exposed().get(position).copied()
    }

    /// The first server from this one on that fits.
    fn first(&self, start: usize, fits: impl Fn(&usize) -> bool) -> Option<usize> {
        (0..self.servers().len()).map(|i| self.any(start + i)).find(fits)
    }

    fn deliver(&mut self, start: Link) {
        if let Some(link) = self.network.delivering(start) {
            self.drain(link, 1);
        }
    }

    fn hear(&mut self, id: usize) {
        for (link, count) in self.network.waiting() {
            if self.network.ends(link).1 == id {
                self.drain(link, count);
            }
        }
    }

    /// So many messages of the link arrive, the oldest first.
    pub(crate) fn drain(&mut self, link: Link, count: usize) {
        for _ in 0..count {
            if let Some(envelope) = self.network.take_oldest(link) {
                self.receive(envelope);
            }
        }
    }

    fn overtake(&mut self, start: Link, position: usize) {
        let link = self.network.delivering(start);
        if let Some((envelope, overtakes)) =
            link.and_then(|link| self.network.take_any(link, position))
        {
            self.add(Count::Overtakes, u64::from(overtakes));
            self.receive(envelope);
        }
    }

    fn duplicate(&mut self, start: Link, position: usize) {
        let link = self.network.delivering(start);
        if let Some(envelope) = link.and_then(|link| self.network.copy_any(link, position)) {
            self.add(Count::Duplicates, 1);
            self.receive(envelope);
        }
    }

    fn receive(&mut self, envelope: Envelope) {
        self.operate(envelope.to.0 as usize, Happening::Receive(envelope));
    }

    fn lose(&mut self, start: Link, position: usize) {
        let Some(link) = self.network.busy(start) else { return };
        if !self.may_fail(self.network.ends(link)) {
            return;
        }
        if let Some((envelope, _)) = self.network.take_any(link, position) {
            self.add(Count::Dropped, 1);
            self.story.lost(&envelope);
        }
    }

    fn may_fail(&self, (from, to): (usize, usize)) -> bool {
        self.exposed().contains(&from) || self.exposed().contains(&to)
    }

    fn report(&mut self, start: usize, size: usize) {
        if let Some(id) = self.slow_disk(start) {
            let pending = self.servers()[id].disk.pending.len();
            self.operate(id, Happening::Report(1 + size % pending));
        }
    }

    /// The first server from this one on that has pending writes.
    fn slow_disk(&self, start: usize) -> Option<usize> {
        self.first(start, |id| !self.servers()[*id].disk.pending.is_empty())
    }

    fn elapse(&mut self, who: usize, by: Duration) {
        if let Some(id) = self.victim(who) {
            self.operate(id, Happening::Elapse(by));
        }
    }

    /// Time passes everywhere, late for everyone; where some servers are spared from faults, they
    /// hear each other meanwhile.
    fn elapse_all(&mut self, start: usize, by: Duration) {
        let exposed = self.exposed().to_vec();
        if exposed.len() < self.servers().len() {
            self.fair_round(|id| !exposed.contains(&id));
        }
        let by = self.time_passes(by);
        for i in 0..exposed.len() {
            self.elapse(start + i, by);
        }
    }

    /// Time passes for everyone at once where the clocks go together, and what remains is to be
    /// looked at; else it is still to pass, on each clock by itself.
    pub(crate) fn time_passes(&mut self, by: Duration) -> Duration {
        if !self.clocks.go_together() {
            return by;
        }
        self.clocks.pass(0, by);
        self.story.time(by);
        Duration(0)
    }

    fn time_out(&mut self, who: usize) {
        if let Some(id) = self.victim(who) {
            self.operate(id, Happening::TimeOut);
        }
    }

    /// The voters are the bits of `size`; the learners those of `draw` in threes, one in eight.
    fn change_members(&mut self, start: usize, size: usize, draw: usize) {
        let servers = self.servers().len();
        let votes = |id: &usize| size >> id & 1 == 1;
        let learns = |id: &usize| !votes(id) && draw >> id & 7 == 7;
        let ids = |of: &dyn Fn(&usize) -> bool| {
            (0..servers).filter(of).map(|id| NodeId(id as u64)).collect()
        };
        let target = Target { voters: ids(&votes), learners: ids(&learns) };
        let leader = self.first(start, |id| self.servers()[*id].node.is_leader());
        self.operate(leader.unwrap_or(self.any(start)), Happening::ChangeMembers(target));
    }

    fn propose(&mut self, start: usize, count: u64) {
        let leader = self.first(start, |id| self.servers()[*id].node.is_leader());
        self.operate(leader.unwrap_or(self.any(start)), Happening::Propose(count));
    }

    /// Read levels are asked for in turn: what a lease allows now is counted, and where that is
    /// right is looked at after each operation; then a round of messages has to answer.
    fn read(&mut self, id: usize) {
        let node = &self.servers()[id].node;
        let later = |other: &Node| other.is_leader() && other.current_term() > node.current_term();
        let replaced = self.servers().iter().any(|other| later(&other.node));
        let (leads, served) = (node.is_leader(), self.lease_read(id).is_ok());
        if self.params().lease.is_some() {
            self.add(Count::LeaseReads, u64::from(served));
            self.add(Count::LeaseReadsRefused, u64::from(leads && !served));
            self.add(Count::PhantomsRefuse, u64::from(leads && !served && replaced));
        }
        let token = self.next_read();
        self.operate(id, Happening::Read(token));
    }

    fn transfer(&mut self, start: usize, size: usize) {
        let leader = self.first(start, |id| self.servers()[*id].node.is_leader());
        let from = leader.unwrap_or(self.any(start));
        let others = (self.servers().len() - 1).max(1);
        let to = self.any(from + 1 + size % others);
        self.operate(from, Happening::Transfer(NodeId(to as u64)));
    }

    fn drift(&mut self, id: usize, kind: usize) {
        let draw = self.draw();
        let off = self.clocks.set_rate(id, kind, draw);
        self.add(Count::RatesChanged, u64::from(self.clocks.go_together()));
        self.story.network(&format!("n{id}'s clock is off by {off} ppm from here on"));
    }

    /// Where the clocks go together, its own goes on.
    fn pause(&mut self, id: usize, rounds: usize) {
        self.story.network(&format!("n{id} does nothing for {} rounds", rounds + 1));
        (0..=rounds).for_each(|_| self.fair_round(|other| other != id));
    }

    /// Up to any entry after the latest snapshot that is committed, or one more, which the rules do
    /// not allow.
    fn take_snapshot(&mut self, id: usize, size: usize) {
        let node = &self.servers()[id].node;
        let (base, last) = (node.log().base().index.0, node.log().last().index.0);
        let end = node.commit_index().next().0.min(last);
        if end > base {
            let index = Index(base + 1 + size as u64 % (end - base));
            self.operate(id, Happening::TakeSnapshot(index));
        }
    }

    /// The first leader from this server on that moves a snapshot has given up on one of them, or
    /// has heard that it was moved.
    fn stop_moving(&mut self, start: usize) {
        let leader = self.first(start, |id| self.moves_to(*id).is_some());
        if let Some((id, peer)) = leader.and_then(|id| Some((id, self.moves_to(id)?))) {
            self.operate(id, Happening::StopMoving(peer));
        }
    }

    /// A server to which this one moves a snapshot.
    pub(crate) fn moves_to(&self, id: usize) -> Option<NodeId> {
        let (server, peers) = (&self.servers()[id], 0..self.servers().len() as u64);
        peers.map(NodeId).find(|peer| server.moves_snapshot_to(*peer).is_some())
    }

    /// Half of the crashes look for a server that has something to lose.
    fn crash(&mut self, start: usize, size: usize) {
        let slow = self.slow_disk(start).filter(|id| self.exposed().contains(id));
        let Some(id) = slow.filter(|_| size % 2 == 1).or(self.victim(start)) else { return };
        let kept = size / 2 % (self.servers()[id].disk.pending.len() + 1);
        self.operate(id, Happening::Crash(kept));
    }

    /// Cuts what leaves the server (1), what comes to it (2), or both (3).
    fn isolate(&mut self, who: usize, directions: usize) {
        let Some(id) = self.victim(who) else { return };
        let (out, into) = (directions & 1 != 0, directions & 2 != 0);
        self.cut(|from, to| (from == id && out) || (to == id && into));
    }

    fn cut(&mut self, which: impl Fn(usize, usize) -> bool) {
        let servers = self.servers().len();
        let links = (0..servers).flat_map(|from| (0..servers).map(move |to| (from, to)));
        let mut cut = Vec::new();
        for (from, to) in links.filter(|(from, to)| which(*from, *to)) {
            let link = self.network.link(from, to);
            if self.may_fail((from, to)) && self.network.cut(link) {
                self.add(Count::Cuts, 1);
                cut.push((from, to));
            }
        }
        self.story.links("is cut", "are cut", &cut);
    }

    fn heal(&mut self, start: Link) {
        if let Some(link) = self.network.broken(start) {
            self.network.heal(link);
            self.story.links("heals", "heal", &[self.network.ends(link)]);
        }
    }

    pub(crate) fn heal_all(&mut self) {
        if self.network.heal_all() {
            self.story.network("every link heals");
        }
    }
}

/// Of so many rounds at most: more than the longest election timeout.
const LONGEST_PAUSE: usize = 90;

/// A span of time: mostly of the size of heartbeats, at times of election timeouts.
fn span(size: usize) -> Duration {
    let long = size.is_multiple_of(8);
    let scale = if long { PARAMS.election_timeout } else { PARAMS.heartbeat_interval };
    Duration(size as u64 / 8 % (scale.0 * 3 / 2))
}
