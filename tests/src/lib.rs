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
//! | `page` | a browser that a test drives |
//!
//! `QUORATE_SCALE=100 cargo test -p quorate-tests` looks at a hundred times as many runs.

#[cfg(unix)]
mod page;
mod search;
mod strategy;

#[cfg(unix)]
pub use page::{Page, axe, skipped};
pub use search::{Counterexample, Search, Seen};
pub use strategy::{TraceTree, Traces};
