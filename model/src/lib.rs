//! Exhaustive checks of the Quorate specification.

pub mod action;
mod canonical;
pub mod claims;
pub mod coverage;
pub mod guards;
pub mod intern;
pub mod model;
pub mod mutation;
mod network;
mod progress;
pub mod render;
pub mod search;
pub mod server;
pub mod slice;
pub mod slices;
pub mod state;
mod verdicts;
