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
//! clocks and effects. It chooses the moment at which the node hears of a durable state of its machine,
//! and any moment is right (rule S12). What it has to keep, and does keep:
//!
//! * **One owner.** One task owns the node and feeds it one input after the other.
//! * **Effect order.** The effects of a step are performed in the order of their fields.
//! * **Nothing half done.** The task waits in one place, between steps. Performing the effects
//!   never waits, so neither a shutdown nor a kill can come between two of them.
//! * **One clock.** Every step gets the time of one [`Clock`], which counts suspended time, and
//!   no timer fires early.
//! * **Published first.** What readers may see changes before the message leaves that makes the old
//!   view false, and before anyone hears of a commit.
//! * **Never blocked** by a disk, a command or a snapshot, each of which has threads of its own. A
//!   snapshot is written from a view of the machine, which goes on meanwhile; and what is not in memory
//!   is fetched ([`Storage::fetch`]) while the task goes on: it asks for nothing that takes long.
//! * **Fail-stop.** After a failed write the node says and acknowledges nothing more.
//!
//! # Three nodes in one process
//!
//! ```
//! use std::io::{self, Read, Write};
//! use std::sync::atomic::{AtomicU64, Ordering};
//! use std::{sync::Arc, time::Duration};
//!
//! use quorate::{Cluster, Command, ReadLevel, Response, StateMachine, clock::span};
//! use quorate_spec::{NodeId, Params};
//!
//! /// Counts the bytes of all commands, and answers the sum.
//! #[derive(Clone, Default)]
//! struct Counter(Arc<AtomicU64>);
//!
//! impl StateMachine for Counter {
//!     fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
//!         let add = |command: &Command<'_>| {
//!             let length = command.bytes.len() as u64;
//!             let sum = self.0.fetch_add(length, Ordering::Relaxed) + length;
//!             sum.to_string().into_bytes()
//!         };
//!         commands.iter().map(add).collect()
//!     }
//!
//!     fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
//!         let sum = self.0.load(Ordering::Relaxed);
//!         move |out: &mut dyn Write| out.write_all(&sum.to_le_bytes())
//!     }
//!
//!     fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
//!         let mut sum = [0; 8];
//!         state.read_exact(&mut sum)?;
//!         self.0.store(u64::from_le_bytes(sum), Ordering::Relaxed);
//!         Ok(())
//!     }
//! }
//!
//! # tokio::runtime::Runtime::new()?.block_on(async {
//! let params = Params::new(span(Duration::from_millis(500)), span(Duration::from_millis(50)));
//! let counters: [Counter; 3] = Default::default();
//! let machines = counters.clone();
//! let mut cluster = Cluster::new(3, params, 1, move |id| machines[id.0 as usize - 1].clone());
//! cluster.start_all()?;
//!
//! // Any node will do: one that follows sends the command on to its leader. A session may send
//! // again what it has heard nothing of, and every command is applied once.
//! let node = cluster.handle(NodeId(1)).expect("it was started");
//! let mut view = node.watch();
//! view.wait_for(|view| view.leader.is_some()).await?;
//! let session = node.open_session().await?;
//! let applied = session.propose(node, "hello").await?;
//! assert_eq!(applied.response, b"5");
//!
//! // Whichever node is asked, its machine then shows everything that was acknowledged by now.
//! let other = cluster.handle(NodeId(2)).expect("it was started");
//! other.read(ReadLevel::ReadIndex).await?;
//! assert_eq!(counters[1].0.load(Ordering::Relaxed), 5);
//!
//! cluster.stop_all().await;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! # })?;
//! # Ok::<_, Box<dyn std::error::Error>>(())
//! ```
//!
//! # Exactly once
//!
//! A command that was proposed with an unknown outcome may have been applied. [`Session`] numbers
//! its commands, and a layer before the machine, deterministic and part of every snapshot, applies
//! each number once. What it remembers is bounded by [`SessionLimits`] and forgotten by the position
//! in the log, so by every node at the same entry; whoever comes back too late is told so.
//!
//! # Nothing grows without a bound
//!
//! Queues have the lengths of [`Limits`] and [`net::NetLimits`]. Bytes are counted as well: of commands while
//! they wait to be proposed, are on their way to the machine, from the disk, or to a peer behind a write;
//! and of packets that wait to leave. What peers can have a node hold before its owner takes it in is
//! three times [`inbox_bytes`](net::NetLimits::inbox_bytes) (packets, letters, long frames on their way),
//! a MiB and a little for each of the [`connections`](net::NetLimits::connections), and three states of
//! [`max_snapshot`](net::NetLimits::max_snapshot). The log that is not committed is bounded by
//! [`Params::max_uncommitted`](quorate_spec::Params::max_uncommitted), and what was applied by the next
//! snapshot, of which one at a time is on its way to the disk. What does not fit is refused as
//! [`ProposeError::Overloaded`], and nothing has happened then.
//!
//! # What is measured
//!
//! [`Handle::metrics`] renders what Prometheus reads, all of it with the label `node`:
//!
//! * `quorate_role`, `quorate_term`, `quorate_index` (last, durable, committed, applied),
//!   `quorate_lag_entries` (commit, apply), `quorate_lease_left_seconds`.
//! * `quorate_queued` by queue: proposals, reads, forwarded proposals, packets that have arrived, writes,
//!   messages held for a write, proposals waiting for a commit, snapshots under way;
//!   `quorate_proposal_bytes` and `quorate_inbox_bytes`.
//! * Histograms: `quorate_commit_seconds`, `quorate_write_seconds` (from issuing a write until it is
//!   durable), and `quorate_sync_seconds` (writing one group of writes to the disk and syncing it, which
//!   is nearly all the sync).
//! * By peer: `quorate_peer_queued` and `quorate_peer_queued_bytes`, what waits to leave;
//!   `quorate_transfer_moved_bytes` of `quorate_transfer_whole_bytes`, of a snapshot that is sent to it
//!   (`direction="to"`) or comes from it (`"from"`), for as long as it is on its way.
//! * `quorate_snapshot_bytes`, `quorate_snapshots_total`, `quorate_snapshots_failed_total`, of the node's
//!   own machine.
//! * `quorate_changes_of_role_total`, `quorate_dropped_messages_total`, `quorate_pauses_total`,
//!   `quorate_longest_pause_seconds`, `quorate_longest_step_seconds`.
//!
//! In `tracing` there is a span for each `node`, `open` (a directory), `connection`, `transfer` (of a
//! snapshot, at both ends), `snapshot` (that is written), `change_members` and `transfer_leadership`;
//! and one for each `step` of the protocol at the level TRACE, which costs nothing where nobody asks.
//!
//! # Where to look
//!
//! * [`Cluster`]: nodes in one process, to start, kill, restart and cut off from each other.
//! * [`Handle`]: propose, open a session, read, change the members, hand leadership over, follow the
//!   published view or the vitals, render the metrics, wait for a node to stop.
//! * [`Node::open`]: one node with its log on a disk and the others over TCP, in one call.
//! * [`StateMachine`]: what is replicated. [`Builder`]: other parameters, and other parts.
//! * [`Params::with_lease`](quorate_spec::Params::with_lease): reads that ask nobody.
//! * [`DiskStorage`]: a log on a real disk; [`storage::conformance`] checks one of your own.
//! * [`net::TcpTransport`]: nodes in processes of their own, over TCP and TLS.
//! * [`node::start`]: one node on a storage, a transport, a clock and a machine of your own.

mod apply;
pub mod builder;
mod changes;
pub mod clock;
pub mod cluster;
pub mod disk;
mod driver;
pub mod errors;
pub mod exchange;
mod fetches;
pub mod forward;
pub mod handle;
pub mod inbox;
#[cfg(any(test, fuzzing))]
#[doc(hidden)]
pub mod laws;
mod limits;
mod lock;
pub mod machine;
pub mod memory;
mod metrics;
pub mod net;
pub mod network;
pub mod node;
mod observe;
pub mod open;
mod order;
mod outbox;
mod pending;
mod random;
mod reads;
pub mod record;
pub mod session;
mod sessions;
mod setting;
#[cfg(test)]
mod sim;
mod snapshots;
pub mod state;
pub mod storage;
pub mod traffic;
mod transfers;
pub mod transport;
pub mod vitals;

pub use builder::{Builder, Wire};
pub use clock::{Clock, MonotonicClock};
pub use cluster::Cluster;
pub use disk::{DiskStorage, OpenError};
pub use errors::{CampaignError, ChangeError, ProposeError, StopReason, Stopped};
pub use exchange::Exchange;
pub use forward::{Mail, Post};
pub use handle::{Handle, Status};
pub use inbox::{Inbox, InboxSender, inbox};
pub use limits::{Limits, LimitsError};
pub use machine::{Applied, Command, Response, StateMachine};
pub use memory::MemoryDisk;
pub use network::Network;
pub use node::{Options, RunningNode, StartError};
pub use open::{Begin, Node, NodeError, Site};
pub use reads::{ReadError, ReadLevel};
pub use record::{Content, MachineState, Payload, Record};
pub use session::{Numbered, Session};
pub use sessions::{SessionId, SessionLimits};
pub use state::StateBytes;
pub use storage::{Lookup, Progress, Storage, StorageError, Stretch, Syncs};
pub use traffic::{Moved, PeerTraffic, Traffic};
pub use transfers::TransferError;
pub use transport::{Packet, Transport};
pub use vitals::{Vitals, VitalsWatch};
