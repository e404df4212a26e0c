//! A cluster with instant delivery, instant disks, one clock and links that can be cut.

use std::collections::{BTreeMap, BTreeSet};

use quorate_spec::property::history::{Event, History, answered, asked};
use quorate_spec::property::reads::{lease_exclusive, lease_read_is_linearizable};
use quorate_spec::{
    Body, Configuration, Durable, Effects, Envelope, Input, Instant, Outgoing, Params, ReadAnswer,
    Refusal,
};

use super::{E, Server, Setup, n, voters};

pub(crate) struct Cluster {
    pub(crate) servers: BTreeMap<u64, Server>,
    /// Links that lose everything, one way: from, to.
    pub(crate) cut: BTreeSet<(u64, u64)>,
    pub(crate) now: u64,
    history: History,
    /// The reads that were answered: at which server, the name, and where they may be served.
    pub(crate) answers: Vec<(u64, u64, Result<u64, Refusal>)>,
}

impl Cluster {
    /// Servers n1 to n`size`, whose election timers fire in that order. Each was up for long.
    pub(crate) fn new(size: u64, params: Params) -> Cluster {
        Cluster::with_logs(params, &vec![(0, Vec::new()); size as usize])
    }

    /// Servers n1, n2, … with these terms and logs on their disks.
    pub(crate) fn with_logs(params: Params, disks: &[(u64, Vec<u64>)]) -> Cluster {
        let ids: Vec<u64> = (1..=disks.len() as u64).collect();
        let server = |id: u64| {
            let (term, log) = disks[id as usize - 1].clone();
            let setup =
                Setup { id, configuration: voters(&ids), term, log, params, voted_for: None };
            let mut server = setup.start();
            server.draw = (id - 1) * E / ids.len() as u64;
            (id, server)
        };
        let servers = ids.iter().map(|id| server(*id)).collect();
        let (cut, history, answers) = (BTreeSet::new(), History::default(), Vec::new());
        Cluster { servers, cut, now: E, history, answers }
    }

    /// A server with an empty disk starts: it knows no cluster, and waits to be named.
    pub(crate) fn join(&mut self, id: u64) {
        let disk = Durable::genesis(Configuration::default());
        let params = self.servers.values().next().expect("a server").protocol.params;
        let mut server = Server::start(id, disk, params, self.now);
        server.draw = (id - 1) * E / 10;
        self.servers.insert(id, server);
    }

    pub(crate) fn ids(&self) -> Vec<u64> {
        self.servers.keys().copied().collect()
    }

    pub(crate) fn at(&mut self, id: u64) -> &mut Server {
        self.servers.get_mut(&id).expect("a server of the cluster")
    }

    /// Cuts a server off, both ways.
    pub(crate) fn isolate(&mut self, id: u64) {
        for other in self.ids().into_iter().filter(|other| *other != id) {
            self.cut.extend([(id, other), (other, id)]);
        }
    }

    pub(crate) fn heal(&mut self) {
        self.cut.clear();
    }

    /// Lets something happen to a server, and everything that follows from it at this instant.
    pub(crate) fn step(&mut self, id: u64, input: Input) {
        let effects = self.at(id).step(input.clone());
        let asked = asked(n(id), &input, &effects);
        asked.iter().for_each(|event| self.remember(event));
        self.after_step(id, effects);
        self.settle();
    }

    /// The election timer of a server fires, and everything that follows at this instant.
    pub(crate) fn time_out(&mut self, id: u64) {
        let deadline = self.at(id).node.election_deadline().0;
        self.now = self.now.max(deadline);
        self.at(id).now = self.now;
        self.step(id, Input::Tick);
    }

    /// Lets time pass: every server ticks and is polled when it asks for it.
    pub(crate) fn run(&mut self, duration: u64) {
        let end = self.now + duration;
        for _ in 0..3 * (duration + 1) {
            let next = self.servers.values().map(Server::next_deadline).min();
            let next = next.expect("a server").max(self.now);
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            for id in self.ids() {
                let now = self.now;
                self.at(id).now = now;
                let effects = self.at(id).step(Input::Tick);
                self.after_step(id, effects);
            }
            self.settle();
        }
        panic!("the servers are called again and again at {}", self.now);
    }

    /// Delivers everything that is due at this instant.
    fn settle(&mut self) {
        for _ in 0..10_000 {
            let mut quiet = true;
            for from in self.ids() {
                for to in self.ids() {
                    let now = self.now;
                    self.at(from).now = now;
                    for outgoing in self.at(from).poll_all(to) {
                        quiet = false;
                        self.release(from, outgoing);
                    }
                }
            }
            if quiet {
                return;
            }
        }
        panic!("the cluster does not come to rest");
    }

    /// The disk is instant; then the replies leave.
    fn after_step(&mut self, id: u64, effects: Effects) {
        let replies = effects.send.clone();
        let mut all = vec![effects];
        while !self.at(id).writes.is_empty() {
            all.push(self.at(id).sync_one());
        }
        // What is committed in a step is, before a read is answered in it.
        self.observe(id);
        all.iter().for_each(|effects| self.answer_reads(id, effects));
        for reply in replies {
            self.release(id, reply);
        }
    }

    /// Claim LinearizableRead: a read sees what was committed when it was asked for.
    fn answer_reads(&mut self, id: u64, effects: &Effects) {
        answered(n(id), effects).for_each(|event| self.remember(&event));
        let answer = |read: &ReadAnswer| (id, read.token.0, read.outcome.map(|index| index.0));
        self.answers.extend(effects.reads.iter().map(answer));
    }

    fn remember(&mut self, event: &Event) {
        let broken = self.history.observe(event);
        assert!(broken.is_empty(), "{event:?} breaks {broken:?}: {:?}", self.history);
    }

    /// Claims LinearizableRead and LeaseExclusive: of whoever may serve a lease read now.
    fn observe_leases(&self) {
        for server in self.servers.values() {
            let Ok(index) = server.read_view().lease_read(Instant(self.now)) else { continue };
            let sound = lease_exclusive(&server.node, self.history.leaders.keys().copied())
                && lease_read_is_linearizable(&self.history, index);
            assert!(sound, "a lease read at {index} of {:?}: {:?}", server.node, self.history);
        }
    }

    /// Remembers who leads and what is committed: no leader's term and no entry is contradicted.
    fn observe(&mut self, id: u64) {
        let node = self.at(id).node.clone();
        let (term, log) = (node.current_term(), node.log().clone());
        let commit = node.commit_index();
        let entries = log.ids().take_while(|id| id.index <= commit).collect();
        let mut events = vec![Event::Committed { entries, term }];
        let known = self.history.leaders.get(&term).is_some_and(|ids| ids.contains(&n(id)));
        if node.is_leader() && !known {
            events.push(Event::Elected { term, leader: n(id), log });
        }
        events.iter().for_each(|event| self.remember(event));
        self.observe_leases();
    }

    /// Nothing has to wait for an instant disk; a cut link loses the message.
    fn release(&mut self, from: u64, outgoing: Outgoing) {
        let Outgoing { needs, to, message } = outgoing;
        let sender = self.at(from);
        assert!(sender.writes.is_empty() && needs <= sender.node.last_write());
        if self.cut.contains(&(from, to.0)) {
            return;
        }
        let now = self.now;
        self.at(to.0).now = now;
        let effects = self.at(to.0).step(Input::Receive(Envelope { from: n(from), to, message }));
        self.after_step(to.0, effects);
    }

    /// The leader of the highest term, if there is one.
    pub(crate) fn leader(&self) -> Option<u64> {
        let leaders = self.servers.values().filter(|server| server.node.is_leader());
        leaders.max_by_key(|server| server.term()).map(|server| server.node.id().0)
    }

    /// Lets time pass until there is a leader whom a quorum follows.
    pub(crate) fn elect(&mut self) -> u64 {
        self.run(5 * E);
        self.leader().expect("five election timeouts suffice")
    }

    /// The leader takes a command, and everybody hears of it.
    pub(crate) fn propose(&mut self) {
        let leader = self.leader().expect("a leader");
        self.step(leader, Input::Propose { count: 1 });
    }

    /// How many AppendEntries it takes from `leader` until `follower` has its log, one at a time.
    pub(crate) fn round_trips(&mut self, leader: u64, follower: u64) -> u64 {
        for count in 0..1_000 {
            let Some(outgoing) = self.at(leader).poll(follower) else { return count };
            assert!(matches!(outgoing.message.body, Body::AppendEntries { .. }));
            let Outgoing { to, message, .. } = outgoing;
            let request = Envelope { from: n(leader), to, message };
            let replies = self.at(follower).step(Input::Receive(request)).send;
            self.at(follower).sync();
            for Outgoing { to, message, .. } in replies {
                let reply = Envelope { from: n(follower), to, message };
                self.at(leader).step(Input::Receive(reply));
            }
        }
        panic!("the logs of n{leader} and n{follower} never agree");
    }
}
