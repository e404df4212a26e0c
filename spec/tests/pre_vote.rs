//! Pre-vote: asking before raising the term (thesis §9.6, §4.2.3).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::cluster::Cluster;
use crate::common::*;
use quorate_spec::{Body, Input, Instant, Params, Refusal, RoleName, Term};

fn voter(log: &[u64]) -> Server {
    Setup { log: log.to_vec(), ..Setup::default() }.start()
}

fn granted(server: &Server) -> usize {
    server.node.campaign().expect("a campaign").granted.len()
}

/// Thesis §9.6: "a candidate only increments its term if it first learns from a majority …".
#[test]
fn a_server_that_times_out_asks_without_raising_its_term_or_touching_its_vote() {
    let mut server = Setup { term: 4, voted_for: Some(3), ..Setup::default() }.start();
    let effects = server.time_out();
    assert_eq!((server.term(), server.node.voted_for()), (4, Some(n(3))), "bug A5");
    assert_eq!(effects.persist, None);
    let request = server.poll(2).unwrap();
    assert_eq!(request.message.term, Term(4), "it claims no term that it has not adopted");
    assert_eq!(request.message.body, pre_vote(entry(0, 0), server.now));
}

/// Thesis §9.6; bugs B8, B10: whoever is asked has no more to remember than before.
#[test]
fn a_pre_vote_changes_nothing_at_whoever_is_asked() {
    let follower = voter(&[1]);
    let mut candidate = voter(&[1]);
    candidate.be_candidate(&[2]);
    candidate.sync();
    let leader = Setup::default().lead(&[2]);
    for mut server in [follower, candidate, leader] {
        for (term, last) in [(9, entry(9, 9)), (9, entry(0, 0)), (1, entry(9, 9)), (0, entry(0, 0))]
        {
            let before = server.node.clone();
            let effects = server.receive(3, term, pre_vote(last, 7));
            assert_eq!(server.node, before);
            assert_eq!((effects.persist, effects.publish, effects.send.len()), (None, None, 1));
        }
    }
}

/// Thesis §9.6 with §3.6.1: the log has to be up-to-date, as for a vote.
#[test]
fn a_pre_vote_is_granted_only_to_an_up_to_date_log() {
    let mut server = voter(&[1, 2, 2]);
    assert!(server.pre_votes_for(2, 2, entry(3, 2)));
    assert!(server.pre_votes_for(2, 3, entry(1, 3)));
    assert!(!server.pre_votes_for(2, 2, entry(2, 2)));
    assert!(!server.pre_votes_for(2, 9, entry(9, 1)));
}

/// Bug B3: a pre-vote of a past term is answered, so that its sender learns the present one.
#[test]
fn a_pre_vote_of_a_past_term_is_rejected_with_the_present_term() {
    let mut server = Setup { term: 5, ..Setup::default() }.start();
    let answer = server.answer(2, 4, pre_vote(entry(9, 4), 7));
    assert_eq!((answer.term, answer.body), (Term(5), pre_vote_reply(4, 7, false)));
    assert!(server.pre_votes_for(2, 5, entry(9, 4)), "for the term after its own it would vote");
}

/// Rule J9: its vote in the present term and its role are no obstacles to a later term.
#[test]
fn a_candidate_grants_pre_votes_for_the_next_term() {
    let mut server = voter(&[]);
    server.be_candidate(&[2]);
    assert!(server.pre_votes_for(3, 1, entry(0, 0)));
    assert_eq!(server.role(), RoleName::Candidate);
}

/// Thesis §4.2.3, §9.6: whoever heard a leader within `E` says no.
#[test]
fn a_server_that_hears_a_leader_grants_no_pre_vote_inside_its_promise() {
    let mut server = voter(&[]);
    server.hear_leader(2, 1);
    let heard = server.now;
    server.now = heard + E - 1;
    let effects = server.receive(3, 1, pre_vote(entry(9, 1), 7));
    assert_eq!(effects.send[0].message.body, pre_vote_reply(1, 7, false));
    assert!(refused(&effects, Refusal::PromiseInForce));
    server.now = heard + E;
    assert!(server.pre_votes_for(3, 1, entry(9, 1)));
}

/// Bug B11: a leader has heard from itself, however long ago its timer should have fired.
#[test]
fn a_leader_grants_no_pre_vote() {
    let mut leader = Setup::default().lead(&[2]);
    leader.now += 10 * E;
    let effects = leader.receive(3, 1, pre_vote(entry(9, 9), 7));
    assert_eq!(effects.send[0].message.body, pre_vote_reply(1, 7, false));
    assert!(refused(&effects, Refusal::IsLeader));
}

/// Thesis §9.6: a majority, the server itself included, lets it raise its term.
#[test]
fn a_quorum_of_pre_votes_makes_a_candidate_of_the_next_term() {
    let configuration = voters(&[1, 2, 3, 4, 5]);
    let mut server = Setup { configuration, term: 3, ..Setup::default() }.start();
    let round = server.be_pre_candidate().0;
    server.receive(2, 3, pre_vote_reply(3, round, true));
    server.receive(2, 3, pre_vote_reply(3, round, true));
    server.receive(3, 3, pre_vote_reply(3, round, false));
    assert_eq!((server.role(), granted(&server)), (RoleName::PreCandidate, 1));
    server.receive(4, 3, pre_vote_reply(3, round, true));
    assert_eq!((server.role(), server.term()), (RoleName::Candidate, 4));
    assert_eq!(granted(&server), 0, "pre-votes are no votes");
    assert_eq!(server.poll(2).unwrap().message.body, request_vote(entry(0, 0)));
}

/// Bug B2: the answer of a server in an earlier term counts; what it answers is what matters.
#[test]
fn a_grant_of_a_server_in_an_earlier_term_counts() {
    let mut server = Setup { term: 8, ..Setup::default() }.start();
    let round = server.be_pre_candidate().0;
    let mut behind = Setup { id: 2, term: 3, ..Setup::default() }.start();
    let answer = behind.answer(1, 8, pre_vote(entry(0, 0), round));
    assert_eq!(answer.term, Term(3));
    server.receive(2, answer.term.0, answer.body);
    assert_eq!((server.role(), server.term()), (RoleName::Candidate, 9));
}

/// CRDB#123189: a grant counts in the round and in the term that asked for it.
#[test]
fn a_stale_grant_of_an_earlier_round_or_term_does_not_count() {
    let mut server = Setup { term: 3, ..Setup::default() }.start();
    let first = server.be_pre_candidate().0;
    let second = server.be_pre_candidate().0;
    assert_ne!(first, second);
    let effects = server.receive(2, 3, pre_vote_reply(3, first, true));
    assert!(refused(&effects, Refusal::AnotherRound));
    let effects = server.receive(2, 3, pre_vote_reply(2, second, true));
    assert!(refused(&effects, Refusal::AnotherRound));
    assert_eq!((server.role(), granted(&server)), (RoleName::PreCandidate, 0));
    server.receive(2, 3, pre_vote_reply(3, second, true));
    assert_eq!(server.role(), RoleName::Candidate);
}

/// Thesis §9.6: a round begins with no grants.
#[test]
fn grants_are_not_carried_from_one_round_into_the_next() {
    let configuration = voters(&[1, 2, 3, 4, 5]);
    let mut server = Setup { configuration, ..Setup::default() }.start();
    let first = server.be_pre_candidate().0;
    server.receive(2, 0, pre_vote_reply(0, first, true));
    let second = server.be_pre_candidate().0;
    assert_eq!(granted(&server), 0);
    server.receive(3, 0, pre_vote_reply(0, second, true));
    assert_eq!(server.role(), RoleName::PreCandidate);
}

/// Bug B5: a rejection with a higher term is adopted, and starts no election of its own.
#[test]
fn a_rejection_with_a_higher_term_is_adopted() {
    let mut server = voter(&[]);
    let round = server.be_pre_candidate().0;
    server.receive(2, 6, pre_vote_reply(0, round, false));
    assert_eq!((server.role(), server.term()), (RoleName::Follower, 6));
    assert_eq!(server.node.voted_for(), None);
    assert!(server.node.election_deadline() > Instant(server.now));
}

/// Thesis §9.6: neither a pre-vote nor its grant claims the term that it carries.
#[test]
fn a_pre_vote_and_its_grant_raise_nobodys_term() {
    let mut server = voter(&[]);
    let round = server.be_pre_candidate().0;
    server.receive(3, 9, pre_vote(entry(0, 0), 7));
    assert_eq!(server.term(), 0);
    server.receive(2, 9, pre_vote_reply(0, round, true));
    assert_eq!((server.role(), server.term()), (RoleName::Candidate, 1), "the next, not 9");
}

/// Bug B7: a pre-vote is no vote, and a vote no pre-vote.
#[test]
fn pre_votes_are_not_counted_as_votes_nor_votes_as_pre_votes() {
    let mut server = voter(&[]);
    let round = server.be_pre_candidate().0;
    let effects = server.receive(2, 0, vote(true));
    assert!(refused(&effects, Refusal::NotInThatRole));
    assert_eq!(server.role(), RoleName::PreCandidate);
    server.receive(2, 0, pre_vote_reply(0, round, true));
    server.sync();
    let effects = server.receive(3, 1, pre_vote_reply(1, server.now, true));
    assert!(refused(&effects, Refusal::NotInThatRole));
    assert_eq!(server.role(), RoleName::Candidate);
}

/// Thesis §3.4: a pre-candidate that hears the leader of its term follows it.
#[test]
fn a_pre_candidate_that_hears_a_leader_gives_up() {
    let mut server = voter(&[]);
    let round = server.be_pre_candidate().0;
    server.hear_leader(3, 0);
    let effects = server.receive(2, 0, pre_vote_reply(0, round, true));
    assert!(refused(&effects, Refusal::NotInThatRole));
    assert_eq!((server.role(), server.term()), (RoleName::Follower, 0));
}

/// Bug A5: a pre-candidate remembers for whom it voted.
#[test]
fn a_pre_candidate_votes_for_nobody_but_whom_it_voted_for() {
    let mut server = Setup { term: 1, voted_for: Some(2), ..Setup::default() }.start();
    server.be_pre_candidate();
    assert!(!server.votes_for(3, 1, entry(0, 0)));
    assert!(server.votes_for(2, 1, entry(0, 0)));
}

/// Rule J3: pre-votes are counted as votes are, in both halves.
#[test]
fn a_joint_pre_vote_needs_separate_majorities_of_old_and_new() {
    let configuration = joint(&[1, 2, 3], &[1, 4, 5]);
    let mut server = Setup { configuration, ..Setup::default() }.start();
    let round = server.be_pre_candidate().0;
    for from in [2, 3] {
        server.receive(from, 0, pre_vote_reply(0, round, true));
    }
    assert_eq!(server.role(), RoleName::PreCandidate);
    server.receive(5, 0, pre_vote_reply(0, round, true));
    assert_eq!(server.role(), RoleName::Candidate);
}

/// Thesis §9.6: pre-votes are asked for again after a while, and not of who granted.
#[test]
fn a_pre_candidate_asks_again_whom_it_has_not_convinced() {
    let configuration = voters(&[1, 2, 3, 4, 5]);
    let mut server = Setup { configuration, ..Setup::default() }.start();
    let round = server.be_pre_candidate().0;
    for peer in 2..=5 {
        assert!(server.poll(peer).is_some() && server.poll(peer).is_none(), "once");
    }
    server.receive(2, 0, pre_vote_reply(0, round, true));
    server.now += HEARTBEAT;
    let asked: Vec<u64> = (1..=9).filter(|peer| server.poll(*peer).is_some()).collect();
    assert_eq!(asked, [3, 4, 5]);
}

/// Isolates a server of three for long, heals the network, and returns the terms of the leader
/// before and after, and whether it is the same server.
fn return_of_a_partitioned_server(params: Params) -> (u64, u64, bool) {
    let mut cluster = Cluster::new(3, params);
    let leader = cluster.elect();
    let before = cluster.at(leader).term();
    let other = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.isolate(other);
    cluster.run(20 * E);
    cluster.heal();
    cluster.run(20 * E);
    let now = cluster.leader().unwrap();
    (before, cluster.at(now).term(), now == leader)
}

/// Thesis §9.6: "… so that a server that rejoins does not disrupt the cluster".
#[test]
fn a_partitioned_server_that_comes_back_disturbs_nobody() {
    assert_eq!(return_of_a_partitioned_server(params()), (1, 1, true));
}

/// Thesis §9.6: what pre-vote is for. The naive server has bombed the term meanwhile.
#[test]
fn without_pre_vote_a_partitioned_server_that_comes_back_ends_the_leaders_term() {
    let (before, after, _) = return_of_a_partitioned_server(params().naive());
    assert!(after > before + 5, "from term {before} to {after}");
}

/// The seed's asymmetric partition: N hears the leader, the leader does not hear N.
#[test]
fn a_server_that_hears_the_leader_but_is_not_heard_does_not_campaign() {
    let mut cluster = Cluster::new(3, params());
    let leader = cluster.elect();
    let other = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.cut.insert((other, leader));
    cluster.run(20 * E);
    assert_eq!((cluster.leader(), cluster.at(other).role()), (Some(leader), RoleName::Follower));
    assert_eq!(cluster.at(other).term(), 1);
}

/// The other way round: N no longer hears the leader, and all hear N (thesis §4.2.3, §9.6).
#[test]
fn a_server_that_no_longer_hears_the_leader_does_not_depose_it() {
    let mut cluster = Cluster::new(3, params());
    let leader = cluster.elect();
    let other = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.cut.insert((leader, other));
    cluster.run(20 * E);
    assert_eq!((cluster.leader(), cluster.at(leader).term()), (Some(leader), 1));
    assert_eq!(cluster.at(other).role(), RoleName::PreCandidate);
}

/// Bugs B3, B5: one server has the higher term and the shorter log; the others catch up with it.
#[test]
fn a_high_term_with_a_short_log_and_a_low_term_with_a_long_log_elect_a_leader() {
    let mut cluster = Cluster::with_logs(params(), &[(9, vec![1]), (2, vec![1, 2])]);
    let leader = cluster.elect();
    assert_eq!(leader, 2, "the longer log");
    assert_eq!(cluster.at(1).node.leader(), Some(n(2)));
    assert!(cluster.at(2).term() > 9);
}

/// An operator's campaign asks first, too (rule L11).
#[test]
fn an_operators_campaign_begins_with_pre_votes() {
    let mut server = voter(&[]);
    server.step(Input::Campaign);
    assert!(matches!(server.poll(2).unwrap().message.body, Body::PreVote { .. }));
    assert_eq!(server.term(), 0);
}
