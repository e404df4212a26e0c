//! Slices of snapshots: taken at any committed entry, sent to servers that lag behind them.

use super::BASE;
use crate::slice::{Election, Network, Slice};

/// Snapshots.
pub(super) fn slices() -> Vec<Slice> {
    let base = Slice {
        election: Election::NAIVE,
        network: Network::Pull { parked: 1 },
        snapshots: 1,
        ..BASE
    };
    vec![
        Slice {
            name: "snapshots",
            pinned: Some(467_856),
            about: "a snapshot over three terms, and a follower that lags behind it",
            max_term: 3,
            ..base
        },
        Slice {
            name: "snapshots-crash",
            pinned: Some(365_045),
            about: "a snapshot and a crash between any two effects",
            crashes: 1,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "snapshots-crash-late",
            pinned: Some(806_897),
            about: "a snapshot, a crash between any two effects, and a message that is late",
            crashes: 1,
            pending: 1,
            ..base
        },
        Slice {
            name: "snapshots-async",
            pinned: Some(226_966),
            about: "a snapshot and a crash between any two effects, any number of messages under way",
            crashes: 1,
            pending: 1,
            network: Network::Async,
            ..base
        },
    ]
}
