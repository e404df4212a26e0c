//! Slices of an established leader that others disturb, and of networks that lose a server.

use quorate_spec::property::Claim;

use super::{BASE, flaky};
use crate::slice::{Cuts, Cutting, Declared, Election, Network, Slice};

/// An established leader n0, n1 that hears it, and others that disturb.
pub(super) fn slices() -> Vec<Slice> {
    let base = Slice {
        max_term: 3,
        network: Network::Pull { parked: 1 },
        established: flaky(&[2]),
        election: Election::FULL,
        ..BASE
    };
    let cut_off: Cuts = &[(0, 2), (1, 2), (2, 0), (2, 1)];
    vec![
        Slice {
            name: "isolated",
            pinned: Some(32),
            about: "n2 is cut off, times out again and again, and comes back when the network heals",
            cuts: cut_off,
            cutting: Cutting::Heals,
            ..base
        },
        Slice {
            name: "isolated-naive",
            pinned: Some(1_177),
            about: "the same with naive election: n2 comes back with a high term and deposes n0",
            cuts: cut_off,
            cutting: Cutting::Heals,
            election: Election::NAIVE,
            declared: Declared::Violated(Claim::NonDisruption),
            ..base
        },
        Slice {
            name: "rejoin-high-term",
            pinned: Some(2_173),
            about: "without pre-votes n2 comes back with a high term: the promise of the others does not help, for n0 has to follow the higher term to serve n2 again",
            cuts: cut_off,
            cutting: Cutting::Heals,
            election: Election { pre_vote: false, ..Election::FULL },
            declared: Declared::Violated(Claim::NonDisruption),
            ..base
        },
        Slice {
            name: "isolated-restart",
            pinned: Some(128),
            about: "the same as isolated, and any server may crash but the leader",
            cuts: cut_off,
            cutting: Cutting::Heals,
            crashes: 1,
            pending: 1,
            ..base
        },
        Slice {
            name: "n-deaf",
            pinned: Some(13),
            about: "n2 hears nothing from the leader, and everyone hears n2",
            cuts: &[(0, 2)],
            ..base
        },
        Slice {
            name: "n-deaf-naive",
            pinned: Some(489),
            about: "the same with naive election",
            cuts: &[(0, 2)],
            election: Election::NAIVE,
            declared: Declared::Violated(Claim::NonDisruption),
            ..base
        },
        Slice {
            name: "leader-deaf",
            pinned: Some(19),
            about: "the leader hears nothing from n2, which hears the leader",
            cuts: &[(2, 0)],
            ..base
        },
        Slice {
            name: "leader-deaf-naive",
            pinned: Some(206),
            about: "the same with naive election",
            cuts: &[(2, 0)],
            election: Election::NAIVE,
            declared: Declared::Violated(Claim::NonDisruption),
            ..base
        },
        Slice {
            name: "deaf-sticky",
            pinned: Some(26),
            about: "n2 is deaf to the leader and does not ask for pre-votes: the promise alone holds",
            cuts: &[(0, 2)],
            election: Election { pre_vote: false, ..Election::FULL },
            ..base
        },
        Slice {
            name: "flaky-two-of-five",
            pinned: Some(228),
            about: "two of five time out as they like",
            servers: 5,
            established: flaky(&[3, 4]),
            ..base
        },
        Slice {
            name: "flaky-two-of-five-naive",
            pinned: Some(32_816),
            about: "the same with naive election",
            servers: 5,
            max_term: 2,
            established: flaky(&[3, 4]),
            election: Election::NAIVE,
            declared: Declared::Violated(Claim::NonDisruption),
            ..base
        },
        Slice {
            name: "operator",
            pinned: Some(5),
            about: "an operator asks servers to campaign that have just heard the leader",
            campaigns: true,
            established: flaky(&[1, 2]),
            election: Election { pre_vote: false, ..Election::FULL },
            ..base
        },
    ]
}

/// A part of the network is lost for good, and the others go on.
pub(super) fn liveness() -> Vec<Slice> {
    vec![
        Slice {
            name: "partition",
            pinned: Some(288_462),
            about: "one of three is lost for good at some moment, and the other two still commit",
            network: Network::Pull { parked: 0 },
            max_term: 3,
            cuts: &[(0, 2), (1, 2), (2, 0), (2, 1)],
            cutting: Cutting::Breaks,
            ..BASE
        },
        Slice {
            name: "deaf-leader",
            pinned: Some(105_072),
            about: "n0 goes deaf at some moment, and the others still commit",
            network: Network::Pull { parked: 0 },
            cuts: &[(1, 0), (2, 0)],
            cutting: Cutting::Breaks,
            election: Election::FULL,
            ..BASE
        },
    ]
}
