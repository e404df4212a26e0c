//! What the threads of a node share by hand: four small things without tokio, each written over the
//! atomics and locks of `prim`, which loom takes the place of under `--cfg quorate_loom`.
//!
//! * [`Published`]: what readers on any thread may know of the node.
//! * [`queue`]: the way from the owner of a node to the thread that writes, and how it ends.
//! * [`group::run`]: the group commit, which decides what counts as durable, and when.
//! * [`Slot`]: the hand-off of a view of the machine to the thread that writes it out.
//!
//! `quorate` runs on these very types. `tests/loom` has loom try every interleaving of the threads
//! that use them, and every value that the memory model lets a thread see; and it breaks one
//! promise at a time (see [`Care`]) and has loom find that.

mod care;
pub mod group;
mod prim;
mod published;
mod queue;
mod slot;

pub use care::{Care, Sound};
pub use group::{Disk, run};
pub use published::{Published, Shared};
pub use queue::{Feed, Sender, Taker, queue};
pub use slot::Slot;
