//! The law of `Renumber`: no rule looks at a term or an index but to compare it, or to take the
//! next one.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::dice::check;
use crate::common::script::{Move, Start, Turn};
use quorate_spec::{
    Body, Effects, Entries, EntryId, Fatal, Index, Input, Limit, Log, Node, Numbers, Outgoing,
    Renumber, Term,
};

/// All terms are later, and something was in every log before its first entry.
const LATER: Numbers<'_> = Numbers {
    term: &|term| Term(term.0.saturating_add(7)),
    index: &|index| if index == Index::ZERO { index } else { Index(index.0.saturating_add(3)) },
};

fn moved_id(id: EntryId) -> EntryId {
    EntryId { term: (LATER.term)(id.term), index: (LATER.index)(id.index) }
}

/// Whether the step counts entries from the empty prefix on, so that more of them make a difference.
fn counts_from_nothing(node: &Node, chosen: &Move) -> bool {
    let limited =
        matches!(chosen, Move::Poll(_, Limit { entries }) if (1..u64::MAX).contains(entries));
    // A read goes by the first entry of the term, which is later if there were more before it.
    let reads = match chosen {
        Move::Input(Input::Read(_)) => true,
        Move::Input(Input::Receive(envelope)) => {
            matches!(envelope.message.body, Body::ReadIndex { .. })
        }
        _ => false,
    };
    let first = node.log().first_of_last_term(node.current_term());
    node.log().last().index == Index::ZERO || limited || reads && first == Some(Index(1))
}

fn moved(chosen: &Move) -> Move {
    match chosen.clone() {
        Move::Input(Input::Receive(mut envelope)) => {
            envelope.message.renumber(LATER);
            Move::Input(Input::Receive(envelope))
        }
        Move::Input(Input::SnapshotTaken { index }) => {
            Move::Input(Input::SnapshotTaken { index: (LATER.index)(index) })
        }
        Move::Input(Input::SnapshotReported { peer, index }) => {
            Move::Input(Input::SnapshotReported { peer, index: (LATER.index)(index) })
        }
        other => other,
    }
}

fn renumber_effects(effects: &mut Effects) {
    effects.persist.iter_mut().for_each(|persist| persist.write.renumber(LATER));
    effects.install.iter_mut().for_each(|snapshot| snapshot.renumber(LATER));
    effects.commit = effects.commit.map(LATER.index);
    effects.proposed.iter_mut().for_each(|proposed| proposed.first = moved_id(proposed.first));
    for read in &mut effects.reads {
        read.outcome = read.outcome.map(LATER.index);
    }
    for Outgoing { message, .. } in &mut effects.send {
        message.renumber(LATER);
    }
    if let Some(view) = &mut effects.publish {
        view.term = (LATER.term)(view.term);
        view.commit_index = (LATER.index)(view.commit_index);
    }
}

/// Reasons are for people. The first of the entries that came into being is none that was moved.
fn forget_reasons(effects: &mut Effects) {
    effects.refused.clear();
    effects.fatal = effects.fatal.map(|_| Fatal::CommittedConflict(Index::ZERO));
}

#[test]
fn a_step_commutes_with_renumbering_terms_and_indices() {
    fn law(start: Start, script: Vec<Turn>) {
        let mut server = start.server();
        for turn in script {
            let (chosen, draw) = turn.resolve(&server.node);
            let mut later = server.clone();
            later.node.renumber(LATER);
            let same = !counts_from_nothing(&server.node, &chosen);
            let (mut sent, mut later_sent) = (Effects::default(), Effects::default());
            for (server, chosen, effects) in [
                (&mut server, chosen.clone(), &mut sent),
                (&mut later, moved(&chosen), &mut later_sent),
            ] {
                server.draw = draw;
                match chosen {
                    Move::Wait(time) => server.now += time,
                    Move::Poll(peer, limit) => {
                        effects.send.extend(server.poll_up_to(peer.0, limit));
                    }
                    Move::Input(input) => *effects = server.step(input),
                }
            }
            if same {
                renumber_effects(&mut sent);
                forget_reasons(&mut sent);
                forget_reasons(&mut later_sent);
                let mut node = server.node.clone();
                node.renumber(LATER);
                assert_eq!((node, sent), (later.node, later_sent), "{chosen:?}");
            }
        }
    }
    check(4_000, law as fn(Start, Vec<Turn>));
}

/// What the model makes of long logs: of entries that nothing tells apart the last one stays.
#[test]
fn an_entry_whose_index_becomes_that_of_the_one_before_it_is_gone() {
    let log = |ids: &[(u64, u64)]| {
        let mut log = Log::new(crate::common::voters(&[1, 2, 3]));
        for (term, index) in ids {
            log.append(&Entries::of_term(Index(index - 1), Term(*term), 1));
        }
        log
    };
    let mut long = log(&[(1, 1), (1, 2), (4, 3), (6, 4), (6, 5)]);
    let kept = [2, 4, 5];
    let index = |at: Index| Index(kept.iter().filter(|kept| **kept <= at.0).count() as u64);
    long.renumber(Numbers { term: &|term| Term(term.0 / 2), index: &index });
    assert_eq!(long, log(&[(0, 1), (3, 2), (3, 3)]));
}
