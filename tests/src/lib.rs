//! Clusters of five and seven servers under random faults, with the claims of the model.
//!
//! ```text
//!   Traces ──▶ Vec<Step> ──▶ Cluster::apply ──▶ spec's Protocol, one server at a time
//!   (proptest)  plain data        │
//!                                 └──▶ Findings: claims of spec::property, and Invariants
//! ```
//!
//! The model checks every run of small clusters; this looks at long runs of larger ones, with
//! clocks that advance, pipelined requests and timeouts as in production. A [`Step`] is a verb and
//! three numbers that mean something in every state, so any sequence of steps is a run, and what
//! is left of a failing run after shrinking is one too.
//!
//! | file | subject |
//! |---|---|
//! | `step`, `trace` | what can happen, as data and as text |
//! | `strategy` | random runs, and how a failing one is shrunk |
//! | `cluster`, `happen` | a cluster, and what each verb does to it |
//! | `server`, `network` | one server with clock, gate and disk; messages under way |
//! | `fair` | the scheduler without faults |
//! | `check`, `finding` | what has to hold, and what was found false |
//! | `property`, `search` | a scenario run to its verdict; many of them |
//! | `counts`, `story` | how often things happened; a failing run in sentences |
//!
//! `QUORATE_SCALE=100 cargo test -p quorate-tests` looks at a hundred times as many runs.

mod check;
mod cluster;
mod counts;
mod fair;
mod finding;
mod happen;
mod network;
mod property;
mod search;
mod server;
mod step;
mod story;
mod strategy;
mod trace;

pub use cluster::{Cluster, PARAMS};
pub use counts::{Count, Counts};
pub use fair::{BOUND, Settled, Unsettled};
pub use finding::{Finding, Findings, Invariant, Watch};
pub use property::{Failure, Ran, Scenario, Setup, run};
pub use search::{Counterexample, Search, Seen};
pub use server::{Disk, Server};
pub use step::{Step, Verb};
pub use story::tell;
pub use strategy::{TraceTree, Traces};
pub use trace::{Trace, TraceError};
