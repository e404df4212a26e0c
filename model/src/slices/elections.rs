//! Slices of elections, with and without pre-vote.

use super::BASE;
use crate::slice::{Election, Network, Slice};

/// Elections.
pub(super) fn slices() -> Vec<Slice> {
    vec![
        Slice {
            name: "single",
            pinned: Some(267),
            about: "a cluster of one that crashes",
            servers: 1,
            max_term: 4,
            crashes: 2,
            ..BASE
        },
        Slice {
            name: "election-two",
            pinned: Some(7_658),
            about: "naive election among two, where half is not a majority",
            servers: 2,
            max_term: 3,
            crashes: 1,
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "election",
            pinned: Some(1_461_776),
            about: "naive election, one write at a time, with a crash between any two effects",
            max_term: 4,
            crashes: 1,
            pending: 1,
            appends: false,
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "election-pipelined",
            pinned: Some(1_091_967),
            about: "naive election with two writes under way, and a crash",
            max_term: 3,
            crashes: 1,
            appends: false,
            network: Network::Pull { parked: 1 },
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "election-async",
            pinned: Some(33_365),
            about: "naive election without a crash, any number of messages under way",
            max_term: 4,
            appends: false,
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "election-five",
            pinned: Some(16_654),
            about: "naive election among five",
            servers: 5,
            max_term: 3,
            appends: false,
            network: Network::Pull { parked: 0 },
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "election-five-parked",
            pinned: Some(332_654),
            about: "naive election among five, with a message that is late",
            servers: 5,
            max_term: 3,
            appends: false,
            network: Network::Pull { parked: 1 },
            election: Election::NAIVE,
            ..BASE
        },
        Slice {
            name: "pre-vote",
            pinned: Some(486_989),
            about: "pre-vote election with rejections and heartbeats",
            max_term: 3,
            network: Network::Pull { parked: 1 },
            ..BASE
        },
        Slice {
            name: "pre-vote-crash",
            pinned: Some(1_121_733),
            about: "pre-vote election with heartbeats and a crash, any number of messages under way",
            crashes: 1,
            pending: 1,
            ..BASE
        },
        Slice {
            name: "pre-vote-async",
            pinned: Some(437_872),
            about: "pre-vote election with rejections, any number of messages under way",
            max_term: 3,
            appends: false,
            ..BASE
        },
        Slice {
            name: "check-quorum",
            pinned: Some(577_965),
            about: "leaders that lose their quorum step down, in the same term",
            election: Election::FULL,
            ..BASE
        },
        Slice {
            name: "step-down",
            pinned: Some(20_912),
            about: "naive elections in which a leader without a quorum steps down",
            network: Network::Pull { parked: 1 },
            election: Election { check_quorum: true, ..Election::NAIVE },
            ..BASE
        },
        Slice {
            name: "learner",
            pinned: Some(1_239),
            about: "two voters and a learner, which never campaigns",
            learners: 1,
            network: Network::Pull { parked: 1 },
            ..BASE
        },
    ]
}
