//! Exactly-once (thesis §6.3): a deterministic layer between the log and the user's machine, which
//! applies each command of a session once, however often it was proposed.
//!
//! A session is named by the entry that opened it, and its commands are numbered by their client.
//! What is remembered is part of every snapshot, and is forgotten by the position in the log, never
//! by a clock: so every node remembers the same. A client whose session was forgotten is told so;
//! nothing of it is applied again.

pub(crate) mod envelope;
pub(crate) mod table;
#[cfg(test)]
mod tests;

use std::fmt;
use std::io::{self, Read, Write};

use quorate_spec::EntryId;

use self::envelope::{Request, read};
pub(crate) use self::envelope::{close, command_length, named, open, plain};
use self::table::{Table, Verdict};
use crate::errors::ProposeError;
use crate::machine::{Command, Response, StateMachine};

/// The name of a session: the index of the entry that opened it, so nobody has it twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct SessionId(pub u64);

/// How much is remembered of sessions: the product of the three is the most memory that they take.
/// **The same on every node**, for it decides which sessions
/// expire: a node that gets a snapshot which was taken under other limits stops and says so.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SessionLimits {
    /// How many sessions there are at most. One more makes the session expire whose last command is
    /// furthest back in the log.
    pub sessions: usize,
    /// Commands of one session whose answers are kept because their client may ask again.
    pub open_commands: usize,
    /// Bytes of an answer that is kept. A longer one reaches a client that hears it the first time.
    pub answer_bytes: usize,
}

impl Default for SessionLimits {
    fn default() -> SessionLimits {
        SessionLimits { sessions: 4_096, open_commands: 64, answer_bytes: 4_096 }
    }
}

/// The name of a command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Name {
    pub(crate) session: SessionId,
    pub(crate) serial: u64,
    /// The client waits for no command before this one: their answers may be forgotten.
    pub(crate) open_from: u64,
}

/// What has become of a command.
pub(crate) type Outcome = Result<Response, ProposeError>;

/// A machine that did not answer each command.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct WrongCount {
    commands: usize,
    responses: usize,
}

impl fmt::Display for WrongCount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let WrongCount { commands, responses } = self;
        write!(f, "it gave {responses} responses to {commands} commands: `apply` gives one to each")
    }
}

/// The user's machine behind its sessions.
#[derive(Debug)]
pub(crate) struct Sessions<M> {
    table: Table,
    machine: M,
}

/// The commands of a batch that the machine has not seen yet, and whose they are.
#[derive(Default)]
struct Fresh<'a> {
    commands: Vec<Command<'a>>,
    places: Vec<(usize, Option<Name>)>,
}

impl<M: StateMachine> Sessions<M> {
    pub(crate) fn new(machine: M, limits: SessionLimits) -> Sessions<M> {
        Sessions { table: Table::new(limits), machine }
    }

    /// Applies the entries, of which each is given its outcome: as one after the other would be.
    pub(crate) fn apply(&mut self, batch: &[(EntryId, &[u8])]) -> Result<Vec<Outcome>, WrongCount> {
        let mut outcomes: Vec<Outcome> = batch.iter().map(|_| Ok(Vec::new())).collect();
        let mut fresh = Fresh::default();
        for (place, (id, bytes)) in batch.iter().enumerate() {
            match read(bytes) {
                None => outcomes[place] = Err(ProposeError::Unreadable),
                Some(Request::Plain(bytes)) => fresh.push(place, None, *id, bytes),
                Some(Request::Open) => self.table.open(id.index),
                Some(Request::Close(session)) => self.table.close(session),
                Some(Request::Named(name, bytes)) => {
                    let mut verdict = self.table.admit(id.index, name);
                    if verdict == Verdict::Soon {
                        self.flush(&mut fresh, &mut outcomes)?;
                        verdict = self.table.admit(id.index, name);
                    }
                    match verdict {
                        Verdict::Apply => fresh.push(place, Some(name), *id, bytes),
                        Verdict::Answer(response) => outcomes[place] = Ok(response),
                        Verdict::Refuse(error) => outcomes[place] = Err(error),
                        // All answers have just been given.
                        Verdict::Soon => outcomes[place] = Err(ProposeError::OutcomeUnknown),
                    }
                }
            }
        }
        self.flush(&mut fresh, &mut outcomes)?;
        Ok(outcomes)
    }

    /// Has the machine apply what it has not seen yet.
    fn flush(&mut self, fresh: &mut Fresh<'_>, outcomes: &mut [Outcome]) -> Result<(), WrongCount> {
        if fresh.commands.is_empty() {
            return Ok(());
        }
        let responses = self.machine.apply(&fresh.commands);
        if responses.len() != fresh.commands.len() {
            let (commands, responses) = (fresh.commands.len(), responses.len());
            return Err(WrongCount { commands, responses });
        }
        for ((place, name), response) in fresh.places.drain(..).zip(responses) {
            if let Some(name) = name {
                self.table.answered(name, &response);
            }
            outcomes[place] = Ok(response);
        }
        fresh.commands.clear();
        Ok(())
    }

    /// A view of the sessions and of the machine, to be written out elsewhere. It costs a pointer a
    /// session, beside what the machine's own view costs.
    pub(crate) fn snapshot(
        &self,
    ) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let (table, machine) = (self.table.clone(), self.machine.snapshot());
        move |out: &mut dyn Write| {
            table.write(out)?;
            machine(out)
        }
    }

    /// Takes over what such a view wrote.
    pub(crate) fn restore(&mut self, mut state: impl Read) -> io::Result<()> {
        self.table = Table::read(self.table.limits(), &mut state)?;
        self.machine.restore(&mut state)
    }
}

impl<'a> Fresh<'a> {
    fn push(&mut self, place: usize, name: Option<Name>, id: EntryId, bytes: &'a [u8]) {
        self.commands.push(Command { id, bytes });
        self.places.push((place, name));
    }
}
