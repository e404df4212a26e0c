//! Hostile bytes beside the packets: a greeting, a letter, an entry that a letter brings, the sessions of
//! a snapshot. No reader panics, and what one takes is what it would write. The first byte says which.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quorate::laws;

fuzz_target!(|bytes: &[u8]| {
    let Some((which, bytes)) = bytes.split_first() else { return };
    match which % 4 {
        0 => laws::greeting(bytes),
        1 => laws::letter(bytes),
        2 => laws::entry(bytes),
        _ => laws::sessions(bytes),
    };
});
