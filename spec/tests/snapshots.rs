//! Snapshots: taking, sending and installing them (thesis §5.1, §5.3, rules S1 to S12).
#![allow(missing_docs)]

use crate::common::*;
use quorate_spec::durable::SnapshotWrite;
use quorate_spec::log::Run;
use quorate_spec::role::Pace;
use quorate_spec::{
    Body, Configuration, Effects, Entries, EntryId, Fatal, Index, Input, Limit, Log, Refusal,
    RoleName, Snapshot, Term,
};

fn three() -> Configuration {
    voters(&[1, 2, 3])
}

fn taken(index: u64) -> Input {
    Input::SnapshotTaken { index: Index(index) }
}

/// Follows n2 in this term, with a log of these terms that is committed up to here.
fn follower(term: u64, log: &[u64], committed: u64) -> Server {
    let mut server = Setup { term, log: log.to_vec(), ..Setup::default() }.start();
    let last = server.node.log().last();
    server.receive(2, term, heartbeat(last, committed));
    assert_eq!(server.commit(), committed);
    server
}

/// Leads term 3 with four entries of its own and before, all committed and known to n2 alone.
fn leader() -> Server {
    let mut server = Setup { term: 2, log: vec![1, 1, 2], ..Setup::default() }.lead(&[2]);
    server.receive(2, 3, accepted(4));
    assert_eq!((server.terms(), server.commit()), (vec![1, 1, 2, 3], 4));
    server
}

/// A leader of term 3 whose snapshot covers so many of its four entries.
fn compacted(index: u64) -> Server {
    let mut server = leader();
    server.step(taken(index));
    server.sync();
    server
}

/// n3 says that it has nothing, unless it needs a snapshot anyway.
fn lacks_everything(server: &mut Server) {
    let next = server.progress(3).next_index.0;
    if next > base(server).index.0 {
        server.poll(3);
        server.receive(3, 3, conflict(next - 1, entry(0, 0)));
    }
}

fn base(server: &Server) -> EntryId {
    server.node.log().base()
}

fn snapshot(last: EntryId) -> Snapshot {
    Snapshot::new(last, three())
}

fn sent_snapshot(server: &mut Server, peer: u64) -> Option<Snapshot> {
    match server.poll(peer)?.message.body {
        Body::InstallSnapshot { snapshot } => Some(snapshot),
        body => panic!("not a snapshot: {body:?}"),
    }
}

fn refusal_of(effects: &Effects) -> Refusal {
    assert_eq!((effects.refused.len(), &effects.persist), (1, &None), "{effects:?}");
    effects.refused[0]
}

/// Thesis §5.1: "it discards all log entries up through that index"; what follows stays.
#[test]
fn a_snapshot_takes_the_place_of_what_it_covers() {
    let mut server = follower(2, &[1, 1, 2, 2], 3);
    let effects = server.step(taken(2));
    assert_eq!((base(&server), server.terms()), (entry(2, 1), vec![2, 2]));
    assert_eq!(server.node.log().last(), entry(4, 2));
    let write = effects.persist.expect("a write").write;
    assert_eq!(write.snapshot, Some(SnapshotWrite::Compact(snapshot(entry(2, 1)))));
    assert_eq!((write.hard_state, write.log), (None, None), "bug H8: term and vote stay");
    server.sync();
    assert_eq!(&server.disk.log, server.node.log());
}

/// Rule S1: only committed entries, and the boundary counts as one (bug G16).
#[test]
fn a_snapshot_covers_committed_entries_only() {
    let mut server = follower(1, &[1, 1, 1], 2);
    assert_eq!(refusal_of(&server.step(taken(3))), Refusal::NotCommitted);
    assert_eq!(base(&server), EntryId::ZERO);
    server.step(taken(2));
    assert_eq!(base(&server), entry(2, 1));
}

/// Rule S1: the configuration is the one in force at the last entry, its joint half included, and
/// not a later one.
#[test]
fn a_snapshot_carries_the_configuration_in_force_at_its_last_entry() {
    let mut server = follower(1, &[], 0);
    let both = joint(&[1, 2, 3], &[1, 2, 4]);
    let runs = vec![Run { term: Term(1), last: Index(4) }];
    let configurations = vec![(Index(2), both.clone()), (Index(4), voters(&[1, 2, 4]))];
    let entries = Entries { runs, configurations };
    let body = Body::AppendEntries { prev: EntryId::ZERO, entries, leader_commit: Index(4) };
    server.receive(2, 1, body);
    for (index, expected) in [(1, three()), (2, both.clone()), (3, both), (4, voters(&[1, 2, 4]))] {
        server.step(taken(index));
        assert_eq!(server.node.log().snapshot().configuration, Box::new(expected));
        assert_eq!(server.node.log().configuration(), &voters(&[1, 2, 4]), "in force: the latest");
    }
}

/// Rule S2, bug G7: an old snapshot is not installed, and the leader hears how far the server is.
#[test]
fn a_snapshot_that_covers_nothing_new_is_answered_with_the_commit_index() {
    let mut server = follower(2, &[1, 1, 2], 2);
    for last in [entry(1, 1), entry(2, 1)] {
        assert_eq!(server.answer(2, 2, install(last, three())).body, accepted(2));
    }
    assert_eq!((server.terms(), base(&server)), (vec![1, 1, 2], EntryId::ZERO));
    server.step(taken(2));
    let effects = server.receive(2, 2, install(entry(1, 1), three()));
    assert_eq!(effects.refused, [Refusal::SnapshotCovered]);
    assert_eq!((effects.install, base(&server)), (None, entry(2, 1)));
}

/// Rules S2, P2: the commit index is acknowledged as far as it is durable.
#[test]
fn even_an_old_snapshot_is_acknowledged_only_for_what_is_durable() {
    let mut server = follower(1, &[], 0);
    server.sync();
    server.receive(2, 1, append(entry(0, 0), &[1, 1], 2));
    let effects = server.receive(2, 1, install(entry(1, 1), three()));
    let said: Vec<_> = effects.send.iter().map(|out| (out.needs, &out.message.body)).collect();
    let write = server.node.last_write();
    assert_eq!(said, [(quorate_spec::WriteId::NONE, &accepted(0)), (write, &accepted(2))]);
}

/// Bug G9: the same index, another term, and committed: one of the two clusters is not this one.
#[test]
fn a_snapshot_that_contradicts_a_committed_entry_stops_the_server() {
    let mut server = follower(3, &[1, 1], 2);
    let effects = server.receive(2, 3, install(entry(2, 2), three()));
    assert_eq!(effects.fatal, Some(Fatal::CommittedConflict(Index(2))));
    assert!(effects.send.is_empty() && effects.persist.is_none());
    let mut server = follower(3, &[1, 1], 2);
    server.step(taken(2));
    let effects = server.receive(2, 3, install(entry(2, 3), three()));
    assert_eq!(effects.fatal, Some(Fatal::CommittedConflict(Index(2))), "the boundary is known");
}

/// Thesis §5.3, rule S3: "the follower … retains log entries that follow the snapshot".
#[test]
fn a_log_that_has_the_snapshots_last_entry_stays() {
    let mut server = follower(2, &[1, 1, 2, 2], 1);
    let effects = server.receive(2, 2, install(entry(3, 2), three()));
    assert_eq!((effects.persist, effects.install), (None, None));
    assert_eq!((effects.commit, server.terms()), (Some(Index(3)), vec![1, 1, 2, 2]));
    assert_eq!(effects.send[0].message.body, accepted(3));
}

/// Thesis §5.3, rule S3: "the follower discards its entire log; it is all superseded".
#[test]
fn any_other_log_goes_as_a_whole() {
    for log in [&[][..], &[1], &[1, 1, 1, 1]] {
        let mut server = follower(2, log, 0);
        let effects = server.receive(2, 2, install(entry(3, 2), three()));
        assert_eq!((server.terms(), base(&server)), (vec![], entry(3, 2)), "{log:?}");
        assert_eq!(server.node.log(), &Log::from_snapshot(snapshot(entry(3, 2))));
        assert_eq!(
            (effects.install, effects.commit),
            (Some(snapshot(entry(3, 2))), Some(Index(3)))
        );
        let write = effects.persist.expect("a write").write;
        assert_eq!(write.snapshot, Some(SnapshotWrite::Install(snapshot(entry(3, 2)))));
        let reply = effects.send.last().expect("a reply");
        assert_eq!((&reply.message.body, reply.needs), (&accepted(3), server.node.last_write()));
        assert!(effects.send.iter().all(|out| out.message.body != accepted(3) || out == reply));
    }
}

/// Rules S3, P5, bug G11: what was durable of the old log is not durable of the new one.
#[test]
fn an_install_takes_the_durable_mark_down_in_the_same_step() {
    let mut server = follower(2, &[1, 1, 1], 1);
    server.sync();
    server.receive(2, 2, append(entry(3, 1), &[2], 1));
    let behind = server.writes[0].id;
    server.receive(2, 2, install(entry(3, 2), three()));
    assert_eq!(server.node.durable_index(), Index(1), "what was committed is in both");
    server.sync_one();
    assert_eq!((server.node.durable_index(), behind), (Index(1), quorate_spec::WriteId(1)));
    server.sync_one();
    assert_eq!(server.node.durable_index(), Index(3));
}

/// Rule S4: the configuration in force is the snapshot's, until a later entry has another.
#[test]
fn the_configuration_in_force_comes_from_what_is_left() {
    let mut server = follower(2, &[1], 0);
    server.receive(2, 2, install(entry(3, 2), voters(&[1, 2])));
    assert_eq!(server.node.log().configuration(), &voters(&[1, 2]));
    let runs = vec![Run { term: Term(2), last: Index(4) }];
    let entries = Entries { runs, configurations: vec![(Index(4), three())] };
    let prev = entry(3, 2);
    server.receive(2, 2, Body::AppendEntries { prev, entries, leader_commit: Index(3) });
    assert_eq!(server.node.log().configuration(), &three());
    server.receive(2, 2, install(entry(4, 2), voters(&[1])));
    assert_eq!(server.node.log().configuration(), &three(), "bug G2: the log has that entry");
}

/// Rules S5, P8: whatever prefix of the writes a crash keeps, machine and log begin at one place.
#[test]
fn a_crash_before_the_write_recovers_the_snapshot_before() {
    let mut server = follower(1, &[1, 1, 1], 3);
    server.step(taken(2));
    server.crash(5 * E);
    assert_eq!((base(&server), server.terms()), (EntryId::ZERO, vec![1, 1, 1]));
    let mut server = follower(1, &[1, 1, 1], 3);
    server.step(taken(2));
    server.sync();
    server.crash(5 * E);
    assert_eq!((base(&server), server.terms(), server.commit()), (entry(2, 1), vec![1], 2));
}

/// Rule S6, bug G14: the boundary has a term, and what is below it has none.
#[test]
fn the_boundary_has_a_term_and_what_is_below_it_has_none() {
    let mut server = follower(2, &[1, 1, 2], 3);
    server.step(taken(2));
    let log = server.node.log();
    assert_eq!((log.term_at(Index(2)), log.term_at(Index(1))), (Some(Term(1)), None));
    assert_eq!(log.last_possible_match(entry(1, 1)), None);
    server.step(taken(3));
    assert!(!server.votes_for(3, 3, entry(3, 1)), "the up-to-date rule asks the boundary");
    assert_eq!(server.answer(2, 3, heartbeat(entry(3, 2), 3)).body, accepted(3));
}

/// Thesis §3.5, bug C12: what is compacted was committed, and so agrees with the leader.
#[test]
fn entries_from_below_the_boundary_match() {
    let mut server = follower(1, &[1, 1, 1], 3);
    server.step(taken(3));
    server.sync();
    let reply = server.answer(2, 1, append(entry(1, 1), &[1, 1, 1], 3));
    assert_eq!((reply.body, server.terms()), (accepted(4), vec![1]));
}

/// Claim CommittedPrefixStable: the last compacted entry is known, and an honest leader has it.
#[test]
fn entries_that_contradict_the_boundary_stop_the_server() {
    let mut server = follower(3, &[1, 1, 2], 3);
    server.step(taken(3));
    let effects = server.receive(2, 3, append(entry(1, 1), &[1, 1, 3], 3));
    assert_eq!(effects.fatal, Some(Fatal::CommittedConflict(Index(3))));
}

/// Rule S7, bugs G3, G5: exactly where the term of the entry before is gone.
#[test]
fn the_leader_sends_a_snapshot_where_it_no_longer_knows_the_entry_before() {
    for (hint, snapshot_follows) in [(0, true), (1, true), (2, false), (3, false)] {
        let mut server = compacted(2);
        server.poll(3);
        server.receive(3, 3, conflict(3, entry(hint, if hint < 3 { 1 } else { 2 })));
        let request = server.poll(3).expect("a request").message.body;
        let is_snapshot = matches!(request, Body::InstallSnapshot { .. });
        assert_eq!(is_snapshot, snapshot_follows, "after a match at {hint}: {request:?}");
    }
    let mut server = compacted(4);
    lacks_everything(&mut server);
    assert_eq!(sent_snapshot(&mut server, 3), Some(snapshot(entry(4, 3))), "all is compacted");
}

/// Thesis §3.5, rule S6: a log of which only entries of earlier terms can match is behind the
/// snapshot, however long it is.
#[test]
fn a_long_log_of_an_old_term_gets_the_snapshot_too() {
    let mut server = compacted(3);
    server.poll(3);
    server.receive(3, 3, conflict(3, entry(3, 1)));
    assert_eq!(sent_snapshot(&mut server, 3), Some(snapshot(entry(3, 2))));
}

/// Rule S8, bug G6: the term is the message's, not that of the snapshot's last entry.
#[test]
fn what_a_snapshot_contains_changes_neither_term_nor_vote() {
    let mut server = Setup { term: 5, voted_for: Some(3), ..Setup::default() }.start();
    server.receive(2, 5, install(entry(3, 2), three()));
    assert_eq!((server.term(), server.node.voted_for()), (5, Some(n(3))));
}

/// Rule S8, bug G15: the term counts in both directions.
#[test]
fn a_snapshot_message_keeps_the_rule_of_terms() {
    let mut behind = follower(2, &[1], 0);
    behind.receive(3, 4, install(entry(3, 3), three()));
    assert_eq!((behind.term(), behind.node.leader()), (4, Some(n(3))));
    let mut ahead = follower(4, &[1], 0);
    assert_eq!(ahead.answer(3, 2, install(entry(3, 2), three())).body, stale());
    assert_eq!((base(&ahead), ahead.node.leader()), (EntryId::ZERO, Some(n(2))));
    let mut leads = compacted(4);
    leads.receive(3, 5, stale());
    assert_eq!((leads.role(), leads.term()), (RoleName::Follower, 5));
}

/// Rule S8: the snapshot of the present leader is a message of the present leader.
#[test]
fn a_snapshot_is_contact_with_the_leader() {
    let mut server = Setup { term: 2, ..Setup::default() }.start();
    server.receive(2, 2, install(entry(3, 2), three()));
    assert_eq!(server.node.leader(), Some(n(2)));
    assert_eq!(server.node.promised_until().0, server.now + E);
    assert!(!server.votes_for(3, 3, entry(9, 2)), "the promise is in force");
}

/// Rule S9: a report of an older snapshot comes late, or twice.
#[test]
fn a_late_report_changes_nothing() {
    let mut server = follower(1, &[1, 1, 1], 3);
    server.step(taken(2));
    for index in [0, 1, 2] {
        assert_eq!(refusal_of(&server.step(taken(index))), Refusal::SnapshotCovered);
    }
    assert_eq!(base(&server), entry(2, 1));
    let mut server = compacted(4);
    lacks_everything(&mut server);
    server.poll(3);
    let old = Input::SnapshotReported { peer: n(3), index: Index(3) };
    server.step(old);
    assert_eq!(server.progress(3).pace, Pace::Snapshot(Index(4)), "another one is on its way");
}

/// Rule S10, bug G12: an installed snapshot is in force at once, so a server may campaign with it. It counts
/// itself only for what is durable, and a crash makes it a follower again.
#[test]
fn a_server_may_campaign_with_a_snapshot_that_is_not_durable_yet() {
    let mut server = Setup { term: 2, log: vec![1], ..Setup::default() }.start();
    server.receive(2, 2, install(entry(3, 2), three()));
    server.be_candidate(&[2]);
    let request = server.poll(3).expect("a request");
    assert_eq!(request.message.body, request_vote(entry(3, 2)));
    assert_eq!(request.needs, server.node.last_write(), "its vote is written after the snapshot");
}

/// Rule S11, bug G20: heartbeats go on while a snapshot is moved, and their answers are contact.
#[test]
fn heartbeats_go_on_beside_a_snapshot() {
    let mut server = compacted(4);
    lacks_everything(&mut server);
    assert!(sent_snapshot(&mut server, 3).is_some());
    assert_eq!(server.poll(3), None, "one at a time");
    server.now += HEARTBEAT;
    assert_eq!(server.poll_append(3), Some((entry(4, 3), vec![], 4)));
    let before = server.progress(3).clone();
    server.receive(3, 3, conflict(4, entry(0, 0)));
    let after = server.progress(3);
    assert_eq!((&after.pace, after.next_index), (&before.pace, before.next_index));
    assert_eq!(after.last_contact.map(|at| at.0), Some(server.now));
}

/// Where there is no room for a snapshot, heartbeats go on all the same.
#[test]
fn without_room_a_heartbeat_leaves_in_the_snapshots_place() {
    let mut server = compacted(4);
    lacks_everything(&mut server);
    let prev = server.poll_append_up_to(3, Limit { entries: 0 });
    assert_eq!(prev, Some((entry(4, 3), vec![], 4)));
    server.now += HEARTBEAT;
    assert!(sent_snapshot(&mut server, 3).is_some());
}

/// Rule S11, bug G19: any acknowledgement of what the snapshot covers ends the transfer.
#[test]
fn an_acknowledgement_of_the_snapshot_or_of_more_ends_its_transfer() {
    for (acknowledged, moves) in [(0, true), (2, true), (3, false), (4, false)] {
        let mut server = compacted(3);
        lacks_everything(&mut server);
        server.poll(3);
        server.receive(3, 3, accepted(acknowledged));
        let moving = server.progress(3).pace == Pace::Snapshot(Index(3));
        assert_eq!(moving, moves, "after an acknowledgement of {acknowledged}");
    }
    let mut server = compacted(3);
    lacks_everything(&mut server);
    server.poll(3);
    server.receive(3, 3, accepted(3));
    assert_eq!(server.poll_append(3), Some((entry(3, 2), vec![3], 4)), "then entries follow");
}

/// The driver says that the transfer failed: the snapshot is due again with the next request.
#[test]
fn a_lost_snapshot_is_sent_again() {
    let mut server = compacted(4);
    lacks_everything(&mut server);
    server.poll(3);
    server.step(Input::SnapshotReported { peer: n(3), index: Index(4) });
    assert_eq!(server.poll(3), None, "a link that fails at once is not asked again at once");
    server.now += HEARTBEAT;
    assert!(sent_snapshot(&mut server, 3).is_some());
}

/// Rule S12: the log moves on beneath a transfer. The follower then gets the newer snapshot.
#[test]
fn what_a_follower_still_needs_may_be_compacted() {
    let mut server = compacted(2);
    lacks_everything(&mut server);
    assert_eq!(sent_snapshot(&mut server, 3), Some(snapshot(entry(2, 1))));
    server.step(taken(4));
    server.receive(3, 3, accepted(2));
    server.now += HEARTBEAT;
    assert_eq!(sent_snapshot(&mut server, 3), Some(snapshot(entry(4, 3))));
    server.receive(3, 3, accepted(4));
    assert_eq!(server.progress(3).match_index, Index(4));
}

/// A snapshot from outside: what no honest leader says is refused as a whole.
#[test]
fn a_malformed_snapshot_is_refused() {
    let hostile = [
        install(entry(0, 0), three()),
        install(entry(u64::MAX, 1), three()),
        install(entry(5, 3), three()),
        install(entry(5, 1), voters(&[])),
    ];
    for body in hostile {
        let mut server = Setup { term: 2, ..Setup::default() }.start();
        let effects = server.receive(2, 2, body.clone());
        assert_eq!(effects.refused, [Refusal::Malformed], "{body:?}");
        assert_eq!((server.node.leader(), effects.send.len()), (None, 0));
    }
}
