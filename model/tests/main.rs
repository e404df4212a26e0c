//! The tests of the checker, a file a subject, as one program; what takes minutes is in `everything`.
#![allow(clippy::unwrap_used, missing_docs)]

mod actors;
mod clocks;
mod command_line;
mod common;
mod coverage;
mod enumeration;
mod explained;
mod explore;
mod lab;
mod ledger;
mod linearizability;
mod links;
mod math;
mod mutants;
mod reductions;
mod server;
mod slices;
mod sources;
