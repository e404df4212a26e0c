//! The ways between the nodes of an openraft cluster: one connection for each pair and direction, which
//! all clients of a node share.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::net::TcpListener;

use crate::link::Link;

/// Where the nodes listen. Clones are the same table.
#[derive(Clone, Default)]
pub(crate) struct Places(Arc<Mutex<BTreeMap<u64, SocketAddr>>>);

impl Places {
    /// Listens for this node.
    pub(crate) async fn listen(&self, id: u64) -> io::Result<TcpListener> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(id, at);
        Ok(listener)
    }

    fn of(&self, id: u64) -> io::Result<SocketAddr> {
        let places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        places.get(&id).copied().ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// One node's ways to the others.
#[derive(Clone)]
pub(crate) struct Roads {
    places: Places,
    links: Arc<tokio::sync::Mutex<BTreeMap<u64, Link>>>,
}

impl Roads {
    pub(crate) fn new(places: &Places) -> Roads {
        Roads { places: places.clone(), links: Arc::default() }
    }

    pub(crate) fn to(&self, to: u64) -> Road {
        Road { roads: self.clone(), link: None, to }
    }

    async fn link(&self, to: u64) -> io::Result<Link> {
        let mut links = self.links.lock().await;
        if let Some(link) = links.get(&to) {
            return Ok(link.clone());
        }
        let link = Link::open(self.places.of(to)?).await?;
        links.insert(to, link.clone());
        Ok(link)
    }
}

/// The way to one node.
pub(crate) struct Road {
    roads: Roads,
    link: Option<Link>,
    pub(crate) to: u64,
}

impl Road {
    /// Asks, and waits for the answer.
    pub(crate) async fn ask(&mut self, request: Vec<u8>) -> io::Result<Vec<u8>> {
        let link = match &self.link {
            Some(link) => link,
            None => self.link.insert(self.roads.link(self.to).await?),
        };
        link.ask(request).await
    }
}
