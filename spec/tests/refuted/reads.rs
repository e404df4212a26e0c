//! Claims about reads and leases, refuted.

use quorate_spec::property::history::{Event, History};
use quorate_spec::property::reads::{
    confirmation_sound, lease_exclusive, lease_read_is_linearizable, published_in_time, waits_for,
};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{
    Body, Duration, Effects, Envelope, Index, Input, Instant, Kind, Message, Moment, Protocol,
    ReadView, Rules, Sound, Stamp, Term, Token,
};

use crate::common::*;
use crate::{
    Case, broken_rules, committed, follower, from, history, leader, where_it, with_and_without,
};

broken_rules! {
    DropsReads: fails_reads() -> bool = false;
    BeginsWithTheAnswer: lease_start(_sent: Instant, now: Instant) -> Instant = now;
    ConfirmsByAny: confirms(_answer: Kind) -> bool = true;
}

const ASKED: Token = Token(7);

/// A read that was asked for after entry 2 was committed, and is served at `index`.
fn served_at(index: Option<u64>) -> Vec<Event> {
    let (server, token) = (n(1), ASKED);
    vec![
        committed(entry(1, 1), 1),
        committed(entry(2, 1), 1),
        Event::ReadAsked { server, token },
        committed(entry(3, 1), 1),
        Event::ReadAnswered { server, token, index: index.map(Index) },
    ]
}

/// What was committed when it was asked for has to be seen; what was committed later need not.
pub(crate) fn read_of_the_past() -> Case {
    Case { near: history(&served_at(Some(2))), refuted: history(&served_at(Some(1))) }
}

/// Whoever answers a read that was answered before, or that a restart took along, serves anything.
pub(crate) fn answer_to_no_question() -> Case {
    let mut after_restart = served_at(Some(3));
    after_restart.insert(3, Event::Restarted(n(1)));
    let mut failed_twice = served_at(None);
    failed_twice.extend(failed_twice.last().cloned());
    Case { near: history(&failed_twice), refuted: history(&after_restart) }
}

/// By a view that is not the latest.
pub(crate) fn lease_read_of_the_past() -> Case {
    let mut known = History::default();
    known.observe(&committed(entry(2, 1), 1));
    let with = |index| {
        let holds = lease_read_is_linearizable(&known, Index(index));
        where_it(Claim::LinearizableRead, holds)
    };
    Case { near: with(2), refuted: with(1) }
}

/// A leader of an earlier term may not have heard of this one; one of a later term has, or had, a
/// quorum.
pub(crate) fn lease_beside_a_later_leader() -> Case {
    let holder = leader(2);
    let with = |other: u64| {
        let led = [Term(2), Term(other)];
        where_it(Claim::LeaseExclusive, lease_exclusive(&holder.node, led.into_iter()))
    };
    Case { near: with(1), refuted: with(3) }
}

/// The step in which a leader of two voters commits its no-op: the views, and what it asks for.
fn commit_of_a_no_op() -> (ReadView, ReadView, Effects) {
    let params = params().with_lease(0, Duration(0));
    let mut server = Setup { params, ..Setup::default() }.lead(&[2]);
    let view = |server: &Server| server.protocol.read_view(&server.node);
    let before = view(&server);
    let effects = server.receive(2, 1, accepted(1));
    (before, view(&server), effects)
}

pub(crate) fn views_not_published() -> Vec<Case> {
    let (before, after, effects) = commit_of_a_no_op();
    let with = |before, after, effects: &Effects| {
        where_it(Claim::PublishedInTime, published_in_time(before, after, effects))
    };
    let near = with(before, after, &effects);
    let case = |refuted| Case { near, refuted };
    let not_published = Effects { publish: None, ..effects.clone() };
    let no_commit = Effects { commit: None, ..Effects::default() };
    let commit_only = Effects { commit: Some(Index(2)), publish: None, ..effects.clone() };
    vec![
        case(with(before, after, &not_published)),
        // The view before is published, and the commit acknowledged.
        case(with(before, after, &Effects { publish: Some(before), ..effects.clone() })),
        // A commit beyond what readers may see.
        case(with(before, before, &commit_only)),
        Case {
            near: with(before, before, &no_commit),
            refuted: with(before, before, &Effects { publish: Some(before), ..no_commit }),
        },
    ]
}

/// A read that its server was asked for, after this happened to the server under these rules.
fn read_of(rules: impl Rules, server: &Server, then: Input) -> ClaimSet {
    let protocol = Protocol { rules, params: server.protocol.params };
    let moment = Moment { now: Instant(server.now), draw: server.draw };
    let (mut node, mut effects) = (server.node.clone(), Effects::default());
    let mut open = false;
    for input in [Input::Read(ASKED), then] {
        open |= input == Input::Read(ASKED);
        protocol.step(&mut node, moment, input, &mut effects);
        open &= effects.reads.iter().all(|read| read.token != ASKED);
    }
    where_it(Claim::ReadProgress, !open || waits_for(&node, ASKED))
}

/// Bug F4: a leader loses its leadership, and its reads with it.
pub(crate) fn forgotten_read() -> Case {
    let server = leader(1);
    let deposed = || from(2, 2, vote(false));
    Case {
        near: read_of(Sound, &server, deposed()),
        refuted: read_of(DropsReads, &server, deposed()),
    }
}

/// A read of the same name at another server is another read: what a leader does for a follower
/// is not what it was asked itself.
pub(crate) fn read_of_another_server() -> Case {
    let asked_by = |input: Input| {
        let mut server = leader(1);
        server.step(input);
        where_it(Claim::ReadProgress, waits_for(&server.node, ASKED))
    };
    Case { near: asked_by(Input::Read(ASKED)), refuted: asked_by(from(2, 1, read_index(7))) }
}

/// A follower keeps the read while it knows no leader.
pub(crate) fn forwarded_read() -> Case {
    let mut server = follower(1, &[]);
    let without = where_it(Claim::ReadProgress, waits_for(&server.node, ASKED));
    server.step(Input::Read(ASKED));
    Case { near: where_it(Claim::ReadProgress, waits_for(&server.node, ASKED)), refuted: without }
}

/// n2 says this to a leader of term 1, in answer to a request of its round 3, made at this instant.
fn answer(server: &Server, sent: u64, body: Body) -> Input {
    assert_eq!(server.term(), 1);
    let stamp = Stamp { round: 3, sent: Some(Instant(sent)) };
    let message = Message { stamp, ..Message::new(Term(1), body) };
    Input::Receive(Envelope { from: n(2), to: n(1), message })
}

/// A leader whose reads have come to round 3, a while after its election.
fn leader_in_round_three() -> Server {
    let mut server = leader(1);
    for token in 1..=3 {
        server.step(Input::Read(Token(token)));
        server.poll(2);
    }
    assert_eq!(server.leadership().round, 3);
    server.now += 5;
    server
}

/// Rule L1, and rule L2 of an answer to an earlier leader.
pub(crate) fn confirmed_by_no_such_answer() -> Vec<Case> {
    let server = leader_in_round_three();
    let made = server.now - 5;
    vec![
        with_and_without(BeginsWithTheAnswer, &server, &[answer(&server, made, accepted(1))]),
        with_and_without(ConfirmsByAny, &server, &[answer(&server, made, stale())]),
    ]
}

/// A step after which n2 has confirmed round 3, beside what n2 says in it, or n3.
pub(crate) fn confirmed_by_another() -> Case {
    let before = leader_in_round_three();
    let says = answer(&before, before.now, accepted(1));
    let mut after = before.clone();
    after.step(says.clone());
    let mut other = says.clone();
    if let Input::Receive(envelope) = &mut other {
        envelope.from = n(3);
    }
    let with = |input| {
        let holds = confirmation_sound(&before.node, input, &after.node);
        where_it(Claim::ConfirmationSound, holds)
    };
    Case { near: with(&says), refuted: with(&other) }
}
