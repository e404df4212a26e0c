//! Random runs of a cluster with a bad network, slow disks, clocks of their own and crashes: after
//! every move all claims hold (thesis §3.2, §3.8). The model explores every run of a few moves;
//! these are a few runs of many moves.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::BTreeMap;

use common::dice::{Dice, check_sized};
use common::{E, HEARTBEAT, Server, Setup, n, params, voters};
use quickcheck::{Arbitrary, Gen};
use quorate_spec::property::ClaimSet;
use quorate_spec::property::cluster::{committed_is_durable, log_matching, match_index_sound};
use quorate_spec::property::history::{Event, History};
use quorate_spec::property::release::{SentVote, broken_by_release, vote_in};
use quorate_spec::{
    Configuration, Effects, Envelope, Gate, Input, Limit, Outgoing, Params, RoleName,
};

struct World {
    servers: BTreeMap<u64, Server>,
    gates: BTreeMap<u64, Gate<Outgoing>>,
    last_votes: BTreeMap<u64, Option<SentVote>>,
    network: Vec<Envelope>,
    history: History,
    configuration: Configuration,
}

/// A move, chosen when it is known in which state.
#[derive(Clone, Debug)]
struct Turn(Dice);

impl Arbitrary for Turn {
    fn arbitrary(g: &mut Gen) -> Turn {
        Turn(Dice::of(g))
    }
}

impl World {
    fn new(size: u64, params: Params) -> World {
        let ids: Vec<u64> = (1..=size).collect();
        let configuration = voters(&ids);
        let setup = Setup { configuration: configuration.clone(), params, ..Setup::default() };
        let server = |id: &u64| (*id, Setup { id: *id, ..setup.clone() }.start());
        World {
            servers: ids.iter().map(server).collect(),
            gates: ids.iter().map(|id| (*id, Gate::default())).collect(),
            last_votes: ids.iter().map(|id| (*id, None)).collect(),
            network: Vec::new(),
            history: History::default(),
            configuration,
        }
    }

    fn play(&mut self, turn: &Turn) {
        let mut dice = turn.0.clone();
        let id = 1 + dice.below(self.servers.len() as u64);
        let server = self.servers.get_mut(&id).unwrap();
        server.draw = dice.next();
        match dice.below(60) {
            0..26 => self.deliver(&mut dice),
            26..36 => self.poll(id, Limit { entries: dice.pick(&[0, 1, 2, 9]) }),
            36..50 => self.sync_one(id),
            50 => server.now += dice.pick(&[1, HEARTBEAT, HEARTBEAT, E / 2, 2 * E]),
            51 if server.role() != RoleName::Leader => {
                server.now = server.now.max(server.node.election_deadline().0);
                self.step(id, Input::Tick);
            }
            51..54 => {
                server.now += HEARTBEAT;
                self.step(id, Input::Tick);
            }
            54..57 => self.step(id, Input::Propose { count: 1 + dice.below(2) }),
            57 if dice.one_in(3) => self.crash(id, &mut dice),
            _ => {
                self.network.pop();
            }
        }
        self.check_claims();
    }

    fn step(&mut self, id: u64, input: Input) {
        let server = self.servers.get_mut(&id).unwrap();
        let before = server.node.clone();
        let effects = server.step(input);
        let node = server.node.clone();
        if node.is_leader() && !before.is_leader() {
            let (term, log) = (node.current_term(), before.log().clone());
            self.observe(Event::Elected { term, leader: n(id), log });
        }
        self.observe_created(&effects, node.is_leader());
        if node.commit_index() > before.commit_index() {
            let new = |index| index > before.commit_index() && index <= node.commit_index();
            let entries = node.log().ids().filter(|entry| new(entry.index)).collect();
            self.observe(Event::Committed { entries, term: node.current_term() });
        }
        effects.send.into_iter().for_each(|reply| self.send(id, reply));
    }

    /// What a leader writes it has created.
    fn observe_created(&mut self, effects: &Effects, leads: bool) {
        let write = effects.persist.as_ref().and_then(|persist| persist.write.log.as_ref());
        if let Some(write) = write.filter(|_| leads) {
            let (first, last) = (write.entries.ids(write.keep).next(), write.entries.runs.last());
            self.observe(Event::Created { first: first.unwrap(), last: last.unwrap().last });
        }
    }

    fn observe(&mut self, event: Event) {
        let broken = self.history.observe(&event);
        assert!(broken.is_empty(), "{event:?} breaks {broken:?}: {:?}", self.history);
    }

    fn poll(&mut self, id: u64, limit: Limit) {
        for peer in 1..=self.servers.len() as u64 {
            let request = self.servers.get_mut(&id).unwrap().poll_up_to(peer, limit);
            request.into_iter().for_each(|request| self.send(id, request));
        }
    }

    fn send(&mut self, from: u64, outgoing: Outgoing) {
        let free = self.gates.get_mut(&from).unwrap().pass(outgoing.needs, outgoing);
        free.into_iter().for_each(|free| self.release(from, free));
    }

    fn release(&mut self, from: u64, Outgoing { to, message, .. }: Outgoing) {
        let envelope = Envelope { from: n(from), to, message };
        let (sender, last_vote) = (&self.servers[&from], self.last_votes.get_mut(&from).unwrap());
        let broken = broken_by_release(&envelope, &sender.node, &sender.disk, *last_vote);
        assert!(broken.is_empty(), "{envelope:?} breaks {broken:?}: {:?}", sender.disk);
        *last_vote = vote_in(&envelope).or(*last_vote);
        self.network.push(envelope);
    }

    /// A message arrives, out of order, and perhaps not for the last time.
    fn deliver(&mut self, dice: &mut Dice) {
        if self.network.is_empty() {
            return;
        }
        let age = if dice.one_in(3) { self.network.len() as u64 } else { 3 };
        let i = self.network.len().saturating_sub(1 + dice.below(age) as usize);
        let again = dice.one_in(10);
        let envelope = if again { self.network[i].clone() } else { self.network.swap_remove(i) };
        self.step(envelope.to.0, Input::Receive(envelope));
    }

    fn sync_one(&mut self, id: u64) {
        let server = self.servers.get_mut(&id).unwrap();
        let Some(persist) = server.writes.pop_front() else { return };
        server.disk.apply(&persist.write);
        self.step(id, Input::Persisted(persist.id));
        let free = self.gates.get_mut(&id).unwrap().persisted(persist.id);
        free.into_iter().for_each(|free| self.release(id, free));
    }

    /// A crash keeps a prefix of the writes, more perhaps than was reported; held messages are lost.
    fn crash(&mut self, id: u64, dice: &mut Dice) {
        let server = self.servers.get_mut(&id).unwrap();
        let kept = dice.below(server.writes.len() as u64 + 1) as usize;
        for persist in server.writes.drain(..kept) {
            server.disk.apply(&persist.write);
        }
        server.crash(server.now);
        self.gates.insert(id, Gate::default());
    }

    /// The claims about all servers in one state.
    fn check_claims(&self) {
        for (a, one) in &self.servers {
            for (_, other) in self.servers.range(a + 1..) {
                let (one, other) = (&one.node, &other.node);
                assert!(log_matching(one.log(), other.log()), "LogMatching: {one:?} {other:?}");
            }
            for follower in self.servers.values() {
                let sound = match_index_sound(&one.node, &follower.node, &follower.disk);
                assert!(sound, "MatchIndexSound: {:?} of {:?}", one.node, follower.disk);
            }
        }
        let disk = |id: quorate_spec::NodeId| &self.servers[&id.0].disk;
        let durable = committed_is_durable(&self.history, &self.configuration, disk);
        assert!(durable, "CommittedIsDurable: {:?}", self.history.committed);
    }
}

fn run(size: u64, params: Params, turns: &[Turn]) -> History {
    let mut world = World::new(size, params);
    turns.iter().for_each(|turn| world.play(turn));
    world.history
}

/// Thesis §3.2: with all protections on.
#[test]
fn no_run_of_three_servers_breaks_a_claim() {
    fn law(turns: Vec<Turn>) {
        run(3, params(), &turns);
    }
    check_sized(700, 1_500, law as fn(Vec<Turn>));
}

/// Thesis §3.4: safety needs neither pre-vote nor stickiness nor check-quorum.
#[test]
fn no_run_of_three_naive_servers_breaks_a_claim() {
    fn law(turns: Vec<Turn>) {
        run(3, Params { max_in_flight: 2, ..params().naive() }, &turns);
    }
    check_sized(700, 1_500, law as fn(Vec<Turn>));
}

/// Bug D4: even clusters, and one without a window.
#[test]
fn no_run_of_two_or_four_servers_breaks_a_claim() {
    fn law(turns: Vec<Turn>) {
        run(2, params(), &turns);
        run(4, Params { max_in_flight: 0, ..params().naive() }, &turns);
    }
    check_sized(700, 700, law as fn(Vec<Turn>));
}

/// The runs are about something: leaders change, and entries are committed in several terms.
#[test]
fn the_random_runs_elect_leaders_and_commit_entries() {
    let mut g = Gen::from_size_and_seed(700, 1);
    let (mut leaders, mut committed, mut terms) = (0, 0, 0);
    for _ in 0..100 {
        let turns = Vec::<Turn>::arbitrary(&mut g);
        let history = run(3, params().naive(), &turns);
        leaders += history.leaders.len();
        committed += history.committed.len();
        let mut of: Vec<_> = history.committed.values().map(|(_, in_term)| *in_term).collect();
        of.dedup();
        terms = terms.max(of.len());
    }
    eprintln!("{leaders} {committed} {terms}");
    assert!(leaders > 100 && committed > 100 && terms > 2, "{leaders} {committed} {terms}");
    assert!(ClaimSet::NONE.is_empty());
}
