//! Linearizable reads by a round of messages: Read-Index (thesis §6.4, rules R1 to R9).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::reading::{leader, leader_of, request, round_trip};
use crate::common::*;
use quorate_spec::{
    Body, Configuration, Envelope, Input, Message, Params, Refusal, RoleName, Stamp, Term,
};

// Where a read may be served: rules R1, R2, R4, R9.

/// Rule R2: "the leader saves its current commit index in a local variable readIndex".
#[test]
fn a_read_is_served_at_the_commit_index_of_when_it_came() {
    let mut server = leader();
    server.step(Input::Propose { count: 3 });
    assert!(served(&server.step(read(7))).is_empty(), "nobody has confirmed that it leads");
    let asked = request(&mut server, 2);
    server.sync();
    let effects = server.hears_answer(2, &asked);
    assert_eq!(server.commit(), 4, "what is committed meanwhile need not be seen");
    assert_eq!(served(&effects), [(7, 1)]);
}

/// Rule R1, bug F1: what earlier leaders committed a new one does not know to be committed, but it
/// has it in its log, before the first entry of its own term.
#[test]
fn a_new_leaders_read_waits_for_the_entry_of_its_own_term() {
    let mut server = Setup { log: vec![1, 1, 2], ..Setup::default() }.lead(&[2]);
    assert_eq!((server.commit(), server.terms()), (0, vec![1, 1, 2, 3]));
    server.step(read(7));
    let asked = request(&mut server, 2);
    let effects = server.hears_reply(2, &asked, conflict(3, entry(1, 1)));
    // It knows that it leads, and not yet that its entry will stay.
    assert_eq!((served(&effects), server.commit()), (vec![], 0));
    server.sync();
    assert_eq!(served(&round_trip(&mut server, 3)), [(7, 4)]);
}

/// Rule R1, bug F18: entries of its own after the first are not waited for.
#[test]
fn a_new_leaders_read_waits_for_no_more_than_the_first_entry_of_its_term() {
    let mut server = Setup { log: vec![1], ..Setup::default() }.lead(&[2]);
    server.step(Input::Propose { count: 5 });
    server.step(read(7));
    assert_eq!(served(&round_trip(&mut server, 3)), [(7, 2)]);
}

/// Rule R9: whoever is a quorum alone asks nobody.
#[test]
fn a_single_voter_answers_at_once() {
    let mut server = Setup { configuration: voters(&[1]), ..Setup::default() }.start();
    server.time_out();
    server.sync();
    server.step(Input::Propose { count: 1 });
    server.sync();
    assert_eq!(served(&server.step(read(7))), [(7, 2)]);
    assert_eq!(server.leadership().reads, []);
}

/// Rule R9, bug F19: after a restart it does not know what it had committed and told its clients.
#[test]
fn a_single_voter_that_restarts_serves_nothing_before_the_entry_of_its_own_term() {
    let configuration = voters(&[1]);
    let mut server = Setup { configuration, log: vec![1, 1], ..Setup::default() }.start();
    server.time_out();
    server.sync_one();
    assert_eq!((server.role(), server.commit()), (RoleName::Leader, 0));
    assert!(served(&server.step(read(7))).is_empty(), "its no-op is not committed");
    assert_eq!(served(&server.sync_one()), [(7, 3)]);
}

/// A leader that counts nobody else may have learners, which are not asked.
#[test]
fn a_single_voter_with_a_learner_answers_at_once() {
    let configuration = Configuration { learners: voters(&[4]).voters, ..voters(&[1]) };
    let mut server = Setup { configuration, ..Setup::default() }.start();
    server.time_out();
    server.sync();
    assert_eq!(served(&server.step(read(7))), [(7, 1)]);
}

// Who confirms it, and when: rule R3.

/// Rule R3: "issues a new round of heartbeats and waits for their acknowledgments from a majority".
#[test]
fn a_read_is_confirmed_only_by_an_answer_to_a_request_that_was_made_after_it_came() {
    let mut server = leader();
    server.now += HEARTBEAT;
    let before = request(&mut server, 2);
    server.step(read(7));
    assert!(served(&server.hears_answer(2, &before)).is_empty(), "asked before, answered after");
    let after = request(&mut server, 2);
    assert!(after.stamp.round > before.stamp.round);
    assert_eq!(served(&server.hears_answer(2, &after)), [(7, 1)]);
}

/// Rule R3, bug F5: an earlier round says nothing of the time after the read had come.
#[test]
fn a_late_answer_of_an_earlier_round_confirms_nothing() {
    let mut server = leader();
    server.step(read(1));
    let first = request(&mut server, 2);
    let lost = request(&mut server, 3);
    assert_eq!(served(&server.hears_answer(2, &first)), [(1, 1)]);
    server.step(read(2));
    assert!(served(&server.hears_answer(3, &lost)).is_empty());
    assert_eq!(served(&round_trip(&mut server, 3)), [(2, 1)]);
}

#[test]
fn an_answer_that_comes_twice_confirms_nothing_the_second_time() {
    let mut server = leader();
    server.step(read(1));
    let first = request(&mut server, 2);
    server.hears_answer(2, &first);
    server.step(read(2));
    assert!(served(&server.hears_answer(2, &first)).is_empty());
    assert_eq!(server.leadership().reads.len(), 1);
}

/// Rule R3: rounds are numbered from 1 in each term.
#[test]
fn an_answer_of_an_earlier_term_confirms_nothing() {
    let mut server = leader();
    server.step(read(1));
    let in_term_1 = request(&mut server, 2);
    server.tick_at(server.now + 2 * E);
    server.be_elected(&[3]);
    assert_eq!(server.term(), 2);
    server.step(read(2));
    assert_eq!(request(&mut server, 2).stamp.round, in_term_1.stamp.round, "the same number");
    let late = server.hears_answer(2, &in_term_1);
    assert!(served(&late).is_empty() && server.leadership().reads.len() == 1);
}

/// Rule L2: an answer of the present term may be to a request of an earlier one, which says so.
#[test]
fn an_answer_to_a_request_of_an_earlier_term_confirms_nothing() {
    let mut server = leader();
    server.step(read(7));
    let asked = request(&mut server, 2);
    assert!(served(&server.hears_reply(2, &asked, stale())).is_empty());
    assert_eq!(served(&server.hears_answer(2, &asked)), [(7, 1)]);
}

/// Any other answer does: whoever lacks entries follows this leader all the same.
#[test]
fn a_follower_that_lacks_entries_confirms_reads_too() {
    let mut server = leader();
    server.step(read(7));
    let asked = request(&mut server, 3);
    assert_eq!(served(&server.hears_reply(3, &asked, conflict(1, entry(0, 0)))), [(7, 1)]);
}

/// A stamp that the leader never gave is no confirmation of rounds to come.
#[test]
fn an_answer_from_the_future_confirms_no_later_round() {
    let mut server = leader();
    let stamp = Stamp { round: u64::MAX, sent: None };
    let message = Message { stamp, ..Message::new(Term(1), accepted(1)) };
    server.step(Input::Receive(Envelope { from: n(2), to: n(1), message }));
    assert!(served(&server.step(read(7))).is_empty());
    assert_eq!(served(&round_trip(&mut server, 2)), [(7, 1)]);
}

/// Bug F17: nobody confirms that the leader leads, and nobody gets an answer.
#[test]
fn of_five_servers_two_have_to_answer_the_leader() {
    let mut server = leader_of(voters(&[1, 2, 3, 4, 5]), &[2, 3]);
    server.step(read(7));
    assert!(served(&round_trip(&mut server, 4)).is_empty());
    assert_eq!(served(&round_trip(&mut server, 5)), [(7, 1)]);
}

/// Rule J12: a majority of each half.
#[test]
fn in_a_joint_configuration_both_halves_have_to_answer() {
    for (answers, confirmed) in [(&[2, 3][..], false), (&[4, 5], false), (&[3, 4], true)] {
        let configuration = joint(&[1, 2, 3], &[1, 4, 5]);
        let mut server = Setup { configuration, ..Setup::default() }.lead(&[2, 5]);
        server.sync();
        server.step(read(7));
        let mut answer = |peer: &u64| {
            let asked = request(&mut server, *peer);
            server.hears_reply(*peer, &asked, accepted(1))
        };
        let last = answers.iter().map(&mut answer).last().unwrap();
        assert_eq!(!served(&last).is_empty(), confirmed, "answers of {answers:?}");
    }
}

/// Rule J12: learners are not asked for it, and strangers do not count.
#[test]
fn answers_of_learners_and_strangers_do_not_count() {
    let learners = voters(&[4]).voters;
    let mut server = leader_of(Configuration { learners, ..voters(&[1, 2, 3]) }, &[2]);
    server.step(read(7));
    assert_eq!(server.poll(4), None, "nothing is due to the learner");
    server.now += HEARTBEAT;
    let asked = request(&mut server, 4);
    assert_eq!(asked.stamp.round, server.leadership().round);
    assert!(served(&server.hears_answer(4, &asked)).is_empty());
    let stranger = server.hears_answer(9, &asked);
    assert!(served(&stranger).is_empty() && refused(&stranger, Refusal::NotAPeer));
}

/// Rule J12 with §4.2.2: a leader that is no voter of `C_new` counts itself in neither half.
#[test]
fn a_leader_outside_the_new_configuration_does_not_count_itself() {
    let mut server = leader();
    server.step(ask_for(&[2, 3], &[]));
    server.sync();
    for peer in [2, 3] {
        round_trip(&mut server, peer);
    }
    server.sync();
    assert!(!server.node.log().configuration().is_voter(n(1)), "C_new is in its log");
    server.step(read(7));
    assert!(served(&round_trip(&mut server, 2)).is_empty());
    assert!(server.node.is_leader());
    let asked = request(&mut server, 3);
    let effects = server.hears_reply(3, &asked, conflict(1, entry(1, 1)));
    assert_eq!(served(&effects).len(), 1);
}

// Several reads: rules R3, R7.

/// Thesis §6.4: "To improve efficiency further, … any number of read-only queries".
#[test]
fn reads_that_come_before_a_request_leaves_share_its_round() {
    let mut server = leader();
    (1..=3).for_each(|token| drop(server.step(read(token))));
    let asked = request(&mut server, 2);
    assert_eq!(server.poll(2), None, "one request for all of them");
    assert_eq!(served(&server.hears_answer(2, &asked)), [(1, 1), (2, 1), (3, 1)]);
}

/// Rule R3: it came after the request.
#[test]
fn a_read_that_comes_after_a_request_has_left_joins_the_next_round() {
    let mut server = leader();
    server.step(read(1));
    let first = request(&mut server, 2);
    server.step(read(2));
    server.step(read(3));
    let second = request(&mut server, 2);
    assert_eq!(second.stamp.round, first.stamp.round + 1);
    assert_eq!(served(&server.hears_answer(2, &first)), [(1, 1)]);
    assert_eq!(served(&server.hears_answer(2, &second)), [(2, 1), (3, 1)]);
}

/// Rule R3: who was asked later was asked after all that came before.
#[test]
fn an_answer_confirms_the_reads_of_all_earlier_rounds() {
    let mut server = leader();
    server.step(read(1));
    drop(request(&mut server, 2));
    server.step(read(2));
    assert_eq!(served(&round_trip(&mut server, 2)), [(1, 1), (2, 1)]);
}

/// Of two followers each may confirm its own round: what both have reached counts.
#[test]
fn of_several_rounds_the_one_that_a_quorum_has_reached_counts() {
    let mut server = leader_of(voters(&[1, 2, 3, 4, 5]), &[2, 3]);
    server.step(read(1));
    let first = request(&mut server, 2);
    server.step(read(2));
    let second = request(&mut server, 3);
    assert!(served(&server.hears_answer(2, &first)).is_empty());
    assert_eq!(served(&server.hears_answer(3, &second)), [(1, 1)], "n3 has reached both");
    assert_eq!(served(&round_trip(&mut server, 4)), [(2, 1)]);
}

/// A driver's name for a read is its own: the same one twice would be answered once.
#[test]
fn a_name_that_waits_already_is_refused() {
    let mut server = leader();
    server.step(read(7));
    assert!(refused(&server.step(read(7)), Refusal::SameToken(quorate_spec::Token(7))));
    assert_eq!(served(&round_trip(&mut server, 2)), [(7, 1)], "the first one is answered");
    let mut follower = Setup::default().start();
    follower.step(read(7));
    assert!(refused(&follower.step(read(7)), Refusal::SameToken(quorate_spec::Token(7))));
    assert_eq!(follower.node.forwards().len(), 1);
}

/// Names belong to whoever was asked.
#[test]
fn the_same_name_of_two_servers_is_two_reads() {
    let mut server = leader();
    server.step(read(7));
    server.receive(2, 1, read_index(7));
    server.receive(3, 1, read_index(7));
    let effects = round_trip(&mut server, 2);
    assert_eq!(served(&effects), [(7, 1)]);
    let replies: Vec<_> =
        effects.send.iter().map(|reply| (reply.to, &reply.message.body)).collect();
    assert_eq!(replies, [(n(2), &read_index_reply(7, 1)), (n(3), &read_index_reply(7, 1))]);
}

// When a driver is called.

/// Bug F4: every read begins a round, or joins one, at once; no heartbeat has to come first.
#[test]
fn a_read_makes_a_request_to_each_voter_due() {
    let mut server = leader();
    assert!(server.poll(2).is_none() && server.poll(3).is_none());
    assert!(server.next_deadline() > server.now);
    server.step(read(7));
    assert!(server.next_deadline() <= server.now);
    assert_eq!(server.protocol.recipients(&server.node), [n(2), n(3)]);
    assert!(server.poll(2).is_some());
    assert!(server.next_deadline() <= server.now, "n3 is to be asked, too");
    assert!(server.poll(3).is_some());
    assert!(server.next_deadline() > server.now);
}

/// A learner's answer is of no use, so the driver is not called for it.
#[test]
fn a_read_makes_nothing_due_to_a_learner() {
    let learners = voters(&[4]).voters;
    let mut server = leader_of(Configuration { learners, ..voters(&[1, 2, 3]) }, &[2]);
    server.step(read(7));
    [2, 3].iter().for_each(|peer| drop(request(&mut server, *peer)));
    assert!(server.next_deadline() > server.now);
}

/// What is lost is asked again with the next heartbeat, in the same round (rule R3).
#[test]
fn a_lost_request_is_made_up_for_by_the_next_heartbeat() {
    let mut server = leader();
    server.step(read(7));
    let lost = request(&mut server, 2);
    server.now += HEARTBEAT;
    let again = request(&mut server, 2);
    assert_eq!(again.stamp.round, lost.stamp.round);
    assert_eq!(served(&server.hears_answer(2, &again)), [(7, 1)]);
}

/// The window of entries does not hold up reads: with none, a request leaves all the same.
#[test]
fn reads_do_not_wait_for_room_in_the_window() {
    let params = Params { max_in_flight: 1, ..params() };
    let mut server = Setup { params, ..Setup::default() }.lead(&[2]);
    round_trip(&mut server, 2);
    server.step(Input::Propose { count: 2 });
    let first = server.poll_up_to(2, quorate_spec::Limit { entries: 1 }).unwrap();
    assert!(
        matches!(first.message.body, Body::AppendEntries { entries, .. } if !entries.is_empty())
    );
    assert_eq!(server.poll(2), None, "the window is full");
    server.step(read(7));
    let asked = request(&mut server, 2);
    assert_eq!(served(&server.hears_answer(2, &asked)), [(7, 1)]);
}
