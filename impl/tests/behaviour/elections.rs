//! Who leads, and how the others find out.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use quorate::{CampaignError, Cluster, Limits, Packet, ProposeError, StartError};
use quorate_spec::message::Kind;
use quorate_spec::{
    Body, Duration, Envelope, Instant, Message, NodeId, ParamsError, Refusal, Term,
};

use crate::lab::{Lab, Recorder, eventually, params, soon};
use crate::solo::{ME, Solo};

const PEER: NodeId = NodeId(2);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_elect_one_leader() {
    let lab = Lab::start(1);
    let (leader, term) = lab.leader().await;
    assert!(term.0 > 0);
    assert!(lab.cluster.handles().any(|handle| handle.id() == leader));
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn when_the_leader_is_stopped_another_is_elected_with_a_higher_term() {
    let mut lab = Lab::start(2);
    let (first, term) = lab.leader().await;
    lab.cluster.stop(first).await;
    let (second, later) = lab.leader().await;
    assert_ne!(first, second);
    assert!(later > term);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_cut_off_steps_down_and_the_majority_elects_another() {
    let lab = Lab::start(3);
    let (first, term) = lab.leader().await;
    lab.cluster.network().isolate(first);
    let (_, later) = lab.leader_of(&lab.others(first)).await;
    assert!(later > term);
    eventually("the first leader knows that it leads no more", async || {
        (lab.view(first).leader != Some(first)).then_some(())
    })
    .await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_that_is_heard_but_hears_nothing_steps_down() {
    let lab = Lab::start(4);
    let (first, _) = lab.leader().await;
    let others = lab.others(first);
    others.iter().for_each(|other| lab.cluster.network().cut(*other, first));
    lab.leader_of(&others).await;
    eventually("the first leader knows that it leads no more", async || {
        (lab.view(first).leader != Some(first)).then_some(())
    })
    .await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_whose_disk_stalls_gives_way_to_another_and_comes_back() {
    let lab = Lab::start(8);
    let (first, term) = lab.leader().await;
    lab.propose(b"before").await;
    let disk = lab.cluster.disk(first);
    disk.stall();
    let handle = lab.handle(first).clone();
    let proposal = tokio::spawn(async move { handle.propose(&b"on a stalled disk"[..]).await });
    let others = lab.others(first);
    let (second, later) = lab.leader_of(&others).await;
    assert!(second != first && later > term);
    lab.propose_to(&others, b"without it").await;
    let outcome = soon("an answer", proposal).await.expect("no panic");
    assert!(
        matches!(
            outcome,
            // The others may have committed it, and the leader may have heard of it in time.
            Ok(_) | Err(ProposeError::OutcomeUnknown | ProposeError::NotLeader { .. })
        ),
        "{outcome:?}"
    );
    disk.resume();
    lab.all_apply(&[b"before".to_vec(), b"without it".to_vec()]).await;
    lab.finish().await;
}

/// Its quorum answers it all the while: it is its own disk that does not.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_leader_steps_down_whose_disk_has_not_written_within_an_election_timeout() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.lead_by(PEER).await;
    solo.disk.stall();
    let handle = solo.handle().clone();
    let proposal = tokio::spawn(async move { handle.propose(&b"unwritten"[..]).await });
    solo.write_is_held_up().await;
    let due = solo.clock.read().after(params().election_timeout);
    solo.clock.set(Instant(due.0 - 1));
    let asked = loop {
        let sent = solo.next_to(PEER, Kind::AppendEntries).await;
        if sent.packet.envelope.message.stamp.sent == Some(Instant(due.0 - 1)) {
            break sent;
        }
    };
    solo.accept(&asked, 1).await;
    let renewed = Instant(due.0 - 1).after(params().lease.expect("there is one").duration);
    eventually("the leader has heard its quorum", async || {
        (solo.handle().view().lease_until == Some(renewed)).then_some(())
    })
    .await;
    assert_eq!(solo.handle().view().leader, Some(ME));
    solo.clock.set(due);
    solo.status("it leads no more", |status| status.leader.is_none()).await;
    assert_eq!(solo.handle().view().lease_until, None);
    let outcome = soon("an answer", proposal).await.expect("no panic");
    assert_eq!(outcome, Err(ProposeError::OutcomeUnknown));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_was_cut_off_rejoins_without_raising_the_term() {
    let lab = Lab::start(5);
    let (away, _) = lab.leader().await;
    lab.cluster.network().isolate(away);
    let (before, cut_off) = (sent(&lab, away, Kind::PreVote), lab.evidence.sent().len());
    let others = lab.others(away);
    // With this entry its log is behind the others', so that none of them would vote for it.
    lab.propose_to(&others, b"while it was away").await;
    eventually("it wants to campaign", async || {
        (sent(&lab, away, Kind::PreVote) > before + 10).then_some(())
    })
    .await;
    let healed = lab.evidence.sent().len();
    lab.cluster.network().heal();
    eventually("it follows a leader and has what it missed", async || {
        let leader = lab.view(away).leader;
        let caught_up = lab.machine(away).commands().contains(&b"while it was away".to_vec());
        (leader.is_some_and(|leader| leader != away) && caught_up).then_some(())
    })
    .await;
    let sent = lab.evidence.sent();
    let mut heard = sent[..cut_off].iter().map(|sent| sent.term).max();
    for (i, sent) in sent.iter().enumerate().skip(cut_off) {
        if sent.from != away {
            heard = heard.max((i >= healed).then_some(sent.term));
        } else if i >= healed && sent.kind == Kind::AppendAccepted {
            break;
        } else {
            assert!(Some(sent.term) <= heard, "it raised its term by itself: {sent:?}");
        }
    }
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_cut_off_does_not_raise_its_term() {
    let lab = Lab::start(6);
    let (leader, _) = lab.leader().await;
    let away = lab.others(leader)[0];
    lab.cluster.network().isolate(away);
    let before = sent(&lab, away, Kind::PreVote);
    let wants_to_campaign = async |times| {
        eventually("it asks for pre-votes", async || {
            (sent(&lab, away, Kind::PreVote) > before + times).then_some(())
        })
        .await;
    };
    // By then it has dealt with everything that was under way to it.
    wants_to_campaign(10).await;
    let term = lab.view(away).term;
    // A round of pre-votes is two messages, and two more with every heartbeat.
    wants_to_campaign(60).await;
    assert_eq!(lab.view(away).term, term);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_does_not_campaign_against_its_promise() {
    let solo = Solo::start(1, Limits::default(), Recorder::default());
    let refused = CampaignError::Refused(Refusal::PromiseInForce);
    assert_eq!(solo.handle().campaign().await, Err(refused));
    solo.promise_passes();
    assert_eq!(solo.handle().campaign().await, Ok(()));
    solo.status("it leads", |status| status.leader == Some(ME)).await;
}

#[tokio::test]
async fn parameters_without_the_protections_are_refused() {
    let mut cluster = Cluster::new(3, params().naive(), 7, |_| Recorder::default());
    let refused = cluster.start(NodeId(1)).map(|handle| handle.id());
    assert_eq!(refused, Err(StartError::Params(ParamsError::NaiveElection)));
}

/// How many messages of this kind the node has sent.
fn sent(lab: &Lab, from: NodeId, kind: Kind) -> usize {
    lab.evidence.sent().iter().filter(|sent| sent.from == from && sent.kind == kind).count()
}

/// A deadline that has passed comes before packets, however many wait.
#[tokio::test]
async fn a_flood_of_packets_does_not_keep_a_node_from_its_timers() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    let inbox = solo.inbox();
    let body = Body::RequestVoteReply { granted: false };
    let envelope = Envelope { from: NodeId(2), to: ME, message: Message::new(Term(0), body) };
    let packet = Packet { envelope, records: Vec::new(), state: None };
    let told = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&told);
    solo.promise_passes();
    solo.clock.advance(Duration(10 * params().election_timeout.0));
    let flood = tokio::spawn(async move {
        while inbox.send(packet.clone()).await.is_ok() {
            count.fetch_add(1, Ordering::SeqCst);
        }
    });
    soon("it asks for pre-votes", solo.next_to(NodeId(2), Kind::PreVote)).await;
    let told = told.load(Ordering::SeqCst);
    assert!((1..5_000).contains(&told), "it took {told} packets before it looked at its timers");
    solo.node.shutdown().await;
    flood.await.expect("it does not panic");
}
