//! What a node keeps on disk, and how a write changes it.

use crate::configuration::Configuration;
use crate::log::{Entries, Log};
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
    /// The change of the log, if there is one.
    pub log: Option<LogWrite>,
}

impl Write {
    /// Whether there is nothing to write.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.hard_state.is_none() && self.log.is_none()
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
