//! Check-quorum: a leader that no quorum answers leads no more (thesis §6.2).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::cluster::Cluster;
use crate::common::*;
use quorate_spec::role::Cause;
use quorate_spec::{Body, Configuration, Index, Input, Params, RoleName, Term};

/// A leader of these voters, elected by n2 and n3.
fn leader(configuration: Configuration) -> Server {
    Setup { configuration, ..Setup::default() }.lead(&[2, 3])
}

/// Whether it still leads after a tick, `after` its election.
fn leads_at(server: &mut Server, now: u64) -> bool {
    server.tick_at(now);
    server.node.is_leader()
}

/// Thesis §6.2: "if an election timeout elapses without a successful round to a majority …".
#[test]
fn a_leader_that_nobody_answers_steps_down_after_an_election_timeout() {
    let mut server = leader(voters(&[1, 2, 3]));
    let elected = server.now;
    assert!(leads_at(&mut server, elected + E - 1), "the votes were answers");
    assert!(!leads_at(&mut server, elected + E));
    assert_eq!(server.role(), RoleName::Follower);
    assert!(server.next_deadline() > server.now);
}

/// Thesis §6.2: and not a heartbeat interval later, though no heartbeat is due.
#[test]
fn a_leader_is_called_when_its_election_timeout_without_an_answer_ends() {
    let mut server = leader(voters(&[1, 2, 3]));
    let elected = server.now;
    server.now = elected + E - HEARTBEAT / 2;
    [2, 3].iter().for_each(|peer| drop(server.poll_all(*peer)));
    assert_eq!(server.next_deadline(), elected + E);
}

/// Bug A3: the term is the same, and so is the vote in it.
#[test]
fn a_leader_that_steps_down_in_its_term_keeps_its_vote() {
    let mut server = leader(voters(&[1, 2, 3]));
    let effects = server.tick_at(server.now + E);
    assert_eq!((server.term(), server.node.voted_for()), (1, Some(n(1))));
    assert_eq!(effects.persist, None);
    let view = effects.publish.unwrap();
    assert_eq!((view.term, view.leader), (Term(1), None), "readers learn it");
    assert!(!server.votes_for(2, 1, entry(9, 1)));
}

/// Thesis §6.2: every answer counts, of a follower that accepts or that has yet to agree (bug B15).
#[test]
fn any_answer_of_the_leaders_term_is_a_contact() {
    for body in [accepted(1), conflict(0, entry(0, 0)), accepted(0)] {
        let mut server = leader(voters(&[1, 2, 3]));
        server.now += 40;
        let contact = server.now;
        server.receive(2, 1, body);
        assert!(leads_at(&mut server, contact + E - 1));
        assert!(!leads_at(&mut server, contact + E));
    }
}

/// Bug F13: an answer to an earlier term's leader says nothing of this one.
#[test]
fn an_answer_of_an_earlier_term_is_no_contact() {
    let mut server = Setup { term: 4, ..Setup::default() }.lead(&[2]);
    let elected = server.now;
    server.now += 40;
    server.receive(2, 4, accepted(0));
    server.receive(3, 4, vote(true));
    assert!(!leads_at(&mut server, elected + E));
}

/// Thesis §6.2: a majority has to answer, not somebody.
#[test]
fn of_five_servers_two_have_to_answer_the_leader() {
    let mut server = leader(voters(&[1, 2, 3, 4, 5]));
    let elected = server.now;
    for (after, from) in [(30, 4), (50, 5), (90, 5)] {
        server.now = elected + after;
        server.receive(from, 1, accepted(0));
    }
    assert!(leads_at(&mut server, elected + 30 + E - 1), "n4 and n5 within the timeout");
    assert!(!leads_at(&mut server, elected + 30 + E), "n5 alone");
}

/// Bug F13, rule J12: learners and strangers are no quorum.
#[test]
fn answers_of_learners_and_strangers_do_not_count() {
    let learners = voters(&[4]).voters;
    let mut server = leader(Configuration { learners, ..voters(&[1, 2, 3]) });
    let elected = server.now;
    server.now += 50;
    server.receive(4, 1, accepted(0));
    server.receive(9, 1, accepted(0));
    assert!(!leads_at(&mut server, elected + E));
}

/// Rule J12: in a joint configuration a majority of each half has to answer.
#[test]
fn in_a_joint_configuration_both_halves_have_to_answer() {
    for (answers, stays) in [(&[2, 3][..], false), (&[4, 5], false), (&[3, 4], true)] {
        let configuration = joint(&[1, 2, 3], &[1, 4, 5]);
        let mut server = Setup { configuration, ..Setup::default() }.lead(&[2, 5]);
        let elected = server.now;
        server.now += 50;
        answers.iter().for_each(|from| drop(server.receive(*from, 1, accepted(0))));
        assert_eq!(leads_at(&mut server, elected + E), stays, "answers of {answers:?}");
    }
}

/// Bug B16: whoever is a quorum alone needs no answer.
#[test]
fn the_leader_of_a_cluster_of_one_never_steps_down() {
    let mut server = Setup { configuration: voters(&[1]), ..Setup::default() }.start();
    server.time_out();
    server.sync();
    let elected = server.now;
    assert!(leads_at(&mut server, elected + 1000 * E));
    assert_eq!(server.node.leader(), Some(n(1)));
}

/// For comparison: without check-quorum a leader that nobody hears leads for ever.
#[test]
fn without_check_quorum_a_leader_stays_alone() {
    let params = Params { check_quorum: false, ..params() };
    let mut server = Setup { params, ..Setup::default() }.lead(&[2]);
    let elected = server.now;
    assert!(leads_at(&mut server, elected + 1000 * E));
}

/// Thesis §6.2: the majority elects another leader; the old one is gone before, or learns it.
#[test]
fn an_isolated_leader_steps_down_and_the_majority_elects_another() {
    let mut cluster = Cluster::new(5, params());
    let old = cluster.elect();
    cluster.isolate(old);
    cluster.run(5 * E);
    let new = cluster.leader().unwrap();
    assert_ne!(new, old);
    assert!(!cluster.at(old).node.is_leader());
    assert_eq!(cluster.at(old).term(), 1, "it cannot raise its term alone (thesis §9.6)");
    cluster.heal();
    cluster.run(2 * HEARTBEAT);
    assert_eq!(cluster.leader(), Some(new), "and comes back without a disturbance");
    assert_eq!(cluster.at(old).node.leader(), Some(n(new)));
}

/// What the isolated leader could not commit is replaced (thesis §3.5).
#[test]
fn entries_of_an_isolated_leader_are_overwritten() {
    let mut cluster = Cluster::new(3, params());
    let old = cluster.elect();
    cluster.isolate(old);
    cluster.step(old, Input::Propose { count: 3 });
    assert_eq!((cluster.at(old).terms(), cluster.at(old).commit()), (vec![1; 4], 1));
    cluster.run(5 * E);
    let term = cluster.leader().map(|new| cluster.at(new).term()).unwrap();
    cluster.heal();
    cluster.run(2 * HEARTBEAT);
    assert_eq!((cluster.at(old).terms(), cluster.at(old).commit()), (vec![1, term], 2));
}

/// Cloudflare 2020 (bug B1): a leader that hears half of the cluster only gives way to one that
/// hears all.
#[test]
fn a_leader_whose_messages_arrive_but_whose_answers_do_not_makes_way() {
    let mut cluster = Cluster::new(3, params());
    let deaf = cluster.elect();
    for other in cluster.ids().into_iter().filter(|other| *other != deaf) {
        cluster.cut.insert((other, deaf));
    }
    cluster.run(5 * E);
    let leader = cluster.leader().unwrap();
    assert_ne!(leader, deaf);
    assert_eq!(cluster.at(deaf).role(), RoleName::PreCandidate);
    cluster.propose();
    assert_eq!(cluster.at(leader).commit(), 3, "two of three hear each other");
}

/// Bug B1: one link of three is down, and the leader stays all the same.
#[test]
fn a_broken_link_between_leader_and_follower_deposes_nobody() {
    let mut cluster = Cluster::new(3, params());
    let leader = cluster.elect();
    let other = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.cut.extend([(leader, other), (other, leader)]);
    cluster.run(50 * E);
    assert_eq!((cluster.leader(), cluster.at(leader).term()), (Some(leader), 1));
}

/// Thesis §6.2: a leader that stepped down may be elected again, in a later term.
#[test]
fn a_leader_that_stepped_down_is_elected_again_only_in_a_later_term() {
    let mut server = leader(voters(&[1, 2, 3]));
    server.tick_at(server.now + E);
    assert_eq!(server.role(), RoleName::Follower);
    server.receive(2, 1, vote(true));
    assert_eq!(server.role(), RoleName::Follower);
    server.be_elected(&[3]);
    assert_eq!((server.term(), server.terms()), (2, vec![1, 2]));
    assert!(matches!(server.poll(2).unwrap().message.body, Body::AppendEntries { .. }));
}

// The leader's own disk (bug H11).

/// A leader of three, whose disk has stopped before this command; its followers answer whenever
/// they are asked.
fn leader_with_a_stalled_disk(params: Params) -> (Server, u64) {
    let mut server = Setup { params, ..Setup::default() }.lead(&[2, 3]);
    server.now += 20;
    server.step(Input::Propose { count: 1 });
    let proposed = server.now;
    server.now += E - 1;
    server.receive(2, 1, accepted(1));
    server.receive(3, 1, accepted(1));
    (server, proposed)
}

/// Bug H11: everyone hears it, and it cannot write; another one can.
#[test]
fn a_leader_whose_disk_stalls_for_an_election_timeout_steps_down() {
    let (mut server, proposed) = leader_with_a_stalled_disk(params());
    assert!(leads_at(&mut server, proposed + E - 1));
    let effects = server.tick_at(proposed + E);
    assert_eq!(server.role(), RoleName::Follower);
    let lost = (RoleName::Leader, RoleName::Follower, Cause::LostQuorum);
    assert_eq!(effects.changed, [lost]);
    assert_eq!((server.term(), server.node.voted_for()), (1, Some(n(1))), "bug A3");
}

/// It is called in time: no heartbeat and no answer is due just then.
#[test]
fn a_leader_is_called_when_its_disk_owes_it_a_write_for_an_election_timeout() {
    let (mut server, proposed) = leader_with_a_stalled_disk(params());
    [2, 3].iter().for_each(|peer| drop(server.poll_all(*peer)));
    assert_eq!(server.next_deadline(), proposed + E);
}

/// A slow disk is none that stalls: each write has its own time, and the oldest counts.
#[test]
fn a_leader_whose_disk_is_slow_leads_on() {
    let (mut server, proposed) = leader_with_a_stalled_disk(params());
    server.step(Input::Propose { count: 1 });
    let second = server.now;
    assert!(second > proposed);
    server.sync_one();
    assert!(leads_at(&mut server, second + E - 2));
    server.receive(2, 1, accepted(3));
    server.receive(3, 1, accepted(3));
    assert_eq!(server.commit(), 3, "two disks of three suffice to commit");
    assert!(leads_at(&mut server, second + E - 1));
    assert!(!leads_at(&mut server, second + E));
}

/// What it writes while it does not lead it does not owe as a leader; what follows in the queue it
/// does, though the disk stopped before it led.
#[test]
fn a_disk_that_stalled_before_the_election_is_noticed_by_the_first_write_of_the_leader() {
    let mut server = Setup { log: vec![1], ..Setup::default() }.start();
    server.receive(3, 1, heartbeat(entry(1, 1), 1));
    server.now = server.node.promised_until().0;
    server.be_candidate(&[2]);
    server.sync();
    server.step(Input::SnapshotTaken { index: Index(1) });
    server.receive(2, 2, vote(true));
    let elected = server.now;
    assert_eq!((server.role(), server.node.unwritten().len()), (RoleName::Leader, 2));
    server.now += E / 2;
    server.receive(2, 2, accepted(2));
    [2, 3].iter().for_each(|peer| drop(server.poll_all(*peer)));
    assert!(leads_at(&mut server, elected + E - 1));
    assert!(server.next_deadline() <= elected + E);
    assert!(!leads_at(&mut server, elected + E), "the no-op waits behind the snapshot");
}

/// A follower's disk may stall: only a leader's does harm.
#[test]
fn what_a_server_wrote_as_a_follower_is_not_owed_to_the_leader_that_it_becomes() {
    let mut server = Setup::default().start();
    server.receive(2, 1, append(entry(0, 0), &[1], 0));
    assert!(server.node.unwritten().iter().all(|write| write.due_by.is_none()));
    assert_eq!(server.next_deadline(), server.node.election_deadline().0);
}

/// Bug H11, for comparison: without check-quorum it leads on, and commits by the others' disks.
#[test]
fn without_check_quorum_a_leader_with_a_stalled_disk_leads_on() {
    let (mut server, _) = leader_with_a_stalled_disk(Params { check_quorum: false, ..params() });
    assert!(leads_at(&mut server, 1000 * E));
}

/// Bug H11: even where it needs nobody else.
#[test]
fn the_leader_of_a_cluster_of_one_steps_down_when_its_disk_stalls() {
    let mut server = Setup { configuration: voters(&[1]), ..Setup::default() }.start();
    server.time_out();
    server.sync();
    server.step(Input::Propose { count: 1 });
    let proposed = server.now;
    assert!(leads_at(&mut server, proposed + E - 1));
    assert!(!leads_at(&mut server, proposed + E));
}

/// Rule P5: reports may be skipped.
#[test]
fn a_report_for_a_later_write_pays_for_all_before_it() {
    let (mut server, proposed) = leader_with_a_stalled_disk(params());
    server.step(Input::Propose { count: 1 });
    let last = server.node.last_write();
    server.step(Input::Persisted(last));
    server.writes.clear();
    assert!(leads_at(&mut server, proposed + E));
}
