//! Where the Explorer listens.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};

/// Why it cannot listen there, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum AddressError {
    /// Not an address.
    #[error("{0} is not an address: give an IP address and a port, such as 127.0.0.1:3000")]
    Invalid(String),
    /// Others could read and drive the Explorer.
    #[error(
        "{0} can be reached from other machines, and the Explorer asks nobody for a password: \
         give a loopback address such as 127.0.0.1:3000, or add --allow-remote"
    )]
    Remote(SocketAddr),
    /// Somebody listens there already.
    #[error(
        "{0} is busy: another program listens there; give another port with --address, 0 for any"
    )]
    Busy(SocketAddr),
    /// The system refuses.
    #[error("cannot listen on {0}: {1}; give another --address")]
    Refused(SocketAddr, io::Error),
}

/// The address of this text, with a port that is free: port 0 stands for any.
///
/// # Errors
/// If the text is no address, others can reach it and that was not allowed, or nobody can listen
/// there.
pub fn choose(text: &str, allow_remote: bool) -> Result<SocketAddr, AddressError> {
    let numeric = match text.strip_prefix("localhost:") {
        Some(port) => format!("127.0.0.1:{port}"),
        None => text.to_owned(),
    };
    let asked: SocketAddr = numeric.parse().map_err(|_| AddressError::Invalid(text.to_owned()))?;
    if !asked.ip().is_loopback() && !allow_remote {
        return Err(AddressError::Remote(asked));
    }
    attempt(asked)
}

/// Listens there for a moment, and gives the address with its port.
fn attempt(asked: SocketAddr) -> Result<SocketAddr, AddressError> {
    listen(asked)?.local_addr().map_err(|error| AddressError::Refused(asked, error))
}

/// Listens there.
pub(super) fn listen(at: SocketAddr) -> Result<TcpListener, AddressError> {
    TcpListener::bind(at).map_err(|error| match error.kind() {
        io::ErrorKind::AddrInUse => AddressError::Busy(at),
        _ => AddressError::Refused(at, error),
    })
}

/// The page's address, for a browser on this machine.
#[must_use]
pub fn url(at: SocketAddr) -> String {
    let ip = match at.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    format!("http://{}/", SocketAddr::new(ip, at.port()))
}
