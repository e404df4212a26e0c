//! What an action makes leave its servers, for those who tell a trace.

use quorate_spec::{Envelope, NodeId};

use crate::action::{Action, Fate};
use crate::intern::Interned;
use crate::model::SliceModel;
use crate::server::Operation;
use crate::state::State;

/// What an action makes leave its servers.
#[derive(Default)]
pub struct Explained {
    /// The server that acts.
    pub actor: Option<NodeId>,
    /// The request that was generated.
    pub request: Option<Interned<Envelope>>,
    /// What the acting server sends, with its fate.
    pub sent: Vec<(Interned<Envelope>, Fate)>,
}

impl SliceModel {
    /// What leaves which server in this action: a request that is generated in it, and what the
    /// acting server sends, in order, with its fate.
    #[must_use]
    pub fn explain(&self, state: &State, action: Action) -> Explained {
        let (id, operation, request) = match action {
            Action::Timeout(id, _) => (id, Operation::Timeout, None),
            Action::Tick(id, _) => (id, Operation::Tick, None),
            Action::Lapse(id) => (id, self.lapse(), None),
            Action::Advance(id) => (id, Operation::Advance, None),
            Action::Campaign(id, _) => (id, Operation::Campaign, None),
            Action::Propose(id, _) => (id, Operation::Propose, None),
            Action::ChangeMembers(id, to, _) => (id, Operation::ChangeMembers(to), None),
            Action::Read(id, _) => (id, Operation::Read(self.next_token(state)), None),
            Action::Transfer(id, to, _) => (id, Operation::Transfer(to), None),
            Action::Wipe(id) => return Explained { actor: Some(id), ..Explained::default() },
            Action::Report(id, writes, _) => (id, Operation::Report(writes), None),
            Action::TakeSnapshot(id, index) => (id, Operation::TakeSnapshot(index), None),
            Action::StopMoving(id, peer) => (id, Operation::StopMoving(peer), None),
            Action::Crash(id, kept) => (id, Operation::Crash(kept), None),
            Action::Deliver(envelope, _) => (envelope.to, Operation::Receive(envelope), None),
            Action::Exchange(from, to, what, _) => match self.request(state, from, to, what) {
                Some((_, request)) => (to, Operation::Receive(request), Some(request)),
                None => return Explained::default(),
            },
            Action::Park(from, to, what) => {
                let request = self.request(state, from, to, what).map(|(_, request)| request);
                return Explained { actor: Some(from), request, sent: Vec::new() };
            }
            Action::AdvanceAll | Action::Heal | Action::Break => return Explained::default(),
        };
        let sent = self.act(state, id, operation).sent.clone();
        let fated = |(position, envelope)| (envelope, action.fates().of(position));
        Explained {
            actor: Some(id),
            request,
            sent: sent.into_iter().enumerate().map(fated).collect(),
        }
    }
}
