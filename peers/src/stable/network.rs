//! How openraft's nodes reach each other: postcard over one connection for each pair and direction.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use openraft::error::{InstallSnapshotError, RPCError, RaftError, RemoteError, Unreachable};
use openraft::network::RPCOption;
use openraft::raft::{
    AppendEntriesRequest, AppendEntriesResponse, InstallSnapshotRequest, InstallSnapshotResponse,
    VoteRequest, VoteResponse,
};
use openraft::{BasicNode, Raft, RaftNetwork, RaftNetworkFactory};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::Types;
use crate::link::{self, Link};

type Failed<E = openraft::error::Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

#[derive(Serialize, Deserialize)]
enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<u64>),
    Install(InstallSnapshotRequest<Types>),
}

/// Connections to the others, which all clients of one node share.
#[derive(Clone)]
pub(super) struct Roads {
    addresses: Arc<Mutex<BTreeMap<u64, SocketAddr>>>,
    links: Arc<tokio::sync::Mutex<BTreeMap<u64, Link>>>,
}

impl Roads {
    pub(super) fn new(addresses: Arc<Mutex<BTreeMap<u64, SocketAddr>>>) -> Roads {
        Roads { addresses, links: Arc::default() }
    }

    async fn link(&self, to: u64) -> io::Result<Link> {
        let mut links = self.links.lock().await;
        if let Some(link) = links.get(&to) {
            return Ok(link.clone());
        }
        let address =
            self.addresses.lock().unwrap_or_else(PoisonError::into_inner).get(&to).copied();
        let link = Link::open(address.ok_or(io::ErrorKind::NotFound)?).await?;
        links.insert(to, link.clone());
        Ok(link)
    }
}

impl RaftNetworkFactory<Types> for Roads {
    type Network = Road;

    async fn new_client(&mut self, to: u64, _: &BasicNode) -> Road {
        Road { roads: self.clone(), link: None, to }
    }
}

/// The way to one node.
pub(super) struct Road {
    roads: Roads,
    link: Option<Link>,
    to: u64,
}

impl Road {
    async fn ask<T: DeserializeOwned, E>(&mut self, request: &Request) -> Result<T, Failed<E>>
    where
        E: std::error::Error + DeserializeOwned + 'static,
    {
        let unreachable = |error: io::Error| RPCError::Unreachable(Unreachable::new(&error));
        let link = match &self.link {
            Some(link) => link,
            None => self.link.insert(self.roads.link(self.to).await.map_err(unreachable)?),
        };
        let request = postcard::to_stdvec(request).map_err(io::Error::other);
        let answer = link.ask(request.map_err(unreachable)?).await.map_err(unreachable)?;
        let answer: Result<T, RaftError<u64, E>> =
            postcard::from_bytes(&answer).map_err(io::Error::other).map_err(unreachable)?;
        answer.map_err(|error| RPCError::RemoteError(RemoteError::new(self.to, error)))
    }
}

impl RaftNetwork<Types> for Road {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        self.ask(&Request::Append(rpc)).await
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failed<InstallSnapshotError>> {
        self.ask(&Request::Install(rpc)).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, Failed> {
        self.ask(&Request::Vote(rpc)).await
    }
}

/// Answers the others for this node.
pub(super) async fn serve(listener: TcpListener, raft: Raft<Types>) {
    let answer = move |request: Vec<u8>| {
        let raft = raft.clone();
        async move {
            let answer = match postcard::from_bytes(&request) {
                Ok(Request::Append(rpc)) => postcard::to_stdvec(&raft.append_entries(rpc).await),
                Ok(Request::Vote(rpc)) => postcard::to_stdvec(&raft.vote(rpc).await),
                Ok(Request::Install(rpc)) => postcard::to_stdvec(&raft.install_snapshot(rpc).await),
                // No answer can be read from that.
                Err(_) => Ok(Vec::new()),
            };
            answer.unwrap_or_default()
        }
    };
    link::serve(listener, answer).await;
}
