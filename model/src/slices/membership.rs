//! Slices in which the members change: joint consensus (thesis §4.3).

use quorate_spec::property::Claim;

use super::BASE;
use crate::slice::{Declared, Election, Established, Members, Network, Slice, to};

/// Changes of the members.
pub(super) fn slices() -> Vec<Slice> {
    let base = Slice { election: Election::NAIVE, network: Network::Pull { parked: 1 }, ..BASE };
    let quiet = Slice { network: Network::Pull { parked: 0 }, ..base };
    vec![
        Slice {
            name: "grow",
            pinned: Some(285_862),
            max_term: 3,
            about: "two become three: the new one catches up first",
            joiners: 1,
            changes: const { &[to(&[0, 1, 2])] },
            ..base
        },
        Slice {
            name: "shrink",
            pinned: Some(922_384),
            about: "three become one, and whoever leads may be one that goes",
            max_term: 3,
            changes: const { &[to(&[2])] },
            ..base
        },
        Slice {
            name: "remove-leader",
            pinned: Some(2_745),
            about: "two become one, and the one that leads may be the one that goes",
            servers: 2,
            max_term: 3,
            changes: const { &[to(&[1])] },
            ..base
        },
        Slice {
            name: "replace",
            pinned: Some(233),
            about: "one is replaced by another one: the old and the new voters have nobody in common",
            servers: 2,
            joiners: 1,
            max_term: 3,
            changes: const { &[to(&[1])] },
            ..base
        },
        Slice {
            name: "overlap",
            pinned: Some(136_517),
            max_term: 3,
            about: "one of two voters is replaced",
            joiners: 1,
            changes: const { &[to(&[1, 2])] },
            ..base
        },
        Slice {
            name: "demote",
            pinned: Some(1_121_025),
            max_term: 3,
            about: "one of three voters becomes a learner",
            changes: const { &[Members { voters: &[0, 1], learners: &[2] }] },
            ..base
        },
        Slice {
            name: "promote",
            pinned: Some(85_589),
            about: "a learner becomes a voter, and a new server a learner",
            learners: 1,
            joiners: 1,
            servers: 4,
            changes: const { &[Members { voters: &[0, 1, 2], learners: &[3] }] },
            ..quiet
        },
        Slice {
            name: "rivals",
            pinned: Some(349_988),
            about: "two leaders want other members: one joint configuration is truncated",
            max_term: 3,
            changes: const { &[to(&[0, 1]), to(&[0, 2])] },
            ..quiet
        },
        Slice {
            name: "grow-to-five",
            pinned: Some(9_028_741),
            about: "three become five, whose two new ones have caught up as learners",
            servers: 5,
            learners: 2,
            changes: const { &[to(&[0, 1, 2, 3, 4])] },
            deep: true,
            ..quiet
        },
        Slice {
            name: "replace-both",
            pinned: Some(1_450_471),
            about: "two are replaced by two others: no quorum of the old and the new has a server in common",
            servers: 4,
            joiners: 2,
            changes: const { &[to(&[2, 3])] },
            max_term: 3,
            ..base
        },
        Slice {
            name: "change-protected",
            pinned: Some(168_136),
            about: "one of two is replaced, with production's elections",
            joiners: 1,
            changes: const { &[to(&[1, 2])] },
            network: Network::Pull { parked: 1 },
            election: Election::FULL,
            ..BASE
        },
        Slice {
            name: "crossing",
            pinned: Some(444_705),
            about: "one of two is replaced, with a crash between any two effects and a snapshot",
            joiners: 1,
            snapshots: 1,
            crashes: 1,
            pending: 1,
            changes: const { &[to(&[0, 2])] },
            ..quiet
        },
        Slice {
            name: "join-snapshot",
            pinned: Some(19_709),
            about: "a server that joins, by entries or by a snapshot, and snapshots of its own",
            joiners: 1,
            snapshots: 1,
            entries: 1,
            changes: const { &[to(&[0, 2])] },
            ..quiet
        },
        Slice {
            name: "join-snapshot-late",
            pinned: Some(1_556_534),
            about: "the same over three terms, with a message that is late: configurations in snapshots that another leader sends",
            joiners: 1,
            snapshots: 1,
            max_term: 3,
            changes: const { &[to(&[0, 2])] },
            ..base
        },
        Slice {
            name: "join-unreachable",
            pinned: Some(175),
            about: "a new voter is not reached: the change waits, and the others go on",
            joiners: 1,
            changes: const { &[to(&[0, 2])] },
            cuts: &[(0, 2), (1, 2), (2, 0), (2, 1)],
            ..quiet
        },
        Slice {
            name: "wiped",
            pinned: Some(1_446_151),
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
            pinned: Some(74),
            about: "the same with naive election: the removed server deposes the leader",
            declared: Declared::Violated(Claim::NonDisruption),
            ..removed(Election::NAIVE)
        },
    ]
}

/// A server that was removed, and has not heard of that.
fn removed(election: Election) -> Slice {
    Slice {
        name: "removed",
        pinned: Some(26),
        about: "n2 was removed without hearing of it, and campaigns again and again",
        max_term: 3,
        network: Network::Pull { parked: 1 },
        established: Some(Established { flaky: &[2], members: Some(to(&[0, 1])) }),
        election,
        ..BASE
    }
}
