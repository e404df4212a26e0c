//! One server with its clock, its disk, and the writes on their way there.

use std::collections::{BTreeSet, VecDeque};

use quorate_spec::property::Claim;
use quorate_spec::property::history::{Event, asked};
use quorate_spec::property::reads::{published_in_time, waits_for};
use quorate_spec::property::step::{
    broken_by_restart, broken_by_step, leader_is_heard, leader_writes,
};
use quorate_spec::role::{Leadership, Progress};
use quorate_spec::{
    Body, Configuration, Durable, Effects, EntryId, Envelope, HardState, Input, Instant, Limit,
    Log, Message, Moment, Node, NodeId, Outgoing, Params, Persist, Protocol, ReadView, Role,
    RoleName, Sound, Term, Token,
};

use super::{
    ALL, E, accepted, entries, heartbeat, n, params, pre_vote, request_vote, terms, vote, voters,
};

/// What a server starts from. By default: n1 of n1, n2, n3, with nothing on its disk.
#[derive(Clone)]
pub(crate) struct Setup {
    pub(crate) id: u64,
    pub(crate) configuration: Configuration,
    /// The current term, or that of the log's last entry if that is higher.
    pub(crate) term: u64,
    pub(crate) voted_for: Option<u64>,
    /// The terms of the entries.
    pub(crate) log: Vec<u64>,
    pub(crate) params: Params,
}

impl Default for Setup {
    fn default() -> Self {
        Setup {
            id: 1,
            configuration: voters(&[1, 2, 3]),
            term: 0,
            voted_for: None,
            log: Vec::new(),
            params: params(),
        }
    }
}

impl Setup {
    /// Starts at instant 0, under the promise of a restart.
    pub(crate) fn restart(&self) -> Server {
        let mut log = Log::new(self.configuration.clone());
        log.append(&entries(0, &self.log));
        let current_term = Term(self.term.max(self.log.last().copied().unwrap_or(0)));
        let hard_state = HardState { current_term, voted_for: self.voted_for.map(NodeId) };
        Server::start(self.id, Durable { hard_state, log }, self.params, 0)
    }

    /// Starts at instant 0, and lets the promise of the restart pass.
    pub(crate) fn start(&self) -> Server {
        let mut server = self.restart();
        server.now = E;
        server
    }

    /// Starts, and is elected by these.
    pub(crate) fn lead(&self, with_votes_of: &[u64]) -> Server {
        let mut server = self.start();
        server.be_elected(with_votes_of);
        server
    }
}

#[derive(Clone)]
pub(crate) struct Server {
    pub(crate) protocol: Protocol,
    pub(crate) node: Node,
    pub(crate) now: u64,
    /// The random number of the next steps.
    pub(crate) draw: u64,
    pub(crate) disk: Durable,
    pub(crate) writes: VecDeque<Persist>,
    /// The reads that it was asked for and has not answered.
    pub(crate) reads: BTreeSet<Token>,
}

impl Server {
    pub(crate) fn start(id: u64, disk: Durable, params: Params, now: u64) -> Server {
        let protocol = Protocol { rules: Sound, params };
        let draw = 50;
        let node = protocol.start(n(id), disk.clone(), Moment { now: Instant(now), draw });
        Server { protocol, node, now, draw, disk, writes: VecDeque::new(), reads: BTreeSet::new() }
    }

    /// Lets `input` happen now. Every step of every test keeps the claims about one server.
    pub(crate) fn step(&mut self, input: Input) -> Effects {
        let (before, seen) = (self.node.clone(), self.read_view());
        let moment = Moment { now: Instant(self.now), draw: self.draw };
        let mut effects = Effects::default();
        self.protocol.step(&mut self.node, moment, input.clone(), &mut effects);
        let params = &self.protocol.params;
        let mut broken = broken_by_step(params, &before, &input, &self.node);
        let heard = leader_is_heard(params, moment.now, &input, &before, &self.node);
        let writes = leader_writes(params, moment.now, &input, &self.node);
        broken.require(Claim::CheckQuorumSoundness, heard && writes);
        let published = published_in_time(seen, self.read_view(), &effects);
        broken.require(Claim::PublishedInTime, published);
        broken.require(Claim::ReadProgress, self.waits_for_reads(&input, &effects));
        assert!(broken.is_empty(), "{input:?} breaks {broken:?}\n{before:?}\n{:?}", self.node);
        self.writes.extend(effects.persist.clone());
        effects
    }

    /// Whether every read is answered at most once, and waits until it is.
    fn waits_for_reads(&mut self, input: &Input, effects: &Effects) -> bool {
        let asked = match asked(self.node.id(), input, effects) {
            Some(Event::ReadAsked { token, .. }) => self.reads.insert(token),
            Some(_) | None => true,
        };
        let answered = effects.reads.iter().all(|read| self.reads.remove(&read.token));
        asked && answered && self.reads.iter().all(|token| waits_for(&self.node, *token))
    }

    /// What readers may know at present.
    pub(crate) fn read_view(&self) -> ReadView {
        self.protocol.read_view(&self.node)
    }

    pub(crate) fn receive(&mut self, from: u64, term: u64, body: Body) -> Effects {
        let message = Message::new(Term(term), body);
        self.step(Input::Receive(Envelope { from: n(from), to: self.node.id(), message }))
    }

    /// This peer answers a request of the leader: it has everything up to its end, and is in its term.
    pub(crate) fn hears_answer(&mut self, from: u64, request: &Message) -> Effects {
        let match_index = match &request.body {
            Body::AppendEntries { prev, entries, .. } => entries.last_index(prev.index),
            Body::InstallSnapshot { snapshot } => snapshot.last.index,
            other => panic!("no request of a leader that is answered: {other:?}"),
        };
        self.hears_reply(from, request, accepted(match_index.0))
    }

    /// This peer answers a request of the leader so, in its term.
    pub(crate) fn hears_reply(&mut self, from: u64, request: &Message, body: Body) -> Effects {
        let message = Message { stamp: request.stamp, ..Message::new(request.term, body) };
        self.step(Input::Receive(Envelope { from: n(from), to: self.node.id(), message }))
    }

    /// What the server says to this message: one reply, whatever that has to wait for.
    pub(crate) fn answer(&mut self, from: u64, term: u64, body: Body) -> Message {
        let mut effects = self.receive(from, term, body);
        assert_eq!(effects.send.len(), 1, "one reply: {effects:?}");
        let Outgoing { to, message, .. } = effects.send.remove(0);
        assert_eq!(to, n(from), "the reply goes to who asked");
        message
    }

    /// Whether the server votes for `from` in `term`.
    pub(crate) fn votes_for(&mut self, from: u64, term: u64, last: EntryId) -> bool {
        self.answer(from, term, request_vote(last)).body == vote(true)
    }

    /// Whether the server would vote for `from` in the term after `term`.
    pub(crate) fn pre_votes_for(&mut self, from: u64, term: u64, last: EntryId) -> bool {
        let body = self.answer(from, term, pre_vote(last, 7)).body;
        let Body::PreVoteReply { asked_in, round, granted } = body else {
            panic!("not an answer to a PreVote: {body:?}");
        };
        assert_eq!((asked_in, round), (Term(term), Instant(7)), "the request is echoed");
        granted
    }

    /// Hears a heartbeat of this leader.
    pub(crate) fn hear_leader(&mut self, leader: u64, term: u64) {
        let prev = self.node.log().last();
        self.receive(leader, term, heartbeat(prev, 0));
        assert_eq!(self.node.leader(), Some(n(leader)));
    }

    pub(crate) fn tick_at(&mut self, now: u64) -> Effects {
        self.now = now;
        self.step(Input::Tick)
    }

    /// Lets the election timer fire.
    pub(crate) fn time_out(&mut self) -> Effects {
        self.tick_at(self.node.election_deadline().0)
    }

    /// One write reaches the disk, and is reported.
    pub(crate) fn sync_one(&mut self) -> Effects {
        let persist = self.writes.pop_front().expect("a write is on its way");
        self.disk.apply(&persist.write);
        self.step(Input::Persisted(persist.id))
    }

    /// Everything reaches the disk, and is reported.
    pub(crate) fn sync(&mut self) {
        while !self.writes.is_empty() {
            self.sync_one();
        }
    }

    /// Starts again at `now` from what is on the disk.
    pub(crate) fn restart_at(&mut self, now: u64) {
        *self = Server::start(self.node.id().0, self.disk.clone(), self.protocol.params, now);
    }

    /// Loses what is not on the disk, and starts again at `now`.
    pub(crate) fn crash(&mut self, now: u64) {
        let before = self.node.clone();
        self.restart_at(now);
        let broken = broken_by_restart(&before, &self.disk, &self.disk, &self.node);
        assert!(broken.is_empty(), "the restart breaks {broken:?}\n{before:?}\n{:?}", self.node);
    }

    /// The next request to `peer`, if one is due.
    pub(crate) fn poll(&mut self, peer: u64) -> Option<Outgoing> {
        self.poll_up_to(peer, ALL)
    }

    /// Claim PublishedInTime: building a request changes nothing of what readers may know.
    pub(crate) fn poll_up_to(&mut self, peer: u64, limit: Limit) -> Option<Outgoing> {
        let (seen, now) = (self.read_view(), Instant(self.now));
        let outgoing = self.protocol.poll_transmit(&mut self.node, n(peer), now, limit);
        assert_eq!(self.read_view(), seen, "{outgoing:?}");
        outgoing
    }

    /// Every request to `peer` that is due; they come to an end.
    pub(crate) fn poll_all(&mut self, peer: u64) -> Vec<Outgoing> {
        let all: Vec<_> = std::iter::from_fn(|| self.poll(peer)).take(1_000).collect();
        assert!(all.len() < 1_000, "requests to n{peer} without end: {:?}", self.node);
        all
    }

    /// The AppendEntries that is due to `peer`: prev, terms of the entries, commit index.
    pub(crate) fn poll_append(&mut self, peer: u64) -> Option<(EntryId, Vec<u64>, u64)> {
        self.poll_append_up_to(peer, ALL)
    }

    pub(crate) fn poll_append_up_to(
        &mut self,
        peer: u64,
        limit: Limit,
    ) -> Option<(EntryId, Vec<u64>, u64)> {
        let body = self.poll_up_to(peer, limit)?.message.body;
        let Body::AppendEntries { prev, entries, leader_commit } = body else {
            panic!("not an AppendEntries: {body:?}");
        };
        let terms = entries.ids(prev.index).map(|id| id.term.0).collect();
        Some((prev, terms, leader_commit.0))
    }

    /// Times out and begins a round of pre-votes; returns the round.
    pub(crate) fn be_pre_candidate(&mut self) -> Instant {
        self.time_out();
        let Role::PreCandidate(campaign) = self.node.role() else {
            panic!("no pre-candidate: {:?}", self.node);
        };
        campaign.round
    }

    /// Times out, and is granted pre-votes by these.
    pub(crate) fn be_candidate(&mut self, with_pre_votes_of: &[u64]) {
        let (round, asked_in) = (self.be_pre_candidate(), self.node.current_term());
        for from in with_pre_votes_of {
            let granted = Body::PreVoteReply { asked_in, round, granted: true };
            self.receive(*from, asked_in.0, granted);
        }
        assert_eq!(self.role(), RoleName::Candidate, "{:?}", self.node);
    }

    /// Becomes leader by the votes of these, and writes its no-op.
    pub(crate) fn be_elected(&mut self, with_votes_of: &[u64]) {
        self.be_candidate(with_votes_of);
        self.sync();
        for from in with_votes_of {
            self.receive(*from, self.term(), vote(true));
        }
        assert!(self.node.is_leader(), "{:?}", self.node);
        self.sync();
    }

    pub(crate) fn leadership(&self) -> &Leadership {
        let Role::Leader(leadership) = self.node.role() else {
            panic!("no leader: {:?}", self.node);
        };
        leadership
    }

    pub(crate) fn progress(&self, peer: u64) -> &Progress {
        self.leadership().peers.get(&n(peer)).expect("a peer")
    }

    pub(crate) fn role(&self) -> RoleName {
        self.node.role().name()
    }

    pub(crate) fn term(&self) -> u64 {
        self.node.current_term().0
    }

    pub(crate) fn commit(&self) -> u64 {
        self.node.commit_index().0
    }

    /// The terms of the log in memory.
    pub(crate) fn terms(&self) -> Vec<u64> {
        terms(self.node.log())
    }

    pub(crate) fn next_deadline(&self) -> u64 {
        self.protocol.next_deadline(&self.node).0
    }
}
