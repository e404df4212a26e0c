//! Linearizable reads (thesis §6.4): the client's side, which never enters the owner of the node
//! while there is a lease, and the owner's side, which asks for many reads at once.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use quorate_spec::{Duration, Index, ReadAnswer, Refusal, Token};
use quorate_sync::Published;
use thiserror::Error;
use tokio::sync::{Semaphore, mpsc, oneshot, watch};

use crate::clock::Clock;
use crate::errors::Stopped;

/// What a read is to see, and what it may cost. Chosen for each read.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum ReadLevel {
    /// Everything that was acknowledged to anyone before the read began. The leader asks a quorum
    /// whether it still leads; reads that come together share the round of messages. No clock
    /// matters.
    ReadIndex,
    /// The same, without asking anyone while this node holds a lease: as good as the bound on the
    /// drift of the clocks in [`Params::with_lease`](quorate_spec::Params::with_lease). Where it
    /// holds none, it is a [`ReadLevel::ReadIndex`].
    Lease,
    /// What this node has applied, at once: a state that was true once, however long ago.
    Stale,
}

/// Why a read was not served, and what to do next. A read changes nothing, so it may be tried again
/// whatever the reason.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Error)]
pub enum ReadError {
    /// The node was asked while it led, and leads no more: ask again, here or elsewhere.
    #[error("the read was not served: {0}")]
    Refused(Refusal),
    /// As many reads wait as the node takes: `Limits::waiting_reads`.
    #[error("too many reads wait: try again a little later")]
    Overloaded,
    /// The node no longer runs.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

/// The way back to a client. One that no longer waits has withdrawn its read.
pub(crate) type Reader = oneshot::Sender<Result<Index, ReadError>>;

/// What a client needs to read.
#[derive(Clone)]
pub(crate) struct ReadPath {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) published: Arc<Published>,
    pub(crate) applied: watch::Receiver<Index>,
    pub(crate) readers: mpsc::Sender<Reader>,
    /// One permit for each read that may wait.
    pub(crate) room: Arc<Semaphore>,
    pub(crate) most: usize,
}

impl ReadPath {
    pub(crate) async fn read(&self, level: ReadLevel) -> Result<Index, ReadError> {
        if self.readers.is_closed() {
            return Err(Stopped.into());
        }
        match level {
            ReadLevel::ReadIndex => self.ask().await,
            ReadLevel::Lease => match self.published.lease_read(self.clock.now()) {
                Ok(index) if self.published.last_applied() >= index => Ok(index),
                Ok(index) => {
                    let _room = self.room.try_acquire().map_err(|_| ReadError::Overloaded)?;
                    self.wait_for(index).await
                }
                Err(_) => self.ask().await,
            },
            ReadLevel::Stale => Ok(self.published.last_applied()),
        }
    }

    /// Asks the owner of the node for an index, which is committed, and waits until that is applied
    /// (rule R4).
    async fn ask(&self) -> Result<Index, ReadError> {
        let _room = self.room.try_acquire().map_err(|_| ReadError::Overloaded)?;
        let (reader, outcome) = oneshot::channel();
        self.readers.try_send(reader).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => ReadError::Overloaded,
            mpsc::error::TrySendError::Closed(_) => Stopped.into(),
        })?;
        self.wait_for(outcome.await.map_err(|_| Stopped)??).await
    }

    /// How long this node may still answer alone.
    pub(crate) fn lease_left(&self) -> Duration {
        self.published.lease_left(self.clock.now())
    }

    /// How many reads wait.
    pub(crate) fn waiting(&self) -> usize {
        self.most - self.room.available_permits().min(self.most)
    }

    async fn wait_for(&self, index: Index) -> Result<Index, ReadError> {
        let mut applied = self.applied.clone();
        let reached = applied.wait_for(|applied| *applied >= index).await;
        // Without a machine nothing more is applied.
        reached.map(|_| index).map_err(|_| Stopped.into())
    }
}

impl fmt::Debug for ReadPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ReadPath").field("published", &self.published).finish_non_exhaustive()
    }
}

/// How many names the node has under way at once. A round of messages takes all reads that have
/// come by then, so more rounds at a time would not serve more.
const UNDER_WAY: usize = 4;

/// The owner's side: all reads that have come since the last round go under one name.
#[derive(Debug)]
pub(crate) struct Reads {
    next: Token,
    queued: Vec<Reader>,
    asked: BTreeMap<Token, Vec<Reader>>,
}

impl Reads {
    /// No read waits. The names begin anywhere: an answer to a name of an earlier life of this
    /// node may still come, and must not be taken for an answer to a new one (rule R7). So they do
    /// not follow from the node's seed, which may be the same in each life.
    pub(crate) fn new(first: u64) -> Reads {
        Reads { next: Token(first), queued: Vec::new(), asked: BTreeMap::new() }
    }

    /// These reads have come.
    pub(crate) fn queue(&mut self, readers: impl Iterator<Item = Reader>) {
        self.queued.extend(readers);
        self.queued.retain(|reader| !reader.is_closed());
    }

    /// The name under which the node is to be asked for the reads that have come, if there are any
    /// and few enough are under way.
    pub(crate) fn ask(&mut self) -> Option<Token> {
        self.queued.retain(|reader| !reader.is_closed());
        if self.queued.is_empty() || self.asked.len() >= UNDER_WAY {
            return None;
        }
        let token = self.next;
        self.next = Token(token.0.wrapping_add(1));
        self.asked.insert(token, std::mem::take(&mut self.queued));
        Some(token)
    }

    /// The node has answered.
    pub(crate) fn answered(&mut self, ReadAnswer { token, outcome }: ReadAnswer) {
        let outcome = outcome.map_err(ReadError::Refused);
        for reader in self.asked.remove(&token).unwrap_or_default() {
            // A reader that no longer waits has withdrawn its read.
            let _ = reader.send(outcome);
        }
    }

    /// How many reads wait for an index.
    pub(crate) fn len(&self) -> usize {
        let all = self.asked.values().flatten().chain(&self.queued);
        all.filter(|reader| !reader.is_closed()).count()
    }

    /// The node stops: whoever waits sees the way back closed.
    pub(crate) fn forsake_all(&mut self) {
        self.queued.clear();
        self.asked.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::setting::Setting;

    type Client = oneshot::Receiver<Result<Index, ReadError>>;

    fn clients(count: usize) -> (Vec<Reader>, Vec<Client>) {
        (0..count).map(|_| oneshot::channel()).unzip()
    }

    fn index(client: &mut Client) -> Option<Index> {
        client.try_recv().ok().and_then(Result::ok)
    }

    #[test]
    fn reads_that_come_together_share_a_name_and_later_ones_do_not() {
        let (mut reads, (first, mut early), (second, mut late)) =
            (Reads::new(7), clients(3), clients(1));
        reads.queue(first.into_iter());
        let name = reads.ask().expect("three have come");
        reads.queue(second.into_iter());
        let other = reads.ask().expect("one has come");
        assert_ne!(name, other);
        reads.answered(ReadAnswer { token: name, outcome: Ok(Index(4)) });
        assert_eq!(early.iter_mut().map(index).collect::<Vec<_>>(), [Some(Index(4)); 3]);
        assert_eq!((index(&mut late[0]), reads.len()), (None, 1));
    }

    #[test]
    fn while_enough_rounds_are_under_way_reads_wait_for_the_next() {
        let mut reads = Reads::new(7);
        let (readers, _clients) = clients(UNDER_WAY + 2);
        let mut names = Vec::new();
        for reader in readers {
            reads.queue(std::iter::once(reader));
            names.extend(reads.ask());
        }
        assert_eq!((names.len(), reads.len()), (UNDER_WAY, UNDER_WAY + 2));
        reads.answered(ReadAnswer { token: names[0], outcome: Ok(Index(1)) });
        assert!(reads.ask().is_some());
        assert_eq!((reads.ask(), reads.len()), (None, UNDER_WAY + 1));
    }

    #[test]
    fn a_read_whose_client_has_gone_is_not_asked_for() {
        let (mut reads, (readers, clients)) = (Reads::new(7), clients(2));
        reads.queue(readers.into_iter());
        drop(clients);
        assert_eq!((reads.ask(), reads.len()), (None, 0));
    }

    #[test]
    fn two_lives_of_a_node_name_their_reads_differently() {
        let name = || {
            let first = Setting::default().first_name();
            let (mut reads, (readers, _clients)) = (Reads::new(first), clients(1));
            reads.queue(readers.into_iter());
            reads.ask()
        };
        assert_ne!(name(), name());
    }
}
