//! What holds of every byte that a stranger may send, beside the packets, and of the sessions in a
//! snapshot: a fuzzer and `quickcheck` try the same laws. Nobody else has a use for them.
//!
//! Each reads the bytes, says whether they mean something, and panics where it is broken. Bytes that mean
//! nothing are refused by every reader, which breaks none.

use std::io;

use quorate_spec::{EntryId, Index, Term};

use crate::forward::letter::Letter;
use crate::machine::{Command, Response, StateMachine};
use crate::net::Identity;
use crate::net::greeting::{Greeting, LENGTH};
use crate::sessions::envelope::{self, Request};
use crate::sessions::table::Table;
use crate::sessions::{Name, SessionId, SessionLimits, Sessions};

/// A greeting is read as it would be written, and judged, whatever is in the bytes that mean nothing.
///
/// # Panics
/// The law is broken.
pub fn greeting(bytes: &[u8]) -> bool {
    let mut whole = [0; LENGTH];
    let given = bytes.len().min(LENGTH);
    whole[..given].copy_from_slice(&bytes[..given]);
    // As it is, too.
    let _ = Greeting::decode(&whole);
    whole[..8].copy_from_slice(b"QUORATE\n");
    let checksum = crc32c::crc32c(&whole[..LENGTH - 4]);
    whole[LENGTH - 4..].copy_from_slice(&checksum.to_le_bytes());
    let Ok(greeting) = Greeting::decode(&whole) else { return false };
    assert_eq!(Greeting::decode(&greeting.encode()).as_ref(), Ok(&greeting));
    let me = Identity { id: greeting.to, ..greeting.sender.clone() };
    let same = greeting.judge(&me).is_ok();
    assert!(!same || greeting.sender.id != me.id, "nobody talks to itself");
    true
}

/// A letter is read as it would be written.
///
/// # Panics
/// The law is broken.
pub fn letter(bytes: &[u8]) -> bool {
    let Some(letter) = Letter::from_bytes(bytes) else { return false };
    assert_eq!(Letter::from_bytes(&letter.to_bytes()), Some(letter));
    true
}

/// An entry of the log, which a letter may have brought, is written as it was read; and a machine
/// behind its sessions goes on after it.
///
/// # Panics
/// The law is broken.
pub fn entry(bytes: &[u8]) -> bool {
    let request = envelope::read(bytes);
    let is_read = request.is_some();
    if let Some(request) = request {
        let written = match request {
            Request::Plain(command) => envelope::plain(command.to_vec()),
            Request::Named(name, command) => envelope::named(name, command.to_vec()),
            Request::Open => envelope::open(),
            Request::Close(session) => envelope::close(session),
        };
        assert_eq!(&written[..], bytes);
    }
    assert!(envelope::command_length(bytes) <= bytes.len());
    let mut machine = Sessions::new(Nothing, SessionLimits::default());
    let opened = envelope::open();
    let id = |index| EntryId { term: Term(1), index: Index(index) };
    let batch = [(id(1), &opened[..]), (id(2), bytes), (id(3), bytes)];
    assert_eq!(machine.apply(&batch).map(|outcomes| outcomes.len()), Ok(batch.len()));
    is_read
}

/// The sessions of a snapshot are read as they would be written, and go on.
///
/// # Panics
/// The law is broken.
pub fn sessions(bytes: &[u8]) -> bool {
    let limits = SessionLimits { sessions: 3, open_commands: 2, answer_bytes: 2 };
    let fresh = written(&Table::new(limits));
    let mut is_read = false;
    // The bytes as they are, and after a beginning without which nothing is read.
    for bytes in [bytes.to_vec(), [&fresh[..fresh.len() - 8], bytes].concat()] {
        let Ok(mut table) = Table::read(limits, &mut &bytes[..]) else { continue };
        is_read = true;
        let again = Table::read(limits, &mut &written(&table)[..]);
        assert!(again.is_ok_and(|again| again == table), "it is read as it would be written");
        let next = table.next_index();
        for at in 0..8 {
            let at = Index(next.0.saturating_add(at));
            table.open(at);
            let name = Name { session: SessionId(at.0), serial: 0, open_from: 0 };
            let _ = table.admit(Index(at.0.saturating_add(1)), name);
        }
    }
    is_read
}

fn written(table: &Table) -> Vec<u8> {
    let mut bytes = Vec::new();
    // Writing to memory does not fail.
    let _ = table.write(&mut bytes);
    bytes
}

/// A machine without a state.
struct Nothing;

impl StateMachine for Nothing {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn io::Write) -> io::Result<()> + Send + 'static {
        |_: &mut dyn io::Write| Ok(())
    }

    fn restore(&mut self, _: &mut dyn io::Read) -> io::Result<()> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::{Arbitrary, Gen, QuickCheck};

    use super::*;

    /// Bytes that mean something more often than noise does: small numbers in eight bytes, and noise.
    #[derive(Clone, Debug)]
    struct Bytes(Vec<u8>);

    impl Arbitrary for Bytes {
        fn arbitrary(g: &mut Gen) -> Bytes {
            let mut bytes = Vec::new();
            for _ in 0..u8::arbitrary(g) % 12 {
                match u8::arbitrary(g) % 4 {
                    0 => bytes.push(u8::arbitrary(g) % 16),
                    1 => bytes.extend(Vec::<u8>::arbitrary(g)),
                    _ => bytes.extend((u64::from(u8::arbitrary(g)) % 5).to_le_bytes()),
                }
            }
            // A kind at the end, as an entry has one; a letter has its own at the beginning.
            if bool::arbitrary(g) {
                bytes.push(u8::arbitrary(g) % 5);
            }
            Bytes(bytes)
        }

        fn shrink(&self) -> Box<dyn Iterator<Item = Bytes>> {
            Box::new(self.0.shrink().map(Bytes))
        }
    }

    #[test]
    fn hostile_bytes_break_no_law() {
        fn law(bytes: Bytes) -> bool {
            for law in [greeting, letter, entry, sessions] {
                law(&bytes.0);
            }
            true
        }
        QuickCheck::new().tests(5_000).quickcheck(law as fn(Bytes) -> bool);
    }

    #[test]
    fn the_bytes_that_are_tried_come_through_to_where_a_law_is_decided() {
        let sender = crate::net::Identity {
            cluster: crate::net::ClusterId::new("a").expect("it is a label"),
            id: quorate_spec::NodeId(1),
            incarnation: crate::net::Incarnation(7),
            directory: None,
        };
        let purpose = crate::net::greeting::Purpose::Messages;
        assert!(greeting(&Greeting::new(&sender, quorate_spec::NodeId(2), purpose).encode()));
        assert!(letter(&Letter::Forward { ticket: 7, entry: [1].into() }.to_bytes()));
        for bytes in [&b"go\x00"[..], b"\x02", b"12345678\x03"] {
            assert!(entry(bytes), "{bytes:?}");
        }
        // Sessions with an id and a last use, and nothing in them.
        let table = |sessions: &[(u64, u64)]| {
            let numbers = sessions.iter().flat_map(|(id, used)| [*id, *used, 0, 0]);
            let numbers = std::iter::once(sessions.len() as u64).chain(numbers);
            numbers.flat_map(u64::to_le_bytes).collect::<Vec<_>>()
        };
        assert!(sessions(&table(&[(1, 5)])));
        assert!(!sessions(&table(&[(1, 5), (2, 5)])), "two that were used last by the same entry");
        assert!(!sessions(&table(&[(1, 5), (1, 6)])), "one that is there twice");
    }
}
