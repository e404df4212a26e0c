//! Frames: how messages are told apart in a stream of bytes.
//!
//! ```text
//!  0    2         3      4              8                12
//!  "Qf" version   kind   length (LE)    crc32c (LE)      body, `length` bytes
//! ```
//! The checksum is over everything else: the first eight bytes and the body. TCP's own is 16 bits
//! wide and ends at every proxy; without TLS this is what keeps damaged bytes out of the log.

use std::sync::Arc;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::{Duration, timeout};

use super::fault::Fault;
use super::wire::WireError;

/// The length of what precedes the body.
pub(crate) const HEADER: usize = 12;
const MAGIC: [u8; 2] = *b"Qf";

/// What a frame is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Kind {
    /// A packet of the protocol: see [`codec`](super::codec).
    Packet = 1,
    /// "Are you there?" It keeps a quiet connection open and finds a dead one.
    Ping = 2,
    /// "Yes."
    Pong = 3,
    /// "I have this state for you": see [`snapshot`](super::snapshot).
    Offer = 4,
    /// "I have so many bytes of it already."
    Have = 5,
    /// The next bytes of the state.
    Chunk = 6,
    /// The message that the state belongs to.
    Finish = 7,
    /// "I have all of it."
    Done = 8,
    /// "I do not take it, because …"
    Declined = 9,
    /// Something that one node says to another beside the protocol.
    Letter = 10,
}

impl Kind {
    const ALL: [Kind; 10] = [
        Kind::Packet,
        Kind::Ping,
        Kind::Pong,
        Kind::Offer,
        Kind::Have,
        Kind::Chunk,
        Kind::Finish,
        Kind::Done,
        Kind::Declined,
        Kind::Letter,
    ];

    fn of(byte: u8) -> Result<Kind, WireError> {
        Kind::ALL.into_iter().find(|kind| *kind as u8 == byte).ok_or(WireError::Kind(byte))
    }
}

/// Appends a frame to the buffer, with the body that `body` appends. Where that fails, or is longer
/// than `limit`, the buffer is as it was.
pub(crate) fn append(
    buffer: &mut Vec<u8>,
    (version, kind): (u8, Kind),
    limit: usize,
    body: impl FnOnce(&mut Vec<u8>) -> Result<(), WireError>,
) -> Result<(), WireError> {
    let start = buffer.len();
    buffer.extend_from_slice(&[0; HEADER]);
    let written = body(buffer).and_then(|()| {
        let length = buffer.len() - start - HEADER;
        let fits = u32::try_from(length).ok().filter(|_| length <= limit);
        fits.ok_or(WireError::TooLong { length, limit })
    });
    match written {
        Ok(length) => {
            let (header, body) = buffer[start..].split_at_mut(HEADER);
            header[..2].copy_from_slice(&MAGIC);
            header[2] = version;
            header[3] = kind as u8;
            header[4..8].copy_from_slice(&length.to_le_bytes());
            let checksum = checksum(&header[..8], body);
            header[8..].copy_from_slice(&checksum.to_le_bytes());
            Ok(())
        }
        Err(error) => {
            buffer.truncate(start);
            Err(error)
        }
    }
}

/// A frame without a body.
pub(crate) fn bare(version: u8, kind: Kind) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(HEADER);
    // Nothing is always short enough.
    let _ = append(&mut buffer, (version, kind), 0, |_| Ok(()));
    buffer
}

fn checksum(head: &[u8], body: &[u8]) -> u32 {
    crc32c::crc32c_append(crc32c::crc32c(head), body)
}

/// What the first bytes of a frame say.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Header {
    kind: Kind,
    length: usize,
    checksum: u32,
}

impl Header {
    /// Reads the header, of which the length is not believed beyond `limit`.
    pub(crate) fn read(
        bytes: &[u8; HEADER],
        version: u8,
        limit: usize,
    ) -> Result<Header, WireError> {
        let [m, n, of, kind, a, b, c, d, e, f, g, h] = *bytes;
        if [m, n] != MAGIC {
            return Err(WireError::Magic);
        }
        if of != version {
            return Err(WireError::Version { got: of, agreed: version });
        }
        let kind = Kind::of(kind)?;
        let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
        if length > limit {
            return Err(WireError::TooLong { length, limit });
        }
        Ok(Header { kind, length, checksum: u32::from_le_bytes([e, f, g, h]) })
    }

    fn fits(&self, head: &[u8], body: &[u8]) -> Result<(), WireError> {
        let fits = checksum(head, body) == self.checksum;
        fits.then_some(()).ok_or(WireError::Checksum)
    }
}

/// The kind and the body of the one frame that these bytes are.
pub(crate) fn only(bytes: &[u8], version: u8, limit: usize) -> Result<(Kind, &[u8]), WireError> {
    let (head, body) = bytes.split_first_chunk::<HEADER>().ok_or(WireError::Malformed)?;
    let header = Header::read(head, version, limit)?;
    if body.len() != header.length {
        return Err(WireError::Malformed);
    }
    header.fits(&head[..8], body)?;
    Ok((header.kind, body))
}

/// Reads frames from a stream. What it holds grows with what has arrived, never with what a header
/// announces.
pub(crate) struct FrameReader<R> {
    stream: R,
    version: u8,
    limit: usize,
    /// How long the stream may be quiet; for ever without.
    patience: Option<Duration>,
    /// What has arrived, of which the bytes before `start` were given out.
    buffer: Vec<u8>,
    start: usize,
    /// Bytes of long frames that all connections together may have on their way.
    room: Option<Arc<Semaphore>>,
    /// This one's share of them, for as long as its frame is there.
    share: Option<OwnedSemaphorePermit>,
}

/// How much is read at once.
const STRIDE: usize = 64 << 10;
/// More memory than this is given back once the frame that needed it is done. A longer frame needs its
/// share of what all may have on their way.
const KEPT: usize = 1 << 20;
/// Bytes of a longer frame that have to come in a second: or few strangers would keep all of the room,
/// each with a frame that never ends.
const SLOWEST: f64 = 262_144.0;

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(
        stream: R,
        version: u8,
        limit: usize,
        patience: Option<Duration>,
    ) -> FrameReader<R> {
        let (buffer, start, room, share) = (Vec::new(), 0, None, None);
        FrameReader { stream, version, limit, patience, buffer, start, room, share }
    }

    /// The same with room for so many bytes of long frames, which it shares with others.
    pub(crate) fn within(self, room: Arc<Semaphore>) -> FrameReader<R> {
        FrameReader { room: Some(room), ..self }
    }

    /// The stream, to write to.
    pub(crate) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The next frame. Where the future is dropped, nothing that has arrived is lost.
    pub(crate) async fn next(&mut self) -> Result<(Kind, &[u8]), Fault> {
        self.share = None;
        self.fill(HEADER).await?;
        let head: &[u8; HEADER] =
            self.buffer[self.start..].first_chunk().expect("so much was filled");
        let header = Header::read(head, self.version, self.limit)?;
        self.fill_body(header.length).await?;
        let from = self.start;
        self.start += HEADER + header.length;
        let (head, body) = self.buffer[from..self.start].split_at(HEADER);
        header.fits(&head[..8], body)?;
        Ok((header.kind, body))
    }

    /// Reads the body that follows the header. Where it is long it waits for its share first, in the
    /// order of coming, and from then on has to come.
    async fn fill_body(&mut self, length: usize) -> Result<(), Fault> {
        let share = u32::try_from(length).ok().filter(|_| length > KEPT);
        let (Some(room), Some(share)) = (self.room.clone(), share) else {
            return self.fill(HEADER + length).await;
        };
        // It is closed by nobody.
        let share = room.acquire_many_owned(share).await.map_err(|_| Fault::Closed)?;
        self.share = Some(share);
        let Some(patience) = self.patience else { return self.fill(HEADER + length).await };
        let takes = patience + Duration::from_secs_f64(length as f64 / SLOWEST);
        timeout(takes, self.fill(HEADER + length)).await.map_err(|_| Fault::Silent)?
    }

    /// Reads until `wanted` bytes are there that were not given out.
    async fn fill(&mut self, wanted: usize) -> Result<(), Fault> {
        if self.buffer.len() - self.start >= wanted {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.capacity() > KEPT && wanted <= STRIDE && self.buffer.len() <= STRIDE {
            self.buffer.shrink_to(STRIDE);
        }
        while self.buffer.len() < wanted {
            self.buffer.reserve(STRIDE);
            let read = self.stream.read_buf(&mut self.buffer);
            let read = match self.patience {
                Some(patience) => timeout(patience, read).await.map_err(|_| Fault::Silent)?,
                None => read.await,
            };
            if read.map_err(Fault::of_io)? == 0 {
                return Err(Fault::Closed);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(kind: Kind, body: &[u8]) -> Vec<u8> {
        let mut buffer = Vec::new();
        let put = |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(body);
            Ok(())
        };
        append(&mut buffer, (1, kind), 100, put).expect("it is short");
        buffer
    }

    #[tokio::test]
    async fn frames_come_out_as_they_went_in_however_the_bytes_are_cut() {
        let bytes = [frame(Kind::Ping, b""), frame(Kind::Chunk, b"abc"), frame(Kind::Pong, b"")];
        let bytes = bytes.concat();
        for cut in 0..bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            let mut reader = FrameReader::new(head.chain(tail), 1, 100, None);
            assert_eq!(reader.next().await, Ok((Kind::Ping, b"".as_slice())));
            assert_eq!(reader.next().await, Ok((Kind::Chunk, b"abc".as_slice())));
            assert_eq!(reader.next().await, Ok((Kind::Pong, b"".as_slice())));
            assert_eq!(reader.next().await, Err(Fault::Closed));
        }
    }

    /// A frame of so many bytes, of which so many arrive; nothing more does, and nothing ends.
    fn half(length: usize, arrives: usize) -> FrameReader<Half> {
        let mut bytes = Vec::new();
        let put = |buffer: &mut Vec<u8>| {
            buffer.resize(buffer.len() + length, 7);
            Ok(())
        };
        append(&mut bytes, (1, Kind::Chunk), length, put).expect("it is short");
        bytes.truncate(HEADER + arrives);
        let (reader, writer) = tokio::io::duplex(64);
        let reader = std::io::Cursor::new(bytes).chain(Kept(reader, writer));
        FrameReader::new(reader, 1, length, Some(Duration::from_secs(3)))
    }

    type Half = tokio::io::Chain<std::io::Cursor<Vec<u8>>, Kept>;

    /// The quiet end of a connection, and the other end, so that it stays open.
    struct Kept(tokio::io::DuplexStream, #[expect(dead_code)] tokio::io::DuplexStream);

    impl AsyncRead for Kept {
        fn poll_read(
            mut self: std::pin::Pin<&mut Self>,
            context: &mut std::task::Context<'_>,
            buffer: &mut tokio::io::ReadBuf<'_>,
        ) -> std::task::Poll<std::io::Result<()>> {
            std::pin::Pin::new(&mut self.0).poll_read(context, buffer)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_frame_takes_its_share_of_the_room_and_gives_it_back_when_it_is_done() {
        let room = Arc::new(Semaphore::new(5 * KEPT));
        let whole = 3 * KEPT;
        let mut first = half(whole, whole).within(Arc::clone(&room));
        assert_eq!(first.next().await.map(|(_, body)| body.len()), Ok(whole));
        assert_eq!(room.available_permits(), 2 * KEPT);
        let mut second = half(whole, whole).within(Arc::clone(&room));
        let wait = timeout(Duration::from_secs(60), second.next()).await;
        assert!(wait.is_err(), "there is no room for both");
        let mut short = half(KEPT, KEPT).within(Arc::clone(&room));
        assert_eq!(short.next().await.map(|(_, body)| body.len()), Ok(KEPT), "it needs no room");
        assert_eq!(first.next().await, Err(Fault::Silent), "its frame is done");
        assert_eq!(second.next().await.map(|(_, body)| body.len()), Ok(whole));
        drop(second);
        assert_eq!(room.available_permits(), 5 * KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_frame_that_never_ends_does_not_keep_the_room() {
        let room = Arc::new(Semaphore::new(5 * KEPT));
        let (reader, mut writer) = tokio::io::duplex(64);
        let dribble = tokio::spawn(async move {
            use tokio::io::AsyncWriteExt;
            let head = half(5 * KEPT, 0).stream.into_inner().0.into_inner();
            let _ = writer.write_all(&head).await;
            // Never quiet for long.
            while writer.write_all(&[7]).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let mut slow = FrameReader::new(reader, 1, 5 * KEPT, Some(Duration::from_secs(3)))
            .within(Arc::clone(&room));
        assert_eq!(slow.next().await, Err(Fault::Silent));
        drop(slow);
        assert_eq!(room.available_permits(), 5 * KEPT);
        dribble.await.expect("it does not panic");
    }

    #[test]
    fn no_bit_of_a_frame_can_flip_unnoticed() {
        let whole = frame(Kind::Chunk, b"abc");
        assert!(only(&whole, 1, 100).is_ok());
        for bit in 0..8 * whole.len() {
            let mut damaged = whole.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert!(only(&damaged, 1, 100).is_err(), "bit {bit}");
        }
    }

    #[test]
    fn what_is_wrong_with_a_frame_is_said() {
        let whole = frame(Kind::Chunk, b"abc");
        let with = |at: usize, byte: u8| {
            let mut bytes = whole.clone();
            bytes[at] = byte;
            only(&bytes, 1, 100).expect_err("it is damaged")
        };
        assert_eq!(with(0, b'H'), WireError::Magic);
        assert_eq!(with(2, 7), WireError::Version { got: 7, agreed: 1 });
        assert_eq!(with(3, 99), WireError::Kind(99));
        assert_eq!(with(4, 101), WireError::TooLong { length: 101, limit: 100 });
        assert_eq!(with(12, b'x'), WireError::Checksum);
        assert_eq!(only(&whole[..14], 1, 100), Err(WireError::Malformed));
    }

    #[test]
    fn a_body_over_the_limit_leaves_nothing_behind() {
        let mut buffer = b"before".to_vec();
        let put = |buffer: &mut Vec<u8>| {
            buffer.extend_from_slice(&[0; 101]);
            Ok(())
        };
        let refused = append(&mut buffer, (1, Kind::Chunk), 100, put);
        assert_eq!(refused, Err(WireError::TooLong { length: 101, limit: 100 }));
        assert_eq!(buffer, b"before");
    }
}
