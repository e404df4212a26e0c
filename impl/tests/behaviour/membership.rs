//! What becomes of changes of the members.

use quorate::ChangeError;
use quorate_spec::{Configuration, NodeId, Refusal};

use crate::lab::{Lab, commands, eventually, soon};

fn ids(ids: &[u64]) -> Vec<NodeId> {
    ids.iter().copied().map(NodeId).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_grows_from_three_to_five_and_back_while_commands_go_on() {
    let mut lab = Lab::start(71);
    let (leader, _) = lab.leader().await;
    let commands = commands("change", 60);
    for command in &commands[..20] {
        lab.propose(command).await;
    }
    lab.add(NodeId(4));
    lab.add(NodeId(5));
    lab.change_members(&ids(&[1, 2, 3]), &ids(&[1, 2, 3, 4, 5])).await;
    let status = lab.handle(leader).status().await.expect("it runs");
    assert_eq!(status.configuration, Configuration::of(ids(&[1, 2, 3, 4, 5])));
    for command in &commands[20..40] {
        lab.propose(command).await;
    }
    lab.all_apply(&commands[..40]).await;
    // Whoever leads now goes, and one more.
    let (leader, _) = lab.leader().await;
    let leaving = [leader, lab.others(leader)[0]];
    let staying: Vec<NodeId> =
        ids(&[1, 2, 3, 4, 5]).into_iter().filter(|id| !leaving.contains(id)).collect();
    lab.change_members(&ids(&[1, 2, 3, 4, 5]), &staying).await;
    for id in leaving {
        lab.cluster.stop(id).await;
    }
    let (leader, _) = lab.leader_of(&staying).await;
    assert!(staying.contains(&leader));
    for command in &commands[40..] {
        lab.propose_to(&staying, command).await;
    }
    lab.all_apply(&commands).await;
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_impossible_change_is_refused_with_a_reason_that_names_the_way_out() {
    let lab = Lab::start(72);
    let (leader, _) = lab.leader().await;
    lab.propose(b"first").await;
    let handle = lab.handle(leader).clone();
    let asks = |voters: &[u64]| {
        let (handle, voters) = (handle.clone(), ids(voters));
        async move { soon("an answer", handle.change_members(voters, [])).await }
    };
    assert_eq!(asks(&[]).await, Err(ChangeError::Refused(Refusal::NoVoters)));
    assert_eq!(asks(&[1, 2, 3]).await, Err(ChangeError::Refused(Refusal::NothingToChange)));
    let unknown = asks(&[1, 2, 3, 9]).await.expect_err("there is no node 9");
    assert_eq!(unknown, ChangeError::Unknown(NodeId(9)));
    assert!(unknown.to_string().contains("or name another one"), "{unknown}");
    let follower = lab.others(leader)[0];
    let refused = lab.handle(follower).change_members(ids(&[1, 2]), []).await;
    let Err(error @ ChangeError::Refused(Refusal::NotLeader { .. })) = refused else {
        panic!("a follower changes the members: {refused:?}");
    };
    assert!(error.to_string().contains("not the leader"), "{error}");
    lab.finish().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_change_to_a_node_that_never_answers_gives_way_to_another_one() {
    let mut lab = Lab::start(73);
    let (leader, _) = lab.leader().await;
    lab.propose(b"first").await;
    lab.add(NodeId(9));
    lab.cluster.stop(NodeId(9)).await;
    let handle = lab.handle(leader).clone();
    let waits = tokio::spawn({
        let handle = handle.clone();
        async move { handle.change_members(ids(&[1, 2, 3, 9]), []).await }
    });
    eventually("the change waits for node 9", async || {
        let status = handle.status().await.ok()?;
        status.configuration.target.is_some().then_some(())
    })
    .await;
    lab.propose(b"second").await;
    eventually("the present members are asked for instead", async || {
        handle.change_members(ids(&[1, 2, 3]), []).await.ok()
    })
    .await;
    assert_eq!(waits.await.expect("it does not panic"), Err(ChangeError::Replaced));
    lab.finish().await;
}
