//! What readers see of the view, while the owner publishes, sends and acknowledges.

use std::sync::Arc;

use loom::sync::atomic::{AtomicU64, Ordering};
use loom::thread;
use quorate_spec::{Index, Instant, ReadView, Term};
use quorate_sync::{Care, Published, Shared, Sound};

use crate::explore::{finds, holds};

/// A view whose lease ends just after the instant that its commit index names.
fn view(commit: u64) -> ReadView {
    leased(commit, Some(commit + 1))
}

fn leased(commit: u64, until: Option<u64>) -> ReadView {
    let (commit_index, lease_until) = (Index(commit), until.map(Instant));
    ReadView { term: Term(1), leader: None, commit_index, lease_until }
}

/// A number that orders nothing where it is put.
struct RelaxedPut(AtomicU64);

impl From<u64> for RelaxedPut {
    fn from(number: u64) -> RelaxedPut {
        RelaxedPut(AtomicU64::new(number))
    }
}

impl Shared for RelaxedPut {
    fn put(&self, number: u64) {
        self.0.store(number, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.get()
    }
}

/// A number that orders nothing where it is read.
struct RelaxedGet(AtomicU64);

impl From<u64> for RelaxedGet {
    fn from(number: u64) -> RelaxedGet {
        RelaxedGet(AtomicU64::new(number))
    }
}

impl Shared for RelaxedGet {
    fn put(&self, number: u64) {
        self.0.put(number);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

struct LeaseFirst;

impl Care for LeaseFirst {
    const WRITES_INDEX_BEFORE_LEASE: bool = false;
}

struct IndexReadFirst;

impl Care for IndexReadFirst {
    const READS_LEASE_BEFORE_INDEX: bool = false;
}

/// The owner shows two views after the first one, and two readers look at the cell meanwhile. Whoever
/// finds a lease has an index that is not from before it.
fn a_lease_and_its_index<N: Shared + Send + Sync + 'static, C: Care + Send + Sync + 'static>() {
    let published = Arc::new(Published::<N, C>::new(view(3), Index(0)));
    let reader = Arc::clone(&published);
    let reader = thread::spawn(move || reads(&reader));
    published.publish(view(5));
    published.publish(view(7));
    reader.join().expect("the reader says what it finds");
}

fn reads<N: Shared, C: Care>(published: &Published<N, C>) {
    for now in [5, 7] {
        if let Ok(Index(index)) = published.lease_read(Instant(now)) {
            assert!(index >= now, "a lease that holds at {now} is read with index {index}");
        }
    }
}

#[test]
fn a_reader_never_has_a_lease_with_an_index_from_before_it() {
    holds("published", None, 1_000, a_lease_and_its_index::<AtomicU64, Sound>);
}

#[test]
fn a_relaxed_publish_is_found() {
    let what = "is read with index";
    finds("relaxed put", what, None, a_lease_and_its_index::<RelaxedPut, Sound>);
    finds("relaxed get", what, None, a_lease_and_its_index::<RelaxedGet, Sound>);
}

#[test]
fn a_lease_before_its_index_is_found() {
    let what = "is read with index";
    finds("lease written first", what, None, a_lease_and_its_index::<AtomicU64, LeaseFirst>);
    finds("index read first", what, None, a_lease_and_its_index::<AtomicU64, IndexReadFirst>);
}

/// What the owner of a node does about a commit, and in which order.
#[derive(Clone, Copy)]
enum Owner {
    PublishesFirst,
    SpeaksFirst,
}

impl Owner {
    /// Shows a view, and says `word` to someone: a client, or a peer. Whatever carries the word orders
    /// what came before it, as a channel or a socket does.
    fn act(self, published: &Published, view: ReadView, said: &AtomicU64, word: u64) {
        if matches!(self, Owner::SpeaksFirst) {
            said.store(word, Ordering::Release);
        }
        published.publish(view);
        said.store(word, Ordering::Release);
    }
}

/// A client that has heard of a commit reads elsewhere, under the lease: it finds that commit.
fn an_acknowledged_commit(owner: Owner) {
    let published = Arc::new(Published::<_, Sound>::new(leased(3, Some(10)), Index(0)));
    let said = Arc::new(AtomicU64::new(3));
    let (reader, heard) = (Arc::clone(&published), Arc::clone(&said));
    let client = thread::spawn(move || {
        let acknowledged = heard.load(Ordering::Acquire);
        let read = reader.lease_read(Instant(9)).expect("the lease holds");
        assert!(read.0 >= acknowledged, "{acknowledged} was acknowledged, and {read} is read");
    });
    owner.act(&published, leased(4, Some(10)), &said, 4);
    owner.act(&published, leased(5, Some(10)), &said, 5);
    client.join().expect("the client says what it finds");
}

#[test]
fn whoever_has_heard_of_a_commit_reads_it() {
    holds("publish, then ack", None, 500, || an_acknowledged_commit(Owner::PublishesFirst));
}

#[test]
fn an_acknowledgement_before_the_view_is_found() {
    let what = "was acknowledged, and";
    finds("ack before publish", what, None, || an_acknowledged_commit(Owner::SpeaksFirst));
}

/// A leader gives its lease up and then tells another node to campaign. Once that node leads and
/// commits, whoever has heard of it finds no lease here.
fn a_lease_that_is_given_up(owner: Owner) {
    const CAMPAIGN: u64 = 1;
    let published = Arc::new(Published::<_, Sound>::new(leased(3, Some(10)), Index(0)));
    let said = Arc::new(AtomicU64::new(0));
    let (reader, heard) = (Arc::clone(&published), Arc::clone(&said));
    let other = thread::spawn(move || {
        let told = heard.load(Ordering::Acquire) == CAMPAIGN;
        let read = reader.lease_read(Instant(9));
        assert!(!told || read.is_err(), "another node leads, and {read:?} is read under a lease");
    });
    owner.act(&published, leased(3, None), &said, CAMPAIGN);
    other.join().expect("the other node's client says what it finds");
}

#[test]
fn nobody_reads_under_a_lease_that_was_given_up_before_a_message_left() {
    holds("publish, then send", None, 50, || a_lease_that_is_given_up(Owner::PublishesFirst));
}

#[test]
fn a_message_before_the_view_is_found() {
    let what = "another node leads, and";
    finds("send before publish", what, None, || a_lease_that_is_given_up(Owner::SpeaksFirst));
}

/// The machine's thread applies and then says so; a reader that hears it finds it in the machine.
fn what_is_applied<N: Shared + Send + Sync + 'static>() {
    let published = Arc::new(Published::<N, Sound>::new(leased(5, Some(10)), Index(3)));
    // Whatever the machine shares with readers: by itself it orders nothing.
    let machine = Arc::new(AtomicU64::new(3));
    let (reader, shared) = (Arc::clone(&published), Arc::clone(&machine));
    let reader = thread::spawn(move || {
        let (applied, found) = (reader.last_applied(), shared.load(Ordering::Relaxed));
        assert!(found >= applied.0, "{applied} is applied, and the machine shows {found}");
    });
    for index in [4, 5] {
        machine.store(index, Ordering::Relaxed);
        published.applied(Index(index));
    }
    reader.join().expect("the reader says what it finds");
}

#[test]
fn what_counts_as_applied_is_in_the_machine() {
    holds("applied", None, 100, what_is_applied::<AtomicU64>);
}

#[test]
fn a_relaxed_applied_index_is_found() {
    finds("relaxed applied", "and the machine shows", None, what_is_applied::<RelaxedPut>);
    finds("relaxed look at it", "and the machine shows", None, what_is_applied::<RelaxedGet>);
}
