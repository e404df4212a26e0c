//! Slices in which the members change: joint consensus (thesis §4.3).

use quorate_spec::property::{Claim, ClaimSet};

use super::{BASE, LIVE, SAFETY, UNDISTURBED};
use crate::slice::{Cuts, Cutting, Declared, Election, Established, Members, Network, Slice};

/// These voters and no learners.
const fn to(voters: &'static [u64]) -> Members {
    Members { voters, learners: &[] }
}

/// Changes of the members.
pub(super) fn slices() -> Vec<Slice> {
    let base = Slice { election: Election::NAIVE, network: Network::Pull { parked: 1 }, ..BASE };
    let quiet = Slice { network: Network::Pull { parked: 0 }, ..base };
    vec![
        Slice {
            name: "grow",
            about: "two become three: the new one catches up first",
            joiners: 1,
            changes: const { &[to(&[0, 1, 2])] },
            ..base
        },
        Slice { name: "shrink", about: "three become one", changes: const { &[to(&[2])] }, ..base },
        Slice {
            name: "remove-leader",
            about: "two become one, and the one that leads may be the one that goes",
            servers: 2,
            max_term: 3,
            changes: const { &[to(&[1])] },
            ..base
        },
        Slice {
            name: "replace",
            about: "one is replaced by another one: the old and the new voters have nobody in common",
            servers: 2,
            joiners: 1,
            max_term: 3,
            changes: const { &[to(&[1])] },
            ..base
        },
        Slice {
            name: "overlap",
            about: "one of two voters is replaced",
            joiners: 1,
            changes: const { &[to(&[1, 2])] },
            ..base
        },
        Slice {
            name: "demote",
            about: "one of three voters becomes a learner",
            changes: const { &[Members { voters: &[0, 1], learners: &[2] }] },
            ..base
        },
        Slice {
            name: "promote",
            about: "a learner becomes a voter, and a new server a learner",
            learners: 1,
            joiners: 1,
            servers: 4,
            changes: const { &[Members { voters: &[0, 1, 2], learners: &[3] }] },
            ..quiet
        },
        Slice {
            name: "rivals",
            about: "two leaders want other members: one joint configuration is truncated",
            max_term: 3,
            changes: const { &[to(&[0, 1]), to(&[0, 2])] },
            ..quiet
        },
        Slice {
            name: "grow-to-five",
            about: "three become five, whose two new ones have caught up as learners",
            servers: 5,
            learners: 2,
            changes: const { &[to(&[0, 1, 2, 3, 4])] },
            ..quiet
        },
        Slice {
            name: "join-unreachable",
            about: "a new voter is not reached: the change waits, and the others go on",
            joiners: 1,
            changes: const { &[to(&[0, 2])] },
            cuts: &[(0, 2), (1, 2), (2, 0), (2, 1)],
            claims: SAFETY.union(ClaimSet::of(&[Claim::NoDeadlock])),
            ..quiet
        },
        Slice {
            name: "wiped",
            about: "a voter loses its disk, and a new server takes its place",
            servers: 4,
            joiners: 1,
            changes: const { &[to(&[0, 1, 3])] },
            wiped: Some(2),
            ..quiet
        },
        removed(Election { pre_vote: false, ..Election::FULL }),
        Slice {
            name: "removed-naive",
            about: "the same with naive election: the removed server deposes the leader",
            claims: SAFETY.union(UNDISTURBED),
            declared: Declared::Violated(Claim::NonDisruption),
            ..removed(Election::NAIVE)
        },
    ]
}

/// A server that was removed, and has not heard of that.
fn removed(election: Election) -> Slice {
    Slice {
        name: "removed",
        about: "n2 was removed without hearing of it, and campaigns again and again",
        max_term: 3,
        network: Network::Pull { parked: 1 },
        established: Some(Established { flaky: &[2], members: Some(to(&[0, 1])) }),
        election,
        claims: UNDISTURBED,
        ..BASE
    }
}

const _: (Cuts, Cutting, ClaimSet) = (&[], Cutting::Always, LIVE);
