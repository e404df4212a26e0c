//! Timed slices: leases under clocks that run apart, on both sides of the inequality, under both
//! assumptions about clocks and in both encodings (`clocks`). `quorate-model check lease` runs them
//! all.
//!
//! One parameter set is an assumption, a bound `ε` and an election timeout `E`. Its lease is the
//! longest that the inequality allows, and then one tick longer, of which only the violation is
//! looked for. Check-quorum is off: what it adds is that a leader steps down, which ends its lease.
//! With a clock for each server election timers fire at any moment, which is more than they do and
//! less to search; with one tick for all they are never early.

use quorate_spec::property::Claim;

use super::BASE;
use crate::clocks::{Assumption, Clocks, Encoding};
use crate::slice::{Declared, Election, Network, Slice, to};

/// A parameter set: for each encoding its names within the inequality and past it, and the
/// numbers of states, which past it are those up to the violation.
struct Set {
    assumption: Assumption,
    election_timeout: u64,
    own: [(&'static str, Option<u64>); 2],
    global: [(&'static str, Option<u64>); 2],
}

macro_rules! sets {
    ($($assumption:ident $word:literal $e:literal $d:literal
       [$own:expr, $own_past:expr] [$global:expr, $global_past:expr];)*) => {
        &[$(Set {
            assumption: Assumption::$assumption($d),
            election_timeout: $e,
            own: [
                (concat!("lease-", $word, "-e", $e, "-d", $d), $own),
                (concat!("lease-", $word, "-e", $e, "-d", $d, "-past"), $own_past),
            ],
            global: [
                (concat!("lease-", $word, "-e", $e, "-d", $d, "-global"), $global),
                (concat!("lease-", $word, "-e", $e, "-d", $d, "-global-past"), $global_past),
            ],
        }),*]
    };
}

const SETS: &[Set] = sets! {
    Skew "skew" 3 1 [Some(481_293), Some(139_746)] [Some(248_377), Some(47_357)];
    Skew "skew" 4 1 [Some(833_769), Some(318_916)] [Some(390_921), Some(87_313)];
    Skew "skew" 5 1 [Some(1_378_227), Some(624_455)] [Some(601_319), Some(148_495)];
    Skew "skew" 5 2 [Some(2_111_513), Some(1_314_238)] [Some(578_303), Some(93_878)];
    Drift "drift" 3 1 [Some(697_897), Some(161_549)] [Some(248_377), Some(47_357)];
    Drift "drift" 3 2 [Some(1_408_689), Some(396_458)] [Some(253_519), Some(26_196)];
    Drift "drift" 4 2 [Some(2_365_369), Some(882_152)] [Some(385_233), Some(51_792)];
    Drift "drift" 5 1 [Some(1_605_917), Some(532_805)] [Some(601_319), Some(148_495)];
};

/// Leases, the parameter sets in order.
pub(super) fn slices() -> Vec<Slice> {
    let both = |set: &Set| {
        let own = both_sides(set, Encoding::PerServer, set.own);
        own.into_iter().chain(both_sides(set, Encoding::Global, set.global)).collect::<Vec<_>>()
    };
    SETS.iter().flat_map(both).chain(crossings()).collect()
}

/// Leases and what else can end a leadership, under clocks that drift: with one tick for all.
fn crossings() -> Vec<Slice> {
    let assumption = Assumption::Drift(1);
    let clocks =
        Clocks { assumption, encoding: Encoding::Global, election_timeout: 3, any_timer: false };
    let base = Slice {
        lease: Some(clocks.longest_lease()),
        clocks: Some(clocks),
        led: true,
        network: Network::Pull { parked: 1 },
        late_votes: false,
        ..BASE
    };
    let own = Clocks { encoding: Encoding::PerServer, ..clocks };
    vec![
        Slice {
            name: "lease-actors",
            pinned: Some(657),
            about: "the smallest lease, for the actor model too",
            clocks: Some(Clocks { assumption: Assumption::Skew(1), ..own }),
            lease: Some(1),
            election: Election { pre_vote: false, ..Election::PRE_VOTE },
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "lease-transfer",
            pinned: Some(2_051_929),
            about: "a lease, and leadership that is handed over late, in vain, or with success",
            transfers: 1,
            max_term: 3,
            ..base
        },
        Slice {
            name: "lease-crossing",
            pinned: Some(373_738),
            about: "a lease, a command, a transfer of leadership and a restart",
            transfers: 1,
            commands: 1,
            crashes: 1,
            pending: 0,
            network: Network::Pull { parked: 0 },
            ..base
        },
        Slice {
            name: "lease-shrink",
            pinned: Some(103_823),
            about: "a lease while three become one",
            changes: const { &[to(&[2])] },
            ..base
        },
        Slice {
            name: "lease-change",
            pinned: Some(883_415),
            about: "a lease while one of three is replaced by a learner",
            servers: 4,
            learners: 1,
            changes: const { &[to(&[1, 2, 3])] },
            network: Network::Pull { parked: 0 },
            ..base
        },
    ]
}

/// The longest lease that is safe, and one that is a tick longer.
fn both_sides(
    set: &Set,
    encoding: Encoding,
    [within, past]: [(&'static str, Option<u64>); 2],
) -> [Slice; 2] {
    let Set { assumption, election_timeout, .. } = *set;
    let any_timer = encoding == Encoding::PerServer;
    let clocks = Clocks { assumption, encoding, election_timeout, any_timer };
    let longest = clocks.longest_lease();
    let smallest = election_timeout == 3 && assumption.bound() == 1;
    let slice = Slice {
        name: within.0,
        about: "the longest lease that is safe",
        pinned: within.1,
        lease: Some(longest),
        clocks: Some(clocks),
        led: true,
        crashes: 1,
        pending: 0,
        commands: 1,
        network: Network::Pull { parked: 1 },
        late_votes: false,
        deep: encoding == Encoding::PerServer && !smallest,
        ..BASE
    };
    let past = Slice {
        name: past.0,
        about: "a lease that is one tick too long: the leader still reads by it when another one leads",
        pinned: past.1,
        lease: Some(longest + 1),
        declared: Declared::Violated(Claim::LeaseExclusive),
        ..slice
    };
    [slice, past]
}
