//! What a review of the transition functions found, and what they do instead.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::*;
use quorate_spec::log::Run;
use quorate_spec::property::step::pre_vote_sound;
use quorate_spec::{Body, Entries, Fatal, Index, Input, Instant, Refusal, RoleName, Term};

fn follower(term: u64, log: &[u64]) -> Server {
    Setup { term, log: log.to_vec(), ..Setup::default() }.start()
}

/// Bugs C12, C14: only what is compacted may go without a comparison.
#[test]
fn a_prev_that_contradicts_a_committed_entry_is_refused() {
    let mut server = follower(3, &[1, 3]);
    server.receive(2, 3, heartbeat(entry(2, 3), 2));
    let effects = server.receive(2, 3, append(entry(2, 1), &[2], 0));
    assert_eq!(effects.fatal, Some(Fatal::CommittedConflict(Index(2))));
    assert_eq!(server.terms(), [1, 3]);
}

/// `Moment::now`: what a clock does that goes back, which no driver's may.
#[test]
fn a_clock_that_goes_back_shortens_no_promise_but_brings_back_one_that_had_expired() {
    let mut server = follower(1, &[]);
    server.hear_leader(2, 1);
    let promised_until = server.node.promised_until();
    server.now = promised_until.0;
    assert!(server.pre_votes_for(3, 1, entry(0, 0)));
    server.now -= 1;
    assert!(!server.pre_votes_for(3, 1, entry(0, 0)));
    assert_eq!(server.node.promised_until(), promised_until);
}

/// `Moment::now`: a leader measures on its own clock how long it has heard nothing.
#[test]
fn a_leader_whose_clock_goes_back_leads_for_as_much_longer() {
    let mut server = Setup::default().lead(&[2]);
    let elected = server.now;
    for now in [elected + E / 2, elected, elected + E - 1] {
        server.tick_at(now);
        assert!(server.node.is_leader(), "at {now}, for longer than {E} in all");
    }
    server.tick_at(elected + E);
    assert!(!server.node.is_leader());
}

/// `Moment::now`: a round of pre-votes is named by its instant.
#[test]
fn a_pre_candidate_whose_clock_goes_back_counts_grants_of_a_round_with_the_same_name() {
    let mut server = follower(1, &[]);
    let first = server.be_pre_candidate().0;
    assert!(server.be_pre_candidate().0 > first);
    server.now = first;
    server.step(Input::Campaign);
    server.receive(2, 1, pre_vote_reply(1, first, true));
    assert_eq!(server.role(), RoleName::Candidate);
}

/// Claim EntryIdentity: as with terms, indices near the end of their type are impossible.
#[test]
fn entries_with_impossible_indices_are_refused() {
    let mut server = follower(1, &[]);
    let runs = vec![Run { term: Term(1), last: Index(u64::MAX) }];
    let entries = Entries { runs, configurations: Vec::new() };
    let body = Body::AppendEntries { prev: entry(0, 0), entries, leader_commit: Index(0) };
    for body in [body, heartbeat(entry(u64::MAX, 1), 0)] {
        let effects = server.receive(2, 1, body);
        assert!(refused(&effects, Refusal::Malformed));
    }
    assert_eq!(server.node.log().last(), entry(0, 0));
}

/// Claim EntryIdentity.
#[test]
fn a_proposal_that_would_overflow_the_log_is_refused() {
    let mut server = Setup::default().lead(&[2]);
    let effects = server.step(Input::Propose { count: u64::MAX });
    assert_eq!(effects.proposed, None, "these are not {} entries", u64::MAX);
    assert!(refused(&effects, Refusal::Malformed));
}

/// "Total": a step takes no time in proportion to the entries that it need not look at.
#[test]
fn a_long_run_that_arrives_twice_is_compared_as_a_run() {
    let server = follower(1, &[]);
    let (mut node, mut effects) = (server.node, Default::default());
    for _ in 0..2 {
        let entries = Entries::of_term(Index(0), Term(1), 1 << 34);
        let body = Body::AppendEntries { prev: entry(0, 0), entries, leader_commit: Index(0) };
        let message = quorate_spec::Message::new(Term(1), body);
        let envelope = quorate_spec::Envelope { from: n(2), to: n(1), message };
        let moment = quorate_spec::Moment { now: Instant(E), draw: 0 };
        server.protocol.step(&mut node, moment, Input::Receive(envelope), &mut effects);
    }
    assert_eq!(effects.persist, None);
}

/// `Refusal`: "the reason why an input had no effect".
#[test]
fn a_refused_campaign_does_not_put_off_the_next_election() {
    let mut server = follower(0, &[]);
    server.hear_leader(2, 1);
    let deadline = server.node.election_deadline();
    server.now += E - 1;
    assert!(refused(&server.step(Input::Campaign), Refusal::PromiseInForce));
    assert_eq!(server.node.election_deadline(), deadline);
}

/// The law of `rebase`, for `next_deadline`: a request that was due stays due.
#[test]
fn a_vote_request_that_is_due_is_due_after_moving_the_clock() {
    let mut server = follower(0, &[]);
    server.be_candidate(&[2]);
    assert!(server.poll(3).is_some());
    server.now += 2 * HEARTBEAT;
    assert!(server.next_deadline() <= server.now);
    let (now, to) = (Instant(server.now), Instant(10 * E));
    server.node.rebase(&params(), now, to);
    server.now = to.0;
    assert!(server.next_deadline() <= server.now, "{} at {to:?}", server.next_deadline());
}

/// An honest answer to a request of an earlier term, which arrives when its sender leads again.
#[test]
fn a_late_answer_to_an_earlier_term_is_not_called_malformed() {
    let mut server = Setup { term: 4, ..Setup::default() }.lead(&[2]);
    let effects = server.receive(3, 5, stale());
    assert!(!refused(&effects, Refusal::Malformed), "{effects:?}");
}

/// Thesis §9.6: the claim has to see a round that begins with the grants of the last one.
#[test]
fn the_claim_pre_vote_sound_sees_grants_carried_into_a_new_round() {
    let configuration = voters(&[1, 2, 3, 4, 5]);
    let round_with_grant = |now| {
        let mut server = Setup { configuration: configuration.clone(), ..Setup::default() }.start();
        server.tick_at(now);
        server.receive(2, 0, pre_vote_reply(0, now, true));
        server.node
    };
    let (before, after) = (round_with_grant(200), round_with_grant(400));
    assert!(!pre_vote_sound(&params(), &before, &Input::Tick, &after));
}

/// Thesis §3.5: a leader of term 2 has no entry of term 9 before its entries.
#[test]
fn a_heartbeat_after_an_entry_of_a_later_term_is_malformed() {
    let mut server = follower(2, &[1]);
    assert!(refused(&server.receive(2, 2, heartbeat(entry(1, 9), 0)), Refusal::Malformed));
}

/// §3.4: whoever votes for another gives up its own wish to campaign.
#[test]
fn a_pre_candidate_that_grants_a_vote_gives_up() {
    let mut server = follower(1, &[]);
    let round = server.be_pre_candidate().0;
    assert!(server.votes_for(3, 1, entry(0, 0)));
    server.receive(2, 1, pre_vote_reply(1, round, true));
    assert_eq!(server.term(), 1);
}
