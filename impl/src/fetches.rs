//! What the storage has on its disk and not in memory, on its way to whoever needs it: the machine, and
//! each peer that is behind. The owner asks for it, goes on, and hears when it is there.
//!
//! Each has one fetch under way or one bounded stretch in memory, never both, and loses it when it has
//! moved on, when the log is cut under it, or when it is gone. Everything is found by its name, so what
//! comes late is of no use and does no harm.

use std::collections::{BTreeMap, VecDeque};

use quorate_spec::{EntryId, Index, Node, NodeId};
use tokio::task::{self, AbortHandle, JoinError, JoinSet};

use crate::limits::{Limits, Most};
use crate::record::{MachineState, Record};
use crate::storage::{Lookup, Storage, StorageError, Stretch};

/// Who needs something.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Consumer {
    /// The state machine needs what is committed.
    Machine,
    /// This peer needs what it does not have.
    Peer(NodeId),
}

/// What somebody needs, and is away.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Want {
    /// The entries from this one on.
    Entries(EntryId),
    /// The state of the machine after this entry.
    State(EntryId),
}

/// What was fetched, and what is on its way.
pub(crate) struct Fetches {
    most: Most,
    tasks: JoinSet<Result<Outcome, StorageError>>,
    slots: BTreeMap<Consumer, Slot>,
}

/// What there is for somebody.
#[derive(Debug)]
enum Slot {
    UnderWay { want: Want, task: Task },
    Entries(VecDeque<Record>),
    State(MachineState),
}

/// Dropping it ends the fetch.
#[derive(Debug)]
struct Task(AbortHandle);

impl Drop for Task {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A fetch that has ended, or panicked, by the name of its task: another one may have been begun since.
pub(crate) type Fetched = Result<(task::Id, Result<Outcome, StorageError>), JoinError>;

/// What has come.
#[derive(Debug)]
pub(crate) enum Outcome {
    Entries(Vec<Record>),
    State(MachineState),
}

impl Fetches {
    pub(crate) fn new(limits: &Limits) -> Fetches {
        Fetches { most: limits.most_fetched(), tasks: JoinSet::new(), slots: BTreeMap::new() }
    }

    /// What the consumer can have at once.
    pub(crate) fn at_hand<'a, S>(&'a self, consumer: Consumer, storage: &'a S) -> AtHand<'a, S> {
        AtHand { storage, slot: self.slots.get(&consumer) }
    }

    /// Has it fetched, unless it is on its way to this consumer already. What there was for him goes.
    pub(crate) fn begin(&mut self, consumer: Consumer, want: Want, storage: &impl Storage) {
        if matches!(self.slots.get(&consumer), Some(Slot::UnderWay { want: it, .. }) if *it == want)
        {
            return;
        }
        self.slots.remove(&consumer);
        let task = match want {
            Want::Entries(first) => {
                let Most { count: entries, bytes } = self.most;
                let fetch = storage.fetch(Stretch { first, entries, bytes });
                self.tasks.spawn(async move { fetch.await.map(Outcome::Entries) })
            }
            Want::State(last) => {
                let fetch = storage.fetch_state(last);
                self.tasks.spawn(async move { fetch.await.map(Outcome::State) })
            }
        };
        self.slots.insert(consumer, Slot::UnderWay { want, task: Task(task) });
    }

    /// Waits for the next fetch that ends; none where none is under way. Cancelling this loses nothing.
    pub(crate) async fn next(&mut self) -> Option<Fetched> {
        self.tasks.join_next_with_id().await
    }

    /// Takes in what was fetched. Gives whose it is, if it is still waited for.
    ///
    /// # Errors
    /// The storage says that it has what was asked for, and does not give it: the node has to stop.
    pub(crate) fn take_in(
        &mut self,
        fetched: Fetched,
        storage: &impl Storage,
    ) -> Result<Option<Consumer>, StorageError> {
        let (ended, outcome) = match fetched {
            Ok((ended, outcome)) => (ended, Some(outcome)),
            Err(error) => (error.id(), None),
        };
        let mut slots = self.slots.iter();
        let waits = slots.find_map(|(consumer, slot)| match slot {
            Slot::UnderWay { want, task } if task.0.id() == ended => Some((*consumer, *want)),
            Slot::UnderWay { .. } | Slot::Entries(_) | Slot::State(_) => None,
        });
        // Else it was given up, and it is all the same what became of it.
        let Some((consumer, want)) = waits else { return Ok(None) };
        self.slots.remove(&consumer);
        let why = match (want, outcome) {
            (Want::Entries(first), Some(Ok(Outcome::Entries(mut records))))
                if records.first().is_some_and(|record| record.id == first) =>
            {
                records.truncate(self.most.count);
                self.slots.insert(consumer, Slot::Entries(records.into()));
                return Ok(Some(consumer));
            }
            (Want::State(last), Some(Ok(Outcome::State(state)))) if state.last == last => {
                self.slots.insert(consumer, Slot::State(state));
                return Ok(Some(consumer));
            }
            (_, Some(Err(why))) => why,
            (_, Some(Ok(_))) => want.failed(ANOTHER),
            (_, None) => want.failed(PANIC),
        };
        // The log may have lost it meanwhile, and then nothing is wrong.
        let is_away = match want {
            Want::Entries(id) => is_away(&storage.read(id)),
            Want::State(last) => is_away(&storage.state(last)),
        };
        if is_away { Err(why) } else { Ok(Some(consumer)) }
    }

    /// The consumer has everything up to `index`.
    pub(crate) fn has(&mut self, consumer: Consumer, index: Index) {
        if let Some(slot) = self.slots.get_mut(&consumer)
            && !slot.serves_after(index)
        {
            self.slots.remove(&consumer);
        }
    }

    /// Whether a state is read for the peer, or was and has not left yet.
    pub(crate) fn has_state_for(&self, peer: NodeId) -> bool {
        let slot = self.slots.get(&Consumer::Peer(peer));
        matches!(slot, Some(Slot::UnderWay { want: Want::State(_), .. } | Slot::State(_)))
    }

    /// The state has left for the peer.
    pub(crate) fn left(&mut self, peer: NodeId) {
        self.slots.remove(&Consumer::Peer(peer));
    }

    /// Of the log only what goes up to `keep` is left, and other entries may come in the place of the
    /// rest. A fetch that begins beyond could find the one before, the one after or none, and is over.
    pub(crate) fn truncated(&mut self, keep: Index) {
        self.slots.retain(|_, slot| match slot {
            Slot::UnderWay { want: Want::Entries(first), .. } => first.index <= keep,
            Slot::UnderWay { want: Want::State(_), .. } | Slot::State(_) => true,
            Slot::Entries(records) => {
                while records.back().is_some_and(|record| record.id.index > keep) {
                    records.pop_back();
                }
                !records.is_empty()
            }
        });
    }

    /// Lets go of what no peer needs any more: it has it, it is sent the snapshot instead, or it is
    /// nobody that this node leads.
    pub(crate) fn release(&mut self, node: &Node) {
        if self.slots.is_empty() {
            return;
        }
        let (base, leadership) = (node.log().base(), node.leadership());
        self.slots.retain(|consumer, slot| {
            let Consumer::Peer(peer) = consumer else { return true };
            let Some(progress) = leadership.and_then(|it| it.peers.get(peer)) else { return false };
            let needs_state = |last: EntryId| last == base && progress.match_index < last.index;
            match slot {
                Slot::UnderWay { want: Want::State(last), .. } => needs_state(*last),
                Slot::State(state) => needs_state(state.last),
                Slot::UnderWay { .. } | Slot::Entries(_) => {
                    slot.serves_after(progress.match_index.max(base.index))
                }
            }
        });
    }

    /// The node stops, and needs nothing more.
    pub(crate) fn give_up(&mut self) {
        self.slots.clear();
    }
}

impl Want {
    fn failed(self, reason: &str) -> StorageError {
        match self {
            Want::Entries(id) => StorageError::entry(id.index, reason),
            Want::State(last) => StorageError::state(last.index, reason),
        }
    }
}

impl Slot {
    /// Lets go of the entries up to `index`; says whether there is anything after it.
    fn serves_after(&mut self, index: Index) -> bool {
        match self {
            Slot::UnderWay { want: Want::Entries(id) | Want::State(id), .. } => id.index > index,
            Slot::State(state) => state.last.index > index,
            Slot::Entries(records) => {
                while records.front().is_some_and(|record| record.id.index <= index) {
                    records.pop_front();
                }
                !records.is_empty()
            }
        }
    }
}

/// What somebody can have at once: what the storage has in memory, and what was fetched for him.
pub(crate) struct AtHand<'a, S> {
    storage: &'a S,
    slot: Option<&'a Slot>,
}

impl<S: Storage> AtHand<'_, S> {
    pub(crate) fn read(&self, id: EntryId) -> Lookup<Record> {
        let found = self.storage.read(id);
        match (&found, self.slot) {
            (Lookup::Away, Some(Slot::Entries(records))) => {
                fetched(records, id).map_or(found, |record| Lookup::Here(record.clone()))
            }
            _ => found,
        }
    }

    pub(crate) fn state(&self, last: EntryId) -> Lookup<MachineState> {
        let found = self.storage.state(last);
        match (&found, self.slot) {
            (Lookup::Away, Some(Slot::State(state))) if state.last == last => {
                Lookup::Here(state.clone())
            }
            _ => found,
        }
    }
}

/// The record of this very entry among these, which follow one another.
fn fetched(records: &VecDeque<Record>, id: EntryId) -> Option<&Record> {
    let position = id.index.0.checked_sub(records.front()?.id.index.0)?;
    records.get(usize::try_from(position).ok()?).filter(|record| record.id == id)
}

fn is_away<T>(found: &Lookup<T>) -> bool {
    matches!(found, Lookup::Away)
}

const PANIC: &str = "whoever fetched it panicked";
const ANOTHER: &str = "it was fetched, and something else came";

#[cfg(test)]
mod tests {
    use std::future;
    use std::sync::Arc;

    use quorate_spec::{Durable, Persist, Term};
    use tokio::sync::watch;

    use super::*;
    use crate::record::Content;
    use crate::storage::Progress;

    /// A storage that has everything up to this index away, and of which something comes.
    struct Played {
        log: u64,
        comes: Comes,
    }

    /// Nothing comes where whoever fetches it panics.
    type Comes = Option<Result<Vec<Record>, StorageError>>;

    impl Storage for Played {
        fn recovered(&self) -> Durable {
            Durable::genesis(quorate_spec::Configuration::default())
        }

        fn recovered_state(&mut self) -> Option<MachineState> {
            None
        }

        fn progress(&self) -> watch::Receiver<Progress> {
            watch::channel(Progress::default()).1
        }

        fn submit(&mut self, _: Persist, _: Vec<Record>) {}

        fn keep(&mut self, _: MachineState) {}

        fn state(&self, _: EntryId) -> Lookup<MachineState> {
            Lookup::Away
        }

        fn read(&self, id: EntryId) -> Lookup<Record> {
            if id.index.0 <= self.log { Lookup::Away } else { Lookup::Gone }
        }

        fn fetch(
            &self,
            _: Stretch,
        ) -> impl Future<Output = Result<Vec<Record>, StorageError>> + Send + 'static {
            let comes = self.comes.clone();
            async move { comes.expect("planted") }
        }

        fn fetch_state(
            &self,
            last: EntryId,
        ) -> impl Future<Output = Result<MachineState, StorageError>> + Send + 'static {
            future::ready(Ok(MachineState { last, bytes: [1].into() }))
        }

        async fn close(self) {}
    }

    const MACHINE: Consumer = Consumer::Machine;
    const PEER: Consumer = Consumer::Peer(NodeId(2));

    fn id(index: u64) -> EntryId {
        EntryId { term: Term(1), index: Index(index) }
    }

    fn record(index: u64) -> Record {
        Record { id: id(index), content: Content::Command(Arc::from([7].as_slice())) }
    }

    fn storage(comes: &[u64]) -> Played {
        Played { log: 9, comes: Some(Ok(comes.iter().map(|index| record(*index)).collect())) }
    }

    fn fetches(entries_per_fetch: usize) -> Fetches {
        Fetches::new(&Limits { entries_per_fetch, ..Limits::default() })
    }

    /// What the consumer can have at once.
    fn held(fetches: &Fetches, consumer: Consumer, storage: &Played) -> Vec<u64> {
        let at_hand = fetches.at_hand(consumer, storage);
        (1..=9).filter(|index| at_hand.read(id(*index)).here().is_some()).collect()
    }

    async fn fetched(
        fetches: &mut Fetches,
        storage: &Played,
    ) -> Result<Option<Consumer>, StorageError> {
        let fetched = fetches.next().await.expect("one is under way");
        fetches.take_in(fetched, storage)
    }

    #[tokio::test]
    async fn each_has_what_was_fetched_for_it_until_it_has_moved_on() {
        let (mut fetches, storage) = (fetches(3), storage(&[2, 3, 4, 5]));
        fetches.begin(MACHINE, Want::Entries(id(2)), &storage);
        assert_eq!(fetched(&mut fetches, &storage).await, Ok(Some(MACHINE)));
        assert_eq!(held(&fetches, MACHINE, &storage), [2, 3, 4], "no more than was asked for");
        assert_eq!(held(&fetches, PEER, &storage), []);
        let other = EntryId { term: Term(2), ..id(3) };
        assert_eq!(fetches.at_hand(MACHINE, &storage).read(other), Lookup::Away, "by its name");
        fetches.has(MACHINE, Index(2));
        assert_eq!(held(&fetches, MACHINE, &storage), [3, 4]);
        fetches.truncated(Index(3));
        assert_eq!(held(&fetches, MACHINE, &storage), [3]);
        fetches.has(MACHINE, Index(3));
        assert!(fetches.slots.is_empty());
    }

    #[tokio::test]
    async fn there_is_one_fetch_at_a_time_and_the_last_one_counts() {
        let (mut fetches, storage) = (fetches(3), storage(&[5, 6]));
        for first in [2, 2, 5, 5] {
            fetches.begin(PEER, Want::Entries(id(first)), &storage);
        }
        assert_eq!((fetches.tasks.len(), fetches.slots.len()), (2, 1), "twice the same is once");
        let mut heard = Vec::new();
        while let Some(ended) = fetches.next().await {
            heard.extend(fetches.take_in(ended, &storage).expect("nothing is wrong"));
        }
        assert_eq!((heard, held(&fetches, PEER, &storage)), (vec![PEER], vec![5, 6]));
        fetches.begin(PEER, Want::State(id(9)), &storage);
        assert_eq!(held(&fetches, PEER, &storage), [], "never both");
    }

    #[tokio::test]
    async fn a_fetch_that_begins_beyond_a_cut_is_given_up() {
        let (mut fetches, storage) = (fetches(3), storage(&[6, 7]));
        fetches.begin(MACHINE, Want::Entries(id(6)), &storage);
        fetches.truncated(Index(6));
        assert_eq!(fetches.slots.len(), 1, "it is still there");
        fetches.truncated(Index(5));
        assert_eq!(fetched(&mut fetches, &storage).await, Ok(None));
        assert_eq!(held(&fetches, MACHINE, &storage), []);
    }

    #[tokio::test]
    async fn what_the_storage_has_and_does_not_give_stops_the_node_and_what_it_lost_does_not() {
        let broken = StorageError::entry(Index(4), "it is rotten");
        let others: [(Comes, StorageError); 4] = [
            (Some(Err(broken.clone())), broken),
            (Some(Ok(vec![record(5)])), StorageError::entry(Index(4), ANOTHER)),
            (Some(Ok(Vec::new())), StorageError::entry(Index(4), ANOTHER)),
            (None, StorageError::entry(Index(4), PANIC)),
        ];
        for (comes, why) in others {
            for (log, said) in [(9, Err(why)), (3, Ok(Some(PEER)))] {
                let (mut fetches, storage) = (fetches(3), Played { log, comes: comes.clone() });
                fetches.begin(PEER, Want::Entries(id(4)), &storage);
                assert_eq!(fetched(&mut fetches, &storage).await, said);
                assert_eq!(held(&fetches, PEER, &storage), []);
                // What was given up is all the same.
                fetches.begin(PEER, Want::Entries(id(4)), &storage);
                let ended = fetches.next().await.expect("one is under way");
                fetches.left(NodeId(2));
                assert_eq!(fetches.take_in(ended, &storage), Ok(None));
            }
        }
    }
}
