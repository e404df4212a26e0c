//! What the driver promises about the order of things, one name each: so that tests can break one
//! promise at a time in the driver itself, and see that it is noticed.

#[cfg(test)]
mod stage;
#[cfg(test)]
mod tests;

/// A promise of the driver.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Promise {
    /// A message waits for the write that it needs: a vote and a term for themselves (rule P1), an
    /// acknowledgement for its entries (rule P2).
    WritesBeforeSending,
    /// A write counts as durable when the disk says so, and not when it is issued (rule P3).
    CountsWhatIsDurable,
    /// At a start nothing is known to be committed but what the snapshot covers (rule P4).
    StartsAtTheSnapshot,
    /// A report covers the writes up to the one that it names, and none after it (rule P5).
    ReportsNameWrites,
    /// After a failed write nothing is acknowledged any more (rule P6).
    StopsAtFailure,
    /// A node starts from what its disk holds, its vote included (rule P7).
    StartsFromTheDisk,
    /// The machine is given what is committed, and nothing else (rule P8).
    AppliesTheCommitted,
    /// A log begins with a snapshot only once the state that it covers is durable (rules S5, P8).
    KeepsStateBeforeCompaction,
    /// Readers see a view before any message leaves that makes the one before it false.
    PublishesBeforeSending,
    /// Readers see a commit before any client hears of it.
    PublishesBeforeApplying,
}

#[cfg(test)]
impl Promise {
    pub(crate) const ALL: [Promise; 10] = [
        Promise::WritesBeforeSending,
        Promise::CountsWhatIsDurable,
        Promise::StartsAtTheSnapshot,
        Promise::ReportsNameWrites,
        Promise::StopsAtFailure,
        Promise::StartsFromTheDisk,
        Promise::AppliesTheCommitted,
        Promise::KeepsStateBeforeCompaction,
        Promise::PublishesBeforeSending,
        Promise::PublishesBeforeApplying,
    ];
}

/// Keeps every promise, but in tests the one that is to be broken.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Order {
    #[cfg(test)]
    pub(crate) broken: Option<Promise>,
}

impl Order {
    #[cfg(test)]
    pub(crate) fn keeps(self, promise: Promise) -> bool {
        self.broken != Some(promise)
    }

    /// Always, outside tests.
    #[cfg(not(test))]
    pub(crate) const fn keeps(self, _: Promise) -> bool {
        true
    }
}
