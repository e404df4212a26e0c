//! Laws of a step: what holds of every server, whatever happens to it.
#![allow(clippy::unwrap_used, missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use crate::common::dice::check;
use crate::common::play::{Outcome, play};
use crate::common::script::{Move, Start, Turn};
use crate::common::{E, HEARTBEAT, Server, Setup};
use quickcheck::{Arbitrary, Gen};
use quorate_spec::property::release::{
    message_term_persisted, vote_durability, vote_in, vote_once_per_term,
};
use quorate_spec::role::{TRANSITIONS, Transition};
use quorate_spec::{
    AppendOutcome, Body, Effects, EntryId, Envelope, Gate, Input, Instant, Kind, Limit, Moment,
    Node, Outgoing, Refusal, RoleName,
};

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
    let (mut commits, mut served, mut failed, mut asked) = (0, 0, 0, 0);
    let (mut leased, mut handed_over) = (0, 0);
    for _ in 0..6_000 {
        let mut server = Start::arbitrary(&mut g).server();
        for turn in Vec::<Turn>::arbitrary(&mut g) {
            let chosen = turn.resolve(&server.node);
            let Outcome { effects, request } = play(&mut server, chosen);
            served += effects.reads.iter().filter(|read| read.outcome.is_ok()).count();
            failed += effects.reads.iter().filter(|read| read.outcome.is_err()).count();
            leased += usize::from(effects.publish.is_some_and(|view| view.lease_until.is_some()));
            let kind = request.map(|request| request.message.body.kind());
            asked += usize::from(kind == Some(Kind::ReadIndex));
            handed_over += usize::from(kind == Some(Kind::TimeoutNow));
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
    assert!(served > 1_000 && failed > 100 && asked > 100, "reads: {served} {failed} {asked}");
    assert!(leased > 150 && handed_over > 25, "{leased} leases, {handed_over} TimeoutNow");
    assert_eq!(changes, TRANSITIONS.into());
    let seen: Vec<&str> = refusals.iter().map(String::as_str).collect();
    assert_eq!(
        seen,
        [
            "AnotherIncarnation",
            "AnotherRound",
            "CannotLead",
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
            "SameToken",
            "SnapshotCovered",
            "StaleTerm",
            "TermNotAhead",
            "TermTooHigh",
            "TransferInFlight",
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
        server.writes.iter().for_each(|persist| disk.apply(&persist.write));
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

/// The driver's contract, in any state: before the deadline neither a tick nor a request is due, so
/// that nothing is late for a driver that waits for it.
#[test]
fn nothing_is_due_before_the_deadline() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        for turn in script {
            let chosen = turn.resolve(&server.node);
            play(&mut server, chosen);
            let deadline = server.next_deadline();
            if deadline <= server.now || deadline == u64::MAX {
                continue;
            }
            let mut driven = server.clone();
            let effects = driven.tick_at(deadline - 1);
            assert_eq!((effects, &driven.node), (Effects::default(), &server.node));
            let due = (1..=9).find_map(|peer| driven.poll_up_to(peer, Limit { entries: 0 }));
            assert_eq!(due, None, "before {deadline}: {:?}", server.node);
        }
    }
    check(2_000, law as fn(Start, Vec<Turn>));
}
