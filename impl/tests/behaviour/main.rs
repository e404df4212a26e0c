//! What users see of a node and of a cluster. No test asserts a time: each waits for a condition,
//! and what must never happen is looked for in everything that left a node.

mod away;
mod compaction;
mod durability;
mod elections;
mod evidence;
mod fetching;
mod lab;
mod leases;
mod membership;
mod reads;
mod replication;
mod sending;
mod sessions;
mod snapshots;
mod solo;
mod transfers;
mod watching;
