//! What the decoder allocates: a small multiple of the bytes that it is given, whatever they say. In
//! a program of its own, for it counts every allocation of the process.

use peak_alloc::PeakAlloc;
use quorate::net::codec::decode;
use quorate_spec::{Body, Entries, EntryId, Envelope, Index, Message, NodeId, Term};

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// What one byte can become: a run of equal terms or the name of a record takes a few bytes in a
/// frame, and some dozens in memory.
const FACTOR: usize = 32;
/// Errors, and what the test itself needs.
const SLACK: usize = 16 << 10;

fn frame(body: &[u8]) -> Vec<u8> {
    let length = u32::try_from(body.len()).expect("it is short");
    let mut bytes = vec![b'Q', b'f', 1, 1];
    bytes.extend(length.to_le_bytes());
    bytes.extend(crc32c::crc32c_append(crc32c::crc32c(&bytes), body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// What decoding these bytes takes at its peak.
fn takes(bytes: &[u8]) -> usize {
    let before = PEAK.current_usage();
    PEAK.reset_peak_usage();
    let decoded = decode(bytes, 64 << 20);
    let peak = PEAK.peak_usage();
    drop(decoded);
    peak.saturating_sub(before)
}

#[test]
fn a_length_that_is_not_there_is_not_allocated() {
    let prev = EntryId { term: Term(1), index: Index(1) };
    let body = Body::AppendEntries { prev, entries: Entries::default(), leader_commit: Index(1) };
    let envelope =
        Envelope { from: NodeId(1), to: NodeId(2), message: Message::new(Term(1), body) };
    let honest = postcard::to_allocvec(&envelope).expect("it has a form");
    let huge = postcard::to_allocvec(&(u64::MAX >> 8)).expect("it has a form");
    // In the place of every byte a huge number: one of them is the number of runs, one that of
    // configurations, one that of records.
    for at in 0..=honest.len() {
        for filler in [0, 1_000, 100_000] {
            let rest = honest.get(at + 1..).unwrap_or_default();
            let body = [&honest[..at], &huge, rest, &vec![1; filler]].concat();
            let bytes = frame(&body);
            let takes = takes(&bytes);
            assert!(takes <= FACTOR * bytes.len() + SLACK, "{takes} bytes for {}", bytes.len());
        }
    }
}
