//! What the shared things promise about the order of what they do, one name each: so that a test can
//! break one promise in the very code that production runs, and see that loom finds it.

/// The promises. Each is kept by default, and a constant: what is compiled asks nothing.
pub trait Care {
    /// The index of a view is written before its lease.
    const WRITES_INDEX_BEFORE_LEASE: bool = true;
    /// The lease of a view is read before its index.
    const READS_LEASE_BEFORE_INDEX: bool = true;
    /// Whoever brings something wakes the one who waits for it.
    const WAKES: bool = true;
    /// Whoever goes wakes the one who waits for more.
    const WAKES_AT_THE_END: bool = true;
    /// Whoever ends something does so under the lock under which the other one looks for an end.
    const ENDS_UNDER_THE_LOCK: bool = true;
    /// Whoever is going to wait looks once more, under the lock under which things are brought.
    const LOOKS_AGAIN: bool = true;
    /// An end counts once everything that came before it is taken.
    const EMPTIES_BEFORE_THE_END: bool = true;
    /// A group is reported after it is durable.
    const REPORTS_WHAT_IS_DURABLE: bool = true;
    /// A view's place is free again once what was made of the view is handed on.
    const BUSY_UNTIL_DONE: bool = true;
}

/// Keeps every promise.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Sound;

impl Care for Sound {}
