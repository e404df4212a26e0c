//! What is remembered of sessions: a function of the log alone, so it is the same on every node.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use quorate_spec::Index;

use super::{Name, SessionId, SessionLimits};
use crate::handle::ProposeError;
use crate::machine::Response;

/// All sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct Table {
    limits: SessionLimits,
    sessions: BTreeMap<SessionId, Arc<Memory>>,
    /// Who used its session when, by the position in the log: the first goes where there are too
    /// many. An entry uses one session at most.
    used: BTreeMap<Index, SessionId>,
}

/// What is remembered of one.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Memory {
    used: Index,
    /// The client waits for none of the commands before this one.
    open_from: u64,
    /// What was answered to the others; nothing yet for one that the machine is about to apply.
    responses: BTreeMap<u64, Option<Response>>,
}

/// What is to be done with a named command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Verdict {
    /// It is new: apply it, and say what the machine answered.
    Apply,
    /// It was applied, and this was the answer.
    Answer(Response),
    /// It is the same as a command before it that is about to be applied.
    Soon,
    /// It is not applied.
    Refuse(ProposeError),
}

impl Table {
    pub(super) fn new(limits: SessionLimits) -> Table {
        Table { limits, sessions: BTreeMap::new(), used: BTreeMap::new() }
    }

    pub(super) fn limits(&self) -> SessionLimits {
        self.limits
    }

    /// The entry at `at` opens a session, which is named by it. The one that was used longest ago
    /// makes room for it.
    pub(super) fn open(&mut self, at: Index) {
        while self.sessions.len() >= self.limits.sessions.max(1) {
            let Some((_, oldest)) = self.used.pop_first() else { break };
            self.sessions.remove(&oldest);
        }
        let memory = Memory { used: at, open_from: 0, responses: BTreeMap::new() };
        self.sessions.insert(SessionId(at.0), Arc::new(memory));
        self.used.insert(at, SessionId(at.0));
    }

    /// The session has ended.
    pub(super) fn close(&mut self, session: SessionId) {
        if let Some(memory) = self.sessions.remove(&session) {
            self.used.remove(&memory.used);
        }
    }

    /// The entry at `at` is a command of this name.
    pub(super) fn admit(&mut self, at: Index, name: Name) -> Verdict {
        let Some(memory) = self.sessions.get_mut(&name.session) else {
            return Verdict::Refuse(ProposeError::SessionExpired);
        };
        // A view of the table that is being written out keeps what it has seen.
        let memory = Arc::make_mut(memory);
        self.used.remove(&memory.used);
        self.used.insert(at, name.session);
        memory.used = at;
        if name.open_from > memory.open_from {
            memory.open_from = name.open_from;
            memory.responses = memory.responses.split_off(&name.open_from);
        }
        if name.serial < memory.open_from {
            return Verdict::Refuse(ProposeError::Withdrawn);
        }
        match memory.responses.get(&name.serial) {
            Some(Some(response)) => Verdict::Answer(response.clone()),
            Some(None) => Verdict::Soon,
            None if memory.responses.len() >= self.limits.open_commands.max(1) => {
                Verdict::Refuse(ProposeError::TooManyOpen)
            }
            None => {
                memory.responses.insert(name.serial, None);
                Verdict::Apply
            }
        }
    }

    /// The machine has answered a command that was to be applied.
    pub(super) fn answered(&mut self, name: Name, response: &Response) {
        // The session may have gone since, and the client may have gone on.
        let memory = self.sessions.get_mut(&name.session).map(Arc::make_mut);
        if let Some(open) = memory.and_then(|memory| memory.responses.get_mut(&name.serial)) {
            *open = Some(response.clone());
        }
    }

    /// Writes everything out: numbers of eight bytes, and responses after their lengths.
    pub(super) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        let mut put = |number: u64| out.write_all(&number.to_le_bytes());
        put(FORMAT)?;
        put(self.limits.sessions as u64)?;
        put(self.limits.open_commands as u64)?;
        put(self.sessions.len() as u64)?;
        for (session, memory) in &self.sessions {
            let mut put = |number: u64| out.write_all(&number.to_le_bytes());
            put(session.0)?;
            put(memory.used.0)?;
            put(memory.open_from)?;
            put(memory.responses.len() as u64)?;
            for (serial, response) in &memory.responses {
                // Between two batches every command has its answer.
                let response = response.as_deref().unwrap_or_default();
                out.write_all(&serial.to_le_bytes())?;
                out.write_all(&(response.len() as u64).to_le_bytes())?;
                out.write_all(response)?;
            }
        }
        Ok(())
    }

    /// The table that was written.
    ///
    /// # Errors
    /// The bytes are not one, or it was kept under other limits, under which other sessions expire.
    pub(super) fn read(limits: SessionLimits, from: &mut dyn Read) -> io::Result<Table> {
        if number(from)? != FORMAT {
            return Err(io::Error::other("this is no snapshot of this version"));
        }
        let theirs = (number(from)?, number(from)?);
        if theirs != (limits.sessions as u64, limits.open_commands as u64) {
            return Err(io::Error::other(format!(
                "the snapshot was taken with limits of {} sessions and {} open commands, and this \
                 node has {} and {}: give all nodes the same",
                theirs.0, theirs.1, limits.sessions, limits.open_commands
            )));
        }
        let mut table = Table::new(limits);
        for _ in 0..number(from)? {
            let (session, used) = (SessionId(number(from)?), Index(number(from)?));
            let open_from = number(from)?;
            let mut responses = BTreeMap::new();
            for _ in 0..number(from)? {
                responses.insert(number(from)?, Some(bytes(from)?));
            }
            table.used.insert(used, session);
            table.sessions.insert(session, Arc::new(Memory { used, open_from, responses }));
        }
        Ok(table)
    }
}

/// What broken layers do in tests.
#[cfg(test)]
impl Table {
    /// Every session is there, and nothing of what was answered.
    pub(super) fn forget_answers(&mut self) {
        let sessions = self.sessions.values_mut().map(Arc::make_mut);
        sessions.for_each(|memory| memory.responses.clear());
    }

    /// The session was never used since it was opened.
    pub(super) fn forget_use(&mut self, session: SessionId) {
        if let Some(memory) = self.sessions.get_mut(&session).map(Arc::make_mut) {
            self.used.remove(&memory.used);
            memory.used = Index(session.0);
            self.used.insert(memory.used, session);
        }
    }
}

/// The first number of a table, with a version in its last byte.
const FORMAT: u64 = u64::from_le_bytes(*b"QSESSIO1");

fn number(from: &mut dyn Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn bytes(from: &mut dyn Read) -> io::Result<Vec<u8>> {
    let length = number(from)?;
    let mut bytes = Vec::new();
    // A length that is not true asks for no more memory than there are bytes.
    from.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
