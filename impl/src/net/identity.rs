//! Who a node says that it is.

use std::fmt;

use quorate_spec::NodeId;
use ring::rand::{SecureRandom, SystemRandom};
use thiserror::Error;
use xxhash_rust::xxh3::xxh3_64;

use crate::disk::DirectoryId;

/// What a node says of itself to every other one.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster that it belongs to.
    pub cluster: ClusterId,
    /// Its name there, never used again.
    pub id: NodeId,
    /// This life of it.
    pub incarnation: Incarnation,
    /// Its directory, in all its lives; none for a node without one, as in tests.
    pub directory: Option<DirectoryId>,
}

/// The name of a cluster, which keeps the nodes of different clusters apart: two clusters whose nodes
/// can reach each other never have the same. A name with a random part, `shop-4f1c09`, does that.
///
/// It is a label of a DNS name, for certificates carry it: see [`certificate_name`].
///
/// [`certificate_name`]: super::tls::certificate_name
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ClusterId(String);

/// What cannot be the name of a cluster.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error(
    "`{0}` cannot name a cluster: use 1 to 63 letters a-z, digits and hyphens, \
     with no hyphen at either end"
)]
pub struct BadClusterId(String);

impl ClusterId {
    /// The most bytes that a name has.
    pub(crate) const MOST: usize = 63;

    /// The cluster of this name.
    ///
    /// # Errors
    /// The name is no lower-case label of a DNS name.
    pub fn new(name: impl Into<String>) -> Result<ClusterId, BadClusterId> {
        let name = name.into();
        let inside = |c: u8| matches!(c, b'a'..=b'z' | b'0'..=b'9' | b'-');
        let fits = (1..=ClusterId::MOST).contains(&name.len())
            && name.bytes().all(inside)
            && !name.starts_with('-')
            && !name.ends_with('-');
        if fits { Ok(ClusterId(name)) } else { Err(BadClusterId(name)) }
    }

    /// A number that stands for the name where there is room for one only: its hash.
    #[must_use]
    pub fn number(&self) -> u64 {
        xxh3_64(self.0.as_bytes())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// One life of a node: drawn anew at every start. So a node that restarted is told from one that runs
/// twice, which shows as two incarnations that take turns.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Incarnation(pub u64);

impl Incarnation {
    /// A new one, from the system's random numbers.
    ///
    /// # Errors
    /// The system has none to give.
    pub fn draw() -> Result<Incarnation, NoRandomness> {
        let mut bytes = [0; 8];
        SystemRandom::new().fill(&mut bytes).map_err(|_| NoRandomness)?;
        Ok(Incarnation(u64::from_le_bytes(bytes)))
    }
}

impl fmt::Display for Incarnation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The system gives no random numbers.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
#[error("the system gives no random numbers: a node cannot tell this life from an earlier one")]
pub struct NoRandomness;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cluster_is_named_as_a_label_of_a_dns_name() {
        for good in ["a", "shop-4f1c09", &"x".repeat(63)] {
            assert_eq!(ClusterId::new(good).map(|id| id.as_str().to_owned()), Ok(good.to_owned()));
        }
        for bad in ["", "-a", "a-", "Shop", "a.b", "a b", "ü", &"x".repeat(64)] {
            assert_eq!(ClusterId::new(bad), Err(BadClusterId(bad.to_owned())));
        }
    }

    #[test]
    fn no_two_lives_are_the_same() {
        assert_ne!(Incarnation::draw(), Incarnation::draw());
    }
}
