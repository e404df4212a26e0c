//! The durability gate: what must not leave before a write is durable waits here (rules P1, P2).
//!
//! The driver and the model hold back messages with this one type. It is lost in a crash, as the
//! messages in it would be.

use alloc::vec::Vec;

use crate::types::WriteId;

/// Items that wait for writes, in the order in which they came.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Gate<T> {
    persisted: WriteId,
    held: Vec<(WriteId, T)>,
}

impl<T> Default for Gate<T> {
    fn default() -> Self {
        Gate { persisted: WriteId::NONE, held: Vec::new() }
    }
}

impl<T> Gate<T> {
    /// Takes an item that needs the write `needs`: gives it back if that is durable already. One
    /// that waits already is not kept twice: a request that is sent again while the disk is slow.
    pub fn pass(&mut self, needs: WriteId, item: T) -> Option<T>
    where
        T: PartialEq,
    {
        if needs <= self.persisted {
            return Some(item);
        }
        let waits = self.held.iter().any(|(other, held)| *other == needs && *held == item);
        if !waits {
            self.held.push((needs, item));
        }
        None
    }

    /// Every write up to `id` is durable: gives back what waited for them. Reports that come late
    /// or twice change nothing.
    pub fn persisted(&mut self, id: WriteId) -> Vec<T> {
        self.persisted = self.persisted.max(id);
        let (free, held) = core::mem::take(&mut self.held)
            .into_iter()
            .partition(|(needs, _)| *needs <= self.persisted);
        self.held = held;
        free.into_iter().map(|(_, item): (WriteId, T)| item).collect()
    }

    /// What waits, with what it waits for.
    pub fn held(&self) -> impl Iterator<Item = &(WriteId, T)> {
        self.held.iter()
    }

    /// Puts what waits for the same write into one order, whichever came first. For models, in which
    /// what leaves at one moment has no order.
    pub fn sort(&mut self)
    where
        T: Ord,
    {
        self.held.sort_unstable();
    }

    /// Changes what waits, in place.
    pub fn items_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.held.iter_mut().map(|(_, item)| item)
    }

    /// Renumbers the writes, `by` less; the durable ones become [`WriteId::NONE`].
    pub fn renumber(&mut self, by: u64) {
        self.persisted = WriteId(self.persisted.0.saturating_sub(by));
        for (needs, _) in &mut self.held {
            needs.0 = needs.0.saturating_sub(by);
        }
    }
}
