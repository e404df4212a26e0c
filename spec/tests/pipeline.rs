//! How a leader sends: windows, heartbeats, losses (thesis §3.5, §10.2.1), and when a driver has to
//! call again.
#![allow(clippy::unwrap_used, missing_docs)]

use std::cell::RefCell;

use crate::common::*;
use quorate_spec::role::Pace;
use quorate_spec::{Duration, EntryId, Index, Input, Instant, Limit, Params, Room};

/// A leader of three whose window to each peer is `window`; n2 has acknowledged its no-op, n3 has
/// said nothing.
fn leader(window: usize) -> Server {
    let params = Params { max_in_flight: window, ..params() };
    let mut server = Setup { params, ..Setup::default() }.lead(&[2]);
    assert!(server.poll_append(2).is_some());
    server.receive(2, 1, accepted(1));
    server
}

fn propose(server: &mut Server, count: u64) {
    server.step(Input::Propose { count });
    server.sync();
}

/// Thesis §10.2.1: requests follow each other without waiting, up to the window.
#[test]
fn as_many_requests_are_in_flight_as_the_window_allows() {
    let mut server = leader(3);
    propose(&mut server, 10);
    let one = Limit { entries: 1 };
    let sent: Vec<u64> = std::iter::from_fn(|| server.poll_append_up_to(2, one))
        .map(|(prev, ..)| prev.index.0)
        .collect();
    assert_eq!(sent, [1, 2, 3], "one after the other, and no fourth");
    server.receive(2, 1, accepted(3));
    let sent: Vec<u64> = std::iter::from_fn(|| server.poll_append_up_to(2, one))
        .map(|(prev, ..)| prev.index.0)
        .collect();
    assert_eq!(sent, [4, 5], "an acknowledgement frees what it covers");
}

/// A full window does not silence a leader: heartbeats keep its followers (bug G20).
#[test]
fn heartbeats_leave_though_the_window_is_full() {
    let mut server = leader(1);
    propose(&mut server, 2);
    assert_eq!(server.poll_append_up_to(2, Limit { entries: 1 }), Some((entry(1, 1), vec![1], 1)));
    assert_eq!(server.poll_append(2), None);
    server.now += HEARTBEAT;
    assert_eq!(server.poll_append(2), Some((entry(2, 1), vec![], 1)));
}

/// A window of 0 is stop-and-wait.
#[test]
fn without_a_window_a_request_waits_for_the_answer_to_the_one_before() {
    let mut server = leader(0);
    propose(&mut server, 2);
    server.now += HEARTBEAT;
    let one = Limit { entries: 1 };
    assert_eq!(server.poll_append_up_to(2, one), Some((entry(1, 1), vec![1], 1)));
    assert_eq!(server.poll_append_up_to(2, one), None);
    server.receive(2, 1, accepted(2));
    assert_eq!(server.poll_append_up_to(2, one), Some((entry(2, 1), vec![1], 2)), "at once");
}

/// Bug C13: what is sent is contiguous, and no longer than there is room for.
#[test]
fn a_request_holds_the_entries_after_its_prev_up_to_the_limit() {
    let mut server = Setup { log: vec![1, 1, 2, 2, 2, 3], ..Setup::default() }.lead(&[2]);
    server.receive(2, 4, conflict(6, entry(1, 1)));
    let limit = |entries| Limit { entries };
    assert_eq!(server.poll_append_up_to(2, limit(3)), Some((entry(1, 1), vec![1, 2, 2], 0)));
    server.receive(2, 4, accepted(4));
    assert_eq!(server.poll_append_up_to(2, limit(1)), Some((entry(4, 2), vec![2], 0)));
    assert_eq!(server.poll_append_up_to(2, limit(9)), Some((entry(5, 2), vec![3, 4], 0)));
}

/// What a driver is asked for room for.
struct Asked<'a>(&'a RefCell<Vec<Vec<EntryId>>>);

impl Room for Asked<'_> {
    fn fits(&self, entries: &mut dyn Iterator<Item = EntryId>) -> u64 {
        self.0.borrow_mut().push(entries.collect());
        2
    }

    fn fits_snapshot(&self) -> bool {
        true
    }
}

/// A driver reads entries to count their bytes: it is asked about those that could leave now, and is
/// not asked where none can.
#[test]
fn room_is_asked_for_where_entries_can_leave() {
    let mut server = leader(2);
    let asked = RefCell::new(Vec::new());
    let poll = |server: &mut Server| {
        let now = Instant(server.now);
        let sent = server.protocol.poll_transmit(&mut server.node, n(2), now, Asked(&asked));
        (asked.take(), sent.is_some())
    };
    assert_eq!(poll(&mut server), (vec![], false), "there is nothing new");
    propose(&mut server, 5);
    let from = |first| vec![(first..=6).map(|index| entry(index, 1)).collect::<Vec<_>>()];
    assert_eq!(poll(&mut server), (from(2), true));
    assert_eq!(poll(&mut server), (from(4), true));
    assert_eq!(poll(&mut server), (vec![], false), "the window is full");
    server.now += HEARTBEAT;
    assert_eq!(poll(&mut server), (vec![], true), "a heartbeat takes no room");
    server.receive(2, 1, conflict(5, entry(1, 1)));
    assert_eq!(poll(&mut server), (from(2), true), "probing");
    assert_eq!(poll(&mut server), (vec![], false), "until it answers, or a heartbeat is due");
}

/// A peer without room is still told that its leader lives.
#[test]
fn a_peer_without_room_gets_heartbeats_only() {
    let mut server = leader(16);
    propose(&mut server, 5);
    server.now += HEARTBEAT;
    assert_eq!(server.poll_append_up_to(2, Limit { entries: 0 }), Some((entry(1, 1), vec![], 1)));
    assert_eq!(server.poll_append_up_to(2, Limit { entries: 0 }), None);
    assert_eq!(server.poll_append(2), Some((entry(1, 1), vec![1; 5], 1)));
}

/// Thesis §3.4: heartbeats are sent during idle periods, at the interval and not before.
#[test]
fn a_heartbeat_is_due_an_interval_after_the_last_request() {
    let mut server = leader(16);
    server.now += HEARTBEAT - 1;
    assert_eq!(server.poll_append(2), None);
    server.now += 1;
    assert_eq!(server.poll_append(2), Some((entry(1, 1), vec![], 1)), "with the commit index");
    server.now += HEARTBEAT / 2;
    propose(&mut server, 1);
    assert!(server.poll_append(2).is_some());
    server.now += HEARTBEAT / 2;
    assert_eq!(server.poll_append(2), None, "entries are heartbeats, too");
}

/// Thesis §3.5: whoever does not answer is probed, once an interval and with one request at a time.
#[test]
fn a_silent_follower_is_probed_once_a_heartbeat_interval() {
    let mut server = leader(16);
    propose(&mut server, 3);
    assert_eq!(server.poll_append(3), Some((entry(0, 0), vec![1; 4], 1)));
    propose(&mut server, 1);
    assert_eq!(server.poll_append(3), None);
    server.now += HEARTBEAT;
    assert_eq!(server.poll_append(3), Some((entry(0, 0), vec![1; 5], 1)));
}

/// A lost request is found by the next heartbeat, whose prev is what should have arrived.
#[test]
fn lost_entries_are_sent_again_after_a_heartbeat_finds_the_gap() {
    let mut server = leader(16);
    propose(&mut server, 2);
    assert!(server.poll_append(2).is_some(), "which is lost");
    server.now += HEARTBEAT;
    assert_eq!(server.poll_append(2), Some((entry(3, 1), vec![], 1)));
    server.receive(2, 1, conflict(3, entry(1, 1)));
    assert_eq!(server.poll_append(2), Some((entry(1, 1), vec![1, 1], 1)), "at once");
    server.receive(2, 1, accepted(3));
    assert_eq!((server.poll_append(2), server.commit()), (None, 3));
}

/// A lost acknowledgement is made up for by that of the next heartbeat.
#[test]
fn an_acknowledged_heartbeat_acknowledges_what_came_before_it() {
    let mut server = leader(1);
    propose(&mut server, 1);
    assert!(server.poll_append(2).is_some(), "whose answer is lost");
    server.now += HEARTBEAT;
    assert!(server.poll_append(2).is_some());
    server.receive(2, 1, accepted(2));
    assert_eq!(server.commit(), 2);
    propose(&mut server, 1);
    assert!(server.poll_append(2).is_some(), "the window is free again");
}

/// Bug C9: the conflict of a superseded probe does not move the present one.
#[test]
fn a_late_conflict_of_an_earlier_probe_is_ignored() {
    let mut server = Setup { log: vec![1, 1, 2, 3], ..Setup::default() }.lead(&[2]);
    assert!(server.poll_append(3).is_some());
    server.receive(3, 4, conflict(4, entry(2, 1)));
    assert_eq!(server.poll_append(3), Some((entry(2, 1), vec![2, 3, 4], 0)));
    let before = server.progress(3).clone();
    server.receive(3, 4, conflict(4, entry(2, 1)));
    assert_eq!(server.progress(3), &before, "twice");
    server.receive(3, 4, accepted(5));
    let before = server.progress(3).clone();
    for late in [conflict(2, entry(0, 0)), conflict(4, entry(2, 1))] {
        server.receive(3, 4, late);
        assert_eq!(server.progress(3), &before, "after the agreement");
    }
}

/// Bug C9: not even a live conflict goes back behind what is acknowledged.
#[test]
fn a_conflict_never_takes_the_next_index_behind_the_match_index() {
    let mut server = leader(16);
    propose(&mut server, 4);
    assert!(server.poll_append(2).is_some());
    server.receive(2, 1, accepted(3));
    server.receive(2, 1, conflict(5, entry(0, 0)));
    assert_eq!(server.progress(2).next_index, Index(4));
    assert_eq!(server.progress(2).pace, Pace::Probe);
}

/// What a driver does when a deadline comes: tick, then ask for every peer's requests.
fn drive(server: &mut Server, now: u64) {
    server.tick_at(now);
    server.sync();
    for peer in 1..=9 {
        server.poll_all(peer);
    }
}

/// The driver's contract: after a tick at the deadline and a round of polls the next is later.
fn deadlines_move_on(mut server: Server, rounds: usize) {
    let now = server.now;
    drive(&mut server, now);
    for _ in 0..rounds {
        let deadline = server.next_deadline();
        if deadline == u64::MAX {
            return; // Never.
        }
        assert!(deadline > server.now, "{deadline} is not after {}: {:?}", server.now, server.node);
        drive(&mut server, deadline);
    }
}

/// The driver never turns in circles, whatever the role, with everybody else dead.
#[test]
fn the_next_deadline_is_always_later_than_the_last() {
    let setup = Setup { configuration: voters(&[1, 2, 3, 4, 5]), ..Setup::default() };
    deadlines_move_on(setup.restart(), 100);
    deadlines_move_on(setup.start(), 100);
    deadlines_move_on(setup.lead(&[2, 3]), 100);
    let mut candidate = setup.start();
    candidate.be_candidate(&[2, 3]);
    deadlines_move_on(candidate, 100);
    deadlines_move_on(Setup { id: 9, ..setup.clone() }.start(), 100);
    let alone = Setup { configuration: voters(&[1]), ..Setup::default() };
    deadlines_move_on(alone.start(), 100);
    deadlines_move_on(Setup { params: params().naive(), ..setup.clone() }.start(), 100);
    let deaf = Params { check_quorum: false, ..params() };
    deadlines_move_on(Setup { params: deaf, ..setup.clone() }.lead(&[2, 3]), 100);
    let minimal = Params { election_jitter: Duration(1), max_in_flight: 0, ..params() };
    deadlines_move_on(Setup { params: minimal, ..setup }.lead(&[2, 3]), 100);
}

/// With the answers of one of two peers a leader stays, and is called again once an interval.
#[test]
fn a_leader_with_one_dead_peer_is_called_once_a_heartbeat_interval() {
    let mut server = leader(16);
    let (start, mut calls) = (server.now, 0);
    while server.now < start + 10 * E {
        let deadline = server.next_deadline().max(server.now);
        drive(&mut server, deadline);
        server.receive(2, 1, accepted(1));
        calls += 1;
    }
    assert!(server.node.is_leader());
    assert!(calls <= 10 * E / HEARTBEAT + 1, "{calls} calls");
}

/// A server that leads alone has nothing to wait for.
#[test]
fn a_single_server_that_leads_has_no_deadline() {
    let server = Setup { configuration: voters(&[1]), ..Setup::default() };
    let mut server = server.start();
    server.time_out();
    server.sync();
    assert!(server.node.is_leader());
    assert_eq!(server.next_deadline(), u64::MAX);
}
