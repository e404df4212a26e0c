//! Cut links: which combinations of pre-vote, the promise not to vote and check-quorum stay live and
//! stable under which patterns of links that are cut for good (`quorate-model check links`).
//!
//! - **Live**: from every state that can be reached, some benign run elects a leader that everyone
//!   follows whom it reaches both ways, and some benign run has a leader that commits (claims
//!   ElectionProgress and NoDeadlock).
//! - **Stable**: no run deposes, again and again for ever, a leader that has open links to a quorum and
//!   back (claim StableLeader). It may be deposed any finite number of times: that a leader is left
//!   alone from the first moment on is NonDisruption, in the slices.
//!
//! ```text
//!  histories ──▶ states in which the links are cut ──▶ graph ──▶ Tarjan ──▶ lasso, walked as it is
//!  (history)          modulo numbers (quotient)                    │
//!                                                                  └──▶ Benign: live?
//! ```
//!
//! Terms rise for ever on such a cycle, so the graph is one of states modulo their numbers (`quotient`),
//! and is explored to its end. What is assumed of time is said in `graph`.

mod clock;
mod graph;
pub mod history;
pub mod lasso;
pub mod live;
pub mod pattern;
mod quotient;
pub mod run;
pub mod story;
pub mod table;
pub mod walk;
