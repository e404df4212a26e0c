//! Snapshots: a server forgets what its own covers, and takes the leader's where it has fallen
//! behind that (thesis §5.1, §5.3).
//!
//! An installed snapshot takes the place of the log in memory at once, and on disk by one write.
//! From then on the configuration in force, the commit index and the last entry are those of the
//! new log, so a server may campaign and vote before that write is durable, as it may with entries
//! that are not (rules P3, S10): whoever elects it compared with the log that it leads with, it
//! counts itself only for what is durable, and a crash makes it a follower.

use crate::durable::SnapshotWrite;
use crate::effects::Fatal;
use crate::log::{Log, Snapshot};
use crate::message::Kind;
use crate::protocol::Step;
use crate::refusal::Refusal;
use crate::role::{Pace, Role};
use crate::rules::Rules;
use crate::types::{Index, NodeId, Term};

impl<R: Rules> Step<'_, R> {
    /// A snapshot of this server's own is durable: the entries that it covers may go, whether or
    /// not a follower still needs them. One that does gets the snapshot (rule S12).
    pub(crate) fn snapshot_taken(&mut self, index: Index) {
        let (base, commit) = (self.node.log.base().index, self.node.commit_index);
        if let Err(refusal) = self.rules().may_compact(index, base, commit) {
            return self.refuse(refusal);
        }
        let Some(snapshot) = self.node.log.snapshot_at(index) else {
            return self.refuse(Refusal::Malformed);
        };
        if let Err(refusal) = self.rules().knows_configuration(&snapshot.configuration) {
            return self.refuse(refusal);
        }
        self.node.log.compact(index);
        self.snapshot_write = Some(SnapshotWrite::Compact(snapshot));
    }

    /// The driver has stopped moving a snapshot. Where the peer has not acknowledged it, the next
    /// request that is due is a snapshot again, perhaps a newer one.
    pub(crate) fn snapshot_reported(&mut self, from: NodeId, index: Index) {
        let Role::Leader(leadership) = &mut self.node.role else {
            return self.refuse(Refusal::NotInThatRole);
        };
        if let Some(peer) = leadership.peers.get_mut(&from)
            && peer.pace == Pace::Snapshot(index)
        {
            peer.pace = Pace::Probe;
        }
    }

    pub(crate) fn on_install_snapshot(&mut self, from: NodeId, term: Term, snapshot: Snapshot) {
        if !self.hears_leader(from, term, Kind::InstallSnapshot) {
            return;
        }
        if !snapshot.is_well_formed(term) {
            return self.refuse(Refusal::Malformed);
        }
        self.follow(from);
        match self.take_snapshot(snapshot) {
            Ok(validated) => self.acknowledge(from, validated),
            // Nothing may follow: the driver stops the node.
            Err(fatal) => self.effects.fatal = Some(fatal),
        }
    }

    /// Takes over what the snapshot says to be committed. Returns the last index that is now known
    /// to agree with the leader.
    fn take_snapshot(&mut self, snapshot: Snapshot) -> Result<Index, Fatal> {
        let (last, commit) = (snapshot.last, self.node.commit_index);
        let here = self.node.log.term_at(last.index);
        if last.index <= commit && here.is_some_and(|term| term != last.term) {
            // A cluster that was made anew under the same names (bug G9).
            return Err(Fatal::CommittedConflict(last.index));
        }
        if let Err(refusal) = self.rules().may_install(last.index, commit) {
            self.refuse(refusal);
            return Ok(commit);
        }
        let current = self.node.current_term;
        self.node.current_term = self.rules().term_after_install(current, last.term);
        if !self.rules().keeps_log(last, here) {
            let rules = self.rules();
            self.lower_durable_marks(|durable| rules.durable_after_install(durable, commit));
            self.node.log = Log::from_snapshot(snapshot.clone());
            self.snapshot_write = Some(SnapshotWrite::Install(snapshot.clone()));
            self.effects.install = Some(snapshot);
        }
        self.node.commit_index = last.index;
        Ok(last.index)
    }
}
