//! Proposals that a node which follows sends on to its leader, and the answers.
//!
//! A command is handed over once: whoever sends it on gets one answer, or
//! [`OutcomeUnknown`](ProposeError::OutcomeUnknown) where none comes in time. To ask again is safe in
//! a [`Session`](crate::Session), and nowhere else.

mod letter;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate_spec::NodeId;
use tokio::sync::{Semaphore, oneshot};

use self::letter::Letter;
use crate::errors::ProposeError;
use crate::inbox::Inbox;
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

/// Who waits for the answer to which ticket.
type Waiting = BTreeMap<u64, oneshot::Sender<Result<Applied, ProposeError>>>;

struct Shared {
    next: AtomicU64,
    room: Semaphore,
    waiting: Mutex<Waiting>,
}

impl Shared {
    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
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
        self.shared.waiting().insert(number, client);
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
                    // It may have come too late.
                    if let Some(client) = self.shared.waiting().remove(&ticket) {
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
