//! What a [`Storage`] has to keep, as laws that an implementer runs against it.
//!
//! A node trusts its storage with every promise that it makes, so each law crashes the disk and
//! compares what is found then with what was submitted and reported. Give it a [`CrashingDisk`]: a
//! way to open the storage, and a crash that leaves what a loss of power would.
//!
//! ```
//! use quorate::storage::conformance::{self, CrashingDisk};
//! use quorate::{MemoryDisk, memory::MemoryStorage};
//! use quorate_spec::{Configuration, NodeId};
//!
//! struct InMemory(MemoryDisk);
//!
//! impl CrashingDisk for InMemory {
//!     type Storage = MemoryStorage;
//!
//!     fn open(&mut self) -> MemoryStorage {
//!         self.0.open()
//!     }
//!
//!     fn crash(&mut self, running: MemoryStorage) {
//!         self.0.crash();
//!         drop(running);
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! conformance::check(|| InMemory(MemoryDisk::new(Configuration::of([NodeId(1)])))).await?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```

mod laws;
mod run;
mod script;

use quorate_spec::EntryId;
use thiserror::Error;

use crate::record::{MachineState, Record};
use crate::storage::{Lookup, Storage, StorageError, Stretch};

pub use self::laws::Law;
pub use self::script::{Action, Contents, Script, Step};

/// A disk under a storage, whose power can go.
pub trait CrashingDisk {
    /// The storage.
    type Storage: Storage;

    /// Opens what is on the disk. The one before was closed, or crashed.
    fn open(&mut self) -> Self::Storage;

    /// The power goes, with a storage running: it writes nothing more, and what it has not reported
    /// may be on the disk or not.
    fn crash(&mut self, running: Self::Storage);

    /// From now on no write becomes durable, until [`CrashingDisk::release`]. False where the disk
    /// cannot do that; then the laws find less.
    fn hold(&mut self) -> bool {
        false
    }

    /// Writes become durable again.
    fn release(&mut self) {}

    /// The next write, or the next few, will fail. False where the disk cannot do that; then
    /// [`Law::FailureIsFinal`] finds nothing.
    fn fail(&mut self) -> bool {
        false
    }
}

/// A law does not hold.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
#[error("the storage breaks {law:?}: {what}")]
pub struct Violation {
    /// Which.
    pub law: Law,
    /// What was seen.
    pub what: String,
}

/// Checks every law, each on a new disk.
///
/// # Errors
/// The first law that does not hold.
pub async fn check<D: CrashingDisk>(mut disk: impl FnMut() -> D) -> Result<(), Violation> {
    for law in Law::ALL {
        law.check(&mut disk()).await?;
    }
    Ok(())
}

/// The record of this entry, fetched if it is away; none if the log does not have it.
///
/// # Errors
/// Why it cannot be read.
pub async fn record(storage: &impl Storage, id: EntryId) -> Result<Option<Record>, StorageError> {
    match storage.read(id) {
        Lookup::Here(record) => Ok(Some(record)),
        Lookup::Gone => Ok(None),
        Lookup::Away => {
            let stretch = Stretch { first: id, entries: 1, bytes: 0 };
            Ok(storage.fetch(stretch).await?.into_iter().next())
        }
    }
}

/// The state of the machine after this entry, fetched if it is away; none if it is not kept.
///
/// # Errors
/// Why it cannot be read.
pub async fn state(
    storage: &impl Storage,
    last: EntryId,
) -> Result<Option<MachineState>, StorageError> {
    match storage.state(last) {
        Lookup::Here(state) => Ok(Some(state)),
        Lookup::Gone => Ok(None),
        Lookup::Away => storage.fetch_state(last).await.map(Some),
    }
}
