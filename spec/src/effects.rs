//! What goes into a step, and what comes out of it.

use alloc::vec::Vec;
use core::fmt;

use crate::configuration::Target;
use crate::durable::Write;
use crate::log::Snapshot;
use crate::message::{Envelope, Message};
use crate::read_view::ReadView;
use crate::refusal::Refusal;
use crate::role::Transition;
use crate::types::{EntryId, Index, NodeId, Token, WriteId};

/// Something that happens to a node.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum Input {
    /// Time has passed: whatever is due at the step's moment happens.
    Tick,
    /// A message has arrived.
    Receive(Envelope),
    /// Every write up to this one is durable. Reports may come out of order or be skipped.
    Persisted(WriteId),
    /// A client asks for this many commands to be appended.
    Propose {
        /// How many entries; their bytes stay with the driver.
        count: u64,
    },
    /// An operator asks for these members, whatever they are now: servers added, removed,
    /// replaced, promoted or demoted. The leader turns it into every entry that it takes, and so
    /// does a later leader (thesis §4.3). It has had its effect, or will, unless
    /// [`Effects::refused`] says why not.
    ChangeMembers(Target),
    /// A snapshot of the state after the entry at `index` was applied is complete and durable, and
    /// the node need not keep that entry and those before it (thesis §5.1). The driver keeps the
    /// snapshot before it until the write that this leads to is durable, too (rules S5, P8).
    SnapshotTaken {
        /// The last entry that the snapshot covers.
        index: Index,
    },
    /// Moving a snapshot to a peer has ended, well or badly. It is moved again if the peer has
    /// not acknowledged it by the next request.
    SnapshotReported {
        /// The peer.
        peer: NodeId,
        /// The last entry that the snapshot covers: a report about an older one says nothing of
        /// the present one (rule S9).
        index: Index,
    },
    /// An operator asks the node to campaign now. The promise not to disrupt still holds.
    Campaign,
    /// An operator asks the leader to hand its leadership over to this voter (thesis §3.10). It
    /// takes no proposals and holds no lease until that has ended, well or badly.
    TransferLeadership(NodeId),
    /// A client asks for a linearizable read (thesis §6.4), of the leader or of whoever follows it.
    /// [`Effects::reads`] answers it, once, now or later; else the node has stopped.
    Read(Token),
}

/// What one step asks of the driver. **The order of the fields is the order of the effects**: a
/// driver that performs them from the first to the last, and keeps each message in the
/// [`Gate`](crate::Gate) until its write is durable, keeps every promise of the protocol. A crash may
/// come between any two of them.
#[derive(Clone, PartialEq, Eq, Hash, Debug, Default)]
pub struct Effects {
    /// Before everything else: if this is set, safety is broken. The driver stops the node and
    /// performs nothing more.
    pub fatal: Option<Fatal>,
    /// First: put this write into the node's FIFO of writes. Nothing waits for it here.
    pub persist: Option<Persist>,
    /// Second: let readers see this view, before any message that would make the old one false
    /// leaves, and before any commit is acknowledged.
    pub publish: Option<ReadView>,
    /// Third: replies, each to leave when its write is durable. Requests are not here: the driver
    /// asks for them with [`Protocol::poll_transmit`](crate::Protocol::poll_transmit).
    pub send: Vec<Outgoing>,
    /// Fourth: this snapshot of the leader has taken the place of the log. The driver restores the
    /// machine from it, before anything that follows it is applied.
    pub install: Option<Snapshot>,
    /// Fifth: entries up to this index are committed and may be applied.
    pub commit: Option<Index>,
    /// Sixth: the entries that this step's proposal became, to be answered when applied.
    pub proposed: Option<Proposed>,
    /// Seventh: what has become of reads.
    pub reads: Vec<ReadAnswer>,
    /// Why the input, or a part of it, had no effect: for the person who asks.
    pub refused: Vec<Refusal>,
    /// The changes of role that the step made, in order, each a row of
    /// [`TRANSITIONS`](crate::role::TRANSITIONS): for the person who asks.
    pub changed: Vec<Transition>,
}

impl Effects {
    /// Forgets everything, keeping the allocations.
    pub fn clear(&mut self) {
        self.fatal = None;
        self.persist = None;
        self.publish = None;
        self.send.clear();
        self.install = None;
        self.commit = None;
        self.proposed = None;
        self.reads.clear();
        self.refused.clear();
        self.changed.clear();
    }
}

/// What honest servers with intact disks rule out: the node that sees it cannot go on.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Fatal {
    /// The log or the snapshot of the present term's leader contradicts an entry that this server
    /// knows to be committed (claim LeaderCompleteness). Nothing is overwritten, so CommittedPrefixStable holds.
    CommittedConflict(Index),
}

impl fmt::Display for Fatal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Fatal::CommittedConflict(index) => write!(
                f,
                "the leader's log contradicts the committed entry {index}: a disk has lost \
                 what it reported durable, or an identity was used twice; restore this node"
            ),
        }
    }
}

impl core::error::Error for Fatal {}

/// A numbered write: writes form one FIFO, each is atomic, and a crash keeps a prefix of them
/// that holds at least every write that was reported durable.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Persist {
    /// Its number: one more than the node's previous write.
    pub id: WriteId,
    /// What to write.
    pub write: Write,
}

/// A message with the write it has to wait for.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Outgoing {
    /// The write that has to be durable before the message leaves, or [`WriteId::NONE`].
    pub needs: WriteId,
    /// The receiver.
    pub to: NodeId,
    /// The message.
    pub message: Message,
}

/// The entries that a proposal became: `count` of them from `first` on, all of `first.term`.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Proposed {
    /// The first entry.
    pub first: EntryId,
    /// How many.
    pub count: u64,
}

/// What has become of a read.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ReadAnswer {
    /// The driver's name for it.
    pub token: Token,
    /// It may be served once this entry is applied (rule R4); or why it failed: it can be tried
    /// again, under another name.
    pub outcome: Result<Index, Refusal>,
}
