//! Transfers of leadership whose operators wait (thesis §3.10).

use quorate_spec::{Node, NodeId, Refusal, Term};
use thiserror::Error;
use tokio::sync::oneshot;
use tracing::{Span, info, info_span};

use crate::errors::Stopped;

/// Why leadership is not known to have been handed over, and what to do next.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum TransferError {
    /// Nothing happened. The protocol does not allow it, or not now.
    #[error("leadership is not handed over: {0}")]
    Refused(Refusal),
    /// The other node did not take over within an election timeout, and this one leads on. It may
    /// still take over: the message that tells it to may be under way.
    #[error("n{to} did not take over: this node leads on; look whether n{to} runs and is heard")]
    GivenUp {
        /// Who was to lead.
        to: NodeId,
    },
    /// Leadership was lost meanwhile, and went elsewhere.
    #[error("n{leader} leads now, not n{to}: ask n{leader} to hand over")]
    AnotherLeads {
        /// Who was to lead.
        to: NodeId,
        /// Who leads.
        leader: NodeId,
    },
    /// The node stopped before it knew.
    #[error("the node stopped meanwhile: ask another node who leads")]
    OutcomeUnknown,
    /// The node no longer runs.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The way back to an operator.
pub(crate) type Answer = oneshot::Sender<Result<(), TransferError>>;

/// The one transfer that is under way, if an operator waits for it here.
#[derive(Debug, Default)]
pub(crate) struct Transfers {
    waiting: Option<(Term, NodeId, Answer, Span)>,
}

impl Transfers {
    /// The node was asked to hand over to this one, and has refused or begun. It begins only one at
    /// a time, and whoever waited for one before has been answered by [`Transfers::look`].
    pub(crate) fn asked(
        &mut self,
        node: &Node,
        to: NodeId,
        refused: Option<Refusal>,
        answer: Answer,
    ) {
        match refused {
            // Whoever asked may have gone, here and below.
            Some(refusal) => {
                info!(%to, %refusal, "leadership is not handed over");
                let _ = answer.send(Err(TransferError::Refused(refusal)));
            }
            None => {
                let term = node.current_term();
                let span = info_span!("transfer_leadership", term = term.0, %to);
                span.in_scope(|| info!("begins"));
                self.waiting = Some((term, to, answer, span));
            }
        }
    }

    /// The node has taken a step: the transfer may have ended, well or badly.
    pub(crate) fn look(&mut self, node: &Node) {
        let Some((term, to, ..)) = &self.waiting else { return };
        let (term, to) = (*term, *to);
        let leadership = node.leadership().filter(|_| node.current_term() == term);
        let outcome = match (leadership, node.leader()) {
            (Some(leadership), _) if leadership.transfer.is_some() => return,
            (Some(_), _) => Err(TransferError::GivenUp { to }),
            (None, None) => return,
            (None, Some(leader)) if leader == to => Ok(()),
            (None, Some(leader)) => Err(TransferError::AnotherLeads { to, leader }),
        };
        if let Some((_, _, answer, span)) = self.waiting.take() {
            span.in_scope(|| info!(?outcome, "has ended"));
            let _ = answer.send(outcome);
        }
    }
}
