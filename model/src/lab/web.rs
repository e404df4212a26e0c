//! The pages and the runs, over HTTP. Everything is in the binary; nothing is kept between requests.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::thread;

use tiny_http::{Method, Request, Server, StatusCode};

use super::run::run;
use super::setup::Setup;

/// A page's file: its path, its type, and what is in it.
type File = (&'static str, &'static str, &'static str);

const FILES: [File; 9] = [
    ("/", "text/html; charset=utf-8", include_str!("../../ui/lab/index.htm")),
    ("/lab.css", "text/css; charset=utf-8", include_str!("../../ui/lab/lab.css")),
    ("/lab.js", "text/javascript; charset=utf-8", include_str!("../../ui/lab/lab.js")),
    ("/dom.js", "text/javascript; charset=utf-8", include_str!("../../ui/lab/dom.js")),
    ("/player.js", "text/javascript; charset=utf-8", include_str!("../../ui/lab/player.js")),
    ("/ring.js", "text/javascript; charset=utf-8", include_str!("../../ui/lab/ring.js")),
    ("/lane.js", "text/javascript; charset=utf-8", include_str!("../../ui/lab/lane.js")),
    ("/time.js", "text/javascript; charset=utf-8", include_str!("../../ui/lab/time.js")),
    ("/actions.js", "text/javascript; charset=utf-8", include_str!("../../ui/lab/actions.js")),
];

/// Scripts and styles of this origin, and nothing else from anywhere.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; \
                      img-src data:; base-uri 'none'; form-action 'none'";

/// How many requests are answered at a time.
const WORKERS: usize = 2;

/// An address on which the lab listens.
pub struct Bound(Arc<Server>);

/// Listens there.
///
/// # Errors
/// What the system says.
pub fn bind(at: SocketAddr) -> Result<Bound, String> {
    let server = Server::http(at).map_err(|error| error.to_string())?;
    Ok(Bound(Arc::new(server)))
}

impl Bound {
    /// Answers requests until the process ends.
    pub fn serve(self) {
        let worker = || {
            let server = Arc::clone(&self.0);
            thread::spawn(move || server.incoming_requests().for_each(answer))
        };
        for worker in (0..WORKERS).map(|_| worker()).collect::<Vec<_>>() {
            // A worker that has panicked has printed why; the others go on.
            let _ = worker.join();
        }
    }
}

fn answer(request: Request) {
    let url = request.url().to_owned();
    let (path, query) = url.split_once('?').unwrap_or((&url, ""));
    let (status, kind, body) = if *request.method() == Method::Get {
        content(path, query)
    } else {
        (405, PLAIN, "The lab is only read: use GET.".to_owned())
    };
    // Whoever asked may have gone.
    let _ = respond(request, status, kind, &body);
}

/// Answers, and asks for the connection to be closed. tiny_http can leave the fifth of five
/// connections that come at once without a thread, until one of the others closes: a browser that
/// keeps them open would wait for a minute.
fn respond(request: Request, status: u16, kind: &str, body: &str) -> io::Result<()> {
    let reason = StatusCode(status).default_reason_phrase();
    let mut writer = request.into_writer();
    write!(
        writer,
        "HTTP/1.1 {status} {reason}\r\nContent-Type: {kind}\r\nContent-Length: {}\r\n\
         Connection: close\r\nContent-Security-Policy: {POLICY}\r\n\
         X-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n{body}",
        body.len()
    )?;
    writer.flush()
}

const PLAIN: &str = "text/plain; charset=utf-8";

fn content(path: &str, query: &str) -> (u16, &'static str, String) {
    if path == "/run" {
        return match Setup::parse(query) {
            Ok(setup) => (200, "application/json", run(&setup).json()),
            Err(error) => (400, PLAIN, error.to_string()),
        };
    }
    match FILES.iter().find(|(known, ..)| *known == path) {
        Some((_, kind, content)) => (200, kind, (*content).to_owned()),
        None => (404, PLAIN, format!("There is nothing at {path}. The lab is at /.")),
    }
}
