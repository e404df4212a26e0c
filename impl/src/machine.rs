//! The user's state machine: what a cluster replicates.

use std::io::{self, Read, Write};

use quorate_spec::EntryId;

/// A committed command on its way to the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Command<'a> {
    /// The entry that it is: the same on every node, and greater than that of every command before.
    pub id: EntryId,
    /// What a client proposed.
    pub bytes: &'a [u8],
}

/// What a machine answers to a command, in bytes: they travel to the client's node, and a session
/// keeps them for a client that asks again.
pub type Response = Vec<u8>;

/// What has become of a command that was committed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Applied {
    /// The entry that it became. Where a session had applied it before, the entry of the repetition.
    pub entry: EntryId,
    /// What the machine answered.
    pub response: Response,
}

/// What a cluster replicates: every node gives the same commands, in the same order, to its own.
/// It has to be deterministic: no clock, no randomness, no order of a `HashMap`.
///
/// Readers do not go through this trait. A machine keeps its state behind a handle of its own, such
/// as an `Arc<RwLock<_>>`, and whoever reads awaits [`Handle::read`](crate::Handle::read) first: so a
/// read never waits behind commands, and the types of a node do not name its machine.
pub trait StateMachine: Send + 'static {
    /// Applies committed commands and answers each: one response a command, in their order. Where
    /// the batch ends is different from node to node and must not matter.
    ///
    /// A command is given once in the life of a machine, and again from its snapshot on when a
    /// node restarts with a new one. This may take its time: it has a thread of its own, and
    /// the node goes on meanwhile.
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response>;

    /// A view of the present state, taken at once, whatever the size of the state: a persistent
    /// map to clone, a snapshot of a database to hold. The function that is returned writes the
    /// view out, on another thread, while more commands are applied here.
    ///
    /// An error gives this snapshot up; another one is taken later.
    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static;

    /// Takes over a state that the machine of some node of the cluster wrote: when a node starts
    /// that has taken a snapshot, or when it has fallen behind the leader's. Nothing of the state
    /// before stays.
    ///
    /// # Errors
    /// The bytes are no such state: the node stops, and nothing is applied to half a state.
    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()>;
}
