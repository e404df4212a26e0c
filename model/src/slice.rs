//! A slice: a bounded model that switches on the features that some claims need.

use std::collections::BTreeMap;
use std::fmt;

use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Configuration, Durable, Duration, Lease, NodeId, Params, Target};

use crate::clocks::Clocks;
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
    /// What server 0 has changed the members to, if it has: who is no member any more has not
    /// heard of that.
    pub members: Option<Members>,
}

/// Members that an operator may ask for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Members {
    /// The voters.
    pub voters: &'static [u64],
    /// The learners.
    pub learners: &'static [u64],
}

impl Members {
    /// The request for them.
    #[must_use]
    pub fn target(self) -> Target {
        let ids = |ids: &[u64]| ids.iter().copied().map(NodeId).collect();
        Target { voters: ids(self.voters), learners: ids(self.learners) }
    }
}

/// These voters and no learners.
pub(crate) const fn to(voters: &'static [u64]) -> Members {
    Members { voters, learners: &[] }
}

impl fmt::Display for Members {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list =
            |ids: &[u64]| ids.iter().map(|id| format!("n{id}")).collect::<Vec<_>>().join(" ");
        f.write_str(&list(self.voters))?;
        if self.learners.is_empty() { Ok(()) } else { write!(f, " + {}", list(self.learners)) }
    }
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
    /// How many of them are learners: the last ones before the joiners.
    pub learners: usize,
    /// How many of them, the last ones, are no members at the beginning, and know no cluster.
    pub joiners: usize,
    /// No election timeout passes in this term or a later one.
    pub max_term: u64,
    /// How many crashes there may be, each between any two effects.
    pub crashes: u8,
    /// How many writes may be pending on one server; its other operations wait for a report. With
    /// 0 every write is durable at once, and a crash is a restart.
    pub pending: usize,
    /// How many commands clients propose.
    pub commands: u8,
    /// How many reads clients ask for, each of any server.
    pub reads: u8,
    /// How many transfers of leadership an operator asks for, each to any other voter.
    pub transfers: u8,
    /// The lease of a leader, in ticks, if it has one.
    pub lease: Option<u64>,
    /// What members an operator asks for, one after the other, each at any moment.
    pub changes: &'static [Members],
    /// The server that loses its disk at some moment, if one does. What starts in its place is
    /// another server, one of the joiners.
    pub wiped: Option<u64>,
    /// How many snapshots servers take, each up to any committed entry.
    pub snapshots: u8,
    /// Whether an operator may ask for campaigns.
    pub campaigns: bool,
    /// The clocks of a timed slice. In the others time is nothing but timers that may fire at any
    /// moment.
    pub clocks: Option<Clocks>,
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
    /// Whether pre-votes, votes and the answers to them may be parked, too.
    pub late_votes: bool,
    /// The links that are cut.
    pub cuts: Cuts,
    /// When they are.
    pub cutting: Cutting,
    /// The premise of an established leader, where the slice has one.
    pub established: Option<Established>,
    /// Whether n0 leads term 1 when the explored graph begins, and the others have its first entry and
    /// know it to be committed. Whatever it says of times it has said at this moment.
    pub led: bool,
    /// Pre-vote, stickiness, check-quorum.
    pub election: Election,
    /// The claims that are checked: those of the catalogue's slices follow from their features.
    pub claims: ClaimSet,
    /// What it has to show.
    pub declared: Declared,
    /// The number of unique states: a change of it is a change of protocol or model.
    pub pinned: Option<u64>,
    /// Whether it runs only with `--deep`.
    pub deep: bool,
    /// Whether states that differ only in the servers' names count as one.
    pub symmetric: bool,
    /// Whether writes are durable at once where no crash is left to come. A restriction: what would
    /// be sent or counted between a step and the report of its write is left to slices with
    /// crashes.
    pub instant_writes: bool,
    /// Whether messages that can have no effect are dropped.
    pub reduced: bool,
    /// Whether states forget what no server can ask about any more.
    pub forgets: bool,
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
            election_timeout: self.clocks.map_or(Duration(E), |clocks| clocks.timeout()),
            election_jitter: Duration(1),
            heartbeat_interval: Duration(0),
            pre_vote: self.election.pre_vote,
            stickiness: self.election.stickiness,
            check_quorum: self.election.check_quorum,
            lease: self.lease.map(|ticks| Lease {
                duration: Duration(ticks + self.clocks.map_or(0, |clocks| clocks.late_lease())),
                drift_ppm: 0,
                granularity: Duration(0),
            }),
            max_in_flight: self.window,
            max_uncommitted: u64::MAX,
            catch_up_lag: 0,
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
        let cut = |id: u64| self.cuts.iter().any(|(from, to)| *from == id || *to == id);
        let leads = |id: u64| self.established.is_some() && id == 0;
        let alone = |id: u64| cut(id) || leads(id);
        let mut groups: BTreeMap<_, Vec<usize>> = BTreeMap::new();
        let premise = self.established.and_then(|premise| premise.members);
        for id in (0..self.servers as u64).filter(|id| !alone(*id)) {
            let asked = self.changes.iter().chain(&premise);
            let in_it = |to: &Members| (to.voters.contains(&id), to.learners.contains(&id));
            let named: Vec<_> = asked.map(in_it).collect();
            let part = (self.part(id as usize), self.is_flaky(NodeId(id)), self.wiped == Some(id));
            groups.entry((part, named)).or_default().push(id as usize);
        }
        groups.into_values().filter(|group| group.len() > 1).collect()
    }

    /// The number of voters at the beginning.
    #[must_use]
    pub fn voters(&self) -> usize {
        self.servers - self.learners - self.joiners
    }

    /// What a server is at the beginning: a voter (0), a learner (1), a joiner (2).
    fn part(&self, server: usize) -> u8 {
        u8::from(server >= self.voters()) + u8::from(server >= self.servers - self.joiners)
    }

    /// The configuration with which the cluster begins.
    #[must_use]
    pub fn first_configuration(&self) -> Configuration {
        let of = |part| (0..self.servers).filter(move |server| self.part(*server) == part);
        let ids = |part| of(part).map(|server| NodeId(server as u64)).collect();
        Configuration { voters: ids(0), learners: ids(1), ..Configuration::default() }
    }

    /// What a server's disk holds at the beginning: the first configuration, or none of any
    /// cluster.
    #[must_use]
    pub fn genesis(&self, id: NodeId) -> Durable {
        let joins = self.part(id.0 as usize) == 2;
        Durable::genesis(if joins { Configuration::default() } else { self.first_configuration() })
    }

    /// Everything that bounds or reduces the slice, in one line. `CLAIMS.md` defines the words.
    #[must_use]
    pub fn bounds(&self) -> String {
        let network = match self.network {
            Network::Async => "ASYNC".to_owned(),
            Network::Pull { parked } => format!("PULL-{parked}"),
        };
        let mut parts = vec![self.members(), network];
        parts.push(format!("terms ≤ {}", self.max_term));
        parts.push(self.election.to_string());
        parts.extend(self.clocks.map(|clocks| clocks.to_string()));
        if self.led {
            parts.push("n0 leads term 1 at the beginning".to_owned());
        }
        parts.extend(self.premise());
        parts.extend(self.crashes_and_writes());
        if self.commands > 0 {
            parts.push(counted(self.commands, "command", "s"));
        }
        if self.reads > 0 {
            parts.push(counted(self.reads, "read", "s"));
        }
        if self.transfers > 0 {
            parts.push(counted(self.transfers, "transfer", "s"));
        }
        if let Some(ticks) = self.lease {
            parts.push(format!("a lease of {ticks}"));
        }
        for to in self.changes {
            parts.push(format!("change to {to}"));
        }
        if let Some(id) = self.wiped {
            parts.push(format!("n{id} loses its disk"));
        }
        if self.snapshots > 0 {
            parts.push(counted(self.snapshots, "snapshot", "s"));
        }
        if self.campaigns && self.established.is_none() {
            parts.push("campaigns by an operator".to_owned());
        }
        if !self.appends {
            parts.push("no AppendEntries".to_owned());
        }
        match self.entries {
            u64::MAX => {}
            1 => parts.push("≤ 1 entry a request".to_owned()),
            entries => parts.push(format!("≤ {entries} entries a request")),
        }
        if self.window > 0 {
            parts.push(format!("a window of {}", self.window));
        }
        if self.heartbeats {
            parts.push("heartbeats beside entries".to_owned());
        }
        if !self.late_votes {
            parts.push("no vote late".to_owned());
        }
        parts.extend(self.links());
        let reductions = [
            (self.symmetric, "canonical names"),
            (self.reduced, "dead messages dropped"),
            (self.forgets, "spent votes forgotten"),
        ];
        parts.extend(reductions.iter().filter(|(on, _)| *on).map(|(_, name)| (*name).to_owned()));
        parts.join(", ")
    }

    fn members(&self) -> String {
        let mut members = counted(self.voters() as u64, "voter", "s");
        for (number, name) in [(self.learners, "learner"), (self.joiners, "joiner")] {
            if number > 0 {
                members = format!("{members}, {}", counted(number as u64, name, "s"));
            }
        }
        members
    }

    /// Who leads at the beginning, and whose election timeout passes at all.
    fn premise(&self) -> Option<String> {
        let premise = self.established?;
        let flaky: Vec<_> = premise.flaky.iter().map(|id| format!("n{id}")).collect();
        let flaky = flaky.join(" and ");
        let timers = if self.campaigns {
            format!("no timer runs, an operator asks {flaky} to campaign")
        } else {
            format!("timers run at {flaky} alone")
        };
        let stays = if self.crashes > 0 { " and does not crash" } else { "" };
        let changed = premise.members.map(|to| format!(" and has changed the members to {to}"));
        Some(format!("n0 leads term 1{}{stays}, {timers}", changed.unwrap_or_default()))
    }

    /// What a crash can take, and when writes are durable.
    fn crashes_and_writes(&self) -> Vec<String> {
        let at_once = |when| format!("writes at once{when}");
        if self.pending == 0 {
            let restarts = format!("{}, no write lost", counted(self.crashes, "restart", "s"));
            let restarts = (self.crashes > 0).then_some(restarts);
            return restarts.into_iter().chain([at_once("")]).collect();
        }
        let crashes = counted(self.crashes, "crash", "es");
        let pending = format!("≤ {} pending", counted(self.pending as u64, "write", "s"));
        match (self.crashes > 0, self.instant_writes) {
            (true, true) => vec![crashes, pending, at_once(" after the last crash")],
            (true, false) => vec![crashes, pending],
            (false, true) => vec![at_once("")],
            (false, false) => vec![pending],
        }
    }

    fn links(&self) -> Option<String> {
        let cuts: Vec<_> = self.cuts.iter().map(|(from, to)| format!("n{from}↛n{to}")).collect();
        let when = match self.cutting {
            Cutting::Always => "",
            Cutting::Heals => " until it heals",
            Cutting::Breaks => " at some moment",
        };
        (!cuts.is_empty()).then(|| format!("cut {}{when}", cuts.join(" ")))
    }
}

impl fmt::Display for Election {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            (self.pre_vote, "pre-vote"),
            (self.stickiness, "promise"),
            (self.check_quorum, "check-quorum"),
        ];
        let on: Vec<_> = parts.iter().filter(|(on, _)| *on).map(|(_, name)| *name).collect();
        match (self.pre_vote || self.stickiness, on.join(" + ")) {
            (true, on) => f.write_str(&on),
            (false, on) if on.is_empty() => f.write_str("naive election"),
            (false, on) => write!(f, "naive election + {on}"),
        }
    }
}

/// So many of them, in words.
fn counted(n: impl Into<u64> + Copy, one: &str, plural: &str) -> String {
    let n: u64 = n.into();
    if n == 1 { format!("1 {one}") } else { format!("{n} {one}{plural}") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slices;

    /// The bounds of a slice with this change.
    fn bounds(change: impl Fn(&mut Slice)) -> String {
        let mut slice = slices::named("replication").expect("it is in the catalogue");
        change(&mut slice);
        slice.bounds()
    }

    /// What stands between the elections and the commands: crashes and writes.
    fn writes(crashes: u8, pending: usize, instant_writes: bool) -> String {
        let bounds = bounds(|slice| {
            *slice = Slice { crashes, pending, instant_writes, ..*slice };
        });
        let (_, rest) = bounds.split_once("naive election, ").expect("it has elections");
        rest.split_once(", 2 commands").expect("it has commands").0.to_owned()
    }

    #[test]
    fn a_crash_takes_what_is_pending_and_a_restart_takes_nothing() {
        assert_eq!(
            writes(1, 2, true),
            "1 crash, ≤ 2 writes pending, writes at once after the last crash"
        );
        assert_eq!(
            writes(2, 1, true),
            "2 crashes, ≤ 1 write pending, writes at once after the last crash"
        );
        assert_eq!(writes(1, 0, true), "1 restart, no write lost, writes at once");
        assert_eq!(writes(2, 0, true), "2 restarts, no write lost, writes at once");
    }

    #[test]
    fn writes_are_at_once_where_the_slice_has_them_so() {
        assert_eq!(writes(0, 2, true), "writes at once");
        assert_eq!(writes(0, 2, false), "≤ 2 writes pending");
        assert_eq!(writes(1, 2, false), "1 crash, ≤ 2 writes pending");
        // Nothing may be pending: whatever is said of instant writes, there are no others.
        assert_eq!(writes(0, 0, false), "writes at once");
        assert_eq!(writes(1, 0, false), "1 restart, no write lost, writes at once");
    }

    #[test]
    fn what_a_request_carries_and_how_many_there_are() {
        let sent = |entries, window, heartbeats| {
            let bounds = bounds(|slice| *slice = Slice { entries, window, heartbeats, ..*slice });
            let (_, rest) = bounds.split_once("2 commands, ").expect("it has commands");
            rest.split_once("canonical").expect("it has reductions").0.to_owned()
        };
        assert_eq!(sent(u64::MAX, 0, false), "");
        assert_eq!(sent(1, 2, false), "≤ 1 entry a request, a window of 2, ");
        assert_eq!(sent(3, 0, true), "≤ 3 entries a request, heartbeats beside entries, ");
    }

    #[test]
    fn a_slice_is_bounded_in_this_order() {
        assert_eq!(
            slices::named("pipeline").expect("it is in the catalogue").bounds(),
            "3 voters, PULL-1, terms ≤ 2, pre-vote + promise + check-quorum, writes at once, \
             1 command, ≤ 1 entry a request, a window of 2, canonical names, dead messages dropped, \
             spent votes forgotten"
        );
        let bare = bounds(|slice| {
            *slice = Slice { symmetric: false, reduced: false, forgets: false, ..*slice }
        });
        assert!(bare.ends_with("writes at once, 2 commands"), "{bare}");
    }
}
