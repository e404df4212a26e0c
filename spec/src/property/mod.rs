//! The claims, as pure functions. The model, the simulation and the tests evaluate the same ones.
//!
//! * [`step`]: what every step of one server keeps, whatever the others do.
//! * [`membership`]: what steps keep while the members change.
//! * [`reads`]: what a client may rely on that reads.
//! * [`release`]: what every message keeps that leaves a server.
//! * [`restart`]: what a crash at this moment would leave of one server.
//! * [`history`]: what holds over the whole run, by remembering who led and what was created.
//! * [`cluster`]: what holds between servers in one state.

pub mod claim;
pub mod cluster;
#[allow(clippy::too_many_lines, reason = "a table: an entry for each claim")]
pub mod entry;
pub mod history;
pub mod membership;
pub mod reads;
pub mod release;
pub mod restart;
pub mod step;

pub use claim::{Claim, ClaimSet};
