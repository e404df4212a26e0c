//! The transition functions, a file a concern, named as the Raft thesis names them.
//!
//! | file | concern | thesis |
//! |---|---|---|
//! | `term` | who is heard, and which term counts | §3.3 |
//! | `election` | timeouts, campaigns, becoming leader, stepping down | §3.4, §6.2 |
//! | `pre_vote` | asking before raising the term | §9.6 |
//! | `request_vote` | granting and counting votes | §3.4, §3.6.1 |
//! | `append_entries` | a follower takes entries and heartbeats | §3.5 |
//! | `replication` | a leader proposes, hears answers and commits | §3.5, §3.6.2 |
//! | `membership` | a change of the members, from the request to `C_new` | §4.1 to §4.3 |
//! | `snapshot` | taking, reporting and installing snapshots | §5.1, §5.3 |
//! | `read` | linearizable reads, by a round of messages | §6.4 |
//! | `transfer` | leadership is handed over | §3.10 |
//! | `durability` | a write has become durable | §3.8 |
//! | `transmit` | requests to a peer are built here and nowhere else | §3.4, §3.5, §5.3, §9.6 |

mod append_entries;
mod durability;
mod election;
mod membership;
mod pre_vote;
mod read;
mod replication;
mod request_vote;
mod snapshot;
mod term;
mod transfer;
mod transmit;

pub use transmit::{Limit, Room};
