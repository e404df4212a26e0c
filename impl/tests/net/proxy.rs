//! A piece of network between two nodes: it can be cut, or swallow everything, or break after so many
//! bytes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{AbortHandle, JoinSet};

/// What the network does.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Weather {
    /// It carries everything.
    Fair,
    /// Connections break, and new ones do too.
    Cut,
    /// Connections stay, and carry nothing.
    Frozen,
}

/// Where a node finds another one, with the network between them.
pub(crate) struct Proxy {
    address: String,
    weather: watch::Sender<Weather>,
    carried: Arc<AtomicU64>,
    task: AbortHandle,
}

impl Proxy {
    /// The way to `target`. Each connection breaks after it has carried so many bytes there.
    pub(crate) async fn breaking(target: String, after: u64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("there are ports");
        let address = listener.local_addr().expect("it is bound").to_string();
        let weather = watch::Sender::new(Weather::Fair);
        let carried = Arc::new(AtomicU64::new(0));
        let way = Way { target, weather: weather.clone(), carried: Arc::clone(&carried), after };
        let task = tokio::spawn(accept(listener, way)).abort_handle();
        Proxy { address, weather, carried, task }
    }

    /// The way to `target`.
    pub(crate) async fn to(target: String) -> Proxy {
        Proxy::breaking(target, u64::MAX).await
    }

    pub(crate) fn address(&self) -> &str {
        &self.address
    }

    pub(crate) fn turn(&self, weather: Weather) {
        self.weather.send_replace(weather);
    }

    /// Bytes that were carried to the target.
    pub(crate) fn carried(&self) -> u64 {
        self.carried.load(Ordering::SeqCst)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[derive(Clone)]
struct Way {
    target: String,
    weather: watch::Sender<Weather>,
    carried: Arc<AtomicU64>,
    after: u64,
}

async fn accept(listener: TcpListener, way: Way) {
    let mut connections = JoinSet::new();
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        connections.spawn(carry(stream, way.clone()));
    }
}

/// Carries both directions, until one ends or the weather breaks the connection.
async fn carry(near: TcpStream, way: Way) {
    let mut weather = way.weather.subscribe();
    if *weather.borrow_and_update() == Weather::Cut {
        return;
    }
    let Ok(far) = TcpStream::connect(&way.target).await else { return };
    let ((mut near_in, mut near_out), (mut far_in, mut far_out)) =
        (near.into_split(), far.into_split());
    let there = async {
        let (mut buffer, mut carried, mut weather) =
            (vec![0; 16 << 10], 0, way.weather.subscribe());
        while let Ok(read @ 1..) = near_in.read(&mut buffer).await {
            thaw(&mut weather).await;
            if far_out.write_all(&buffer[..read]).await.is_err() {
                return;
            }
            way.carried.fetch_add(read as u64, Ordering::SeqCst);
            carried += read as u64;
            if carried >= way.after {
                return;
            }
        }
    };
    let back = async {
        let (mut buffer, mut weather) = (vec![0; 16 << 10], way.weather.subscribe());
        while let Ok(read @ 1..) = far_in.read(&mut buffer).await {
            thaw(&mut weather).await;
            if near_out.write_all(&buffer[..read]).await.is_err() {
                return;
            }
        }
    };
    tokio::select! {
        () = there => {}
        () = back => {}
        _ = weather.wait_for(|weather| *weather == Weather::Cut) => {}
    }
}

async fn thaw(weather: &mut watch::Receiver<Weather>) {
    // The sender is in the way, which outlives this.
    let _ = weather.wait_for(|weather| *weather != Weather::Frozen).await;
}
