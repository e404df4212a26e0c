//! A slice: a bounded model that switches on the features that some claims need.

use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Duration, NodeId, Params};

use crate::server::E;

/// How messages travel.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Network {
    /// Any number of messages; each may arrive never, late, out of order and more than once.
    /// Requests leave as soon as they are due.
    Async,
    /// A request that its sender could send, or send again, is generated from the sender's present
    /// state and delivered now; its reply arrives at once, never, or is parked. At most so many
    /// messages are parked, requests among them.
    Pull {
        /// The number of parked messages, `K`.
        parked: usize,
    },
}

/// What a slice is expected to show.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Declared {
    /// Every reachable state was checked and every claim held.
    Exhausted,
    /// The search stops at this depth by declaration, and every claim held up to there.
    Bounded(usize),
    /// This claim fails.
    Violated(Claim),
}

/// Which links are cut at the beginning: from, to.
pub type Cuts = &'static [(u64, u64)];

/// When the links of [`Slice::cuts`] are cut.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Cutting {
    /// From the beginning, for good.
    Always,
    /// From the beginning, until they heal at some moment.
    Heals,
    /// From some moment on, for good.
    Breaks,
}

/// The premise of NonDisruption: server 0 leads term 1, the others have heard it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Established {
    /// The servers whose election timeout passes; for all others a leader is heard in time.
    pub flaky: &'static [u64],
}

/// A bounded model.
#[derive(Clone, Copy, Debug)]
pub struct Slice {
    /// Its name on the command line.
    pub name: &'static str,
    /// What it is about, in one sentence.
    pub about: &'static str,
    /// The number of servers.
    pub servers: usize,
    /// How many of them, the last ones, are learners.
    pub learners: usize,
    /// No election timeout passes in this term or a later one.
    pub max_term: u64,
    /// How many crashes there may be, each between any two effects.
    pub crashes: u8,
    /// How many writes may be pending on one server; its other operations wait for a report. With
    /// 0 every write is durable at once, and a crash is a restart.
    pub pending: usize,
    /// How many commands clients propose.
    pub commands: u8,
    /// Whether an operator may ask for campaigns.
    pub campaigns: bool,
    /// Whether leaders send AppendEntries in the explored part.
    pub appends: bool,
    /// How many entries a request carries at most.
    pub entries: u64,
    /// How many requests with entries may be unacknowledged per peer: the pipeline's window. With
    /// 0 each request waits for the answer to the one before it.
    pub window: usize,
    /// Whether leaders send heartbeats without entries too, while they have some to send.
    pub heartbeats: bool,
    /// How messages travel.
    pub network: Network,
    /// The links that are cut.
    pub cuts: Cuts,
    /// When they are.
    pub cutting: Cutting,
    /// The premise of an established leader, where the slice has one.
    pub established: Option<Established>,
    /// Pre-vote, stickiness, check-quorum.
    pub election: Election,
    /// The claims that are checked.
    pub claims: ClaimSet,
    /// What it has to show.
    pub declared: Declared,
    /// The number of unique states: a change of it is a change of protocol or model.
    pub pinned: Option<u64>,
    /// Whether it runs only with `--deep`.
    pub deep: bool,
    /// Whether states that differ only in the servers' names count as one.
    pub symmetric: bool,
    /// Whether writes are durable at once where no crash is left to come. Exact where messages may
    /// be under way for any time: one that waits for the disk and one that waits in the network
    /// are then the same. With parked messages it is a bound: a reply that waits for the disk would
    /// not count as parked.
    pub instant_writes: bool,
    /// Whether messages that can have no effect are dropped.
    pub reduced: bool,
}

/// Which protections of elections are on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Election {
    /// Thesis §9.6.
    pub pre_vote: bool,
    /// Thesis §4.2.3.
    pub stickiness: bool,
    /// Thesis §6.2.
    pub check_quorum: bool,
}

impl Election {
    /// Everything on, as in production.
    pub const FULL: Election = Election { pre_vote: true, stickiness: true, check_quorum: true };
    /// Pre-vote and stickiness.
    pub const PRE_VOTE: Election = Election { check_quorum: false, ..Election::FULL };
    /// The election of thesis §3.4 alone.
    pub const NAIVE: Election =
        Election { pre_vote: false, stickiness: false, check_quorum: false };
}

impl Slice {
    /// The parameters of the protocol. Time stands still between operations, so a heartbeat
    /// interval of 0 makes every request due at any time: what could be sent again can be.
    #[must_use]
    pub fn params(&self) -> Params {
        Params {
            election_timeout: Duration(E),
            election_jitter: Duration(1),
            heartbeat_interval: Duration(0),
            pre_vote: self.election.pre_vote,
            stickiness: self.election.stickiness,
            check_quorum: self.election.check_quorum,
            max_in_flight: self.window,
            max_uncommitted: u64::MAX,
        }
    }

    /// Whether this server's election timeout may pass.
    #[must_use]
    pub fn is_flaky(&self, id: NodeId) -> bool {
        self.established.is_none_or(|premise| premise.flaky.contains(&id.0))
    }

    /// The servers that the slice treats alike, in groups.
    #[must_use]
    pub fn alike(&self) -> Vec<Vec<usize>> {
        let voters = self.servers - self.learners;
        let cut = |id: u64| self.cuts.iter().any(|(from, to)| *from == id || *to == id);
        let leads = |id: u64| self.established.is_some() && id == 0;
        let alone = |id: u64| cut(id) || leads(id);
        let mut groups: Vec<Vec<usize>> = vec![Vec::new(); 4];
        for server in (0..self.servers).filter(|server| !alone(*server as u64)) {
            let flaky = self.is_flaky(NodeId(server as u64));
            groups[usize::from(server >= voters) * 2 + usize::from(flaky)].push(server);
        }
        groups.retain(|group| group.len() > 1);
        groups
    }

    /// The bounds in one line.
    #[must_use]
    pub fn bounds(&self) -> String {
        let network = match self.network {
            Network::Async => "ASYNC".to_owned(),
            Network::Pull { parked } => format!("PULL-{parked}"),
        };
        let mut parts = vec![
            match (self.servers - self.learners, self.learners) {
                (1, 0) => "1 voter".to_owned(),
                (voters, 0) => format!("{voters} voters"),
                (voters, learners) => format!("{voters} voters, {learners} learner"),
            },
            network,
            format!("terms ≤ {}", self.max_term),
        ];
        let count = |n: u8, one: &str| match n {
            0 => None,
            1 => Some(format!("1 {one}")),
            n => Some(format!("{n} {one}es")),
        };
        parts.extend(count(self.crashes, "crash"));
        match self.commands {
            0 => {}
            1 => parts.push("1 command".to_owned()),
            n => parts.push(format!("{n} commands")),
        }
        if self.entries == 1 {
            parts.push("1 entry a request".to_owned());
        }
        if self.crashes > 0 {
            parts.push(format!("≤ {} writes pending", self.pending));
        }
        if !self.cuts.is_empty() {
            let cut = |(from, to): &(u64, u64)| format!("n{from}↛n{to}");
            let cuts: Vec<_> = self.cuts.iter().map(cut).collect();
            let when = match self.cutting {
                Cutting::Always => "",
                Cutting::Heals => " until it heals",
                Cutting::Breaks => " at some moment",
            };
            parts.push(format!("cut {}{when}", cuts.join(" ")));
        }
        parts.join(", ")
    }
}
