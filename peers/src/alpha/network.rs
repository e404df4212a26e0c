//! How openraft's nodes reach each other: postcard over one connection for each pair and direction.

use std::collections::BTreeMap;
use std::io::{self, Cursor};
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use openraft_alpha::alias::{SnapshotOf, VoteOf};
use openraft_alpha::errors::{RPCError, ReplicationClosed, StreamingError, Unreachable};
use openraft_alpha::network::RPCOption;
use openraft_alpha::raft::{
    AppendEntriesRequest, AppendEntriesResponse, SnapshotResponse, VoteRequest, VoteResponse,
};
use openraft_alpha::{BasicNode, OptionalSend, Raft, RaftNetworkFactory, RaftNetworkV2};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use tokio::net::TcpListener;

use super::Types;
use super::store::Machine;
use crate::link::{self, Link};

#[derive(Serialize, Deserialize)]
enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
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
    async fn ask<T: DeserializeOwned>(&mut self, request: &Request) -> io::Result<T> {
        let link = match &self.link {
            Some(link) => link,
            None => self.link.insert(self.roads.link(self.to).await?),
        };
        let request = postcard::to_stdvec(request).map_err(io::Error::other)?;
        let answer = link.ask(request).await?;
        postcard::from_bytes(&answer).map_err(io::Error::other)
    }
}

fn unreachable(error: io::Error) -> RPCError<Types> {
    RPCError::Unreachable(Unreachable::new(&error))
}

impl RaftNetworkV2<Types> for Road {
    type SnapshotData = Cursor<Vec<u8>>;

    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<Types>, RPCError<Types>> {
        self.ask(&Request::Append(rpc)).await.map_err(unreachable)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        self.ask(&Request::Vote(rpc)).await.map_err(unreachable)
    }

    async fn full_snapshot(
        &mut self,
        _: VoteOf<Types>,
        _: SnapshotOf<Types, Cursor<Vec<u8>>>,
        _: impl Future<Output = ReplicationClosed> + OptionalSend + 'static,
        _: RPCOption,
    ) -> Result<SnapshotResponse<Types>, StreamingError<Types>> {
        let error = io::Error::other("no snapshot is taken here");
        Err(StreamingError::Unreachable(Unreachable::new(&error)))
    }
}

/// Answers the others for this node. An error is answered by bytes that are no answer.
pub(super) async fn serve(listener: TcpListener, raft: Raft<Types, Machine>) {
    let answer = move |request: Vec<u8>| {
        let raft = raft.clone();
        async move {
            let answer = match postcard::from_bytes(&request) {
                Ok(Request::Append(rpc)) => {
                    let answer = raft.append_entries(rpc).await.ok();
                    answer.and_then(|answer| postcard::to_stdvec(&answer).ok())
                }
                Ok(Request::Vote(rpc)) => {
                    let answer = raft.vote(rpc).await.ok();
                    answer.and_then(|answer| postcard::to_stdvec(&answer).ok())
                }
                Err(_) => None,
            };
            answer.unwrap_or_default()
        }
    };
    link::serve(listener, answer).await;
}
