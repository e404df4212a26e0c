//! The machine that simulated nodes replicate: it remembers everything.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex};

use quorate_spec::{EntryId, Index, NodeId, Term};

use super::boundary::Boundary;
use super::world::World;
use crate::lock::lock;
use crate::machine::{Command, Response, StateMachine};

/// What a machine has applied, in order.
pub(super) type Entries = Vec<(EntryId, Vec<u8>)>;

/// What one life of a machine has applied, for whoever looks.
#[derive(Clone, Default)]
pub(super) struct Tape(Arc<Mutex<Entries>>);

impl Tape {
    pub(super) fn read(&self) -> Entries {
        self.with(|entries| entries.clone())
    }

    /// Looks at it without a copy.
    pub(super) fn with<T>(&self, look: impl FnOnce(&mut Entries) -> T) -> T {
        look(&mut lock(&self.0))
    }
}

/// The machine of one life of a node.
pub(super) struct SimMachine {
    pub(super) world: Arc<World>,
    pub(super) id: NodeId,
    pub(super) life: u64,
    pub(super) tape: Tape,
}

/// It answers how many commands it has applied, the one that it answers included.
impl StateMachine for SimMachine {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        if !self.world.passes(self.id, self.life, Boundary::Applying) {
            return commands.iter().map(|_| Vec::new()).collect();
        }
        self.world.applies(self.id, commands.iter().map(|command| command.id));
        let answers = self.tape.with(|entries| {
            let one = |command: &Command<'_>| {
                entries.push((command.id, command.bytes.to_vec()));
                entries.len().to_string().into_bytes()
            };
            commands.iter().map(one).collect()
        });
        self.world.passes(self.id, self.life, Boundary::Applied);
        answers
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let entries = self.tape.read();
        move |out: &mut dyn Write| {
            entries.iter().try_for_each(|(id, command)| {
                writeln!(out, "{} {} {}", id.term.0, id.index.0, String::from_utf8_lossy(command))
            })
        }
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        let mut text = String::new();
        state.read_to_string(&mut text)?;
        let entry = |line: &str| {
            let mut parts = line.splitn(3, ' ');
            let mut number = || parts.next()?.parse().ok();
            let id = EntryId { term: Term(number()?), index: Index(number()?) };
            Some((id, parts.next()?.as_bytes().to_vec()))
        };
        let restored: Option<Entries> = text.lines().map(entry).collect();
        let restored = restored.ok_or_else(|| io::Error::other("this is no list of commands"))?;
        self.tape.with(|entries| *entries = restored);
        Ok(())
    }
}
