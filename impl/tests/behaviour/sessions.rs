//! Exactly-once: commands of sessions through crashes, losses and leaders that come and go.

use std::collections::BTreeMap;

use quorate::{Limits, ProposeError, SessionLimits};
use quorate_spec::{EntryId, NodeId};
use tokio::task::JoinSet;

use crate::lab::{Lab, Recorder, commands, eventually, soon};
use crate::solo::{Solo, heartbeat};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_command_of_a_session_is_applied_once_however_often_it_is_sent() {
    let solo = Solo::start(1, Limits::default(), Recorder::default());
    solo.lead().await;
    let handle = solo.handle();
    let session = handle.open_session().await.expect("it leads");
    let first = session.number("first");
    let applied = first.send(handle).await.expect("it leads");
    let again = first.send(handle).await.expect("it leads");
    assert_eq!((&*applied.response, &*again.response), (&b"1"[..], &b"1"[..]));
    assert!(again.entry > applied.entry, "the repetition is an entry of its own");
    drop(first);
    let second = session.propose(handle, "second").await.expect("it leads");
    assert_eq!(second.response, b"2");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_uses_a_session_that_is_gone_is_told_so() {
    let sessions = SessionLimits { sessions: 1, open_commands: 1, answer_bytes: 1 };
    let machine = Recorder::default();
    let limits = Limits { sessions, ..Limits::default() };
    let solo = Solo::start(1, limits, machine.clone());
    solo.lead().await;
    let handle = solo.handle();
    let first = handle.open_session().await.expect("it leads");
    let kept = first.number("kept");
    kept.send(handle).await.expect("it leads");
    let too_many = first.number("one more").send(handle).await;
    assert_eq!(too_many, Err(ProposeError::TooManyOpen));
    let second = handle.open_session().await.expect("it leads");
    assert_eq!(kept.send(handle).await, Err(ProposeError::SessionExpired));
    second.close(handle).await.expect("it leads");
    let closed = second.propose(handle, "too late").await;
    assert_eq!(closed, Err(ProposeError::SessionExpired));
    assert_eq!(machine.commands(), [b"kept".to_vec()]);
}

/// Each client sends its commands one after the other, and again where it does not know what became
/// of them, while links lose packets and letters, and leaders are killed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn commands_of_sessions_are_applied_once_though_leaders_are_killed() {
    let limits = Limits { entries_per_snapshot: 20, ..Limits::default() };
    let mut lab = Lab::start_with(91, limits);
    lab.leader().await;
    lab.cluster.network().lose(5);
    let mut sent = Vec::new();
    for round in 0..3 {
        let all = commands(&format!("round-{round}"), 60);
        let (leader, _) = lab.leader().await;
        let survivors = lab.others(leader);
        let mut clients = JoinSet::new();
        for (client, commands) in all.chunks(20).enumerate() {
            // Through the nodes that live on, which send it to whoever leads.
            let handle = lab.handle(survivors[client % survivors.len()]).clone();
            let commands = commands.to_vec();
            clients.spawn(async move {
                let session = loop {
                    if let Ok(session) = handle.open_session().await {
                        break session;
                    }
                    tokio::task::yield_now().await;
                };
                for command in commands {
                    session.propose(&handle, command).await.expect("it comes through in the end");
                }
            });
        }
        eventually("some of them are applied", async || {
            (lab.machine(leader).commands().len() > sent.len() + 10).then_some(())
        })
        .await;
        lab.cluster.kill(leader).await;
        soon("all commands are applied", clients.join_all()).await;
        lab.start_node(leader);
        sent.extend(all);
    }
    lab.cluster.network().lose(0);
    let applied = lab.all_apply(&sent).await;
    let mut times: BTreeMap<&[u8], usize> = BTreeMap::new();
    applied.iter().for_each(|(_, command)| *times.entry(command).or_default() += 1);
    assert_eq!(times.len(), sent.len());
    assert!(times.values().all(|count| *count == 1), "{times:?}");
    lab.finish().await;
}

/// The same without sessions: proposals that are made again are applied again, and so the test above
/// can fail.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_session_a_command_that_is_sent_again_is_applied_again() {
    let machine = Recorder::default();
    let solo = Solo::start(1, Limits::default(), machine.clone());
    solo.lead().await;
    for _ in 0..2 {
        solo.handle().propose("twice").await.expect("it leads");
    }
    assert_eq!(machine.commands(), [b"twice".to_vec(), b"twice".to_vec()]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_follows_passes_proposals_on_and_gives_the_answer_of_the_leader() {
    let lab = Lab::start(92);
    let (leader, _) = lab.leader().await;
    for (count, follower) in lab.others(leader).into_iter().enumerate() {
        let command = format!("by {follower}");
        let applied = eventually("it is passed on", async || {
            lab.handle(follower).propose(command.clone()).await.ok()
        })
        .await;
        let known = lab.machine(leader).applied();
        assert!(known.contains(&(applied.entry, command.into_bytes())));
        assert_eq!(applied.response, (count + 1).to_string().into_bytes());
    }
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_proposal_whose_answer_is_lost_has_an_unknown_outcome() {
    let lab = Lab::start(93);
    let outcome = eventually("a follower passes on what is not answered", async || {
        lab.cluster.network().heal();
        let (leader, _) = lab.leader().await;
        let follower = lab.others(leader)[0];
        // Heartbeats of the leader and letters of the follower arrive; answers do not.
        let command = lab.handle(follower).propose("no answer");
        tokio::pin!(command);
        tokio::select! {
            biased;
            _ = &mut command => return None,
            () = tokio::task::yield_now() => lab.cluster.network().cut(leader, follower),
        }
        (command.await == Err(ProposeError::OutcomeUnknown)).then_some(())
    });
    soon("an answer", outcome).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_needs_a_leader() {
    let solo = Solo::start(3, Limits::default(), Recorder::default());
    let refused = solo.handle().open_session().await.map(|session| session.id());
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: None }));
    solo.say(NodeId(2), 1, heartbeat(EntryId::ZERO), Vec::new()).await;
    solo.status("it follows", |status| status.leader == Some(NodeId(2))).await;
    let refused = solo.handle().open_session().await.map(|session| session.id());
    assert_eq!(refused, Err(ProposeError::NotLeader { leader: Some(NodeId(2)) }));
}
