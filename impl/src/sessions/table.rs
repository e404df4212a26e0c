//! What is remembered of sessions: a function of the log alone, so it is the same on every node.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::Arc;

use quorate_spec::Index;

use super::{Name, SessionId, SessionLimits};
use crate::errors::ProposeError;
use crate::machine::Response;

/// All sessions.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Table {
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
    answers: BTreeMap<u64, Answer>,
}

/// What was answered to a command that its client may ask for again.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Answer {
    /// The machine is about to apply it.
    Soon,
    Kept(Response),
    TooLong,
}

/// What is to be done with a named command.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Verdict {
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
    pub(crate) fn new(limits: SessionLimits) -> Table {
        Table { limits, sessions: BTreeMap::new(), used: BTreeMap::new() }
    }

    pub(crate) fn limits(&self) -> SessionLimits {
        self.limits
    }

    /// The entry at `at` opens a session, which is named by it. The one that was used longest ago
    /// makes room for it.
    pub(crate) fn open(&mut self, at: Index) {
        while self.sessions.len() >= self.limits.sessions.max(1) {
            let Some((_, oldest)) = self.used.pop_first() else { break };
            self.sessions.remove(&oldest);
        }
        let memory = Memory { used: at, open_from: 0, answers: BTreeMap::new() };
        self.sessions.insert(SessionId(at.0), Arc::new(memory));
        self.used.insert(at, SessionId(at.0));
    }

    /// The session has ended.
    pub(crate) fn close(&mut self, session: SessionId) {
        if let Some(memory) = self.sessions.remove(&session) {
            self.used.remove(&memory.used);
        }
    }

    /// The entry at `at` is a command of this name.
    pub(crate) fn admit(&mut self, at: Index, name: Name) -> Verdict {
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
            memory.answers = memory.answers.split_off(&name.open_from);
        }
        if name.serial < memory.open_from {
            return Verdict::Refuse(ProposeError::Withdrawn);
        }
        match memory.answers.get(&name.serial) {
            Some(Answer::Kept(response)) => Verdict::Answer(response.clone()),
            Some(Answer::TooLong) => Verdict::Refuse(ProposeError::AnswerNotKept),
            Some(Answer::Soon) => Verdict::Soon,
            None if memory.answers.len() >= self.limits.open_commands.max(1) => {
                Verdict::Refuse(ProposeError::TooManyOpen)
            }
            None => {
                memory.answers.insert(name.serial, Answer::Soon);
                Verdict::Apply
            }
        }
    }

    /// The machine has answered a command that was to be applied.
    pub(crate) fn answered(&mut self, name: Name, response: &Response) {
        // The session may have gone since, and the client may have gone on.
        let memory = self.sessions.get_mut(&name.session).map(Arc::make_mut);
        if let Some(answer) = memory.and_then(|memory| memory.answers.get_mut(&name.serial)) {
            *answer = match response.len() <= self.limits.answer_bytes {
                true => Answer::Kept(response.clone()),
                false => Answer::TooLong,
            };
        }
    }

    /// Writes everything out: numbers of eight bytes, and responses after their lengths.
    pub(crate) fn write(&self, out: &mut dyn Write) -> io::Result<()> {
        put(out, FORMAT)?;
        numbers(self.limits).into_iter().try_for_each(|limit| put(out, limit))?;
        put(out, self.sessions.len() as u64)?;
        for (session, memory) in &self.sessions {
            put(out, session.0)?;
            put(out, memory.used.0)?;
            put(out, memory.open_from)?;
            put(out, memory.answers.len() as u64)?;
            for (serial, answer) in &memory.answers {
                put(out, *serial)?;
                match answer {
                    Answer::Kept(response) => {
                        put(out, response.len() as u64)?;
                        out.write_all(response)?;
                    }
                    // Between two batches every command has its answer.
                    Answer::TooLong | Answer::Soon => put(out, TOO_LONG)?,
                }
            }
        }
        Ok(())
    }

    /// The table that was written.
    ///
    /// # Errors
    /// The bytes are not one, or it was kept under other limits, under which other sessions expire.
    pub(crate) fn read(limits: SessionLimits, from: &mut dyn Read) -> io::Result<Table> {
        if number(from)? != FORMAT {
            return Err(io::Error::other("this is no snapshot of this version"));
        }
        let theirs = [number(from)?, number(from)?, number(from)?];
        if theirs != numbers(limits) {
            return Err(io::Error::other(format!(
                "the snapshot was taken with the limits {theirs:?} of sessions, open commands and bytes \
                 of an answer, and this node has {:?}: give all nodes the same",
                numbers(limits)
            )));
        }
        let mut table = Table::new(limits);
        for _ in 0..number(from)? {
            let (session, used) = (SessionId(number(from)?), Index(number(from)?));
            let open_from = number(from)?;
            let mut answers = BTreeMap::new();
            for _ in 0..number(from)? {
                let (serial, length) = (number(from)?, number(from)?);
                let answer = match length {
                    TOO_LONG => Answer::TooLong,
                    length => Answer::Kept(bytes(from, length)?),
                };
                answers.insert(serial, answer);
            }
            let memory = Arc::new(Memory { used, open_from, answers });
            let before = (table.used.insert(used, session), table.sessions.insert(session, memory));
            if before != (None, None) {
                return Err(io::Error::other(
                    "the sessions of this snapshot contradict each other",
                ));
            }
        }
        Ok(table)
    }
}

/// What the laws ask: see [`laws`](crate::laws).
#[cfg(any(test, fuzzing))]
impl Table {
    /// The first entry that has used no session.
    pub(crate) fn next_index(&self) -> Index {
        self.used.last_key_value().map_or(Index(1), |(last, _)| last.next())
    }
}

/// What broken layers do in tests.
#[cfg(test)]
impl Table {
    /// Every session is there, and nothing of what was answered.
    pub(crate) fn forget_answers(&mut self) {
        let sessions = self.sessions.values_mut().map(Arc::make_mut);
        sessions.for_each(|memory| memory.answers.clear());
    }

    /// The session was never used since it was opened.
    pub(crate) fn forget_use(&mut self, session: SessionId) {
        if let Some(memory) = self.sessions.get_mut(&session).map(Arc::make_mut) {
            self.used.remove(&memory.used);
            memory.used = Index(session.0);
            self.used.insert(memory.used, session);
        }
    }
}

/// The first number of a table, with a version in its last byte.
const FORMAT: u64 = u64::from_le_bytes(*b"QSESSIO1");

/// Instead of the length of an answer that was not kept.
const TOO_LONG: u64 = u64::MAX;

/// The limits as numbers of eight bytes.
fn numbers(limits: SessionLimits) -> [u64; 3] {
    let SessionLimits { sessions, open_commands, answer_bytes } = limits;
    [sessions as u64, open_commands as u64, answer_bytes as u64]
}

fn put(out: &mut dyn Write, number: u64) -> io::Result<()> {
    out.write_all(&number.to_le_bytes())
}

fn number(from: &mut dyn Read) -> io::Result<u64> {
    let mut bytes = [0; 8];
    from.read_exact(&mut bytes)?;
    Ok(u64::from_le_bytes(bytes))
}

fn bytes(from: &mut dyn Read, length: u64) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    // A length that is not true asks for no more memory than there are bytes.
    from.take(length).read_to_end(&mut bytes)?;
    match bytes.len() as u64 == length {
        true => Ok(bytes),
        false => Err(io::ErrorKind::UnexpectedEof.into()),
    }
}
