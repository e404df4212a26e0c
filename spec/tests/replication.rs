//! Replication: what a follower takes, and when a leader commits (thesis §3.5, §3.6).
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::cluster::Cluster;
use crate::common::*;
use quorate_spec::{
    AppendOutcome, Body, Configuration, Effects, EntryId, Fatal, Index, Input, Params, Proposed,
    Refusal, RoleName, Term,
};

/// n1 in `term`, with entries of these terms.
fn follower(term: u64, log: &[u64]) -> Server {
    Setup { term, log: log.to_vec(), ..Setup::default() }.start()
}

/// What the follower answers.
fn outcome(server: &mut Server, term: u64, body: Body) -> Body {
    server.answer(2, term, body).body
}

/// Thesis §3.5: new entries follow an entry that both logs have.
#[test]
fn entries_that_follow_a_matching_entry_are_appended() {
    let mut server = follower(2, &[1, 1]);
    assert_eq!(outcome(&mut server, 2, append(entry(2, 1), &[1, 2, 2], 0)), accepted(5));
    assert_eq!(server.terms(), [1, 1, 1, 2, 2]);
    assert_eq!(server.node.leader(), Some(n(2)));
}

/// Thesis §3.5, the consistency check: same index and same term, or nothing is taken.
#[test]
fn entries_after_an_entry_that_is_missing_or_different_are_refused() {
    for prev in [entry(3, 1), entry(2, 2), entry(9, 2)] {
        let mut server = follower(2, &[1, 1]);
        let answer = outcome(&mut server, 2, append(prev, &[2], 9));
        assert!(matches!(answer, Body::AppendEntriesReply(AppendOutcome::Conflict { .. })));
        assert_eq!((server.terms(), server.commit()), (vec![1, 1], 0), "{prev:?}");
    }
}

/// Thesis §3.5: a conflicting entry goes, and all that follow it; what agrees stays.
#[test]
fn a_conflict_removes_the_entry_and_all_that_follow_it() {
    let mut server = follower(3, &[1, 1, 2, 2, 2]);
    assert_eq!(outcome(&mut server, 3, append(entry(1, 1), &[1, 2, 3], 0)), accepted(4));
    assert_eq!(server.terms(), [1, 1, 2, 3]);
    let write = server.writes.back().unwrap().write.log.clone().unwrap();
    assert_eq!((write.keep, write.entries), (Index(3), entries(3, &[3])), "no more than differs");
}

/// Bug C1: what is missing from a request is no conflict.
#[test]
fn a_stale_shorter_append_entries_truncates_nothing() {
    let mut server = follower(2, &[]);
    server.receive(2, 2, append(entry(0, 0), &[1, 1, 2, 2], 0));
    let log = server.node.log().clone();
    for stale in [append(entry(0, 0), &[1], 0), append(entry(1, 1), &[1], 0)] {
        let effects = server.receive(2, 2, stale);
        assert_eq!((&effects.persist, server.node.log()), (&None, &log));
    }
    let effects = server.receive(2, 2, heartbeat(entry(2, 1), 0));
    assert_eq!((&effects.persist, server.node.log()), (&None, &log), "nor by a heartbeat");
}

/// Bug C7: the rest of the log may be somebody else's.
#[test]
fn an_acknowledgement_covers_what_the_request_validated_and_no_more() {
    let mut server = follower(2, &[1, 1, 1, 1]);
    assert_eq!(outcome(&mut server, 2, append(entry(1, 1), &[1], 0)), accepted(2));
    assert_eq!(outcome(&mut server, 2, heartbeat(entry(3, 1), 0)), accepted(3));
}

/// Bug C2: the commit index goes no further than what the request validated.
#[test]
fn a_follower_commits_no_further_than_the_request_validated() {
    let mut server = follower(2, &[1, 1, 1, 1]);
    let effects = server.receive(2, 2, append(entry(1, 1), &[1], 4));
    assert_eq!((server.commit(), effects.commit), (2, Some(Index(2))));
    server.receive(2, 2, heartbeat(entry(3, 1), 9));
    assert_eq!(server.commit(), 3);
}

/// Thesis §3.5: `min(leaderCommit, index of the last new entry)`.
#[test]
fn a_follower_commits_no_further_than_the_leader() {
    let mut server = follower(2, &[]);
    server.receive(2, 2, append(entry(0, 0), &[1, 1, 1], 1));
    assert_eq!(server.commit(), 1);
}

/// Bug C4: an old message takes nothing back.
#[test]
fn the_commit_index_never_falls() {
    let mut server = follower(2, &[1, 1, 1]);
    server.receive(2, 2, heartbeat(entry(3, 1), 3));
    let effects = server.receive(2, 2, heartbeat(entry(3, 1), 1));
    assert_eq!((server.commit(), effects.commit), (3, None));
    server.receive(2, 2, heartbeat(entry(1, 1), 3));
    assert_eq!(server.commit(), 3);
}

/// Bug C14: contradicting a committed entry is a safety violation; nothing is overwritten.
#[test]
fn a_committed_entry_is_never_overwritten() {
    let mut server = follower(3, &[1, 1, 2]);
    server.receive(2, 3, heartbeat(entry(3, 2), 2));
    let log = server.node.log().clone();
    let effects = server.receive(2, 3, append(entry(1, 1), &[3], 0));
    assert_eq!(effects.fatal, Some(Fatal::CommittedConflict(Index(2))));
    assert_eq!((server.node.log(), effects.send.len(), effects.persist), (&log, 0, None));
}

/// Thesis §3.5: a message contradicting itself is refused; nobody is followed for it.
#[test]
fn malformed_entries_are_refused_without_effect() {
    for terms in [&[3][..], &[2, 1], &[1]] {
        let mut server = follower(2, &[1, 1, 2]);
        let before = server.node.clone();
        let effects = server.receive(2, 2, append(entry(3, 2), terms, 9));
        assert_eq!((effects.refused, effects.send), (vec![Refusal::Malformed], vec![]));
        assert_eq!(server.node, before, "entries of terms {terms:?} after an entry of term 2");
    }
}

/// Thesis §3.3; bug B3: the sender of a stale request learns the present term.
#[test]
fn an_append_entries_of_a_past_term_is_answered_with_the_present_term() {
    let mut server = follower(5, &[1]);
    let answer = server.answer(2, 4, append(entry(1, 1), &[4], 1));
    assert_eq!((answer.term, answer.body), (Term(5), stale()));
    assert_eq!((server.terms(), server.commit(), server.node.leader()), (vec![1], 0, None));
}

/// Rule J4, bug E7: the configuration in force follows the log, truncated or not.
#[test]
fn the_latest_configuration_in_the_log_is_in_force_and_truncation_reinstates_the_previous_one() {
    let mut server = follower(1, &[1]);
    let mut with_configuration = entries(1, &[1, 1]);
    with_configuration.configurations.push((Index(2), joint(&[1, 2, 3], &[1, 4])));
    let (prev, leader_commit) = (entry(1, 1), Index(0));
    let body = Body::AppendEntries { prev, entries: with_configuration, leader_commit };
    server.receive(2, 1, body);
    assert_eq!(server.node.log().configuration(), &joint(&[1, 2, 3], &[1, 4]));
    server.receive(3, 2, append(entry(1, 1), &[2], 0));
    assert_eq!(server.node.log().configuration(), &voters(&[1, 2, 3]));
    server.sync();
    assert_eq!(&server.disk.log, server.node.log(), "on disk as well");
}

/// A leader of three in term 2, n2 and n3 following: log 1, 1, and its no-op.
fn leader() -> Server {
    Setup { log: vec![1, 1], ..Setup::default() }.lead(&[2])
}

/// Thesis §3.6.2: committed when a majority has it.
#[test]
fn an_entry_is_committed_once_a_majority_has_it() {
    let mut server = leader();
    assert_eq!((server.terms(), server.commit()), (vec![1, 1, 2], 0));
    let effects = server.receive(3, 2, accepted(3));
    assert_eq!((server.commit(), effects.commit), (3, Some(Index(3))));
    assert_eq!(effects.publish.unwrap().commit_index, Index(3));
}

/// Bug D4: half of an even cluster is no majority.
#[test]
fn in_a_cluster_of_four_an_entry_needs_three_copies() {
    let configuration = voters(&[1, 2, 3, 4]);
    let mut server = Setup { configuration, ..Setup::default() }.lead(&[2, 3]);
    server.receive(2, 1, accepted(1));
    assert_eq!(server.commit(), 0);
    server.receive(4, 1, accepted(1));
    assert_eq!(server.commit(), 1);
}

/// Rules J3, J11: in a joint configuration, a majority of each half.
#[test]
fn in_a_joint_configuration_an_entry_needs_separate_majorities() {
    let configuration = joint(&[1, 2, 3], &[1, 4, 5]);
    let setup = Setup { configuration, ..Setup::default() };
    for (acks, commits) in [(&[2, 3][..], 0), (&[4, 5], 0), (&[2, 5], 1)] {
        let mut server = setup.lead(&[2, 4]);
        acks.iter().for_each(|from| drop(server.receive(*from, 1, accepted(1))));
        assert_eq!(server.commit(), commits, "copies on n1 and {acks:?}");
    }
}

/// Rule J12, bug F13: learners receive entries and never count.
#[test]
fn learners_receive_entries_and_never_count() {
    let configuration = Configuration { learners: voters(&[4]).voters, ..voters(&[1, 2, 3]) };
    let mut server = Setup { configuration, ..Setup::default() }.lead(&[2]);
    assert_eq!(server.poll_append(4), Some((entry(0, 0), vec![1], 0)));
    server.receive(4, 1, accepted(1));
    assert_eq!((server.progress(4).match_index, server.commit()), (Index(1), 0));
    let effects = server.receive(9, 1, accepted(1));
    assert!(refused(&effects, Refusal::NotAPeer), "nor do strangers");
    assert_eq!(server.commit(), 0);
}

/// Thesis §3.6.2, figure 3.7 (bugs D1, D2): entries of earlier terms are not committed by counting.
#[test]
fn a_leader_commits_an_entry_of_an_earlier_term_only_with_one_of_its_own() {
    let mut server = leader();
    let effects = server.receive(3, 2, accepted(2));
    assert!(refused(&effects, Refusal::EarlierTerm));
    assert_eq!(server.commit(), 0);
    server.receive(3, 2, accepted(3));
    assert_eq!(server.commit(), 3, "and then all before it");
}

/// Bug D3: the search for the commit index is not stopped by entries of earlier terms.
#[test]
fn a_long_log_of_earlier_terms_does_not_keep_a_leader_from_committing() {
    let mut server = Setup { log: vec![1, 2, 3, 4, 5], ..Setup::default() }.lead(&[2]);
    server.receive(2, 6, accepted(6));
    assert_eq!(server.commit(), 6);
}

/// Bug C5: acknowledgements that come late, twice or from another term take nothing back.
#[test]
fn the_match_index_never_falls_and_answers_of_other_terms_do_not_count() {
    let mut server = leader();
    server.step(Input::Propose { count: 2 });
    server.receive(3, 2, accepted(5));
    server.receive(3, 2, accepted(3));
    assert_eq!(server.progress(3).match_index, Index(5));
    let effects = server.receive(2, 1, accepted(5));
    let stale = Refusal::StaleTerm { message: Term(1), current: Term(2) };
    assert!(refused(&effects, stale));
    assert_eq!(server.progress(2).match_index, Index(0));
}

/// An acknowledgement of what was never sent is no acknowledgement.
#[test]
fn an_acknowledgement_beyond_the_log_is_refused() {
    let mut server = leader();
    let effects = server.receive(3, 2, accepted(4));
    assert!(refused(&effects, Refusal::Malformed));
    assert_eq!((server.progress(3).match_index, server.commit()), (Index(0), 0));
}

/// Claim ElectionSafety: there is no other leader in its term, so whoever says so is broken.
#[test]
fn a_leader_takes_no_entries_in_its_own_term() {
    let mut server = leader();
    let effects = server.receive(3, 2, append(entry(1, 1), &[2, 2], 0));
    assert_eq!((effects.refused, effects.send), (vec![Refusal::Malformed], vec![]));
    assert_eq!((server.role(), server.terms()), (RoleName::Leader, vec![1, 1, 2]));
}

/// Thesis §3.5: clients are told who leads; a leader names the entries.
#[test]
fn only_a_leader_takes_proposals_and_it_names_the_entries() {
    let mut server = leader();
    let effects = server.step(Input::Propose { count: 3 });
    assert_eq!(effects.proposed, Some(Proposed { first: entry(4, 2), count: 3 }));
    assert_eq!(server.terms(), [1, 1, 2, 2, 2, 2]);
    assert!(refused(&server.step(Input::Propose { count: 0 }), Refusal::Malformed));
    let mut other = follower(2, &[1]);
    let propose = |server: &mut Server| -> Effects { server.step(Input::Propose { count: 1 }) };
    assert_eq!(propose(&mut other).refused, [Refusal::NotLeader { leader: None }]);
    other.hear_leader(3, 2);
    assert_eq!(propose(&mut other).refused, [Refusal::NotLeader { leader: Some(n(3)) }]);
    assert_eq!(other.terms(), [1]);
}

/// Thesis §3.5: a leader that hears of a later term is one no more.
#[test]
fn a_leader_steps_down_when_a_follower_answers_from_a_later_term() {
    let mut server = leader();
    let effects = server.receive(3, 7, stale());
    assert_eq!((server.role(), server.term()), (RoleName::Follower, 7));
    let view = effects.publish.unwrap();
    assert_eq!((view.term, view.leader), (Term(7), None), "readers learn it");
}

/// How many requests it takes until a follower with the log `theirs` has that of a leader.
fn requests_until_agreement(ours: &[u64], theirs: &[u64]) -> u64 {
    let term = *ours.iter().chain(theirs).max().unwrap();
    let mut cluster = Cluster::with_logs(
        params(),
        &[(term, ours.to_vec()), (term, theirs.to_vec()), (term, Vec::new())],
    );
    cluster.isolate(2);
    cluster.time_out(1);
    assert_eq!(cluster.leader(), Some(1));
    cluster.at(2).now = cluster.now;
    cluster.at(1).now = cluster.now + HEARTBEAT;
    let requests = cluster.round_trips(1, 2);
    let logs: Vec<_> = [1, 2].map(|id| cluster.at(id).terms()).into();
    assert_eq!(logs[0], logs[1]);
    requests
}

fn runs(runs: &[(u64, usize)]) -> Vec<u64> {
    runs.iter().flat_map(|(term, count)| vec![*term; *count]).collect()
}

/// Thesis §3.5: "… one AppendEntries RPC will be required for each term with conflicting entries".
#[test]
fn conflict_hints_find_the_agreement_in_a_request_a_term_and_not_one_an_entry() {
    let long = runs(&[(1, 500), (4, 500)]);
    assert_eq!(requests_until_agreement(&long, &long), 1, "the same log");
    assert_eq!(requests_until_agreement(&long, &[]), 2, "an empty log");
    assert_eq!(requests_until_agreement(&long, &runs(&[(1, 200)])), 2, "a shorter log");
    let other = runs(&[(1, 100), (2, 300), (3, 600)]);
    assert_eq!(requests_until_agreement(&long, &other), 3, "two terms that the leader lacks");
    let interleaved = runs(&[(1, 10), (3, 90), (5, 90), (7, 90), (9, 1)]);
    let leaders = runs(&[(1, 10), (2, 90), (4, 90), (6, 90), (8, 90), (10, 1)]);
    let requests = requests_until_agreement(&leaders, &interleaved);
    assert_eq!(requests, 1 + 4 + 1, "the first, one for each of four conflicting terms, the last");
}

/// Thesis §3.5: a leader begins with its own end, and backs up to where the logs agree.
#[test]
fn a_leader_probes_from_the_end_of_its_log_and_backs_up_on_a_conflict() {
    let mut server = Setup { log: vec![1, 1, 3, 3], ..Setup::default() }.lead(&[2]);
    assert_eq!(server.poll_append(3), Some((entry(4, 3), vec![4], 0)));
    server.receive(3, 4, conflict(4, entry(4, 2)));
    assert_eq!(server.poll_append(3), Some((entry(2, 1), vec![3, 3, 4], 0)), "at once");
    server.receive(3, 4, conflict(2, entry(0, 0)));
    assert_eq!(server.poll_append(3), Some((EntryId::ZERO, vec![1, 1, 3, 3, 4], 0)));
}

/// Thesis figure 3.7 as a run: an entry of term 2 on a majority is overwritten by one of term 3.
#[test]
fn the_entry_of_figure_3_7_is_overwritten_though_a_majority_had_it() {
    let logs = [(4, vec![1, 2]), (4, vec![1, 2]), (4, vec![1]), (4, vec![1]), (4, vec![1, 3])];
    let mut cluster = Cluster::with_logs(params(), &logs);
    cluster.cut.extend([(5, 1), (1, 5)]);
    cluster.time_out(1);
    assert_eq!((cluster.leader(), cluster.at(1).term()), (Some(1), 5));
    assert_eq!(cluster.at(1).commit(), 3, "S1 commits with an entry of its own term");
    let mut cluster = Cluster::with_logs(params(), &logs);
    cluster.cut.extend([(1, 5), (5, 1), (2, 5), (5, 2)]);
    cluster.time_out(5);
    assert_eq!((cluster.leader(), cluster.at(5).term()), (Some(5), 5));
    cluster.heal();
    cluster.run(2 * HEARTBEAT);
    for id in cluster.ids() {
        assert_eq!((cluster.at(id).terms(), cluster.at(id).commit()), (vec![1, 3, 5], 3));
    }
}

/// Thesis §3.5: "the leader retries until all followers eventually store all log entries".
#[test]
fn followers_that_missed_entries_get_them_when_they_come_back() {
    let mut cluster = Cluster::new(3, params());
    let leader = cluster.elect();
    let other = cluster.ids().into_iter().find(|id| *id != leader).unwrap();
    cluster.isolate(other);
    (0..50).for_each(|_| cluster.propose());
    assert_eq!(cluster.at(leader).commit(), 51);
    cluster.heal();
    cluster.run(2 * HEARTBEAT);
    let server = cluster.at(other);
    assert_eq!((server.terms().len(), server.commit()), (51, 51));
}

/// A leader that cannot commit takes no more than it may.
#[test]
fn proposals_beyond_the_bound_are_refused_until_entries_are_committed() {
    let params = Params { max_uncommitted: 3, ..params() };
    let mut server = Setup { params, ..Setup::default() }.lead(&[2]);
    let uncommitted = server.node.log().last().index.0;
    let propose = |server: &mut Server, count| server.step(Input::Propose { count });
    let over = propose(&mut server, 4 - uncommitted);
    let refusal = Refusal::Overloaded { uncommitted, limit: 3 };
    assert_eq!((over.proposed, over.refused), (None, vec![refusal]));
    assert!(propose(&mut server, 3 - uncommitted).proposed.is_some());
    assert!(propose(&mut server, 1).proposed.is_none());
    server.sync();
    let term = server.node.current_term().0;
    server.receive(2, term, accepted(2));
    assert_eq!(server.node.commit_index(), Index(2));
    assert!(propose(&mut server, 2).proposed.is_some());
    assert!(propose(&mut server, 1).proposed.is_none());
}
