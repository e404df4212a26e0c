//! Frames: how messages are told apart in a stream of bytes.
//!
//! ```text
//!  0    2         3      4              8                12
//!  "Qf" version   kind   length (LE)    crc32c (LE)      body, `length` bytes
//! ```
//! The checksum is over everything else: the first eight bytes and the body. TCP's own is 16 bits
//! wide and ends at every proxy; without TLS this is what keeps damaged bytes out of the log.

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::time::{Duration, Instant, timeout_at};

use super::fault::Fault;
use super::room::Share;
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

    /// The length of the body, where it is so long that it needs a share of the room.
    pub(crate) fn long(&self) -> Option<usize> {
        Some(self.length).filter(|length| *length > KEPT)
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
    /// The length of the body that was given out last, which ends at `start`.
    given: usize,
    /// What a long frame has of the room for them, for as long as it is there.
    share: Option<Share>,
}

/// How much is read at once, and of what follows a frame at most.
const STRIDE: usize = 64 << 10;
/// More memory than this is given back once the frame that needed it is done. A longer frame needs its
/// share of what all may have on their way. A full request of the default limits does not, with the head
/// that names its entries: a peer's heartbeats come behind it.
pub(crate) const KEPT: usize = (1 << 20) + (64 << 10);
/// Bytes of a longer frame that have to come in a second, all the time: or few would keep all of the
/// room, each with a frame that hardly moves.
const SLOWEST: f64 = 262_144.0;

impl<R: AsyncRead + Unpin> FrameReader<R> {
    pub(crate) fn new(
        stream: R,
        version: u8,
        limit: usize,
        patience: Option<Duration>,
    ) -> FrameReader<R> {
        let (buffer, start, given, share) = (Vec::new(), 0, 0, None);
        FrameReader { stream, version, limit, patience, buffer, start, given, share }
    }

    /// The stream, to write to.
    pub(crate) fn stream(&mut self) -> &mut R {
        &mut self.stream
    }

    /// The next frame, of any length up to the limit. Where the future is dropped, nothing that has
    /// arrived is lost.
    pub(crate) async fn next(&mut self) -> Result<(Kind, &[u8]), Fault> {
        let header = self.header().await?;
        self.rest(header, None).await
    }

    /// What the next frame is. It is asked for again until the [rest](Self::rest) is there.
    pub(crate) async fn header(&mut self) -> Result<Header, Fault> {
        self.let_go();
        self.fill(HEADER, None).await?;
        let head: &[u8; HEADER] =
            self.buffer[self.start..].first_chunk().expect("so much was filled");
        Ok(Header::read(head, self.version, self.limit)?)
    }

    /// The rest of the frame with this header. With a share it has to come at a rate from now on.
    pub(crate) async fn rest(
        &mut self,
        header: Header,
        share: Option<Share>,
    ) -> Result<(Kind, &[u8]), Fault> {
        let began = share.is_some().then(Instant::now);
        self.share = share;
        self.fill(HEADER + header.length, began).await?;
        let from = self.start;
        self.start += HEADER + header.length;
        self.given = header.length;
        let (head, body) = self.buffer[from..self.start].split_at(HEADER);
        header.fits(&head[..8], body)?;
        Ok((header.kind, body))
    }

    /// The body of the frame that came last.
    pub(crate) fn body(&self) -> &[u8] {
        &self.buffer[self.start - self.given..self.start]
    }

    /// Gives back what the frame before needed: its memory, and only then its share.
    fn let_go(&mut self) {
        self.given = 0;
        if self.share.is_some() {
            self.buffer.drain(..self.start);
            self.start = 0;
            self.buffer.shrink_to(STRIDE);
            self.share = None;
        }
    }

    /// Reads until `wanted` bytes are there that were not given out. Where it is said when that `began`,
    /// they may not fall behind the least rate.
    async fn fill(&mut self, wanted: usize, began: Option<Instant>) -> Result<(), Fault> {
        if self.buffer.len() - self.start >= wanted {
            return Ok(());
        }
        self.buffer.drain(..self.start);
        (self.start, self.given) = (0, 0);
        if self.buffer.capacity() > KEPT && wanted <= STRIDE && self.buffer.len() <= STRIDE {
            self.buffer.shrink_to(STRIDE);
        }
        while self.buffer.len() < wanted {
            let most = wanted + STRIDE;
            self.grow(most);
            let until = self.until(began);
            let missing = (most - self.buffer.len()) as u64;
            let mut stream = (&mut self.stream).take(missing);
            let read = stream.read_buf(&mut self.buffer);
            let read = match until {
                Some(until) => timeout_at(until, read).await.map_err(|_| Fault::Silent)?,
                None => read.await,
            };
            if read.map_err(Fault::of_io)? == 0 {
                return Err(Fault::Closed);
            }
        }
        Ok(())
    }

    /// Makes room for the next bytes of `most`: twice as much each time, and no more than all of them.
    fn grow(&mut self, most: usize) {
        let (length, capacity) = (self.buffer.len(), self.buffer.capacity());
        if capacity < most && capacity - length < STRIDE / 2 {
            let capacity = (2 * capacity).clamp(length + STRIDE / 2, most);
            self.buffer.reserve_exact(capacity.max(length + 1) - length);
        }
    }

    /// Until when something more has to come.
    fn until(&self, began: Option<Instant>) -> Option<Instant> {
        let patience = self.patience?;
        let quiet = Instant::now() + patience;
        let pace = Duration::from_secs_f64(self.buffer.len() as f64 / SLOWEST);
        Some(began.map_or(quiet, |began| quiet.min(began + patience + pace)))
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};
    use tokio::time::timeout;

    use super::*;
    use crate::net::room::Room;

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

    /// A whole frame of so many bytes, and the beginning of another one.
    fn long(length: usize, tail: usize) -> Vec<u8> {
        let mut bytes = Vec::new();
        let put = |buffer: &mut Vec<u8>| {
            buffer.resize(buffer.len() + length, 7);
            Ok(())
        };
        append(&mut bytes, (1, Kind::Chunk), length, put).expect("it is short");
        bytes.extend_from_slice(&bare(1, Kind::Ping).repeat(tail / HEADER + 1)[..tail]);
        bytes
    }

    const PATIENCE: Duration = Duration::from_secs(3);

    /// Reads these bytes, after which nothing more comes, and nothing ends while the writer is there.
    async fn reader(bytes: &[u8]) -> (FrameReader<DuplexStream>, DuplexStream) {
        let (reader, mut writer) = duplex(bytes.len().max(64));
        writer.write_all(bytes).await.expect("there is room");
        (FrameReader::new(reader, 1, 5 * KEPT, Some(PATIENCE)), writer)
    }

    /// The length of the next frame, which has its share of the room.
    async fn next(reader: &mut FrameReader<DuplexStream>, room: &Room) -> Result<usize, Fault> {
        let header = reader.header().await?;
        let share = match header.long() {
            Some(length) => Some(room.share(length, false).await?),
            None => None,
        };
        reader.rest(header, share).await.map(|(_, body)| body.len())
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_frame_takes_its_share_of_the_room_and_gives_it_back_when_it_is_done() {
        let room = Room::new(5 * KEPT);
        let whole = long(3 * KEPT, 0);
        let (mut first, _first) = reader(&whole).await;
        assert_eq!(next(&mut first, &room).await, Ok(3 * KEPT));
        assert_eq!(first.body().len(), 3 * KEPT);
        assert_eq!(room.left(), 2 * KEPT);
        let (mut second, _second) = reader(&whole).await;
        let wait = timeout(Duration::from_secs(60), next(&mut second, &room)).await;
        assert!(wait.is_err(), "there is no room for both");
        let (mut short, _short) = reader(&long(KEPT, 0)).await;
        assert_eq!(next(&mut short, &room).await, Ok(KEPT), "it needs no room");
        assert_eq!(next(&mut first, &room).await, Err(Fault::Silent), "its frame is done");
        assert_eq!(next(&mut second, &room).await, Ok(3 * KEPT));
        drop(second);
        assert_eq!(room.left(), 5 * KEPT);
    }

    #[tokio::test(start_paused = true)]
    async fn the_memory_of_a_long_frame_goes_before_its_share_whatever_follows() {
        let room = Room::new(5 * KEPT);
        for tail in [0, HEADER, STRIDE, 2 * KEPT] {
            let (mut frames, _writer) = reader(&long(3 * KEPT, tail)).await;
            assert_eq!(next(&mut frames, &room).await, Ok(3 * KEPT));
            let held = frames.buffer.capacity();
            assert!(held <= HEADER + 3 * KEPT + STRIDE, "{held} bytes are held, and counted");
            let _ = timeout(PATIENCE / 2, next(&mut frames, &room)).await;
            let (held, left) = (frames.buffer.capacity(), room.left());
            assert!(held <= 2 * STRIDE, "{held} bytes are held after it");
            assert_eq!(left, 5 * KEPT);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_frame_that_falls_behind_the_least_rate_does_not_keep_the_room() {
        let room = Room::new(5 * KEPT);
        for (rate, comes) in [(KEPT / 2, true), (KEPT / 8, false)] {
            let (mut frames, mut writer) = reader(&[]).await;
            let dribble = tokio::spawn(async move {
                // Never quiet for long.
                for bytes in long(5 * KEPT, 0).chunks(rate) {
                    if writer.write_all(bytes).await.is_err() {
                        return;
                    }
                    tokio::time::sleep(Duration::from_secs(1)).await;
                }
            });
            let began = Instant::now();
            let read = next(&mut frames, &room).await;
            assert_eq!(read.is_ok(), comes, "{read:?}");
            if !comes {
                // Long before all of it would have come at the least rate.
                assert!(began.elapsed() < 3 * PATIENCE, "{:?}", began.elapsed());
            }
            drop(frames);
            assert_eq!(room.left(), 5 * KEPT);
            dribble.await.expect("it does not panic");
        }
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
