//! A cluster of servers with clocks of their own, a network and disks, and what happens to it.

use quorate_model::guards::Guards;
use quorate_spec::property::history::{Event, History};
use quorate_spec::{
    Configuration, Durable, Duration, Envelope, Instant, Limit, Moment, NodeId, Params, Protocol,
};

use crate::check::{Changed, around, everywhere};
use crate::counts::{Count, Counts};
use crate::finding::Findings;
use crate::network::{Link, Network};
use crate::server::{Outcome, Server, Turn};
use crate::step::{Step, Verb};
use crate::story::Story;

/// The timeouts of production in ticks: ten heartbeats in an election timeout, every protection
/// on, and four requests in flight.
pub const PARAMS: Params =
    Params { max_in_flight: 4, ..Params::new(Duration(1000), Duration(100)) };

/// A cluster and everything that is known of its run.
pub struct Cluster {
    protocol: Protocol<Guards>,
    servers: Vec<Server>,
    pub(crate) network: Network,
    history: History,
    draws: Draws,
    found: Findings,
    counts: Counts,
    pub(crate) story: Story,
}

impl Cluster {
    /// A new cluster of so many voters under these rules. Their clocks do not agree.
    #[must_use]
    pub fn new(servers: usize, rules: Guards) -> Cluster {
        let protocol = Protocol { rules, params: PARAMS };
        let genesis = Durable::genesis(Configuration::of((0..servers as u64).map(NodeId)));
        let mut draws = Draws(0);
        let first = |id: u64| {
            let moment = Moment { now: Instant(10_000 * (id + 1)), draw: draws.next() };
            Server::first(&protocol, NodeId(id), genesis.clone(), moment)
        };
        Cluster {
            servers: (0..servers as u64).map(first).collect(),
            protocol,
            network: Network::new(servers),
            history: History::default(),
            draws,
            found: Findings::default(),
            counts: Counts::default(),
            story: Story::Untold,
        }
    }

    /// The servers; server `i` has identity `i`.
    #[must_use]
    pub fn servers(&self) -> &[Server] {
        &self.servers
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

    /// Whether all claims about whole states hold, each looked at anew.
    pub fn check_everything(&mut self) {
        let found = everywhere(self);
        self.found.absorb(found);
    }

    pub(crate) fn window(&self) -> usize {
        self.protocol.params.max_in_flight
    }

    pub(crate) fn rules(&self) -> &Guards {
        &self.protocol.rules
    }

    /// Lets the step happen.
    pub fn apply(&mut self, step: &Step) {
        self.counts.add(Count::Steps, 1);
        self.draws = Draws(u64::from(step.draw));
        let size = usize::from(step.size);
        let id = self.server(usize::from(step.who));
        match step.verb {
            Verb::Deliver | Verb::Overtake | Verb::Duplicate | Verb::Drop => self.traffic(step),
            Verb::Cut | Verb::Isolate | Verb::Partition | Verb::Heal | Verb::HealAll => {
                self.wiring(step);
            }
            Verb::Hear => self.hear(id),
            Verb::Report => self.report(id, size),
            Verb::Crash => {
                let id = if size % 2 == 0 { id } else { self.slow_disk(id).unwrap_or(id) };
                let kept = size % (self.servers[id].disk.pending.len() + 1);
                let what = || format!("crashes with {kept} more writes on disk, and restarts");
                self.operate(id, what, |turn| turn.crash(kept));
            }
            Verb::Propose => self.propose(id, 1 + step.size as u64 % 3),
            Verb::Campaign => {
                self.operate(id, || "is asked to campaign".to_owned(), |turn| turn.campaign());
            }
            Verb::Elapse => self.elapse(id, span(step.size)),
            Verb::ElapseAll => {
                for i in 0..self.servers.len() {
                    self.elapse(self.server(id + i), span(step.size));
                }
            }
            Verb::Timeout => {
                self.operate(id, || "lets every deadline pass".to_owned(), |turn| turn.time_out());
            }
            Verb::Calm => {
                for _ in 0..=step.size % 6 {
                    self.fair_round();
                }
            }
        }
    }

    fn server(&self, number: usize) -> usize {
        number % self.servers.len()
    }

    fn traffic(&mut self, step: &Step) {
        let start = self.network.link(usize::from(step.size), usize::from(step.who));
        let position = usize::from(step.draw);
        if step.verb == Verb::Drop {
            let Some(link) = self.network.busy(start) else { return };
            let lost = self.network.take_any(link, position);
            self.counts.add(Count::Dropped, 1);
            return self.story.lost(lost.map(|(envelope, _)| envelope));
        }
        let Some(link) = self.network.delivering(start) else { return };
        let arriving = match step.verb {
            Verb::Overtake => self.network.take_any(link, position).map(|(envelope, overtakes)| {
                self.counts.add(Count::Overtakes, u64::from(overtakes));
                envelope
            }),
            Verb::Duplicate => {
                self.counts.add(Count::Duplicates, 1);
                self.network.copy_any(link, position)
            }
            _ => self.network.take_oldest(link),
        };
        if let Some(envelope) = arriving {
            self.receive(envelope);
        }
    }

    fn hear(&mut self, id: usize) {
        let waiting = self.network.waiting();
        let to_it: Vec<_> =
            waiting.into_iter().filter(|(link, _)| self.network.ends(*link).1 == id).collect();
        for (link, count) in to_it {
            self.drain(link, count);
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

    fn wiring(&mut self, step: &Step) {
        let (who, size) = (self.server(usize::from(step.who)), usize::from(step.size));
        let link = self.network.link(size, who);
        match step.verb {
            Verb::Heal => {
                if let Some(link) = self.network.broken(link) {
                    self.network.heal(link);
                    self.story.link("heals", self.network.ends(link));
                }
            }
            Verb::HealAll => {
                self.network.heal_all();
                self.story.network("every link heals");
            }
            Verb::Isolate => {
                let directions = 1 + size % 3;
                self.cut(|from, to| {
                    (from == who && directions & 1 != 0) || (to == who && directions & 2 != 0)
                });
            }
            Verb::Partition => {
                let side = |server: usize| size >> server & 1;
                self.cut(|from, to| side(from) != side(to));
            }
            _ => {
                let (a, b) = self.network.ends(link);
                self.cut(|from, to| (from, to) == (a, b));
            }
        }
    }

    fn cut(&mut self, which: impl Fn(usize, usize) -> bool) {
        let servers = self.servers.len();
        let links = (0..servers).flat_map(|from| (0..servers).map(move |to| (from, to)));
        for (from, to) in links.filter(|(from, to)| which(*from, *to)) {
            let link = self.network.link(from, to);
            if self.network.cut(link) {
                self.counts.add(Count::Cuts, 1);
                self.story.link("is cut", (from, to));
            }
        }
    }

    fn report(&mut self, start: usize, size: usize) {
        if let Some(id) = self.slow_disk(start) {
            self.report_writes(id, 1 + size % self.servers[id].disk.pending.len());
        }
    }

    /// The first server from this one on that has pending writes.
    fn slow_disk(&self, start: usize) -> Option<usize> {
        self.first(start, |id| !self.servers[*id].disk.pending.is_empty())
    }

    pub(crate) fn report_writes(&mut self, id: usize, writes: usize) {
        let what = || format!("hears from its disk that {writes} writes are durable");
        self.operate(id, what, |turn| turn.report(writes));
    }

    fn propose(&mut self, start: usize, count: u64) {
        let leads = |id: &usize| self.servers[*id].node.is_leader();
        let id = self.first(start, leads).unwrap_or(start);
        self.propose_to(id, count);
    }

    pub(crate) fn propose_to(&mut self, id: usize, count: u64) {
        self.operate(id, || format!("is asked for {count} commands"), |turn| turn.propose(count));
    }

    /// The first server from this one on that fits.
    fn first(&self, start: usize, fits: impl Fn(&usize) -> bool) -> Option<usize> {
        (0..self.servers.len()).map(|i| self.server(start + i)).find(fits)
    }

    fn elapse(&mut self, id: usize, by: Duration) {
        let roomy = self.has_room(id);
        let what = || format!("lets {by} ticks pass");
        self.operate(id, what, |turn| turn.elapse(by));
        if roomy {
            // Looked at after the requests have left.
            let server = &mut self.servers[id];
            let mut turn = Turn::new(&self.protocol, server, 0);
            turn.look_ahead();
            self.found.absorb(turn.finish().found);
        }
    }

    /// Whether every link from this server has room for the requests of a moment.
    fn has_room(&self, id: usize) -> bool {
        let room = |to: usize| self.network.room(NodeId(id as u64), NodeId(to as u64));
        (0..self.servers.len()).all(|to| room(to) > 0)
    }

    pub(crate) fn elapse_in_time(&mut self, id: usize, by: Duration) {
        let what = || format!("lets {by} ticks pass");
        self.operate(id, what, |turn| turn.elapse_in_time(by));
    }

    fn receive(&mut self, envelope: Envelope) {
        let to = envelope.to.0 as usize;
        let heard = envelope.clone();
        self.operate(to, || Story::arrival(&heard), |turn| turn.receive(envelope));
    }

    pub(crate) fn draw(&mut self) -> u64 {
        self.draws.next()
    }

    pub(crate) fn draw_from(&mut self, seed: u64) {
        self.draws = Draws(seed);
    }

    /// Lets something happen to a server; its requests leave as far as there is room, and the
    /// claims are looked at.
    fn operate(
        &mut self,
        id: usize,
        what: impl FnOnce() -> String,
        act: impl FnOnce(&mut Turn<'_>),
    ) {
        let before = self.servers[id].node.clone();
        let writes = self.servers[id].disk.pending.len();
        let draw = self.draws.next();
        let mut turn = Turn::new(&self.protocol, &mut self.servers[id], draw);
        act(&mut turn);
        let me = before.id();
        let limit = Limit { entries: 1 + draw % 4 };
        for peer in before.log().configuration().members() {
            turn.transmit(peer, self.network.room(me, peer), limit);
        }
        let outcome = turn.finish();
        let server = &self.servers[id];
        self.story.tell(me, what, &before, server, &outcome);
        let log = before.log() != server.node.log();
        let committed = !outcome.events.is_empty();
        let durable = committed || server.disk.pending.len() < writes;
        self.observe(outcome);
        let found = around(self, me, Changed { log, durable });
        self.found.absorb(found);
    }

    fn observe(&mut self, outcome: Outcome) {
        let Outcome { sent, events, found, counts, .. } = outcome;
        self.found.absorb(found);
        self.counts.absorb(&counts);
        self.counts.add(Count::Operations, 1);
        for event in &events {
            self.remember(event);
        }
        for envelope in sent {
            let fits = self.network.send(envelope);
            self.counts.add(Count::Dropped, u64::from(!fits));
        }
    }

    fn remember(&mut self, event: &Event) {
        let broken = self.history.observe(event);
        self.found.claims(broken);
    }
}

/// A span of time of a step: mostly of the size of heartbeats, at times of election timeouts.
fn span(size: u16) -> Duration {
    let size = u64::from(size);
    let scale = if size % 8 == 0 { PARAMS.election_timeout } else { PARAMS.heartbeat_interval };
    Duration(size / 8 % (scale.0 * 3 / 2))
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
