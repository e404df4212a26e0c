//! What is due and when, in simulated time.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// Something that is due.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Due {
    /// The script's event of this number.
    Script(usize),
    /// The message of this number arrives.
    Arrive(usize),
    /// A server's disk has done its oldest write, if the server has not crashed since.
    Written {
        /// The server.
        server: usize,
        /// How often it had crashed.
        life: u32,
    },
    /// A server's timer, if it was not set anew since.
    Wake {
        /// The server.
        server: usize,
        /// How often it had been set.
        setting: u64,
    },
    /// A client writes.
    Write,
    /// A client reads.
    Read,
}

/// What is due, the earliest first; of what is due at once, what was put in first.
#[derive(Default)]
pub(crate) struct Queue {
    heap: BinaryHeap<Reverse<(u64, u64, Due)>>,
    count: u64,
}

impl Queue {
    /// Puts something in for this instant.
    pub(crate) fn put(&mut self, at: u64, due: Due) {
        self.count += 1;
        self.heap.push(Reverse((at, self.count, due)));
    }

    /// Takes what is due next, if it is due by `end`.
    pub(crate) fn take(&mut self, end: u64) -> Option<(u64, Due)> {
        let next = self.heap.peek().is_some_and(|Reverse((at, ..))| *at <= end);
        let taken = if next { self.heap.pop() } else { None };
        taken.map(|Reverse((at, _, due))| (at, due))
    }
}

/// A number that depends on these in no way that anyone could see (splitmix64).
pub(crate) fn mix(numbers: &[u64]) -> u64 {
    numbers.iter().fold(0x9E37_79B9_7F4A_7C15, |state, number| {
        let z = (state ^ number).wrapping_add(0x9E37_79B9_7F4A_7C15);
        let z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        let z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    })
}
