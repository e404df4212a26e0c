//! Lease reads: how long a leader may answer without asking anyone (thesis §6.4.1, rules L1 to L13).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::cluster::Cluster;
use crate::common::*;
use quorate_spec::{
    Configuration, Duration, Effects, Envelope, Input, Instant, Lease, Message, Params, ReadView,
    Refusal, RoleName, Stamp, Term,
};

/// The lease of these tests, of an election timeout of 100.
const LEASE: u64 = 60;

fn with_lease() -> Params {
    let lease = Lease { duration: Duration(LEASE), drift_ppm: 0, granularity: Duration(0) };
    Params { lease: Some(lease), ..params() }
}

fn setup(configuration: Configuration) -> Setup {
    Setup { configuration, params: with_lease(), ..Setup::default() }
}

/// A leader of term 1 with a lease, as of its last heartbeats; when those left.
fn leader() -> (Server, u64) {
    let mut server = setup(voters(&[1, 2, 3])).lead(&[2]);
    round_trip(&mut server, 2);
    server.sync();
    server.now += HEARTBEAT;
    let sent = server.now;
    round_trip(&mut server, 2);
    assert_eq!((server.commit(), until(&server)), (1, Some(sent + LEASE)));
    (server, sent)
}

/// Until when the server may serve lease reads.
fn until(server: &Server) -> Option<u64> {
    server.read_view().lease_until.map(|until| until.0)
}

fn request(server: &mut Server, peer: u64) -> Message {
    server.poll(peer).expect("a request is due").message
}

/// This peer is asked, and answers, at one instant.
fn round_trip(server: &mut Server, peer: u64) -> Effects {
    let request = request(server, peer);
    server.hears_answer(peer, &request)
}

/// What a reader of the last published view is told at `now`.
fn reads_at(view: ReadView, now: u64) -> Result<u64, Refusal> {
    view.lease_read(Instant(now)).map(|index| index.0)
}

// When it begins and ends: rules L1, L12.

/// Rule L1: "start = the time at which the heartbeats were sent" (bugs F7, F11).
#[test]
fn a_lease_begins_when_the_request_is_made_and_not_when_the_answer_comes() {
    let (mut server, _) = leader();
    server.now += HEARTBEAT;
    let made = server.now;
    let asked = request(&mut server, 2);
    assert_eq!(asked.stamp.sent, Some(Instant(made)));
    server.now += 35;
    server.hears_answer(2, &asked);
    assert_eq!(until(&server), Some(made + LEASE));
}

/// Rule L12: a voter's promise of the same length, given at that instant, ends no earlier.
#[test]
fn a_lease_ends_strictly_before_its_length_has_passed() {
    let (server, sent) = leader();
    let view = server.read_view();
    assert_eq!(reads_at(view, sent + LEASE - 1), Ok(1));
    assert_eq!(reads_at(view, sent + LEASE), Err(Refusal::NoLease));
    let mut voter = Setup { id: 2, term: 1, ..Setup::default() }.start();
    voter.now = sent;
    voter.hear_leader(1, 1);
    voter.now = sent + E - 1;
    assert!(!voter.votes_for(3, 2, entry(9, 9)));
    voter.now = sent + E;
    assert!(voter.votes_for(3, 2, entry(9, 9)), "a lease as long as the promise is over by now");
}

/// Rule L5: a lease read sees what is committed when it comes.
#[test]
fn a_lease_read_is_served_at_the_commit_index() {
    let (mut server, sent) = leader();
    server.step(Input::Propose { count: 2 });
    server.sync();
    assert_eq!(reads_at(server.read_view(), sent), Ok(1));
    let effects = round_trip(&mut server, 2);
    assert_eq!(reads_at(effects.publish.unwrap(), sent), Ok(3));
    assert_eq!(
        server.read_view().stale_read().0,
        3,
        "and so is a stale read, which needs no lease"
    );
}

/// Heartbeats keep it: a leader whose followers answer holds it all the time.
#[test]
fn answers_to_heartbeats_renew_the_lease() {
    let (mut server, sent) = leader();
    for beat in 1..20 {
        server.now = sent + beat * HEARTBEAT;
        let effects = round_trip(&mut server, 2 + beat % 2);
        let view = effects.publish.expect("readers learn it");
        assert_eq!(view.lease_until, Some(Instant(server.now + LEASE)));
    }
}

/// Late and repeated answers come from requests that are older: nothing is taken back.
#[test]
fn a_late_answer_does_not_shorten_the_lease() {
    let (mut server, _) = leader();
    server.now += HEARTBEAT;
    let late = request(&mut server, 2);
    server.now += HEARTBEAT;
    round_trip(&mut server, 2);
    let before = until(&server);
    let effects = server.hears_answer(2, &late);
    assert_eq!((until(&server), effects.publish), (before, None));
}

/// An answer stamped in the future was never asked for: it counts as of now.
#[test]
fn an_answer_from_the_future_is_one_of_now() {
    let (mut server, sent) = leader();
    server.now = sent + 5;
    let stamp = Stamp { round: 0, sent: Some(Instant(u64::MAX)) };
    let message = Message { stamp, ..Message::new(Term(1), accepted(1)) };
    server.step(Input::Receive(Envelope { from: n(2), to: n(1), message }));
    assert_eq!(until(&server), Some(server.now + LEASE));
}

/// Without leases no request says when it was made.
#[test]
fn without_the_parameter_there_is_no_lease() {
    let mut server = Setup::default().lead(&[2]);
    let asked = request(&mut server, 2);
    assert_eq!(asked.stamp.sent, None);
    server.hears_answer(2, &asked);
    assert_eq!((server.commit(), until(&server)), (1, None));
}

// Who counts: rules L2, L3, J12.

/// Rule L2: a vote is no promise to a leader that does not lead yet (rule L13).
#[test]
fn votes_give_no_lease() {
    let server = setup(voters(&[1, 2, 3])).lead(&[2, 3]);
    assert!(server.progress(2).last_contact.is_some());
    assert_eq!(server.progress(2).heard, Stamp::NONE);
}

/// Rule L2.
#[test]
fn an_answer_of_an_earlier_term_gives_no_lease() {
    let (mut server, _) = leader();
    server.now += HEARTBEAT;
    let earlier = request(&mut server, 2);
    server.tick_at(server.now + 2 * E);
    server.be_elected(&[3]);
    server.receive(3, 2, accepted(2));
    assert_eq!((server.term(), server.commit()), (2, 2));
    server.hears_answer(2, &earlier);
    server.hears_reply(2, &Message { term: Term(2), ..earlier }, stale());
    assert_eq!(until(&server), None);
}

/// The order statistic: of five servers the second latest request that was answered counts.
#[test]
fn the_lease_is_as_old_as_the_latest_request_that_a_quorum_has_answered() {
    let mut server = setup(voters(&[1, 2, 3, 4, 5])).lead(&[2, 3]);
    let start = server.now;
    for (after, peer, expected) in [
        (0, 2, None), // Nothing is committed, and nobody else has answered.
        (1, 3, Some(0)),
        (7, 4, Some(1)),
        (9, 5, Some(7)),
        (20, 4, Some(9)),
        (21, 4, Some(9)),
        (30, 2, Some(21)),
    ] {
        server.now = start + after;
        let sent = Some(Instant(server.now));
        let stamp = Stamp { round: 0, sent };
        let message = Message { stamp, ..Message::new(Term(1), accepted(1)) };
        server.step(Input::Receive(Envelope { from: n(peer), to: n(1), message }));
        let expected = expected.map(|quorum| start + quorum + LEASE);
        assert_eq!(until(&server), expected, "{after} after the election");
    }
}

/// Rule L3: a majority of each half has promised.
#[test]
fn in_a_joint_configuration_both_halves_have_to_promise() {
    let (mut server, sent) = leader();
    server.step(ask_for(&[1, 4, 5], &[]));
    server.sync();
    round_trip(&mut server, 2);
    for peer in [4, 5] {
        let asked = request(&mut server, peer);
        server.hears_reply(peer, &asked, conflict(1, entry(0, 0)));
        round_trip(&mut server, peer);
    }
    server.sync();
    assert!(server.node.log().configuration().is_joint(), "{:?}", server.node.log());
    server.now = sent + 30;
    // Their answers say that they lack the joint configuration, so it stays in force.
    let mut answer = |peer| {
        let asked = request(&mut server, peer);
        server.hears_reply(peer, &asked, accepted(2));
        until(&server)
    };
    assert_eq!(answer(4), Some(sent + LEASE), "the outgoing half is as it was");
    assert_eq!(answer(3), Some(sent + 30 + LEASE));
    assert!(server.node.log().configuration().is_joint());
}

/// Rule L3: a configuration is in force as soon as it is in the log, and so is its quorum. Readers
/// learn it before the entry leaves (claim PublishedInTime).
#[test]
fn a_configuration_whose_new_voters_have_not_promised_ends_the_lease_at_once() {
    let (mut server, _) = leader();
    let lag = Params { catch_up_lag: u64::MAX, ..with_lease() };
    server.protocol.params = lag;
    server.step(ask_for(&[1, 2, 3], &[4, 5]));
    server.sync();
    round_trip(&mut server, 2);
    for peer in [4, 5] {
        // They have the log, by answers that say not to which request.
        server.receive(peer, 1, accepted(2));
    }
    assert!(until(&server).is_some());
    let effects = server.step(ask_for(&[1, 4, 5], &[]));
    assert!(server.node.log().configuration().is_joint());
    assert_eq!(effects.publish.map(|view| view.lease_until), Some(None));
}

/// Rule J12, bug F13: learners promise nothing.
#[test]
fn learners_and_strangers_do_not_count() {
    let learners = voters(&[4]).voters;
    let mut server = setup(Configuration { learners, ..voters(&[1, 2, 3]) }).lead(&[2]);
    let sent = server.now;
    round_trip(&mut server, 2);
    assert_eq!(until(&server), Some(sent + LEASE));
    server.now += HEARTBEAT;
    round_trip(&mut server, 4);
    let asked = request(&mut server, 3);
    assert!(refused(&server.hears_answer(9, &asked), Refusal::NotAPeer));
    assert_eq!(until(&server), Some(sent + LEASE));
}

/// Rule J12 with §4.2.2: it has two voters to hear, then, and not one and itself.
#[test]
fn a_leader_outside_the_new_configuration_does_not_count_itself() {
    let (mut server, _) = leader();
    server.step(ask_for(&[2, 3], &[]));
    server.sync();
    [2, 3].iter().for_each(|peer| drop(round_trip(&mut server, *peer)));
    let known = server.now;
    assert!(!server.node.log().configuration().is_voter(n(1)) && server.node.is_leader());
    server.now += HEARTBEAT;
    let asked = request(&mut server, 2);
    server.hears_reply(2, &asked, conflict(2, entry(1, 1)));
    assert_eq!(until(&server), Some(known + LEASE), "n2 alone is no quorum of n2 and n3");
    let asked = request(&mut server, 3);
    server.hears_reply(3, &asked, conflict(2, entry(1, 1)));
    assert_eq!(until(&server), Some(server.now + LEASE));
}

/// Rule R9: whoever is a quorum alone holds it for ever, once it has committed.
#[test]
fn a_single_voter_holds_a_lease_from_its_first_commit_on() {
    let mut server = setup(voters(&[1])).start();
    server.time_out();
    server.sync_one();
    assert_eq!((server.role(), until(&server)), (RoleName::Leader, None));
    server.sync();
    assert_eq!((server.commit(), until(&server)), (1, Some(u64::MAX)));
}

// When there is none: rules L4, L6, L8.

/// Rule L4, bug F1: it does not know what the leaders before it have committed.
#[test]
fn no_lease_is_held_before_an_entry_of_the_term_is_committed() {
    let mut server = Setup { log: vec![1, 1], ..setup(voters(&[1, 2, 3])) }.lead(&[2]);
    let asked = request(&mut server, 2);
    server.hears_reply(2, &asked, conflict(2, entry(0, 0)));
    assert!(server.progress(2).heard.sent.is_some(), "a quorum has promised");
    assert_eq!((server.commit(), until(&server)), (0, None));
    let effects = round_trip(&mut server, 2);
    assert_eq!((server.commit(), until(&server)), (3, Some(server.now + LEASE)));
    assert!(effects.publish.unwrap().lease_until.is_some());
}

/// Rule L6, bug F5: the view is published in the step that begins the transfer, and the TimeoutNow
/// leaves later.
#[test]
fn no_lease_is_held_while_leadership_is_handed_over() {
    let (mut server, _) = leader();
    let effects = server.step(Input::TransferLeadership(n(2)));
    assert_eq!(effects.publish.map(|view| view.lease_until), Some(None));
    server.now += HEARTBEAT;
    round_trip(&mut server, 3);
    assert_eq!(until(&server), None, "answers do not bring it back");
}

/// Rule L6, bug F6: the TimeoutNow may come at any time.
#[test]
fn after_a_timeout_now_no_lease_is_held_to_the_end_of_the_term() {
    let (mut server, _) = leader();
    server.step(Input::TransferLeadership(n(2)));
    let told = request(&mut server, 2);
    assert_eq!(told.body, quorate_spec::Body::TimeoutNow);
    for beat in 1..30 {
        server.now += HEARTBEAT;
        server.step(Input::Tick);
        round_trip(&mut server, 3);
        assert_eq!(until(&server), None, "at heartbeat {beat}");
    }
    assert_eq!((server.leadership().transfer, server.leadership().handed_over), (None, true));
    // In its next term nothing is on its way.
    server.tick_at(server.now + 2 * E);
    server.be_elected(&[3]);
    round_trip(&mut server, 3);
    assert_eq!((server.term(), until(&server)), (2, Some(server.now + LEASE)));
}

/// Rule L6: where none was sent, none can come.
#[test]
fn a_transfer_that_is_given_up_before_a_timeout_now_brings_the_lease_back() {
    let (mut server, sent) = leader();
    server.step(Input::Propose { count: 1 });
    server.sync();
    server.step(Input::TransferLeadership(n(3)));
    let begun = server.now;
    while server.now < begun + E {
        server.now += HEARTBEAT;
        round_trip(&mut server, 2);
        drop(server.poll_all(3)); // It lags behind, and hears nothing.
        server.step(Input::Tick);
    }
    assert_eq!((server.leadership().transfer, server.leadership().handed_over), (None, false));
    assert_eq!(until(&server), Some(server.now + LEASE));
    assert!(server.now > sent + LEASE);
}

/// Rule L8, bug F8: whoever restarts follows, and has promised.
#[test]
fn a_restart_leaves_no_lease_and_a_promise() {
    let (mut server, _) = leader();
    let now = server.now;
    server.crash(now);
    assert_eq!(until(&server), None);
    server.now = now + E - 1;
    assert!(!server.votes_for(3, 2, entry(9, 9)));
}

/// Rule L7, bug F20: whatever term it hears of, a voter keeps its promise; so the lease is good.
#[test]
fn the_promise_on_which_a_lease_rests_survives_a_higher_term() {
    let mut voter = Setup { params: with_lease(), term: 1, ..Setup::default() }.start();
    voter.hear_leader(2, 1);
    let promised = voter.node.promised_until();
    voter.receive(3, 5, vote(false));
    assert_eq!((voter.term(), voter.node.promised_until()), (5, promised));
    assert!(!voter.votes_for(3, 5, entry(9, 9)) && !voter.votes_for(3, 6, entry(9, 9)));
    assert!(refused(&voter.step(Input::Campaign), Refusal::PromiseInForce));
}

/// Who leads no more holds no lease, and says so in the step in which it learns it.
#[test]
fn a_leader_that_hears_of_a_higher_term_revokes_its_lease_at_once() {
    let (mut server, sent) = leader();
    let effects = server.receive(3, 2, vote(false));
    let view = effects.publish.unwrap();
    assert_eq!((view.term, view.leader, view.lease_until), (Term(2), None, None));
    assert_eq!(reads_at(view, sent), Err(Refusal::NoLease));
}

// Of a cluster: claims LeaseExclusive and LinearizableRead, which every step of these tests keeps.

/// Thesis §6.4.1: the phantom leader. It is cut off and does not know; its lease ends before the
/// others may elect anyone.
#[test]
fn an_isolated_leaders_lease_is_over_before_another_leader_is_elected() {
    let longest = params().with_lease(0, Duration(0));
    assert_eq!(longest.lease.map(|lease| lease.duration), Some(Duration(E)));
    let mut cluster = Cluster::new(5, longest);
    let old = cluster.elect();
    assert!(cluster.at(old).read_view().lease_read(Instant(cluster.now)).is_ok());
    cluster.isolate(old);
    for _ in 0..5 * E {
        cluster.run(1); // Whoever may serve a lease read is asked at each instant.
        let leads = cluster.leader();
        if leads.is_some_and(|leads| leads != old) {
            assert!(cluster.at(old).read_view().lease_read(Instant(cluster.now)).is_err());
            cluster.propose();
        }
    }
    assert!(cluster.leader().is_some_and(|leads| leads != old));
}

/// Rule L8: all of them forget whom they heard, and none that they have promised.
#[test]
fn voters_that_restart_do_not_elect_another_leader_within_the_lease() {
    let mut cluster = Cluster::new(3, params().with_lease(0, Duration(0)));
    let old = cluster.elect();
    cluster.isolate(old);
    let now = cluster.now;
    for id in cluster.ids().into_iter().filter(|id| *id != old) {
        let draw = cluster.at(id).draw;
        cluster.at(id).crash(now);
        cluster.at(id).draw = draw;
    }
    (0..5 * E).for_each(|_| cluster.run(1));
    assert!(cluster.leader().is_some_and(|leads| leads != old));
}
