//! Threads of the storage that panic: nobody goes on without a disk.

use std::sync::Arc;
use std::time::Duration;

use quorate_spec::{Configuration, EntryId, Index, NodeId, Term};
use tokio::time::timeout;

use super::writer::Job;
use super::{DiskOptions, DiskStorage};
use crate::builder::{Builder, Wire};
use crate::errors::StopReason;
use crate::machine::{Command, Response, StateMachine};
use crate::network::Network;
use crate::record::MachineState;
use crate::storage::{Storage, StorageError};

/// The thread of the states panics at the state after this entry.
pub(super) const PLANTED: Index = Index(0xDEAD);

struct Nothing;

impl StateMachine for Nothing {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(
        &self,
    ) -> impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()> + Send + 'static {
        |_: &mut dyn std::io::Write| Ok(())
    }

    fn restore(&mut self, _: &mut dyn std::io::Read) -> std::io::Result<()> {
        Ok(())
    }
}

fn storage() -> (tempfile::TempDir, DiskStorage) {
    let folder = tempfile::tempdir().expect("there is room");
    let options = DiskOptions::new(7, NodeId(1), Configuration::of([NodeId(1)]));
    let storage = DiskStorage::open(folder.path().join("node"), options).expect("it is new");
    (folder, storage)
}

async fn stopped(storage: DiskStorage, harm: impl FnOnce()) -> StopReason {
    let network = Network::new(7);
    let packets = network.attach(NodeId(1), 16);
    let wire = Wire { packets, mail: None, transport: Arc::new(network) };
    let node = Builder::new(NodeId(1)).start(storage, wire, Nothing).expect("it fits");
    harm();
    let reason = timeout(Duration::from_secs(20), node.handle().stopped()).await;
    reason.expect("a node without a disk stops")
}

#[tokio::test]
async fn a_writer_that_panics_stops_its_node() {
    let (_folder, storage) = storage();
    let jobs = storage.jobs.clone();
    let reason = stopped(storage, || drop(jobs.send(Job::Panic))).await;
    assert_eq!(reason, StopReason::Storage(StorageError::WriterGone));
}

#[tokio::test]
async fn a_thread_of_states_that_panics_stops_its_node() {
    let (_folder, mut storage) = storage();
    let last = EntryId { term: Term(1), index: PLANTED };
    storage.keep(MachineState { last, bytes: b"state".as_slice().into() });
    let reason = stopped(storage, || ()).await;
    assert_eq!(reason, StopReason::Storage(StorageError::WriterGone));
}
