//! Changes of the members whose operators wait.

use quorate_spec::{Node, Refusal, Target, Term};
use tokio::sync::oneshot;
use tracing::{Span, info, info_span};

use crate::errors::ChangeError;

/// The way back to an operator.
pub(crate) type Answer = oneshot::Sender<Result<(), ChangeError>>;

/// The one change that is under way, if an operator waits for it here.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    waiting: Option<(Term, Target, Answer, Span)>,
}

impl Changes {
    /// The node was asked for these members, and has refused or begun the change: one that it
    /// takes the place of will not complete.
    pub(crate) fn asked(
        &mut self,
        node: &Node,
        target: Target,
        refused: Option<Refusal>,
        answer: Answer,
    ) {
        // Whoever asked may have gone, here and below.
        match refused {
            Some(refusal) => {
                info!(?target, %refusal, "a change of members is refused");
                let _ = answer.send(Err(ChangeError::Refused(refusal)));
            }
            None => {
                let term = node.current_term();
                let (voters, learners) = (&target.voters, &target.learners);
                let span = info_span!("change_members", term = term.0, ?voters, ?learners);
                span.in_scope(|| info!(from = ?node.log().configuration(), "begins"));
                let before = self.waiting.replace((term, target, answer, span));
                if let Some((_, _, answer, span)) = before {
                    span.in_scope(|| info!("another change has taken its place"));
                    let _ = answer.send(Err(ChangeError::Replaced));
                }
            }
        }
    }

    /// The node has taken a step: the change may be complete, or the node may no longer hear what
    /// becomes of it.
    pub(crate) fn look(&mut self, node: &Node) {
        let Some((term, target, ..)) = &self.waiting else { return };
        let outcome = if node.settled_members().as_ref() == Some(target) {
            Ok(())
        } else if node.is_leader() && node.current_term() == *term {
            return;
        } else {
            Err(ChangeError::OutcomeUnknown)
        };
        if let Some((_, _, answer, span)) = self.waiting.take() {
            span.in_scope(|| info!(?outcome, "has ended"));
            let _ = answer.send(outcome);
        }
    }
}
