//! Larger bounds of other slices, with `--deep`: minutes each, or more. Those without a pin were
//! not run to their end yet.

use super::BASE;
use crate::slice::{Election, Network, Slice};

/// Larger bounds.
pub(super) fn slices() -> Vec<Slice> {
    vec![
        Slice {
            name: "pre-vote-async",
            pinned: Some(2_463_284),
            about: "pre-vote election with rejections, any number of messages under way",
            max_term: 3,
            appends: false,
            deep: true,
            ..BASE
        },
        Slice {
            name: "election-five-parked",
            about: "naive election among five, with a message that is late",
            servers: 5,
            max_term: 3,
            appends: false,
            network: Network::Pull { parked: 1 },
            election: Election::NAIVE,
            deep: true,
            ..BASE
        },
        Slice {
            name: "pre-vote-parked-two",
            about: "pre-vote election with heartbeats, two messages late, and a crash",
            crashes: 1,
            pending: 1,
            network: Network::Pull { parked: 2 },
            deep: true,
            ..BASE
        },
    ]
}
