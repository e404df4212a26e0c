//! Sets and maps of a few servers: sorted vectors.
//!
//! Every step counts quorums, and a checker clones the nodes of each state. A cluster has three to
//! seven servers: with trees for them a round of AppendEntries took nearly twice as long (`cargo
//! bench -p quorate-spec --bench round`), and a check a quarter more memory. To put one in among
//! many is slow, so what grows with the log is kept in trees.

use alloc::vec::Vec;
use core::fmt;
use core::iter;
use core::slice;

/// Up to so many, looking at each in turn is faster than halving.
const FEW: usize = 8;

/// A set in ascending order.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(
    feature = "serde",
    serde(from = "Vec<T>", bound(deserialize = "T: Ord + serde::Deserialize<'de>"))
)]
pub struct Set<T>(Vec<T>);

/// A map in ascending order of its keys.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Map<K, V>(Vec<(K, V)>);

impl<T> Default for Set<T> {
    fn default() -> Self {
        Set::new()
    }
}

impl<T> Set<T> {
    /// The empty set.
    #[must_use]
    pub const fn new() -> Self {
        Set(Vec::new())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The least.
    #[must_use]
    pub fn first(&self) -> Option<&T> {
        self.0.first()
    }

    /// The greatest.
    #[must_use]
    pub fn last(&self) -> Option<&T> {
        self.0.last()
    }

    /// All, in ascending order.
    pub fn iter(&self) -> slice::Iter<'_, T> {
        self.0.iter()
    }
}

impl<T: Ord> Set<T> {
    /// Whether this is one of them.
    #[must_use]
    pub fn contains(&self, item: &T) -> bool {
        if self.0.len() <= FEW { self.0.contains(item) } else { self.0.binary_search(item).is_ok() }
    }

    /// Adds this one; false if it is there already.
    pub fn insert(&mut self, item: T) -> bool {
        match self.0.binary_search(&item) {
            Ok(_) => false,
            Err(at) => {
                self.0.insert(at, item);
                true
            }
        }
    }

    /// Takes this one away; false if it is not there.
    pub fn remove(&mut self, item: &T) -> bool {
        let found = self.0.binary_search(item);
        found.is_ok_and(|at| {
            self.0.remove(at);
            true
        })
    }

    /// Whether no item is in both.
    #[must_use]
    pub fn is_disjoint(&self, other: &Self) -> bool {
        self.intersection(other).next().is_none()
    }

    /// Those of either, each once, in ascending order.
    pub fn union<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a T> {
        let (mut a, mut b) = (self.iter().peekable(), other.iter().peekable());
        iter::from_fn(move || {
            let next = [a.peek(), b.peek()].into_iter().flatten().min().copied()?;
            a.next_if_eq(&next);
            b.next_if_eq(&next);
            Some(next)
        })
    }

    /// Those of this one that are not in the other.
    pub fn difference<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a T> {
        self.iter().filter(|item| !other.contains(item))
    }

    /// Those of this one that are in the other, too.
    pub fn intersection<'a>(&'a self, other: &'a Self) -> impl Iterator<Item = &'a T> {
        self.iter().filter(|item| other.contains(item))
    }
}

impl<T: Ord> FromIterator<T> for Set<T> {
    fn from_iter<I: IntoIterator<Item = T>>(items: I) -> Self {
        let mut all: Vec<T> = items.into_iter().collect();
        all.sort_unstable();
        all.dedup();
        Set(all)
    }
}

impl<T: Ord> From<Vec<T>> for Set<T> {
    fn from(items: Vec<T>) -> Self {
        items.into_iter().collect()
    }
}

impl<T: Ord, const N: usize> From<[T; N]> for Set<T> {
    fn from(items: [T; N]) -> Self {
        items.into_iter().collect()
    }
}

impl<'a, T> IntoIterator for &'a Set<T> {
    type Item = &'a T;
    type IntoIter = slice::Iter<'a, T>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<T> IntoIterator for Set<T> {
    type Item = T;
    type IntoIter = alloc::vec::IntoIter<T>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<T: fmt::Debug> fmt::Debug for Set<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(&self.0).finish()
    }
}

impl<K, V> Default for Map<K, V> {
    fn default() -> Self {
        Map::new()
    }
}

impl<K, V> Map<K, V> {
    /// The empty map.
    #[must_use]
    pub const fn new() -> Self {
        Map(Vec::new())
    }

    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All, in ascending order of their keys.
    pub fn iter(&self) -> Pairs<'_, K, V> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// The keys in ascending order.
    pub fn keys(&self) -> impl Iterator<Item = &K> {
        self.0.iter().map(|(key, _)| key)
    }

    /// The values in ascending order of their keys.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.0.iter().map(|(_, value)| value)
    }

    /// The values in ascending order of their keys.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.0.iter_mut().map(|(_, value)| value)
    }

    /// Lets go of those that `keeps` does not keep.
    pub fn retain(&mut self, mut keeps: impl FnMut(&K, &mut V) -> bool) {
        self.0.retain_mut(|(key, value)| keeps(key, value));
    }
}

impl<K: Ord, V> Map<K, V> {
    /// The value of this key.
    #[must_use]
    pub fn get(&self, key: &K) -> Option<&V> {
        let at = self.find(key)?;
        self.0.get(at).map(|(_, value)| value)
    }

    /// Whether it has this key.
    #[must_use]
    pub fn contains_key(&self, key: &K) -> bool {
        self.get(key).is_some()
    }

    /// The value of this key.
    pub fn get_mut(&mut self, key: &K) -> Option<&mut V> {
        let at = self.find(key)?;
        self.0.get_mut(at).map(|(_, value)| value)
    }

    /// Sets the value of this key.
    pub fn insert(&mut self, key: K, value: V) {
        if let Some(present) = self.get_mut(&key) {
            *present = value;
        } else {
            let at = self.0.partition_point(|(before, _)| *before < key);
            self.0.insert(at, (key, value));
        }
    }

    fn find(&self, key: &K) -> Option<usize> {
        if self.0.len() <= FEW {
            return self.0.iter().position(|(present, _)| present == key);
        }
        self.0.binary_search_by(|(present, _)| present.cmp(key)).ok()
    }
}

impl<K: Ord, V> FromIterator<(K, V)> for Map<K, V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(items: I) -> Self {
        let mut all = Map::new();
        for (key, value) in items {
            all.insert(key, value);
        }
        all
    }
}

/// The pairs of a map, in ascending order of their keys.
pub type Pairs<'a, K, V> = iter::Map<slice::Iter<'a, (K, V)>, fn(&'a (K, V)) -> (&'a K, &'a V)>;

impl<'a, K, V> IntoIterator for &'a Map<K, V> {
    type Item = (&'a K, &'a V);
    type IntoIter = Pairs<'a, K, V>;

    fn into_iter(self) -> Self::IntoIter {
        self.iter()
    }
}

impl<K, V> IntoIterator for Map<K, V> {
    type Item = (K, V);
    type IntoIter = alloc::vec::IntoIter<(K, V)>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl<K: fmt::Debug, V: fmt::Debug> fmt::Debug for Map<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}
