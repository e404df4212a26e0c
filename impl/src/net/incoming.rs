//! A connection that another node opens: who it is, and what it says.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use quorate_spec::NodeId;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tracing::{Instrument, info_span};

use super::codec;
use super::fault::Fault;
use super::frame::{self, FrameReader, KEPT, Kind};
use super::greeting::{Greeting, Objection, Purpose};
use super::limits::NetLimits;
use super::meeting::{Unmet, Way, meet};
use super::peer::write;
use super::seats::Seated;
use super::shared::{Duplex, Shared, Stream};
use super::snapshot;
use super::tls::{self, Security};
use super::wire::WireError;
use crate::inbox;
use tokio_rustls::rustls::pki_types::CertificateDer;

/// A node that has come through the handshake.
struct Visitor {
    stream: Stream,
    version: u8,
    greeting: Greeting,
    seat: Seated,
}

/// Deals with one connection, from its first byte to its end. Whatever comes ends this connection
/// alone.
pub(crate) async fn serve(
    shared: Arc<Shared>,
    stream: TcpStream,
    from: SocketAddr,
    half_open: OwnedSemaphorePermit,
) {
    let patience = shared.limits.handshake_patience;
    let admitted = timeout(patience, admit(&shared, stream)).await.unwrap_or(Err(Fault::Slow));
    drop(half_open);
    match admitted {
        Ok(visitor) => {
            let (node, peer) = (shared.me.id, visitor.greeting.sender.id);
            let span = info_span!("connection", direction = "in", %node, %peer, %from);
            converse(&shared, visitor, from).instrument(span).await;
        }
        Err(fault) => {
            // Every pair of nodes begins like this: it would hide who is turned away for a reason.
            let is_unmet = fault == Fault::TurnedAway(Objection::NotMet);
            // Whoever comes again and again is told of once.
            let is_new = !is_unmet && shared.visits.turned_away(from, fault.clone());
            if is_new && fault.needs_attention() {
                tracing::warn!(node = %shared.me.id, %from, %fault, "turned away");
            } else {
                tracing::debug!(node = %shared.me.id, %from, %fault, "turned away");
            }
        }
    }
}

/// The first byte of every TLS connection.
const TLS_HANDSHAKE: u8 = 0x16;

async fn admit(shared: &Shared, stream: TcpStream) -> Result<Visitor, Fault> {
    stream.set_nodelay(true).map_err(Fault::of_io)?;
    let mut first = [0];
    if stream.peek(&mut first).await.map_err(Fault::of_io)? == 0 {
        return Err(Fault::Closed);
    }
    let encrypted = first == [TLS_HANDSHAKE];
    match (&shared.security, encrypted) {
        (Security::Open, false) => welcome(shared, Box::new(stream), |_| true).await,
        (Security::Open, true) => {
            // It cannot read this as TLS, which tells it enough. Whom to address is not known.
            let answer = Greeting::new(&shared.me, NodeId(0), Purpose::Messages);
            refuse(stream, answer, Objection::IsOpen).await
        }
        (Security::Tls(_), false) => {
            let mut stream = stream;
            let greeting = Greeting::read(&mut stream).await?;
            let answer = Greeting::new(&shared.me, greeting.sender.id, greeting.purpose);
            refuse(stream, answer, Objection::NeedsTls).await
        }
        (Security::Tls(tls), true) => match tls.accept(stream).await {
            Ok(stream) => {
                let shown = stream.get_ref().1.peer_certificates();
                let shown = shown.and_then(<[_]>::first).cloned();
                let shown = shown.map(CertificateDer::into_owned);
                let cluster = &shared.me.cluster;
                let is = |id| shown.as_ref().is_some_and(|it| tls::proves(it, cluster, id));
                welcome(shared, Box::new(stream), is).await
            }
            Err((error, stream)) => {
                farewell(stream).await;
                Err(Fault::of_io(error))
            }
        },
    }
}

/// Reads the greeting, and answers it.
async fn welcome(
    shared: &Shared,
    mut stream: Stream,
    is: impl Fn(NodeId) -> bool,
) -> Result<Visitor, Fault> {
    let greeting = Greeting::read(&mut stream).await?;
    let answer = Greeting::new(&shared.me, greeting.sender.id, greeting.purpose);
    let proven = || is(greeting.sender.id).then_some(()).ok_or(Objection::Certificate);
    let judged = greeting.judge(&shared.me).and_then(|version| proven().map(|()| version));
    let met = match judged {
        Ok(version) => meet(shared, &greeting.sender, Way::In).await.map(|()| version),
        Err(objection) => Err(objection.into()),
    };
    match met {
        Ok(version) => {
            let seat = shared.seats.take(greeting.sender.id, greeting.purpose).await;
            answer.write(&mut stream).await?;
            Ok(Visitor { stream, version, greeting, seat })
        }
        Err(Unmet { objection, fault }) => {
            tell(stream, answer, objection).await?;
            Err(fault)
        }
    }
}

async fn refuse<T>(
    stream: impl Duplex,
    answer: Greeting,
    objection: Objection,
) -> Result<T, Fault> {
    tell(stream, answer, objection).await?;
    Err(Fault::TurnedAway(objection))
}

/// Answers that there is no conversation, and why.
async fn tell(
    mut stream: impl Duplex,
    answer: Greeting,
    objection: Objection,
) -> Result<(), Fault> {
    let answer = Greeting { verdict: Some(objection), ..answer };
    answer.write(&mut stream).await?;
    farewell(stream).await;
    Ok(())
}

/// Ends a connection so that the other side can read what was written last: a socket that is closed
/// with bytes unread throws away what it has sent.
async fn farewell(mut stream: impl Duplex) {
    let drain = async {
        let _ = stream.shutdown().await;
        let mut unread = [0; 1024];
        for _ in 0..64 {
            if !matches!(stream.read(&mut unread).await, Ok(1..)) {
                break;
            }
        }
    };
    let _ = timeout(Duration::from_secs(1), drain).await;
}

async fn converse(shared: &Shared, visitor: Visitor, from: SocketAddr) {
    let Visitor { stream, version, greeting, seat } = visitor;
    let (id, purpose) = (greeting.sender.id, greeting.purpose);
    let patience = Some(shared.limits.silence);
    let limit = match purpose {
        Purpose::Messages => shared.limits.max_frame,
        // Chunks are short: states have room of their own, and take none of the packets'.
        Purpose::Snapshot => shared.limits.max_frame.min(KEPT),
    };
    let frames = FrameReader::new(stream, version, limit, patience);
    let ended = match purpose {
        Purpose::Messages => {
            announce(shared, &greeting, from);
            tokio::select! {
                biased;
                () = seat.lost() => Fault::Replaced,
                fault = hear_packets(shared, frames, id) => fault,
            }
        }
        Purpose::Snapshot => tokio::select! {
            biased;
            () = seat.lost() => Fault::Replaced,
            fault = snapshot::receive(shared, frames, id) => fault,
        },
    };
    if ended.needs_attention() {
        tracing::warn!(node = %shared.me.id, peer = %id, %from, %ended, "not heard any more");
    } else {
        tracing::debug!(node = %shared.me.id, peer = %id, %from, %ended, "not heard any more");
    }
    if purpose == Purpose::Messages && ended != Fault::Replaced {
        shared.visits.ended(id, ended, shared.addresses.knows(id));
    }
}

/// Takes note of who is heard, and says where a node seems to run twice.
fn announce(shared: &Shared, greeting: &Greeting, from: SocketAddr) {
    let (me, peer, incarnation) = (shared.me.id, greeting.sender.id, greeting.sender.incarnation);
    let before = shared.visits.began(greeting, from);
    match before.filter(|before| before.incarnation != incarnation) {
        Some(before) if before.ended.is_none() => tracing::warn!(
            node = %me, %peer, %from, %incarnation, before = %before.from,
            "heard in the place of an earlier connection: does it run twice?"
        ),
        Some(_) => tracing::info!(node = %me, %peer, %from, %incarnation, "heard after a restart"),
        None => tracing::info!(node = %me, %peer, %from, %incarnation, "heard"),
    }
}

/// Hands every packet to the node, until the connection ends. Where the node is busy, it waits.
async fn hear_packets(shared: &Shared, mut frames: FrameReader<Stream>, from: NodeId) -> Fault {
    loop {
        if let Err(fault) = hear(shared, &mut frames, from).await {
            return fault;
        }
    }
}

async fn hear(
    shared: &Shared,
    frames: &mut FrameReader<Stream>,
    from: NodeId,
) -> Result<(), Fault> {
    let header = frames.header().await?;
    let share = match header.long() {
        Some(length) => {
            let share = shared.room.share(length, !shared.addresses.knows(from));
            Some(meanwhile(&shared.limits, frames.stream(), share).await??)
        }
        None => None,
    };
    match frames.rest(header, share).await? {
        (Kind::Packet, _) => take_in(shared, frames, from).await,
        (Kind::Letter, body) => {
            // Where nobody reads them they are lost: nothing waits behind letters.
            let letter = || (from, body.into());
            let _ = shared.letters.try_send_with(inbox::weight(body), letter);
            Ok(())
        }
        (Kind::Ping, _) => pong(&shared.limits, frames.stream()).await,
        _ => Err(WireError::OutOfTurn.into()),
    }
}

/// Hands the packet that has come to the node. It is made once there is room for it: until then there
/// is nothing but its bytes.
async fn take_in(
    shared: &Shared,
    frames: &mut FrameReader<Stream>,
    from: NodeId,
) -> Result<(), Fault> {
    let room = shared.inbox.room(codec::weight(frames.body()));
    let room = meanwhile(&shared.limits, frames.stream(), room).await?;
    // Where nobody reads the inbox the node has stopped.
    let room = room.map_err(|_| Fault::Closed)?;
    let packet = codec::decode_body(frames.body())?;
    let (claimed, to) = (packet.envelope.from, packet.envelope.to);
    if (claimed, to) != (from, shared.me.id) {
        return Err(Fault::Impersonation { from, claimed, to });
    }
    shared.visits.came(from, 1, 0);
    let put = shared.inbox.put(packet, room);
    meanwhile(&shared.limits, frames.stream(), put).await?.map_err(|_| Fault::Closed)
}

/// Waits for something at this node. What the other side writes is not read until then, its pings
/// neither; so it is told unasked that this node is there, or it would come anew, and wait from the
/// start again.
async fn meanwhile<T>(
    limits: &NetLimits,
    stream: &mut Stream,
    wait: impl Future<Output = T>,
) -> Result<T, Fault> {
    tokio::pin!(wait);
    loop {
        match timeout(limits.ping_interval, &mut wait).await {
            Ok(done) => return Ok(done),
            Err(_) => pong(limits, stream).await?,
        }
    }
}

async fn pong(limits: &NetLimits, stream: &mut Stream) -> Result<(), Fault> {
    write(stream, &frame::bare(codec::VERSION, Kind::Pong), limits.silence).await
}
