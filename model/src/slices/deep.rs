//! Larger bounds of other slices, with `--deep`: minutes each. All were run to their ends, and are
//! pinned.

use super::BASE;
use crate::slice::{Election, Network, Slice};

/// Larger bounds.
pub(super) fn slices() -> Vec<Slice> {
    vec![
        Slice {
            name: "pre-vote-parked-two",
            pinned: Some(5_871_507),
            about: "pre-vote election with heartbeats, two messages late, and a crash",
            crashes: 1,
            pending: 1,
            network: Network::Pull { parked: 2 },
            deep: true,
            ..BASE
        },
        Slice {
            name: "replication-crash-command",
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
    ]
}
