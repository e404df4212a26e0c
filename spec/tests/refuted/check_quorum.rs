//! The claim CheckQuorumSoundness, refuted: whom a leader counts as contact, and its own disk.

use quorate_spec::property::step::{leader_is_heard, leader_writes};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{
    Configuration, Duration, Effects, Index, Input, Instant, Moment, NodeId, Protocol, Refusal,
    Rules, Sound, Term, WriteId,
};

use crate::common::*;
use crate::{Case, broken_rules, candidate, from, leader, leap, where_it, with_and_without};

broken_rules! {
    CountsAnyVote: counts_vote(_a: Term, _b: Term) -> Result<(), Refusal> = Ok(());
    CountsAnyAnswer: counts_answer(_a: Term, _b: Term) -> Result<(), Refusal> = Ok(());
    WaitsTwiceAsLong: keeps_leading(now: Instant, contact: Option<Instant>, e: Duration) -> bool =
        contact.is_some_and(|at| !now.is_past(at, Duration(2 * e.0)));
    OldMajorityDecides: is_quorum(configuration: &Configuration, has: &dyn Fn(NodeId) -> bool) -> bool =
        2 * configuration.outgoing.iter().filter(|id| has(**id)).count() > configuration.outgoing.len();
    IgnoresItsDisk: disk_keeps_up(_now: Instant, _due_by: Option<Instant>) -> bool = true;
}

/// Bug F13: n3 answered an earlier term's leader.
pub(crate) fn old_answer() -> Case {
    with_and_without(CountsAnyAnswer, &leader(2), &[from(3, 1, accepted(0))])
}

/// Bug A1: what elects it is a vote of an earlier term.
pub(crate) fn old_vote() -> Case {
    with_and_without(CountsAnyVote, &candidate(2), &[from(3, 1, vote(true))])
}

/// A vote of n2 elects a leader that counts n2 as contact, or n3.
pub(crate) fn contact_without_vote() -> Case {
    let elects = from(2, 1, vote(true));
    let with = |voter| leap(&candidate(1), &elects, &Setup::default().lead(&[voter]));
    Case { near: with(2), refuted: with(3) }
}

/// Whether the leader goes by its contacts at this instant, under these rules.
fn tick_unheard(now: u64, server: &Server, rules: impl Rules) -> ClaimSet {
    let params = server.protocol.params;
    let (mut node, moment) = (server.node.clone(), Moment { now: Instant(now), draw: 0 });
    Protocol { rules, params }.step(&mut node, moment, Input::Tick, &mut Effects::default());
    let holds = leader_is_heard(&params, moment.now, &Input::Tick, &server.node, &node);
    where_it(Claim::CheckQuorumSoundness, holds)
}

/// Thesis §6.2: nobody has answered for an election timeout.
pub(crate) fn leads_unheard() -> Case {
    let server = leader(1);
    let due = server.now + E;
    Case {
        near: tick_unheard(due - 1, &server, WaitsTwiceAsLong),
        refuted: tick_unheard(due, &server, WaitsTwiceAsLong),
    }
}

/// Thesis §4.3: the majority of the old voters has answered, that of the new ones has not.
pub(crate) fn leads_with_half_a_quorum() -> Case {
    let configuration = joint(&[1, 2, 3], &[1, 4]);
    let mut server = Setup { configuration, ..Setup::default() }.lead(&[2, 4]);
    let due = server.now + E;
    server.now = due - 1;
    server.receive(2, 1, accepted(0));
    Case {
        near: tick_unheard(due - 1, &server, OldMajorityDecides),
        refuted: tick_unheard(due, &server, OldMajorityDecides),
    }
}

/// Bug H11: the disk owes the leader its command for an election timeout.
pub(crate) fn leads_with_a_stuck_disk() -> Case {
    let mut server = leader(1);
    server.step(Input::Propose { count: 1 });
    let due = server.now + E;
    server.now = due - 1;
    server.receive(2, 1, accepted(1));
    fn tick_at(now: u64, server: &Server, rules: impl Rules) -> ClaimSet {
        let params = server.protocol.params;
        let (mut node, moment) = (server.node.clone(), Moment { now: Instant(now), draw: 0 });
        Protocol { rules, params }.step(&mut node, moment, Input::Tick, &mut Effects::default());
        let holds = leader_writes(&params, moment.now, &Input::Tick, &node);
        where_it(Claim::CheckQuorumSoundness, holds)
    }
    Case { near: tick_at(due, &server, Sound), refuted: tick_at(due, &server, IgnoresItsDisk) }
}

/// It is the oldest write that counts which it owes as a leader, though one is before it that it
/// does not.
pub(crate) fn leads_with_a_disk_that_was_stuck_before() -> Case {
    let snapshot_and_command = |now: u64| {
        let mut server = Setup { log: vec![1], ..Setup::default() }.start();
        server.receive(3, 1, heartbeat(entry(1, 1), 1));
        server.now = server.node.promised_until().0;
        server.be_candidate(&[2]);
        server.sync();
        server.step(Input::SnapshotTaken { index: Index(1) });
        server.receive(2, 2, vote(true));
        let owed = server.node.unwritten();
        assert!(owed[0].due_by.is_none() && owed[1].due_by == Some(Instant(server.now + E)));
        assert_eq!((owed[0].id, owed.len()), (WriteId(2), 2));
        let at = Instant(server.now + now);
        leader_writes(&params(), at, &Input::Tick, &server.node)
    };
    let with = |now| where_it(Claim::CheckQuorumSoundness, snapshot_and_command(now));
    Case { near: with(E - 1), refuted: with(E) }
}
