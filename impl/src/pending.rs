//! Proposals whose clients wait, by the name of the entry that each became.

use std::collections::BTreeMap;

use quorate_spec::{EntryId, Index, NodeId, Proposed, ReadView, Term};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::handle::ProposeError;
use crate::record::Payload;

/// The way back to a client, with the room that its command takes until it has an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) client: oneshot::Sender<Result<EntryId, ProposeError>>,
    pub(crate) room: OwnedSemaphorePermit,
}

impl Answer {
    /// The room is free before the client hears of it, who may use it at once.
    pub(crate) fn send(self, outcome: Result<EntryId, ProposeError>) {
        let Answer { client, room } = self;
        drop(room);
        // Nobody may be waiting any more.
        let _ = client.send(outcome);
    }
}

/// A client's command with the way back.
#[derive(Debug)]
pub(crate) struct Proposal {
    pub(crate) payload: Payload,
    pub(crate) answer: Answer,
}

/// Who waits for which entry.
#[derive(Debug, Default)]
pub(crate) struct Pending {
    waiting: BTreeMap<Index, (Term, Answer)>,
}

impl Pending {
    pub(crate) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The clients now wait for the entries that their proposals became.
    pub(crate) fn proposed(&mut self, proposed: Proposed, answers: Vec<Answer>) {
        let Proposed { first: EntryId { term, index }, count } = proposed;
        for (index, answer) in (index.0..index.0.saturating_add(count)).zip(answers) {
            let before = self.waiting.insert(Index(index), (term, answer));
            forsake(before);
        }
    }

    /// The entry is committed. Gives the answer to its client back, to be sent once it is applied;
    /// a client that waited for another entry at this index has lost it for ever.
    pub(crate) fn committed(&mut self, id: EntryId) -> Option<Answer> {
        let (term, answer) = self.waiting.remove(&id.index)?;
        if term == id.term {
            return Some(answer);
        }
        answer.send(Err(ProposeError::Lost));
        None
    }

    /// The node shows `view`: where it does not lead the term that an entry was proposed in, it
    /// will not hear what becomes of that entry, unless it is committed already.
    pub(crate) fn viewed(&mut self, id: NodeId, view: ReadView) {
        let leads = (view.leader == Some(id)).then_some(view.term);
        let open = self.waiting.split_off(&view.commit_index.next());
        let (kept, forsaken): (BTreeMap<_, _>, BTreeMap<_, _>) =
            open.into_iter().partition(|(_, (term, _))| Some(*term) == leads);
        self.waiting.extend(kept);
        forsaken.into_values().for_each(|answer| forsake(Some(answer)));
    }

    /// A snapshot has taken the place of everything up to `index`: what became of the entries that
    /// were proposed there, nobody here will know.
    pub(crate) fn covered(&mut self, index: Index) {
        let later = self.waiting.split_off(&index.next());
        self.forsake_all();
        self.waiting = later;
    }

    /// The node stops.
    pub(crate) fn forsake_all(&mut self) {
        std::mem::take(&mut self.waiting).into_values().for_each(|answer| forsake(Some(answer)));
    }
}

fn forsake(waiting: Option<(Term, Answer)>) {
    if let Some((_, answer)) = waiting {
        answer.send(Err(ProposeError::OutcomeUnknown));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::Semaphore;

    use super::*;

    fn id(term: u64, index: u64) -> EntryId {
        EntryId { term: Term(term), index: Index(index) }
    }

    fn view(term: u64, leader: u64, commit_index: u64) -> ReadView {
        ReadView {
            term: Term(term),
            leader: Some(NodeId(leader)),
            commit_index: Index(commit_index),
            lease_until: None,
        }
    }

    /// Three clients wait for the entries 4, 5 and 6 of term 2.
    fn three() -> (Pending, Vec<oneshot::Receiver<Result<EntryId, ProposeError>>>) {
        let room = Arc::new(Semaphore::new(3));
        let channel = |_| {
            let (client, outcome) = oneshot::channel();
            let room = Arc::clone(&room).try_acquire_owned().expect("there is room for three");
            (Answer { client, room }, outcome)
        };
        let (answers, clients) = (0..3).map(channel).unzip();
        let mut pending = Pending::default();
        pending.proposed(Proposed { first: id(2, 4), count: 3 }, answers);
        (pending, clients)
    }

    fn heard(
        clients: &mut [oneshot::Receiver<Result<EntryId, ProposeError>>],
    ) -> Vec<Option<ProposeError>> {
        clients.iter_mut().map(|client| client.try_recv().ok().and_then(Result::err)).collect()
    }

    #[test]
    fn a_client_is_matched_by_the_name_of_its_entry() {
        let (mut pending, mut clients) = three();
        assert!(pending.committed(id(2, 4)).is_some());
        assert!(pending.committed(id(3, 5)).is_none());
        assert_eq!(heard(&mut clients[1..]), [Some(ProposeError::Lost), None]);
    }

    #[test]
    fn a_leader_that_stays_leader_forsakes_nobody() {
        let (mut pending, mut clients) = three();
        pending.viewed(NodeId(1), view(2, 1, 4));
        assert_eq!((pending.len(), heard(&mut clients)), (3, vec![None, None, None]));
    }

    #[test]
    fn a_leader_that_is_deposed_does_not_know_what_becomes_of_entries_that_are_not_committed() {
        let (mut pending, mut clients) = three();
        pending.viewed(NodeId(1), view(3, 2, 4));
        let unknown = Some(ProposeError::OutcomeUnknown);
        assert_eq!(heard(&mut clients), [None, unknown.clone(), unknown]);
        assert!(pending.committed(id(2, 4)).is_some());
    }

    #[test]
    fn a_leader_that_is_elected_again_did_not_keep_its_earlier_proposals_for_sure() {
        let (mut pending, mut clients) = three();
        pending.viewed(NodeId(1), view(4, 1, 6));
        assert_eq!(heard(&mut clients), [None, None, None]);
        pending.viewed(NodeId(1), view(4, 1, 3));
        assert_eq!(heard(&mut clients), vec![Some(ProposeError::OutcomeUnknown); 3]);
    }
}
