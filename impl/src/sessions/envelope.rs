//! How a command is written into the log, with what its session needs to know. What is added comes
//! last, its kind as the very last byte, so that a command is read in place.

use super::{Name, SessionId};
use crate::record::Payload;

/// What an entry of the log asks of the sessions and of the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request<'a> {
    /// Apply this, and do not look whether it was applied before.
    Plain(&'a [u8]),
    /// Apply this, unless it was applied under this name before.
    Named(Name, &'a [u8]),
    /// Open a session.
    Open,
    /// Forget this session.
    Close(SessionId),
}

const PLAIN: u8 = 0;
const NAMED: u8 = 1;
const OPEN: u8 = 2;
const CLOSE: u8 = 3;

/// A command without a session.
pub(crate) fn plain(command: Vec<u8>) -> Payload {
    ended(command, &[], PLAIN)
}

/// A command of a session.
pub(crate) fn named(name: Name, command: Vec<u8>) -> Payload {
    let Name { session, serial, open_from } = name;
    ended(command, &[session.0, serial, open_from], NAMED)
}

/// The request for a session.
pub(crate) fn open() -> Payload {
    ended(Vec::new(), &[], OPEN)
}

/// The end of a session.
pub(crate) fn close(session: SessionId) -> Payload {
    ended(Vec::new(), &[session.0], CLOSE)
}

fn ended(mut command: Vec<u8>, numbers: &[u64], kind: u8) -> Payload {
    command.reserve_exact(numbers.len() * 8 + 1);
    numbers.iter().for_each(|number| command.extend_from_slice(&number.to_le_bytes()));
    command.push(kind);
    command.into()
}

/// How long the command itself is in the bytes of an entry.
pub(crate) fn command_length(bytes: &[u8]) -> usize {
    match read(bytes) {
        Some(Request::Plain(command) | Request::Named(_, command)) => command.len(),
        Some(Request::Open | Request::Close(_)) => 0,
        None => bytes.len(),
    }
}

/// What the bytes of an entry ask for; none if this version does not know it.
pub(crate) fn read(bytes: &[u8]) -> Option<Request<'_>> {
    let (kind, rest) = bytes.split_last()?;
    match *kind {
        PLAIN => Some(Request::Plain(rest)),
        NAMED => {
            let (rest, open_from) = number(rest)?;
            let (rest, serial) = number(rest)?;
            let (command, session) = number(rest)?;
            let name = Name { session: SessionId(session), serial, open_from };
            Some(Request::Named(name, command))
        }
        OPEN if rest.is_empty() => Some(Request::Open),
        CLOSE => {
            let (rest, session) = number(rest)?;
            rest.is_empty().then_some(Request::Close(SessionId(session)))
        }
        _ => None,
    }
}

/// The last number of the bytes, and what comes before it.
fn number(bytes: &[u8]) -> Option<(&[u8], u64)> {
    let (rest, last) = bytes.split_last_chunk::<8>()?;
    Some((rest, u64::from_le_bytes(*last)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_read() {
        let name = Name { session: SessionId(7), serial: u64::MAX, open_from: 3 };
        assert_eq!(read(&plain(b"go".to_vec())), Some(Request::Plain(b"go")));
        assert_eq!(read(&named(name, b"go".to_vec())), Some(Request::Named(name, b"go")));
        assert_eq!(read(&open()), Some(Request::Open));
        assert_eq!(read(&close(SessionId(9))), Some(Request::Close(SessionId(9))));
    }

    #[test]
    fn anything_else_is_told_apart() {
        for bytes in
            [&b""[..], b"x\x02", b"1234567\x03", b"123456789\x03", b"12345678\x01", b"\x09"]
        {
            assert_eq!(read(bytes), None, "{bytes:?}");
        }
    }
}
