//! A cluster of servers with clocks of their own, a network and disks.

use quorate_spec::property::Claim;
use quorate_spec::property::history::{Event, History};
use quorate_spec::{
    Configuration, Durable, Duration, Index, Instant, Limit, Moment, NodeId, Params, Protocol,
    Refusal, Term, Token,
};

use super::check::{Changed, around, everywhere};
use super::clock::{Clocks, Drift};
use super::counts::{Count, Counts};
use super::finding::Findings;
use super::network::Network;
use super::server::{Happening, Outcome, Turn};
use super::story::{Clauses, Story};
use crate::draws::Draws;
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
    pub(crate) clocks: Clocks,
    pub(crate) network: Network,
    /// The servers that faults may hit.
    exposed: Vec<usize>,
    /// The leader that must not be disturbed, and its term.
    protected: Option<(NodeId, Term)>,
    history: History,
    /// The name of the last read.
    last_read: Token,
    draws: Draws,
    found: Findings,
    counts: Counts,
    pub(crate) story: Story,
}

impl Cluster {
    /// A new cluster of so many servers from 0 on, under these rules. Those that the configuration
    /// does not name know no cluster. Their clocks do not agree, and drift.
    #[must_use]
    pub fn new(
        servers: usize,
        first: Configuration,
        params: Params,
        drift: Drift,
        rules: Guards,
    ) -> Cluster {
        let protocol = Protocol { rules, params };
        let member = |id| first.members().any(|member| member == id);
        let genesis = |id| {
            Durable::genesis(if member(id) { first.clone() } else { Configuration::default() })
        };
        let mut draws = Draws(0);
        let clocks = Clocks::new(servers, drift);
        let start = |id: usize| {
            let (moment, id) =
                (Moment { now: clocks.now(id), draw: draws.next() }, NodeId(id as u64));
            Server::start(&protocol, id, genesis(id), moment)
        };
        let mut cluster = Cluster {
            servers: (0..servers).map(start).collect(),
            clocks,
            protocol,
            first_configuration: first,
            network: Network::new(servers),
            exposed: (0..servers).collect(),
            protected: None,
            history: History::default(),
            last_read: Token(0),
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
        self.clocks.now(id)
    }

    /// Where this server serves a lease read now, by what it has published.
    pub(crate) fn lease_read(&self, id: usize) -> Result<Index, Refusal> {
        self.protocol.read_view(&self.servers[id].node).lease_read(self.now(id))
    }

    pub(crate) fn lease_until(&self, server: &Server) -> Option<Instant> {
        self.protocol.read_view(&server.node).lease_until
    }

    /// The name of the next read: no two have the same.
    pub(crate) fn next_read(&mut self) -> Token {
        self.last_read.0 += 1;
        self.last_read
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
        let (before, earlier) = (self.servers[id].node.clone(), self.now(id));
        let leased = self.lease_read(id).is_ok();
        let draw = self.draws.next();
        self.clocks.pass(id, self.passes(id, &happening));
        let now = self.now(id);
        let mut turn = Turn::new(&self.protocol, &mut self.servers[id], now, draw);
        turn.perform(happening.clone());
        let (me, limit) = (before.id(), Limit { entries: 1 + draw % 4 });
        let mut all_asked = true;
        for peer in turn.recipients() {
            let room = self.network.room(me, peer);
            all_asked &= turn.transmit(peer, room, limit);
        }
        if matches!(happening, Happening::Elapse(_)) && all_asked {
            turn.look_ahead();
        }
        let outcome = turn.finish();
        let after = &self.servers[id].node;
        let told = self.story.is_told().then(|| {
            let mut told = Clauses::of(&happening, (&before, earlier), (after, now), &outcome);
            told.lease(me, leased, self.lease_read(id).is_ok());
            told
        });
        let log = before.log() != after.log();
        let changed = Changed { log, durable: outcome.disk || !outcome.events.is_empty() };
        self.observe(id, outcome);
        let found = around(self, me, changed);
        self.found.absorb(found);
        if let Some(clauses) = told {
            self.story.tell(&clauses);
            self.show();
        }
    }

    /// How much time passes before this can happen.
    fn passes(&self, id: usize, happening: &Happening) -> Duration {
        match happening {
            Happening::Elapse(by) | Happening::ElapseInTime(by) => *by,
            Happening::TimeOut => {
                let horizon = self.protocol.horizon(&self.servers[id].node, self.now(id));
                self.clocks.until(id, horizon)
            }
            _ => Duration(0),
        }
    }

    fn observe(&mut self, id: usize, outcome: Outcome) {
        let Outcome { sent, events, found, counts, .. } = outcome;
        let elected = events.iter().any(|event| matches!(event, Event::Elected { .. }));
        let leads = |other: &Server| other.node.is_leader() && other.node.id().0 as usize != id;
        let phantom = elected && self.servers.iter().any(leads);
        self.counts.add(Count::Phantoms, u64::from(phantom));
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
