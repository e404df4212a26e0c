//! Laws of a step: what holds of every server, whatever happens to it.
#![allow(clippy::unwrap_used, missing_docs)]

mod common;

use std::collections::{BTreeMap, BTreeSet};

use common::dice::check;
use common::script::{Move, Start, Turn};
use common::{E, HEARTBEAT, Server, Setup};
use quickcheck::{Arbitrary, Gen};
use quorate_spec::property::release::{
    message_term_persisted, vote_durability, vote_in, vote_once_per_term,
};
use quorate_spec::role::{TRANSITIONS, Transition};
use quorate_spec::{
    AppendOutcome, Body, Effects, EntryId, Envelope, Gate, Input, Instant, Moment, Node, NodeId,
    Outgoing, Refusal, Rename, RoleName, WriteId,
};

/// What a turn has produced.
#[derive(Clone, PartialEq, Debug, Default)]
struct Outcome {
    effects: Effects,
    request: Option<Outgoing>,
}

impl Outcome {
    fn outgoing(self) -> impl Iterator<Item = Outgoing> {
        self.effects.send.into_iter().chain(self.request)
    }
}

/// Plays one move; the claims of `property::step` are kept in each.
fn play(server: &mut Server, (chosen, draw): (Move, u64)) -> Outcome {
    server.draw = draw;
    match chosen {
        Move::Wait(time) => {
            server.now += time;
            Outcome::default()
        }
        Move::Poll(peer, limit) => {
            Outcome { request: server.poll_up_to(peer.0, limit), ..Outcome::default() }
        }
        Move::Input(input) => Outcome { effects: server.step(input), ..Outcome::default() },
    }
}

/// What is true of every server at every moment, whatever it was told.
fn assert_legal(node: &Node) {
    let (log, last) = (node.log(), node.log().last());
    assert!(node.commit_index() <= last.index, "commit within the log: {node:?}");
    assert!(node.durable_index() <= last.index, "durable within the log: {node:?}");
    assert!(last.term <= node.current_term(), "no entry of a later term: {node:?}");
    assert!(log.contains(last), "the last entry is in the log: {node:?}");
    let ids: Vec<_> = log.ids().collect();
    assert!(ids.windows(2).all(|two| two[0].term <= two[1].term), "terms do not fall: {node:?}");
    let after = log.base().index.0 + 1;
    assert!((after..).zip(&ids).all(|(i, id)| id.index.0 == i), "indices follow: {node:?}");
    assert!(log.is_contiguous() && log.base().index <= node.commit_index(), "{node:?}");
    let writes = node.unwritten();
    assert!(writes.windows(2).all(|two| two[0].id < two[1].id), "writes in order: {node:?}");
    assert!(writes.last().is_none_or(|write| write.id == node.last_write()), "{node:?}");
    let marks = writes.iter().filter_map(|write| write.durable_to);
    let marks: Vec<_> = [node.durable_index()].into_iter().chain(marks).collect();
    assert!(marks.is_sorted() && marks.last() == Some(&last.index), "covered: {node:?}");
    let waiting = node.role().name() != RoleName::Leader;
    assert!(!waiting || node.election_deadline() >= node.promised_until(), "{node:?}");
}

/// "Total": no message panics, breaks a local invariant or a claim about one server.
#[test]
fn whatever_a_server_is_told_it_stays_in_a_legal_state() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        for turn in script {
            let chosen = turn.resolve(&server.node);
            play(&mut server, chosen);
            assert_legal(&server.node);
        }
    }
    check(20_000, law as fn(Start, Vec<Turn>));
}

/// Claim StateTransitions: the changes that a step reports lead along the table from the role
/// before it to the role after it, and none goes unreported.
#[test]
fn a_step_reports_the_changes_of_role_that_it_makes() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        for turn in script {
            let chosen = turn.resolve(&server.node);
            let before = server.node.clone();
            let changed = play(&mut server, chosen).effects.changed;
            let mut at = before.role().name();
            for change in &changed {
                assert!(TRANSITIONS.contains(change) && change.0 == at, "{changed:?}");
                at = change.1;
            }
            assert_eq!(at, server.role(), "{changed:?}");
            let round = |node: &Node| node.campaign().map(|campaign| campaign.round);
            let same = before.current_term() == server.node.current_term();
            let renewed =
                round(&before) != round(&server.node) || (at != RoleName::Follower && !same);
            assert!(!renewed || !changed.is_empty(), "{before:?} {:?}", server.node);
        }
    }
    check(5_000, law as fn(Start, Vec<Turn>));
}

/// "Deterministic": the same step does the same, whatever the effects held before.
#[test]
fn the_same_step_does_the_same() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        let mut effects = Effects::default();
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let mut node = server.node.clone();
            let outcome = play(&mut server, (chosen.clone(), draw));
            if let Move::Input(input) = chosen {
                let moment = Moment { now: Instant(server.now), draw };
                server.protocol.step(&mut node, moment, input, &mut effects);
                assert_eq!((&node, &effects), (&server.node, &outcome.effects));
            }
        }
    }
    check(2_000, law as fn(Start, Vec<Turn>));
}

/// The laws are about something: their lives visit every role, take every row of the table of
/// transitions and see every refusal.
#[test]
fn the_lives_of_the_laws_visit_every_role_and_see_every_refusal() {
    let mut g = Gen::from_size_and_seed(60, 1);
    let mut roles: BTreeMap<RoleName, usize> = BTreeMap::new();
    let mut refusals: BTreeSet<String> = BTreeSet::new();
    let mut changes: BTreeSet<Transition> = BTreeSet::new();
    let mut commits = 0;
    for _ in 0..3_000 {
        let mut server = Start::arbitrary(&mut g).server();
        for turn in Vec::<Turn>::arbitrary(&mut g) {
            let chosen = turn.resolve(&server.node);
            let effects = play(&mut server, chosen).effects;
            *roles.entry(server.role()).or_default() += 1;
            commits += usize::from(effects.commit.is_some());
            changes.extend(effects.changed.iter().copied());
            let name = |refusal: &Refusal| {
                format!("{refusal:?}").split(['(', ' ']).next().unwrap().to_owned()
            };
            refusals.extend(effects.refused.iter().map(name));
        }
    }
    assert!(roles.len() == 4 && roles.values().all(|steps| *steps > 1_000), "{roles:?}");
    assert!(commits > 1_000, "{commits} steps commit");
    assert_eq!(changes, TRANSITIONS.into());
    let seen: Vec<&str> = refusals.iter().map(String::as_str).collect();
    assert_eq!(
        seen,
        [
            "AnotherIncarnation",
            "AnotherRound",
            "ChangeInFlight",
            "EarlierTerm",
            "IsLeader",
            "LastVoter",
            "LogNotUpToDate",
            "Malformed",
            "NoCommitInTerm",
            "NoVoters",
            "NotAPeer",
            "NotAVoter",
            "NotCommitted",
            "NotInThatRole",
            "NotLeader",
            "NothingToChange",
            "PreVoteHasNoTerm",
            "PromiseInForce",
            "SnapshotCovered",
            "StaleTerm",
            "TermNotAhead",
            "TermTooHigh",
            "VotedForAnother",
            "VoterAndLearner",
        ]
    );
}

/// `Durable::apply`: after any prefix of the writes the disk has what memory had then.
#[test]
fn a_prefix_of_the_writes_gives_the_state_after_its_last_write() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        let mut disk = server.disk.clone();
        for turn in script {
            let chosen = turn.resolve(&server.node);
            let before = server.node.last_write();
            if let Some(persist) = play(&mut server, chosen).effects.persist {
                assert_eq!(persist.id, before.next(), "numbered one after the other");
                assert!(!persist.write.is_empty());
                disk.apply(&persist.write);
            }
            assert_eq!((disk.hard_state, &disk.log), (server.node.hard_state(), server.node.log()));
        }
    }
    check(2_000, law as fn(Start, Vec<Turn>));
}

/// The entry that this message says to be on its sender's disk, in the sender's own words.
fn acknowledged(node: &Node, outgoing: &Outgoing) -> Option<EntryId> {
    let Body::AppendEntriesReply(AppendOutcome::Accepted { match_index: index }) =
        outgoing.message.body
    else {
        return None;
    };
    // What is compacted has no name any more.
    Some(EntryId { term: node.log().term_at(index)?, index })
}

/// Rules P1, P2: what the gate lets out says no more than the disk would recover. An impossible
/// leader may have replaced what it had acknowledged; then the log in memory has changed, too.
#[test]
fn what_leaves_through_the_gate_is_covered_by_the_disk() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        let (mut gate, mut last_vote) = (Gate::default(), None);
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let mut free = Vec::new();
            if let Move::Input(Input::Persisted(id)) = chosen {
                while server.writes.front().is_some_and(|persist| persist.id <= id) {
                    server.disk.apply(&server.writes.pop_front().unwrap().write);
                }
                free = gate.persisted(id);
            }
            let outcome = play(&mut server, (chosen, draw));
            let (disk, node) = (&server.disk, &server.node);
            let said = outcome.outgoing().map(|item| (acknowledged(node, &item), item));
            free.extend(said.filter_map(|(ack, item)| gate.pass(item.needs, (ack, item))));
            for (ack, Outgoing { to, message, .. }) in free {
                let envelope = Envelope { from: node.id(), to, message };
                let lost = ack.is_some_and(|id| !disk.log.covers(id) && node.log().contains(id));
                let kept = message_term_persisted(&envelope, disk)
                    && vote_in(&envelope).is_none_or(|vote| {
                        vote_durability(vote, disk) && vote_once_per_term(vote, last_vote)
                    });
                assert!(kept && !lost, "{envelope:?} is not covered by {disk:?}");
                last_vote = vote_in(&envelope).or(last_vote);
            }
        }
    }
    check(5_000, law as fn(Start, Vec<Turn>));
}

/// Moves the times of an input, which belong to the receiver's clock in replies only.
fn rebased(input: &Input, now: Instant, to: Instant) -> Input {
    let mut input = input.clone();
    if let Input::Receive(envelope) = &mut input
        && !envelope.message.body.kind().is_request()
    {
        envelope.message.rebase(now, to);
    }
    input
}

/// The law of `Node::rebase`: step and rebase, or rebase and step, is the same. It holds where `to`
/// is later than every span that is still remembered; a step may leave something in the node
/// that rebase forgets, so both sides are rebased in the end.
#[test]
fn a_step_commutes_with_moving_the_clock() {
    fn law(start: Start, script: Vec<Turn>, to: u16) {
        let mut server = start.server();
        let (params, to) = (server.protocol.params, Instant(400 * E + u64::from(to) * 4));
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let now = Instant(server.now);
            let mut moved = server.clone();
            moved.now = to.0;
            moved.node.rebase(&params, now, to);
            let deadline = |server: &Server| match server.next_deadline() {
                u64::MAX => None,
                at => Some(at.saturating_sub(server.now)),
            };
            assert_eq!(deadline(&moved), deadline(&server), "{:?}", server.node);
            let horizon = |s: &Server| s.protocol.horizon(&s.node, Instant(s.now)).0 - s.now;
            assert_eq!(horizon(&moved), horizon(&server));
            let moved_outcome = match &chosen {
                Move::Input(input) => {
                    play(&mut moved, (Move::Input(rebased(input, now, to)), draw))
                }
                Move::Wait(_) | Move::Poll(..) => play(&mut moved, (chosen.clone(), draw)),
            };
            let mut outcome = play(&mut server, (chosen, draw));
            if let Some(request) = &mut outcome.request {
                request.message.rebase(now, to);
            }
            assert_eq!(moved_outcome, outcome);
            let (mut left, mut right) = (server.node.clone(), moved.node);
            left.rebase(&params, Instant(server.now), to);
            right.rebase(&params, Instant(moved.now), to);
            assert_eq!(left, right);
        }
    }
    check(5_000, law as fn(Start, Vec<Turn>, u16));
}

/// Rebasing once is enough.
#[test]
fn moving_the_clock_twice_is_moving_it_once() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        let params = server.protocol.params;
        for turn in script {
            let chosen = turn.resolve(&server.node);
            play(&mut server, chosen);
            let (now, far, to) = (Instant(server.now), Instant(500 * E), Instant(900 * E));
            let (mut once, mut twice) = (server.node.clone(), server.node.clone());
            once.rebase(&params, now, to);
            twice.rebase(&params, now, far);
            twice.rebase(&params, far, to);
            assert_eq!(once, twice, "at {now:?}");
        }
    }
    check(500, law as fn(Start, Vec<Turn>));
}

/// Moving the clock forgets how long ago a thing expired, so that the model's states are finite.
#[test]
fn what_has_expired_is_forgotten_when_the_clock_is_moved() {
    let later = |by: u64| {
        let mut server = Setup::default().lead(&[2]);
        assert!(server.poll(2).is_some());
        let (now, params) = (Instant(server.now + by), server.protocol.params);
        server.node.rebase(&params, now, Instant(10 * E));
        server
    };
    let answered = |server: &Server| server.progress(2).last_contact.is_some();
    let (fresh, due) = (later(HEARTBEAT - 1), later(HEARTBEAT));
    assert!(fresh.progress(2).sent_at.is_some() && due.progress(2).sent_at.is_none());
    assert!(answered(&later(E - 1)) && !answered(&later(E)));
    assert_eq!(later(E).node, later(5 * E).node);
}

/// An untimed model lets any deadline pass at any time: the horizon is when all of them have.
#[test]
fn at_the_horizon_every_deadline_has_passed() {
    let horizon = |server: &Server| server.protocol.horizon(&server.node, Instant(server.now)).0;
    let leader = Setup::default().lead(&[2]);
    assert_eq!(horizon(&leader), leader.now + E);
    let mut follower = Setup::default().start();
    follower.hear_leader(2, 1);
    assert_eq!(horizon(&follower), follower.node.election_deadline().0);
    follower.node.forget_election_timer(Instant(follower.now));
    assert_eq!(horizon(&follower), follower.node.promised_until().0);
    follower.now += 5 * E;
    assert_eq!(horizon(&follower), follower.now);
}

/// The law of `Node::renumber_writes`: only the order of the numbers matters.
#[test]
fn a_step_commutes_with_renumbering_the_writes() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let mut moved = server.clone();
            let by = moved.node.renumber_writes();
            let less = |id: WriteId| WriteId(id.0.saturating_sub(by));
            let moved_move = match &chosen {
                Move::Input(Input::Persisted(id)) => Move::Input(Input::Persisted(less(*id))),
                Move::Input(_) | Move::Wait(_) | Move::Poll(..) => chosen.clone(),
            };
            let moved_outcome = play(&mut moved, (moved_move, draw));
            let mut outcome = play(&mut server, (chosen, draw));
            let Outcome { effects, request } = &mut outcome;
            effects.persist.iter_mut().for_each(|persist| persist.id = less(persist.id));
            let outgoing = effects.send.iter_mut().chain(request);
            outgoing.for_each(|outgoing| outgoing.needs = less(outgoing.needs));
            assert_eq!(moved_outcome, outcome);
            let mut node = server.node.clone();
            assert_eq!(node.renumber_writes(), by + moved.node.renumber_writes());
            assert_eq!(node, moved.node);
        }
    }
    check(2_000, law as fn(Start, Vec<Turn>));
}

/// The law of `Rename`: no rule looks at a name but to compare it.
#[test]
fn a_step_commutes_with_renaming_the_servers() {
    fn law(start: Start, script: Vec<Turn>) {
        let other_name = |id: NodeId| NodeId(20 - id.0);
        let mut server = start.server();
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let mut moved = server.clone();
            moved.node.rename(&other_name);
            let moved_move = match chosen.clone() {
                Move::Input(Input::Receive(mut envelope)) => {
                    envelope.rename(&other_name);
                    Move::Input(Input::Receive(envelope))
                }
                Move::Input(Input::ChangeMembers(mut target)) => {
                    target.rename(&other_name);
                    Move::Input(Input::ChangeMembers(target))
                }
                Move::Poll(peer, limit) => Move::Poll(other_name(peer), limit),
                Move::Input(Input::SnapshotReported { peer, index }) => {
                    let peer = other_name(peer);
                    Move::Input(Input::SnapshotReported { peer, index })
                }
                Move::Wait(_) | Move::Input(_) => chosen.clone(),
            };
            let moved_outcome = play(&mut moved, (moved_move, draw));
            let mut outcome = play(&mut server, (chosen, draw));
            let Outcome { effects, request } = &mut outcome;
            effects.persist.iter_mut().for_each(|persist| persist.write.rename(&other_name));
            effects.install.iter_mut().for_each(|snapshot| snapshot.rename(&other_name));
            effects.publish.iter_mut().for_each(|view| view.leader.rename(&other_name));
            for Outgoing { to, message, .. } in effects.send.iter_mut().chain(request) {
                to.rename(&other_name);
                message.rename(&other_name);
            }
            effects.refused.clear();
            let mut node = server.node.clone();
            node.rename(&other_name);
            let without_reasons =
                |o: Outcome| Outcome { effects: Effects { refused: vec![], ..o.effects }, ..o };
            assert_eq!((node, outcome), (moved.node, without_reasons(moved_outcome)));
        }
    }
    check(2_000, law as fn(Start, Vec<Turn>));
}

/// The driver's contract, in any state: after a tick at the deadline and a round of polls, the next
/// deadline is later.
#[test]
fn no_state_keeps_a_driver_busy() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        for turn in script {
            let chosen = turn.resolve(&server.node);
            play(&mut server, chosen);
            let mut driven = server.clone();
            let now = driven.next_deadline().max(driven.now);
            if now == u64::MAX {
                continue;
            }
            driven.tick_at(now);
            (1..=9).for_each(|peer| drop(driven.poll_all(peer)));
            let next = driven.next_deadline();
            assert!(next > now && next >= now + 1.min(HEARTBEAT), "{:?}", driven.node);
        }
    }
    check(2_000, law as fn(Start, Vec<Turn>));
}
