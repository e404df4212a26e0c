//! Laws of the data: each type against a deliberately dumb alternative.
#![allow(clippy::unwrap_used, missing_docs)]

use crate::common::dice::{Dice, check};
use crate::common::{
    accepted, conflict, entries, entry, heartbeat, install, pre_vote, pre_vote_reply, read_index,
    read_index_reply, request_vote, stale, vote, voters,
};
use quickcheck::{Arbitrary, Gen};
use quorate_spec::configuration::reached_by_quorum;
use quorate_spec::log::Run;
use quorate_spec::property::cluster::quorums_intersect;
use quorate_spec::small::Set;
use quorate_spec::{
    Body, Configuration, Entries, EntryId, Gate, Index, Kind, NodeId, Sound, Target, Term, WriteId,
};

/// Entries that may come from anywhere: a few runs and configurations of likely and hostile values.
#[derive(Clone, Debug)]
struct Foreign {
    entries: Entries,
    previous: EntryId,
    term: Term,
}

impl Arbitrary for Foreign {
    fn arbitrary(g: &mut Gen) -> Foreign {
        const FAR: [u64; 10] = [0, 1, 2, 3, 4, 5, 6, u64::MAX - 1, u64::MAX, 1 << 40];
        let mut dice = Dice::of(g);
        let mut any = |likely: u64| if dice.one_in(9) { dice.pick(&FAR) } else { likely };
        let previous = entry(any(2), any(1));
        let runs =
            (1..=any(2) % 4).map(|i| Run { term: Term(any(i)), last: Index(any(2 + 2 * i)) });
        let runs = runs.collect();
        let voters = |count: u64| Configuration::of((0..count % 3).map(NodeId));
        let configurations = (0..any(1) % 3).map(|i| (Index(any(3 + i)), voters(any(2)))).collect();
        Foreign { entries: Entries { runs, configurations }, previous, term: Term(any(4)) }
    }
}

impl Foreign {
    /// Entry by entry, in numbers that do not overflow. A long run is as good as its two ends.
    fn is_well_formed(&self) -> bool {
        let Foreign { entries, previous, term } = self;
        let mut listed = vec![(u128::from(previous.index.0), previous.term)];
        let mut starts = Vec::new();
        for run in &entries.runs {
            let (first, last) = (listed.last().unwrap().0 + 1, u128::from(run.last.0));
            starts.push(listed.len());
            match last.checked_sub(first) {
                None => return false,
                Some(0..10) => listed.extend((first..=last).map(|index| (index, run.term))),
                Some(_) => listed.extend([(first, run.term), (last, run.term)]),
            }
        }
        let rising = listed.windows(2).all(|pair| pair[0].1 <= pair[1].1);
        let led = listed[1..].iter().all(|(_, of)| of <= term);
        let one_form = starts.iter().skip(1).all(|start| listed[*start].1 != listed[start - 1].1);
        let end = listed.last().unwrap().0;
        let mut indices = vec![u128::from(previous.index.0)];
        indices.extend(entries.configurations.iter().map(|(index, _)| u128::from(index.0)));
        let inside = indices.windows(2).all(|pair| pair[0] < pair[1] && pair[1] <= end);
        let someone_votes = entries.configurations.iter().all(|(_, c)| !c.voters.is_empty());
        rising && led && one_form && inside && someone_votes
    }
}

/// A message comes from outside: gaps, falling terms, empty runs and overflowing indices are seen.
/// More than these may be refused, if nobody honest says it.
#[test]
fn entries_are_well_formed_exactly_if_each_of_them_is() {
    fn law(foreign: Foreign) {
        let Foreign { entries, previous, term } = &foreign;
        let actual = entries.is_well_formed(*previous, *term);
        let likely = *previous <= EntryId { term: *term, index: Index(1 << 50) };
        if actual || (likely && entries.last_index(previous.index) < Index(1 << 50)) {
            assert_eq!(actual, foreign.is_well_formed());
        }
    }
    check(50_000, law as fn(Foreign));
    let mut g = Gen::from_size_and_seed(10, 1);
    let good = (0..1_000).filter(|_| Foreign::arbitrary(&mut g).is_well_formed()).count();
    assert!((100..900).contains(&good), "{good} of 1000 are well-formed: not a fair law");
}

/// A configuration, and a value for each of n0 to n8.
#[derive(Clone, Debug)]
struct Members(Configuration, Vec<u64>);

impl Arbitrary for Members {
    fn arbitrary(g: &mut Gen) -> Members {
        let mut dice = Dice::of(g);
        let mut some = |odds| (1..=7).filter(|_| dice.one_in(odds)).map(NodeId).collect();
        let (voters, learners, mut outgoing): (_, _, Set<_>) = (some(2), some(3), some(2));
        if dice.one_in(2) {
            outgoing = Set::new();
        }
        let mut target = None;
        if outgoing.is_empty() && dice.one_in(2) {
            let mut some = |odds| (1..=7).filter(|_| dice.one_in(odds)).map(NodeId).collect();
            target = Some(Target { voters: some(2), learners: some(3) });
        }
        let values = (0..9).map(|_| dice.below(5)).collect();
        Members(Configuration { voters, outgoing, learners, target }, values)
    }
}

/// Thesis §4.3: more than half of each half, counted on the fingers.
#[test]
fn a_quorum_is_more_than_half_of_each_half() {
    fn law(Members(configuration, values): Members) {
        let has = |id: NodeId| values[id.0 as usize] > 1;
        let mut halves = vec![&configuration.voters];
        halves.extend((!configuration.outgoing.is_empty()).then_some(&configuration.outgoing));
        let counted = halves.iter().all(|half| {
            let (mut yes, mut no) = (0, 0);
            half.iter().for_each(|id| *if has(*id) { &mut yes } else { &mut no } += 1);
            yes > no
        });
        assert_eq!(configuration.is_quorum(has), counted);
    }
    check(5_000, law as fn(Members));
}

/// Rule J1: who votes and who receives entries, each server once.
#[test]
fn members_are_the_voters_of_both_halves_the_learners_and_who_is_to_become_one() {
    fn law(Members(configuration, _): Members) {
        let Configuration { voters, outgoing, learners, target } = &configuration;
        let coming = |id: &NodeId| {
            target.iter().any(|to| to.voters.contains(id) || to.learners.contains(id))
        };
        let votes = |id: &NodeId| voters.contains(id) || outgoing.contains(id);
        let (voting, not): (Vec<_>, Vec<_>) = (0..9).map(NodeId).partition(votes);
        assert_eq!(configuration.all_voters().collect::<Vec<_>>(), voting);
        assert!(voting.iter().all(|id| configuration.is_voter(*id)));
        assert!(!not.iter().any(|id| configuration.is_voter(*id)));
        let mut members: Vec<NodeId> = configuration.members().collect();
        members.sort_unstable();
        let named = |id: &NodeId| votes(id) || learners.contains(id) || coming(id);
        assert_eq!(members, (0..9).map(NodeId).filter(named).collect::<Vec<_>>());
    }
    check(2_000, law as fn(Members));
}

/// Voters of the past and of the future, out of six servers.
#[derive(Clone, Debug)]
struct Change(Set<NodeId>, Set<NodeId>, Set<NodeId>);

impl Arbitrary for Change {
    fn arbitrary(g: &mut Gen) -> Change {
        let mut dice = Dice::of(g);
        let mut some = || {
            let first = NodeId(dice.below(6));
            (0..6).map(NodeId).filter(|id| *id == first || dice.one_in(2)).collect()
        };
        Change(some(), some(), some())
    }
}

/// Thesis §4.3: configurations that can be in force side by side have quorums that intersect: one
/// with itself, a joint one with both its halves, and with another joint one that leaves the same
/// voters. Those before and after a change need not, and here is one of each kind.
#[test]
fn quorums_intersect_all_through_a_change_and_need_not_without_the_joint_configuration() {
    let simple = |voters: &Set<NodeId>| Configuration::of(voters.iter().copied());
    let joint = |old: &Set<NodeId>, new: &Set<NodeId>| {
        let target = Target { voters: new.clone(), ..Target::default() };
        simple(old).enter_joint(&target)
    };
    let law = move |Change(old, new, other): Change| {
        let (before, between, after) = (simple(&old), joint(&old, &new), simple(&new));
        let rival = joint(&old, &other);
        let pairs = [
            (&before, &before),
            (&before, &between),
            (&between, &between),
            (&between, &rival),
            (&between, &after),
        ];
        pairs.iter().all(|(a, b)| quorums_intersect(&Sound, a, b)) && between.leave() == after
    };
    let mut g = Gen::from_size_and_seed(60, 3);
    let changes: Vec<Change> = (0..2_000).map(|_| Change::arbitrary(&mut g)).collect();
    assert!(changes.iter().cloned().all(law));
    let straight = |c: &&Change| !quorums_intersect(&Sound, &simple(&c.0), &simple(&c.1));
    assert!(changes.iter().filter(straight).count() > 100, "they need not intersect");
    let (three, five) =
        (simple(&(0..3).map(NodeId).collect()), simple(&(0..5).map(NodeId).collect()));
    assert!(!quorums_intersect(&Sound, &three, &five), "n1 and n2, and n0, n3 and n4");
}

/// What a quorum has reached is what the last of the first majority has, in the worse half.
#[test]
fn what_a_quorum_has_reached_is_found_by_sorting() {
    fn law(Members(configuration, values): Members) {
        let value = |id: NodeId| values[id.0 as usize];
        let of_half = |half: &Set<NodeId>| {
            let mut sorted: Vec<u64> = half.iter().map(|id| value(*id)).collect();
            sorted.sort_unstable_by(|a, b| b.cmp(a));
            sorted.get(half.len() / 2).copied()
        };
        let mut expected = of_half(&configuration.voters);
        if configuration.is_joint() {
            expected = expected.min(of_half(&configuration.outgoing));
        }
        let is_quorum = |has: &dyn Fn(NodeId) -> bool| configuration.is_quorum(has);
        assert_eq!(reached_by_quorum(&configuration, value, is_quorum), expected);
    }
    check(5_000, law as fn(Members));
}

/// What happens to a gate: an item comes with what it needs, writes are reported, or renumbered.
#[derive(Clone, Debug)]
enum Passage {
    Item(u64, u8),
    Report(u64),
    Renumber(u64),
}

impl Arbitrary for Passage {
    fn arbitrary(g: &mut Gen) -> Passage {
        let mut dice = Dice::of(g);
        let id = dice.below(12);
        match dice.below(8) {
            0 => Passage::Renumber(id / 2),
            1..4 => Passage::Report(id),
            _ => Passage::Item(id, dice.below(4) as u8),
        }
    }
}

/// The gate is a list of what waits, though reports come out of order, twice, or once for many. It
/// keeps nothing twice.
#[test]
fn the_gate_lets_out_what_a_list_would() {
    fn law(passages: Vec<Passage>) {
        let (mut gate, mut list, mut reported) = (Gate::default(), Vec::<(u64, u8)>::new(), 0);
        for passage in passages {
            match passage {
                Passage::Item(needs, item) => {
                    let free = (needs <= reported).then_some(item);
                    assert_eq!(gate.pass(WriteId(needs), item), free);
                    if free.is_none() && !list.contains(&(needs, item)) {
                        list.push((needs, item));
                    }
                }
                Passage::Report(id) => {
                    reported = reported.max(id);
                    let is_free = |(needs, _): &(u64, u8)| *needs <= reported;
                    let items: Vec<u8> = list.iter().filter(|i| is_free(i)).map(|i| i.1).collect();
                    list.retain(|i| !is_free(i));
                    assert_eq!(gate.persisted(WriteId(id)), items);
                }
                Passage::Renumber(by) => {
                    gate.renumber(by);
                    reported -= by.min(reported);
                    list.iter_mut().for_each(|(needs, _)| *needs -= by.min(*needs));
                }
            }
            let held: Vec<_> = gate.held().map(|(needs, item)| (needs.0, *item)).collect();
            assert_eq!(held, list);
        }
    }
    check(2_000, law as fn(Vec<Passage>));
}

/// The kinds are those of the bodies, and six of them ask for something.
#[test]
fn six_kinds_of_messages_are_requests() {
    let (id, granted) = (entry(1, 1), true);
    let bodies = [
        (pre_vote(id, 1), true),
        (pre_vote_reply(1, 1, granted), false),
        (pre_vote_reply(1, 1, !granted), false),
        (request_vote(id), true),
        (vote(granted), false),
        (vote(!granted), false),
        (heartbeat(id, 1), true),
        (accepted(1), false),
        (conflict(1, id), false),
        (stale(), false),
        (install(id, voters(&[1])), true),
        (Body::TimeoutNow, true),
        (read_index(7), true),
        (read_index_reply(7, 1), false),
    ];
    assert_eq!(bodies.each_ref().map(|(body, _)| body.kind()), Kind::ALL);
    assert!(bodies.iter().all(|(body, asks)| body.kind().is_request() == *asks));
}

/// Terms and indices stop at the ends of their type.
#[test]
fn successors_and_predecessors_saturate() {
    assert_eq!((Index(0).previous(), Index(u64::MAX).next()), (Index(0), Index(u64::MAX)));
    assert_eq!((Term(1).next(), Term(u64::MAX).next()), (Term(2), Term(u64::MAX)));
    assert_eq!(Entries::of_term(Index(3), Term(1), 0), Entries::default());
    assert_eq!(Entries::of_term(Index(3), Term(1), 2), entries(3, &[1, 1]));
}
