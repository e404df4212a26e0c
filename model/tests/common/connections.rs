//! A browser opens several connections at once, and keeps each open until it is asked to close it.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

/// Connections that come at once, again and again: each has its whole answer, which ends so, while the
/// others are open.
pub(crate) fn are_all_answered(at: SocketAddr, path: &str, end: &str) {
    for _ in 0..20 {
        let mut streams: Vec<TcpStream> =
            (0..12).map(|_| TcpStream::connect(at).expect("it listens")).collect();
        for stream in &mut streams {
            stream.set_read_timeout(Some(Duration::from_secs(30))).expect("it is not zero");
            write!(stream, "GET {path} HTTP/1.1\r\nHost: {at}\r\n\r\n").expect("it reads");
        }
        // Whoever has its answer is asked to close, or finds that the server did.
        for mut stream in streams {
            let mut answer = Vec::new();
            while !String::from_utf8_lossy(&answer).contains(end) {
                let mut part = [0; 4096];
                let read = stream.read(&mut part).expect("an answer comes");
                assert!(read > 0, "the answer is whole");
                answer.extend_from_slice(&part[..read]);
            }
            let asked = String::from_utf8_lossy(&answer).contains("Connection: close");
            let closes = asked || stream.read(&mut [0]).expect("the server goes on") == 0;
            assert!(closes, "or the others would wait for this one");
        }
    }
}
