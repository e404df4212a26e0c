//! Larger bounds, with `--deep`: for each feature a slice of the default check with bounds raised, two
//! or more for most; its row says which. Minutes each.

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
            pinned: Some(1_134_938),
            about: "election-two with two terms and a crash more",
            max_term: 5,
            crashes: 2,
            ..wider("election-two")
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
            pinned: Some(93),
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
            name: "deep-learner",
            pinned: Some(924_281),
            about: "learner with a term, a command and a crash more",
            max_term: 3,
            commands: 1,
            crashes: 1,
            pending: 1,
            ..wider("learner")
        },
        Slice {
            name: "deep-change",
            pinned: Some(388_039),
            about: "remove-leader with a command and a crash between any two effects",
            commands: 1,
            crashes: 1,
            pending: 1,
            ..wider("remove-leader")
        },
        Slice {
            name: "deep-replace",
            pinned: Some(318_603),
            about: "replace with two commands and a crash between any two effects",
            commands: 2,
            crashes: 1,
            pending: 1,
            ..wider("replace")
        },
        Slice {
            name: "deep-snapshots",
            pinned: Some(6_250_484),
            about: "join-snapshot with a command and a crash between any two effects",
            commands: 1,
            crashes: 1,
            pending: 1,
            ..wider("join-snapshot")
        },
        Slice {
            name: "deep-reads",
            pinned: Some(983_587),
            about: "reads-restart with a term and a command more",
            max_term: 3,
            commands: 1,
            ..wider("reads-restart")
        },
        Slice {
            name: "deep-transfer",
            pinned: Some(433_636),
            about: "transfer-unreachable with a term and a restart more",
            max_term: 3,
            crashes: 1,
            pending: 0,
            ..wider("transfer-unreachable")
        },
        Slice {
            name: "deep-lease-crossing",
            pinned: Some(4_147_314),
            about: "lease-crossing with messages that are late: a TimeoutNow that arrives after a restart",
            network: Network::Pull { parked: 1 },
            ..wider("lease-crossing")
        },
        Slice {
            name: "deep-lease",
            pinned: Some(3_276_262),
            about: "lease-drift-e3-d1-global with votes that are late, and with check-quorum",
            late_votes: true,
            election: Election::FULL,
            ..wider("lease-drift-e3-d1-global")
        },
        Slice {
            name: "deep-lease-cold",
            pinned: Some(1_242_925),
            about: "a lease that begins with the election of its leader, under one clock a server, over two terms and with a late message",
            led: false,
            network: Network::Pull { parked: 1 },
            commands: 1,
            ..wider("lease-actors")
        },
    ]
}
