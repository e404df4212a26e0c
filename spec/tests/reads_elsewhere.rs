//! Reads where nobody leads, where another server does, and where a leader leads no more (thesis
//! §6.4, rules R6 and R8).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::cluster::Cluster;
use crate::common::reading::{leader, request, round_trip};
use crate::common::*;
use quorate_spec::{Body, Effects, Refusal, RoleName};

/// The only answer to a read that these effects give: it failed.
fn failed(effects: &Effects) -> Option<Refusal> {
    assert!(effects.reads.len() <= 1, "{effects:?}");
    effects.reads.first().and_then(|read| read.outcome.err())
}

/// A follower of n2 in term 1, which has entry 1 and knows it to be committed.
fn follower() -> Server {
    let mut server = Setup { term: 1, log: vec![1], ..Setup::default() }.start();
    server.receive(2, 1, heartbeat(entry(1, 1), 1));
    server
}

fn says_read_index(outgoing: Option<quorate_spec::Outgoing>) -> bool {
    outgoing.is_some_and(|outgoing| matches!(outgoing.message.body, Body::ReadIndex { .. }))
}

// At those who do not lead: rule R8.

/// Rule R8: "the follower would issue a request to the leader that just asked for a current
/// readIndex".
#[test]
fn a_follower_forwards_its_read_to_the_leader() {
    let mut server = follower();
    assert!(server.protocol.recipients(&server.node).is_empty());
    server.step(read(7));
    assert_eq!(server.protocol.recipients(&server.node), [n(2)]);
    assert!(server.next_deadline() <= server.now);
    assert_eq!(server.poll(3), None, "only the leader is asked");
    assert_eq!(request(&mut server, 2).body, read_index(7));
    let effects = server.receive(2, 1, read_index_reply(7, 5));
    assert_eq!(served(&effects), [(7, 5)], "when it has applied entry 5 itself (rule R4)");
    assert!(server.protocol.recipients(&server.node).is_empty());
}

#[test]
fn a_follower_asks_again_until_it_has_an_answer() {
    let mut server = follower();
    server.step(read(7));
    let asked = server.now;
    assert!(says_read_index(server.poll(2)));
    assert_eq!((server.poll(2), server.next_deadline()), (None, asked + HEARTBEAT));
    server.tick_at(asked + HEARTBEAT);
    assert!(says_read_index(server.poll(2)));
}

/// Each of its reads has its own question.
#[test]
fn a_follower_asks_for_each_of_its_reads() {
    let mut server = follower();
    server.step(read(1));
    server.step(read(2));
    let asked: Vec<_> = server.poll_all(2).into_iter().map(|it| it.message.body).collect();
    assert_eq!(asked, [read_index(1), read_index(2)]);
    server.receive(2, 1, read_index_reply(2, 5));
    assert_eq!(server.node.forwards().len(), 1, "the other one waits");
}

/// Rule R6: what its leader has promised to find out may be lost with it.
#[test]
fn a_follower_asks_the_next_leader() {
    let mut server = follower();
    server.step(read(7));
    assert!(says_read_index(server.poll(2)));
    server.receive(3, 2, heartbeat(entry(1, 1), 1));
    assert!(server.next_deadline() <= server.now, "at once");
    assert_eq!(server.protocol.recipients(&server.node), [n(3)]);
    assert_eq!(server.poll(2), None);
    assert_eq!(request(&mut server, 3).body, read_index(7));
}

/// The answer holds for ever: it was found after the question had come.
#[test]
fn a_follower_takes_a_late_answer_of_an_earlier_leader() {
    let mut server = follower();
    server.step(read(7));
    assert!(says_read_index(server.poll(2)));
    server.receive(3, 2, heartbeat(entry(1, 1), 1));
    assert_eq!(served(&server.receive(2, 1, read_index_reply(7, 5))), [(7, 5)]);
    assert_eq!(served(&server.receive(3, 2, read_index_reply(7, 9))), [], "and only once");
}

/// Rule R7, and what a driver owes the protocol: a name that was used before the restart would be
/// answered by what was true then.
#[test]
fn a_name_that_is_used_again_after_a_restart_takes_the_answer_of_before() {
    let mut server = follower();
    server.step(read(7));
    assert!(says_read_index(server.poll(2)));
    let now = server.now;
    server.crash(now);
    let late = read_index_reply(7, 5);
    assert_eq!(served(&server.receive(2, 1, late.clone())), [], "nobody waits for it any more");
    server.step(read(8));
    assert_eq!(served(&server.receive(2, 1, late.clone())), [], "nor under another name");
    server.step(read(7));
    assert_eq!(served(&server.receive(2, 1, late)), [(7, 5)], "whatever is committed by now");
}

/// No honest leader's log is so long.
#[test]
fn an_answer_at_an_impossible_index_is_refused() {
    let mut server = follower();
    server.step(read(7));
    let effects = server.receive(2, 1, read_index_reply(7, u64::MAX));
    assert!(refused(&effects, Refusal::Malformed) && server.node.forwards().len() == 1);
}

/// A candidate waits: for the votes, or for the leader that it hears of.
#[test]
fn a_candidates_read_waits_for_whoever_leads_next() {
    for wins in [true, false] {
        let mut server = Setup::default().start();
        server.be_candidate(&[2]);
        server.sync();
        server.step(read(7));
        assert!(!server.poll_all(2).iter().any(|it| it.message.body == read_index(7)));
        if wins {
            server.receive(2, 1, vote(true));
            assert_eq!((server.leadership().reads.len(), server.node.forwards().len()), (1, 0));
            server.sync();
            assert_eq!(served(&round_trip(&mut server, 2)), [(7, 1)]);
        } else {
            server.receive(3, 1, heartbeat(entry(0, 0), 0));
            assert_eq!(request(&mut server, 3).body, read_index(7));
        }
    }
}

/// A server that knows no leader is not called for its reads.
#[test]
fn a_follower_without_a_leader_waits() {
    let mut server = Setup::default().start();
    server.step(read(7));
    assert_eq!(server.next_deadline(), server.node.election_deadline().0);
    assert!(server.protocol.recipients(&server.node).is_empty());
}

/// Rule R8: what a follower asks the leader is confirmed as what the leader is asked itself.
#[test]
fn a_leader_answers_a_follower_when_a_round_has_confirmed_it() {
    let mut server = leader();
    let effects = server.receive(3, 1, read_index(7));
    assert!(effects.send.is_empty() && effects.reads.is_empty());
    let effects = round_trip(&mut server, 2);
    assert_eq!((effects.send.len(), effects.reads.len()), (1, 0));
    assert_eq!(
        (effects.send[0].to, &effects.send[0].message.body),
        (n(3), &read_index_reply(7, 1))
    );
}

/// A follower that asks again while its read waits does not make it two.
#[test]
fn a_repeated_question_waits_once() {
    let mut server = leader();
    server.receive(3, 1, read_index(7));
    server.receive(3, 1, read_index(7));
    assert_eq!(server.leadership().reads.len(), 1);
    round_trip(&mut server, 2);
    server.receive(3, 1, read_index(7));
    assert_eq!(server.leadership().reads.len(), 1, "the answer may have been lost");
}

/// Whoever does not lead says nothing: the follower asks whom it hears.
#[test]
fn a_server_that_does_not_lead_answers_no_follower() {
    let mut server = follower();
    let effects = server.receive(3, 1, read_index(7));
    assert!(refused(&effects, Refusal::NotLeader { leader: Some(n(2)) }));
    assert!(effects.send.is_empty() && server.node.forwards().is_empty());
}

// Loss of leadership, and crashes: rule R6.

/// Rule R6, bug F4: nobody is left waiting.
#[test]
fn the_reads_of_a_leader_fail_when_it_leads_no_more() {
    let by_higher_term = |server: &mut Server| server.receive(3, 2, vote(false));
    let by_silence = |server: &mut Server| server.tick_at(server.now + E);
    for lose in [by_higher_term, by_silence] {
        let mut server = leader();
        server.step(read(7));
        server.receive(3, 1, read_index(8));
        let effects = lose(&mut server);
        assert_eq!(failed(&effects), Some(Refusal::LostLeadership), "its own read");
        assert!(effects.send.is_empty(), "n3 asks again by itself");
    }
}

/// Rule R6: a leader that is removed fails them as well.
#[test]
fn the_reads_of_a_leader_that_is_removed_fail() {
    let mut server = leader();
    server.step(ask_for(&[2, 3], &[]));
    server.sync();
    [2, 3].iter().for_each(|peer| drop(round_trip(&mut server, *peer)));
    server.sync();
    server.step(read(7));
    server.receive(2, 1, accepted(3));
    assert!(server.node.is_leader(), "C_new is not committed");
    let committing = server.receive(3, 1, accepted(3));
    assert_eq!(server.role(), RoleName::Follower);
    assert_eq!(failed(&committing), Some(Refusal::LostLeadership));
}

/// Thesis §6.4 and claim LinearizableRead: the old leader of a partition is asked, and the client
/// of the other side has its answer already.
#[test]
fn an_isolated_leader_serves_no_read() {
    let mut cluster = Cluster::new(5, params());
    let old = cluster.elect();
    cluster.isolate(old);
    cluster.step(old, read(7));
    cluster.run(5 * E);
    let new = cluster.leader().unwrap();
    assert_ne!(new, old);
    cluster.propose();
    assert_eq!(cluster.answers, [(old, 7, Err(Refusal::LostLeadership))]);
    cluster.step(old, read(8));
    cluster.heal();
    cluster.run(2 * HEARTBEAT);
    let commit = cluster.at(new).commit();
    assert_eq!(cluster.answers.last(), Some(&(old, 8, Ok(commit))), "by the new leader's word");
}

/// Claim ReadProgress: every server is asked, and every one answers, whatever happens to messages
/// of the first moment.
#[test]
fn every_server_of_a_cluster_serves_reads() {
    let mut cluster = Cluster::new(5, params());
    let leader = cluster.elect();
    cluster.propose();
    for id in cluster.ids() {
        cluster.step(id, read(7));
    }
    cluster.run(HEARTBEAT);
    let mut answers = cluster.answers.clone();
    answers.sort_by_key(|(id, ..)| *id);
    let commit = cluster.at(leader).commit();
    assert_eq!(answers, (1..=5).map(|id| (id, 7, Ok(commit))).collect::<Vec<_>>());
}

/// Claim ReadProgress: also where nobody leads when it is asked.
#[test]
fn a_read_that_comes_before_the_first_leader_is_answered_when_there_is_one() {
    let mut cluster = Cluster::new(3, params());
    for id in cluster.ids() {
        cluster.step(id, read(7));
    }
    assert!(cluster.answers.is_empty());
    cluster.elect();
    let mut answered: Vec<u64> = cluster.answers.iter().map(|(id, ..)| *id).collect();
    answered.sort_unstable();
    assert_eq!(answered, [1, 2, 3]);
    assert!(cluster.answers.iter().all(|(.., outcome)| *outcome == Ok(1)));
}
