//! QuorumIntersection by enumeration: every pair of majorities of one to seven voters.

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

/// The enumeration in a sentence, and whether all pairs intersect.
#[must_use]
pub fn summary(rules: &impl Rules) -> (String, bool) {
    let found: Vec<Enumerated> = VOTERS.map(|voters| enumerate(rules, voters)).collect();
    let pairs: usize = found.iter().map(|one| one.quorums * one.quorums).sum();
    let disjoint: usize = found.iter().map(|one| one.disjoint).sum();
    let (least, most) = (VOTERS.start(), VOTERS.end());
    let text = format!(
        "QuorumIntersection by enumeration: {pairs} pairs of majorities of {least} to {most} \
         voters, {disjoint} disjoint"
    );
    (text, disjoint == 0)
}
