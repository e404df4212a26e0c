//! Raft in production: a driver that runs the transition functions of `quorate-spec` on tokio.
//!
//! ```text
//!  clients ──▶ Handle ──▶ bounded queue ─┐              ┌─▶ Storage    its own thread, one FIFO
//!                                        │  ┌────────┐  ├─▶ ReadView   watch: published first
//!  peers ────▶ Transport ─▶ bounded queue ┼─▶│ Driver │──┼─▶ Gate ─▶ Transport   replies, requests
//!  Storage ──▶ Progress: durable up to ──┤  └────────┘  └─▶ Applier ─▶ StateMachine, then the
//!  Clock ────▶ next_deadline ────────────┘   owns the                  client's answer
//!                                            spec's Node
//! ```
//!
//! The model checker explores [`quorate_spec::Protocol::step`], and the driver calls the same
//! function. Nothing in this crate decides about terms, votes, quorums or commits: it moves bytes,
//! clocks and effects. What it has to keep, and does keep:
//!
//! * **One owner.** One task owns the node and feeds it one input after the other.
//! * **Effect order.** The effects of a step are performed in the order of their fields.
//! * **Nothing half done.** The task waits in one place, between steps. Performing the effects
//!   never waits, so neither a shutdown nor a kill can come between two of them.
//! * **One clock.** Every step gets the time of one [`Clock`], which counts suspended time, and
//!   no timer fires early.
//! * **Published first.** What readers may see changes before the message leaves that makes the old
//!   view false, and before anyone hears of a commit.
//! * **Never blocked.** Writes, commands and snapshots are performed on threads of their own.
//! * **Fail-stop.** After a failed write the node says and acknowledges nothing more.
//!
//! # Three nodes in one process
//!
//! ```
//! use std::sync::atomic::{AtomicUsize, Ordering};
//! use std::{sync::Arc, time::Duration};
//!
//! use quorate::{Cluster, ReadLevel, StateMachine, clock::span};
//! use quorate_spec::{EntryId, NodeId, Params};
//!
//! /// Counts the bytes of all commands.
//! struct Counter(Arc<AtomicUsize>);
//!
//! impl StateMachine for Counter {
//!     fn apply(&mut self, _: EntryId, command: &[u8]) {
//!         self.0.fetch_add(command.len(), Ordering::Relaxed);
//!     }
//!
//!     fn snapshot(&mut self) -> Vec<u8> {
//!         self.0.load(Ordering::Relaxed).to_le_bytes().to_vec()
//!     }
//!
//!     fn restore(&mut self, state: &[u8]) {
//!         let count = state.try_into().map_or(0, usize::from_le_bytes);
//!         self.0.store(count, Ordering::Relaxed);
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let params = Params::new(span(Duration::from_millis(500)), span(Duration::from_millis(50)));
//! let bytes = Arc::new(AtomicUsize::new(0));
//! let counted = Arc::clone(&bytes);
//! let mut cluster = Cluster::new(3, params, 1, move |_| Counter(Arc::clone(&counted)));
//! cluster.start_all()?;
//!
//! let first = cluster.handle(NodeId(1)).expect("it was started");
//! let leader = first.watch().wait_for(|view| view.leader.is_some()).await?.leader;
//! let leader = leader.and_then(|id| cluster.handle(id)).expect("it was started");
//! let entry = leader.propose(&b"hello"[..]).await?;
//! println!("{entry:?} is committed");
//!
//! // Whichever node is asked, its machine then shows everything that was acknowledged by now.
//! leader.read(ReadLevel::ReadIndex).await?;
//! assert!(bytes.load(Ordering::Relaxed) >= 5);
//!
//! cluster.stop_all().await;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Where to look
//!
//! * [`Cluster`]: nodes in one process, to start, kill, restart and cut off from each other.
//! * [`Handle`]: propose, read, change the members, hand leadership over, look at the published
//!   view, wait for a node to stop.
//! * [`Params::with_lease`](quorate_spec::Params::with_lease): reads that ask nobody.
//! * [`net::TcpTransport`]: nodes in processes of their own, over TCP and TLS.
//! * [`node::start`]: one node on a storage, a transport, a clock and a machine of your own.

pub mod apply;
mod changes;
pub mod clock;
pub mod cluster;
mod driver;
pub mod handle;
pub mod memory;
pub mod net;
pub mod network;
pub mod node;
mod outbox;
mod pending;
mod published;
mod random;
mod reads;
pub mod record;
pub mod storage;
mod transfers;
pub mod transport;

pub use apply::StateMachine;
pub use clock::{Clock, MonotonicClock};
pub use cluster::Cluster;
pub use handle::{CampaignError, ChangeError, Handle, ProposeError, Status, StopReason, Stopped};
pub use memory::MemoryDisk;
pub use network::Network;
pub use node::{Limits, Options, RunningNode, StartError};
pub use reads::{ReadError, ReadLevel};
pub use record::{Content, MachineState, Payload, Record};
pub use storage::{Progress, Storage, StorageError};
pub use transfers::TransferError;
pub use transport::{Packet, Transport};
