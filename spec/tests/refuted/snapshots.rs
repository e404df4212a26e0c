//! Claims about snapshots, disks and restarts, refuted.

use quorate_spec::log::Run;
use quorate_spec::property::cluster::snapshot_committed;
use quorate_spec::property::history::{Event, History};
use quorate_spec::property::restart::{durable_index_sound, restart_recovers};
use quorate_spec::property::step::{broken_by_restart, broken_by_step};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{
    Configuration, Durable, Entries, Index, Input, Instant, Log, Moment, Node, Protocol, Snapshot,
    Sound, Term,
};

use crate::common::*;
use crate::{Case, committed, durable, follower, leap, log, where_it};

/// A log of entries of these terms after a snapshot.
fn log_after(base: (u64, u64), terms: &[u64]) -> Log {
    let (last, configuration) = (entry(base.0, base.1), voters(&[1, 2, 3]));
    let mut log = Log::from_snapshot(Snapshot::new(last, configuration));
    log.append(&entries(base.0, terms));
    log
}

/// A server that starts with this log.
fn with_log(log: Log) -> Server {
    let mut disk = durable(3, None, &[]);
    disk.log = log;
    let mut server = Server::start(1, disk, params(), 0);
    server.now = E;
    server
}

/// Entry 2 was committed in term 1, after which its cluster was of these.
fn committed_at_two(log: &Log, members: Option<&[u64]>) -> ClaimSet {
    let mut history = History::default();
    history.observe(&committed(entry(2, 1), 1));
    if let Some(members) = members {
        history.observe(&Event::Configured { index: Index(2), configuration: voters(members) });
    }
    let holds = snapshot_committed(&history, &voters(&[1, 2, 3]), log);
    where_it(Claim::SnapshotCommitted, holds)
}

/// Another entry at the index, and one that nobody has committed.
pub(crate) fn snapshot_of_another_entry() -> Case {
    let with = |base| committed_at_two(&log_after(base, &[]), None);
    assert!(with((3, 1)).contains(Claim::SnapshotCommitted), "nobody has committed entry 3");
    Case { near: with((2, 1)), refuted: with((2, 2)) }
}

/// Bug G2 of other systems: the snapshot's members are not those of its last entry.
pub(crate) fn snapshot_of_old_members() -> Case {
    let log = log_after((2, 1), &[]);
    Case {
        near: committed_at_two(&log, Some(&[1, 2, 3])),
        refuted: committed_at_two(&log, Some(&[1, 2])),
    }
}

/// The step that takes a snapshot, and the same backwards.
pub(crate) fn snapshot_shrinks() -> Case {
    let mut before = with_log(log(&[1, 1]));
    before.receive(2, 3, heartbeat(entry(2, 1), 2));
    let (mut after, taken) = (before.clone(), Input::SnapshotTaken { index: Index(2) });
    after.step(taken.clone());
    Case { near: leap(&before, &taken, &after), refuted: leap(&after, &taken, &before) }
}

/// What was not reported durable may be lost with a crash.
pub(crate) fn snapshot_lost_at_restart() -> Case {
    let (before, after) = (with_log(log_after((2, 1), &[])), with_log(log(&[1, 1])));
    let with =
        |reported: &Durable| broken_by_restart(&before.node, reported, &after.disk, &after.node);
    let kept = ClaimSet::of(&[Claim::RestartRecovers]);
    let of = |broken: ClaimSet| {
        where_it(Claim::SnapshotMonotonic, !broken.contains(Claim::SnapshotMonotonic))
            .union(broken.intersection(kept))
    };
    Case { near: of(with(&after.disk)), refuted: of(with(&before.disk)) }
}

/// What a server is found to be after a step without effect, with this log.
fn with(log: Log) -> ClaimSet {
    let server = with_log(log);
    broken_by_step(&params(), &server.node, &Input::Tick, &server.node)
}

/// Bug G16: the entry after the snapshot is missing; only a run that ends before it shows that.
pub(crate) fn gap_after_the_snapshot() -> Case {
    let ending_at = |last| {
        let mut log = log_after((3, 1), &[]);
        let runs = vec![Run { term: Term(1), last: Index(last) }];
        log.append(&Entries { runs, configurations: Vec::new() });
        with(log)
    };
    Case { near: ending_at(4), refuted: ending_at(3) }
}

pub(crate) fn falling_terms() -> Case {
    Case { near: with(log_after((1, 2), &[2])), refuted: with(log_after((1, 2), &[1])) }
}

/// A crash of this server that leaves this disk, of which `reported` was reported durable.
fn crash(before: &Node, reported: &Durable, recovered: &Durable) -> ClaimSet {
    let protocol = Protocol { rules: Sound, params: params() };
    let moment = Moment { now: Instant(E), draw: 0 };
    let after = protocol.start(before.id(), recovered.clone(), moment);
    let recovers = restart_recovers(before, reported, recovered, &after);
    where_it(Claim::RestartRecovers, recovers)
}

/// Entry 1 is committed and durable, entry 2 is neither.
pub(crate) fn committed_entry_lost() -> Case {
    let mut before = follower(1, &[1]);
    before.receive(2, 1, heartbeat(entry(1, 1), 1));
    before.receive(2, 1, append(entry(1, 1), &[1], 1));
    let reported = before.disk.clone();
    let with = |terms: &[u64]| crash(&before.node, &reported, &durable(1, None, terms));
    Case { near: with(&[1]), refuted: with(&[]) }
}

/// Bug G8: the snapshot is there, and entries of the old log with it.
pub(crate) fn gap_on_the_disk() -> Case {
    let mut before = follower(2, &[1, 1, 1]);
    let members = voters(&[1, 2, 3]);
    before.receive(2, 2, install(entry(2, 2), members));
    let reported = before.disk.clone();
    let with = |terms| {
        let mut disk = durable(2, None, &[]);
        disk.log = log_after((2, 2), terms);
        crash(&before.node, &reported, &disk)
    };
    Case { near: with(&[]), refuted: with(&[1]) }
}

/// Bug H8: writing a snapshot takes term and vote away.
pub(crate) fn vote_lost() -> Case {
    let before = Setup { term: 1, voted_for: Some(2), log: vec![1], ..Setup::default() }.start();
    let with = |term| crash(&before.node, &before.disk, &durable(term, None, &[1]));
    let zero = |term| durable(term, None, &[]);
    assert!(crash(&before.node, &zero(1), &zero(1)).is_empty(), "nothing was known durable");
    Case { near: with(1), refuted: with(0) }
}

fn marks(node: &Node, disk: &Durable) -> ClaimSet {
    where_it(Claim::DurableIndexSound, durable_index_sound(node, disk))
}

pub(crate) fn not_written() -> Case {
    let server = follower(1, &[1, 1]);
    let with = |terms: &[u64]| marks(&server.node, &durable(1, None, terms));
    Case { near: with(&[1, 1]), refuted: with(&[1]) }
}

/// Bug G11: the disk still has the old log where memory has the leader's snapshot.
pub(crate) fn written_differently() -> Case {
    let installed = with_log(log_after((2, 2), &[]));
    let with = |log: Log| {
        let mut disk = durable(2, None, &[]);
        disk.log = log;
        marks(&installed.node, &disk)
    };
    let members = Configuration::of([n(1), n(2), n(3)]);
    let snapshot = Snapshot::new(entry(2, 2), members);
    Case { near: with(Log::from_snapshot(snapshot)), refuted: with(log(&[1, 1])) }
}
