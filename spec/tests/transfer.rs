//! Leadership is handed over (thesis §3.10, §4.2.3, §6.4.1).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::cluster::Cluster;
use crate::common::*;
use quorate_spec::role::Cause;
use quorate_spec::{
    Body, Configuration, Input, Message, Params, Refusal, RoleName, Target, Term, Token, WriteId,
};

fn transfer_to(id: u64) -> Input {
    Input::TransferLeadership(n(id))
}

/// A leader of term 1 whose followers n2 and n3 have all that it has.
fn leader_of(configuration: Configuration) -> Server {
    let mut server = Setup { configuration, ..Setup::default() }.lead(&[2, 3]);
    [2, 3].iter().for_each(|peer| drop(round_trip(&mut server, *peer)));
    assert_eq!(server.commit(), 1);
    server
}

fn leader() -> Server {
    leader_of(voters(&[1, 2, 3]))
}

fn request(server: &mut Server, peer: u64) -> Message {
    server.poll(peer).expect("a request is due").message
}

fn round_trip(server: &mut Server, peer: u64) -> quorate_spec::Effects {
    let request = request(server, peer);
    server.hears_answer(peer, &request)
}

/// Whether a TimeoutNow is due to this peer, now.
fn tells(server: &mut Server, peer: u64) -> bool {
    server.poll(peer).is_some_and(|outgoing| outgoing.message.body == Body::TimeoutNow)
}

/// A follower of n2 in term 1 that has just heard it.
fn follower() -> Server {
    let mut server = Setup { term: 1, log: vec![1], ..Setup::default() }.start();
    server.hear_leader(2, 1);
    server
}

// At the leader.

/// Thesis §3.10: "sends a TimeoutNow request to the target server", which has all that it needs.
#[test]
fn a_target_that_has_caught_up_is_told_to_campaign_at_once() {
    let mut server = leader();
    assert!(server.poll(2).is_none(), "nothing was due");
    let effects = server.step(transfer_to(2));
    assert!(effects.refused.is_empty());
    assert!(server.next_deadline() <= server.now, "and the driver is called");
    let outgoing = server.poll(2).unwrap();
    assert_eq!((outgoing.message.term, outgoing.message.body), (Term(1), Body::TimeoutNow));
    assert!(server.node.is_leader(), "it leads until it hears of the new term");
    assert!(!tells(&mut server, 3));
}

/// Thesis §3.10: "The prior leader fully updates the target server's log to match its own".
#[test]
fn a_target_that_lags_behind_gets_the_log_first() {
    let mut server = leader();
    server.step(Input::Propose { count: 2 });
    server.sync();
    server.step(transfer_to(2));
    let entries = request(&mut server, 2);
    assert!(matches!(&entries.body, Body::AppendEntries { entries, .. } if !entries.is_empty()));
    assert!(!server.leadership().handed_over);
    server.now += HEARTBEAT;
    assert!(!tells(&mut server, 2), "it may not have them");
    server.hears_answer(2, &entries);
    server.now += HEARTBEAT;
    assert!(tells(&mut server, 2));
}

/// The message may be lost: it is sent again in the place of heartbeats.
#[test]
fn a_timeout_now_is_repeated_while_the_transfer_is_under_way() {
    let mut server = leader();
    server.step(transfer_to(2));
    let begun = server.now;
    for beat in 0..E / HEARTBEAT {
        server.tick_at(begun + beat * HEARTBEAT);
        assert!(tells(&mut server, 2) && !tells(&mut server, 2), "once at heartbeat {beat}");
        server.receive(3, 1, accepted(1));
    }
}

#[test]
fn a_target_that_cannot_lead_is_refused() {
    let learners = voters(&[4]).voters;
    let mut server = leader_of(Configuration { learners, ..voters(&[1, 2, 3]) });
    for (target, who) in [(1, "itself"), (4, "a learner"), (9, "a stranger")] {
        let effects = server.step(transfer_to(target));
        assert!(refused(&effects, Refusal::CannotLead(n(target))), "{who}: {effects:?}");
        assert_eq!((server.leadership().transfer, effects.publish), (None, None), "{who}");
    }
}

/// A voter of the outgoing half alone would lead a cluster that it is leaving.
#[test]
fn a_voter_that_is_being_removed_is_no_target() {
    let configuration = joint(&[1, 2, 3], &[1, 2, 4]);
    let mut server = Setup { configuration, ..Setup::default() }.lead(&[2, 3]);
    assert!(refused(&server.step(transfer_to(3)), Refusal::CannotLead(n(3))));
    assert!(server.step(transfer_to(4)).refused.is_empty(), "one that is coming may lead");
}

#[test]
fn a_second_transfer_is_refused_while_one_is_under_way() {
    let mut server = leader();
    server.step(transfer_to(2));
    let deadline = server.leadership().transfer;
    server.now += 1;
    for target in [2, 3] {
        assert!(refused(&server.step(transfer_to(target)), Refusal::TransferInFlight));
    }
    assert_eq!(server.leadership().transfer, deadline);
}

#[test]
fn a_server_that_does_not_lead_says_who_does() {
    let mut server = follower();
    assert!(refused(&server.step(transfer_to(3)), Refusal::NotLeader { leader: Some(n(2)) }));
}

/// Thesis §3.10, bug F16: "the prior leader stops accepting new client requests".
#[test]
fn proposals_are_refused_until_the_transfer_has_ended() {
    let mut server = leader();
    server.step(transfer_to(2));
    let effects = server.step(Input::Propose { count: 1 });
    assert!(refused(&effects, Refusal::TransferInFlight));
    assert_eq!((effects.proposed, server.terms()), (None, vec![1]));
    let begun = server.now;
    server.now = begun + E - 1;
    round_trip(&mut server, 3);
    server.tick_at(begun + E);
    assert!(server.step(Input::Propose { count: 1 }).proposed.is_some());
}

/// Thesis §3.10: "if leadership transfer does not complete after about an election timeout, the
/// prior leader aborts the transfer and resumes accepting client requests".
#[test]
fn a_transfer_that_has_not_succeeded_within_an_election_timeout_is_given_up() {
    let mut server = leader();
    server.step(transfer_to(2));
    let begun = server.now;
    for now in (begun..begun + E).step_by(HEARTBEAT as usize) {
        server.tick_at(now);
        drop(server.poll_all(2));
        server.receive(3, 1, accepted(1));
    }
    server.tick_at(begun + E - 1);
    assert!(server.leadership().transfer.is_some());
    server.tick_at(begun + E);
    assert!(server.node.is_leader() && server.leadership().transfer.is_none());
    assert!(!tells(&mut server, 2), "a heartbeat is due again");
    assert!(server.step(transfer_to(3)).refused.is_empty(), "and another one may be tried");
}

/// The driver is called for it, though nothing else is due.
#[test]
fn a_leader_is_called_when_a_transfer_has_to_be_given_up() {
    let mut server = leader();
    server.step(transfer_to(2));
    let deadline = server.now + E;
    server.now = deadline - HEARTBEAT / 2;
    for peer in [2, 3] {
        drop(server.poll_all(peer));
        server.receive(peer, 1, accepted(1));
    }
    assert_eq!(server.next_deadline(), deadline);
}

/// A target that is removed meanwhile is told nothing more, and the transfer ends in time.
#[test]
fn a_transfer_to_a_server_that_is_removed_ends_with_its_time() {
    let mut server = leader();
    server.step(ask_for(&[1, 2, 4], &[]));
    server.sync();
    server.step(transfer_to(3)); // It lags behind.
    let begun = server.now;
    let changed = Target { voters: voters(&[1, 2, 4]).voters, learners: voters(&[]).voters };
    while server.node.settled_members() != Some(changed.clone()) {
        server.now += HEARTBEAT;
        for peer in [2, 4] {
            while let Some(request) = server.poll(peer) {
                server.hears_answer(peer, &request.message);
                server.sync();
            }
        }
    }
    assert!(server.node.is_leader() && !server.leadership().peers.contains_key(&n(3)));
    server.now = begun + E - 1;
    for peer in [2, 4] {
        drop(server.poll_all(peer));
        let last = server.node.log().last().index.0;
        server.receive(peer, 1, accepted(last));
    }
    assert_eq!((server.poll(3), server.next_deadline()), (None, begun + E));
    server.tick_at(begun + E);
    assert!(server.node.is_leader() && server.leadership().transfer.is_none());
    assert!(!server.leadership().handed_over);
}

/// A change of the members would be one more entry that the target lacks (bug F16).
#[test]
fn the_members_do_not_change_while_leadership_is_handed_over() {
    let mut server = leader();
    server.step(transfer_to(3));
    let effects = server.step(ask_for(&[1, 2], &[]));
    assert!(refused(&effects, Refusal::TransferInFlight));
    server.now += E - 1;
    [2, 3].iter().for_each(|peer| drop(server.receive(*peer, 1, accepted(1))));
    server.tick_at(server.now + 1);
    assert!(server.step(ask_for(&[1, 2], &[])).refused.is_empty(), "it was given up");
}

/// A TimeoutNow has no answer. Where none arrives, heartbeats beside them keep the leader in contact
/// with its quorum, and confirm reads.
#[test]
fn a_leader_that_hands_over_in_vain_goes_on_hearing_its_target() {
    let mut server = Setup { configuration: voters(&[1, 2]), ..Setup::default() }.lead(&[2]);
    round_trip(&mut server, 2);
    let begun = server.now;
    server.step(transfer_to(2));
    let mut told = 0;
    for now in (begun..begun + E).step_by(HEARTBEAT as usize) {
        server.now = now;
        server.step(Input::Tick);
        while let Some(request) = server.poll(2) {
            match request.message.body {
                Body::TimeoutNow => told += 1,
                _ => drop(server.hears_answer(2, &request.message)),
            }
        }
    }
    assert_eq!(told, E.div_ceil(HEARTBEAT), "once before each heartbeat");
    server.step(Input::Read(Token(7)));
    assert_eq!(server.poll(2).unwrap().message.body, Body::TimeoutNow);
    let effects = round_trip(&mut server, 2);
    assert_eq!(effects.reads.len(), 1);
    server.tick_at(begun + E);
    assert!(server.node.is_leader() && server.leadership().transfer.is_none());
}

/// A leader that `C_new` does not name may hand over to one that it names, before it has to go
/// (§4.2.2).
#[test]
fn a_leader_that_is_being_removed_may_hand_its_leadership_over() {
    let mut server = leader();
    server.step(ask_for(&[2, 3], &[]));
    server.sync();
    [2, 3].iter().for_each(|peer| drop(round_trip(&mut server, *peer)));
    server.sync();
    round_trip(&mut server, 2);
    assert!(server.node.is_leader() && !server.node.log().configuration().is_voter(n(1)));
    server.step(transfer_to(2));
    assert!(tells(&mut server, 2));
}

/// Reads go on: a transfer that fails is nothing to their clients.
#[test]
fn reads_are_confirmed_while_a_transfer_is_under_way() {
    let mut server = leader();
    server.step(transfer_to(2));
    assert!(tells(&mut server, 2));
    server.step(read(7));
    assert_eq!(served(&round_trip(&mut server, 3)), [(7, 1)]);
}

// At the target.

/// §4.2.3 with thesis §9.6, bug B14: it asks nobody first, and its promise does not hold it.
#[test]
fn a_server_that_is_told_campaigns_without_a_pre_vote_and_in_spite_of_its_promise() {
    let mut server = follower();
    assert!(server.node.promised_until().0 > server.now);
    assert!(
        refused(&server.step(Input::Campaign), Refusal::PromiseInForce),
        "by itself it may not"
    );
    let promised = server.node.promised_until();
    let effects = server.receive(2, 1, Body::TimeoutNow);
    assert_eq!((server.role(), server.term()), (RoleName::Candidate, 2));
    let handover = (RoleName::Follower, RoleName::Candidate, Cause::Handover);
    assert_eq!(effects.changed, [handover]);
    assert_eq!(server.node.promised_until(), promised, "claim PromiseKept");
    assert_eq!(request(&mut server, 2).body, request_vote_after_handover(entry(1, 1)));
}

/// A pre-candidate may not have heard the leader for long, and is told by it all the same.
#[test]
fn a_pre_candidate_obeys() {
    let mut server = follower();
    server.now = server.node.promised_until().0;
    server.be_pre_candidate();
    let effects = server.receive(2, 1, Body::TimeoutNow);
    assert_eq!((server.role(), server.term()), (RoleName::Candidate, 2));
    let handover = (RoleName::PreCandidate, RoleName::Candidate, Cause::Handover);
    assert_eq!(effects.changed, [handover]);
}

/// Bug F6: the leader of a later term may hold a lease by now.
#[test]
fn a_late_timeout_now_of_a_past_term_is_ignored() {
    let mut server = follower();
    server.hear_leader(3, 2);
    let before = server.node.clone();
    let effects = server.receive(2, 1, Body::TimeoutNow);
    let stale = Refusal::StaleTerm { message: Term(1), current: Term(2) };
    assert!(refused(&effects, stale) && effects.send.is_empty());
    assert_eq!(server.node, before);
}

/// A repeated one finds a candidate of the next term.
#[test]
fn a_repeated_timeout_now_begins_no_second_campaign() {
    let mut server = follower();
    server.receive(2, 1, Body::TimeoutNow);
    server.receive(2, 1, Body::TimeoutNow);
    assert_eq!((server.role(), server.term()), (RoleName::Candidate, 2));
    let effects = server.receive(2, 2, Body::TimeoutNow);
    assert!(refused(&effects, Refusal::NotInThatRole));
    assert_eq!(server.term(), 2);
}

/// Whoever has acknowledged the log of a leader has been in its term.
#[test]
fn a_timeout_now_of_a_term_that_the_target_has_never_seen_is_malformed() {
    let mut server = follower();
    let effects = server.receive(2, 5, Body::TimeoutNow);
    assert!(refused(&effects, Refusal::Malformed));
    assert_eq!((server.role(), server.term()), (RoleName::Follower, 5));
}

/// Rule J8: whoever could not be elected does not begin.
#[test]
fn a_server_without_a_vote_does_not_obey() {
    let configuration = voters(&[2, 3]);
    let mut server = Setup { configuration, term: 1, ..Setup::default() }.start();
    server.hear_leader(2, 1);
    assert!(refused(&server.receive(2, 1, Body::TimeoutNow), Refusal::NotAVoter));
    assert_eq!(server.term(), 1);
}

/// Bugs A7, H9: its own vote counts when it is durable, also where it needs no other.
#[test]
fn a_target_that_is_the_only_voter_leads_when_its_vote_is_durable() {
    let mut server = Setup { configuration: voters(&[1]), term: 1, ..Setup::default() }.start();
    server.hear_leader(2, 1); // It manages the cluster until C_new is committed (§4.2.2).
    let effects = server.receive(2, 1, Body::TimeoutNow);
    assert_eq!(server.role(), RoleName::Candidate, "a crash would forget the vote");
    assert_eq!(effects.persist.map(|persist| persist.id), Some(WriteId(1)));
    server.sync_one();
    assert_eq!((server.role(), server.term()), (RoleName::Leader, 2));
}

/// §4.2.3: of the campaigns of a server only the one that the leader asked for says so.
#[test]
fn only_the_campaign_that_a_timeout_now_began_claims_a_handover() {
    let claims = |server: &mut Server| {
        let body = request(server, 2).body;
        matches!(body, Body::RequestVote { handover: true, .. })
    };
    let mut server = follower();
    server.receive(2, 1, Body::TimeoutNow);
    assert!(claims(&mut server));
    server.now += HEARTBEAT;
    assert!(claims(&mut server), "asked again, in the same campaign");
    server.sync();
    server.be_candidate(&[3]);
    assert!(server.term() == 3 && !claims(&mut server), "the next one is its own");
    let params = Params { pre_vote: false, ..params() };
    let mut server = Setup { params, ..Setup::default() }.start();
    server.time_out();
    assert!(server.role() == RoleName::Candidate && !claims(&mut server));
}

// At the voters.

/// §4.2.3: "within the minimum election timeout of hearing from a current leader, it does not update
/// its term or grant its vote", but for the flag.
#[test]
fn a_voter_disregards_its_promise_only_for_a_candidate_with_the_flag() {
    let mut without = follower();
    assert!(!without.votes_for(3, 2, entry(1, 1)));
    assert_eq!(without.term(), 1);
    let mut with = follower();
    let promised = with.node.promised_until();
    let answer = with.answer(3, 2, request_vote_after_handover(entry(1, 1)));
    assert_eq!((answer.term, answer.body), (Term(2), vote(true)));
    assert_eq!(with.node.promised_until(), promised, "claim PromiseKept: to others it stands");
    assert!(!with.pre_votes_for(2, 2, entry(9, 9)));
}

/// The flag excuses from the promise, and from nothing else (§3.4, §3.6.1).
#[test]
fn the_flag_does_not_excuse_a_candidate_from_the_other_conditions_of_a_vote() {
    let mut behind = follower();
    let answer = behind.answer(3, 2, request_vote_after_handover(entry(0, 0)));
    assert_eq!(answer.body, vote(false), "its log is not up to date");
    let mut voted = Setup { term: 2, voted_for: Some(2), ..Setup::default() }.start();
    let answer = voted.answer(3, 2, request_vote_after_handover(entry(9, 9)));
    assert_eq!(answer.body, vote(false), "the vote is gone");
    let mut later = Setup { term: 3, ..Setup::default() }.start();
    let answer = later.answer(3, 2, request_vote_after_handover(entry(9, 9)));
    assert_eq!((answer.term, answer.body), (Term(3), vote(false)), "the term is over");
}

/// Rule L9: the leader itself makes way for whom it has told.
#[test]
fn the_old_leader_votes_for_its_successor() {
    let mut server = leader();
    server.step(transfer_to(2));
    assert!(tells(&mut server, 2));
    let effects = server.receive(2, 2, request_vote_after_handover(entry(1, 1)));
    assert_eq!((server.role(), server.term()), (RoleName::Follower, 2));
    assert_eq!((server.node.voted_for(), &effects.send[0].message.body), (Some(n(2)), &vote(true)));
    let mut other = leader();
    assert!(!other.votes_for(2, 2, entry(1, 1)), "for anyone else it does not");
    assert!(other.node.is_leader());
}

// In a cluster: claim TransferProgress.

/// Thesis §3.10: every voter may be the next leader, and what was committed stays.
#[test]
fn leadership_goes_where_it_is_sent() {
    let mut cluster = Cluster::new(5, params());
    let mut leader = cluster.elect();
    for term in 2..8 {
        cluster.propose();
        let target = 1 + leader % 5;
        cluster.step(leader, transfer_to(target));
        assert_eq!(cluster.leader(), Some(target), "at once: every message arrives");
        assert_eq!((cluster.at(target).term(), cluster.at(leader).term()), (term, term));
        leader = target;
        cluster.run(2 * HEARTBEAT);
    }
    assert_eq!(cluster.at(leader).terms(), [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7]);
}

/// With leases, too: every step of the cluster is asked for LeaseExclusive and LinearizableRead.
#[test]
fn leadership_is_handed_over_within_the_lease() {
    let mut cluster = Cluster::new(3, params().with_lease(0, quorate_spec::Duration(0)));
    let leader = cluster.elect();
    cluster.propose();
    let target = 1 + leader % 3;
    cluster.step(leader, transfer_to(target));
    assert_eq!(cluster.leader(), Some(target));
    let lease = cluster.at(target).read_view().lease_until;
    assert!(lease.is_some(), "the next one has a lease when it has committed its first entry");
}

/// A target that nobody reaches: the leader leads on, and takes commands again.
#[test]
fn a_transfer_to_a_server_that_is_cut_off_fails_and_does_no_harm() {
    let mut cluster = Cluster::new(3, params());
    let leader = cluster.elect();
    let target = 1 + leader % 3;
    cluster.isolate(target);
    cluster.step(leader, transfer_to(target));
    cluster.run(E - 1);
    assert!(cluster.at(leader).leadership().transfer.is_some());
    cluster.run(2);
    assert_eq!((cluster.leader(), cluster.at(leader).term()), (Some(leader), 1));
    cluster.propose();
    assert_eq!(cluster.at(leader).commit(), 2);
}
