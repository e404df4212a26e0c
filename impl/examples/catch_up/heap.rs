//! A machine with a large state: a persistent map, of which a view is one pointer.

use std::io::{self, Read, Write};
use std::sync::Arc;

use quorate::{Command, Response, StateMachine};

/// Bytes of one value of the bulk of the state.
pub(crate) const VALUE: usize = 4096;
/// Values that one command makes: a MiB of them.
pub(crate) const VALUES_PER_COMMAND: u64 = 256;
/// The writes of the load go round over so many values.
const RING: u64 = 4096;

const WRITE: u8 = 0;
const FILL: u8 = 1;

/// The map.
#[derive(Clone, Default)]
pub(crate) struct Heap(rpds::RedBlackTreeMapSync<(u8, u64), Arc<[u8]>>);

/// A command of `length` bytes that overwrites one small value.
pub(crate) fn write(number: u64, length: usize) -> Vec<u8> {
    let mut command = vec![7; length.max(9)];
    command[0] = WRITE;
    command[1..9].copy_from_slice(&number.to_le_bytes());
    command
}

/// A short command that makes a MiB of values. They are no pattern that anything could make short.
pub(crate) fn fill(first: u64) -> Vec<u8> {
    [&[FILL], first.to_le_bytes().as_slice()].concat()
}

fn value(key: u64) -> Arc<[u8]> {
    let mut word = key.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let words = std::iter::repeat_with(|| {
        word ^= word << 13;
        word ^= word >> 7;
        word ^= word << 17;
        word
    });
    words.take(VALUE / 8).flat_map(u64::to_le_bytes).collect()
}

impl StateMachine for Heap {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        for command in commands {
            let Some((kind, rest)) = command.bytes.split_first() else { continue };
            let Some((number, rest)) = rest.split_first_chunk() else { continue };
            let number = u64::from_le_bytes(*number);
            match *kind {
                WRITE => self.0.insert_mut((WRITE, number % RING), rest.into()),
                _ => (number..number + VALUES_PER_COMMAND)
                    .for_each(|key| self.0.insert_mut((FILL, key), value(key))),
            }
        }
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let view = self.0.clone();
        move |out: &mut dyn Write| {
            view.iter().try_for_each(|((kind, key), value)| {
                let length = u32::try_from(value.len()).map_err(io::Error::other)?;
                out.write_all(&[*kind])?;
                out.write_all(&key.to_le_bytes())?;
                out.write_all(&length.to_le_bytes())?;
                out.write_all(value)
            })
        }
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        // Before the new state takes its memory.
        *self = Heap::default();
        let mut head = [0; 13];
        while state.read(&mut head[..1])? > 0 {
            state.read_exact(&mut head[1..])?;
            let [kind, a, b, c, d, e, f, g, h, length @ ..] = head;
            let key = u64::from_le_bytes([a, b, c, d, e, f, g, h]);
            let mut value = vec![0; u32::from_le_bytes(length) as usize];
            state.read_exact(&mut value)?;
            self.0.insert_mut((kind, key), value.into());
        }
        Ok(())
    }
}
