//! The bytes of a state of the machine: in pieces, because there may be a GiB of them.
//!
//! Pieces are never copied into one another while a state grows, need no stretch of memory of that
//! length, and are what files and chunks are written from. To give the memory of a large state back
//! takes tens of milliseconds, so whoever lets go of it last, and that may be the owner of a node or
//! the thread that syncs its log, leaves that to another thread.

use std::fmt;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::thread;

/// The length of each piece in bytes; the last one of a state may be shorter.
pub(crate) const PIECE: usize = 1 << 20;

/// A state with more bytes is given back on another thread.
const LARGE: usize = 4 * PIECE;

/// The bytes of a state of the machine. Clones are the same bytes.
#[derive(Clone)]
pub struct StateBytes(Arc<Pieces>);

/// A state that grows: written to its end, then shared.
#[derive(Default)]
pub(crate) struct Growing(Pieces);

#[derive(Default, PartialEq, Eq)]
struct Pieces {
    all: Vec<Vec<u8>>,
    length: usize,
}

impl StateBytes {
    /// How many there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.length
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// All of them, a piece of at most 1 MiB after the other; none is empty.
    pub fn pieces(&self) -> impl Iterator<Item = &[u8]> {
        self.0.all.iter().map(Vec::as_slice)
    }

    /// Reads them from the first to the last.
    #[must_use]
    pub fn reader(&self) -> impl Read + '_ {
        let mut pieces = self.pieces();
        Reader { piece: pieces.next().unwrap_or_default(), rest: pieces }
    }

    /// A copy of all of them: for states that are small.
    #[must_use]
    pub fn to_vec(&self) -> Vec<u8> {
        self.0.all.concat()
    }

    /// The bytes from `at` on, at most `most` at a time.
    pub(crate) fn chunks(&self, at: usize, most: usize) -> impl Iterator<Item = &[u8]> {
        let skipped = at / PIECE;
        let first = self.0.all.get(skipped).and_then(|piece| piece.get(at % PIECE..));
        let rest = self.0.all.iter().skip(skipped + 1).map(Vec::as_slice);
        first.into_iter().chain(rest).flat_map(move |piece| piece.chunks(most.max(1)))
    }

    /// Whether they are the same bytes in memory, and not others that are equal.
    pub(crate) fn is_same(&self, other: &StateBytes) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl Growing {
    pub(crate) fn len(&self) -> usize {
        self.0.length
    }

    pub(crate) fn extend(&mut self, mut bytes: &[u8]) {
        let Pieces { all, length } = &mut self.0;
        *length += bytes.len();
        while !bytes.is_empty() {
            if all.last().is_none_or(|last| last.len() == PIECE) {
                all.push(Vec::new());
            }
            let Some(last) = all.last_mut() else { return };
            let (now, later) = bytes.split_at(bytes.len().min(PIECE - last.len()));
            let wanted = last.len() + now.len();
            if wanted > last.capacity() {
                // Twice as long each time, as vectors grow, but no longer than a piece is.
                let capacity = (2 * last.capacity()).clamp(wanted, PIECE);
                last.reserve_exact(capacity - last.len());
            }
            last.extend_from_slice(now);
            bytes = later;
        }
    }

    pub(crate) fn finish(self) -> StateBytes {
        StateBytes(Arc::new(self.0))
    }
}

impl Write for Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Has it dropped on another thread, or here where there is none to be had.
pub(crate) fn let_go(of: impl Send + 'static) {
    // Without the thread its closure is dropped, and what it holds with it.
    let _ = thread::Builder::new().name("quorate-free".to_owned()).spawn(move || drop(of));
}

impl Drop for Pieces {
    fn drop(&mut self) {
        if self.length > LARGE {
            let_go(std::mem::take(&mut self.all));
        }
    }
}

struct Reader<'a, I> {
    piece: &'a [u8],
    rest: I,
}

impl<'a, I: Iterator<Item = &'a [u8]>> Read for Reader<'a, I> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.piece.is_empty() {
            self.piece = self.rest.next().unwrap_or_default();
        }
        self.piece.read(into)
    }
}

impl PartialEq for StateBytes {
    fn eq(&self, other: &StateBytes) -> bool {
        self.is_same(other) || self.0 == other.0
    }
}

impl Eq for StateBytes {}

impl From<&[u8]> for StateBytes {
    fn from(bytes: &[u8]) -> StateBytes {
        let mut growing = Growing::default();
        growing.extend(bytes);
        growing.finish()
    }
}

impl From<Vec<u8>> for StateBytes {
    fn from(bytes: Vec<u8>) -> StateBytes {
        bytes.as_slice().into()
    }
}

impl<const LENGTH: usize> From<[u8; LENGTH]> for StateBytes {
    fn from(bytes: [u8; LENGTH]) -> StateBytes {
        bytes.as_slice().into()
    }
}

impl FromIterator<u8> for StateBytes {
    fn from_iter<I: IntoIterator<Item = u8>>(bytes: I) -> StateBytes {
        Vec::from_iter(bytes).into()
    }
}

/// Its length: nobody wants to read a GiB.
impl fmt::Debug for StateBytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "StateBytes({} bytes)", self.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bytes(length: usize) -> Vec<u8> {
        (0..length).map(|at| ((at * 31) >> 3) as u8).collect()
    }

    #[test]
    fn they_are_the_bytes_that_were_written_however_they_were_cut() {
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 17] {
            let whole = bytes(length);
            for cut in [1000, 64 << 10, PIECE, 5 * PIECE] {
                let mut growing = Growing::default();
                whole.chunks(cut).for_each(|chunk| growing.extend(chunk));
                assert_eq!(growing.len(), length);
                let state = growing.finish();
                assert_eq!(state, StateBytes::from(whole.as_slice()), "they are cut alike");
                assert_eq!((state.len(), state.to_vec() == whole), (length, true));
                assert!(state.pieces().all(|piece| !piece.is_empty() && piece.len() <= PIECE));
                let mut read = Vec::new();
                state.reader().read_to_end(&mut read).expect("it is in memory");
                assert!(read == whole, "{length} read, {cut} at a time");
            }
        }
    }

    #[test]
    fn chunks_go_from_where_they_are_asked_for_to_the_end() {
        let (length, whole) = (2 * PIECE + 5, bytes(2 * PIECE + 5));
        let state = StateBytes::from(whole.as_slice());
        for at in [0, 1, PIECE - 1, PIECE, PIECE + 7, length - 1, length] {
            for most in [1 << 10, 300_000, 3 * PIECE] {
                let chunks: Vec<&[u8]> = state.chunks(at, most).collect();
                assert!(chunks.iter().all(|it| !it.is_empty() && it.len() <= most));
                assert!(chunks.concat() == whole[at..], "from {at}, {most} at a time");
            }
        }
    }

    #[test]
    fn others_are_not_equal() {
        assert_ne!(StateBytes::from([1, 2, 3]), StateBytes::from([1, 2, 4]));
        assert_ne!(StateBytes::from([1, 2, 3]), StateBytes::from([1, 2]));
        assert!(!StateBytes::from([1]).is_same(&StateBytes::from([1])));
    }
}
