//! A cluster in which time passes: the transition functions of production, with one clock for all,
//! messages that are under way for a while, and disks that take their time.
//!
//! The simulation in [`crate::simulation`] chooses what happens next at random, to find what is
//! false. Here the earliest event happens next, to find how long things take.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use quorate_spec::role::Transition;
use quorate_spec::{
    Durable, Duration, Effects, Envelope, Gate, Index, Input, Instant, Limit, Message, Moment,
    Node, NodeId, Outgoing, Params, Protocol, RoleName, Sound, Term,
};

use super::delay::Delay;
use super::quorum::simple;
use crate::draws::Draws;

/// Where a server stands, and how fast its disk is.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Site {
    /// How long a message between server 0 and this one is under way, in either direction. Between
    /// two others it takes as long as between server 0 and the one with the higher number.
    pub link: Delay,
    /// How long a write takes from the moment at which the disk begins with it.
    pub fsync: Duration,
}

/// A cluster and what is under way in it.
#[derive(Clone)]
pub struct Cluster {
    protocol: Protocol<Sound>,
    servers: Vec<Server>,
    now: Instant,
    under_way: BinaryHeap<Reverse<Event>>,
    /// How many events there were: those of one instant happen in the order in which they arose.
    events: u64,
    draws: Draws,
}

/// A server.
#[derive(Clone)]
struct Server {
    node: Node,
    gate: Gate<(NodeId, Message)>,
    site: Site,
    /// When its disk has done everything that it was asked for.
    disk_is_free: Instant,
    alive: bool,
    /// How often it became a candidate.
    candidacies: u64,
}

/// When, which one of that instant, at which server, what.
type Event = (Instant, u64, usize, Input);

/// The virtual time within which something has to happen, in election timeouts.
const PATIENCE: u64 = 10_000;

impl Cluster {
    /// A cluster of which server 0 leads term 1, and everybody knows it and has committed its first
    /// entry. `seed` determines all that happens from then on.
    #[must_use]
    pub fn established(params: Params, sites: &[Site], seed: u64) -> Cluster {
        // The others wait for so long that server 0 is the first to campaign, and wins.
        let patient = Duration(params.election_timeout.0.saturating_mul(PATIENCE));
        let protocol =
            Protocol { rules: Sound, params: Params { election_jitter: patient, ..params } };
        let configuration = simple(sites.len() as u64);
        let start = |(id, site): (usize, &Site)| {
            let draw = if id == 0 { 0 } else { patient.0 - 1 };
            let durable = Durable::genesis(configuration.clone());
            let moment = Moment { now: Instant(0), draw };
            let node = protocol.start(NodeId(id as u64), durable, moment);
            let (gate, disk_is_free) = (Gate::default(), Instant(0));
            Server { node, gate, site: *site, disk_is_free, alive: true, candidacies: 0 }
        };
        let mut cluster = Cluster {
            servers: sites.iter().enumerate().map(start).collect(),
            protocol,
            now: Instant(0),
            under_way: BinaryHeap::new(),
            events: 0,
            draws: Draws(seed),
        };
        let knows = |server: &Server| server.node.commit_index() > Index::ZERO;
        cluster.run_while(|cluster| !cluster.servers.iter().all(knows));
        cluster.protocol.params = params;
        cluster
    }

    /// The present.
    #[must_use]
    pub fn now(&self) -> Instant {
        self.now
    }

    /// From here on this seed determines what happens.
    pub fn draw_from(&mut self, seed: u64) {
        self.draws = Draws(seed);
    }

    /// Server `id` stops for ever; what it has sent arrives.
    pub fn stop(&mut self, id: usize) {
        self.servers[id].alive = false;
    }

    /// The term of the leader among the servers that live, if one leads.
    #[must_use]
    pub fn led_term(&self) -> Option<Term> {
        let alive = self.servers.iter().filter(|server| server.alive);
        alive.filter(|server| server.node.is_leader()).map(|it| it.node.current_term()).max()
    }

    /// How often a server became a candidate so far.
    #[must_use]
    pub fn candidacies(&self) -> u64 {
        self.servers.iter().map(|server| server.candidacies).sum()
    }

    /// Server `id` is asked for one command: gives the last index of its log then.
    pub fn propose(&mut self, id: usize) -> Index {
        self.happen(id, Input::Propose { count: 1 });
        self.servers[id].node.log().last().index
    }

    /// What server `id` knows to be committed.
    #[must_use]
    pub fn committed(&self, id: usize) -> Index {
        self.servers[id].node.commit_index()
    }

    /// Everything happens that happens before this instant, which then is the present.
    pub fn run_until(&mut self, end: Instant) {
        while self.next_at() < end {
            self.advance();
        }
        self.now = self.now.max(end);
    }

    /// One event after the other happens while this holds.
    ///
    /// # Panics
    /// If it still holds after 10,000 election timeouts: what was waited for cannot happen.
    pub fn run_while(&mut self, waits: impl Fn(&Cluster) -> bool) {
        let patience = Duration(self.protocol.params.election_timeout.0.saturating_mul(PATIENCE));
        let end = self.now.after(patience);
        while waits(self) {
            assert!(self.next_at() <= end, "nothing came of {PATIENCE} election timeouts");
            self.advance();
        }
    }

    /// Everything arrives that is under way, and what follows from it.
    pub fn settle(&mut self) {
        self.run_while(|cluster| !cluster.under_way.is_empty());
    }

    /// When the next event is: something arrives, a write is durable, or a timer is due.
    fn next_at(&self) -> Instant {
        let timer = self.next_timer().map(|(at, _)| at);
        let arrival = self.under_way.peek().map(|Reverse((at, ..))| *at);
        timer.into_iter().chain(arrival).min().unwrap_or(Instant(u64::MAX))
    }

    fn next_timer(&self) -> Option<(Instant, usize)> {
        let alive = self.servers.iter().enumerate().filter(|(_, server)| server.alive);
        let due = |server: &Server| self.protocol.next_deadline(&server.node).max(self.now);
        alive.map(|(id, server)| (due(server), id)).min()
    }

    /// The next event happens.
    fn advance(&mut self) {
        let timer = self.next_timer();
        let arrives = |at: Instant| timer.is_none_or(|(due, _)| at <= due);
        if self.under_way.peek().is_some_and(|Reverse((at, ..))| arrives(*at))
            && let Some(Reverse((at, _, id, input))) = self.under_way.pop()
        {
            self.now = at;
            if self.servers[id].alive {
                self.happen(id, input);
            }
        } else if let Some((due, id)) = timer {
            self.now = due;
            self.happen(id, Input::Tick);
        }
    }

    /// What a driver does: a step, its effects in their order, and every request that is due.
    fn happen(&mut self, id: usize, input: Input) {
        if let Input::Persisted(write) = input {
            for (to, message) in self.servers[id].gate.persisted(write) {
                self.release(id, to, message);
            }
        }
        let moment = Moment { now: self.now, draw: self.draws.next() };
        let mut effects = Effects::default();
        let server = &mut self.servers[id];
        self.protocol.step(&mut server.node, moment, input, &mut effects);
        debug_assert!(effects.fatal.is_none(), "nothing is lost here");
        let stands = |(_, role, _): &&Transition| *role == RoleName::Candidate;
        server.candidacies += effects.changed.iter().filter(stands).count() as u64;
        if let Some(persist) = effects.persist {
            let done = server.disk_is_free.max(self.now).after(server.site.fsync);
            server.disk_is_free = done;
            self.schedule(done, id, Input::Persisted(persist.id));
        }
        for outgoing in effects.send {
            self.send(id, outgoing);
        }
        let limit = Limit { entries: u64::MAX };
        for peer in self.protocol.recipients(&self.servers[id].node) {
            let node = &mut self.servers[id].node;
            let poll = |node: &mut Node| self.protocol.poll_transmit(node, peer, self.now, limit);
            let requests: Vec<Outgoing> = std::iter::from_fn(|| poll(node)).collect();
            requests.into_iter().for_each(|request| self.send(id, request));
        }
    }

    fn send(&mut self, from: usize, outgoing: Outgoing) {
        let Outgoing { needs, to, message } = outgoing;
        if let Some((to, message)) = self.servers[from].gate.pass(needs, (to, message)) {
            self.release(from, to, message);
        }
    }

    fn release(&mut self, from: usize, to: NodeId, message: Message) {
        let receiver = to.0 as usize;
        let delay = self.servers[from.max(receiver)].site.link.draw(&mut self.draws);
        let envelope = Envelope { from: NodeId(from as u64), to, message };
        self.schedule(self.now.after(delay), receiver, Input::Receive(envelope));
    }

    fn schedule(&mut self, at: Instant, id: usize, input: Input) {
        self.events += 1;
        self.under_way.push(Reverse((at, self.events, id, input)));
    }
}
