//! Slices of logs that diverge and come together again.

use super::BASE;
use crate::slice::{Election, Network, Slice};

/// Replication.
pub(super) fn slices() -> Vec<Slice> {
    let base = Slice { election: Election::NAIVE, network: Network::Pull { parked: 1 }, ..BASE };
    vec![
        Slice {
            name: "replication",
            pinned: Some(3_756_603),
            about: "logs that diverge over three terms, and two commands",
            max_term: 3,
            commands: 2,
            ..base
        },
        Slice {
            name: "replication-stepwise",
            pinned: Some(228_279),
            about: "logs that diverge over three terms, one entry a request, and heartbeats",
            max_term: 3,
            entries: 1,
            heartbeats: true,
            ..base
        },
        Slice {
            name: "replication-late",
            pinned: Some(1_728_572),
            about: "two commands, and two messages that are late: several entries a request, and requests with a stale end",
            commands: 2,
            network: Network::Pull { parked: 2 },
            ..base
        },
        Slice {
            name: "replication-async",
            pinned: Some(278_209),
            about: "two commands, any number of messages under way",
            commands: 2,
            network: Network::Async,
            ..base
        },
        Slice {
            name: "replication-restart",
            pinned: Some(4_451_380),
            about: "logs that diverge over three terms, a command, and a restart that loses no write",
            max_term: 3,
            commands: 1,
            crashes: 1,
            pending: 0,
            network: Network::Async,
            ..base
        },
        Slice {
            name: "replication-crash",
            pinned: Some(87_293),
            about: "logs that diverge over two terms, two writes under way, with a crash between any two effects",
            crashes: 1,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "replication-crash-two",
            pinned: Some(2_291),
            about: "a command among two, two writes under way, with a crash between any two effects",
            servers: 2,
            commands: 1,
            crashes: 1,
            forgets: false,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "replication-crash-async",
            pinned: Some(749_526),
            about: "a command and a crash between any two effects, any number of messages under way",
            commands: 1,
            crashes: 1,
            pending: 1,
            network: Network::Async,
            ..base
        },
        Slice {
            name: "replication-crash-terms",
            pinned: Some(2_015_787),
            about: "the entries of three terms and a crash between any two effects, any number of messages under way",
            max_term: 3,
            crashes: 1,
            pending: 1,
            network: Network::Async,
            ..base
        },
        Slice {
            name: "figure-8",
            pinned: Some(75_361),
            about: "thesis figure 3.7: four terms, in which an entry of an old term is on a majority and is replaced",
            max_term: 4,
            entries: 1,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "replication-five",
            pinned: Some(2_319_286),
            about: "a command and the entries of two terms among five",
            servers: 5,
            commands: 1,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "pipeline",
            pinned: Some(1_126_456),
            about: "production's elections and sender: requests follow each other in a window of two",
            commands: 1,
            entries: 1,
            window: 2,
            network: Network::Pull { parked: 1 },
            election: Election::FULL,
            ..base
        },
    ]
}
