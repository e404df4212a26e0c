//! What readers on any thread may know of the node: they neither wait nor make it wait.
//!
//! A lease read looks at the lease and the commit index alone. Each is one atomic number, and the
//! pair need not be from one view: the index is written first and read last, so a reader has the
//! index of the view whose lease it saw, or a later one. A later one does no harm: the index never
//! goes back, and the read waits until more is applied.

use std::sync::atomic::{AtomicU64, Ordering};

use quorate_spec::{Index, Instant, ReadView, Refusal, Term};

/// The numbers. The owner of the node writes the view, the machine's thread what it has applied.
#[derive(Debug)]
pub(crate) struct Published {
    commit_index: AtomicU64,
    /// The origin of time where there is no lease: no instant is before it.
    lease_until: AtomicU64,
    applied: AtomicU64,
}

impl Published {
    pub(crate) fn new(view: ReadView, applied: Index) -> Published {
        let published = Published {
            commit_index: AtomicU64::new(0),
            lease_until: AtomicU64::new(0),
            applied: AtomicU64::new(applied.0),
        };
        published.publish(view);
        published
    }

    /// From now on readers see this view.
    pub(crate) fn publish(&self, view: ReadView) {
        self.commit_index.store(view.commit_index.0, Ordering::Release);
        self.lease_until.store(view.lease_until.map_or(0, |until| until.0), Ordering::Release);
    }

    /// What the last view that was published says of a lease read.
    pub(crate) fn lease_read(&self, now: Instant) -> Result<Index, Refusal> {
        let lease_until = Some(Instant(self.lease_until.load(Ordering::Acquire)));
        let commit_index = Index(self.commit_index.load(Ordering::Acquire));
        // Of term and leader a lease read does not ask.
        ReadView { term: Term(0), leader: None, commit_index, lease_until }.lease_read(now)
    }

    /// The machine has applied everything up to `index`.
    pub(crate) fn applied(&self, index: Index) {
        self.applied.store(index.0, Ordering::Release);
    }

    /// The last entry that the machine has applied.
    pub(crate) fn last_applied(&self) -> Index {
        Index(self.applied.load(Ordering::Acquire))
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    fn view(commit: u64, lease_until: Option<u64>) -> ReadView {
        let (term, leader) = (Term(1), None);
        let (commit_index, lease_until) = (Index(commit), lease_until.map(Instant));
        ReadView { term, leader, commit_index, lease_until }
    }

    #[test]
    fn without_a_lease_there_is_no_lease_read_at_any_time() {
        let published = Published::new(view(3, None), Index(0));
        for now in [0, 1, u64::MAX] {
            assert_eq!(published.lease_read(Instant(now)), Err(Refusal::NoLease));
        }
        published.publish(view(3, Some(5)));
        assert_eq!(published.lease_read(Instant(4)), Ok(Index(3)));
        assert_eq!(published.lease_read(Instant(5)), Err(Refusal::NoLease));
    }

    /// The lease until `i + 1` goes with the commit index `i`: whoever may read at `i` has seen it.
    #[test]
    fn a_reader_never_has_a_lease_with_an_index_from_before_it() {
        const VIEWS: u64 = 2_000_000;
        let published = Published::new(view(0, Some(1)), Index(0));
        thread::scope(|scope| {
            let read = || {
                let mut now = 0;
                while now < VIEWS {
                    // While the lease for this instant is not there, the reader asks again.
                    if let Ok(Index(index)) = published.lease_read(Instant(now)) {
                        assert!(index >= now, "a read at {now} was served at {index}");
                        now = index + 1;
                    }
                }
            };
            let reader = scope.spawn(read);
            (1..=VIEWS).for_each(|i| published.publish(view(i, Some(i + 1))));
            // The scope passes a panic of the reader on.
            drop(reader);
        });
    }
}
