//! Clocks that run apart: the two assumptions about them, and two encodings of each.
//!
//! **Skew(ε)**: the clocks are always within ε of each other. **Drift(ε)**: over any period no clock
//! gains more than ε on another; how far apart they are does not matter. For every two servers both
//! say one thing: the difference of their clocks stays in a window, which is `[-ε, ε]` under skew, and
//! of width ε, wherever it lies, under drift. (If no clock gains more than ε over any period, all
//! values of the difference lie within ε of each other, so some window of that width holds them;
//! and within one window nobody gains more.)
//!
//! **A clock for each server** ([`Encoding::PerServer`], exact): the action `Advance(i)` moves clock
//! `i` by one tick, as long as every difference stays in its window. A state keeps, for each pair,
//! the [`Rooms`]: how much the one may still gain on the other. They say all that matters of
//! the clocks, and are few. There is an initial state for all offsets of the clocks under skew,
//! and for each place of each window under drift.
//!
//! **One global tick** ([`Encoding::Global`]): `AdvanceAll` lets a tick pass everywhere, and each
//! timer may end up to ε ticks before or after its nominal time. Timers are stored at their
//! latest end, `E + ε`, and from `2 ε` before it on the action `Lapse` may end them. How that covers
//! what happens with a clock for each server:
//!
//! - Under skew the global time is the slowest clock's. Every clock is ahead of it by 0 to ε, so
//!   an interval that its server measures differs from the global one by at most ε: its timers end
//!   within ε of their nominal time, and so does a lease, which therefore counts as valid for `L + ε`.
//! - Under drift the global time is the clock of whichever leader is asked about its lease, which
//!   is therefore valid for `L`. Every other clock gains or loses at most ε on it over any
//!   interval: the timers of the others end within ε of their nominal time.
//!
//! So a claim about one leader's lease that holds in the global encoding holds in the exact one. The
//! other way round it allows more (errors that do not add up over three servers), and is no more than
//! tight: `tests/clocks.rs` and `check lease` show the same thresholds in both. Expected and
//! found: leases are safe exactly if `L + 2 ε ≤ E` under skew, and `L + ε ≤ E` under drift.

use std::fmt;

use quorate_spec::{Body, Duration, Instant, Message, NodeId, Params};

use crate::server::PRESENT;

/// The clocks of a timed slice.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Clocks {
    /// What keeps the clocks together.
    pub assumption: Assumption,
    /// How they are modelled.
    pub encoding: Encoding,
    /// The election timeout `E`, in ticks of a server's own clock.
    pub election_timeout: u64,
    /// Whether an election timer may fire at any moment, as in the slices without time, and not only
    /// when it is due, or later: more than what happens. A promise does not end by that.
    pub any_timer: bool,
}

/// What keeps the clocks of a cluster together.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Assumption {
    /// They are always within so many ticks of each other.
    Skew(u64),
    /// Over any period no clock gains more ticks on another.
    Drift(u64),
}

/// How clocks are modelled.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Encoding {
    /// Each server has a clock that advances by itself.
    PerServer,
    /// One tick for all, and timers that end early or late.
    Global,
}

impl Assumption {
    /// The bound `ε`.
    #[must_use]
    pub fn bound(self) -> u64 {
        match self {
            Assumption::Skew(bound) | Assumption::Drift(bound) => bound,
        }
    }

    /// The number of values that the difference of two clocks may have, less one.
    #[must_use]
    pub fn width(self) -> u64 {
        match self {
            Assumption::Skew(bound) => 2 * bound,
            Assumption::Drift(bound) => bound,
        }
    }
}

impl Clocks {
    /// The longest lease that is safe under the assumption, by the inequality.
    #[must_use]
    pub fn longest_lease(&self) -> u64 {
        self.election_timeout.saturating_sub(self.assumption.width())
    }

    /// Whether every server has a clock of its own.
    #[must_use]
    pub fn are_own(&self) -> bool {
        self.encoding == Encoding::PerServer
    }

    /// The election timeout that servers go by: with one tick for all it is the latest end.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        let late = if self.are_own() { 0 } else { self.assumption.bound() };
        Duration(self.election_timeout + late)
    }

    /// How long before its latest end a timer may end.
    #[must_use]
    pub fn slack(&self) -> Duration {
        Duration(if self.are_own() { 0 } else { 2 * self.assumption.bound() })
    }

    /// By how much a lease may outlast its length, by the time that the model counts.
    #[must_use]
    pub fn late_lease(&self) -> u64 {
        match (self.encoding, self.assumption) {
            (Encoding::Global, Assumption::Skew(bound)) => bound,
            (Encoding::Global, Assumption::Drift(_)) | (Encoding::PerServer, _) => 0,
        }
    }

    /// The clocks with which so many servers may begin.
    #[must_use]
    pub fn initial(&self, servers: usize) -> Vec<Rooms> {
        let (bound, width) = (self.assumption.bound(), self.assumption.width());
        let values = bound + 1;
        let digit = |of: u64, at: usize| of / values.pow(at as u32) % values;
        match (self.encoding, self.assumption) {
            (Encoding::Global, _) => vec![Rooms::NONE],
            (Encoding::PerServer, Assumption::Skew(_)) => {
                let offsets = 0..values.pow(servers as u32);
                let lowest = |of: &u64| (0..servers).any(|server| digit(*of, server) == 0);
                let room = |of, a, b| bound + digit(of, b) - digit(of, a);
                let rooms = |of| Rooms::new(width, servers, |a, b| room(of, a, b));
                offsets.filter(lowest).map(rooms).collect()
            }
            (Encoding::PerServer, Assumption::Drift(_)) => {
                let pairs = servers * servers.saturating_sub(1) / 2;
                let rooms = |of| Rooms::new(width, servers, |a, b| digit(of, pair(a, b)));
                let all = (0..values.pow(pairs as u32)).map(rooms);
                all.filter(|rooms| servers != 3 || rooms.are_wide()).collect()
            }
        }
    }
}

impl fmt::Display for Clocks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.assumption {
            Assumption::Skew(bound) => write!(f, "clocks within {bound} of each other")?,
            Assumption::Drift(bound) => write!(f, "clocks that gain ≤ {bound} on each other")?,
        }
        f.write_str(match self.encoding {
            Encoding::PerServer => ", a clock a server",
            Encoding::Global => ", one tick for all and timers early or late",
        })?;
        write!(f, ", E = {}", self.election_timeout)?;
        f.write_str(if self.any_timer { ", election timers fire at any moment" } else { "" })
    }
}

/// How many ticks each server's clock may still gain on each other one's, packed: three bits for
/// each pair, and the width of the windows in the highest four. Zero in a slice without time.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Rooms(u64);

/// Bits for a pair.
const BITS: usize = 3;
/// Where the width is.
const WIDTH: usize = 60;
/// The largest cluster with clocks of their own.
const MOST: usize = 6;

impl Rooms {
    fn new(width: u64, servers: usize, room: impl Fn(usize, usize) -> u64) -> Rooms {
        assert!(width < 1 << BITS && servers <= MOST, "these clocks do not fit into a word");
        let mut packed = width << WIDTH;
        for b in 0..servers {
            for a in 0..b {
                packed |= room(a, b) << (BITS * pair(a, b));
            }
        }
        Rooms(packed)
    }

    /// One tick for all: there is time, and no server has a clock of its own.
    pub const NONE: Rooms = Rooms(1 << (WIDTH - 1));

    /// Whether time is counted at all.
    #[must_use]
    pub fn has_time(self) -> bool {
        self.0 != 0
    }

    /// Whether servers have clocks of their own.
    #[must_use]
    pub fn are_counted(self) -> bool {
        self.width() != 0
    }

    fn width(self) -> u64 {
        self.0 >> WIDTH
    }

    /// Whether the windows of three clocks use their width. What three servers may gain around the
    /// circle has a sum that no tick changes. Where it is below the width `w`, none of the three
    /// differences comes nearer than `w` less the sum to its lower end, so one window can be moved up by
    /// that without losing a run, and then the sum is `w`; the same the other way round.
    fn are_wide(self) -> bool {
        let [a, b, c] = [0, 1, 2].map(NodeId);
        let width = self.width();
        (width..=2 * width).contains(&(self.of(a, b) + self.of(b, c) + self.of(c, a)))
    }

    /// How much the one server's clock may gain on the other one's.
    #[must_use]
    pub fn of(self, server: NodeId, over: NodeId) -> u64 {
        let (a, b) = (server.0 as usize, over.0 as usize);
        let kept = self.0 >> (BITS * pair(a, b)) & ((1 << BITS) - 1);
        if a < b { kept } else { self.width() - kept }
    }

    /// The clocks after this one has advanced by a tick; none where it may not.
    #[must_use]
    pub fn advance(self, server: NodeId, servers: usize) -> Option<Rooms> {
        let mut after = self.0;
        for over in (0..servers as u64).map(NodeId).filter(|over| *over != server) {
            if self.of(server, over) == 0 {
                return None;
            }
            let tick = 1 << (BITS * pair(server.0 as usize, over.0 as usize));
            after = if server < over { after - tick } else { after + tick };
        }
        Some(Rooms(after))
    }

    /// The same clocks under new names: for each old name its new one.
    #[must_use]
    pub(crate) fn renamed(self, names: &[u8]) -> Rooms {
        if !self.are_counted() {
            return self;
        }
        let mut packed = self.width() << WIDTH;
        for a in 0..names.len() {
            for b in 0..names.len() {
                if names[a] < names[b] {
                    let room = self.of(NodeId(a as u64), NodeId(b as u64));
                    packed |= room << (BITS * pair(names[a].into(), names[b].into()));
                }
            }
        }
        Rooms(packed)
    }
}

/// The position of a pair of different servers, whichever comes first.
fn pair(a: usize, b: usize) -> usize {
    let (low, high) = (a.min(b), a.max(b));
    high * (high - 1) / 2 + low
}

/// What happened to the times of one server.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Moved {
    /// Its clock's origin was moved by so much.
    pub by: u64,
    /// In a timed slice: a round of pre-votes began, and what is under way is from an earlier one.
    pub new_round: bool,
}

/// The name of the present round of pre-votes in a timed slice: names do not age.
pub(crate) const ROUND: Instant = PRESENT;

/// The name of every past round.
pub(crate) const PAST: Instant = Instant(0);

impl Moved {
    /// Whether anything changed.
    #[must_use]
    pub fn is_nothing(self) -> bool {
        self == Moved::default()
    }

    /// Changes the times in a message that belong to that server's clock. The parameters are those
    /// of a timed slice.
    pub(crate) fn apply(self, timed: Option<&Params>, message: &mut Message) {
        let named = round(message).map(|round| *round);
        message.rebase(Instant(PRESENT.0 + self.by), PRESENT);
        let Some(params) = timed else { return };
        if let Some(round) = round(message) {
            let kept = named.filter(|_| !self.new_round);
            *round = kept.unwrap_or(PAST);
        }
        // A lease that has ended has ended, however long ago.
        let stamp = &mut message.stamp;
        stamp.sent = stamp.sent.map(|sent| if renews(params, sent) { sent } else { PAST });
    }
}

/// Whether a lease may be held at present that began then; a mutant holds it a tick longer.
pub(crate) fn renews(params: &Params, start: Instant) -> bool {
    let lease = params.lease.map_or(0, |lease| lease.duration.0);
    !PRESENT.is_past(start, Duration(lease + 1))
}

fn round(message: &mut Message) -> Option<&mut Instant> {
    match &mut message.body {
        Body::PreVote { round, .. } | Body::PreVoteReply { round, .. } => Some(round),
        Body::RequestVote { .. }
        | Body::RequestVoteReply { .. }
        | Body::AppendEntries { .. }
        | Body::AppendEntriesReply(_)
        | Body::InstallSnapshot { .. }
        | Body::TimeoutNow
        | Body::ReadIndex { .. }
        | Body::ReadIndexReply { .. } => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::canonical::permutations;

    const THREE: [NodeId; 3] = [NodeId(0), NodeId(1), NodeId(2)];

    fn clocks(assumption: Assumption) -> Clocks {
        Clocks { assumption, encoding: Encoding::PerServer, election_timeout: 4, any_timer: false }
    }

    /// Whether the assumption allows the run, given as the clocks after each tick: by its definition
    /// alone.
    fn is_allowed(assumption: Assumption, run: &[[i64; 3]]) -> bool {
        [(0, 1), (0, 2), (1, 2)].into_iter().all(|(a, b)| {
            let apart: Vec<i64> = run.iter().map(|at| at[a] - at[b]).collect();
            match assumption {
                Assumption::Skew(bound) => apart.iter().all(|d| d.unsigned_abs() <= bound),
                Assumption::Drift(bound) => apart.iter().enumerate().all(|(i, from)| {
                    apart[i..].iter().all(|to| (to - from).unsigned_abs() <= bound)
                }),
            }
        })
    }

    /// The run and one more tick of any clock.
    fn longer(run: &[[i64; 3]]) -> impl Iterator<Item = Vec<[i64; 3]>> + '_ {
        (0..3).map(move |server| {
            let mut next = *run.last().expect("a run has a beginning");
            next[server] += 1;
            run.iter().copied().chain([next]).collect()
        })
    }

    /// Whether some initial rooms for these first offsets allow the run.
    fn goes(assumption: Assumption, run: &[[i64; 3]]) -> bool {
        let first = run[0];
        let begins = |rooms: &Rooms| match assumption {
            Assumption::Skew(bound) => [(0, 1), (0, 2), (1, 2)].into_iter().all(|(a, b)| {
                let room = rooms.of(THREE[a], THREE[b]) as i64;
                room == bound as i64 - (first[a] - first[b])
            }),
            Assumption::Drift(_) => true,
        };
        clocks(assumption).initial(3).into_iter().filter(begins).any(|rooms| {
            let tick = |pair: &[[i64; 3]]| (0..3).find(|i| pair[0][*i] != pair[1][*i]);
            let ticks = run.windows(2).map(|pair| THREE[tick(pair).expect("a clock advances")]);
            let mut rooms = Some(rooms);
            ticks.for_each(|server| rooms = rooms.and_then(|rooms| rooms.advance(server, 3)));
            rooms.is_some()
        })
    }

    /// The rooms allow exactly the runs of clocks that the definition of the assumption allows.
    #[test]
    fn clocks_advance_as_the_assumption_says_and_no_less() {
        let bounds = [1, 2].into_iter();
        for assumption in
            bounds.flat_map(|bound| [Assumption::Skew(bound), Assumption::Drift(bound)])
        {
            for first in [[0, 0, 0], [1, 0, 0], [0, 1, 1]] {
                let mut runs = vec![vec![first]];
                for _ in 0..6 {
                    let next: Vec<_> = runs.iter().flat_map(|run| longer(run)).collect();
                    let (allowed, not): (Vec<_>, Vec<_>) =
                        next.into_iter().partition(|run| is_allowed(assumption, run));
                    assert!(allowed.iter().all(|run| goes(assumption, run)), "{assumption:?}");
                    assert!(!not.iter().any(|run| goes(assumption, run)), "{assumption:?}");
                    runs = allowed;
                }
                assert!(runs.len() > 1, "{assumption:?} lets nothing happen");
            }
        }
    }

    #[test]
    fn names_do_not_matter_to_clocks() {
        for rooms in clocks(Assumption::Drift(2)).initial(3) {
            for order in permutations(&[0, 1, 2]) {
                let names: Vec<u8> = order.iter().map(|name| *name as u8).collect();
                let new = |id: NodeId| NodeId(names[id.0 as usize].into());
                let renamed = rooms.renamed(&names);
                for a in THREE {
                    for b in THREE.into_iter().filter(|b| *b != a) {
                        assert_eq!(renamed.of(new(a), new(b)), rooms.of(a, b));
                    }
                    let after = rooms.advance(a, 3).map(|after| after.renamed(&names));
                    assert_eq!(after, renamed.advance(new(a), 3));
                }
            }
        }
    }
}
