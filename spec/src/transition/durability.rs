//! A write has become durable (thesis §3.8).

use crate::node::PendingWrite;
use crate::protocol::Step;
use crate::rules::Rules;
use crate::types::WriteId;

impl<R: Rules> Step<'_, R> {
    /// Every write up to `id` is durable. Late and repeated reports find nothing to do (bug H4).
    pub(crate) fn persisted(&mut self, id: WriteId) {
        let covered = |write: &&PendingWrite| self.rules().report_covers(id, write.id);
        let written = self.node.unwritten.iter().take_while(covered).count();
        for write in self.node.unwritten.drain(..written) {
            // Truncation has lowered the marks of earlier writes, so the last one is right even
            // where it is below the one before.
            if let Some(durable_to) = write.durable_to {
                self.node.durable_index = durable_to;
            }
        }
        if written > 0 {
            self.tally_votes();
            self.advance_commit();
            self.continue_change();
        }
    }
}
