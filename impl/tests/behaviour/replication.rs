//! What becomes of commands.

use quorate::{Applied, Handle, Limits, ProposeError};
use quorate_spec::{EntryId, Index, NodeId, Params};
use tokio::task::JoinSet;

use crate::lab::{Lab, Recorder, commands, eventually, params};
use crate::solo::{Solo, heartbeat};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn all_machines_apply_the_proposals_in_the_same_order() {
    let lab = Lab::start(11);
    lab.leader().await;
    let commands = commands("ordered", 200);
    for chunk in commands.chunks(20) {
        let mut acknowledged: Vec<EntryId> = Vec::new();
        for command in chunk {
            acknowledged.push(lab.propose(command).await);
        }
        assert!(acknowledged.is_sorted(), "one after the other");
    }
    let applied = lab.all_apply(&commands).await;
    assert!(applied.is_sorted_by_key(|(id, _)| *id));
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_of_many_clients_at_once_are_each_applied_once() {
    let lab = Lab::start(12);
    let (leader, _) = lab.leader().await;
    let commands = commands("concurrent", 300);
    let mut clients = JoinSet::new();
    for command in commands.clone() {
        let handle = lab.handle(leader).clone();
        clients.spawn(async move { (handle.propose(&*command).await, command) });
    }
    let mut acknowledged = Vec::new();
    while let Some(outcome) = clients.join_next().await {
        if let (Ok(applied), command) = outcome.expect("no client panics") {
            acknowledged.push((applied.entry, command));
        }
    }
    let wanted: Vec<_> = acknowledged.iter().map(|(_, command)| command.clone()).collect();
    let applied = lab.all_apply(&wanted).await;
    for acknowledged in &acknowledged {
        assert!(applied.contains(acknowledged), "{acknowledged:?} is applied under its name");
    }
    for command in &commands {
        assert!(applied.iter().filter(|(_, applied)| applied == command).count() <= 1);
    }
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_cannot_pass_a_proposal_on_refuses_it_and_names_the_leader() {
    let solo = Solo::start(3, Limits::default(), Recorder::default());
    let refused = solo.handle().propose(&b"too early"[..]).await;
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: None }));
    solo.say(NodeId(2), 1, heartbeat(EntryId::ZERO), Vec::new()).await;
    solo.status("it follows", |status| status.leader == Some(NodeId(2))).await;
    let refused = solo.handle().propose(&b"misplaced"[..]).await;
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(NodeId(2)) }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_acknowledged_proposal_is_lost_when_leaders_are_killed() {
    let mut lab = Lab::start(14);
    let mut acknowledged = Vec::new();
    for round in 0..4 {
        let (leader, _) = lab.leader().await;
        let mut clients = JoinSet::new();
        for command in commands(&format!("round-{round}"), 100) {
            let handle = lab.handle(leader).clone();
            clients.spawn(
                async move { handle.propose(&*command).await.map(|it| (it.entry, command)) },
            );
        }
        // Some are acknowledged by now, and some are under way.
        for _ in 0..10 {
            let client = clients.join_next().await.expect("there are a hundred");
            acknowledged.extend(client.expect("no client panics"));
        }
        // The last ones reach nobody but the leader, which must not acknowledge them.
        lab.cluster.network().isolate(leader);
        for command in commands(&format!("too-late-{round}"), 20) {
            let handle = lab.handle(leader).clone();
            clients.spawn(
                async move { handle.propose(&*command).await.map(|it| (it.entry, command)) },
            );
        }
        eventually("it has taken some of them, or has stepped down", async || {
            let status = lab.handle(leader).status().await.expect("it runs");
            (status.waiting > 0 || status.leader != Some(leader)).then_some(())
        })
        .await;
        lab.cluster.kill(leader).await;
        lab.cluster.network().heal();
        while let Some(client) = clients.join_next().await {
            acknowledged.extend(client.expect("no client panics"));
        }
        lab.leader().await;
        lab.start_node(leader);
    }
    assert!(!acknowledged.is_empty());
    lab.propose(b"the end").await;
    let applied = lab.all_apply(&[b"the end".to_vec()]).await;
    for acknowledged in &acknowledged {
        assert!(applied.contains(acknowledged), "{acknowledged:?} was acknowledged and is lost");
    }
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn proposals_get_through_a_network_that_loses_packets() {
    let lab = Lab::start(15);
    lab.leader().await;
    lab.cluster.network().lose(10);
    let commands = commands("lossy", 20);
    for command in &commands {
        lab.propose(command).await;
    }
    lab.all_apply(&commands).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_away_gets_what_it_missed() {
    let mut lab = Lab::start(16);
    let (leader, _) = lab.leader().await;
    let away = lab.others(leader)[0];
    lab.cluster.kill(away).await;
    let commands = commands("missed", 60);
    for command in &commands {
        lab.propose(command).await;
    }
    lab.start_node(away);
    lab.all_apply(&commands).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_of_a_leader_that_is_cut_off_is_told_that_the_outcome_is_unknown() {
    let lab = Lab::start(17);
    let outcome = eventually("a leader takes a proposal that it cannot replicate", async || {
        lab.cluster.network().heal();
        let (leader, _) = lab.leader().await;
        lab.cluster.network().isolate(leader);
        let outcome = lab.handle(leader).propose(&b"into the void"[..]).await;
        // On a slow machine it may know already that it leads no more.
        (!matches!(outcome, Err(ProposeError::NotLeader { .. }))).then_some(outcome)
    })
    .await;
    assert_eq!(outcome, Err(ProposeError::OutcomeUnknown));
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_with_more_proposals_than_it_takes_says_that_it_is_overloaded() {
    let limits = Limits { queued_proposals: 1, waiting_proposals: 1, ..Limits::default() };
    let solo = Solo::start(1, limits, Recorder::default());
    solo.lead().await;
    solo.disk.stall();
    let handle = solo.handle();
    let waiting = tokio::spawn(propose(handle.clone(), b"waits for the disk"));
    solo.status("the first proposal waits", |status| status.waiting == 1).await;
    let queued = propose(handle.clone(), b"waits in the queue");
    tokio::pin!(queued);
    tokio::select! {
        biased;
        outcome = &mut queued => panic!("the disk is stalled, and yet: {outcome:?}"),
        () = tokio::task::yield_now() => {}
    }
    for _ in 0..10 {
        let waiting = handle.status().await.map(|status| status.waiting);
        assert_eq!(waiting, Ok(1), "the other one stays in the queue");
    }
    assert_eq!(handle.propose(&b"too many"[..]).await, Err(ProposeError::Overloaded));
    solo.disk.resume();
    assert_eq!(waiting.await.expect("no panic").map(|it| it.entry.index), Ok(Index(2)));
    assert_eq!(queued.await.map(|it| it.entry.index), Ok(Index(3)));
}

/// Flow control by bytes: what waits is bounded, however long the commands are.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_that_wait_take_no_more_than_their_bytes() {
    let limits = Limits { proposal_bytes: 8, ..Limits::default() };
    let solo = Solo::start(1, limits, Recorder::default());
    solo.lead().await;
    solo.disk.stall();
    let handle = solo.handle();
    let waiting = tokio::spawn(propose(handle.clone(), b"12345"));
    solo.status("the first proposal waits", |status| status.waiting == 1).await;
    assert_eq!(handle.propose(&b"1234"[..]).await, Err(ProposeError::Overloaded));
    let too_large = ProposeError::TooLarge { length: 9, limit: 8 };
    assert_eq!(handle.propose(&b"123456789"[..]).await, Err(too_large));
    solo.disk.resume();
    assert_eq!(waiting.await.expect("no panic").map(|it| it.entry.index), Ok(Index(2)));
    let again = handle.propose(&b"12345678"[..]).await;
    assert_eq!(again.map(|it| it.entry.index), Ok(Index(3)), "the room is free again");
}

/// A leader that cannot commit takes `max_uncommitted` entries and no more.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_cannot_commit_does_not_grow_its_log_without_end() {
    let params = Params { max_uncommitted: 2, ..params() };
    let solo = Solo::start_with(1, params, Limits::default(), Recorder::default());
    solo.lead().await;
    solo.disk.stall();
    let handle = solo.handle();
    let first = tokio::spawn(propose(handle.clone(), b"one"));
    solo.status("one waits", |status| status.waiting == 1).await;
    let second = tokio::spawn(propose(handle.clone(), b"two"));
    solo.status("two wait", |status| status.waiting == 2).await;
    assert_eq!(handle.propose(&b"three"[..]).await, Err(ProposeError::Overloaded));
    solo.disk.resume();
    assert_eq!(first.await.expect("no panic").map(|it| it.entry.index), Ok(Index(2)));
    assert_eq!(second.await.expect("no panic").map(|it| it.entry.index), Ok(Index(3)));
}

async fn propose(handle: Handle, command: &'static [u8]) -> Result<Applied, ProposeError> {
    handle.propose(command).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_ops_do_not_reach_the_machine() {
    let machine = Recorder::default();
    let solo = Solo::start(1, Limits::default(), machine.clone());
    solo.lead().await;
    let applied = solo.handle().propose(&b"the first"[..]).await.expect("it leads");
    let id = applied.entry;
    assert_eq!(id.index, Index(2), "the first entry is the leader's own");
    assert_eq!(applied.response, b"1", "the machine's own answer");
    assert_eq!(machine.applied(), [(id, b"the first".to_vec())]);
    assert_eq!(solo.handle().id(), NodeId(1));
}
