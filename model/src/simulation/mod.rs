//! Simulation: clusters of any size under random faults, with the claims of the model.
//!
//! ```text
//!   Trace ──▶ Vec<Step> ──▶ Cluster::apply ──▶ spec's Protocol, one server at a time
//!   (a file, or drawn)          │
//!                               └──▶ Findings: claims of spec::property, and Invariants
//! ```
//!
//! The model checks every run of small clusters; this looks at long runs of larger ones, with
//! clocks that advance, pipelined requests and timeouts as in production. A [`Step`] is a verb and
//! three numbers that mean something in every state, so any sequence of steps is a run, and what
//! is left of a failing run after shrinking is one too. Nothing here draws a random number: runs
//! are drawn and shrunk in the crate of the tests.
//!
//! | file | subject |
//! |---|---|
//! | `step`, `trace` | what can happen, as data and as text |
//! | `cluster`, `happen` | a cluster, and what each verb does to it |
//! | `server`, `network`, `clock` | what can happen to one server; messages under way; time |
//! | `fair` | the scheduler without faults |
//! | `check`, `finding` | what has to hold, and what was found false |
//! | `property` | a scenario run to its verdict |
//! | `counts`, `story` | how often things happened; a failing run in sentences |
//! | `replay` | a run as sentences and states of the model, for what shows those |

mod check;
mod clock;
mod cluster;
mod counts;
mod fair;
mod finding;
mod happen;
mod network;
mod property;
mod replay;
mod server;
mod step;
mod story;
mod trace;

pub use clock::Drift;
pub use cluster::{Cluster, PARAMS};
pub use counts::{Count, Counts};
pub use fair::{BOUND, Settled, Unsettled};
pub use finding::{Finding, Findings, Invariant, Watch};
pub use property::{Failure, Ran, Scenario, Setup, run};
pub use replay::{ReplayError, replay};
pub use step::{Step, Verb};
pub use story::tell;
pub use trace::{Trace, TraceError};
