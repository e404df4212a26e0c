//! When the log is cut: a state of the machine is durable, and nobody who is on his way needs what
//! it covers.

use quorate_spec::{Index, Input, Instant, NodeId, role};

use super::Driver;
use crate::errors::StopReason;
use crate::record::Source;
use crate::storage::Storage;

impl<S: Storage> Driver<S> {
    /// Tells the node of the latest state of its machine that is durable, once that may be.
    ///
    /// The specification lets the log go whoever still needs it, and gives him the snapshot (rule
    /// S12). But a large state takes a while to arrive, and a follower that finds the log cut again when
    /// it has it needs the next one, and so on for as long as writes come. So it is left in peace for a
    /// while, which is bounded by the length of the log.
    pub(super) fn compact(&mut self) -> Result<(), StopReason> {
        if self.kept <= self.offered || self.is_needed(self.kept, self.clock.now()) {
            return Ok(());
        }
        self.offered = self.kept;
        self.step(Input::SnapshotTaken { index: self.kept }, Source::Protocol)
    }

    /// Whether a peer needs entries up to `index`, and may be waited for.
    fn is_needed(&self, index: Index, now: Instant) -> bool {
        let (log, limit) = (self.node.log(), self.limits.entries_kept_for_peers);
        let is_long = log.last().index.0 - log.base().index.0 >= limit;
        let peers = self.node.leadership().filter(|_| !is_long).map(|it| &it.peers);
        peers.into_iter().flatten().any(|(peer, progress)| {
            progress.match_index < index && (self.is_arriving(*peer) || self.answers(progress, now))
        })
    }

    /// Whether the snapshot that the peer is to get is read for it, or bytes of it have left. While it
    /// writes them to its disk it answers nothing.
    fn is_arriving(&self, peer: NodeId) -> bool {
        let moving = self.moving.get(&peer);
        let moves = moving.is_some_and(|moving| self.outbox.moved(peer) > moving.begun);
        moves || self.fetches.has_state_for(peer)
    }

    /// Whether the peer has entries of this log, and has answered lately.
    fn answers(&self, progress: &role::Progress, now: Instant) -> bool {
        progress.match_index > Index::ZERO && self.is_recent(progress, now)
    }

    /// Whether the peer has answered lately, as far as this node keeps account of that.
    pub(super) fn hears(&self, peer: NodeId, now: Instant) -> bool {
        let progress = self.node.leadership().and_then(|it| it.peers.get(&peer));
        let lately = progress.is_some_and(|progress| self.is_recent(progress, now));
        lately || !self.protocol.params.check_quorum
    }

    fn is_recent(&self, progress: &role::Progress, now: Instant) -> bool {
        let timeout = self.protocol.params.election_timeout;
        progress.last_contact.is_some_and(|at| at.after(timeout) > now)
    }
}
