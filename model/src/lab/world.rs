//! A lane's cluster in simulated time. Everything that a server does is a step of the specification;
//! its effects are performed in their order, as a driver has to.

use quorate_spec::property::Claim;
use quorate_spec::property::cluster::quorum_intersection;
use quorate_spec::property::history::History;
use quorate_spec::{
    AppendOutcome, Body, Configuration, Durable, Duration, Effects, Envelope, Input, Limit,
    Message, Moment, Node, NodeId, Outgoing, Protocol, Refusal, RoleName,
};

use super::client::Clients;
use super::host::{Clock, Down, Host};
use super::queue::{Due, Queue, mix};
use super::record::{Happened, LaneRecord, Note, Recorder, Sent, Tone};
use super::script::node;
use super::setup::Setup;
use super::view::HostView;
use super::wire::{Fate, Wire};
use super::words;
use crate::guards::Guards;
use crate::server::{Server, Step};

/// Microseconds of a millisecond.
const MS: u64 = 1_000;
/// How long a disk takes for a write, in microseconds.
const WRITE: u64 = 2 * MS;
/// The most messages of a run: more, and a page would be slow.
const MOST_MESSAGES: usize = 20_000;
/// How many election timeouts pass before the scene starts, so that it starts with a leader.
const WARM_UP: u64 = 2;

pub(crate) struct World<'a> {
    pub(crate) setup: &'a Setup,
    pub(crate) protocol: Protocol<Guards>,
    pub(crate) now: u64,
    queue: Queue,
    pub(crate) hosts: Vec<Host>,
    pub(crate) wire: Wire,
    envelopes: Vec<Envelope>,
    pub(crate) history: History,
    pub(crate) clients: Clients,
    pub(crate) recorder: Recorder,
    /// Since when clients find no leader.
    pub(crate) leaderless: Option<u64>,
}

impl<'a> World<'a> {
    /// Lane number `position` of the setup, run to its end.
    pub(crate) fn run(setup: &'a Setup, position: usize) -> LaneRecord {
        let mut world = World::new(setup, position);
        let end = world.recorder.start + setup.end * MS;
        while let Some((at, due)) = world.queue.take(end) {
            world.now = at;
            world.happen(due);
            if world.envelopes.len() > MOST_MESSAGES {
                world.say(None, Tone::Bad, "The run ends here: a page can show no more messages.");
                return world.recorder.finish(world.now);
            }
        }
        world.now = end;
        world.recorder.finish(end)
    }

    fn new(setup: &'a Setup, position: usize) -> World<'a> {
        let (servers, lane) = (setup.servers as usize, &setup.lanes[position]);
        let (election, beat) = (Duration(setup.election * MS), Duration(setup.heartbeat * MS));
        let protocol = Protocol { rules: lane.rules(), params: lane.params(election, beat) };
        let mut first = Configuration::of((0..setup.voters).map(NodeId));
        first.learners = (setup.voters..setup.servers).map(NodeId).collect();
        let start = |id: usize| {
            let clock = Clock::of(id);
            // The first timer that fires is that of n0: it leads when the scene starts.
            let draw = election.0 / setup.servers * id as u64;
            let moment = Moment { now: clock.now(0), draw };
            let durable = Durable::genesis(first.clone());
            Host::new(Server::start(&protocol, node(id), durable, moment), clock)
        };
        let hosts = (0..servers).map(start).collect();
        let begin = setup.election * MS * WARM_UP;
        let mut world = World {
            setup,
            now: 0,
            queue: Queue::default(),
            hosts,
            wire: Wire::new(servers, setup.seed, setup.latency * MS),
            envelopes: Vec::new(),
            history: History::default(),
            clients: Clients::default(),
            recorder: Recorder::new(begin, servers, setup.title(position)),
            leaderless: None,
            protocol,
        };
        world.recorder.record.switches = lane.to_string();
        world.recorder.record.rules = lane.switches();
        for (number, event) in setup.script.iter().enumerate() {
            world.queue.put(begin + event.at * MS, Due::Script(number));
        }
        for (interval, due) in [(setup.writes, Due::Write), (setup.reads, Due::Read)] {
            if interval > 0 {
                world.queue.put(begin + interval * MS, due);
            }
        }
        (0..servers).for_each(|id| world.settle(id));
        world
    }

    fn happen(&mut self, due: Due) {
        match due {
            Due::Script(number) => {
                let deed = self.setup.script[number].deed.clone();
                self.perform_deed(&deed);
            }
            Due::Arrive(number) => self.arrive(number),
            Due::Written { server, life } if self.hosts[server].life == life => {
                self.written(server)
            }
            Due::Wake { server, setting } if self.hosts[server].setting == setting => {
                self.operate(server, Input::Tick);
            }
            Due::Written { .. } | Due::Wake { .. } => {}
            Due::Write => {
                self.write();
                self.queue.put(self.now + self.setup.writes * MS, Due::Write);
            }
            Due::Read => {
                self.read(self.setup.reader as usize);
                self.queue.put(self.now + self.setup.reads * MS, Due::Read);
            }
        }
    }

    /// Lets something happen to a server that is up, and then sends what it has to send.
    pub(crate) fn operate(&mut self, id: usize, input: Input) {
        if self.hosts[id].is_up() {
            self.step(id, input);
            self.settle(id);
        }
    }

    fn step(&mut self, id: usize, input: Input) {
        let (now, host) = (self.now, &mut self.hosts[id]);
        let draw = mix(&[self.setup.seed, id as u64, now]);
        let moment = Moment { now: host.clock.now(now), draw };
        let mut effects = Effects::default();
        let step = host.server.step(&self.protocol, moment, input.clone(), &mut effects);
        self.observe(id, &input, &step, &effects);
        self.perform(id, effects);
    }

    /// Performs the effects of a step, in the order of their fields.
    fn perform(&mut self, id: usize, effects: Effects) {
        if let Some(fatal) = effects.fatal {
            self.recorder.leads_no_more(self.now, id as u64, None);
            self.hosts[id].down = Some(Down::Stopped(fatal));
            let why = "its leader contradicts what it knows to be committed";
            self.say(Some(id), Tone::Bad, &format!("n{id} stops for good: {why}."));
            return;
        }
        if let Some(persist) = effects.persist {
            let host = &mut self.hosts[id];
            host.server.disk.pending.push(persist.write);
            host.disk_free = host.disk_free.max(self.now) + WRITE;
            self.queue.put(host.disk_free, Due::Written { server: id, life: host.life });
        }
        effects.send.into_iter().for_each(|outgoing| self.send(id, outgoing));
        if let Some(proposed) = effects.proposed {
            self.clients.wrote(node(id), proposed.first);
        }
        for answer in effects.reads {
            if let Some(number) = self.clients.answered(answer.token) {
                self.answer(number, id, answer.outcome.ok());
            }
        }
    }

    fn send(&mut self, id: usize, Outgoing { needs, to, message }: Outgoing) {
        if let Some((to, message)) = self.hosts[id].server.gate.pass(needs, (to, message)) {
            self.release(id, to, message);
        }
    }

    fn release(&mut self, id: usize, to: NodeId, message: Message) {
        let (envelope, broken) = self.hosts[id].server.release(to, message);
        self.recorder.broke(self.now, broken);
        let number = self.envelopes.len();
        let fate: Fate = self.wire.send(self.now, number, &envelope);
        if fate.lost.is_none() {
            self.queue.put(fate.due, Due::Arrive(number));
        }
        let (kind, text) = words::message(&envelope);
        let (sent, due) = (self.recorder.time(self.now), self.recorder.time(fate.due));
        let (lost, until) =
            (fate.lost.is_some(), fate.lost.map_or(due, |at| self.recorder.time(at)));
        let (from, to) = (envelope.from.0, envelope.to.0);
        self.recorder.record.messages.push(Sent { from, to, sent, due, until, lost, kind, text });
        self.envelopes.push(envelope);
    }

    fn arrive(&mut self, number: usize) {
        let envelope = self.envelopes[number].clone();
        let to = envelope.to.0 as usize;
        if !self.wire.arrives(number, &envelope) {
            return;
        }
        if self.hosts[to].is_up() {
            self.operate(to, Input::Receive(envelope));
        } else {
            self.lose(number);
        }
    }

    /// A message is lost now.
    pub(crate) fn lose(&mut self, number: usize) {
        let until = self.recorder.time(self.now);
        let message = &mut self.recorder.record.messages[number];
        (message.until, message.lost) = (until, true);
    }

    fn written(&mut self, id: usize) {
        if !self.hosts[id].is_up() {
            return;
        }
        let Some((write, free)) = self.hosts[id].server.report(1) else { return };
        free.into_iter().for_each(|(to, message)| self.release(id, to, message));
        self.operate(id, Input::Persisted(write));
    }

    /// Asks a server for its requests, sets its timer, and shows it.
    pub(crate) fn settle(&mut self, id: usize) {
        if self.hosts[id].is_up() {
            let mine = self.hosts[id].clock.now(self.now);
            for peer in self.protocol.recipients(&self.hosts[id].server.node) {
                let limit = Limit { entries: 64 };
                let node = |world: &mut Self| {
                    let node = &mut world.hosts[id].server.node;
                    world.protocol.poll_transmit(node, peer, mine, limit)
                };
                while let Some(outgoing) = node(self) {
                    self.send(id, outgoing);
                }
            }
            let host = &mut self.hosts[id];
            host.setting += 1;
            let deadline = self.protocol.next_deadline(&host.server.node);
            let at = host.clock.until(deadline).max(self.now + 1);
            self.queue.put(at, Due::Wake { server: id, setting: host.setting });
        }
        self.show(id);
    }

    pub(crate) fn show(&mut self, id: usize) {
        let view = HostView::of(&self.protocol, &self.hosts[id], self.now, self.recorder.start);
        self.recorder.show(id, view);
    }

    /// Notes what a step did: the history, the claims, who leads, who was heard, and in words.
    fn observe(&mut self, id: usize, input: &Input, step: &Step, effects: &Effects) {
        let mut broken = step.broken;
        for event in &step.events {
            broken = broken.union(self.history.observe(event));
        }
        let before = &step.before;
        let after = self.hosts[id].server.node.clone();
        if before.log() != after.log() {
            let nodes = || Box::new(self.hosts.iter().map(|host| &host.server.node)) as _;
            let intersect = quorum_intersection(&self.protocol.rules, nodes);
            broken.require(Claim::QuorumIntersection, intersect);
        }
        self.recorder.broke(self.now, broken);
        self.follow_leadership(id, input, before, &after);
        self.note_behind(input, effects);
        self.hear(id, input, &after);
        let (at, server, term) = (self.recorder.time(self.now), id as u64, after.current_term().0);
        if effects.changed.iter().any(|(_, to, _)| *to == RoleName::Candidate) {
            self.recorder.record.elections.push(Happened { at, server, term });
        }
        for acknowledged in self.clients.acknowledged(&after) {
            self.recorder.record.commits.push(Happened { at, server, term });
            if acknowledged.contradicts {
                if self.recorder.record.contradicted.is_empty() {
                    let text = format!(
                        "n{id} tells a client that its write is committed. Another leader has \
                         told that of another write, at the same place."
                    );
                    self.say(Some(id), Tone::Bad, &text);
                }
                self.recorder.record.contradicted.push(Happened { at, server, term });
            }
            self.commits_again(id);
        }
        for (tone, text) in words::step(before, input, &after, effects) {
            self.say(Some(id), tone, &text);
        }
    }

    fn follow_leadership(&mut self, id: usize, input: &Input, before: &Node, after: &Node) {
        let reign = |node: &Node| node.is_leader().then(|| node.current_term());
        if reign(before) == reign(after) {
            return;
        }
        if before.is_leader() {
            let raised = after.current_term() > before.current_term();
            let term = raised.then_some(after.current_term().0);
            self.recorder.leads_no_more(self.now, id as u64, term);
        }
        if after.is_leader() {
            self.recorder.elected(self.now, id as u64, after.current_term().0);
            let granted = before.campaign().into_iter().flat_map(|campaign| &campaign.granted);
            let last = match input {
                Input::Receive(envelope) => Some(&envelope.from),
                _ => None,
            };
            self.hosts[id].heard = granted.chain(last).map(|voter| (*voter, self.now)).collect();
        }
    }

    /// Notes whoever asks for votes or pre-votes and cannot win, because its log is behind.
    fn note_behind(&mut self, input: &Input, effects: &Effects) {
        let Input::Receive(Envelope { from, message, .. }) = input else { return };
        let behind = |refusal: &Refusal| matches!(refusal, Refusal::LogNotUpToDate { .. });
        let asks = matches!(message.body, Body::RequestVote { .. } | Body::PreVote { .. });
        if asks && effects.refused.iter().any(behind) {
            let (at, term) = (self.recorder.time(self.now), message.term.0);
            self.recorder.record.behind.push(Happened { at, server: from.0, term });
        }
    }

    /// Notes who has answered a leader.
    fn hear(&mut self, id: usize, input: &Input, after: &Node) {
        let Input::Receive(Envelope { from, message, .. }) = input else { return };
        let answers = matches!(
            message.body,
            Body::AppendEntriesReply(
                AppendOutcome::Accepted { .. } | AppendOutcome::Conflict { .. }
            )
        );
        if answers && after.is_leader() && message.term == after.current_term() {
            self.hosts[id].heard.insert(*from, self.now);
        }
    }

    pub(crate) fn say(&mut self, server: Option<usize>, tone: Tone, text: &str) {
        let (at, server) = (self.recorder.time(self.now), server.map(|id| id as u64));
        self.recorder.note(Note { at, server, tone, text: text.to_owned() });
    }

    pub(crate) fn leaders(&self) -> Vec<usize> {
        (0..self.hosts.len()).filter(|id| self.hosts[*id].leads()).collect()
    }
}
