//! What the decoder allocates is bounded by the bytes that it is given, whatever they say. In a
//! program of its own, for it counts every allocation of the process.

use peak_alloc::PeakAlloc;
use quorate::net::codec::{MAX_HEAD, decode};
use quorate_spec::{Body, Entries, EntryId, Envelope, Index, Message, NodeId, Term};

#[global_allocator]
static PEAK: PeakAlloc = PeakAlloc;

/// What one byte of a head can become: the places of a list are made when its length was read, and an
/// empty configuration takes 5 bytes there, and 128 in memory.
const FACTOR: usize = 160;
/// Errors, and what the test itself needs.
const SLACK: usize = 16 << 10;

fn framed(head: &[u8], commands: &[u8]) -> Vec<u8> {
    let length = u32::try_from(head.len()).expect("it is short").to_le_bytes();
    frame(&[&length, head, commands].concat())
}

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

fn envelope() -> Vec<u8> {
    let prev = EntryId { term: Term(1), index: Index(1) };
    let body = Body::AppendEntries { prev, entries: Entries::default(), leader_commit: Index(1) };
    let envelope =
        Envelope { from: NodeId(1), to: NodeId(2), message: Message::new(Term(1), body) };
    postcard::to_allocvec(&envelope).expect("it has a form")
}

// One test: the count is that of the process.
#[test]
fn a_frame_takes_no_more_memory_than_its_bytes_can_mean() {
    let honest = envelope();
    let huge = postcard::to_allocvec(&(u64::MAX >> 8)).expect("it has a form");
    // In the place of every byte a number, which may be that of runs, of configurations, or of records.
    for count in [huge, vec![100], vec![0xE8, 7]] {
        for (at, filler) in (0..=honest.len()).flat_map(|at| [0, 1_000, 100_000].map(|n| (at, n))) {
            let rest = honest.get(at + 1..).unwrap_or_default();
            let bytes = framed(&[&honest[..at], &count, rest, &vec![1; filler]].concat(), &[]);
            let takes = takes(&bytes);
            assert!(takes <= FACTOR * bytes.len() + SLACK, "{takes} bytes for {}", bytes.len());
        }
    }
    // A long head is not even looked at.
    let bytes = framed(&vec![1; MAX_HEAD + 1], &[]);
    assert!(takes(&bytes) <= SLACK);
    // Commands take what they are.
    let names = [honest, postcard::to_allocvec(&(1_u64, 1_u64, 2_u64)).expect("it has a form")];
    let shape = postcard::to_allocvec(&(2_u32, 8_000_000_u32)).expect("it has a form");
    let bytes = framed(&[names.concat(), shape].concat(), &vec![7; 8_000_000]);
    let takes = takes(&bytes);
    assert!((8_000_000..8_000_000 + SLACK).contains(&takes), "{takes} bytes");
}
