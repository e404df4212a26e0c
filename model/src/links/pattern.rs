//! The catalogue: patterns of cut links, with the verdicts that they are declared to have.

use super::history::{Event, Histories, Ids};
use crate::slice::{Cuts, Cutting, Election, Network, Slice};
use crate::slices::BASE;

/// Links that are cut for good.
#[derive(Clone, Copy, Debug)]
pub struct Pattern {
    /// Its name on the command line.
    pub name: &'static str,
    /// What is cut, in one sentence.
    pub about: &'static str,
    /// The number of servers; all are voters.
    pub servers: usize,
    /// The links that are cut: from, to.
    pub cuts: Cuts,
    /// What may have happened before.
    pub histories: Histories,
    /// Who may lead when the links are cut; that nobody does is always possible.
    pub led_by: &'static [u64],
    /// What is declared of each combination of switches in [`COMBINATIONS`], in that order.
    pub declared: [Declared; 8],
}

/// What is declared of one combination.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Declared {
    /// Whether it is live.
    pub live: bool,
    /// Whether it is stable.
    pub stable: bool,
}

/// The combinations of switches, in the order of the table's columns.
pub const COMBINATIONS: [Election; 8] = {
    const fn of(pre_vote: bool, stickiness: bool, check_quorum: bool) -> Election {
        Election { pre_vote, stickiness, check_quorum }
    }
    [
        of(false, false, false),
        of(true, false, false),
        of(false, true, false),
        of(false, false, true),
        of(true, true, false),
        of(true, false, true),
        of(false, true, true),
        of(true, true, true),
    ]
};

impl Pattern {
    /// The slice that drives its servers.
    #[must_use]
    pub fn slice(&self, election: Election) -> Slice {
        Slice {
            name: self.name,
            about: self.about,
            servers: self.servers,
            max_term: u64::MAX,
            pending: 0,
            network: Network::Pull { parked: 0 },
            cuts: self.cuts,
            cutting: Cutting::Always,
            election,
            symmetric: false,
            reduced: false,
            forgets: false,
            ..BASE
        }
    }
}

/// Live and stable with every combination.
const WELL: [Declared; 8] = [Declared { live: true, stable: true }; 8];

/// Live and stable, but for these combinations, by their positions in [`COMBINATIONS`].
const fn except(not_live: &[usize], not_stable: &[usize]) -> [Declared; 8] {
    let mut all = WELL;
    let mut i = 0;
    while i < not_live.len() {
        all[not_live[i]].live = false;
        i += 1;
    }
    i = 0;
    while i < not_stable.len() {
        all[not_stable[i]].stable = false;
        i += 1;
    }
    all
}

/// A server that times out for ever deposes whoever leads, where neither it asks before nor the others
/// keep a promise: naive election, with check-quorum or not (bug B1).
const DISTURBED: [Declared; 8] = except(&[], &[0, 3]);

/// A leader without a quorum keeps the others from electing one, where it does not look at its quorum
/// (bug B1).
const KEPT_QUIET: [usize; 4] = [0, 1, 2, 4];

/// Nobody can be elected, whatever is switched on.
const NOT_LIVE: [Declared; 8] = except(&[0, 1, 2, 3, 4, 5, 6, 7], &[]);

/// All patterns, in the order of the table.
pub const PATTERNS: &[Pattern] = &[
    Pattern {
        name: "n-deaf",
        about: "n2 hears nobody, and everyone hears n2",
        servers: 3,
        cuts: &[(0, 2), (1, 2)],
        histories: Histories::TwoCampaigns,
        led_by: &[0, 1],
        declared: DISTURBED,
    },
    Pattern {
        name: "deaf-leader",
        about: "n2 hears nobody, everyone hears n2, and n2 may lead",
        servers: 3,
        cuts: &[(0, 2), (1, 2)],
        histories: Histories::TwoCampaigns,
        led_by: &[2],
        declared: except(&KEPT_QUIET, &[0, 3]),
    },
    Pattern {
        name: "n-mute",
        about: "nobody hears n2, and n2 hears everyone",
        servers: 3,
        cuts: &[(2, 0), (2, 1)],
        histories: Histories::TwoCampaigns,
        led_by: &[0, 1, 2],
        declared: WELL,
    },
    Pattern {
        name: "deaf-to-leader",
        about: "n2 does not hear n0, which may lead",
        servers: 3,
        cuts: &[(0, 2)],
        histories: Histories::TwoCampaigns,
        led_by: &[0],
        declared: DISTURBED,
    },
    Pattern {
        name: "leader-deaf-to-n",
        about: "n0, which may lead, does not hear n2",
        servers: 3,
        cuts: &[(2, 0)],
        histories: Histories::TwoCampaigns,
        led_by: &[0],
        declared: DISTURBED,
    },
    Pattern {
        name: "one-link",
        about: "n0 and n2 do not hear each other, and n1 hears both (Cloudflare 2020-11-02; a chain of three)",
        servers: 3,
        cuts: &[(0, 2), (2, 0)],
        histories: Histories::TwoCampaigns,
        led_by: &[0, 1, 2],
        declared: DISTURBED,
    },
    Pattern {
        name: "one-lost",
        about: "n2 is cut off",
        servers: 3,
        cuts: &[(0, 2), (1, 2), (2, 0), (2, 1)],
        histories: Histories::TwoCampaigns,
        led_by: &[0, 1, 2],
        declared: WELL,
    },
    Pattern {
        name: "quorum-loss",
        about: "five servers, all linked to n0 alone, and n1 leads (Omni-Paxos, EuroSys 2023: quorum loss)",
        servers: 5,
        cuts: HUB,
        histories: Histories::OneCampaign(&[1]),
        led_by: &[1],
        declared: except(&[1, 2, 4], &[]),
    },
    Pattern {
        name: "constrained-election",
        about: "the same, n1 that led is cut off, and n0 lacks an entry that all others have: known not to be live in Raft (Omni-Paxos: constrained election)",
        servers: 5,
        cuts: CONSTRAINED,
        histories: Histories::Given(&[Event::Campaign {
            candidate: 1,
            voters: Ids::of(&[0, 2, 3, 4]),
            heard: Ids::of(&[2, 3, 4]),
        }]),
        led_by: &[1],
        declared: NOT_LIVE,
    },
    Pattern {
        name: "chained",
        about: "five servers in a chain, n0 to n4 (Omni-Paxos: chained)",
        servers: 5,
        cuts: CHAIN,
        histories: Histories::OneCampaign(&[0, 1, 2, 3, 4]),
        led_by: &[0, 1, 2, 3, 4],
        declared: except(&[1, 2, 4], &[0, 3]),
    },
    Pattern {
        name: "chained-constrained",
        about: "the same chain, and n0 restarted with an entry that nobody else has: not live, for whoever reaches a quorum lacks an entry of a neighbour",
        servers: 5,
        cuts: CHAIN,
        histories: Histories::Given(LONE_ENTRY),
        led_by: &[4],
        declared: NOT_LIVE,
    },
];

/// n4 leads and reaches n0 and n1; then n0 is elected by the two others and reaches nobody.
const LONE_ENTRY: &[Event] = &[
    Event::Campaign { candidate: 4, voters: Ids::of(&[0, 1, 2, 3]), heard: Ids::of(&[0, 1]) },
    Event::Campaign { candidate: 0, voters: Ids::of(&[2, 3]), heard: Ids::of(&[]) },
    Event::Restart(0),
];

/// All links but those of n0.
const HUB: Cuts = &[
    (1, 2),
    (1, 3),
    (1, 4),
    (2, 1),
    (2, 3),
    (2, 4),
    (3, 1),
    (3, 2),
    (3, 4),
    (4, 1),
    (4, 2),
    (4, 3),
];

/// All links but those of n0 to n2, n3 and n4.
const CONSTRAINED: Cuts = &[
    (0, 1),
    (1, 0),
    (1, 2),
    (1, 3),
    (1, 4),
    (2, 1),
    (2, 3),
    (2, 4),
    (3, 1),
    (3, 2),
    (3, 4),
    (4, 1),
    (4, 2),
    (4, 3),
];

/// All links but those between neighbours.
const CHAIN: Cuts = &[
    (0, 2),
    (0, 3),
    (0, 4),
    (1, 3),
    (1, 4),
    (2, 0),
    (2, 4),
    (3, 0),
    (3, 1),
    (4, 0),
    (4, 1),
    (4, 2),
];
