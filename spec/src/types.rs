//! The plain quantities of Raft, one type each, so that a term is never added to an index.

use core::fmt;

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $prefix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
        #[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
        pub struct $name(pub u64);

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!($prefix, "{}"), self.0)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}", self.0)
            }
        }
    };
}

quantity!(
    /// A server's identity. It is never reused: an empty disk is a new identity (thesis §3.8).
    NodeId, "n"
);
quantity!(
    /// A logical period with at most one leader (thesis §3.3).
    Term, "t"
);
quantity!(
    /// A position in the log; the first entry has index 1, and 0 is the empty prefix.
    Index, "i"
);
quantity!(
    /// A point on one node's own monotonic clock, in units that the driver chooses (nanoseconds
    /// in production, ticks in the model). Only differences on the same clock mean anything.
    Instant, "@"
);
quantity!(
    /// A span on a node's own clock, in the unit of [`Instant`].
    Duration, "+"
);
quantity!(
    /// The number of a write in a node's FIFO of writes; 0 stands for "before the first".
    WriteId, "w"
);

quantity!(
    /// A driver's name for a read. A driver uses none twice, neither for a read that it tries again
    /// nor after a restart: an answer to the first one may come late, and would be taken for an
    /// answer to the second (rule R7).
    Token, "r"
);

impl Term {
    /// Terms at or above this are refused: no honest cluster reaches it, and adding one to a
    /// term below it never overflows.
    pub const LIMIT: Term = Term(u64::MAX / 2);

    /// The term after this one.
    #[must_use]
    pub fn next(self) -> Term {
        Term(self.0.saturating_add(1))
    }
}

impl Index {
    /// Indices at or above this are refused: no honest log reaches it, and adding the length of a
    /// request to an index below it never overflows.
    pub const LIMIT: Index = Index(u64::MAX / 2);

    /// The empty prefix of every log.
    pub const ZERO: Index = Index(0);

    /// The index after this one.
    #[must_use]
    pub fn next(self) -> Index {
        Index(self.0.saturating_add(1))
    }

    /// The index before this one; 0 stays 0.
    #[must_use]
    pub fn previous(self) -> Index {
        Index(self.0.saturating_sub(1))
    }
}

impl WriteId {
    /// Nothing needs to be written first.
    pub const NONE: WriteId = WriteId(0);

    /// The number of the following write.
    #[must_use]
    pub fn next(self) -> WriteId {
        WriteId(self.0.saturating_add(1))
    }
}

impl Instant {
    /// This instant, `d` later; it saturates at the end of time.
    #[must_use]
    pub fn after(self, d: Duration) -> Instant {
        Instant(self.0.saturating_add(d.0))
    }

    /// Whether at least `d` has passed since `earlier`.
    #[must_use]
    pub fn is_past(self, earlier: Instant, d: Duration) -> bool {
        self >= earlier.after(d)
    }
}

/// The name of a log entry: `(term, index)` identifies it for ever (claim EntryIdentity).
///
/// The order is the one of the up-to-date rule, thesis §3.6.1: first the term, then the index.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct EntryId {
    /// The term of the leader that created the entry.
    pub term: Term,
    /// The entry's position in the log.
    pub index: Index,
}

impl EntryId {
    /// The boundary before the first entry.
    pub const ZERO: EntryId = EntryId { term: Term(0), index: Index(0) };
}

impl fmt::Debug for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@t{}", self.index.0, self.term.0)
    }
}

/// What the driver adds to each step: its clock, and one random number (randomness is an input).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Moment {
    /// The node's own clock, which must not go back while the node runs: a driver reads a
    /// monotonic one. The node keeps no last instant and takes this one as it is. If it does go
    /// back, no promise is shortened, but a promise or a timer that had expired is in force again,
    /// a leader takes its contacts for fresh for as much longer, and a round of pre-votes can get
    /// the name of an earlier one, whose grants then count.
    pub now: Instant,
    /// A uniform random number, from which an election timeout is drawn if this step needs one.
    pub draw: u64,
}
