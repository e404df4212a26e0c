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
            about: "a read, asked of any server, over two terms",
            reads: 1,
            ..base
        },
        Slice {
            name: "reads-two",
            about: "two reads, each asked of any server, over two terms",
            reads: 2,
            deep: true,
            ..base
        },
        Slice {
            name: "reads-terms",
            about: "a read over three terms, answers of past ones under way",
            max_term: 3,
            reads: 1,
            ..base
        },
        Slice {
            name: "reads-async",
            about: "a read, any number of messages under way",
            reads: 1,
            network: Network::Async,
            ..base
        },
        Slice {
            name: "reads-crash",
            about: "a read and a crash between any two effects",
            reads: 1,
            crashes: 1,
            pending: 1,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "reads-change",
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
            about: "a read while three become one",
            reads: 1,
            changes: const { &[to(&[2])] },
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "transfer-change",
            about: "leadership is handed over while one of two voters is replaced",
            joiners: 1,
            changes: const { &[to(&[1, 2])] },
            network: Network::Pull { parked: 0 },
            ..transfer
        },
        Slice {
            name: "transfer-remove",
            about: "leadership is handed over to the voter that alone remains, with a crash",
            servers: 2,
            crashes: 1,
            pending: 1,
            changes: const { &[to(&[1])] },
            ..transfer
        },
        Slice {
            name: "transfer",
            about: "leadership is handed over, late, in vain, or with success",
            ..transfer
        },
        Slice {
            name: "transfer-unreachable",
            about: "leadership is to be handed over to a server that nobody reaches",
            cuts: &[(0, 2), (1, 2), (2, 0), (2, 1)],
            max_term: 2,
            ..transfer
        },
        Slice {
            name: "stalled-disk",
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
