//! What browsers talk to: it passes each request on to Stateright's server over a connection of its
//! own, which closes with the answer.
//!
//! Stateright's server (tiny_http 0.12) gives each connection a thread for as long as the browser
//! keeps it open, and can leave the last of several that come at once without one: a page would wait
//! for a minute. A connection that ends with its answer makes room for the next.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

/// No request of a page is longer, with all its headers, or takes longer to be said.
const LONGEST: u64 = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// Passes requests on to `inner`, which may not listen yet, until the process ends.
pub(super) fn relay(front: &TcpListener, inner: SocketAddr) {
    // A browser that has gone, or could not be understood, has its connection closed: no more.
    for browser in front.incoming().flatten() {
        thread::spawn(move || pass_on(&browser, inner));
    }
}

fn pass_on(mut browser: &TcpStream, inner: SocketAddr) -> io::Result<()> {
    browser.set_read_timeout(Some(PATIENCE))?;
    let request = head(browser)?;
    let mut server = connect(inner)?;
    server.write_all(request.as_bytes())?;
    io::copy(&mut server, &mut browser)?;
    Ok(())
}

/// The request without its body, for pages send none, and with the wish that the connection ends.
fn head(browser: &TcpStream) -> io::Result<String> {
    let mut lines = BufReader::new(browser.take(LONGEST)).lines();
    let mut request = format!("{}\r\n", lines.next().ok_or(io::ErrorKind::UnexpectedEof)??);
    loop {
        let line = lines.next().ok_or(io::ErrorKind::UnexpectedEof)??;
        let name = line.split(':').next().unwrap_or_default().to_ascii_lowercase();
        match &*name {
            "" => break,
            "connection" | "content-length" | "expect" | "transfer-encoding" => {}
            _ => request.extend([&line, "\r\n"]),
        }
    }
    Ok(request + "Connection: close\r\n\r\n")
}

/// Stateright begins to listen when it has looked at its model.
fn connect(inner: SocketAddr) -> io::Result<TcpStream> {
    let start = Instant::now();
    loop {
        match TcpStream::connect(inner) {
            Err(_) if start.elapsed() < PATIENCE => thread::sleep(Duration::from_millis(20)),
            connected => return connected,
        }
    }
}
