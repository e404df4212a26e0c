//! Hostile bytes: the decoder does not panic, what it takes is what it would write, and a node that
//! hears it goes on. The fuzzer makes the body of a frame; header and checksum are put right, or it
//! would not get past them.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::net::codec::{decode, encode};
use quorate_spec::{
    Configuration, Durable, Duration, Effects, Input, Instant, Limit, Moment, NodeId, Params,
    Protocol, Sound,
};

const LIMIT: usize = 1 << 20;

fuzz_target!(|body: &[u8]| {
    // As it is, too: it may find its way to a header.
    let _ = decode(body, LIMIT);
    let Ok(packet) = decode(&frame(body), LIMIT) else { return };
    let mut written = Vec::new();
    encode(&packet, LIMIT, &mut written).expect("it was that long");
    assert_eq!(decode(&written, LIMIT).as_ref(), Ok(&packet));

    let params = Params::new(Duration(100), Duration(10));
    let protocol = Protocol { rules: Sound, params };
    let durable = Durable::genesis(Configuration::of((1..=3).map(NodeId)));
    let mut node = protocol.start(NodeId(1), durable, moment(0));
    let mut effects = Effects::default();
    protocol.step(&mut node, moment(500), Input::Receive(packet.envelope), &mut effects);
    if effects.fatal.is_none() {
        protocol.step(&mut node, moment(900), Input::Tick, &mut effects);
        for peer in protocol.recipients(&node) {
            protocol.poll_transmit(&mut node, peer, Instant(900), Limit { entries: 9 });
        }
        protocol.next_deadline(&node);
    }
});

fn moment(now: u64) -> Moment {
    Moment { now: Instant(now), draw: now }
}

fn frame(body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![b'Q', b'f', 1, 1];
    bytes.extend(u32::try_from(body.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(crc32c::crc32c_append(crc32c::crc32c(&bytes), body).to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}
