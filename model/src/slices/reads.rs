//! Slices of reads that a round of messages confirms, and of leadership that is handed over.

use super::BASE;
use crate::slice::{Election, Network, Slice, to};

/// Reads and transfers.
pub(super) fn slices() -> Vec<Slice> {
    let base = Slice { election: Election::NAIVE, network: Network::Pull { parked: 1 }, ..BASE };
    let transfer = Slice { transfers: 1, max_term: 3, election: Election::PRE_VOTE, ..base };
    vec![
        Slice {
            name: "reads",
            pinned: Some(261_166),
            about: "a read, asked of any server, over two terms",
            reads: 1,
            ..base
        },
        Slice {
            name: "reads-two",
            pinned: Some(5_725_903),
            about: "two reads, each asked of any server, over two terms",
            reads: 2,
            deep: true,
            ..base
        },
        Slice {
            name: "reads-terms",
            pinned: Some(132_130),
            about: "a read over three terms",
            max_term: 3,
            reads: 1,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "reads-async",
            pinned: Some(145_420),
            about: "a read, any number of messages under way",
            reads: 1,
            network: Network::Async,
            ..base
        },
        Slice {
            name: "reads-crash",
            pinned: Some(187_092),
            about: "a read and a crash between any two effects",
            reads: 1,
            crashes: 1,
            pending: 1,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "reads-restart",
            pinned: Some(29_680),
            about: "two reads among two, and a leader that restarts and leads again",
            servers: 2,
            reads: 2,
            crashes: 1,
            pending: 0,
            ..base
        },
        Slice {
            name: "reads-single",
            pinned: Some(69),
            about: "a command and a read at a cluster of one, which crashes and leads again",
            servers: 1,
            max_term: 3,
            commands: 1,
            reads: 1,
            crashes: 1,
            pending: 1,
            ..base
        },
        Slice {
            name: "reads-transfer",
            pinned: Some(131_463),
            about: "a read while leadership is handed over",
            reads: 1,
            max_term: 2,
            election: Election::NAIVE,
            network: Network::Pull { parked: 0 },
            ..transfer
        },
        Slice {
            name: "reads-change",
            pinned: Some(55_358),
            about: "a read while one of two voters is replaced",
            servers: 3,
            joiners: 1,
            reads: 1,
            changes: const { &[to(&[1, 2])] },
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "reads-shrink",
            pinned: Some(164_334),
            about: "a read while three become one",
            reads: 1,
            changes: const { &[to(&[2])] },
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "transfer-change",
            pinned: Some(83_759),
            about: "leadership is handed over while one of two voters is replaced",
            joiners: 1,
            changes: const { &[to(&[1, 2])] },
            network: Network::Pull { parked: 0 },
            ..transfer
        },
        Slice {
            name: "transfer-remove",
            pinned: Some(203_173),
            about: "leadership is handed over to the voter that alone remains, with a crash",
            servers: 2,
            crashes: 1,
            pending: 1,
            changes: const { &[to(&[1])] },
            ..transfer
        },
        Slice {
            name: "transfer",
            pinned: Some(378_246),
            about: "leadership is handed over, late, in vain, or with success",
            max_term: 2,
            ..transfer
        },
        Slice {
            name: "transfer-terms",
            pinned: Some(3_632_084),
            about: "the same over three terms",
            deep: true,
            ..transfer
        },
        Slice {
            name: "transfer-unreachable",
            pinned: Some(13_316),
            about: "leadership is to be handed over to a server that nobody reaches",
            cuts: &[(0, 2), (1, 2), (2, 0), (2, 1)],
            max_term: 2,
            election: Election::FULL,
            ..transfer
        },
        Slice {
            name: "stalled-disk",
            pinned: Some(267),
            about: "a leader, which needs nobody's votes, steps down when its disk does not report",
            servers: 1,
            max_term: 4,
            commands: 1,
            instant_writes: false,
            election: Election { check_quorum: true, ..Election::NAIVE },
            ..base
        },
    ]
}
