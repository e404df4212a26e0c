//! What readers on any thread may know of the node: they neither wait nor make it wait.
//!
//! A lease read looks at the lease and the commit index alone. Each is one atomic number, and the
//! pair need not be from one view: the index is written first and read last, so a reader has the
//! index of the view whose lease it saw, or a later one. A later one does no harm: the index never
//! goes back, and the read waits until more is applied.

use std::marker::PhantomData;
use std::sync::atomic::Ordering;

use quorate_spec::{Duration, Index, Instant, ReadView, Refusal, Term};

use crate::care::{Care, Sound};
use crate::prim::AtomicU64;

/// One number that threads share. Whoever sees what was put sees everything from before that.
pub trait Shared: From<u64> {
    /// From now on this is the number.
    fn put(&self, number: u64);
    /// The number.
    fn get(&self) -> u64;
}

impl Shared for AtomicU64 {
    fn put(&self, number: u64) {
        self.store(number, Ordering::Release);
    }

    fn get(&self) -> u64 {
        self.load(Ordering::Acquire)
    }
}

/// The numbers. The owner of the node writes the view, the machine's thread what it has applied.
#[derive(Debug)]
pub struct Published<N = AtomicU64, C = Sound> {
    commit_index: N,
    /// The origin of time where there is no lease: no instant is before it.
    lease_until: N,
    applied: N,
    care: PhantomData<C>,
}

impl<N: Shared, C: Care> Published<N, C> {
    /// Shows this view, and a machine that has applied everything up to `applied`.
    #[must_use]
    pub fn new(view: ReadView, applied: Index) -> Published<N, C> {
        let (commit_index, lease_until, applied) = (N::from(0), N::from(0), N::from(applied.0));
        let published = Published { commit_index, lease_until, applied, care: PhantomData };
        published.publish(view);
        published
    }

    /// From now on readers see this view.
    pub fn publish(&self, view: ReadView) {
        let lease_until = view.lease_until.map_or(0, |until| until.0);
        if !C::WRITES_INDEX_BEFORE_LEASE {
            self.lease_until.put(lease_until);
        }
        self.commit_index.put(view.commit_index.0);
        self.lease_until.put(lease_until);
    }

    /// What the last view that was published says of a lease read.
    ///
    /// # Errors
    /// [`Refusal::NoLease`]: ask the node itself.
    pub fn lease_read(&self, now: Instant) -> Result<Index, Refusal> {
        let early = (!C::READS_LEASE_BEFORE_INDEX).then(|| self.commit_index.get());
        let lease_until = Some(Instant(self.lease_until.get()));
        let commit_index = Index(early.unwrap_or_else(|| self.commit_index.get()));
        // Of term and leader a lease read does not ask.
        ReadView { term: Term(0), leader: None, commit_index, lease_until }.lease_read(now)
    }

    /// How long the lease still lasts.
    #[must_use]
    pub fn lease_left(&self, now: Instant) -> Duration {
        Duration(self.lease_until.get().saturating_sub(now.0))
    }

    /// The machine has applied everything up to `index`.
    pub fn applied(&self, index: Index) {
        self.applied.put(index.0);
    }

    /// The last entry that the machine has applied.
    #[must_use]
    pub fn last_applied(&self) -> Index {
        Index(self.applied.get())
    }
}

// Under loom there are no numbers outside a model.
#[cfg(all(test, not(quorate_loom)))]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::rc::Rc;

    use super::*;

    /// A number at each access to which another thread may come in between.
    struct Interrupted(Cell<u64>);

    type Other = Box<dyn FnOnce()>;

    thread_local! {
        /// What the other thread does, and before which access it does it.
        static OTHER: RefCell<(usize, Option<Other>)> = RefCell::new((0, None));
    }

    fn interrupt() {
        let other = OTHER.with_borrow_mut(|(after, other)| {
            let due = *after == 0;
            *after = after.saturating_sub(1);
            due.then(|| other.take()).flatten()
        });
        if let Some(other) = other {
            other();
        }
    }

    impl From<u64> for Interrupted {
        fn from(number: u64) -> Interrupted {
            Interrupted(Cell::new(number))
        }
    }

    impl Shared for Interrupted {
        fn put(&self, number: u64) {
            interrupt();
            self.0.set(number);
        }

        fn get(&self) -> u64 {
            interrupt();
            self.0.get()
        }
    }

    /// A view whose lease ends just after the instant that its commit index names.
    fn view(commit: u64) -> ReadView {
        let lease_until = Some(Instant(commit + 1));
        ReadView { term: Term(1), leader: None, commit_index: Index(commit), lease_until }
    }

    fn reads(published: &Published<Interrupted>) {
        for now in 0..10 {
            if let Ok(Index(index)) = published.lease_read(Instant(now)) {
                assert!(index >= now, "a lease that holds at {now} is read with index {index}");
            }
        }
    }

    #[test]
    fn without_a_lease_there_is_no_lease_read_at_any_time() {
        let published: Published =
            Published::new(ReadView { lease_until: None, ..view(3) }, Index(0));
        for now in [0, 1, u64::MAX] {
            assert_eq!(published.lease_read(Instant(now)), Err(Refusal::NoLease));
        }
        published.publish(view(3));
        assert_eq!(published.lease_read(Instant(3)), Ok(Index(3)));
        assert_eq!(published.lease_read(Instant(4)), Err(Refusal::NoLease));
    }

    #[test]
    fn a_reader_that_comes_between_two_writes_has_no_lease_with_an_index_from_before_it() {
        for access in 0..2 {
            let published = Rc::new(Published::<Interrupted>::new(view(3), Index(0)));
            let reader = Rc::clone(&published);
            OTHER.set((access, Some(Box::new(move || reads(&reader)))));
            published.publish(view(5));
            assert!(OTHER.with_borrow(|(_, other)| other.is_none()), "the reader came");
            reads(&published);
        }
    }

    #[test]
    fn a_writer_that_comes_between_two_reads_gives_no_lease_with_an_index_from_before_it() {
        for access in 0..2 {
            let published = Rc::new(Published::<Interrupted>::new(view(3), Index(0)));
            let writer = Rc::clone(&published);
            OTHER.set((access, Some(Box::new(move || writer.publish(view(5))))));
            let read = published.lease_read(Instant(5));
            assert!(OTHER.with_borrow(|(_, other)| other.is_none()), "the writer came");
            assert!(read.is_err() || read == Ok(Index(5)), "read {read:?} with the lease of 5");
        }
    }
}
