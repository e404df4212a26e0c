//! Which splits of a network are dangerous: both sides find a quorum among themselves.

use quorate_spec::{Configuration, NodeId, Rules, Sound};
use serde::Serialize;

use super::binomial::choose;

/// The most servers whose splits are enumerated.
pub const MOST: u64 = 12;

/// A set of servers: bit `i` stands for server `i`.
pub type Side = u64;

/// Every way in which a network can split `servers` into two sides, none of them empty. Which side is
/// which counts, so there are `2^N - 2`: each server lands on either side like a tossed coin.
pub fn splits(servers: u64) -> impl Iterator<Item = (Side, Side)> {
    let all = (1 << servers) - 1;
    (1..all).map(move |side| (side, all & !side))
}

/// The splits in which one side satisfies the one rule and the other side the other.
#[must_use]
pub fn dangerous(
    servers: u64,
    one: impl Fn(Side) -> bool,
    other: impl Fn(Side) -> bool,
) -> Vec<(Side, Side)> {
    let both = |(a, b): &(Side, Side)| (one(*a) && other(*b)) || (other(*a) && one(*b));
    splits(servers).filter(both).collect()
}

/// Whether these servers are a quorum where any `quorum` of them are.
pub fn counts(quorum: u64) -> impl Fn(Side) -> bool + Copy {
    move |side| u64::from(side.count_ones()) >= quorum
}

/// Whether these servers are a quorum by the rule of the protocol itself.
pub fn decides(configuration: &Configuration) -> impl Fn(Side) -> bool {
    move |side| Sound.is_quorum(configuration, &|id: NodeId| side & (1 << id.0) != 0)
}

/// A configuration of the first so many servers.
#[must_use]
pub fn simple(servers: u64) -> Configuration {
    Configuration::of((0..servers).map(NodeId))
}

/// How many servers of so many are a quorum, asked of the protocol.
#[must_use]
pub fn majority(servers: u64) -> u64 {
    let configuration = simple(servers);
    let is_quorum = decides(&configuration);
    let first = |size: &u64| is_quorum((1 << size) - 1);
    (1..=servers).find(first).expect("all servers together are a quorum")
}

/// What the splits of a cluster come to.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Splits {
    /// The number of servers.
    pub servers: u64,
    /// How many are a quorum.
    pub quorum: u64,
    /// Whether that is the protocol's own rule, and not one that somebody has configured.
    pub majority: bool,
    /// The ways to split them.
    pub splits: usize,
    /// The ways by which both sides have a quorum: two leaders, and two truths.
    pub dangerous: usize,
    /// Their share, where each way is as likely as any other; none where there is no way to split.
    pub probability: Option<f64>,
}

impl Splits {
    /// Enumerates the splits of `servers` of which any `quorum` decide.
    #[must_use]
    pub fn of(servers: u64, quorum: u64) -> Splits {
        let found = Splits::ways(servers, quorum).len();
        let splits = splits(servers).count();
        Splits {
            servers,
            quorum,
            majority: quorum == majority(servers),
            splits,
            dangerous: found,
            probability: (splits > 0).then(|| found as f64 / splits as f64),
        }
    }

    /// The dangerous splits themselves. Where the quorum is the majority the protocol's own rule is
    /// asked; any other quorum is a plain count, for no rule of the protocol has it.
    #[must_use]
    pub fn ways(servers: u64, quorum: u64) -> Vec<(Side, Side)> {
        if quorum == majority(servers) {
            let configuration = simple(servers);
            let rule = decides(&configuration);
            return dangerous(servers, &rule, &rule);
        }
        dangerous(servers, counts(quorum), counts(quorum))
    }
}

/// The dangerous splits by a formula: one side has `k` servers, and both `k` and what is left are at
/// least a quorum.
#[must_use]
pub fn formula(servers: u64, quorum: u64) -> u64 {
    (quorum..=servers.saturating_sub(quorum)).map(|k| choose(servers, k)).sum()
}

/// The splits of a cluster whose voters change, in which an old and a new majority do not meet.
#[derive(Clone, PartialEq, Debug, Serialize)]
pub struct Change {
    /// The number of old voters: the first ones.
    pub old: u64,
    /// The number of new voters: the first ones.
    pub new: u64,
    /// The ways to split all of them.
    pub splits: usize,
    /// Dangerous where some servers go by the old majority and others by the new one already.
    pub without_joint: usize,
    /// Dangerous where some go by the old majority, or the new one, and others by both (thesis §4.3).
    pub with_joint: usize,
}

impl Change {
    /// The change from the first `old` servers to the first `new` ones.
    #[must_use]
    pub fn of(old: u64, new: u64) -> Change {
        let servers = old.max(new);
        let (before, after) = (simple(old), simple(new));
        let joint = Configuration { outgoing: before.voters.clone(), ..after.clone() };
        let (before, after, joint) = (decides(&before), decides(&after), decides(&joint));
        let crossing = [
            dangerous(servers, &before, &joint),
            dangerous(servers, &joint, &joint),
            dangerous(servers, &joint, &after),
        ];
        Change {
            old,
            new,
            splits: splits(servers).count(),
            without_joint: dangerous(servers, &before, &after).len(),
            with_joint: crossing.iter().map(Vec::len).sum(),
        }
    }
}
