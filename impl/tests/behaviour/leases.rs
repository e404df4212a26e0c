//! Reads that ask nobody, and when they have to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use quorate::clock::span;
use quorate::{Clock, Handle, Limits, MonotonicClock, ReadLevel, StartError, TransferError};
use quorate_spec::message::Kind;
use quorate_spec::{EntryId, Index, Instant, Lease, NodeId, Params, ParamsError, Refusal};

use tokio::task::JoinHandle;

use crate::lab::{Lab, Recorder, commands, eventually, params, soon};
use crate::solo::{Solo, heartbeat, id};

const PEER: NodeId = NodeId(2);
const OTHER: NodeId = NodeId(3);

fn lease() -> Lease {
    params().lease.expect("the parameters of the tests have one")
}

/// A leader of term 1 with a lease from now on, and the instant at which it ends.
async fn holder() -> (Solo, Instant) {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.lead_by(PEER).await;
    let begun = solo.clock.read();
    let until = begun.after(lease().duration);
    assert_eq!(solo.handle().view().lease_until, Some(until), "from when the request was made");
    (solo, until)
}

/// While the lease is held no peer says a word, so whatever is served was served by the lease.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_with_a_lease_serves_reads_by_itself_until_the_lease_ends() {
    let (mut solo, until) = holder().await;
    for now in [solo.clock.read(), Instant(until.0 - 1)] {
        solo.clock.set(now);
        let read = soon("it is served", solo.handle().read(ReadLevel::Lease)).await;
        assert_eq!(read, Ok(Index(1)));
    }
    // At that very instant it asks a quorum, as it would after a long sleep.
    solo.clock.set(until);
    let read = solo.read(ReadLevel::Lease);
    solo.status("the read waits", |status| status.waiting_reads == 1).await;
    assert!(!read.is_finished());
    let asked = loop {
        let sent = solo.next_to(PEER, Kind::AppendEntries).await;
        if sent.packet.envelope.message.stamp.round > 0 {
            break sent;
        }
    };
    assert_eq!(asked.packet.envelope.message.stamp.sent, Some(until));
    solo.accept(&asked, 1).await;
    assert_eq!(soon("it is served", read).await.expect("no panic"), Ok(Index(1)));
    let renewed = Some(until.after(lease().duration));
    eventually("the answer renews the lease", async || {
        (solo.handle().view().lease_until == renewed).then_some(())
    })
    .await;
    let read = soon("by the new lease", solo.handle().read(ReadLevel::Lease)).await;
    assert_eq!(read, Ok(Index(1)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lease_that_becomes_longer_wakes_nobody_who_follows_the_view() {
    let (mut solo, _) = holder().await;
    let mut view = solo.handle().watch();
    view.mark_unchanged();
    solo.clock.advance(params().heartbeat_interval);
    let now = solo.clock.read();
    let asked = loop {
        let sent = solo.next_to(PEER, Kind::AppendEntries).await;
        if sent.packet.envelope.message.stamp.sent == Some(now) {
            break sent;
        }
    };
    solo.accept(&asked, 1).await;
    let renewed = Some(now.after(lease().duration));
    eventually("the lease is longer", async || {
        (solo.handle().view().lease_until == renewed).then_some(())
    })
    .await;
    assert!(!view.has_changed().expect("the node runs"));
    solo.say(OTHER, 2, heartbeat(id(1, 1)), Vec::new()).await;
    let view = soon("its end wakes them", view.wait_for(|view| view.lease_until.is_none())).await;
    assert_eq!(view.expect("the node runs").leader, Some(OTHER));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_deposed_has_no_lease_though_its_time_goes_on() {
    let (mut solo, _) = holder().await;
    solo.say(OTHER, 2, heartbeat(id(1, 1)), Vec::new()).await;
    let sent = solo.next_to(OTHER, Kind::AppendAccepted).await;
    assert_eq!((sent.view.term.0, sent.view.lease_until), (2, None));
    let read = solo.read(ReadLevel::Lease);
    solo.next_to(OTHER, Kind::ReadIndex).await;
    assert!(!read.is_finished());
}

/// The message that tells another server to campaign may come at any time from then on, so nothing
/// brings the lease of this term back.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_tells_nobody_to_campaign_while_it_shows_a_lease() {
    let (mut solo, _) = holder().await;
    let handle = solo.handle().clone();
    let transfer = tokio::spawn(async move { handle.transfer(PEER).await });
    let sent = solo.next_to(PEER, Kind::TimeoutNow).await;
    assert_eq!(sent.view.lease_until, None);
    let read = solo.read(ReadLevel::Lease);
    solo.status("the read asks a quorum", |status| status.waiting_reads == 1).await;
    assert!(!read.is_finished() && !transfer.is_finished());
    solo.give_up_transfer(OTHER).await;
    let outcome = soon("the transfer is given up", transfer).await.expect("no panic");
    assert_eq!(outcome, Err(TransferError::GivenUp { to: PEER }));
    assert_eq!(soon("it is served", read).await.expect("no panic"), Ok(Index(1)));
    let read = solo.read(ReadLevel::Lease);
    solo.status("that one asks, too", |status| status.waiting_reads == 1).await;
    assert!(!read.is_finished());
    assert_eq!(solo.handle().view().lease_until, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_restarts_within_its_lease_does_not_have_it_any_more() {
    let (solo, _) = holder().await;
    let Solo { node, disk, .. } = solo;
    let before = node.handle().clone();
    node.kill().await;
    assert!(before.read(ReadLevel::Lease).await.is_err());
    let solo = Solo::start_on(disk, params(), Limits::default(), Recorder::default());
    assert_eq!(solo.handle().view().lease_until, None);
    let read = solo.read(ReadLevel::Lease);
    solo.status("the read waits for a leader", |status| status.waiting_reads == 1).await;
    assert!(!read.is_finished());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_leases_in_the_parameters_every_read_asks_a_quorum() {
    let params = Params { lease: None, ..params() };
    let mut solo = Solo::start_with(3, params, Limits::default(), Recorder::default());
    let asked = solo.lead_by(PEER).await;
    assert_eq!(asked.packet.envelope.message.stamp.sent, None);
    assert_eq!(solo.handle().view().lease_until, None);
    let read = solo.read(ReadLevel::Lease);
    solo.status("the read asks a quorum", |status| status.waiting_reads == 1).await;
    assert!(!read.is_finished());
}

#[tokio::test]
async fn a_lease_that_outlasts_a_promise_is_refused_with_the_numbers() {
    let long = Lease { duration: params().election_timeout, ..lease() };
    let refused = Solo::refused(Params { lease: Some(long), ..params() }, true);
    assert!(
        matches!(refused, StartError::Params(ParamsError::LeaseTooLong { longest, .. })
            if longest == lease().duration),
        "{refused}"
    );
    for number in [long.duration, lease().duration, span(Duration::from_millis(1))] {
        assert!(refused.to_string().contains(&number.to_string()), "{refused}");
    }
}

#[tokio::test]
async fn a_clock_that_stands_still_while_the_machine_sleeps_carries_no_lease() {
    assert_eq!(Solo::refused(params(), false), StartError::ClockStops);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_never_misses_a_write_of_the_next_one() {
    let lab = Lab::start(91);
    lab.leader().await;
    let readers = Readers::start(&lab);
    for round in 0..6 {
        let (leader, _) = lab.leader().await;
        readers.know(lab.propose(b"before").await);
        lab.cluster.network().isolate(leader);
        for command in commands(&format!("meanwhile-{round}"), 10) {
            readers.know(lab.propose_to(&lab.others(leader), &command).await);
        }
        // The lease of the one that was cut off has ended, or the others could not have written.
        let now = MonotonicClock::new().now();
        let read = lab.view(leader).lease_read(now);
        assert_eq!(read, Err(Refusal::NoLease), "a quorum promised not to elect another");
        lab.cluster.network().heal();
    }
    readers.end().await;
    lab.finish().await;
}

/// The phantom leader: nothing tells it that it leads no more, for its owner does not even look at
/// the clock. What ends its lease is the clock of whoever reads.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_held_up_in_the_middle_of_a_step_never_misses_a_write_of_the_next_one() {
    let lab = Lab::start(92);
    lab.leader().await;
    let readers = Readers::start(&lab);
    let phantom = async || {
        let (leader, _) = lab.leader().await;
        readers.know(lab.propose(b"before").await);
        lab.frost.hold(Some(leader));
        for command in commands("meanwhile", 20) {
            readers.know(lab.propose_to(&lab.others(leader), &command).await);
        }
        // On a slow machine it may have lost its leadership before it was held up.
        let knows_no_better = lab.view(leader).leader == Some(leader);
        lab.frost.hold(None);
        knows_no_better.then_some(())
    };
    for _ in 0..4 {
        eventually("a leader is held up while the others elect another", phantom).await;
    }
    readers.end().await;
    lab.finish().await;
}

/// Clients that read from every node, again and again, at both levels that promise to see what was
/// acknowledged.
struct Readers {
    known: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
    readers: Vec<JoinHandle<u64>>,
}

impl Readers {
    fn start(lab: &Lab) -> Readers {
        let (known, end) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicBool::new(false)));
        let mut readers = Vec::new();
        for node in (1..=3).map(NodeId) {
            for level in [ReadLevel::Lease, ReadLevel::ReadIndex] {
                let reader = Client {
                    handle: lab.handle(node).clone(),
                    machine: lab.machine(node),
                    level,
                    known: Arc::clone(&known),
                    end: Arc::clone(&end),
                };
                readers.push(tokio::spawn(reader.read_on()));
            }
        }
        Readers { known, end, readers }
    }

    /// From now on everyone knows that this was acknowledged.
    fn know(&self, written: EntryId) {
        self.known.fetch_max(written.index.0, Ordering::SeqCst);
    }

    async fn end(self) {
        self.end.store(true, Ordering::SeqCst);
        for reader in self.readers {
            let served = soon("the readers end", reader).await.expect("no read misses a write");
            assert!(served > 0, "a reader that read nothing has shown nothing");
        }
    }
}

/// A client that reads from one node.
struct Client {
    handle: Handle,
    machine: Recorder,
    level: ReadLevel,
    known: Arc<AtomicU64>,
    end: Arc<AtomicBool>,
}

impl Client {
    /// Reads until the end, and finds no read that misses what had been acknowledged before it
    /// began. Gives the number of reads that were served.
    async fn read_on(self) -> u64 {
        let mut served = 0;
        while !self.end.load(Ordering::SeqCst) {
            let before = Index(self.known.load(Ordering::SeqCst));
            // A node that is cut off keeps a read waiting: then it is withdrawn.
            let patience = Duration::from_millis(20);
            let read = tokio::time::timeout(patience, self.handle.read(self.level)).await;
            if let Ok(Ok(index)) = read {
                let seen = self.machine.applied().last().map_or(Index::ZERO, |(id, _)| id.index);
                assert!(
                    index >= before && seen >= before,
                    "{:?} at n{}: {before:?} had been acknowledged, it was served at {index:?} and \
                     saw {seen:?}",
                    self.level,
                    self.handle.id()
                );
                served += 1;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        served
    }
}
