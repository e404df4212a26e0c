//! What people see who watch a node: how it is, its metrics, its pauses.

use quorate::{Limits, Vitals};
use quorate_spec::{Duration, Index, NodeId, RoleName};

use crate::lab::{Recorder, eventually, params, soon};
use crate::solo::{ME, Solo, append, heartbeat, id, record};

const PEER: NodeId = NodeId(2);

/// The value of a metric in the text, by its name and one of its labels.
fn metric(text: &str, name: &str, label: &str) -> Option<f64> {
    let is_it = |line: &&str| line.split_once('{').is_some_and(|(is, _)| is == name);
    let line = text.lines().filter(is_it).find(|line| line.contains(label))?;
    line.rsplit(' ').next()?.parse().ok()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_vitals_of_a_node_follow_its_role_and_its_log() {
    let solo = Solo::start(1, Limits::default(), Recorder::default());
    let mut watch = solo.handle().vitals();
    assert_eq!((watch.now().role, watch.now().applied), (RoleName::Follower, Index(0)));
    solo.lead().await;
    solo.handle().propose("one").await.expect("it leads");
    let seen = async {
        loop {
            let vitals = watch.changed().await.expect("the node runs");
            if vitals.applied == Index(2) && vitals.durable == Index(2) {
                break vitals;
            }
        }
    };
    let vitals = soon("it has applied the command", seen).await;
    assert_eq!((vitals.role, vitals.leader), (RoleName::Leader, Some(ME)));
    assert_eq!((vitals.commit_lag(), vitals.apply_lag()), (0, 0));
    let status = solo.handle().status().await.expect("it runs");
    assert_eq!((vitals.term, vitals.last), (status.term, status.last.index));
    let Solo { node, .. } = solo;
    node.shutdown().await;
    let last: Vitals = watch.now();
    assert_eq!(last.applied, Index(2));
    let rest = async { while watch.changed().await.is_some() {} };
    soon("nothing more changes", rest).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lags_show_what_waits_for_the_disk() {
    let solo = Solo::start(1, Limits::default(), Recorder::default());
    solo.lead().await;
    solo.disk.stall();
    let handle = solo.handle().clone();
    let client = tokio::spawn(async move { handle.propose("on a stalled disk").await });
    solo.status("it waits", |status| status.waiting == 1).await;
    assert_eq!(solo.handle().vitals().now().commit_lag(), 1);
    let text = solo.handle().metrics();
    assert_eq!(metric(&text, "quorate_lag_entries", "commit"), Some(1.0), "{text}");
    assert_eq!(metric(&text, "quorate_proposal_bytes", ""), Some(17.0), "{text}");
    assert_eq!(metric(&text, "quorate_queued", "writes"), Some(1.0), "{text}");
    solo.disk.resume();
    soon("an answer", client).await.expect("no panic").expect("it leads");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_that_are_dropped_are_counted_in_and_out() {
    let solo =
        Solo::start(3, Limits { held_messages: 1, ..Limits::default() }, Recorder::default());
    solo.disk.stall();
    solo.say(PEER, 2, append(2, 1), vec![record(1, 1)]).await;
    solo.status("its contents do not fit", |status| status.dropped == 1).await;
    solo.say(PEER, 2, append(2, 1), vec![record(2, 1)]).await;
    solo.say(PEER, 2, heartbeat(id(2, 1)), Vec::new()).await;
    let status = solo.status("one answer too many", |status| status.dropped == 2).await;
    assert_eq!(status.held, 1, "the other one waits for the disk");
    let text = solo.handle().metrics();
    assert_eq!(metric(&text, "quorate_dropped_messages_total", ""), Some(2.0), "{text}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn metrics_are_text_that_prometheus_reads() {
    let limits = Limits { entries_per_snapshot: 2, ..Limits::default() };
    let solo = Solo::start(1, limits, Recorder::default());
    solo.lead().await;
    for command in ["one", "two", "three"] {
        solo.handle().propose(command).await.expect("it leads");
    }
    let text = eventually("a snapshot is counted", async || {
        let text = solo.handle().metrics();
        (metric(&text, "quorate_snapshots_total", "")? >= 1.0).then_some(text)
    })
    .await;
    for (name, label, value) in [
        ("quorate_role", "role=\"leader\"", 1.0),
        ("quorate_role", "role=\"follower\"", 0.0),
        ("quorate_term", "node=\"1\"", 1.0),
        ("quorate_index", "kind=\"applied\"", 4.0),
        ("quorate_lag_entries", "kind=\"apply\"", 0.0),
        ("quorate_commit_seconds_count", "", 3.0),
        ("quorate_changes_of_role_total", "to=\"leader\"", 1.0),
        ("quorate_pauses_total", "", 0.0),
    ] {
        assert_eq!(metric(&text, name, label), Some(value), "{name} {label} in\n{text}");
    }
    assert!(metric(&text, "quorate_write_seconds_count", "") >= Some(4.0), "{text}");
    // The only voter needs nobody to hold a lease.
    assert!(metric(&text, "quorate_lease_left_seconds", "") > Some(0.0), "{text}");
    assert!(metric(&text, "quorate_snapshot_bytes", "") > Some(0.0), "{text}");
    assert!(text.ends_with("# EOF\n"));
}

/// A node that was stopped for many election timeouts has one of them, not all at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pause_is_counted_and_what_is_due_is_due_once() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.handle().status().await.expect("it runs");
    let timeout = params().election_timeout;
    solo.clock.advance(Duration(timeout.0 * 50));
    let status = solo.status("the pause is noticed", |status| status.pauses > 0).await;
    assert_eq!(status.pauses, 1);
    // It asks both of its peers once whether they would vote for it.
    let asked: Vec<NodeId> =
        [solo.next_sent().await, solo.next_sent().await].map(|sent| sent.packet.envelope.to).into();
    assert_eq!(asked, [NodeId(2), NodeId(3)]);
    for _ in 0..20 {
        solo.handle().status().await.expect("it runs");
    }
    assert!(solo.sent.try_recv().is_err(), "it asks nobody again");
    let text = solo.handle().metrics();
    assert_eq!(metric(&text, "quorate_pauses_total", ""), Some(1.0), "{text}");
    assert!(metric(&text, "quorate_longest_pause_seconds", "") > Some(1.0), "{text}");
}

/// Less than an election timeout is no pause: nobody has taken the node for dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn waking_a_little_late_is_no_pause() {
    let solo = Solo::start(3, Limits::default(), Recorder::default());
    let timeout = params().election_timeout;
    for _ in 0..5 {
        solo.clock.advance(Duration(timeout.0 / 2));
        assert_eq!(solo.handle().status().await.expect("it runs").pauses, 0);
    }
}
