//! Elections: who gets a vote, who counts it, and who leads (thesis §3.4, §3.6.1, §4.2.3).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::*;
use quorate_spec::{
    Configuration, Envelope, Input, Instant, Message, NodeId, Refusal, RoleName, Term,
};

/// n1 with entries of these terms, past the promise of its start.
fn voter(log: &[u64]) -> Server {
    Setup { log: log.to_vec(), ..Setup::default() }.start()
}

/// Thesis §3.4.
#[test]
fn a_server_votes_for_at_most_one_candidate_in_a_term() {
    let mut server = voter(&[]);
    assert!(server.votes_for(2, 1, entry(0, 0)));
    let effects = server.receive(3, 1, request_vote(entry(0, 0)));
    assert_eq!(effects.send[0].message.body, vote(false));
    assert!(refused(&effects, Refusal::VotedForAnother(n(2))));
    assert_eq!(server.node.voted_for(), Some(n(2)));
}

/// Thesis §3.4: RPCs are idempotent, a lost answer is asked for again.
#[test]
fn a_server_repeats_its_vote_to_the_same_candidate() {
    let mut server = voter(&[]);
    assert!(server.votes_for(2, 1, entry(0, 0)));
    assert!(server.votes_for(2, 1, entry(0, 0)));
}

/// Thesis §3.4: the vote belongs to its term.
#[test]
fn a_server_votes_again_in_a_higher_term() {
    let mut server = voter(&[]);
    assert!(server.votes_for(2, 1, entry(0, 0)));
    assert!(server.votes_for(3, 2, entry(0, 0)));
    assert_eq!((server.term(), server.node.voted_for()), (2, Some(n(3))));
}

/// Thesis §3.3: a request of a past term is rejected, and its sender learns the present one (B3).
#[test]
fn a_vote_request_of_a_past_term_is_answered_with_the_present_term() {
    let mut server = Setup { term: 5, ..Setup::default() }.start();
    let answer = server.answer(2, 4, request_vote(entry(9, 4)));
    assert_eq!((answer.term, answer.body), (Term(5), vote(false)));
    assert_eq!(server.node.voted_for(), None);
}

/// Thesis §3.6.1: the later last term wins, then the longer log; equal logs are up-to-date (A2).
#[test]
fn the_up_to_date_rule_compares_the_last_term_and_then_the_length() {
    let grants = |last| voter(&[1, 2, 2]).votes_for(2, 3, last);
    assert!(grants(entry(3, 2)), "the same log");
    assert!(grants(entry(4, 2)), "a longer log with the same last term");
    assert!(grants(entry(1, 3)), "a later last term, though the log is shorter");
    assert!(!grants(entry(2, 2)), "a shorter log with the same last term");
    assert!(!grants(entry(9, 1)), "an earlier last term, though the log is longer");
    assert!(!grants(entry(3, 1)), "an earlier last term at the same length");
}

/// Thesis §3.6.1: the refusal is no vote for somebody else.
#[test]
fn a_server_that_refuses_a_shorter_log_keeps_its_vote_for_a_better_one() {
    let mut server = voter(&[1, 1]);
    assert!(!server.votes_for(2, 2, entry(1, 1)));
    assert_eq!((server.term(), server.node.voted_for()), (2, None), "the term is adopted");
    assert!(server.votes_for(3, 2, entry(2, 1)));
}

/// Thesis §3.4: granting a vote starts the election timer again, refusing it does not.
#[test]
fn only_a_granted_vote_restarts_the_election_timer() {
    let mut server = voter(&[1]);
    let before = server.node.election_deadline();
    server.now += 20;
    assert!(!server.votes_for(2, 2, entry(0, 0)));
    assert_eq!(server.node.election_deadline(), before);
    assert!(server.votes_for(3, 2, entry(1, 1)));
    assert_eq!(server.node.election_deadline(), Instant(server.now + E + server.draw));
}

/// Thesis §3.4: timeouts are chosen from a fixed interval, `[E, E + jitter)`.
#[test]
fn election_timeouts_are_drawn_from_the_whole_interval_and_no_more() {
    let deadline = |draw| {
        let mut server = voter(&[]);
        server.draw = draw;
        assert!(server.votes_for(2, 1, entry(0, 0)));
        server.node.election_deadline().0 - server.now
    };
    assert_eq!(deadline(0), E);
    assert_eq!(deadline(E - 1), 2 * E - 1);
    assert_eq!(deadline(E), E);
    assert!((E..2 * E).contains(&deadline(u64::MAX)));
}

/// Thesis §3.4: a follower that hears nobody until its timer fires begins an election, no sooner.
#[test]
fn a_follower_campaigns_when_its_election_timer_fires_and_not_before() {
    let mut server = voter(&[]);
    server.hear_leader(2, 1);
    let deadline = server.node.election_deadline().0;
    server.tick_at(deadline - 1);
    assert_eq!((server.role(), server.node.leader()), (RoleName::Follower, Some(n(2))));
    let effects = server.tick_at(deadline);
    assert_eq!((server.role(), server.node.leader()), (RoleName::PreCandidate, None));
    assert_eq!(effects.publish.map(|view| view.leader), Some(None), "readers learn it");
}

/// Thesis §3.4: without pre-vote it increments its term and votes for itself at once.
#[test]
fn a_naive_follower_that_times_out_raises_its_term_and_votes_for_itself() {
    let mut server = Setup { params: params().naive(), ..Setup::default() }.start();
    server.time_out();
    assert_eq!((server.role(), server.term()), (RoleName::Candidate, 1));
    assert_eq!(server.node.voted_for(), Some(n(1)));
}

/// Thesis §4.2.3, §6.4.1 (the hole in etcd-style code that tests the promise for higher terms only).
#[test]
fn a_voter_that_heard_a_leader_grants_no_equal_term_vote_inside_its_promise() {
    let mut server = voter(&[]);
    server.hear_leader(2, 1);
    server.receive(2, 2, vote(false)); // A stale rejection teaches it term 2.
    let promised_until = server.node.promised_until().0;
    server.now = promised_until - 1;
    let effects = server.receive(3, 2, request_vote(entry(9, 1)));
    assert!(refused(&effects, Refusal::PromiseInForce), "{effects:?}");
    assert_eq!(server.node.voted_for(), None);
    server.now = promised_until;
    assert!(server.votes_for(3, 2, entry(9, 1)));
}

/// Thesis §4.2.3: within the minimum election timeout a server neither updates its term nor votes.
#[test]
fn a_voter_adopts_no_term_from_a_vote_request_inside_its_promise() {
    let mut server = voter(&[]);
    server.hear_leader(2, 1);
    let heard = server.now;
    server.now = heard + E - 1;
    let answer = server.answer(3, 7, request_vote(entry(9, 6)));
    assert_eq!((answer.term, answer.body), (Term(1), vote(false)));
    let again = server.receive(3, 7, request_vote(entry(9, 6)));
    assert_eq!(again.refused, [Refusal::PromiseInForce], "this alone is the reason");
    assert_eq!((server.term(), server.node.leader()), (1, Some(n(2))));
    server.now = heard + E;
    assert!(server.votes_for(3, 7, entry(9, 6)), "at exactly E the promise is over");
}

/// Bug F20: the promise is a time, not a memory of the leader or of the term.
#[test]
fn the_promise_survives_a_term_bump_by_a_stale_rejection_of_a_higher_term() {
    let mut server = voter(&[]);
    server.hear_leader(2, 1);
    let promised_until = server.node.promised_until();
    server.now += 1;
    server.receive(3, 5, vote(false));
    assert_eq!((server.term(), server.node.leader()), (5, None));
    assert_eq!(server.node.promised_until(), promised_until);
    assert!(!server.votes_for(3, 6, entry(9, 1)), "a vote");
    assert!(!server.pre_votes_for(3, 6, entry(9, 1)), "a pre-vote");
    assert!(refused(&server.step(Input::Campaign), Refusal::PromiseInForce), "a campaign");
    assert_eq!(server.term(), 5);
}

/// Rule L11: an operator's wish is no exemption from the promise.
#[test]
fn a_campaign_inside_the_promise_is_refused() {
    let mut server = voter(&[]);
    server.hear_leader(2, 1);
    server.now += E - 1;
    let effects = server.step(Input::Campaign);
    assert!(refused(&effects, Refusal::PromiseInForce));
    assert_eq!((server.role(), server.term()), (RoleName::Follower, 1));
    server.now += 1;
    server.step(Input::Campaign);
    assert_eq!(server.role(), RoleName::PreCandidate);
}

/// Thesis §4.2.3: each message of the leader extends the promise; none shortens it.
#[test]
fn the_promise_reaches_an_election_timeout_beyond_the_last_message_of_a_leader() {
    let mut server = voter(&[1]);
    server.hear_leader(2, 1);
    server.now += 30;
    server.receive(2, 1, heartbeat(entry(7, 1), 0));
    let promised_until = Instant(server.now + E);
    assert_eq!(server.node.promised_until(), promised_until, "even if its entries do not fit");
    assert!(server.node.election_deadline() >= promised_until);
    (server.now, server.draw) = (server.now - 20, 0);
    server.hear_leader(2, 1);
    assert_eq!(server.node.promised_until(), promised_until, "a clock that goes back");
    assert_eq!(server.node.election_deadline(), promised_until);
}

/// Bugs A13, B11: a leader does not vote itself out of office, however old its timer is.
#[test]
fn a_leader_votes_for_nobody_else() {
    let mut leader = Setup::default().lead(&[2]);
    leader.now += 10 * E;
    let term = leader.term();
    let effects = leader.receive(3, term + 1, request_vote(entry(9, term)));
    assert!(refused(&effects, Refusal::IsLeader));
    assert!(!leader.votes_for(3, term, entry(9, term)));
    assert!(!leader.pre_votes_for(3, term + 1, entry(9, term)));
    assert_eq!((leader.role(), leader.term()), (RoleName::Leader, term));
    assert_eq!(leader.node.voted_for(), Some(n(1)));
}

/// Thesis §3.3: any other message of a higher term ends a leader's or candidate's term.
#[test]
fn a_higher_term_in_an_answer_makes_leaders_and_candidates_follow() {
    for body in [vote(false), stale(), conflict(1, entry(0, 0)), accepted(0), vote(true)] {
        let mut leader = Setup::default().lead(&[2]);
        let mut candidate = Setup::default().start();
        candidate.be_candidate(&[2]);
        for server in [&mut leader, &mut candidate] {
            server.receive(3, 9, body.clone());
            assert_eq!((server.role(), server.term()), (RoleName::Follower, 9), "{body:?}");
            assert_eq!((server.node.voted_for(), server.node.leader()), (None, None));
        }
    }
}

/// Thesis §3.4: a candidate that hears the leader of its own term recognises it.
#[test]
fn a_candidate_that_hears_the_leader_of_its_term_follows_it() {
    let mut server = voter(&[]);
    server.be_candidate(&[2]);
    server.hear_leader(3, 1);
    assert_eq!((server.role(), server.term()), (RoleName::Follower, 1));
    assert_eq!(server.node.voted_for(), Some(n(1)), "and keeps its vote");
}

/// Thesis §3.4: "if the leader's term is smaller, the candidate rejects and continues".
#[test]
fn a_candidate_does_not_follow_a_leader_of_a_past_term() {
    let mut server = voter(&[1]);
    server.be_candidate(&[2]);
    let answer = server.answer(3, 1, heartbeat(entry(1, 1), 0));
    assert_eq!((answer.term, answer.body), (Term(2), stale()));
    assert_eq!(server.role(), RoleName::Candidate);
}

/// Bug A1: a vote counts in the term in which it was asked for.
#[test]
fn a_candidate_counts_no_vote_of_an_earlier_term() {
    let mut server = voter(&[]);
    server.be_candidate(&[2]);
    server.be_candidate(&[2]);
    server.sync();
    assert_eq!(server.term(), 2);
    server.receive(2, 1, vote(true));
    assert_eq!(server.role(), RoleName::Candidate);
    server.receive(2, 2, vote(true));
    assert_eq!(server.role(), RoleName::Leader);
}

/// Bug A11: only a granted vote is one.
#[test]
fn a_candidate_counts_no_rejection() {
    let mut server = voter(&[]);
    server.be_candidate(&[2]);
    server.sync();
    server.receive(2, 1, vote(false));
    server.receive(3, 1, vote(false));
    assert_eq!(server.role(), RoleName::Candidate);
}

/// Thesis §3.4: a majority of the full cluster; a vote that arrives twice is one vote.
#[test]
fn a_candidate_of_five_needs_three_votes_of_different_servers() {
    let configuration = voters(&[1, 2, 3, 4, 5]);
    let mut server = Setup { configuration, ..Setup::default() }.start();
    server.be_candidate(&[2, 3]);
    server.sync();
    server.receive(2, 1, vote(true));
    server.receive(2, 1, vote(true));
    assert_eq!(server.role(), RoleName::Candidate);
    server.receive(4, 1, vote(true));
    assert_eq!(server.role(), RoleName::Leader);
}

/// Bug D4: half of an even cluster is no majority.
#[test]
fn a_candidate_of_four_needs_three_votes() {
    let configuration = voters(&[1, 2, 3, 4]);
    let mut server = Setup { configuration, ..Setup::default() }.start();
    server.be_candidate(&[2, 3]);
    server.sync();
    server.receive(2, 1, vote(true));
    assert_eq!(server.role(), RoleName::Candidate);
    server.receive(3, 1, vote(true));
    assert_eq!(server.role(), RoleName::Leader);
}

/// Thesis §4.2.1, rule J12: servers that do not vote do not count.
#[test]
fn votes_of_learners_and_strangers_do_not_count() {
    let learners = [NodeId(4)].into();
    let configuration = Configuration { learners, ..voters(&[1, 2, 3]) };
    let mut server = Setup { configuration, ..Setup::default() }.start();
    let round = server.be_pre_candidate().0;
    assert_eq!((server.poll(4), server.poll(9)), (None, None), "nor are they asked");
    server.receive(2, 0, pre_vote_reply(0, round, true));
    server.sync();
    assert_eq!((server.poll(4), server.poll(9)), (None, None), "nor are they asked");
    server.receive(4, 1, vote(true));
    server.receive(9, 1, vote(true));
    assert_eq!(server.role(), RoleName::Candidate);
}

/// Thesis §4.3, rule J3: in a joint configuration an election needs both majorities.
#[test]
fn a_joint_election_needs_separate_majorities_of_old_and_new() {
    let configuration = joint(&[1, 2, 3], &[1, 4, 5]);
    let setup = Setup { configuration, ..Setup::default() };
    for (votes, wins) in [(&[2, 3][..], false), (&[4, 5], false), (&[2, 4], true)] {
        let mut server = setup.start();
        server.be_candidate(&[2, 4]);
        server.sync();
        votes.iter().for_each(|from| drop(server.receive(*from, 1, vote(true))));
        assert_eq!(server.role() == RoleName::Leader, wins, "votes of {votes:?}");
    }
}

/// Bug E17, rule J8: a server outside its own latest configuration does not campaign.
#[test]
fn a_server_that_is_no_voter_does_not_campaign_but_votes() {
    let mut server = Setup { id: 9, ..Setup::default() }.start();
    let effects = server.time_out();
    assert!(refused(&effects, Refusal::NotAVoter));
    assert_eq!(server.role(), RoleName::Follower);
    assert!(server.next_deadline() > server.now, "and does not try again at once");
    assert!(server.votes_for(2, 1, entry(0, 0)), "bug E15, rule J9");
}

/// Thesis §3.4: RequestVotes go to every other voter, again after a while, until it has granted.
#[test]
fn a_candidate_asks_each_voter_again_until_it_grants() {
    let mut server = voter(&[]);
    server.be_candidate(&[2]);
    assert_eq!(server.poll(2).unwrap().message.body, request_vote(entry(0, 0)));
    assert!(server.poll(3).is_some());
    assert_eq!((server.poll(1), server.poll(2)), (None, None), "not itself, and not twice");
    let asked = server.now;
    server.sync();
    server.now = asked + HEARTBEAT - 1;
    assert_eq!(server.poll(3), None);
    server.receive(3, 1, vote(false));
    server.now = asked + HEARTBEAT;
    assert!(server.poll(3).is_some(), "a rejection may have been a matter of time");
    server.receive(2, 1, vote(true));
    assert_eq!(server.role(), RoleName::Leader);
}

/// Thesis §3.6.2, §6.4: a leader begins its term with an entry of its own.
#[test]
fn a_new_leader_appends_an_entry_of_its_term() {
    let mut server = voter(&[1, 1]);
    server.be_candidate(&[2]);
    server.sync();
    server.receive(2, 2, vote(true));
    assert_eq!(server.terms(), [1, 1, 2]);
    assert_eq!(server.poll_append(3), Some((entry(2, 1), vec![2], 0)));
}

/// Thesis §3.4: a candidate whose round fails begins another one.
#[test]
fn a_candidate_without_a_majority_campaigns_again_after_its_timeout() {
    let mut server = voter(&[]);
    server.be_candidate(&[2]);
    let deadline = server.node.election_deadline().0;
    assert!((E..2 * E).contains(&(deadline - server.now)), "a new timeout is drawn");
    server.be_candidate(&[3]);
    assert_eq!((server.term(), server.now), (2, deadline));
}

/// Terms near the end of their type come from broken peers only.
#[test]
fn impossible_terms_and_misdirected_messages_are_refused_without_effect() {
    let mut server = voter(&[1]);
    let before = server.node.clone();
    let effects = server.receive(2, Term::LIMIT.0, request_vote(entry(9, 9)));
    assert_eq!((effects.refused, effects.send.len()), (vec![Refusal::TermTooHigh], 0));
    let effects = server.receive(1, 2, request_vote(entry(9, 9)));
    assert_eq!((effects.refused, effects.send.len()), (vec![Refusal::Malformed], 0), "from itself");
    let message = Message::new(Term(2), request_vote(entry(9, 9)));
    let effects = server.step(Input::Receive(Envelope { from: n(2), to: n(3), message }));
    let another = vec![Refusal::AnotherIncarnation { to: n(3) }];
    assert_eq!((effects.refused, effects.send.len()), (another, 0), "to another");
    let last_possible = Setup { term: Term::LIMIT.0 - 1, ..Setup::default() };
    let effects = last_possible.start().time_out();
    assert_eq!(effects.refused, [Refusal::TermTooHigh]);
    assert_eq!(server.node, before);
}
