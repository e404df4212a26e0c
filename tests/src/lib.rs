//! Random runs of the simulation in `quorate_model::simulation`, and what is left of a failing one.
//!
//! ```text
//!   Traces ──▶ Trace ──▶ quorate_model::simulation::run ──▶ it holds, or a Failure
//!   (proptest)   ▲                                               │
//!                └───────────── TraceTree shrinks ◀──────────────┘
//! ```
//!
//! | file | subject |
//! |---|---|
//! | `strategy` | random runs, and how a failing one is shrunk |
//! | `search` | many runs of a setup |
//!
//! `QUORATE_SCALE=100 cargo test -p quorate-tests` looks at a hundred times as many runs.

mod search;
mod strategy;

pub use search::{Counterexample, Search, Seen};
pub use strategy::{TraceTree, Traces};
