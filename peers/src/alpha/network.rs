//! How openraft's nodes reach each other: its requests and answers in postcard.

use std::io::{self, Cursor};

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
use crate::link;
use crate::roads::{Road, Roads};

#[derive(Serialize, Deserialize)]
enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<Types>),
}

impl RaftNetworkFactory<Types> for Roads {
    type Network = Road;

    async fn new_client(&mut self, to: u64, _: &BasicNode) -> Road {
        self.to(to)
    }
}

async fn ask<T: DeserializeOwned>(road: &mut Road, request: &Request) -> io::Result<T> {
    let answer = road.ask(postcard::to_stdvec(request).map_err(io::Error::other)?).await?;
    postcard::from_bytes(&answer).map_err(io::Error::other)
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
        ask(self, &Request::Append(rpc)).await.map_err(unreachable)
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<Types>,
        _: RPCOption,
    ) -> Result<VoteResponse<Types>, RPCError<Types>> {
        ask(self, &Request::Vote(rpc)).await.map_err(unreachable)
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
