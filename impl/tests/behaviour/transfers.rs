//! Leadership is handed over, or stays.

use quorate::{Limits, ProposeError, ReadLevel, TransferError};
use quorate_spec::message::Kind;
use quorate_spec::{Index, NodeId, Refusal};

use crate::lab::{Lab, Recorder, commands, eventually, params, soon};
use crate::solo::{ME, Solo, heartbeat, id};

const PEER: NodeId = NodeId(2);
const OTHER: NodeId = NodeId(3);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn leadership_goes_round_and_commands_go_on() {
    let lab = Lab::start(101);
    lab.leader().await;
    let commands = commands("handed-over", 60);
    for (round, chunk) in commands.chunks(10).enumerate() {
        let to = NodeId(1 + round as u64 % 3);
        let handed_over = eventually("it is handed over", async || {
            let (leader, term) = lab.leader().await;
            if leader == to {
                return Some(());
            }
            // On a slow machine it may be given up, or the leader may have lost its leadership.
            match lab.handle(leader).transfer(to).await {
                Ok(()) => {
                    let view = lab.view(leader);
                    assert!(view.leader == Some(to) || view.term > term, "{view:?}");
                    Some(())
                }
                Err(TransferError::Stopped(_) | TransferError::OutcomeUnknown) => {
                    panic!("the node runs")
                }
                Err(_) => None,
            }
        });
        let proposed = async {
            for command in chunk {
                lab.propose(command).await;
            }
        };
        tokio::join!(handed_over, proposed);
    }
    lab.all_apply(&commands).await;
    let handed_over =
        lab.evidence.sent().iter().filter(|sent| sent.kind == Kind::TimeoutNow).count();
    assert!(handed_over > 0);
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_to_a_node_that_is_dead_is_given_up_and_proposals_go_on() {
    let mut lab = Lab::start(102);
    let (leader, _) = lab.leader().await;
    let dead = lab.others(leader)[0];
    lab.propose(b"before").await;
    lab.cluster.kill(dead).await;
    let given_up = eventually("the transfer ends", async || {
        let (leader, _) = lab.leader().await;
        match lab.handle(leader).transfer(dead).await {
            Err(TransferError::GivenUp { to }) => Some(to),
            // On a slow machine leadership may be lost meanwhile.
            Err(TransferError::Refused(_) | TransferError::AnotherLeads { .. }) => None,
            other => panic!("a dead node leads, or the node has stopped: {other:?}"),
        }
    })
    .await;
    assert_eq!(given_up, dead);
    let written = lab.propose(b"after").await.index;
    let (leader, _) = lab.leader().await;
    assert!(lab.read(leader, ReadLevel::Lease).await >= written);
    lab.start_node(dead);
    lab.all_apply(&[b"before".to_vec(), b"after".to_vec()]).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_leadership_is_handed_over_proposals_are_refused_and_then_taken_again() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.lead_by(PEER).await;
    let handle = solo.handle().clone();
    let transfer = tokio::spawn(async move { handle.transfer(OTHER).await });
    solo.status("it hands over", |status| status.handing_over_to == Some(OTHER)).await;
    let refused = solo.handle().propose(&b"meanwhile"[..]).await;
    assert_eq!(refused, Err(ProposeError::HandingOver));
    let second = solo.handle().transfer(PEER).await;
    assert_eq!(second, Err(TransferError::Refused(Refusal::TransferInFlight)));
    assert!(!transfer.is_finished());
    solo.give_up_transfer(PEER).await;
    let outcome = soon("it is given up", transfer).await.expect("no panic");
    assert_eq!(outcome, Err(TransferError::GivenUp { to: OTHER }));
    let handle = solo.handle().clone();
    let proposal = tokio::spawn(async move { handle.propose(&b"again"[..]).await });
    let entries = loop {
        let sent = solo.next_to(PEER, Kind::AppendEntries).await;
        if !sent.packet.records.is_empty() {
            break sent;
        }
    };
    solo.accept(&entries, 2).await;
    let taken = soon("it is committed", proposal).await.expect("no panic");
    assert_eq!(taken.map(|it| it.entry.index), Ok(Index(2)));
    // Nobody was told to campaign, so the lease is back.
    assert!(solo.handle().view().lease_until.is_some());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_for_a_transfer_hears_who_leads() {
    for (leads, outcome) in
        [(PEER, Ok(())), (OTHER, Err(TransferError::AnotherLeads { to: PEER, leader: OTHER }))]
    {
        let mut solo = Solo::start(3, Limits::default(), Recorder::default());
        solo.lead_by(PEER).await;
        let handle = solo.handle().clone();
        let transfer = tokio::spawn(async move { handle.transfer(PEER).await });
        solo.next_to(PEER, Kind::TimeoutNow).await;
        solo.say(leads, 2, heartbeat(id(1, 1)), Vec::new()).await;
        assert_eq!(soon("someone leads", transfer).await.expect("no panic"), outcome);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transfer_that_cannot_be_is_refused_with_a_reason() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    let refused = TransferError::Refused(Refusal::NotLeader { leader: None });
    assert_eq!(solo.handle().transfer(PEER).await, Err(refused));
    solo.lead_by(PEER).await;
    for to in [ME, NodeId(9)] {
        let refused = TransferError::Refused(Refusal::CannotLead(to));
        assert_eq!(solo.handle().transfer(to).await, Err(refused));
        assert!(refused.to_string().contains("name another voter"), "{refused}");
    }
    let timeout = params().election_timeout;
    assert!(solo.handle().view().lease_until > Some(solo.clock.read()), "within {timeout}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_stops_leaves_the_outcome_of_a_transfer_open() {
    let mut solo = Solo::start(3, Limits::default(), Recorder::default());
    solo.lead_by(PEER).await;
    let handle = solo.handle().clone();
    let transfer = tokio::spawn(async move { handle.transfer(PEER).await });
    solo.next_to(PEER, Kind::TimeoutNow).await;
    let handle = solo.handle().clone();
    solo.node.shutdown().await;
    let outcome = soon("an answer", transfer).await.expect("no panic");
    assert_eq!(outcome, Err(TransferError::OutcomeUnknown));
    assert!(matches!(handle.transfer(PEER).await, Err(TransferError::Stopped(_))));
}
