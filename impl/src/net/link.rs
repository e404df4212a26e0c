//! A connection that this node opens: to an address, to a node that proves to be there.

use quorate_spec::NodeId;
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::fault::Fault;
use super::greeting::{Greeting, Objection, Purpose};
use super::identity::Incarnation;
use super::meeting::{Way, meet};
use super::shared::{Shared, Stream};
use super::tls::Security;

/// A connection after the handshake.
pub(crate) struct Link {
    pub(crate) stream: Stream,
    pub(crate) version: u8,
    /// The life of the node that is there.
    pub(crate) incarnation: Incarnation,
}

/// Connects to the node at the address.
pub(crate) async fn open(
    shared: &Shared,
    to: NodeId,
    address: &str,
    purpose: Purpose,
) -> Result<Link, Fault> {
    let unreachable = |error: String| Fault::Unreachable { address: address.to_owned(), error };
    let stream = timeout(shared.limits.connect_patience, TcpStream::connect(address))
        .await
        .map_err(|_| unreachable("no answer".to_owned()))?
        .map_err(|error| unreachable(error.to_string()))?;
    timeout(shared.limits.handshake_patience, greet(shared, stream, to, purpose))
        .await
        .unwrap_or(Err(Fault::Slow))
}

async fn greet(
    shared: &Shared,
    stream: TcpStream,
    to: NodeId,
    purpose: Purpose,
) -> Result<Link, Fault> {
    stream.set_nodelay(true).map_err(Fault::of_io)?;
    let mut stream: Stream = match &shared.security {
        Security::Open => Box::new(stream),
        Security::Tls(tls) => {
            let connected = tls.connect(stream, &shared.me.cluster, to).await;
            Box::new(connected.map_err(Fault::of_io)?)
        }
    };
    let written = Greeting::new(&shared.me, to, purpose).write(&mut stream).await;
    let answer = match (written, Greeting::read(&mut stream).await) {
        (_, Ok(answer)) => answer,
        // Why the other side has closed is said in what it wrote before.
        (_, Err(said @ Fault::Tls(_))) | (Ok(()), Err(said)) | (Err(said), Err(_)) => {
            return Err(said);
        }
    };
    // One that has only not met this node yet says who it is: it is met before this ends.
    if let Some(objection) = answer.verdict.filter(|it| *it != Objection::NotMet) {
        return Err(Fault::Refused(objection));
    }
    let version = answer.judge(&shared.me).map_err(Fault::TurnedAway)?;
    if answer.sender.id != to {
        return Err(Fault::TurnedAway(Objection::WrongNode));
    }
    meet(shared, &answer.sender, Way::Out).await.map_err(|unmet| unmet.fault)?;
    match answer.verdict {
        Some(objection) => Err(Fault::Refused(objection)),
        None => Ok(Link { stream, version, incarnation: answer.sender.incarnation }),
    }
}
