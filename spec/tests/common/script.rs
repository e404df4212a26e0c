//! Random lives of one server: likely inputs, impossible ones, and everything in between.

use quickcheck::{Arbitrary, Gen};
use quorate_spec::{
    AppendOutcome, Body, Configuration, Duration, Entries, EntryId, Envelope, Index, Input,
    Instant, Kind, Limit, Message, Node, NodeId, Params, RoleName, Snapshot, Stamp, Target, Term,
    Token, WriteId,
};

use super::dice::Dice;
use super::{E, HEARTBEAT, Server, Setup, accepted, joint, params, pre_vote_reply, vote, voters};

/// Where the clocks of these lives begin: far from the origin, so that times can be moved.
pub(crate) const BEGIN: u64 = 100_000;

/// What a server starts from: one of some configurations, logs and parameters.
#[derive(Clone, Debug)]
pub(crate) struct Start(Dice);

impl Arbitrary for Start {
    fn arbitrary(g: &mut Gen) -> Start {
        Start(Dice::of(g))
    }
}

impl Start {
    pub(crate) fn server(&self) -> Server {
        let mut dice = self.0.clone();
        let configuration = dice.pick(&[
            voters(&[1]),
            voters(&[1, 2, 3]),
            voters(&[1, 2, 3]),
            voters(&[1, 2, 3, 4]),
            joint(&[1, 2, 3], &[1, 4]),
            joint(&[1], &[2]),
            Configuration { learners: voters(&[4]).voters, ..voters(&[1, 2]) },
            voters(&[2, 3]),
        ]);
        let params = dice.pick(&[
            params(),
            params(),
            Params { max_in_flight: 0, ..params() },
            Params { max_in_flight: 2, ..params() },
            params().naive(),
            Params { stickiness: false, ..params() },
            // Shorter than an election timeout by a third, and as long as one.
            params().with_lease(200_000, Duration(1)),
            params().with_lease(200_000, Duration(1)),
            Params { max_in_flight: 0, ..params().with_lease(0, Duration(0)) },
        ]);
        let log = dice.pick(&[vec![], vec![], vec![1], vec![1, 1, 2], vec![1, 2, 3, 3, 3]]);
        let voted_for = dice.pick(&[None, None, Some(1), Some(2)]);
        let on_its_way = configuration.outgoing.len() == 1 && dice.one_in(2);
        let setup = Setup { id: 1, configuration, term: 0, voted_for, log, params };
        let mut server = setup.restart();
        if on_its_way {
            // The next entry removes this server.
            let EntryId { term, index } = server.disk.log.last();
            let leave = server.disk.log.configuration().leave();
            server.disk.log.append(&Entries::of_configuration(index, term, leave));
        }
        server.restart_at(BEGIN);
        if dice.one_in(3) {
            try_to_lead(&mut server, dice.one_in(2));
        }
        server
    }
}

/// Everyone votes for the server, which leads if it is promotable; and everyone may have its log.
fn try_to_lead(server: &mut Server, with_log: bool) {
    server.time_out();
    let others: Vec<u64> = (2..=4).collect();
    for from in &others {
        if let Some(campaign) = server.node.campaign() {
            let (round, asked_in) = (campaign.round.0, server.term());
            server.receive(*from, asked_in, pre_vote_reply(asked_in, round, true));
        }
    }
    server.sync();
    others.iter().for_each(|from| drop(server.receive(*from, server.term(), vote(true))));
    if with_log {
        server.sync();
        let last = server.node.log().last().index.0;
        others.iter().for_each(|from| drop(server.receive(*from, server.term(), accepted(last))));
    }
}

/// One thing that happens, chosen when it is known to whom. A script is a `Vec` of them, which
/// QuickCheck shortens until nothing can be left out.
#[derive(Clone, Debug)]
pub(crate) struct Turn(Dice);

impl Arbitrary for Turn {
    fn arbitrary(g: &mut Gen) -> Turn {
        Turn(Dice::of(g))
    }
}

/// What a turn is.
#[derive(Clone, Debug)]
pub(crate) enum Move {
    Wait(u64),
    Poll(NodeId, Limit),
    Input(Input),
}

impl Turn {
    /// The turn for a server in this state, and the random number for its step.
    pub(crate) fn resolve(&self, node: &Node) -> (Move, u64) {
        let mut dice = self.0.clone();
        let draw = dice.next();
        let chosen = match dice.below(23) {
            0..3 => Move::Wait(dice.pick(&[1, HEARTBEAT, E / 2, E, 3 * E])),
            3..6 => {
                let entries = dice.pick(&[0, 1, 2, u64::MAX]);
                let peer = NodeId(dice.pick(&[1, 2, 2, 2, 3, 3, 4, 5]));
                let transfer = node.leadership().and_then(|leadership| leadership.transfer);
                let to = transfer.filter(|_| dice.one_in(2)).map_or(peer, |transfer| transfer.to);
                Move::Poll(to, Limit { entries })
            }
            6..8 => Move::Input(Input::Tick),
            8 => Move::Input(Input::Campaign),
            9 if dice.one_in(3) => Move::Input(Input::ChangeMembers(some_members(&mut dice))),
            9 if dice.one_in(2) => Move::Input(some_report(&mut dice, node)),
            9 => Move::Input(Input::Propose { count: dice.below(4) }),
            10..13 => Move::Input(Input::Persisted(some_write(&mut dice, node))),
            13 if dice.one_in(2) => {
                let to = dice.pick(&[1, 2, 2, 2, 3, 3, 4, 5]);
                Move::Input(Input::TransferLeadership(NodeId(to)))
            }
            13..15 => Move::Input(Input::Read(Token(dice.below(9)))),
            _ => Move::Input(Input::Receive(some_envelope(&mut dice, node))),
        };
        (chosen, draw)
    }
}

/// Members to ask for: sometimes impossible ones.
fn some_members(dice: &mut Dice) -> Target {
    let mut some = |odds| (1..=5).filter(|_| dice.one_in(odds)).map(NodeId).collect();
    Target { voters: some(2), learners: some(6) }
}

/// A snapshot was taken, or moved to a peer.
fn some_report(dice: &mut Dice, node: &Node) -> Input {
    let base = node.log().base().index;
    if dice.one_in(2) {
        return Input::SnapshotReported { peer: NodeId(1 + dice.below(4)), index: base };
    }
    let (commit, last) = (node.commit_index(), node.log().last().index);
    let likely = [base, base.next(), commit, commit, commit.next(), last, Index(u64::MAX)];
    Input::SnapshotTaken { index: dice.pick(&likely) }
}

fn some_write(dice: &mut Dice, node: &Node) -> WriteId {
    let last = node.last_write();
    if dice.one_in(2) { last } else { WriteId(dice.below(last.0 + 1)) }
}

fn some_envelope(dice: &mut Dice, node: &Node) -> Envelope {
    let term = some_term(dice, node);
    let likely_answer = dice.one_in(2);
    let body = match node.role().name() {
        RoleName::PreCandidate if likely_answer => some_pre_vote_reply(dice, node),
        RoleName::Candidate if likely_answer => some_vote_reply(dice),
        RoleName::Leader if likely_answer => some_append_reply(dice, node),
        RoleName::Follower | RoleName::PreCandidate | RoleName::Candidate | RoleName::Leader => {
            match dice.below(11) {
                8 if dice.one_in(3) => Body::TimeoutNow,
                9 => Body::ReadIndex { token: Token(dice.below(9)) },
                10 => some_read_index_reply(dice, node),
                0 => Body::PreVote { last: some_entry(dice, node), round: Instant(BEGIN) },
                1 => some_pre_vote_reply(dice, node),
                2 => Body::RequestVote { last: some_entry(dice, node), handover: dice.one_in(3) },
                3 => some_vote_reply(dice),
                4 => some_append_reply(dice, node),
                5 if dice.one_in(2) => some_install_snapshot(dice, node),
                _ => some_append_entries(dice, node, term),
            }
        }
    };
    let other = if dice.one_in(2) { 2 } else { 2 + dice.below(4) };
    let from = NodeId(if dice.one_in(50) { 1 } else { other });
    let to = NodeId(if dice.one_in(50) { 2 } else { 1 });
    let stamp = some_stamp(dice, node, from, body.kind());
    Envelope { from, to, message: Message { term, stamp, body } }
}

/// A likely answer's stamp is near what the peer was asked; a request's belongs to its sender.
fn some_stamp(dice: &mut Dice, node: &Node, from: NodeId, kind: Kind) -> Stamp {
    let peers = node.leadership().map(|leadership| (leadership, leadership.peers.get(&from)));
    if let Some((leadership, Some(peer))) = peers.filter(|_| !kind.is_request()) {
        let round = leadership.round;
        let round = dice.pick(&[round, round, peer.asked, round.saturating_sub(1), u64::MAX]);
        let hostile = Some(Instant(dice.pick(&[0, u64::MAX])));
        let sent = dice.pick(&[peer.sent_at, peer.sent_at, peer.last_contact, None, hostile]);
        return Stamp { round, sent };
    }
    let sent = dice.one_in(2).then(|| Instant(dice.next()));
    Stamp { round: dice.below(4), sent }
}

fn some_read_index_reply(dice: &mut Dice, node: &Node) -> Body {
    let some = Token(dice.below(9));
    let asked = node.forwards().first().filter(|_| !dice.one_in(4));
    let token = asked.map_or(some, |forward| forward.token);
    Body::ReadIndexReply { token, index: some_entry(dice, node).index }
}

fn some_term(dice: &mut Dice, node: &Node) -> Term {
    let current = node.current_term().0;
    Term(match dice.below(40) {
        0..5 => current.saturating_sub(1),
        5..10 => current + 1,
        10 => current + 3,
        11 => dice.pick(&[0, Term::LIMIT.0, u64::MAX]),
        _ => current,
    })
}

/// The name of an entry: one of the log's, one near its end, or nonsense.
fn some_entry(dice: &mut Dice, node: &Node) -> EntryId {
    let (log, last) = (node.log(), node.log().last());
    let index = Index(match dice.below(10) {
        0..4 => last.index.0,
        4..8 => dice.below(last.index.0 + 1),
        8 => last.index.0 + 1,
        _ => dice.pick(&[0, u64::MAX - 1, u64::MAX]),
    });
    let near = node.current_term().0 + 1;
    let known = log.term_at(index).filter(|_| !dice.one_in(8));
    let term =
        known.unwrap_or_else(|| Term(dice.pick(&[0, near, near.saturating_sub(2), u64::MAX])));
    EntryId { term, index }
}

fn some_pre_vote_reply(dice: &mut Dice, node: &Node) -> Body {
    let present = node.campaign().map_or(Instant(BEGIN), |campaign| campaign.round);
    let round = if dice.one_in(5) { Instant(dice.next()) } else { present };
    let asked_in = if dice.one_in(5) { some_term(dice, node) } else { node.current_term() };
    Body::PreVoteReply { asked_in, round, granted: !dice.one_in(4) }
}

fn some_vote_reply(dice: &mut Dice) -> Body {
    Body::RequestVoteReply { granted: !dice.one_in(4) }
}

fn some_append_reply(dice: &mut Dice, node: &Node) -> Body {
    let (some, hint) = (some_entry(dice, node), some_entry(dice, node));
    if dice.one_in(3) {
        return accepted(node.log().last().index.0);
    }
    Body::AppendEntriesReply(match dice.below(8) {
        0 => AppendOutcome::Stale,
        1..4 => AppendOutcome::Conflict { prev_index: some.index, hint },
        _ => AppendOutcome::Accepted { match_index: some.index },
    })
}

fn some_install_snapshot(dice: &mut Dice, node: &Node) -> Body {
    let configuration = dice.pick(&[voters(&[1, 2, 3]), voters(&[1, 2, 4]), voters(&[])]);
    let mut last = some_entry(dice, node);
    last.index.0 = last.index.0.saturating_add(dice.below(3));
    Body::InstallSnapshot { snapshot: Snapshot::new(last, configuration) }
}

fn some_append_entries(dice: &mut Dice, node: &Node, term: Term) -> Body {
    let prev = some_entry(dice, node);
    let (mut entries, mut at) = (Entries::default(), prev);
    for _ in 0..dice.below(3) {
        let of = Term(at.term.0.saturating_add(dice.below(3)).min(term.0.max(1)));
        let run = Entries::of_term(at.index, of, dice.below(4));
        at = EntryId { term: of, index: run.last_index(at.index) };
        entries.runs.extend(run.runs);
    }
    if dice.one_in(10) {
        let index = Index(prev.index.0.saturating_add(1 + dice.below(3)));
        entries.configurations.push((index, voters(&[1, 2, 4])));
    }
    let commits = [Index(0), node.commit_index().next(), node.log().last().index, Index(u64::MAX)];
    Body::AppendEntries { prev, entries, leader_commit: dice.pick(&commits) }
}
