//! Packets as bytes.
//!
//! ```text
//!  length         of the head, 4 bytes
//!  head           the envelope of the specification as postcard writes it, the number of records,
//!                 and of each its name and its shape; the shape of a command has its length
//!  commands       their bytes, one after the other
//! ```
//! Commands are copied once on either side: into the buffer that is written as a whole, and out of
//! the one that was read into the memory that the log then shares. What is in the head may take many
//! times its bytes in memory, so it is short; the commands take as much as they do in the frame.

use std::sync::Arc;

use postcard::ser_flavors::Flavor;
use quorate_spec::{AppendOutcome, Body, EntryId, Envelope, Index, Message, Term};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use super::frame::{self, Kind};
use super::wire::WireError;
use crate::record::{Content, Payload, Record};
use crate::transport::Packet;

/// The version of everything that this node writes after the handshake.
pub const VERSION: u8 = 1;

/// What a record is, without the bytes.
#[derive(Clone, Copy, Serialize, Deserialize)]
enum Shape {
    NoOp,
    Configuration,
    Command(u32),
}

/// The most bytes of a head: names of some hundred thousand entries.
pub const MAX_HEAD: usize = 1 << 20;

/// What a record takes at least: a term, an index, a shape.
const LEAST_RECORD: usize = 3;
const LENGTH: usize = 4;

/// Appends the packet as one frame. The state of a snapshot is not part of it: it travels in chunks.
///
/// # Errors
/// [`WireError::TooLong`] where its body is longer than `limit`, or its head than [`MAX_HEAD`]; the
/// buffer is then as it was.
pub fn encode(packet: &Packet, limit: usize, buffer: &mut Vec<u8>) -> Result<(), WireError> {
    frame::append(buffer, (VERSION, Kind::Packet), limit, |buffer| put_packet(packet, buffer))
}

/// The packet that these bytes are, one whole frame. It takes the memory of its commands, and some
/// dozens of bytes for each of its head's.
///
/// # Errors
/// Why they are none that an honest node sends.
pub fn decode(bytes: &[u8], limit: usize) -> Result<Packet, WireError> {
    match frame::only(bytes, VERSION, limit)? {
        (Kind::Packet, body) => decode_body(body),
        _ => Err(WireError::OutOfTurn),
    }
}

/// What each byte of a head may take in memory: the name of a record has 3 bytes there, and an empty
/// configuration 5.
const EXPANDS: usize = 32;

/// What the packet with this body takes in memory at most, more or less, told by its lengths: so room
/// can be had for it before anything is made of it.
pub(crate) fn weight(body: &[u8]) -> usize {
    let length = body.first_chunk().map_or(0, |length| u32::from_le_bytes(*length));
    let head = usize::try_from(length).unwrap_or(usize::MAX).min(body.len()).min(MAX_HEAD);
    body.len() + EXPANDS * head
}

/// The packet that is the body of a frame.
pub(crate) fn decode_body(body: &[u8]) -> Result<Packet, WireError> {
    let (length, rest) = body.split_first_chunk::<LENGTH>().ok_or(WireError::Malformed)?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (head, commands) = rest.split_at_checked(length).ok_or(WireError::Malformed)?;
    let (envelope, names) = take_envelope(head)?;
    let records = take_records(names, commands)?;
    let packet = Packet { envelope, records, state: None };
    let honest = is_plausible(&packet.envelope.message) && packet.is_complete();
    honest.then_some(packet).ok_or(WireError::Implausible)
}

/// The message of a snapshot whose state travels apart.
pub(crate) fn decode_install(body: &[u8]) -> Result<Envelope, WireError> {
    let (envelope, rest) = take_envelope(body)?;
    let installs = matches!(envelope.message.body, Body::InstallSnapshot { .. });
    match rest {
        [] if installs && is_plausible(&envelope.message) => Ok(envelope),
        [] => Err(WireError::Implausible),
        _ => Err(WireError::Malformed),
    }
}

fn put_packet(
    Packet { envelope, records, .. }: &Packet,
    to: &mut Vec<u8>,
) -> Result<(), WireError> {
    let start = to.len();
    to.extend_from_slice(&[0; LENGTH]);
    put(envelope, to)?;
    put(&(records.len() as u64), to)?;
    for Record { id, content } in records {
        let length = |payload: &Payload| u32::try_from(payload.len());
        let shape = match content {
            Content::NoOp => Shape::NoOp,
            Content::Configuration => Shape::Configuration,
            Content::Command(payload) => {
                Shape::Command(length(payload).map_err(|_| WireError::Malformed)?)
            }
        };
        put(&(*id, shape), to)?;
    }
    let length = to.len() - start - LENGTH;
    let fits = u32::try_from(length).ok().filter(|_| length <= MAX_HEAD);
    let fits = fits.ok_or(WireError::TooLong { length, limit: MAX_HEAD })?;
    to[start..start + LENGTH].copy_from_slice(&fits.to_le_bytes());
    for record in records {
        if let Content::Command(payload) = &record.content {
            to.extend_from_slice(payload);
        }
    }
    Ok(())
}

fn take_envelope(head: &[u8]) -> Result<(Envelope, &[u8]), WireError> {
    if head.len() > MAX_HEAD {
        return Err(WireError::TooLong { length: head.len(), limit: MAX_HEAD });
    }
    take(head)
}

/// The records of these names and shapes, which are all that is left of the head, with these bytes,
/// which are all of their commands.
fn take_records(names: &[u8], mut commands: &[u8]) -> Result<Vec<Record>, WireError> {
    let (count, mut names) = take::<u64>(names)?;
    let count = usize::try_from(count).map_err(|_| WireError::Malformed)?;
    if count > names.len() / LEAST_RECORD {
        return Err(WireError::Malformed);
    }
    let mut records = Vec::with_capacity(count);
    for _ in 0..count {
        let ((id, shape), after) = take::<(EntryId, Shape)>(names)?;
        names = after;
        let content = match shape {
            Shape::NoOp => Content::NoOp,
            Shape::Configuration => Content::Configuration,
            Shape::Command(length) => {
                let length = usize::try_from(length).map_err(|_| WireError::Malformed)?;
                let split = commands.split_at_checked(length).ok_or(WireError::Malformed)?;
                commands = split.1;
                Content::Command(Arc::from(split.0))
            }
        };
        records.push(Record { id, content });
    }
    let nothing_left = names.is_empty() && commands.is_empty();
    nothing_left.then_some(records).ok_or(WireError::Malformed)
}

/// Whether an honest node can say this. The specification refuses the rest, too; here it ends the
/// connection, and no number reaches arithmetic that is past every log and every election.
fn is_plausible(message: &Message) -> bool {
    let index = |index: &Index| *index < Index::LIMIT;
    let entry = |id: &EntryId| index(&id.index) && id.term <= message.term;
    let said = match &message.body {
        Body::PreVote { last, .. } | Body::RequestVote { last, .. } => entry(last),
        Body::PreVoteReply { asked_in, .. } => *asked_in < Term::LIMIT,
        Body::AppendEntries { prev, entries, leader_commit } => {
            index(leader_commit) && entries.is_well_formed(*prev, message.term)
        }
        Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) => index(match_index),
        Body::AppendEntriesReply(AppendOutcome::Conflict { prev_index, hint }) => {
            index(prev_index) && entry(hint)
        }
        Body::InstallSnapshot { snapshot } => snapshot.is_well_formed(message.term),
        Body::ReadIndexReply { index: at, .. } => index(at),
        Body::AppendEntriesReply(AppendOutcome::Stale)
        | Body::RequestVoteReply { .. }
        | Body::TimeoutNow
        | Body::ReadIndex { .. } => true,
    };
    said && message.term < Term::LIMIT
}

/// Appends a value as postcard writes it.
pub(crate) fn put(value: &impl Serialize, to: &mut Vec<u8>) -> Result<(), WireError> {
    // It fails for values that have no length of their own, and there are none here.
    postcard::serialize_with_flavor(value, Tail(to)).map_err(|_| WireError::Malformed)
}

/// Reads a value, and returns what follows it.
pub(crate) fn take<T: DeserializeOwned>(bytes: &[u8]) -> Result<(T, &[u8]), WireError> {
    postcard::take_from_bytes(bytes).map_err(|_| WireError::Malformed)
}

/// The end of a buffer, where postcard writes.
struct Tail<'a>(&'a mut Vec<u8>);

impl Flavor for Tail<'_> {
    type Output = ();

    fn try_push(&mut self, byte: u8) -> postcard::Result<()> {
        self.0.push(byte);
        Ok(())
    }

    fn try_extend(&mut self, bytes: &[u8]) -> postcard::Result<()> {
        self.0.extend_from_slice(bytes);
        Ok(())
    }

    fn finalize(self) -> postcard::Result<()> {
        Ok(())
    }
}
