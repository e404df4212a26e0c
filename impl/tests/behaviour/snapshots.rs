//! Snapshots: the log stays short, and whoever has fallen behind it catches up.

use std::io::{self, Read};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, mpsc};

use quorate::{Command, Limits, Lookup, MemoryDisk, Response, StateMachine, StopReason, Storage};
use quorate_spec::durable::{SnapshotWrite, Write};
use quorate_spec::message::Kind;
use quorate_spec::{
    AppendOutcome, Body, Configuration, EntryId, Envelope, Index, NodeId, Params, Persist,
    Snapshot, Term, WriteId,
};

use crate::lab::{Lab, Recorder, commands, eventually, params, soon};
use crate::solo::{ME, Solo};

const PEER: NodeId = NodeId(2);

fn every(entries_per_snapshot: u64) -> Limits {
    Limits { entries_per_snapshot, ..Limits::default() }
}

fn id(term: u64, index: u64) -> EntryId {
    EntryId { term: Term(term), index: Index(index) }
}

async fn base(lab: &Lab, node: NodeId) -> EntryId {
    lab.handle(node).status().await.expect("it runs").base
}

/// Waits until the node's log begins after a snapshot of at least so many entries.
async fn is_compacted(lab: &Lab, node: NodeId, entries: u64) {
    eventually("the log is compacted", async || {
        (base(lab, node).await.index >= Index(entries)).then_some(())
    })
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_follower_that_was_away_gets_a_snapshot() {
    let mut lab = Lab::start_with(31, every(10));
    let (leader, _) = lab.leader().await;
    let away = lab.others(leader)[0];
    let first = commands("before", 3);
    for command in &first {
        lab.propose(command).await;
    }
    lab.all_apply(&first).await;
    lab.cluster.network().isolate(away);
    let rest = lab.others(away);
    let later = commands("meanwhile", 45);
    for command in &later {
        lab.propose_to(&rest, command).await;
    }
    for node in &rest {
        is_compacted(&lab, *node, 40).await;
    }
    // The log in memory is cut first, and then the disk's.
    let disk = lab.cluster.disk(rest[0]);
    let is_cut = async || (disk.records().len() < 30).then_some(());
    eventually("what a snapshot covers is off the disk", is_cut).await;
    lab.cluster.network().heal();
    let all: Vec<_> = first.into_iter().chain(later).collect();
    lab.all_apply(&all).await;
    is_compacted(&lab, away, 40).await;
    let installs = lab.evidence.sent().into_iter().filter(|s| s.kind == Kind::InstallSnapshot);
    assert!(installs.count() > 0, "a snapshot was sent");
    // It goes on from the snapshot after a crash, and so do those that took one.
    for node in [away, rest[0]] {
        lab.cluster.kill(node).await;
        lab.start_node(node);
    }
    let last = commands("after", 5);
    for command in &last {
        lab.propose(command).await;
    }
    let applied = lab.all_apply(&all.into_iter().chain(last).collect::<Vec<_>>()).await;
    assert!(applied.is_sorted_by_key(|(id, _)| *id));
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn snapshots_that_are_lost_are_moved_again() {
    let lab = Lab::start_with(32, every(8));
    let (leader, _) = lab.leader().await;
    let away = lab.others(leader)[0];
    lab.cluster.network().isolate(away);
    let commands = commands("lossy", 30);
    for command in &commands {
        lab.propose_to(&lab.others(away), command).await;
    }
    is_compacted(&lab, lab.others(away)[0], 24).await;
    lab.cluster.network().heal();
    lab.cluster.network().lose(40);
    lab.all_apply(&commands).await;
    lab.cluster.network().lose(0);
    lab.finish().await;
}

/// Lets more time pass than nothing of a snapshot may move in, while one peer answers. Gives how many
/// snapshots the leader sends meanwhile.
async fn snapshots_meanwhile(solo: &mut Solo, moves: bool) -> usize {
    let Params { heartbeat_interval, election_timeout, .. } = params();
    let mut installs = 0;
    for _ in 0..=10 * election_timeout.0 / heartbeat_interval.0 {
        solo.moved.fetch_add(u64::from(moves), Ordering::SeqCst);
        solo.clock.advance(heartbeat_interval);
        let now = solo.clock.read();
        loop {
            let sent = solo.next_sent().await;
            installs += usize::from(sent.kind() == Kind::InstallSnapshot);
            let Envelope { to, message, .. } = &sent.packet.envelope;
            let of_now = message.stamp.sent == Some(now);
            if *to == PEER && of_now && sent.kind() == Kind::AppendEntries {
                solo.accept(&sent, 1).await;
                break;
            }
        }
        // The node's own timer runs in real time, and has to have a chance.
        tokio::time::sleep(std::time::Duration::from_millis(2)).await;
    }
    installs
}

#[tokio::test]
async fn a_snapshot_is_given_up_where_nothing_moves_and_not_where_it_moves_slowly() {
    let mut solo = Solo::start(3, every(2), Recorder::default());
    solo.lead_by(PEER).await;
    let handle = solo.handle().clone();
    let proposed = tokio::spawn(async move { handle.propose(&b"command"[..]).await });
    let request = solo.next_to(PEER, Kind::AppendEntries).await;
    solo.accept(&request, 2).await;
    soon("it is committed", proposed).await.expect("no panic").expect("it leads");
    solo.status("the log is compacted", |status| status.base.index == Index(2)).await;
    // Node 3 has said nothing, and needs what is gone.
    assert_eq!(snapshots_meanwhile(&mut solo, true).await, 1);
    assert_eq!(snapshots_meanwhile(&mut solo, true).await, 0);
    // What has moved since it was looked at last counts once more.
    let again = async { while snapshots_meanwhile(&mut solo, false).await == 0 {} };
    soon("it is sent again", again).await;
}

#[tokio::test]
async fn a_node_that_gets_a_snapshot_acknowledges_it_when_it_is_durable() {
    let machine = Recorder::default();
    let mut solo = Solo::start(3, Limits::default(), machine.clone());
    solo.disk.stall();
    solo.install(PEER, 4, id(3, 7), b"3 6 six\n3 7 seven\n").await;
    solo.write_is_held_up().await;
    assert_eq!(solo.disk.durable().log.base(), EntryId::ZERO);
    solo.disk.resume();
    let sent = solo.next_sent().await;
    let accepted = AppendOutcome::Accepted { match_index: Index(7) };
    assert_eq!(sent.packet.envelope.message.body, Body::AppendEntriesReply(accepted));
    assert_eq!(sent.disk.log.base(), id(3, 7));
    let status = solo.status("the machine is restored", |s| s.applied == Index(7)).await;
    assert_eq!((status.base, status.commit_index), (id(3, 7), Index(7)));
    assert_eq!(machine.commands(), [b"six".to_vec(), b"seven".to_vec()]);
}

#[tokio::test]
async fn a_crash_finds_the_state_that_fits_the_log() {
    let disk = MemoryDisk::new(Configuration::of([ME]));
    let state = |index| quorate::MachineState { last: id(1, index), bytes: [index as u8].into() };
    let snapshot = |index| Snapshot::new(id(1, index), Configuration::of([ME]));
    let install = |number, index| {
        let snapshot = Some(SnapshotWrite::Install(snapshot(index)));
        Persist { id: WriteId(number), write: Write { snapshot, ..Write::default() } }
    };
    let mut storage = disk.open();
    let mut progress = storage.progress();
    storage.keep(state(3));
    storage.submit(install(1, 3), Vec::new());
    storage.keep(state(5));
    assert_eq!(
        (storage.state(id(1, 3)), storage.state(id(1, 5))),
        (Lookup::Here(state(3)), Lookup::Here(state(5)))
    );
    let written = progress.wait_for(|progress| progress.kept == Index(5));
    soon("it writes", written).await.expect("the writer runs");
    disk.stall();
    storage.submit(install(2, 5), Vec::new());
    disk.crash();
    let reopened = disk.open();
    assert_eq!(reopened.recovered().log.base(), id(1, 3));
    assert_eq!(
        (reopened.state(id(1, 3)), reopened.state(id(1, 5))),
        (Lookup::Here(state(3)), Lookup::Gone)
    );
    disk.resume();
    storage.close().await;
    reopened.close().await;
    assert_eq!(disk.states(), [state(3)]);
}

/// A machine that counts commands, and whose view is written when the test says so.
struct Slow {
    count: u64,
    go_on: Arc<Mutex<mpsc::Receiver<()>>>,
}

impl StateMachine for Slow {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        self.count += commands.len() as u64;
        commands.iter().map(|_| self.count.to_le_bytes().to_vec()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static {
        let (count, go_on) = (self.count, Arc::clone(&self.go_on));
        move |out: &mut dyn io::Write| {
            // Either the test says so, or it has ended.
            let _ = go_on.lock().map(|go_on| go_on.recv());
            out.write_all(&count.to_le_bytes())
        }
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        let mut count = [0; 8];
        state.read_exact(&mut count)?;
        self.count = u64::from_le_bytes(count);
        Ok(())
    }
}

fn slow() -> (Slow, mpsc::Sender<()>) {
    let (go_on, wait) = mpsc::channel();
    (Slow { count: 0, go_on: Arc::new(Mutex::new(wait)) }, go_on)
}

#[tokio::test]
async fn commands_are_applied_while_a_snapshot_is_written() {
    let (machine, go_on) = slow();
    let solo = Solo::start(1, every(4), machine);
    solo.lead().await;
    for _ in 0..50 {
        let applied = soon("it is applied", solo.handle().propose("more")).await;
        applied.expect("it leads");
    }
    let status = solo.handle().status().await.expect("it runs");
    assert_eq!((status.applied, status.base), (Index(51), EntryId::ZERO), "none is written yet");
    go_on.send(()).expect("the machine waits");
    let first = solo.status("the log is compacted", |status| status.base > EntryId::ZERO).await;
    assert!(first.base.index < Index(12), "by the view of then: {}", first.base.index);
    // The state is that of the view, not a later one: its sessions come first, then its count.
    let state = solo.disk.states().pop().expect("it was kept");
    let count = state.bytes.to_vec().last_chunk::<8>().map(|bytes| u64::from_le_bytes(*bytes));
    assert_eq!(count, Some(state.last.index.0 - 1), "all commands, and not the no-op");
}

#[tokio::test]
async fn a_shutdown_does_not_wait_for_a_snapshot_that_nobody_will_use() {
    let (machine, go_on) = slow();
    let solo = Solo::start(1, every(2), machine);
    solo.lead().await;
    for _ in 0..10 {
        solo.handle().propose("more").await.expect("it leads");
    }
    let handle = solo.handle().clone();
    let Solo { node, disk, .. } = solo;
    let shutdown = tokio::spawn(node.shutdown());
    soon("its owner has stopped", handle.stopped()).await;
    go_on.send(()).expect("the machine waits");
    assert_eq!(soon("it ends", shutdown).await.expect("no panic"), StopReason::Shutdown);
    assert_eq!((disk.states().len(), disk.durable().log.last().index), (0, Index(11)));
}

#[tokio::test]
async fn a_node_that_cannot_read_a_snapshot_stops_and_says_why() {
    let solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.install(PEER, 4, id(3, 7), b"no list of commands").await;
    let reason = soon("it stops", solo.handle().stopped()).await;
    assert!(matches!(reason, StopReason::MachineFailed(_)), "{reason}");
    assert!(reason.to_string().contains("snapshot up to entry 7"), "{reason}");
}

#[tokio::test]
async fn a_machine_that_does_not_answer_each_command_stops_its_node() {
    struct Silent;
    impl StateMachine for Silent {
        fn apply(&mut self, _: &[Command<'_>]) -> Vec<Response> {
            Vec::new()
        }

        fn snapshot(&self) -> impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static {
            |_: &mut dyn io::Write| Ok(())
        }

        fn restore(&mut self, _: &mut dyn Read) -> io::Result<()> {
            Ok(())
        }
    }
    let solo = Solo::start(1, Limits::default(), Silent);
    solo.lead().await;
    let outcome = solo.handle().propose("unanswered").await;
    assert_eq!(outcome, Err(quorate::ProposeError::OutcomeUnknown));
    let reason = soon("it stops", solo.handle().stopped()).await;
    assert!(reason.to_string().contains("0 responses to 1 commands"), "{reason}");
}

/// How many states the node's machine has written.
fn taken(lab: &Lab, node: NodeId) -> u64 {
    let text = lab.handle(node).metrics();
    let line = text.lines().find(|line| line.starts_with("quorate_snapshots_total"));
    let number = line.and_then(|line| line.rsplit(' ').next()?.parse::<f64>().ok());
    number.unwrap_or_else(|| panic!("{text}")) as u64
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn states_do_not_pile_up_before_a_disk_that_is_slower() {
    // On a machine that is busy another node may come to lead, and then nothing was seen.
    for seed in 33.. {
        if states_wait_for_the_disk(seed).await {
            break;
        }
    }
}

/// Has a leader whose disk stalls take states. Says whether it led for long enough.
async fn states_wait_for_the_disk(seed: u64) -> bool {
    let lab = Lab::start_with(seed, every(4));
    let (leader, term) = lab.leader().await;
    lab.cluster.disk(leader).stall();
    let before = taken(&lab, leader);
    let mut commands = commands("stalled", 48);
    for command in &commands {
        lab.propose(command).await;
    }
    let machine = lab.machine(leader);
    let others = lab.others(leader);
    let led = eventually("it applies them, or leads no more", async || {
        let all = commands.iter().all(|command| machine.commands().contains(command));
        let replaced = others.iter().any(|other| lab.view(*other).term > term);
        (all || replaced).then_some(!replaced)
    })
    .await;
    for other in &others {
        is_compacted(&lab, *other, 40).await;
    }
    // One is with the disk, and one waits for the owner. The third is not handed over.
    let meanwhile = taken(&lab, leader) - before;
    assert!(meanwhile <= 2 && (meanwhile > 0 || !led), "{meanwhile} states wait for the disk");
    lab.cluster.disk(leader).resume();
    for number in 0..24 {
        commands.push(format!("later-{number}").into_bytes());
        lab.propose(&commands[commands.len() - 1]).await;
    }
    is_compacted(&lab, leader, 60).await;
    lab.all_apply(&commands).await;
    lab.finish().await;
    led
}
