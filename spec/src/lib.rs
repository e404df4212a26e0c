//! Raft as pure transition functions: the executable specification of Quorate.
//!
//! ```text
//!              Input                                Effects, in this order
//!   Tick ──────────────┐                          ┌──▶ persist   one atomic, numbered write
//!   Receive(message) ──┤                          ├──▶ publish   what readers may see
//!   Persisted(write) ──┤                          ├──▶ send      replies, through the Gate
//!   Propose ───────────┼──▶ Protocol::step(node) ─┼──▶ install   restore this snapshot
//!   ChangeMembers ─────┤      pure, total,        ├──▶ commit    apply up to here
//!   Read ──────────────┤      deterministic       ├──▶ proposed  which entries those are
//!   TransferLeadership ┤                          └──▶ reads     where they may be served
//!   Campaign ──────────┤
//!   Snapshot… ─────────┘
//!
//!   peer has room ──────▶ Protocol::poll_transmit(node) ──▶ the next request, through the Gate
//! ```
//!
//! The model checker explores these functions and production runs them; there is no second text.
//! No clock, no randomness, no I/O, no bytes of users: time and random draws come with each step
//! ([`Moment`]), and `(term, index)` names an entry ([`EntryId`]).
//!
//! * [`Protocol`]: the entry points. * [`rules`]: every guard, one function each.
//! * [`transition`]: the steps, a file a concern. * [`property`]: the claims as functions.

#![no_std]
#![deny(clippy::float_arithmetic, clippy::disallowed_types, clippy::disallowed_methods)]
#![deny(missing_docs)]
#![warn(clippy::wildcard_enum_match_arm)]

extern crate alloc;
#[cfg(test)]
extern crate std;

pub mod configuration;
pub mod durable;
pub mod effects;
mod gate;
pub mod log;
pub mod message;
mod node;
mod params;
mod pledge;
pub mod property;
mod protocol;
mod read_view;
mod refusal;
mod renumber;
pub mod role;
pub mod rules;
pub mod small;
mod symmetry;
mod timers;
pub mod transition;
pub mod types;

pub use configuration::{Configuration, Target};
pub use durable::{Durable, HardState};
pub use effects::{Effects, Fatal, Input, Outgoing, Persist, Proposed, ReadAnswer};
pub use gate::Gate;
pub use log::{Entries, Log, Snapshot};
pub use message::{AppendOutcome, Body, Envelope, Kind, Message, Stamp};
pub use node::{Forward, Node, PendingWrite};
pub use params::{Lease, Params, ParamsError};
pub use protocol::Protocol;
pub use read_view::ReadView;
pub use refusal::Refusal;
pub use renumber::{Numbers, Renumber};
pub use role::{Role, RoleName};
pub use rules::{Rules, Sound};
pub use symmetry::Rename;
pub use transition::{Limit, Room};
pub use types::{Duration, EntryId, Index, Instant, Moment, NodeId, Term, Token, WriteId};
