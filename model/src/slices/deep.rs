//! Larger bounds, with `--deep`: for each feature a slice of the default check with at least two of
//! its bounds raised. Minutes each.

use super::BASE;
use crate::slice::{Election, Network, Slice};

/// Larger bounds of slices of this catalogue.
pub(super) fn slices(catalogue: &[Slice]) -> Vec<Slice> {
    let wider = |name: &str| {
        let slice = catalogue.iter().find(|slice| slice.name == name);
        Slice { pinned: None, deep: true, ..*slice.expect("it is in the catalogue") }
    };
    vec![
        Slice {
            name: "deep-election",
            about: "election-pipelined with a term and a crash more",
            max_term: 4,
            crashes: 2,
            ..wider("election-pipelined")
        },
        Slice {
            name: "deep-pre-vote",
            pinned: Some(5_871_507),
            about: "pre-vote election with heartbeats, two messages late, and a crash",
            crashes: 1,
            pending: 1,
            network: Network::Pull { parked: 2 },
            deep: true,
            ..BASE
        },
        Slice {
            name: "deep-isolated",
            about: "isolated with a term and a late message more",
            max_term: 4,
            network: Network::Pull { parked: 2 },
            ..wider("isolated")
        },
        Slice {
            name: "deep-replication",
            pinned: Some(37_207_022),
            about: "logs that diverge over three terms, a command, and a crash between any two effects, any number of messages under way",
            max_term: 3,
            commands: 1,
            crashes: 1,
            pending: 1,
            election: Election::NAIVE,
            deep: true,
            ..BASE
        },
        Slice {
            name: "deep-five",
            about: "replication-five with a command and a late message",
            commands: 2,
            ..wider("replication-five")
        },
        Slice {
            name: "deep-pipeline",
            about: "pipeline with a command more, and heartbeats beside entries",
            commands: 2,
            heartbeats: true,
            ..wider("pipeline")
        },
        Slice {
            name: "deep-change",
            about: "overlap with a command and a crash",
            commands: 1,
            crashes: 1,
            pending: 1,
            ..wider("overlap")
        },
        Slice {
            name: "deep-snapshots",
            about: "snapshots-crash with a snapshot and a command more",
            snapshots: 2,
            commands: 1,
            ..wider("snapshots-crash")
        },
        Slice {
            name: "deep-reads",
            about: "reads-terms with a read and a late message more",
            reads: 2,
            network: Network::Pull { parked: 1 },
            ..wider("reads-terms")
        },
        Slice {
            name: "deep-transfer",
            about: "transfer with a term more and a restart",
            max_term: 3,
            crashes: 1,
            pending: 0,
            ..wider("transfer")
        },
        Slice {
            name: "deep-lease",
            about: "lease-crossing with a late message, votes included, and check-quorum",
            network: Network::Pull { parked: 1 },
            late_votes: true,
            election: Election::FULL,
            ..wider("lease-crossing")
        },
        Slice {
            name: "deep-lease-cold",
            about: "a lease that begins with the election of its leader, under one clock a server, over two terms and with a late message",
            led: false,
            network: Network::Pull { parked: 1 },
            commands: 1,
            ..wider("lease-actors")
        },
    ]
}
