//! Nodes on real directories and addresses of this machine.

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use quorate::clock::span;
use quorate::net::{Addresses, ClusterId, NetLimits, Security};
use quorate::{Begin, Builder, Command, Limits, Node, NodeError, Response, Site, StateMachine};
use quorate_spec::{NodeId, Params};

/// Far more than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits for something that happens by itself.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

/// Waits until `condition` gives something.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = condition() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    soon(what, found).await
}

/// A machine that keeps all commands.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<Vec<u8>>>>);

impl Journal {
    pub(crate) fn lines(&self) -> MutexGuard<'_, Vec<Vec<u8>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl StateMachine for Journal {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        self.lines().extend(commands.iter().map(|command| command.bytes.to_vec()));
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let lines = self.lines().clone();
        move |out: &mut dyn Write| {
            lines.iter().try_for_each(|line| {
                out.write_all(&(line.len() as u64).to_le_bytes())?;
                out.write_all(line)
            })
        }
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        let (mut bytes, mut lines) = (Vec::new(), Vec::new());
        state.read_to_end(&mut bytes)?;
        let mut rest = &bytes[..];
        while let Some((length, after)) = rest.split_first_chunk() {
            let length = usize::try_from(u64::from_le_bytes(*length)).expect("it fitted before");
            let (line, after) = after.split_at_checked(length).ok_or(io::ErrorKind::InvalidData)?;
            lines.push(line.to_vec());
            rest = after;
        }
        *self.lines() = lines;
        Ok(())
    }
}

pub(crate) fn cluster() -> ClusterId {
    ClusterId::new("test-7f").expect("it is a label")
}

/// A site of a cluster of one, which knows nobody.
pub(crate) fn site(directory: &Path) -> Site {
    Site {
        cluster: cluster(),
        directory: directory.to_path_buf(),
        listen: "127.0.0.1:0".to_owned(),
        peers: Addresses::new([] as [(NodeId, String); 0]),
        security: Security::Open,
        begin: Begin::found([NodeId(1)]),
    }
}

/// Opens a node that takes snapshots often, and with which nothing takes long.
pub(crate) async fn open(id: u64, site: Site, journal: &Journal) -> Result<Node, NodeError> {
    let params = Params::new(span(Duration::from_millis(300)), span(Duration::from_millis(30)));
    let network = NetLimits {
        first_backoff: Duration::from_millis(5),
        longest_backoff: Duration::from_millis(40),
        ..NetLimits::default()
    };
    let limits = Limits { entries_per_snapshot: 40, ..Limits::default() };
    let builder = Builder::new(NodeId(id)).params(params).limits(limits).network(network);
    builder.open(site, journal.clone()).await
}

/// Has a command applied once, for as long as that takes.
pub(crate) async fn propose(node: &Node, command: impl Into<Vec<u8>>) {
    let handle = node.handle();
    let proposed = async {
        let session = loop {
            match handle.open_session().await {
                Ok(session) => break session,
                Err(error) if error.is_worth_retrying() => {
                    tokio::time::sleep(Duration::from_millis(5)).await;
                }
                Err(error) => panic!("{error}"),
            }
        };
        session.propose(handle, command).await.expect("it is tried again");
        session.close(handle).await.ok();
    };
    soon("a command is applied", proposed).await;
}
