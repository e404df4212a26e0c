//! Changes of the members: joint consensus, catching up, who leads and who is removed (thesis §4.1
//! to §4.3, rules J1 to J12).
#![allow(missing_docs)]

use crate::common::*;
use quorate_spec::role::Cause;
use quorate_spec::{
    Body, Configuration, Effects, Entries, Envelope, Index, Input, Message, NodeId, Refusal,
    RoleName, Target, Term,
};

/// n1 of n1, n2, n3 leads term 1, and its no-op is committed.
fn leader() -> Server {
    leader_of(&[1, 2, 3], &[])
}

fn leader_of(ids: &[u64], learners: &[u64]) -> Server {
    let configuration = Configuration { learners: voters(learners).voters, ..voters(ids) };
    let others: Vec<u64> = ids.iter().copied().filter(|id| *id != 1).collect();
    let setup = Setup { configuration, ..Setup::default() };
    let mut server = if others.is_empty() { setup.start() } else { setup.lead(&others) };
    if others.is_empty() {
        server.time_out();
        server.sync();
    }
    acknowledge(&mut server, &others, 1);
    server
}

/// These servers have the leader's log up to here.
fn acknowledge(leader: &mut Server, followers: &[u64], index: u64) {
    leader.sync();
    for follower in followers {
        let term = leader.term();
        leader.receive(*follower, term, accepted(index));
        leader.sync();
    }
}

fn configuration(server: &Server) -> &Configuration {
    server.node.log().configuration()
}

/// The configuration that waits for these voters to catch up.
fn waiting(now: &[u64], target: &[u64]) -> Configuration {
    let target = Target { voters: voters(target).voters, ..Target::default() };
    Configuration { target: Some(target), ..voters(now) }
}

fn only(effects: &Effects) -> Refusal {
    assert_eq!(effects.refused.len(), 1, "one reason: {effects:?}");
    assert_eq!(effects.persist, None, "nothing happened");
    effects.refused[0]
}

// The way of a change.

/// §4.3: "When the leader receives a request to change the configuration from C_old to C_new, it
/// saves the configuration for joint consensus as a log entry and replicates that entry"; and
/// "once C_old,new has been committed … the leader can create C_new".
#[test]
fn a_change_goes_through_the_joint_configuration_to_c_new() {
    let mut server = leader();
    server.step(ask_for(&[1, 2], &[]));
    assert_eq!(configuration(&server), &joint(&[1, 2, 3], &[1, 2]));
    acknowledge(&mut server, &[2], 2);
    assert_eq!(configuration(&server), &voters(&[1, 2]));
    assert_eq!(server.commit(), 2);
    acknowledge(&mut server, &[2], 3);
    assert_eq!((server.commit(), server.role()), (3, RoleName::Leader));
}

/// §4.2.1: a new server first catches up as a learner, so that commits need not wait for it.
#[test]
fn new_voters_catch_up_before_they_count() {
    let mut server = leader();
    server.step(ask_for(&[1, 2, 3, 4], &[]));
    assert_eq!(configuration(&server), &waiting(&[1, 2, 3], &[1, 2, 3, 4]));
    assert!(server.poll_append(4).is_some(), "n4 receives entries");
    acknowledge(&mut server, &[2], 2);
    assert_eq!(server.commit(), 2, "n4 does not count");
    assert!(!configuration(&server).is_joint(), "n4 has not answered");
    acknowledge(&mut server, &[4], 2);
    assert_eq!(configuration(&server), &joint(&[1, 2, 3], &[1, 2, 3, 4]));
}

/// §4.2.1: who lags behind by more than the parameter has not caught up; nor has who did not
/// answer.
#[test]
fn caught_up_is_who_answered_and_lacks_little() {
    let lag = params().catch_up_lag;
    let mut server = leader_of(&[1, 2], &[4]);
    let beyond = 2 + lag;
    server.step(Input::Propose { count: beyond });
    acknowledge(&mut server, &[2], 1 + beyond);
    acknowledge(&mut server, &[4], 2);
    server.step(ask_for(&[1, 2, 4], &[]));
    assert!(!configuration(&server).is_joint(), "n4 lacks {} entries", beyond - 1);
    let mut server = leader_of(&[1, 2], &[4]);
    server.step(ask_for(&[1, 2, 4], &[]));
    assert!(!configuration(&server).is_joint(), "n4 has not answered");
}

/// A learner that has caught up becomes a voter by the joint entry at once.
#[test]
fn learners_that_have_caught_up_are_promoted_without_waiting() {
    let mut server = leader_of(&[1, 2, 3], &[4, 5]);
    acknowledge(&mut server, &[4, 5], 1);
    server.step(ask_for(&[1, 2, 3, 4, 5], &[]));
    assert_eq!(configuration(&server), &joint(&[1, 2, 3], &[1, 2, 3, 4, 5]));
}

/// Learners have no vote, so the quorums of before and after are the same: one entry.
#[test]
fn a_change_of_learners_is_one_entry() {
    let mut server = leader();
    server.step(ask_for(&[1, 2, 3], &[4]));
    let after = Configuration { learners: voters(&[4]).voters, ..voters(&[1, 2, 3]) };
    assert_eq!(configuration(&server), &after);
    assert_eq!(server.terms().len(), 2);
}

/// §4.3: any change is one request, also one that has no server in common, and one that makes a
/// voter a learner.
#[test]
fn voters_can_be_replaced_and_demoted_by_one_request() {
    let mut server = leader_of(&[1, 2], &[3, 4]);
    acknowledge(&mut server, &[3, 4], 1);
    server.step(ask_for(&[3, 4], &[1]));
    let learners = voters(&[1]).voters;
    assert_eq!(configuration(&server), &Configuration { learners, ..joint(&[1, 2], &[3, 4]) });
    acknowledge(&mut server, &[2, 3, 4], 2);
    let learners = voters(&[1]).voters;
    assert_eq!(configuration(&server), &Configuration { learners, ..voters(&[3, 4]) });
}

/// A new server that never catches up holds up nothing but its own change: other members can be
/// asked for in its place, the present ones among them.
#[test]
fn the_way_out_of_a_server_that_never_catches_up_is_another_request() {
    for (instead, expected) in [
        (&[1, 2, 3][..], voters(&[1, 2, 3])),
        (&[1, 2, 5], waiting(&[1, 2, 3], &[1, 2, 5])),
        (&[1, 2], joint(&[1, 2, 3], &[1, 2])),
    ] {
        let mut server = leader();
        server.step(ask_for(&[1, 2, 3, 4], &[]));
        assert_eq!(only(&server.step(ask_for(instead, &[]))), Refusal::ChangeInFlight);
        acknowledge(&mut server, &[2], 2);
        server.step(ask_for(instead, &[]));
        assert_eq!(configuration(&server), &expected);
        assert!(server.poll_append(4).is_some(), "until that is committed n4 hears of it");
        acknowledge(&mut server, &[2, 3], 3);
        acknowledge(&mut server, &[2, 3], 4);
        assert!(!server.leadership().peers.contains_key(&n(4)), "{expected:?}");
    }
}

// Joint decisions.

/// §4.3, rule J3: "Agreement (for elections and entry commitment) requires majorities from both
/// the old and new configurations."
#[test]
fn a_joint_configuration_commits_by_both_majorities() {
    let joint = joint(&[1, 2, 3], &[3, 4, 5]);
    for (followers, commits) in
        [(&[2, 3][..], false), (&[3, 4], true), (&[4, 5], false), (&[2, 4, 5], true)]
    {
        let setup = Setup { configuration: joint.clone(), ..Setup::default() };
        let mut server = setup.lead(&[2, 3, 4]);
        acknowledge(&mut server, followers, 1);
        assert_eq!(server.commit() == 1, commits, "{followers:?}");
    }
}

/// Rule J3: and elects by both.
#[test]
fn a_joint_configuration_elects_by_both_majorities() {
    let setup = Setup { configuration: joint(&[1, 2, 3], &[3, 4, 5]), ..Setup::default() };
    for (electors, elected) in [(&[2, 3][..], false), (&[3, 4], true), (&[4, 5], false)] {
        let mut server = setup.start();
        server.be_candidate(&[2, 3, 4]);
        server.sync();
        for elector in electors {
            server.receive(*elector, 1, vote(true));
        }
        assert_eq!(server.node.is_leader(), elected, "{electors:?}");
    }
}

/// Rule J12: check-quorum needs both, too.
#[test]
fn a_leader_stays_while_both_majorities_answer() {
    let mut server = leader();
    server.step(ask_for(&[1, 2], &[]));
    server.now += E;
    let term = server.term();
    server.receive(3, term, stale());
    server.step(Input::Tick);
    assert_eq!(server.role(), RoleName::Follower, "of n1 and n2 one answered");
}

/// Rule J4: "a server uses the latest configuration in its log, regardless of whether the entry is
/// committed"; and a truncation brings the one before back (bugs E7, E10).
#[test]
fn the_latest_configuration_counts_until_it_is_truncated() {
    let mut server = Setup { log: vec![1], ..Setup::default() }.start();
    let entries = Entries::of_configuration(Index(1), Term(1), voters(&[1]));
    let body = Body::AppendEntries { prev: entry(1, 1), entries, leader_commit: Index(0) };
    server.receive(2, 1, body);
    assert_eq!(configuration(&server), &voters(&[1]));
    server.receive(3, 2, append(entry(1, 1), &[2], 0));
    assert_eq!(configuration(&server), &voters(&[1, 2, 3]));
    server.sync();
    assert_eq!(server.disk.log.configuration(), &voters(&[1, 2, 3]));
}

/// Rule J4: a restart recovers it from the log (bug E7).
#[test]
fn a_restart_keeps_a_configuration_that_is_not_committed() {
    let mut server = leader();
    server.step(ask_for(&[1, 2], &[]));
    server.sync();
    server.crash(server.now);
    assert_eq!(configuration(&server), &joint(&[1, 2, 3], &[1, 2]));
}

/// Rule J9: votes are given and entries taken whoever asks (bug E15). A server that joins has no
/// cluster of its own, and never campaigns.
#[test]
fn a_server_that_joins_votes_and_takes_entries_but_does_not_campaign() {
    let nothing = Configuration::default();
    let mut server = Setup { id: 9, configuration: nothing, ..Setup::default() }.start();
    assert!(server.votes_for(1, 1, entry(0, 0)));
    server.receive(1, 1, append(entry(0, 0), &[1], 1));
    assert_eq!((server.terms(), server.commit()), (vec![1], 1));
    server.now += 3 * E;
    assert_eq!(only(&server.step(Input::Campaign)), Refusal::NotAVoter);
}

// One change at a time.

/// Rule J6 (bugs E1, E5): one change at a time, and none before an entry of the leader's term.
#[test]
fn a_change_waits_for_the_one_before_and_for_the_leaders_first_commit() {
    let mut server = Setup::default().lead(&[2]);
    assert_eq!(only(&server.step(ask_for(&[1, 2], &[]))), Refusal::NoCommitInTerm);
    acknowledge(&mut server, &[2], 1);
    server.step(ask_for(&[1, 2], &[]));
    assert_eq!(only(&server.step(ask_for(&[1, 3], &[]))), Refusal::ChangeInFlight);
    acknowledge(&mut server, &[2], 2);
    assert_eq!(only(&server.step(ask_for(&[1, 3], &[]))), Refusal::ChangeInFlight);
    acknowledge(&mut server, &[2], 3);
    server.step(ask_for(&[1], &[]));
    assert_eq!(configuration(&server), &joint(&[1, 2], &[1]));
}

/// An impossible change says what would be possible.
#[test]
fn an_impossible_change_is_refused_with_the_way_out() {
    let mut server = leader();
    let many: Vec<u64> = (1..=65).collect();
    for (request, refusal, way_out) in [
        (ask_for(&[], &[1]), Refusal::NoVoters, "name at least one"),
        (ask_for(&[1, 2], &[2]), Refusal::VoterAndLearner(n(2)), "name it once"),
        (ask_for(&[1, 2, 3], &[]), Refusal::NothingToChange, "nothing to do"),
        (ask_for(&many, &[]), Refusal::TooManyMembers { members: 65, limit: 64 }, "name fewer"),
    ] {
        assert_eq!(only(&server.step(request)), refusal);
        assert!(refusal.to_string().contains(way_out), "{refusal}");
    }
    let mut alone = leader_of(&[1], &[]);
    assert_eq!(only(&alone.step(ask_for(&[], &[1]))), Refusal::LastVoter(n(1)));
    let mut follower = Setup::default().start();
    let leader = None;
    assert_eq!(only(&follower.step(ask_for(&[1, 2], &[]))), Refusal::NotLeader { leader });
    for refusal in [Refusal::ChangeInFlight, Refusal::NoCommitInTerm] {
        assert!(refusal.to_string().contains("ask again"), "{refusal}");
    }
    assert!(Refusal::LastVoter(n(1)).to_string().contains("name another one"));
}

// Other leaders.

/// n1's log on its disk: a no-op, and this configuration, in term 1.
fn with_configuration(latest: Configuration, before: Configuration) -> Server {
    let mut server = Setup { configuration: before, log: vec![1], ..Setup::default() }.restart();
    server.disk.log.append(&Entries::of_configuration(Index(1), Term(1), latest));
    server.restart_at(0);
    server.now = E;
    server
}

/// Rules J5', J10 (bug E4): a leader that finds the change of another one goes on with it, after it
/// has committed an entry of its own term.
#[test]
fn a_new_leader_goes_on_from_where_it_finds_the_change() {
    let old = voters(&[1, 2, 3]);
    for (found, next) in [
        (joint(&[1, 2, 3], &[1, 2]), voters(&[1, 2])),
        (waiting(&[1, 2, 3], &[1, 2]), joint(&[1, 2, 3], &[1, 2])),
    ] {
        let mut server = with_configuration(found.clone(), old.clone());
        server.be_elected(&[2]);
        assert_eq!(configuration(&server), &found);
        acknowledge(&mut server, &[2], 2);
        assert_eq!((server.commit(), configuration(&server)), (0, &found), "an earlier term's");
        acknowledge(&mut server, &[2], 3);
        assert_eq!(configuration(&server), &next);
    }
}

/// §4.2.2, figure 4.6, rule J8: "a server that is not part of its own latest configuration should
/// still start new elections", until that is committed; "it does not count its own vote".
#[test]
fn a_server_that_is_removed_campaigns_until_that_is_committed_and_does_not_count_itself() {
    let mut server = with_configuration(voters(&[2]), joint(&[1, 2], &[2]));
    server.be_pre_candidate();
    let mut server = with_configuration(voters(&[2]), joint(&[1, 2], &[2]));
    server.be_candidate(&[2]);
    server.sync();
    assert!(!server.node.is_leader(), "its own vote is none");
    server.receive(2, server.term(), vote(true));
    assert!(server.node.is_leader());
    let mut told = with_configuration(voters(&[2]), joint(&[1, 2], &[2]));
    told.receive(2, 1, heartbeat(entry(2, 1), 2));
    told.now += 3 * E;
    assert_eq!(only(&told.step(Input::Campaign)), Refusal::NotAVoter);
}

/// §4.2.2, rule J7 (bugs E19, E20): "a leader that is removed from the configuration steps down
/// once the C_new entry is committed"; until then it manages without counting itself.
#[test]
fn a_leader_that_is_removed_manages_until_that_is_committed() {
    let mut server = leader();
    server.step(ask_for(&[2, 3], &[]));
    acknowledge(&mut server, &[2, 3], 2);
    assert_eq!(configuration(&server), &voters(&[2, 3]));
    server.sync();
    server.receive(2, 1, accepted(3));
    assert_eq!((server.commit(), server.role()), (2, RoleName::Leader), "n2 alone is no majority");
    let vote_before = server.node.voted_for();
    let effects = server.receive(3, 1, accepted(3));
    assert_eq!(effects.changed, [(RoleName::Leader, RoleName::Follower, Cause::Removed)]);
    assert_eq!(effects.commit, Some(Index(3)));
    assert_eq!((server.term(), server.node.voted_for()), (1, vote_before), "bug A3");
    server.now += 3 * E;
    assert_eq!(only(&server.step(Input::Campaign)), Refusal::NotAVoter);
}

// Removed servers.

/// §4.2.3: a server that is removed is sent entries until that is committed, so that it can learn
/// of it, and nothing after: its answers could only disturb. Late ones are refused.
#[test]
fn a_removed_server_hears_of_it_and_then_nothing() {
    let mut server = leader();
    server.step(ask_for(&[1, 2], &[]));
    acknowledge(&mut server, &[2], 2);
    server.now += HEARTBEAT;
    assert!(server.poll_append(3).is_some(), "C_new is not committed");
    acknowledge(&mut server, &[2], 3);
    server.now += HEARTBEAT;
    assert_eq!(server.poll_append(3), None);
    assert_eq!(only(&server.receive(3, 1, accepted(2))), Refusal::NotAPeer);
    assert_eq!(server.protocol.recipients(&server.node), [n(2)]);
}

/// A learner that goes is no different.
#[test]
fn a_learner_that_goes_is_forgotten_when_that_is_committed() {
    let mut server = leader_of(&[1, 2, 3], &[4]);
    server.step(ask_for(&[1, 2, 3], &[]));
    assert!(server.leadership().peers.contains_key(&n(4)));
    acknowledge(&mut server, &[2], 2);
    assert!(!server.leadership().peers.contains_key(&n(4)));
}

/// §3.8 (bug E22): an empty disk is a new identity, and a message to the lost one is not for it.
#[test]
fn a_message_to_another_incarnation_is_refused() {
    let mut server = Setup { id: 7, ..Setup::default() }.start();
    let message = Message::new(Term(3), request_vote(entry(5, 2)));
    let before = server.node.clone();
    let (from, to): (NodeId, NodeId) = (n(1), n(2));
    let effects = server.step(Input::Receive(Envelope { from, to, message }));
    assert_eq!(only(&effects), Refusal::AnotherIncarnation { to });
    assert!(effects.send.is_empty() && server.node == before);
}

// Whole clusters.

/// §4.3: from three to five servers and back to one, by requests to whoever leads; each commits.
#[test]
fn a_cluster_grows_from_three_to_five_and_shrinks_to_one() {
    let mut cluster = crate::common::cluster::Cluster::new(3, params());
    let leader = cluster.elect();
    for id in [4, 5] {
        cluster.join(id);
    }
    for ids in [&[1, 2, 3, 4, 5][..], &[1, 4, 5], &[leader]] {
        let leads = cluster.leader().expect("it stays");
        cluster.step(leads, ask_for(ids, &[]));
        cluster.run(3 * E);
        let now = cluster.leader().expect("someone leads");
        let server = cluster.at(now);
        assert_eq!(configuration(server), &voters(ids), "n{now}");
        let (at, _) = server.node.log().latest_configuration();
        assert!(at <= server.node.commit_index());
        cluster.propose();
    }
}

/// §4.2.2, §4.2.3: the removed leader's cluster elects another one, whom it does not disturb.
#[test]
fn a_cluster_that_removes_its_leader_elects_another_and_keeps_it() {
    let mut cluster = crate::common::cluster::Cluster::new(3, params());
    let removed = cluster.elect();
    let others: Vec<u64> = cluster.ids().into_iter().filter(|id| *id != removed).collect();
    cluster.step(removed, ask_for(&others, &[]));
    assert_eq!(cluster.at(removed).role(), RoleName::Follower);
    let leader = cluster.elect();
    assert!(others.contains(&leader));
    let term = cluster.at(leader).term();
    cluster.run(20 * E);
    assert_eq!((cluster.leader(), cluster.at(leader).term()), (Some(leader), term));
}
