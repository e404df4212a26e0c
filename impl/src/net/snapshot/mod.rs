//! The state of a snapshot on its way: in chunks, on a connection of its own, so that no heartbeat
//! waits behind it.
//!
//! ```text
//!  leader                                        follower
//!  Offer   last entry, length, SHA-256   ──▶
//!                                        ◀──     Have    so many bytes, from an earlier connection
//!  Chunk   offset, bytes                 ──▶             kept whenever the connection breaks
//!  …
//!  Finish  the message                   ──▶             checksum of the whole, then one packet
//!                                        ◀──     Done    or Declined, and why
//! ```
//! The follower names what it has, so what has arrived is not sent again: neither after the connection
//! broke, nor when another leader offers the same state. The message is the latest one about this
//! snapshot, with the leader's term of that moment: whether it is still worth anything is decided by
//! the protocol, which sees one packet as if it had come at once.

mod receive;
mod send;

use quorate_spec::EntryId;
use ring::digest::{Context, SHA256, SHA256_OUTPUT_LEN};
use serde::{Deserialize, Serialize};

pub(crate) use receive::{Receiving, Shelf, receive};
pub(crate) use send::{Slot, send};

use crate::state::StateBytes;

/// A state that a leader has for a follower.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
struct Offer {
    /// The last entry that it covers.
    last: EntryId,
    length: u64,
    /// Two nodes may write the same state differently. With this no state is put together from both.
    sha256: [u8; SHA256_OUTPUT_LEN],
}

fn sha256(state: &StateBytes) -> [u8; SHA256_OUTPUT_LEN] {
    let (mut sum, mut context) = ([0; SHA256_OUTPUT_LEN], Context::new(&SHA256));
    state.pieces().for_each(|piece| context.update(piece));
    sum.copy_from_slice(context.finish().as_ref());
    sum
}

/// Where in the state the bytes of a chunk begin, before them.
const OFFSET: usize = 8;
