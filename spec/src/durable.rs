//! What a node keeps on disk, and how a write changes it.

use crate::configuration::Configuration;
use crate::log::{Entries, Log, Snapshot};
use crate::types::{Index, NodeId, Term};

/// Term and vote: one atomic record, never two (bug A8 in `CLAIMS.md`).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct HardState {
    /// The latest term that the server has seen.
    pub current_term: Term,
    /// Whom it voted for in that term.
    pub voted_for: Option<NodeId>,
}

/// What a crash cannot take: a node restarts from this and nothing else.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Durable {
    /// Term and vote.
    pub hard_state: HardState,
    /// The log.
    pub log: Log,
}

impl Durable {
    /// A server's first state, in a cluster that starts with this configuration.
    #[must_use]
    pub fn genesis(configuration: Configuration) -> Durable {
        Durable { hard_state: HardState::default(), log: Log::new(configuration) }
    }

    /// Performs a write.
    pub fn apply(&mut self, write: &Write) {
        if let Some(hard_state) = write.hard_state {
            self.hard_state = hard_state;
        }
        match &write.snapshot {
            Some(SnapshotWrite::Compact(snapshot)) => self.log.compact(snapshot.last.index),
            Some(SnapshotWrite::Install(snapshot)) => {
                self.log = Log::from_snapshot(snapshot.clone());
            }
            None => {}
        }
        if let Some(log) = &write.log {
            self.log.truncate_after(log.keep);
            self.log.append(&log.entries);
        }
    }
}

/// One atomic write.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Write {
    /// The new term and vote, if they changed.
    pub hard_state: Option<HardState>,
    /// The snapshot that takes the place of entries from now on, if there is a new one.
    pub snapshot: Option<SnapshotWrite>,
    /// The change of the log, if there is one.
    pub log: Option<LogWrite>,
}

impl Write {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Write::default()
    }
}

/// How a snapshot takes the place of entries (rule S5). Term and vote are in another part of the
/// write, which a snapshot never touches (bug H8).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum SnapshotWrite {
    /// The server's own snapshot covers the log up to its last entry: what follows stays.
    Compact(Snapshot),
    /// The leader's snapshot takes the place of the whole log. One write does both, so that no
    /// crash leaves entries of the old log beside it (bug G8).
    Install(Snapshot),
}

impl SnapshotWrite {
    /// The snapshot.
    #[must_use]
    pub fn snapshot(&self) -> &Snapshot {
        match self {
            SnapshotWrite::Compact(snapshot) | SnapshotWrite::Install(snapshot) => snapshot,
        }
    }
}

/// A change of the log: drop what comes after `keep`, then append.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct LogWrite {
    /// The last index that stays.
    pub keep: Index,
    /// What follows it.
    pub entries: Entries,
}
