//! One server of a lane: its node and disk, its clock, and whether it is up.

use std::collections::BTreeMap;

use quorate_spec::{Fatal, Instant, NodeId};

use crate::server::Server;

/// A clock that a person can set to another speed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Clock {
    /// Since when it goes at this speed, in true microseconds.
    pub(crate) since: u64,
    /// What it showed then.
    pub(crate) shows: u64,
    /// Its speed, in percent of the true one.
    pub(crate) rate: u64,
}

impl Clock {
    /// A clock that is right in speed and shows some time of its own: no two have to agree.
    pub(crate) fn of(server: usize) -> Clock {
        Clock { since: 0, shows: 100_000_000 * (server as u64 + 1), rate: 100 }
    }

    /// What it shows at this true instant.
    pub(crate) fn now(&self, at: u64) -> Instant {
        Instant(self.shows + at.saturating_sub(self.since) * self.rate / 100)
    }

    /// From here on it goes at this speed.
    pub(crate) fn set_rate(&mut self, at: u64, rate: u64) {
        *self = Clock { since: at, shows: self.now(at).0, rate };
    }

    /// The first true instant at which it shows `instant` or more.
    pub(crate) fn until(&self, instant: Instant) -> u64 {
        let to_go = u128::from(instant.0.saturating_sub(self.shows)) * 100;
        let takes = to_go.div_ceil(u128::from(self.rate.max(1)));
        self.since.saturating_add(u64::try_from(takes).unwrap_or(u64::MAX))
    }
}

/// Why a server does not run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Down {
    /// A person let it crash.
    Crashed,
    /// It has seen that safety is broken, and stopped for good.
    Stopped(Fatal),
}

/// A server with what is around it.
pub(crate) struct Host {
    pub(crate) server: Server,
    pub(crate) clock: Clock,
    /// Why it does not run, if it does not.
    pub(crate) down: Option<Down>,
    /// Whether it was told that writes wait, since no majority answers it.
    pub(crate) blocked: bool,
    /// Whether it was told that its lease is over, since it held one last.
    pub(crate) lease_over: bool,
    /// How often it has crashed.
    pub(crate) life: u32,
    /// How often its timer was set.
    pub(crate) setting: u64,
    /// When the disk has done all that it has to do.
    pub(crate) disk_free: u64,
    /// When each other server last answered what this one sent as the leader of its present term.
    pub(crate) heard: BTreeMap<NodeId, u64>,
}

impl Host {
    pub(crate) fn new(server: Server, clock: Clock) -> Host {
        let heard = BTreeMap::new();
        let (down, blocked, lease_over) = (None, false, false);
        let (life, setting, disk_free) = (0, 0, 0);
        Host { server, clock, down, blocked, lease_over, life, setting, disk_free, heard }
    }

    pub(crate) fn is_up(&self) -> bool {
        self.down.is_none()
    }

    /// Whether it runs and leads.
    pub(crate) fn leads(&self) -> bool {
        self.is_up() && self.server.node.is_leader()
    }
}
