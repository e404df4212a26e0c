//! How openraft's nodes reach each other: its requests and answers in postcard.

use std::io;

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
use crate::link;
use crate::roads::{Road, Roads};

type Failed<E = openraft::error::Infallible> = RPCError<u64, BasicNode, RaftError<u64, E>>;

#[derive(Serialize, Deserialize)]
enum Request {
    Append(AppendEntriesRequest<Types>),
    Vote(VoteRequest<u64>),
    Install(InstallSnapshotRequest<Types>),
}

impl RaftNetworkFactory<Types> for Roads {
    type Network = Road;

    async fn new_client(&mut self, to: u64, _: &BasicNode) -> Road {
        self.to(to)
    }
}

async fn ask<T: DeserializeOwned, E>(road: &mut Road, request: &Request) -> Result<T, Failed<E>>
where
    E: std::error::Error + DeserializeOwned + 'static,
{
    let unreachable = |error: io::Error| RPCError::Unreachable(Unreachable::new(&error));
    let request = postcard::to_stdvec(request).map_err(io::Error::other).map_err(unreachable)?;
    let answer = road.ask(request).await.map_err(unreachable)?;
    let answer: Result<T, RaftError<u64, E>> =
        postcard::from_bytes(&answer).map_err(io::Error::other).map_err(unreachable)?;
    answer.map_err(|error| RPCError::RemoteError(RemoteError::new(road.to, error)))
}

impl RaftNetwork<Types> for Road {
    async fn append_entries(
        &mut self,
        rpc: AppendEntriesRequest<Types>,
        _: RPCOption,
    ) -> Result<AppendEntriesResponse<u64>, Failed> {
        ask(self, &Request::Append(rpc)).await
    }

    async fn install_snapshot(
        &mut self,
        rpc: InstallSnapshotRequest<Types>,
        _: RPCOption,
    ) -> Result<InstallSnapshotResponse<u64>, Failed<InstallSnapshotError>> {
        ask(self, &Request::Install(rpc)).await
    }

    async fn vote(
        &mut self,
        rpc: VoteRequest<u64>,
        _: RPCOption,
    ) -> Result<VoteResponse<u64>, Failed> {
        ask(self, &Request::Vote(rpc)).await
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
