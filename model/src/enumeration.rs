//! QuorumIntersection by enumeration: every pair of majorities of one to seven voters, and every
//! pair of configurations that can be in force side by side while the members change.

use std::fmt::Write;
use std::ops::RangeInclusive;

use quorate_spec::{Configuration, NodeId, Rules};

/// The numbers of voters that are enumerated.
pub const VOTERS: RangeInclusive<u64> = 1..=7;

/// What the enumeration of one number of voters found.
pub struct Enumerated {
    /// The number of voters.
    pub voters: u64,
    /// The sets of voters that are quorums.
    pub quorums: usize,
    /// The pairs of quorums that share no voter: none, if the rule is sound.
    pub disjoint: usize,
}

/// Enumerates all pairs of quorums of `voters` voters.
#[must_use]
pub fn enumerate(rules: &impl Rules, voters: u64) -> Enumerated {
    let configuration = Configuration::of((0..voters).map(NodeId));
    let is_quorum =
        |set: u64| rules.is_quorum(&configuration, &|id: NodeId| set & (1 << id.0) != 0);
    let quorums: Vec<u64> = (0..1 << voters).filter(|set| is_quorum(*set)).collect();
    let pairs = quorums.iter().flat_map(|a| quorums.iter().map(move |b| (a, b)));
    let disjoint = pairs.filter(|(a, b)| *a & *b == 0).count();
    Enumerated { voters, quorums: quorums.len(), disjoint }
}

/// How many servers the configurations are made of that are enumerated in pairs.
pub const SERVERS: u32 = 6;

/// What the enumeration of pairs of configurations of [`SERVERS`] servers found.
pub struct Pairs {
    /// Which configurations.
    pub name: &'static str,
    /// How many pairs of them.
    pub pairs: usize,
    /// The pairs of which a quorum of the one and a quorum of the other share no server.
    pub disjoint: usize,
}

/// A configuration's quorums: bit `s` is set where the servers of the bits of `s` are one. Every set
/// of six servers is a number below 64.
type Quorums = u64;

/// Every pair of configurations that can be in force side by side while one change is under way
/// (§4.3), and last the pair that joint consensus is there to avoid.
#[must_use]
pub fn pairs(rules: &impl Rules) -> Vec<Pairs> {
    let sets: Vec<u64> = (1..1 << SERVERS).collect();
    let ids = |set: u64| (0..u64::from(SERVERS)).filter(move |id| set & (1 << id) != 0).map(NodeId);
    let quorums = |old: u64, new: u64| -> Quorums {
        let configuration =
            Configuration { outgoing: ids(old).collect(), ..Configuration::of(ids(new)) };
        let is_quorum =
            |set: &u64| rules.is_quorum(&configuration, &|id: NodeId| set & (1 << id.0) != 0);
        (0..1 << SERVERS).filter(is_quorum).fold(0, |all, set| all | 1 << set)
    };
    let simple: Vec<Quorums> = sets.iter().map(|new| quorums(0, *new)).collect();
    let joint: Vec<Vec<Quorums>> =
        sets.iter().map(|old| sets.iter().map(|new| quorums(*old, *new)).collect()).collect();
    // All but the servers of a quorum hold another one: reversing the bits complements the sets.
    let disjoint = |a: Quorums, b: Quorums| a & b.reverse_bits() != 0;
    let count = |name, pairs: &mut dyn Iterator<Item = (Quorums, Quorums)>| {
        pairs.fold(Pairs { name, pairs: 0, disjoint: 0 }, |found, (a, b)| Pairs {
            pairs: found.pairs + 1,
            disjoint: found.disjoint + usize::from(disjoint(a, b)),
            ..found
        })
    };
    let both = || (0..sets.len()).flat_map(|old| (0..sets.len()).map(move |new| (old, new)));
    let rivals = |(old, new): (usize, usize)| {
        let (one, all) = (joint[old][new], &joint[old]);
        all.iter().map(move |other| (one, *other))
    };
    vec![
        count("C with C", &mut simple.iter().map(|c| (*c, *c))),
        count("C_old with joint", &mut both().map(|(old, new)| (simple[old], joint[old][new]))),
        count("joint with joint of one C_old", &mut both().flat_map(rivals)),
        count("joint with C_new", &mut both().map(|(old, new)| (joint[old][new], simple[new]))),
        count("C_old with C_new", &mut both().map(|(old, new)| (simple[old], simple[new]))),
    ]
}

/// The enumerations in sentences, and whether all pairs intersect that have to.
#[must_use]
pub fn summary(rules: &impl Rules) -> (String, bool) {
    let found: Vec<Enumerated> = VOTERS.map(|voters| enumerate(rules, voters)).collect();
    let majorities: usize = found.iter().map(|one| one.quorums * one.quorums).sum();
    let disjoint: usize = found.iter().map(|one| one.disjoint).sum();
    let (least, most) = (VOTERS.start(), VOTERS.end());
    let mut text = format!(
        "QuorumIntersection by enumeration: {majorities} pairs of majorities of {least} to {most} \
         voters, {disjoint} disjoint\n  pairs of configurations of {SERVERS} servers:"
    );
    let pairs = pairs(rules);
    for Pairs { name, pairs, disjoint } in &pairs {
        let _ = write!(text, "\n    {name}: {pairs}, {disjoint} with disjoint quorums");
    }
    text.push_str(", which is why no change goes straight from one to the other");
    let intersect =
        pairs.split_last().is_some_and(|(_, safe)| safe.iter().all(|p| p.disjoint == 0));
    (text, disjoint == 0 && intersect)
}
