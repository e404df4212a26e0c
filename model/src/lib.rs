//! Exhaustive checks of the Quorate specification.
//!
//! ```text
//!  slices ──▶ SliceModel ──▶ Stateright (exhaust) ──▶ verdict ──▶ ledger
//!                │   ▲              search (second opinion, shortest traces)
//!                ▼   │
//!       Machine::perform(server, operation)   one server, pure, remembered
//!                │
//!                ▼
//!       quorate_spec::Protocol::step          the code that production runs
//! ```

pub mod action;
pub mod actors;
mod canonical;
pub mod check;
pub mod checked;
pub mod claims;
pub mod clocks;
pub mod coverage;
mod draws;
pub mod enumeration;
pub mod exempt;
mod exhaust;
pub mod explain;
pub mod explorer;
mod forget;
pub mod guards;
pub mod intern;
mod late;
pub mod ledger;
pub mod links;
pub mod machine;
pub mod math;
mod memo;
pub mod model;
mod mutated;
pub mod mutation;
pub mod narrate;
mod network;
mod operation;
mod possible;
mod premise;
mod progress;
pub mod render;
pub mod report;
pub mod search;
pub mod server;
pub mod simulation;
pub mod slice;
#[allow(clippy::too_many_lines, reason = "a table: an entry for each slice")]
pub mod slices;
pub mod state;
mod timeless;
mod verdicts;
pub mod witness;
