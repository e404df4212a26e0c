//! Random runs, a file a subject, as one program.
#![allow(clippy::unwrap_used, missing_docs)]

mod claims;
mod disturbance;
mod leases;
mod mutants;
mod recovery;
mod replay;
mod scenarios;
mod shrinking;
mod traces;
