//! A cluster of servers with clocks of their own, a network and disks.

use quorate_spec::property::Claim;
use quorate_spec::property::history::History;
use quorate_spec::{
    Configuration, Durable, Duration, Instant, Limit, Moment, NodeId, Params, Protocol, Term,
};

use super::check::{Changed, around, everywhere};
use super::counts::{Count, Counts};
use super::finding::Findings;
use super::network::Network;
use super::server::{Happening, Outcome, Turn};
use super::story::{Clauses, Story};
use crate::guards::Guards;
use crate::server::Server;

/// The timeouts of production in ticks: ten heartbeats in an election timeout, every protection
/// on, four requests in flight, and two entries that a new voter may lack.
pub const PARAMS: Params =
    Params { max_in_flight: 4, catch_up_lag: 2, ..Params::new(Duration(1000), Duration(100)) };

/// A cluster and everything that is known of its run.
pub struct Cluster {
    protocol: Protocol<Guards>,
    first_configuration: Configuration,
    servers: Vec<Server>,
    /// The clock of each, which no crash sets back.
    clocks: Vec<Instant>,
    pub(crate) network: Network,
    /// The servers that faults may hit.
    exposed: Vec<usize>,
    /// The leader that must not be disturbed, and its term.
    protected: Option<(NodeId, Term)>,
    history: History,
    draws: Draws,
    found: Findings,
    counts: Counts,
    pub(crate) story: Story,
}

impl Cluster {
    /// A new cluster of so many servers from 0 on, under these rules. Those that the configuration
    /// does not name know no cluster. Their clocks do not agree.
    #[must_use]
    pub fn new(servers: usize, first: Configuration, params: Params, rules: Guards) -> Cluster {
        let protocol = Protocol { rules, params };
        let member = |id| first.members().any(|member| member == id);
        let genesis = |id| {
            Durable::genesis(if member(id) { first.clone() } else { Configuration::default() })
        };
        let mut draws = Draws(0);
        let clocks: Vec<_> = (1..=servers as u64).map(|i| Instant(10_000 * i)).collect();
        let start = |(id, now): (u64, &Instant)| {
            let moment = Moment { now: *now, draw: draws.next() };
            Server::start(&protocol, NodeId(id), genesis(NodeId(id)), moment)
        };
        let mut cluster = Cluster {
            servers: (0..).zip(&clocks).map(start).collect(),
            clocks,
            protocol,
            first_configuration: first,
            network: Network::new(servers),
            exposed: (0..servers).collect(),
            protected: None,
            history: History::default(),
            draws,
            found: Findings::default(),
            counts: Counts::default(),
            story: Story::Untold,
        };
        cluster.check_everything();
        cluster
    }

    /// The servers; server `i` has identity `i`.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
    }

    /// What a server's clock shows.
    pub(crate) fn now(&self, id: usize) -> Instant {
        self.clocks[id]
    }

    /// The configuration that the cluster began with.
    pub(crate) fn first_configuration(&self) -> &Configuration {
        &self.first_configuration
    }

    /// The record of the run.
    #[must_use]
    pub fn history(&self) -> &History {
        &self.history
    }

    /// What was false so far.
    #[must_use]
    pub fn found(&self) -> &Findings {
        &self.found
    }

    /// What happened so far.
    #[must_use]
    pub fn counts(&self) -> Counts {
        let mut counts = self.counts.clone();
        let terms = self.servers.iter().map(|server| server.node.current_term().0).max();
        counts.add(Count::Terms, terms.unwrap_or(0));
        counts.add(Count::Committed, self.history.committed.len() as u64);
        counts
    }

    /// Looks at all claims about whole states anew.
    pub fn check_everything(&mut self) {
        let found = everywhere(self);
        self.found.absorb(found);
    }

    pub(crate) fn require(&mut self, claim: Claim, holds: bool) {
        self.found.require_claim(claim, holds);
    }

    pub(crate) fn params(&self) -> &Params {
        &self.protocol.params
    }

    pub(crate) fn rules(&self) -> &Guards {
        &self.protocol.rules
    }

    /// From here on faults hit only these servers and the links that they are part of, and this
    /// leader has to stay leader (claim NonDisruption).
    pub(crate) fn protect(&mut self, leader: NodeId, exposed: Vec<usize>) {
        let term = self.servers[leader.0 as usize].node.current_term();
        self.protected = Some((leader, term));
        self.exposed = exposed;
    }

    /// The leader that must not be disturbed, and its term.
    pub(crate) fn protected(&self) -> Option<(NodeId, Term)> {
        self.protected
    }

    pub(crate) fn exposed(&self) -> &[usize] {
        &self.exposed
    }

    pub(crate) fn add(&mut self, count: Count, times: u64) {
        self.counts.add(count, times);
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.draws.next()
    }

    pub(crate) fn draw_from(&mut self, seed: u64) {
        self.draws = Draws(seed);
    }

    /// Lets something happen to a server; its requests leave as far as there is room, and the
    /// claims are looked at.
    pub(crate) fn operate(&mut self, id: usize, happening: Happening) {
        let (before, earlier) = (self.servers[id].node.clone(), self.clocks[id]);
        let draw = self.draws.next();
        let (server, now) = (&mut self.servers[id], &mut self.clocks[id]);
        let mut turn = Turn::new(&self.protocol, server, now, draw);
        turn.perform(happening.clone());
        let (me, limit) = (before.id(), Limit { entries: 1 + draw % 4 });
        let mut room_everywhere = true;
        for peer in turn.recipients() {
            let room = self.network.room(me, peer);
            room_everywhere &= room > 0;
            turn.transmit(peer, room, limit);
        }
        if matches!(happening, Happening::Elapse(_)) && room_everywhere {
            turn.look_ahead();
        }
        let outcome = turn.finish();
        let (after, now) = (&self.servers[id].node, self.clocks[id]);
        let told = self
            .story
            .is_told()
            .then(|| Clauses::of(&happening, (&before, earlier), (after, now), &outcome));
        let log = before.log() != after.log();
        let changed = Changed { log, durable: outcome.disk || !outcome.events.is_empty() };
        self.observe(outcome);
        let found = around(self, me, changed);
        self.found.absorb(found);
        if let Some(clauses) = told {
            self.story.tell(&clauses);
            self.show();
        }
    }

    fn observe(&mut self, outcome: Outcome) {
        let Outcome { sent, events, found, counts, .. } = outcome;
        self.found.absorb(found);
        self.counts.absorb(&counts);
        self.counts.add(Count::Operations, 1);
        for event in &events {
            let broken = self.history.observe(event);
            self.found.claims(broken);
        }
        for envelope in sent {
            let fits = self.network.send(envelope);
            self.counts.add(Count::Dropped, u64::from(!fits));
        }
    }
}

/// A sequence of random numbers (splitmix64).
struct Draws(u64);

impl Draws {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }
}
