//! Laws of the small sets and maps: each against a tree.
#![allow(missing_docs)]

use std::collections::{BTreeMap, BTreeSet};

use quickcheck::{Arbitrary, Gen};
use quorate_spec::NodeId;
use quorate_spec::small::{Map, Set};

use crate::common::dice::{Dice, check};
use crate::common::voters;

const KEYS: u64 = 16;

/// What happens to a set or a map: keys are few, so that they meet again, and more than are looked at in
/// turn.
#[derive(Clone, Copy, Debug)]
enum Change {
    Insert(u64, u64),
    Remove(u64),
    Retain(u64),
}

impl Arbitrary for Change {
    fn arbitrary(g: &mut Gen) -> Change {
        let mut dice = Dice::of(g);
        match dice.below(12) {
            0 => Change::Retain(dice.below(KEYS)),
            1 | 2 => Change::Remove(dice.below(KEYS)),
            _ => Change::Insert(dice.below(KEYS), dice.below(100)),
        }
    }
}

#[test]
fn a_set_is_what_a_tree_is() {
    fn law(changes: Vec<Change>, others: Vec<u64>) {
        let (mut set, mut tree) = (Set::new(), BTreeSet::new());
        for change in changes {
            match change {
                Change::Insert(item, _) => assert_eq!(set.insert(item), tree.insert(item)),
                Change::Remove(item) => assert_eq!(set.remove(&item), tree.remove(&item)),
                Change::Retain(below) => {
                    set = set.into_iter().filter(|item| *item < below).collect();
                    tree.retain(|item| *item < below);
                }
            }
            assert!(set.iter().eq(&tree), "{set:?} {tree:?}");
        }
        assert_eq!((set.len(), set.is_empty()), (tree.len(), tree.is_empty()));
        assert_eq!((set.first(), set.last()), (tree.first(), tree.last()));
        assert_eq!(format!("{set:?}"), format!("{tree:?}"));
        assert!((0..KEYS).all(|item| set.contains(&item) == tree.contains(&item)));
        let others: Vec<u64> = others.into_iter().map(|item| item % KEYS).collect();
        let (other, wood) = (Set::from(others.clone()), BTreeSet::from_iter(others));
        assert!(other.iter().eq(&wood), "from a list in any order");
        assert_eq!(set.is_disjoint(&other), tree.is_disjoint(&wood));
        assert!(set.union(&other).eq(tree.union(&wood)));
        assert!(set.intersection(&other).eq(tree.intersection(&wood)));
        assert!(set.difference(&other).eq(tree.difference(&wood)));
        assert_eq!(set.cmp(&other), tree.cmp(&wood));
    }
    check(5_000, law as fn(Vec<Change>, Vec<u64>));
}

#[test]
fn a_map_is_what_a_tree_is() {
    fn law(changes: Vec<Change>) {
        let (mut map, mut tree) = (Map::new(), BTreeMap::new());
        for change in changes {
            match change {
                Change::Insert(key, value) => {
                    map.insert(key, value);
                    tree.insert(key, value);
                }
                Change::Remove(key) => {
                    map.retain(|present, _| *present != key);
                    tree.remove(&key);
                }
                Change::Retain(below) => {
                    map.retain(|key, _| *key < below);
                    tree.retain(|key, _| *key < below);
                    map.values_mut().for_each(|value| *value += below);
                    tree.values_mut().for_each(|value| *value += below);
                }
            }
            assert!(map.iter().eq(&tree), "{map:?} {tree:?}");
        }
        assert_eq!((map.len(), map.is_empty()), (tree.len(), tree.is_empty()));
        assert!(map.keys().eq(tree.keys()) && map.values().eq(tree.values()));
        for key in 0..KEYS {
            assert_eq!(map.get(&key), tree.get(&key));
            assert_eq!(map.get_mut(&key), tree.get_mut(&key));
            assert_eq!(map.contains_key(&key), tree.contains_key(&key));
        }
        assert_eq!(format!("{map:?}"), format!("{tree:?}"));
        let pairs: Vec<(u64, u64)> = map.clone().into_iter().rev().collect();
        assert_eq!(pairs.into_iter().collect::<Map<_, _>>(), map, "in any order");
    }
    check(5_000, law as fn(Vec<Change>));
}

/// Voters and members, each once and the voters in order.
#[test]
fn members_are_all_that_are_named_each_once() {
    fn law(halves: (Vec<u64>, Vec<u64>), learners: Vec<u64>) {
        let ids = |all: &[u64]| all.iter().map(|id| NodeId(id % 8)).collect::<BTreeSet<_>>();
        let (new, old, learners) = (ids(&halves.0), ids(&halves.1), ids(&learners));
        let mut joint = voters(&[]);
        joint.voters = new.iter().copied().collect();
        joint.outgoing = old.iter().copied().collect();
        joint.learners = learners.iter().copied().collect();
        let all: Vec<NodeId> = new.union(&old).copied().collect();
        assert!(joint.all_voters().eq(all.iter().copied()));
        let mut members: Vec<NodeId> = joint.members().collect();
        members.sort_unstable();
        let named: BTreeSet<NodeId> = all.into_iter().chain(learners).collect();
        assert!(members.iter().eq(&named), "{members:?} {named:?}");
        assert!((0..9).map(NodeId).all(|id| joint.is_member(id) == named.contains(&id)));
        let present = joint.clone();
        let target = quorate_spec::Target { voters: present.voters, learners: present.learners };
        let mut simple = voters(&[9]);
        simple.target = Some(target);
        let named: BTreeSet<NodeId> = simple.members().collect();
        assert_eq!(simple.members().count(), named.len(), "each once, also where both name it");
        assert!((0..10).map(NodeId).all(|id| simple.is_member(id) == named.contains(&id)));
    }
    check(5_000, law as fn((Vec<u64>, Vec<u64>), Vec<u64>));
}
