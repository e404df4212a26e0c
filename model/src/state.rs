//! A global state: a few references to interned parts.

use std::fmt;
use std::hash::{Hash, Hasher};

use quorate_spec::property::ClaimSet;
use quorate_spec::property::history::History;
use quorate_spec::{Envelope, NodeId};
use smallvec::SmallVec;

use crate::clocks::Rooms;
use crate::intern::Interned;
use crate::internable;
use crate::server::{Outcome, Server};

/// The largest cluster of a state: [`link`] has a bit for each pair in 64.
pub const MAX_SERVERS: usize = 7;

const _: () = assert!(MAX_SERVERS * MAX_SERVERS <= u64::BITS as usize);

internable!(History);

/// The servers of a cluster; server `i` has identity `i`.
pub type Servers = SmallVec<[Interned<Server>; 5]>;

/// What is on its way, in order of content, each once.
pub type Net = SmallVec<[Interned<Envelope>; 6]>;

/// One state of a slice. Two are equal exactly when their contents are.
#[derive(Clone, PartialEq, Eq)]
pub struct State {
    /// The servers.
    pub servers: Servers,
    /// The messages.
    pub net: Net,
    /// The record that no server sees.
    pub history: Interned<History>,
    /// What is left of the slice's budgets, and the links.
    pub budget: Budget,
    /// How far the servers' clocks may move, where each has its own.
    pub clocks: Rooms,
    /// The claims that the run has broken so far.
    pub broken: ClaimSet,
}

/// What may still happen.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug, Default)]
pub struct Budget {
    /// Crashes.
    pub crashes: u8,
    /// Proposals.
    pub commands: u8,
    /// Changes of the members that an operator has not asked for yet.
    pub changes: u8,
    /// Disks that can be lost.
    pub wipes: u8,
    /// Snapshots that servers take.
    pub snapshots: u8,
    /// Reads that clients ask for.
    pub reads: u8,
    /// Transfers of leadership that an operator asks for.
    pub transfers: u8,
    /// One bit for each link that is cut: see [`link`].
    pub cut: u64,
}

/// The bit of the link from one server to another.
#[must_use]
pub fn link(from: NodeId, to: NodeId) -> u64 {
    1 << (from.0 as usize * MAX_SERVERS + to.0 as usize)
}

impl Budget {
    /// Whether messages pass from one server to the other.
    #[must_use]
    pub fn is_open(&self, from: NodeId, to: NodeId) -> bool {
        self.cut & link(from, to) == 0
    }
}

impl State {
    /// The server with this identity.
    #[must_use]
    pub fn server(&self, id: NodeId) -> Interned<Server> {
        self.servers[id.0 as usize]
    }

    /// The outcome of an operation of this server, and what the history has to remember of it.
    pub(crate) fn take(&mut self, id: NodeId, outcome: Interned<Outcome>) {
        self.servers[id.0 as usize] = outcome.server;
        self.broken = self.broken.union(outcome.broken);
        if !outcome.events.is_empty() {
            let mut history = (*self.history).clone();
            for event in &outcome.events {
                self.broken = self.broken.union(history.observe(event));
            }
            self.history = Interned::new(history);
        }
    }

    /// Adds a message; there is one of each.
    pub fn add(&mut self, envelope: Interned<Envelope>) {
        if let Err(at) = self.net.binary_search(&envelope) {
            self.net.insert(at, envelope);
        }
    }
}

impl Hash for State {
    fn hash<H: Hasher>(&self, state: &mut H) {
        // The numbers of servers and messages are written too: sets side by side must not merge.
        for server in &self.servers {
            server.hash(state);
        }
        let Budget { crashes, commands, snapshots, changes, wipes, reads, transfers, cut } =
            self.budget;
        let left = [snapshots, changes, wipes, crashes, commands, reads, transfers, 0];
        state.write_u64(u64::from_le_bytes(left));
        state.write_u64((self.servers.len() as u64) << 32 | self.net.len() as u64);
        for envelope in &self.net {
            envelope.hash(state);
        }
        self.history.hash(state);
        state.write_u64(cut);
        self.clocks.hash(state);
        self.broken.hash(state);
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crate::render::table(self))
    }
}
