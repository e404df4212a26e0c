//! Proposals whose clients wait, by the name of the entry that each became.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_spec::{EntryId, Index, NodeId, Proposed, ReadView, Term};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, oneshot};

use crate::errors::ProposeError;
use crate::machine::Applied;
use crate::record::Payload;
use crate::sessions::command_length;

/// The way back to a client, with the room that its command takes until it has an answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) client: oneshot::Sender<Result<Applied, ProposeError>>,
    pub(crate) room: OwnedSemaphorePermit,
}

impl Answer {
    /// The room is free before the client hears of it, who may use it at once.
    pub(crate) fn send(self, outcome: Result<Applied, ProposeError>) {
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

/// The way of proposals to the owner of this node, and to no other node.
#[derive(Clone, Debug)]
pub(crate) struct Proposer {
    pub(crate) proposals: mpsc::Sender<Proposal>,
    /// One permit for each byte of a command that may wait.
    pub(crate) bytes: Arc<Semaphore>,
    pub(crate) most_bytes: usize,
}

impl Proposer {
    /// Has this node propose an entry, and gives what became of it once it is applied here.
    pub(crate) async fn propose(&self, payload: Payload) -> Result<Applied, ProposeError> {
        let room = self.room_for(&payload)?;
        let (answer, outcome) = oneshot::channel();
        let answer = Answer { client: answer, room };
        self.proposals.try_send(Proposal { payload, answer }).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ProposeError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => ProposeError::Stopped,
        })?;
        outcome.await.unwrap_or(Err(ProposeError::OutcomeUnknown))
    }

    /// Room for the command of this entry, until its client has an answer.
    pub(crate) fn room_for(&self, entry: &Payload) -> Result<OwnedSemaphorePermit, ProposeError> {
        let (length, limit) = (command_length(entry), self.most_bytes);
        let too_large = ProposeError::TooLarge { length, limit };
        let permits = u32::try_from(length).ok().filter(|_| length <= limit).ok_or(too_large)?;
        let room = Arc::clone(&self.bytes).try_acquire_many_owned(permits);
        room.map_err(|_| ProposeError::Overloaded)
    }

    /// Whether the node takes no more proposals, ever.
    pub(crate) fn is_closed(&self) -> bool {
        self.proposals.is_closed()
    }

    /// Waits until the node takes no more proposals, ever.
    pub(crate) async fn closed(&self) {
        self.proposals.closed().await;
    }

    /// How many bytes of commands wait.
    pub(crate) fn waiting_bytes(&self) -> usize {
        self.most_bytes - self.bytes.available_permits().min(self.most_bytes)
    }

    /// How many proposals wait for the owner to take them.
    pub(crate) fn queued(&self) -> usize {
        self.proposals.max_capacity() - self.proposals.capacity()
    }
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
    fn three() -> (Pending, Vec<oneshot::Receiver<Result<Applied, ProposeError>>>) {
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
        clients: &mut [oneshot::Receiver<Result<Applied, ProposeError>>],
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
