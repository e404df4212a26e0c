//! Laws of what models do to a node: a step commutes with moving its clock, with renumbering its
//! writes and its rounds of reads, and with renaming the servers.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::dice::check;
use crate::common::play::{Outcome, play};
use crate::common::script::{Move, Start, Turn};
use crate::common::*;
use quorate_spec::{
    Body, Effects, Envelope, Input, Instant, Message, NodeId, Outgoing, ReadView, Rename, Stamp,
    Term, WriteId,
};

/// Moves the times of an input, which belong to the receiver's clock in replies only.
fn rebased(input: &Input, now: Instant, to: Instant) -> Input {
    let mut input = input.clone();
    if let Input::Receive(envelope) = &mut input
        && !envelope.message.body.kind().is_request()
    {
        envelope.message.rebase(now, to);
    }
    input
}

/// What a reader learns from this view, with its times moved: a lease that has ended is none.
fn rebased_view(view: ReadView, now: Instant, to: Instant) -> ReadView {
    let for_ever = Instant(u64::MAX);
    let moved = |until: Instant| Instant(to.0 + (until.0 - now.0));
    let moved = |until| if until == for_ever { for_ever } else { moved(until) };
    ReadView { lease_until: view.lease_until.filter(|until| now < *until).map(moved), ..view }
}

/// The law of `Node::rebase`: step and rebase, or rebase and step, is the same. It holds where `to`
/// is later than every span that is still remembered; a step may leave something in the node
/// that rebase forgets, so both sides are rebased in the end.
#[test]
fn a_step_commutes_with_moving_the_clock() {
    fn law(start: Start, script: Vec<Turn>, to: u16) {
        let mut server = start.server();
        let (params, to) = (server.protocol.params, Instant(400 * E + u64::from(to) * 4));
        let mut seen = server.read_view();
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let now = Instant(server.now);
            let mut moved = server.clone();
            moved.now = to.0;
            moved.node.rebase(&params, now, to);
            let deadline = |server: &Server| match server.next_deadline() {
                u64::MAX => None,
                at => Some(at.saturating_sub(server.now)),
            };
            assert_eq!(deadline(&moved), deadline(&server), "{:?}", server.node);
            let horizon = |s: &Server| s.protocol.horizon(&s.node, Instant(s.now)).0 - s.now;
            assert_eq!(horizon(&moved), horizon(&server));
            let mut moved_outcome = match &chosen {
                Move::Input(input) => {
                    play(&mut moved, (Move::Input(rebased(input, now, to)), draw))
                }
                Move::Wait(_) | Move::Poll(..) => play(&mut moved, (chosen.clone(), draw)),
            };
            let mut outcome = play(&mut server, (chosen, draw));
            if let Some(request) = &mut outcome.request {
                request.message.rebase(now, to);
            }
            // Readers go by the last view that was published.
            let mut moved_seen = rebased_view(seen, now, to);
            let (published, moved_to) = (outcome.effects.publish.take(), Instant(moved.now));
            seen = published.unwrap_or(seen);
            moved_seen = moved_outcome.effects.publish.take().unwrap_or(moved_seen);
            assert_eq!(
                rebased_view(moved_seen, moved_to, to),
                rebased_view(seen, Instant(server.now), to)
            );
            assert_eq!(moved_outcome, outcome);
            let (mut left, mut right) = (server.node.clone(), moved.node);
            left.rebase(&params, Instant(server.now), to);
            right.rebase(&params, Instant(moved.now), to);
            assert_eq!(left, right);
        }
    }
    check(5_000, law as fn(Start, Vec<Turn>, u16));
}

/// Rebasing once is enough.
#[test]
fn moving_the_clock_twice_is_moving_it_once() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        let params = server.protocol.params;
        for turn in script {
            let chosen = turn.resolve(&server.node);
            play(&mut server, chosen);
            let (now, far, to) = (Instant(server.now), Instant(500 * E), Instant(900 * E));
            let (mut once, mut twice) = (server.node.clone(), server.node.clone());
            once.rebase(&params, now, to);
            twice.rebase(&params, now, far);
            twice.rebase(&params, far, to);
            assert_eq!(once, twice, "at {now:?}");
        }
    }
    check(500, law as fn(Start, Vec<Turn>));
}

/// The law of `Node::renumber_writes`: only the order of the numbers matters.
#[test]
fn a_step_commutes_with_renumbering_the_writes() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let mut moved = server.clone();
            let by = moved.node.renumber_writes();
            let less = |id: WriteId| WriteId(id.0.saturating_sub(by));
            let moved_move = match &chosen {
                Move::Input(Input::Persisted(id)) => Move::Input(Input::Persisted(less(*id))),
                Move::Input(_) | Move::Wait(_) | Move::Poll(..) => chosen.clone(),
            };
            let moved_outcome = play(&mut moved, (moved_move, draw));
            let mut outcome = play(&mut server, (chosen, draw));
            let Outcome { effects, request } = &mut outcome;
            effects.persist.iter_mut().for_each(|persist| persist.id = less(persist.id));
            let outgoing = effects.send.iter_mut().chain(request);
            outgoing.for_each(|outgoing| outgoing.needs = less(outgoing.needs));
            assert_eq!(moved_outcome, outcome);
            let mut node = server.node.clone();
            assert_eq!(node.renumber_writes(), by + moved.node.renumber_writes());
            assert_eq!(node, moved.node);
        }
    }
    check(2_000, law as fn(Start, Vec<Turn>));
}

/// The law of `Node::renumber_rounds`: of two rounds only which is later matters, and that only for
/// those that reads wait for. Renumbered are the stamps of the leader's requests, and of the answers
/// to them.
#[test]
fn a_step_commutes_with_renumbering_the_rounds_of_reads() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let mut moved = server.clone();
            let by = moved.node.renumber_rounds();
            let less = |stamp: &mut Stamp| stamp.round = stamp.round.saturating_sub(by);
            let mut moved_move = chosen.clone();
            if let Move::Input(Input::Receive(envelope)) = &mut moved_move
                && matches!(envelope.message.body, Body::AppendEntriesReply(_))
            {
                less(&mut envelope.message.stamp);
            }
            let moved_outcome = play(&mut moved, (moved_move, draw));
            let mut outcome = play(&mut server, (chosen, draw));
            outcome.request.iter_mut().for_each(|request| less(&mut request.message.stamp));
            assert_eq!(moved_outcome, outcome);
            let mut node = server.node.clone();
            let (all, rest) = (node.renumber_rounds(), moved.node.renumber_rounds());
            assert!(all == by + rest || !node.is_leader(), "{by} and {rest} are not {all}");
            assert_eq!(node, moved.node);
        }
    }
    check(5_000, law as fn(Start, Vec<Turn>));
}

/// A leader that goes on reading does not count for ever: what no read waits for is forgotten.
#[test]
fn renumbered_rounds_stay_small() {
    let mut server = Setup::default().lead(&[2]);
    for token in 0..50 {
        server.step(read(token));
        let request = server.poll(2).unwrap().message;
        let answer = Message { stamp: request.stamp, ..Message::new(Term(1), accepted(1)) };
        server.step(Input::Receive(Envelope { from: n(2), to: n(1), message: answer }));
        assert_eq!(server.leadership().reads, []);
        let by = server.node.renumber_rounds();
        assert_eq!((server.leadership().round, by), (1, u64::from(token > 0)));
    }
}

/// The law of `Rename`: no rule looks at a name but to compare it.
#[test]
fn a_step_commutes_with_renaming_the_servers() {
    fn law(start: Start, script: Vec<Turn>) {
        let other_name = |id: NodeId| NodeId(20 - id.0);
        let mut server = start.server();
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let mut moved = server.clone();
            moved.node.rename(&other_name);
            let moved_move = match chosen.clone() {
                Move::Input(Input::Receive(mut envelope)) => {
                    envelope.rename(&other_name);
                    Move::Input(Input::Receive(envelope))
                }
                Move::Input(Input::ChangeMembers(mut target)) => {
                    target.rename(&other_name);
                    Move::Input(Input::ChangeMembers(target))
                }
                Move::Poll(peer, limit) => Move::Poll(other_name(peer), limit),
                Move::Input(Input::SnapshotReported { peer, index }) => {
                    let peer = other_name(peer);
                    Move::Input(Input::SnapshotReported { peer, index })
                }
                Move::Input(Input::TransferLeadership(to)) => {
                    Move::Input(Input::TransferLeadership(other_name(to)))
                }
                Move::Wait(_) | Move::Input(_) => chosen.clone(),
            };
            let moved_outcome = play(&mut moved, (moved_move, draw));
            let mut outcome = play(&mut server, (chosen, draw));
            let Outcome { effects, request } = &mut outcome;
            effects.persist.iter_mut().for_each(|persist| persist.write.rename(&other_name));
            effects.install.iter_mut().for_each(|snapshot| snapshot.rename(&other_name));
            effects.publish.iter_mut().for_each(|view| view.leader.rename(&other_name));
            for Outgoing { to, message, .. } in effects.send.iter_mut().chain(request) {
                to.rename(&other_name);
                message.rename(&other_name);
            }
            effects.refused.clear();
            let mut node = server.node.clone();
            node.rename(&other_name);
            let without_reasons =
                |o: Outcome| Outcome { effects: Effects { refused: vec![], ..o.effects }, ..o };
            assert_eq!((node, outcome), (moved.node, without_reasons(moved_outcome)));
        }
    }
    check(2_000, law as fn(Start, Vec<Turn>));
}
