//! Larger bounds of other slices, with `--deep`: minutes each, or more. Those without a pin were
//! not run to their end yet.

use super::BASE;
use crate::slice::{Network, Slice};

/// Larger bounds.
pub(super) fn slices() -> Vec<Slice> {
    vec![Slice {
        name: "pre-vote-parked-two",
        pinned: Some(5_871_507),
        about: "pre-vote election with heartbeats, two messages late, and a crash",
        crashes: 1,
        pending: 1,
        network: Network::Pull { parked: 2 },
        deep: true,
        ..BASE
    }]
}
