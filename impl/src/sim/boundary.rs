//! Where a crash can come: around everything that a node does and that the world can see.

use std::sync::Arc;

/// Something that a node has done, or is about to do.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Boundary {
    /// A write, or a state of the machine, is in the disk's queue.
    Submitted,
    /// A group of writes is durable, and not reported.
    Synced,
    /// A state of the machine is durable, and not reported.
    Kept,
    /// A report is there, and not read.
    Reported,
    /// Records or a state were read, and the node does not have them.
    Fetched,
    /// A packet or a letter is about to leave.
    Sending,
    /// It has left.
    Sent,
    /// A packet is about to be taken in.
    Arriving,
    /// The machine is about to apply a batch.
    Applying,
    /// It has, and no client knows.
    Applied,
}

impl Boundary {
    pub(super) const ALL: [Boundary; 10] = [
        Boundary::Submitted,
        Boundary::Synced,
        Boundary::Kept,
        Boundary::Reported,
        Boundary::Fetched,
        Boundary::Sending,
        Boundary::Sent,
        Boundary::Arriving,
        Boundary::Applying,
        Boundary::Applied,
    ];
}

/// Hears of each. The node may be dead after it.
pub(super) type Hook = Arc<dyn Fn(Boundary) + Send + Sync>;
