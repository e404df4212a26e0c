//! What nodes say to each other beside the protocol, in bytes: little-endian numbers, a kind first.

use quorate_spec::{EntryId, Index, NodeId, Term};

use crate::errors::ProposeError;
use crate::machine::Applied;
use crate::record::Payload;

/// A letter.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Letter {
    /// Propose this entry, and answer under this ticket. Two lives of a node do not give the same.
    Forward { ticket: u64, entry: Payload },
    /// This has become of what was forwarded under this ticket.
    Forwarded { ticket: u64, outcome: Result<Applied, ProposeError> },
}

const FORWARD: u8 = 1;
const APPLIED: u8 = 2;
const REFUSED: u8 = 3;

impl Letter {
    pub(crate) fn to_bytes(&self) -> Payload {
        let mut bytes = Vec::new();
        match self {
            Letter::Forward { ticket, entry } => {
                begin(&mut bytes, FORWARD, *ticket);
                bytes.extend_from_slice(entry);
            }
            Letter::Forwarded { ticket, outcome: Ok(Applied { entry, response }) } => {
                begin(&mut bytes, APPLIED, *ticket);
                put(&mut bytes, entry.term.0);
                put(&mut bytes, entry.index.0);
                bytes.extend_from_slice(response);
            }
            Letter::Forwarded { ticket, outcome: Err(error) } => {
                begin(&mut bytes, REFUSED, *ticket);
                let (code, numbers) = code(error);
                bytes.push(code);
                numbers.into_iter().for_each(|number| put(&mut bytes, number));
            }
        }
        bytes.into()
    }

    /// The letter; none if this is not one, or one of a version that says more.
    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Letter> {
        let (kind, rest) = bytes.split_first()?;
        let (ticket, rest) = number(rest)?;
        match *kind {
            FORWARD => Some(Letter::Forward { ticket, entry: rest.into() }),
            APPLIED => {
                let (term, rest) = number(rest)?;
                let (index, response) = number(rest)?;
                let entry = EntryId { term: Term(term), index: Index(index) };
                let outcome = Ok(Applied { entry, response: response.to_vec() });
                Some(Letter::Forwarded { ticket, outcome })
            }
            REFUSED => {
                let (code, rest) = rest.split_first()?;
                let (first, rest) = number(rest)?;
                let (second, rest) = number(rest)?;
                let error = rest.is_empty().then(|| error(*code, [first, second]))??;
                Some(Letter::Forwarded { ticket, outcome: Err(error) })
            }
            _ => None,
        }
    }
}

/// An error as a number, with its own numbers.
fn code(error: &ProposeError) -> (u8, [u64; 2]) {
    match error {
        ProposeError::NotLeader { leader: None } => (1, [0, 0]),
        ProposeError::NotLeader { leader: Some(NodeId(leader)) } => (2, [*leader, 0]),
        ProposeError::Unreachable { leader: NodeId(leader) } => (3, [*leader, 0]),
        ProposeError::HandingOver => (4, [0, 0]),
        ProposeError::Overloaded => (5, [0, 0]),
        ProposeError::TooLarge { length, limit } => (6, [*length as u64, *limit as u64]),
        ProposeError::Stopped => (7, [0, 0]),
        ProposeError::Lost => (8, [0, 0]),
        ProposeError::OutcomeUnknown => (9, [0, 0]),
        ProposeError::SessionExpired => (10, [0, 0]),
        ProposeError::Withdrawn => (11, [0, 0]),
        ProposeError::AnswerNotKept => (12, [0, 0]),
        ProposeError::TooManyOpen => (13, [0, 0]),
        ProposeError::Unreadable => (14, [0, 0]),
    }
}

fn error(code: u8, [first, second]: [u64; 2]) -> Option<ProposeError> {
    let length = |number| usize::try_from(number).ok();
    Some(match code {
        1 => ProposeError::NotLeader { leader: None },
        2 => ProposeError::NotLeader { leader: Some(NodeId(first)) },
        3 => ProposeError::Unreachable { leader: NodeId(first) },
        4 => ProposeError::HandingOver,
        5 => ProposeError::Overloaded,
        6 => ProposeError::TooLarge { length: length(first)?, limit: length(second)? },
        7 => ProposeError::Stopped,
        8 => ProposeError::Lost,
        9 => ProposeError::OutcomeUnknown,
        10 => ProposeError::SessionExpired,
        11 => ProposeError::Withdrawn,
        12 => ProposeError::AnswerNotKept,
        13 => ProposeError::TooManyOpen,
        14 => ProposeError::Unreadable,
        _ => return None,
    })
}

fn begin(bytes: &mut Vec<u8>, kind: u8, ticket: u64) {
    bytes.push(kind);
    put(bytes, ticket);
}

fn put(bytes: &mut Vec<u8>, number: u64) {
    bytes.extend_from_slice(&number.to_le_bytes());
}

/// The first number of the bytes, and what comes after it.
fn number(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let (number, rest) = bytes.split_first_chunk::<8>()?;
    Some((u64::from_le_bytes(*number), rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letters() -> Vec<Letter> {
        let entry = EntryId { term: Term(7), index: Index(u64::MAX) };
        let applied = Ok(Applied { entry, response: b"yes".to_vec() });
        // Every code that there is, and no other.
        let errors = (0..=u8::MAX).filter_map(|code| error(code, [3, 4])).map(Err);
        let outcomes = errors.chain([applied]);
        let told = outcomes.map(|outcome| Letter::Forwarded { ticket: 9, outcome });
        told.chain([Letter::Forward { ticket: u64::MAX, entry: [1, 2].into() }]).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        assert_eq!(letters().len(), 16);
        for letter in letters() {
            assert_eq!(Letter::from_bytes(&letter.to_bytes()), Some(letter));
        }
    }

    #[test]
    fn a_letter_that_ends_too_early_or_is_of_another_kind_is_none() {
        for letter in letters() {
            let bytes = letter.to_bytes();
            // What a letter carries at its end may be of any length.
            let head = match letter {
                Letter::Forward { .. } => 9,
                Letter::Forwarded { outcome: Ok(_), .. } => 25,
                Letter::Forwarded { outcome: Err(_), .. } => bytes.len(),
            };
            for end in 0..head {
                assert_eq!(Letter::from_bytes(&bytes[..end]), None);
            }
        }
        assert_eq!(Letter::from_bytes(&[9; 40]), None);
    }
}
