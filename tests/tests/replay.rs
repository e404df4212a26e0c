//! A simulated run is shown as the model's runs are: sentences, each with a state of the model.

#![allow(clippy::unwrap_used, missing_docs)]

use quorate_model::server::PRESENT;
use quorate_model::simulation::{ReplayError, TraceError, replay};
use quorate_model::state::State;
use quorate_spec::{Kind, NodeId};

fn scenes(text: &str) -> Vec<(String, State)> {
    replay(text).unwrap()
}

/// The servers that may not vote yet, as a state shows it.
fn promised(state: &State) -> Vec<u64> {
    let servers = state.servers.iter().filter(|s| s.node.promised_until() > PRESENT);
    servers.map(|server| server.node.id().0).collect()
}

#[test]
fn promises_are_in_force_exactly_until_the_clocks_pass_them() {
    let scenes = scenes("servers 3\ntimeout 1 0 0\nelapse-all 0 8000 0\n");
    let promised: Vec<_> = scenes.iter().map(|(_, state)| promised(state)).collect();
    assert_eq!(promised[0], [0, 1, 2], "a server starts under the promise");
    assert_eq!(promised[1], [0, 2]);
    let last = &scenes.last().unwrap().1;
    assert_eq!(promised.last().unwrap(), &[0u64; 0], "1000 ticks later: {last:?}");
    assert!(format!("{:?}", scenes[0].1).contains("promised"));
    assert!(!format!("{last:?}").contains("promised"));
}

#[test]
fn what_a_server_does_and_sends_is_one_sentence_and_under_way_afterwards() {
    let scenes = scenes("servers 3\ntimeout 1 0 0\n");
    assert_eq!(scenes.len(), 2);
    let (sentence, state) = &scenes[1];
    let clauses: Vec<_> = sentence.split("; ").collect();
    assert_eq!(
        clauses,
        [
            "n1 lets every deadline pass",
            "n1 becomes a pre-candidate, still in term 0",
            "n1's promise not to vote ends",
            "n1 asks n0 for a pre-vote",
            "n1 asks n2 for a pre-vote",
        ]
    );
    let mut receivers: Vec<_> = state.net.iter().map(|envelope| envelope.to.0).collect();
    receivers.sort_unstable();
    assert_eq!(receivers, [0, 2]);
    assert!(state.net.iter().all(|envelope| envelope.message.body.kind() == Kind::PreVote));
}

#[test]
fn what_changes_nothing_is_not_shown() {
    assert_eq!(scenes("servers 5\nheal-all 0 0 0\nelapse 0 8 0\ndeliver 0 0 0\n").len(), 1);
}

#[test]
fn seven_servers_have_a_bit_for_each_of_their_links() {
    let scenes = scenes("servers 7\nisolate 6 2 0\nheal-all 0 0 0\n");
    let open = |state: &State, from, to| state.budget.is_open(NodeId(from), NodeId(to));
    let [(_, start), (_, cut), (sentence, healed)] = &scenes[..] else { panic!("{scenes:?}") };
    for (from, to) in (0..7).flat_map(|from| (0..7).map(move |to| (from, to))) {
        let isolated = from != to && (from == 6 || to == 6);
        assert_eq!(open(cut, from, to), !isolated, "n{from}→n{to}");
        assert!(open(start, from, to) && open(healed, from, to));
    }
    assert_eq!(sentence, "every link heals");
}

#[test]
fn a_recovery_ends_with_one_sentence_for_all_its_rounds() {
    let scenes = scenes("scenario Recovery\nservers 5\npartition 0 3 0\n");
    let [(_, _), (cut, _), (sentence, state)] = &scenes[..] else { panic!("{scenes:?}") };
    assert!(cut.starts_with("the links n0→n2, n0→n3, "), "{cut}");
    assert!(sentence.starts_with("from here on nothing fails: after "), "{sentence}");
    assert_eq!((state.budget.cut, state.broken.is_empty()), (0, true));
    let commit = state.servers[0].node.commit_index();
    assert!(commit.0 > 0 && state.servers.iter().all(|s| s.node.commit_index() == commit));
}

#[test]
fn a_disturbance_begins_with_the_leader_that_everyone_has_heard() {
    let scenes = scenes("scenario Disturbance\nservers 5\n");
    let (sentence, state) = &scenes[0];
    let leader = state.servers.iter().find(|server| server.node.is_leader()).unwrap();
    assert!(sentence.contains(&format!("n{} leads term 1", leader.node.id())), "{sentence}");
    assert_eq!(promised(state).len(), 4, "all but the leader have promised not to vote: {state:?}");
}

#[test]
fn what_cannot_be_shown_is_refused_with_the_reason() {
    let refused = |text| replay(text).unwrap_err();
    assert_eq!(refused("servers 8\n"), ReplayError::Servers(8));
    assert_eq!(refused("servers 3\nfly 1 2 3\n"), ReplayError::Trace(TraceError { line: 2 }));
    let reason = refused("servers 8\n").to_string();
    assert_eq!(reason, "8 servers: a state of the model has at most 7");
}
