//! What operators ask of a node.

use quorate_spec::{Input, NodeId, Target};

use super::Driver;
use crate::errors::{ChangeError, StopReason};
use crate::handle::{Control, Status};
use crate::record::Source;
use crate::storage::Storage;

impl<S: Storage> Driver<S> {
    /// Does what was asked, and answers, now or when it is known. Whoever asked may have gone.
    pub(super) fn asked(&mut self, control: Control) -> Result<(), StopReason> {
        match control {
            Control::Status(answer) => {
                let _ = answer.send(self.status());
            }
            Control::Campaign(answer) => {
                self.step(Input::Campaign, Source::Protocol)?;
                let _ = answer.send(self.effects.refused.first().copied());
            }
            Control::ChangeMembers(target, answer) => {
                if let Some(unknown) = self.unknown_in(&target) {
                    let _ = answer.send(Err(ChangeError::Unknown(unknown)));
                    return Ok(());
                }
                self.step(Input::ChangeMembers(target.clone()), Source::Protocol)?;
                let refused = self.effects.refused.first().copied();
                self.changes.asked(&self.node, target, refused, answer);
                self.changes.look(&self.node);
            }
            Control::Transfer(to, answer) => {
                self.step(Input::TransferLeadership(to), Source::Protocol)?;
                let refused = self.effects.refused.first().copied();
                self.transfers.asked(&self.node, to, refused, answer);
                self.transfers.look(&self.node);
            }
            Control::Shutdown => return Err(StopReason::Shutdown),
        }
        Ok(())
    }

    /// A server that this leader is asked to add, and that it has no way to.
    fn unknown_in(&self, Target { voters, learners }: &Target) -> Option<NodeId> {
        let present = |id: &NodeId| {
            let mut members = self.node.log().configuration().members();
            *id == self.node.id() || members.any(|member| member == *id)
        };
        let mut coming = voters.iter().chain(learners).copied().filter(|id| !present(id));
        coming.find(|id| self.node.is_leader() && !self.outbox.knows(*id))
    }

    fn status(&self) -> Status {
        let node = &self.node;
        Status {
            id: node.id(),
            role: node.role().name(),
            term: node.current_term(),
            voted_for: node.voted_for(),
            leader: node.leader(),
            base: node.log().base(),
            configuration: node.log().configuration().clone(),
            last: node.log().last(),
            durable_index: node.durable_index(),
            commit_index: node.commit_index(),
            applied: *self.applied.borrow(),
            unwritten: node.unwritten().len(),
            held: self.outbox.held(),
            waiting: self.pending.len(),
            waiting_reads: self.reads.len(),
            handing_over_to: node.leadership().and_then(|it| it.transfer).map(|it| it.to),
            dropped: self.observer.metrics.dropped.get(),
            pauses: self.observer.pauses(),
        }
    }
}
