//! Proposals that a node which follows sends on to its leader, and the answers.
//!
//! A command is handed over once: whoever sends it on gets one answer, or
//! [`OutcomeUnknown`](ProposeError::OutcomeUnknown) where none comes in time. To ask again is safe in
//! a [`Session`](crate::Session), and nowhere else.

pub(crate) mod letter;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quorate_spec::NodeId;
use tokio::sync::{Semaphore, oneshot};
use tracing::warn;

use self::letter::Letter;
use crate::errors::ProposeError;
use crate::inbox::Inbox;
use crate::lock::lock;
use crate::machine::Applied;
use crate::pending::Proposer;
use crate::record::Payload;

/// The way of letters to the other nodes: beside [`Transport`](crate::Transport), and mostly on the
/// same connections. A letter is bytes that only this module reads.
pub trait Post: Send + Sync + 'static {
    /// Sends the letter, or says that it certainly will not arrive by giving `false`. It never waits,
    /// and may lose letters. **It never delivers one twice**: that would apply a command twice.
    fn post(&self, to: NodeId, letter: Payload) -> bool;
}

/// A node's connection to the post.
pub struct Mail {
    /// The way out.
    pub post: Arc<dyn Post>,
    /// What arrives, and from whom.
    pub letters: Inbox<(NodeId, Payload)>,
}

/// How much is forwarded.
#[derive(Clone, Copy, Debug)]
pub(crate) struct ForwardLimits {
    /// Commands that wait for an answer from elsewhere, and as many for others.
    pub(crate) most: usize,
    pub(crate) patience: Duration,
}

/// Sends commands on, and knows who waits for which answer.
#[derive(Clone)]
pub(crate) struct Forwarder {
    post: Arc<dyn Post>,
    shared: Arc<Shared>,
    patience: Duration,
}

/// Who waits for the answer to which ticket, and of whom: nobody else's is one.
type Waiting = BTreeMap<u64, (NodeId, oneshot::Sender<Result<Applied, ProposeError>>)>;

struct Shared {
    next: AtomicU64,
    room: Semaphore,
    waiting: Mutex<Waiting>,
}

impl Shared {
    /// Whoever waits for this answer of this node.
    fn asked(
        &self,
        from: NodeId,
        ticket: u64,
    ) -> Option<oneshot::Sender<Result<Applied, ProposeError>>> {
        let mut waiting = self.waiting();
        // It may have come too late.
        let (asked, _) = waiting.get(&ticket)?;
        if *asked != from {
            // Tickets can be guessed: a client would be told that its command was applied.
            warn!(%from, %asked, "an answer came from a node that was not asked: it is not heard");
            return None;
        }
        waiting.remove(&ticket).map(|(_, client)| client)
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        lock(&self.waiting)
    }
}

/// Nobody waits for this ticket any more, however the waiting ends.
struct Ticket<'a>(&'a Shared, u64);

impl Drop for Ticket<'_> {
    fn drop(&mut self) {
        self.0.waiting().remove(&self.1);
    }
}

impl Forwarder {
    /// Starts the task that answers the letters of other nodes by proposing here. It ends with
    /// the node. Tickets are numbered from `first` on: an answer to an earlier life of this node is
    /// not to be taken for one to this.
    pub(crate) fn start(
        mail: Mail,
        proposer: Proposer,
        limits: ForwardLimits,
        first: u64,
    ) -> Forwarder {
        let Mail { post, letters } = mail;
        let shared = Shared {
            next: AtomicU64::new(first),
            room: Semaphore::new(limits.most),
            waiting: Mutex::default(),
        };
        let forwarder = Forwarder { post, shared: Arc::new(shared), patience: limits.patience };
        tokio::spawn(forwarder.clone().serve(letters, proposer, limits.most));
        forwarder
    }

    /// How many commands wait for an answer from elsewhere.
    pub(crate) fn len(&self) -> usize {
        self.shared.waiting().len()
    }

    /// Has this node propose the command, and gives its answer.
    pub(crate) async fn send(
        &self,
        leader: NodeId,
        entry: Payload,
    ) -> Result<Applied, ProposeError> {
        let _room = self.shared.room.try_acquire().map_err(|_| ProposeError::Overloaded)?;
        let number = self.shared.next.fetch_add(1, Ordering::Relaxed);
        let (client, outcome) = oneshot::channel();
        self.shared.waiting().insert(number, (leader, client));
        let ticket = Ticket(&self.shared, number);
        let letter = Letter::Forward { ticket: number, entry };
        if !self.post.post(leader, letter.to_bytes()) {
            return Err(ProposeError::Unreachable { leader });
        }
        let outcome = tokio::time::timeout(self.patience, outcome).await;
        drop(ticket);
        match outcome {
            Ok(Ok(Err(ProposeError::Stopped))) => Err(ProposeError::NotLeader { leader: None }),
            Ok(Ok(outcome)) => outcome,
            // Nobody has answered in time, or this node has stopped.
            Ok(Err(_)) | Err(_) => Err(ProposeError::OutcomeUnknown),
        }
    }

    async fn serve(self, mut letters: Inbox<(NodeId, Payload)>, proposer: Proposer, most: usize) {
        let room = Arc::new(Semaphore::new(most));
        loop {
            // Biased, so that no choice of tokio's is in a run that has to repeat.
            let letter = tokio::select! {
                biased;
                () = proposer.closed() => None,
                letter = letters.recv() => letter,
            };
            let Some((from, letter)) = letter else { break };
            match Letter::from_bytes(&letter) {
                // Of another version, or not one of ours: as if it were lost.
                None => {}
                Some(Letter::Forwarded { ticket, outcome }) => {
                    if let Some(client) = self.shared.asked(from, ticket) {
                        let _ = client.send(outcome);
                    }
                }
                Some(Letter::Forward { ticket, entry }) => {
                    let Ok(place) = Arc::clone(&room).try_acquire_owned() else {
                        self.answer(from, ticket, Err(ProposeError::Overloaded));
                        continue;
                    };
                    let (forwarder, proposer) = (self.clone(), proposer.clone());
                    tokio::spawn(async move {
                        let outcome = proposer.propose(entry).await;
                        forwarder.answer(from, ticket, outcome);
                        drop(place);
                    });
                }
            }
        }
        self.shared.waiting().clear();
    }

    fn answer(&self, to: NodeId, ticket: u64, outcome: Result<Applied, ProposeError>) {
        // An answer that is lost leaves its client with an unknown outcome.
        let _ = self.post.post(to, Letter::Forwarded { ticket, outcome }.to_bytes());
    }
}

impl fmt::Debug for Forwarder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Forwarder").field("waiting", &self.len()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use quorate_spec::{EntryId, Index, Term};
    use tokio::sync::mpsc;

    use super::*;
    use crate::inbox::{InboxSender, inbox};
    use crate::pending::Proposal;

    const LEADER: NodeId = NodeId(2);
    const LIAR: NodeId = NodeId(3);

    /// Shows what is posted.
    struct Window(mpsc::UnboundedSender<(NodeId, Payload)>);

    impl Post for Window {
        fn post(&self, to: NodeId, letter: Payload) -> bool {
            self.0.send((to, letter)).is_ok()
        }
    }

    fn applied(response: &str) -> Applied {
        let entry = EntryId { term: Term(1), index: Index(1) };
        Applied { entry, response: response.into() }
    }

    struct Desk {
        forwarder: Forwarder,
        posted: mpsc::UnboundedReceiver<(NodeId, Payload)>,
        letters: InboxSender<(NodeId, Payload)>,
        _proposals: mpsc::Receiver<Proposal>,
    }

    fn desk() -> Desk {
        let (window, posted) = mpsc::unbounded_channel();
        let (letters, inbox) = inbox(16, 1 << 20);
        let mail = Mail { post: Arc::new(Window(window)), letters: inbox };
        let (proposals, kept) = mpsc::channel(16);
        let bytes = Arc::new(Semaphore::new(1 << 20));
        let proposer = Proposer { proposals, bytes, most_bytes: 1 << 20 };
        let limits = ForwardLimits { most: 16, patience: Duration::from_secs(60) };
        let forwarder = Forwarder::start(mail, proposer, limits, 7);
        Desk { forwarder, posted, letters, _proposals: kept }
    }

    #[tokio::test]
    async fn only_the_node_that_was_asked_answers() -> Result<(), Box<dyn std::error::Error>> {
        let Desk { forwarder, mut posted, letters, _proposals } = desk();
        let waits = forwarder.clone();
        let asked = tokio::spawn(async move { waits.send(LEADER, [1].into()).await });
        let (to, letter) = posted.recv().await.ok_or("it is posted")?;
        let Some(Letter::Forward { ticket, .. }) = Letter::from_bytes(&letter) else {
            return Err("it is no letter".into());
        };
        assert_eq!(to, LEADER);
        for (from, outcome) in [
            (LIAR, Ok(applied("believe me"))),
            (LIAR, Err(ProposeError::Lost)),
            (LEADER, Ok(applied("as it is"))),
        ] {
            let answer = Letter::Forwarded { ticket, outcome };
            letters.send((from, answer.to_bytes())).await?;
        }
        assert_eq!(asked.await?, Ok(applied("as it is")));
        assert_eq!(forwarder.len(), 0);
        Ok(())
    }
}
