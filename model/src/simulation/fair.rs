//! A fair scheduler: every message arrives, every disk reports, time passes. From whatever state
//! the faults left, a leader has to commit what is proposed now, and everyone has to learn it.

use std::fmt;

use quorate_spec::{Duration, EntryId, Index, Node};

use super::cluster::{Cluster, PARAMS};
use super::server::Happening;

/// How many rounds of fair scheduling are enough: ten election timeouts.
pub const BOUND: u64 = 10 * PARAMS.election_timeout.0 / QUANTUM;

/// How many rounds are enough where everyone follows one leader: an election timeout.
const LEISURE: u64 = PARAMS.election_timeout.0 / QUANTUM;

/// How many ticks pass on each clock in a round, and up to a fifth more.
const QUANTUM: u64 = 25;

/// A cluster that has come to rest.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Settled {
    /// After so many rounds, before leadership was handed over once more.
    pub rounds: u64,
    /// Everyone has committed up to here.
    pub commit_index: Index,
    /// Whom everyone follows.
    pub leader: usize,
}

/// A cluster that has not, in [`BOUND`] rounds.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Unsettled;

impl fmt::Display for Unsettled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no proposal was committed everywhere in {BOUND} fair rounds")
    }
}

impl std::error::Error for Unsettled {}

impl Cluster {
    /// Heals every link and schedules fairly until every server follows one leader and has
    /// committed a proposal of this time.
    ///
    /// # Errors
    /// Where that takes more than [`BOUND`] rounds.
    pub fn settle(&mut self, seed: u64) -> Result<Settled, Unsettled> {
        self.draw_from(seed);
        self.heal_all();
        let mut proposed = None;
        for rounds in 1..=BOUND {
            self.fair_round(|_| true);
            proposed = self.proposal(proposed);
            let done = proposed.is_some_and(|entry| self.all_committed(entry));
            let agreed = self.agreed().filter(|_| done);
            if let Some((leader, commit_index)) = agreed {
                return Ok(Settled { rounds, commit_index, leader });
            }
        }
        Err(Unsettled)
    }

    /// What was under way between these servers arrives, their disks report what was pending, and
    /// a little time passes. What is sent in a round arrives in the next.
    pub(crate) fn fair_round(&mut self, takes_part: impl Fn(usize) -> bool) {
        for (link, waiting) in self.network.waiting() {
            let (from, to) = self.network.ends(link);
            if takes_part(from) && takes_part(to) {
                self.drain(link, waiting);
            }
        }
        let together = self.clocks.go_together().then(|| self.quantum());
        let together = together.map(|by| self.time_passes(by));
        for id in (0..self.servers().len()).filter(|id| takes_part(*id)) {
            let pending = self.servers()[id].disk.pending.len();
            if pending > 0 {
                self.operate(id, Happening::Report(pending));
            }
            self.end_a_transfer(id);
            let by = together.unwrap_or_else(|| self.quantum());
            self.operate(id, Happening::ElapseInTime(by));
        }
    }

    fn quantum(&mut self) -> Duration {
        Duration(QUANTUM + self.draw() % (QUANTUM / 5 + 1))
    }

    /// A driver gives a transfer of a snapshot up that takes too long: here about one in four rounds.
    fn end_a_transfer(&mut self, id: usize) {
        if let Some(peer) = self.moves_to(id).filter(|_| self.draw().is_multiple_of(4)) {
            self.operate(id, Happening::StopMoving(peer));
        }
    }

    /// What was proposed and is still in the leader's log, else what is proposed now.
    fn proposal(&mut self, proposed: Option<EntryId>) -> Option<EntryId> {
        let leader = self.leader()?;
        let log = self.servers()[leader].node.log();
        if proposed.is_some_and(|entry| log.contains(entry)) {
            return proposed;
        }
        let before = log.last();
        self.operate(leader, Happening::Propose(1));
        // While it hands its leadership over it takes none.
        Some(self.servers()[leader].node.log().last()).filter(|entry| *entry != before)
    }

    /// Whether the reads that wait at members are answered in [`LEISURE`] more rounds.
    pub(crate) fn answers_reads(&mut self) -> bool {
        let waits = |cluster: &Cluster| {
            let members = cluster.members();
            let waiting = cluster.history().reads.keys();
            waiting.into_iter().any(|(asked, _)| members.contains(&(asked.0 as usize)))
        };
        for _ in 0..LEISURE {
            if !waits(self) {
                return true;
            }
            self.fair_round(|_| true);
        }
        !waits(self)
    }

    /// Whether anyone still hands its leadership over.
    pub(crate) fn hands_over(&self) -> bool {
        let mut leaders = self.servers().iter().filter_map(|server| server.node.leadership());
        leaders.any(|leadership| leadership.transfer.is_some())
    }

    /// Whether this leader takes no command while it hands its leadership over to another voter,
    /// and that one leads in [`LEISURE`] rounds, where there is another.
    pub(crate) fn succeeds(&mut self, leader: usize) -> bool {
        let voters = &self.servers()[leader].node.log().configuration().voters;
        let others: Vec<_> = voters.iter().copied().filter(|id| id.0 as usize != leader).collect();
        if others.is_empty() {
            return true;
        }
        let to = others[self.draw() as usize % others.len()];
        self.operate(leader, Happening::Propose(1));
        let before = self.servers()[leader].node.log().last();
        self.operate(leader, Happening::Transfer(to));
        self.operate(leader, Happening::Propose(1));
        let takes_none = self.servers()[leader].node.log().last() == before;
        let leads = |cluster: &Cluster| cluster.servers()[to.0 as usize].node.is_leader();
        for _ in 0..LEISURE {
            if leads(self) {
                break;
            }
            self.fair_round(|_| true);
        }
        takes_none && leads(self)
    }

    /// The leader of the highest term that has one.
    fn leader(&self) -> Option<usize> {
        let leaders = self.servers().iter().filter(|server| server.node.is_leader());
        let latest = leaders.max_by_key(|server| server.node.current_term())?;
        Some(latest.node.id().0 as usize)
    }

    /// The leader's members: every server, where the members do not change.
    fn members(&self) -> Vec<usize> {
        let leader = self.leader().map(|leader| self.servers()[leader].node.log());
        let members = leader.into_iter().flat_map(|log| log.configuration().members());
        members.map(|id| id.0 as usize).collect()
    }

    /// Whether no change of the members is under way.
    fn has_changed(&self, leader: usize) -> bool {
        let node = &self.servers()[leader].node;
        let (at, latest) = node.log().latest_configuration();
        let rests = !latest.is_joint() && latest.target.is_none();
        rests && at <= node.commit_index() && latest.voters.contains(&node.id())
    }

    fn all_committed(&self, entry: EntryId) -> bool {
        self.members().into_iter().map(|id| &self.servers()[id]).all(|server| {
            server.node.commit_index() >= entry.index && server.node.log().contains(entry)
        })
    }

    /// The leader and the commit index that everyone has.
    fn agreed(&self) -> Option<(usize, Index)> {
        let leader = self.leader()?;
        let known = |node: &Node| (node.current_term(), node.leader(), node.commit_index());
        let view = known(&self.servers()[leader].node);
        let mut members = self.members().into_iter().map(|id| &self.servers()[id]);
        let agree = members.all(|server| known(&server.node) == view);
        (agree && self.has_changed(leader)).then_some((leader, view.2))
    }
}
