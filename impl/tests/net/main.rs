//! Nodes that reach each other over TCP. No test asserts a time: each waits for a condition.

mod codec;
mod conformance;
mod directories;
mod letters;
mod nodes;
mod proxy;
mod rig;
mod snapshots;
mod strangers;
mod tcp;
mod tls;
