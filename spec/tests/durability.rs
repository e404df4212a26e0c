//! Durability: no message says more than a crash would recover (thesis §3.8, rules P1 to P7).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::cluster::Cluster;
use crate::common::*;
use quorate_spec::{
    Body, Effects, Gate, HardState, Index, Input, Instant, Outgoing, Refusal, RoleName, Term,
    WriteId,
};

fn server(log: &[u64]) -> Server {
    Setup { log: log.to_vec(), ..Setup::default() }.start()
}

/// The only server of its cluster.
fn alone() -> Server {
    Setup { configuration: voters(&[1]), ..Setup::default() }.start()
}

/// Rule P1, bugs A6, A7, A9: the vote is on the disk before it is given.
#[test]
fn a_vote_waits_for_the_write_of_the_vote() {
    let mut server = server(&[]);
    let effects = server.receive(2, 1, request_vote(entry(0, 0)));
    let persist = effects.persist.clone().unwrap();
    let vote_for_2 = HardState { current_term: Term(1), voted_for: Some(n(2)) };
    assert_eq!(persist.write.hard_state, Some(vote_for_2), "bug A8: term and vote, one record");
    assert_eq!(needs(&effects), persist.id);
    let again = server.receive(2, 1, request_vote(entry(0, 0)));
    assert_eq!((again.persist.as_ref(), needs(&again)), (None, persist.id), "the repetition, too");
    server.sync();
    let again = server.receive(2, 1, request_vote(entry(0, 0)));
    assert_eq!(needs(&again), WriteId::NONE);
}

/// Rule P1: also a rejection says that the sender has reached its term.
#[test]
fn a_rejection_in_a_new_term_waits_for_the_write_of_the_term() {
    let mut server = server(&[1]);
    let effects = server.receive(2, 5, request_vote(entry(0, 0)));
    let persist = effects.persist.clone().unwrap();
    let in_5 = HardState { current_term: Term(5), voted_for: None };
    assert_eq!((persist.write.hard_state, needs(&effects)), (Some(in_5), persist.id));
    for body in [pre_vote(entry(0, 0), 7), heartbeat(entry(9, 1), 0)] {
        assert_eq!(needs(&server.receive(2, 5, body)), persist.id);
    }
}

/// Rule P1, bug A7: a candidate's requests say that it votes for itself.
#[test]
fn a_vote_request_waits_for_the_candidates_own_vote_and_a_pre_vote_for_nothing() {
    let mut server = server(&[]);
    server.be_pre_candidate();
    assert_eq!(server.poll(2).unwrap().needs, WriteId::NONE);
    server.be_candidate(&[2]);
    let own_vote = server.node.last_write();
    assert_ne!(own_vote, WriteId::NONE);
    assert_eq!(server.poll(2).unwrap().needs, own_vote);
}

/// Rule P2, bug H1: an acknowledgement waits for the write that completes what it covers.
#[test]
fn an_acknowledgement_waits_for_the_entries_that_it_covers() {
    let mut server = Setup { term: 1, ..Setup::default() }.start();
    let first = server.receive(2, 1, append(entry(0, 0), &[1, 1], 0));
    let second = server.receive(2, 1, append(entry(2, 1), &[1, 1], 0));
    let last = |effects: &Effects| effects.send.last().map(|reply| reply.needs).unwrap();
    assert_eq!((needs(&first), last(&second)), (WriteId(1), WriteId(2)));
    let covered = |server: &mut Server, prev| last(&server.receive(2, 1, heartbeat(prev, 0)));
    assert_eq!(covered(&mut server, entry(2, 1)), WriteId(1), "a heartbeat that validates 2");
    assert_eq!(covered(&mut server, entry(3, 1)), WriteId(2), "a heartbeat that validates 3");
    server.sync_one();
    assert_eq!(covered(&mut server, entry(2, 1)), WriteId::NONE);
    assert_eq!(covered(&mut server, entry(3, 1)), WriteId(2));
    server.sync_one();
    assert_eq!(covered(&mut server, entry(4, 1)), WriteId::NONE);
}

/// A follower whose disk is behind shows at once that it is there (§6.2), with what is durable and
/// no more (rule P2); where the term is not durable either, there is nothing that it may say.
#[test]
fn a_follower_with_a_slow_disk_answers_at_once_with_what_is_durable() {
    let mut server = server(&[1]);
    let answers = |effects: &Effects| -> Vec<(WriteId, Body)> {
        let reply = |reply: &Outgoing| (reply.needs, reply.message.body.clone());
        effects.send.iter().map(reply).collect()
    };
    let term = server.node.current_term().0;
    let first = server.receive(2, term, append(entry(1, 1), &[1], 0));
    let full = |write, index| (WriteId(write), accepted(index));
    assert_eq!(answers(&first), [full(1, 2)], "the disk was idle: one answer is enough");
    let second = server.receive(2, term, append(entry(2, 1), &[1], 0));
    assert_eq!(answers(&second), [full(0, 1), full(2, 3)]);
    let again = server.receive(2, term, heartbeat(entry(3, 1), 0));
    assert_eq!(answers(&again), [full(0, 1), full(2, 3)]);
    let next = server.receive(3, term + 1, append(entry(3, 1), &[term + 1], 0));
    assert_eq!(answers(&next), [full(3, 4)], "the new term is not durable");
}

/// Rules P1 and P2 together: entries from the leader of a new term wait for both.
#[test]
fn an_acknowledgement_in_a_new_term_waits_for_the_term_even_if_the_entries_are_durable() {
    let mut server = server(&[1, 1]);
    let effects = server.receive(2, 3, heartbeat(entry(2, 1), 0));
    assert_eq!(needs(&effects), WriteId(1));
}

/// Rule P3: a leader sends its entries before they are on its own disk.
#[test]
fn a_leader_sends_entries_without_waiting_for_its_own_disk() {
    let mut server = Setup::default().lead(&[2]);
    server.step(Input::Propose { count: 1 });
    let request = server.poll(3).unwrap();
    assert!(
        matches!(&request.message.body, Body::AppendEntries { entries, .. } if !entries.is_empty())
    );
    assert_eq!(request.needs, WriteId::NONE);
}

/// Rule P3, bugs D8, H2: but it counts itself only for what is.
#[test]
fn a_leader_counts_itself_only_for_what_is_durable() {
    let mut server = Setup::default().lead(&[2]);
    server.step(Input::Propose { count: 1 });
    server.receive(3, 1, accepted(2));
    assert_eq!(server.commit(), 1, "one copy of the second entry is durable, and only one");
    let effects = server.sync_one();
    assert_eq!((server.commit(), effects.commit), (2, Some(Index(2))));
}

/// Thesis §10.2.1: the others may be a quorum without the leader's disk.
#[test]
fn an_entry_is_committed_by_a_quorum_of_the_others_before_the_leader_has_it_on_disk() {
    let mut server = Setup::default().lead(&[2]);
    server.step(Input::Propose { count: 1 });
    server.receive(3, 1, accepted(2));
    server.receive(2, 1, accepted(2));
    assert_eq!((server.commit(), server.node.durable_index()), (2, Index(1)));
}

/// Bugs A7, H9, D8: the cluster of one has no peers to hide an early answer behind.
#[test]
fn a_single_server_leads_when_its_vote_is_durable_and_commits_when_its_no_op_is() {
    let mut server = alone();
    server.time_out();
    assert_eq!(
        (server.role(), server.term()),
        (RoleName::Candidate, 1),
        "no pre-votes to wait for"
    );
    server.sync_one();
    assert_eq!((server.role(), server.commit()), (RoleName::Leader, 0));
    server.sync_one();
    assert_eq!((server.terms(), server.commit()), (vec![1], 1));
}

/// Bug A7: the candidate's own vote is one of the majority only once it is durable.
#[test]
fn a_candidate_does_not_count_its_own_vote_before_it_is_durable() {
    let mut server = server(&[]);
    server.be_candidate(&[2]);
    server.receive(2, 1, vote(true));
    assert_eq!(server.role(), RoleName::Candidate);
    server.sync_one();
    assert_eq!(server.role(), RoleName::Leader);
}

/// Thesis §3.8: what was durable survives, and what was not is gone.
#[test]
fn a_restart_forgets_nothing_that_is_durable() {
    let mut server = server(&[1]);
    server.receive(2, 2, append(entry(1, 1), &[2, 2], 2));
    assert!(!server.votes_for(3, 2, entry(9, 2)), "it is under the promise");
    server.sync();
    server.receive(2, 2, append(entry(3, 2), &[2], 2));
    server.crash(500);
    assert_eq!((server.term(), server.terms()), (2, vec![1, 2, 2]));
    assert_eq!(server.node.durable_index(), Index(3));
    assert_eq!(server.commit(), 0, "the commit index is learnt again (rule P4)");
    server.now = 500 + E;
    assert!(server.votes_for(3, 4, entry(9, 3)));
    server.sync();
    server.crash(900);
    server.now = 900 + E;
    assert!(!server.votes_for(2, 4, entry(9, 3)), "bug A9: the vote survives");
    assert!(server.votes_for(3, 4, entry(9, 3)));
}

/// Rule L8, bug F8: it may have heard a leader just before.
#[test]
fn a_restarted_server_is_under_the_promise_for_an_election_timeout() {
    let mut server = server(&[]);
    server.crash(500);
    assert_eq!(server.node.promised_until(), Instant(500 + E));
    assert!(server.node.election_deadline() >= server.node.promised_until());
    server.now = 500 + E - 1;
    assert!(!server.votes_for(2, 1, entry(0, 0)));
    assert!(!server.pre_votes_for(2, 0, entry(0, 0)));
    assert!(refused(&server.step(Input::Campaign), Refusal::PromiseInForce));
    assert_eq!(server.term(), 0);
    server.now = 500 + E;
    assert!(server.votes_for(2, 1, entry(0, 0)));
}

/// Rule P7, bug A16: nobody resumes a term that it led.
#[test]
fn a_leader_restarts_as_a_follower_and_leads_no_more_in_that_term() {
    let mut server = Setup::default().lead(&[2]);
    server.crash(500);
    assert_eq!((server.role(), server.node.leader()), (RoleName::Follower, None));
    server.receive(2, 1, vote(true));
    server.receive(3, 1, accepted(1));
    assert_eq!((server.role(), server.commit()), (RoleName::Follower, 0));
    server.be_elected(&[2]);
    assert_eq!((server.term(), server.terms()), (2, vec![1, 2]));
}

/// Rule P5, bug H4: reports come late, twice, or once for many.
#[test]
fn reports_of_writes_may_be_late_repeated_or_skipped() {
    let mut server = Setup { term: 1, ..Setup::default() }.start();
    for i in 0..4 {
        server.receive(2, 1, append(entry(i, i.min(1)), &[1], 0));
    }
    let mut durable_after = |id| {
        server.step(Input::Persisted(WriteId(id)));
        (server.node.durable_index().0, server.node.unwritten().len())
    };
    assert_eq!(durable_after(0), (0, 4));
    assert_eq!(durable_after(3), (3, 1), "a report covers all before it");
    assert_eq!(durable_after(1), (3, 1), "late");
    assert_eq!(durable_after(3), (3, 1), "twice");
    assert_eq!(durable_after(4), (4, 0));
}

/// Bug C10: truncation lowers the durable mark in the same step.
#[test]
fn truncation_takes_the_durable_mark_down_at_once() {
    let mut server = server(&[1, 1, 1, 1]);
    assert_eq!(server.node.durable_index(), Index(4));
    let effects = server.receive(2, 2, append(entry(1, 1), &[2, 2, 2], 0));
    assert_eq!((server.node.durable_index(), needs(&effects)), (Index(1), WriteId(1)));
    server.sync();
    assert_eq!(server.node.durable_index(), Index(4));
}

/// The ABA of asynchronous writes: a completed write says nothing of the entries that replaced it.
#[test]
fn a_write_that_completes_after_its_entries_were_truncated_makes_nothing_durable() {
    let mut server = Setup { term: 1, ..Setup::default() }.start();
    server.receive(2, 1, append(entry(0, 0), &[1, 1, 1], 0));
    let effects = server.receive(3, 2, append(entry(1, 1), &[2, 2], 0));
    assert_eq!((server.terms(), needs(&effects)), (vec![1, 2, 2], WriteId(2)));
    server.sync_one();
    assert_eq!(server.node.durable_index(), Index(1), "the first write had 3 entries");
    let heartbeat = server.receive(3, 2, heartbeat(entry(3, 2), 0));
    assert_eq!(needs(&heartbeat), WriteId(2));
    server.sync_one();
    assert_eq!(server.node.durable_index(), Index(3));
    assert_eq!(terms(&server.disk.log), [1, 2, 2]);
}

/// The same for a leader that counts itself: its entries are not those that were durable before.
#[test]
fn a_new_leader_counts_no_durable_entries_of_a_log_that_was_truncated() {
    let mut server = server(&[1, 1, 1]);
    server.receive(2, 2, append(entry(1, 1), &[2], 0));
    server.now = server.node.election_deadline().0;
    server.be_candidate(&[3]);
    server.receive(2, 3, vote(true));
    server.receive(3, 3, vote(true));
    assert!(server.node.is_leader(), "two others are a majority without its own vote");
    assert_eq!((server.terms(), server.node.durable_index()), (vec![1, 2, 3], Index(1)));
    server.receive(3, 3, accepted(3));
    assert_eq!(server.commit(), 0);
    server.sync();
    assert_eq!(server.commit(), 3);
}

/// Writes are one FIFO: their numbers follow each other, and nothing is written for nothing.
#[test]
fn writes_are_numbered_one_after_the_other_and_only_changes_are_written() {
    let mut server = server(&[]);
    let mut ids = Vec::new();
    for (term, body) in [
        (1, request_vote(entry(0, 0))),
        (1, request_vote(entry(0, 0))),
        (1, append(entry(0, 0), &[1], 0)),
        (1, append(entry(0, 0), &[1], 1)),
        (2, append(entry(1, 1), &[2], 1)),
    ] {
        ids.push(server.receive(2, term, body).persist.map(|persist| persist.id.0));
    }
    assert_eq!(ids, [Some(1), None, Some(2), None, Some(3)]);
}

/// The gate keeps what waits in order, and lets the rest pass.
#[test]
fn the_gate_holds_a_message_until_its_write_is_durable() {
    let mut gate = Gate::default();
    assert_eq!(gate.pass(WriteId::NONE, "term"), Some("term"));
    assert_eq!(gate.pass(WriteId(2), "ack"), None);
    assert_eq!(gate.pass(WriteId(1), "vote"), None);
    assert_eq!(gate.pass(WriteId(2), "ack 2"), None);
    assert_eq!(gate.persisted(WriteId(1)), ["vote"]);
    assert_eq!(gate.held().count(), 2);
    assert_eq!(gate.persisted(WriteId(3)), ["ack", "ack 2"]);
    assert_eq!(gate.persisted(WriteId(1)), [""; 0]);
    assert_eq!(gate.pass(WriteId(3), "more"), Some("more"));
}

/// Thesis §3.8: a cluster of which every server restarts has everything that was committed.
#[test]
fn a_cluster_that_restarts_keeps_what_it_committed() {
    let mut cluster = Cluster::new(3, params());
    cluster.elect();
    (0..5).for_each(|_| cluster.propose());
    let now = cluster.now;
    for id in cluster.ids() {
        let draw = cluster.at(id).draw;
        cluster.at(id).crash(now);
        cluster.at(id).draw = draw;
    }
    assert_eq!(cluster.leader(), None);
    let leader = cluster.elect();
    assert_eq!(cluster.at(leader).terms(), [1, 1, 1, 1, 1, 1, 2]);
    assert_eq!(cluster.at(leader).commit(), 7);
}

/// Both followers' disks hang, and everyone hears everyone: the leader stays, and commits nothing.
#[test]
fn a_quorum_of_stalled_disks_does_not_depose_a_leader_that_everyone_hears() {
    let mut leader = Setup::default().lead(&[2]);
    let term = leader.term();
    let start = leader.now;
    let follower = |id| Setup { id, term, ..Setup::default() }.start();
    let mut followers = [follower(2), follower(3)];
    leader.step(Input::Propose { count: 1 });
    leader.sync();
    while leader.now < start + 5 * E {
        let next = leader.now + HEARTBEAT;
        leader.tick_at(next);
        for follower in &mut followers {
            let id = follower.node.id().0;
            let Some(request) = leader.poll(id) else { continue };
            follower.now = leader.now;
            let effects = follower.receive(1, term, request.message.body);
            // Nothing is ever reported durable, so only these leave.
            for reply in effects.send.into_iter().filter(|reply| reply.needs == WriteId::NONE) {
                leader.receive(id, term, reply.message.body);
            }
        }
    }
    assert_eq!((leader.role(), leader.term(), leader.commit()), (RoleName::Leader, term, 0));
    assert!(
        followers.iter().all(|follower| follower.node.log().last() == leader.node.log().last())
    );
}
