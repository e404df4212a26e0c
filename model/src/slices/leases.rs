//! Timed slices: leases under clocks that run apart, on both sides of the inequality.

use super::BASE;
use crate::clocks::{Assumption, Clocks, Encoding};
use crate::slice::{Network, Slice};

/// Leases.
pub(super) fn slices() -> Vec<Slice> {
    let mut v = vec![];
    for (name, assumption, e) in [
        ("x-skew-e3-d1", Assumption::Skew(1), 3),
        ("x-skew-e4-d1", Assumption::Skew(1), 4),
        ("x-skew-e5-d1", Assumption::Skew(1), 5),
        ("x-skew-e5-d2", Assumption::Skew(2), 5),
        ("x-drift-e3-d1", Assumption::Drift(1), 3),
        ("x-drift-e4-d1", Assumption::Drift(1), 4),
        ("x-drift-e4-d2", Assumption::Drift(2), 4),
        ("x-drift-e5-d2", Assumption::Drift(2), 5),
    ] {
        for encoding in [Encoding::PerServer, Encoding::Global] {
            let clocks = Clocks {
                assumption,
                encoding,
                election_timeout: e,
                any_timer: std::env::var("NOTIMER").is_ok(),
            };
            let name = if encoding == Encoding::Global {
                Box::leak(format!("{name}-global").into_boxed_str())
            } else {
                name
            };
            let slice = Slice {
                name,
                about: "leases",
                crashes: 1,
                pending: 0,
                commands: 1,
                network: Network::Pull { parked: 1 },
                late_votes: false,
                led: true,
                clocks: Some(clocks),
                lease: Some(clocks.longest_lease()),
                ..BASE
            };
            v.push(slice);
            let name = &*Box::leak(format!("{name}-c0").into_boxed_str());
            v.push(Slice { name, crashes: 0, ..slice });
            let name = &*Box::leak(format!("{name}-n0").into_boxed_str());
            v.push(Slice { name, crashes: 0, commands: 0, ..slice });
            let name = &*Box::leak(format!("{name}-k0").into_boxed_str());
            v.push(Slice {
                name,
                crashes: 0,
                commands: 0,
                network: Network::Pull { parked: 0 },
                ..slice
            });
        }
    }
    for (name, parked, crashes, commands) in [
        ("u-k0", 0, 0, 0),
        ("u-k1", 1, 0, 0),
        ("u-k1-n1", 1, 0, 1),
        ("u-k1-n1-c1", 1, 1, 1),
        ("u-k0-n1-c1", 0, 1, 1),
    ] {
        v.push(Slice {
            name,
            about: "x",
            crashes,
            pending: 0,
            commands,
            network: Network::Pull { parked },
            led: true,
            ..BASE
        });
    }
    v
}
