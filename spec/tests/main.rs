//! The tests of the specification, a file a subject. They are one program: each of its own would compile
//! the protocol once more.
#![allow(clippy::unwrap_used, missing_docs)]

mod check_quorum;
mod claims;
mod common;
mod commuting_laws;
mod diagram;
mod durability;
mod elections;
mod findings;
mod laws;
mod leases;
mod log_laws;
mod membership;
mod params;
mod pipeline;
mod pre_vote;
mod reads;
mod reads_elsewhere;
mod renumber;
mod replication;
mod small_laws;
mod snapshots;
mod step_laws;
mod transfer;
