//! Requests and their answers over TCP, for the peers: one connection a direction, any number of
//! requests under way on it, frames of a length, a number and bytes. What waits is written at once.

use std::collections::HashMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, oneshot};

/// Bytes that are gathered for one write.
const GATHERED: usize = 256 << 10;

type Waiting = Arc<Mutex<HashMap<u64, oneshot::Sender<Vec<u8>>>>>;

/// A connection to a node, for requests.
#[derive(Clone)]
pub(crate) struct Link {
    requests: mpsc::UnboundedSender<(Vec<u8>, oneshot::Sender<Vec<u8>>)>,
}

impl Link {
    /// Connects. The tasks end with the connection, or with the last clone.
    pub(crate) async fn open(to: SocketAddr) -> io::Result<Link> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (reader, writer) = stream.into_split();
        let (requests, mut queue) = mpsc::unbounded_channel::<(Vec<u8>, oneshot::Sender<_>)>();
        let waiting = Waiting::default();
        let (frames, out) = mpsc::unbounded_channel();
        tokio::spawn(write_all(writer, out));
        let answers = Arc::clone(&waiting);
        tokio::spawn(async move {
            for number in 0.. {
                let Some((request, answer)) = queue.recv().await else { return };
                waiting.lock().unwrap_or_else(PoisonError::into_inner).insert(number, answer);
                if frames.send((number, request)).is_err() {
                    return;
                }
            }
        });
        tokio::spawn(async move {
            let mut reader = BufReader::with_capacity(64 << 10, reader);
            while let Ok((number, answer)) = read(&mut reader).await {
                let asked = answers.lock().unwrap_or_else(PoisonError::into_inner).remove(&number);
                // Whoever asked may have given up.
                let _ = asked.map(|asked| asked.send(answer));
            }
            answers.lock().unwrap_or_else(PoisonError::into_inner).clear();
        });
        Ok(Link { requests })
    }

    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&self, request: Vec<u8>) -> io::Result<Vec<u8>> {
        let (answer, answered) = oneshot::channel();
        self.requests.send((request, answer)).map_err(io::Error::other)?;
        answered.await.map_err(io::Error::other)
    }
}

/// Answers whoever connects, each request in a task of its own.
pub(crate) async fn serve<F>(
    listener: TcpListener,
    answer: impl Fn(Vec<u8>) -> F + Clone + Send + 'static,
) where
    F: Future<Output = Vec<u8>> + Send + 'static,
{
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let (reader, writer) = stream.into_split();
        let (frames, out) = mpsc::unbounded_channel();
        tokio::spawn(write_all(writer, out));
        let answer = answer.clone();
        tokio::spawn(async move {
            let mut reader = BufReader::with_capacity(64 << 10, reader);
            while let Ok((number, request)) = read(&mut reader).await {
                let (answered, frames) = (answer(request), frames.clone());
                tokio::spawn(async move {
                    // The connection may be gone.
                    let _ = frames.send((number, answered.await));
                });
            }
        });
    }
}

async fn read(from: &mut BufReader<OwnedReadHalf>) -> io::Result<(u64, Vec<u8>)> {
    let length = from.read_u32_le().await? as usize;
    let number = from.read_u64_le().await?;
    let mut bytes = vec![0; length];
    from.read_exact(&mut bytes).await?;
    Ok((number, bytes))
}

async fn write_all(mut to: OwnedWriteHalf, mut frames: mpsc::UnboundedReceiver<(u64, Vec<u8>)>) {
    let mut buffer = Vec::new();
    while let Some(mut frame) = frames.recv().await {
        buffer.clear();
        loop {
            let (number, bytes) = &frame;
            let length = u32::try_from(bytes.len()).expect("requests are short");
            buffer.extend_from_slice(&length.to_le_bytes());
            buffer.extend_from_slice(&number.to_le_bytes());
            buffer.extend_from_slice(bytes);
            match frames.try_recv() {
                Ok(next) if buffer.len() < GATHERED => frame = next,
                Ok(next) => {
                    if to.write_all(&buffer).await.is_err() {
                        return;
                    }
                    buffer.clear();
                    frame = next;
                }
                Err(_) => break,
            }
        }
        if to.write_all(&buffer).await.is_err() {
            return;
        }
    }
}
