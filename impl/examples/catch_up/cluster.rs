//! Three nodes with everything in the box, of which one goes away and comes back.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use quorate::net::{Addresses, ClusterId, Security};
use quorate::{Begin, Builder, Handle, Limits, Node, Site};
use quorate_spec::{Index, NodeId};

use crate::heap::Heap;
use crate::{Failure, Options};

pub(crate) const ALL: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];
pub(crate) const LEADER: NodeId = NodeId(1);
pub(crate) const AWAY: NodeId = NodeId(3);

/// Longer than anything here takes.
const PATIENCE: Duration = Duration::from_secs(240);

pub(crate) struct Cluster {
    folder: PathBuf,
    peers: Addresses,
    limits: Limits,
    nodes: BTreeMap<NodeId, Node>,
}

impl Cluster {
    /// Opens the three nodes with production's time-outs and makes the first of them lead.
    pub(crate) async fn open(folder: &Path, options: &Options) -> Result<Cluster, Failure> {
        let limits =
            Limits { entries_per_snapshot: options.entries_per_snapshot, ..Limits::default() };
        let mut cluster = Cluster {
            folder: folder.to_path_buf(),
            peers: Addresses::new(ALL.map(|id| (id, "127.0.0.1:1"))),
            limits,
            nodes: BTreeMap::new(),
        };
        for id in ALL {
            cluster.start(id).await?;
        }
        let leader = cluster.handle(LEADER)?;
        until("the first node leads", async || {
            let leads = leader.view().leader == Some(LEADER);
            if !leads {
                let _ = leader.campaign().await;
            }
            Ok(leads)
        })
        .await?;
        Ok(cluster)
    }

    /// Opens the node on its directory, which it may have had before.
    pub(crate) async fn start(&mut self, id: NodeId) -> Result<(), Failure> {
        let site = Site {
            cluster: ClusterId::new("catch-up")?,
            directory: self.folder.join(id.to_string()),
            listen: "127.0.0.1:0".to_owned(),
            peers: self.peers.clone(),
            security: Security::Open,
            begin: Begin::found(ALL),
        };
        let node = Builder::new(id).limits(self.limits).open(site, Heap::default()).await?;
        self.peers.set(id, node.network().listening().to_string());
        self.nodes.insert(id, node);
        Ok(())
    }

    pub(crate) async fn stop(&mut self, id: NodeId) {
        if let Some(node) = self.nodes.remove(&id) {
            node.shutdown().await;
        }
    }

    pub(crate) fn node(&self, id: NodeId) -> Result<&Node, Failure> {
        Ok(self.nodes.get(&id).ok_or("there is no such node")?)
    }

    pub(crate) fn handle(&self, id: NodeId) -> Result<Handle, Failure> {
        Ok(self.node(id)?.handle().clone())
    }

    /// What the node has applied.
    pub(crate) fn applied(&self, id: NodeId) -> Result<Index, Failure> {
        Ok(self.node(id)?.handle().vitals().now().applied)
    }

    /// Bytes of snapshots that this node took from others.
    pub(crate) fn snapshot_bytes(&self, id: NodeId) -> Result<u64, Failure> {
        let heard = self.node(id)?.network().status().heard;
        Ok(heard.values().map(|heard| heard.snapshot_bytes).sum())
    }

    pub(crate) async fn close(mut self) {
        for id in ALL {
            self.stop(id).await;
        }
    }
}

/// A figure of a node, as its metrics have it.
pub(crate) fn figure(node: &Handle, name: &str) -> Result<f64, Failure> {
    let text = node.metrics();
    let line = text.lines().find(|line| line.starts_with(name));
    let value = line.and_then(|line| line.rsplit(' ').next()?.parse().ok());
    Ok(value.ok_or_else(|| format!("there is no {name}"))?)
}

/// Asks again and again until it is so.
pub(crate) async fn until(
    what: &str,
    mut is_so: impl AsyncFnMut() -> Result<bool, Failure>,
) -> Result<(), Failure> {
    let begun = Instant::now();
    while !is_so().await? {
        if begun.elapsed() > PATIENCE {
            return Err(format!("never: {what}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    Ok(())
}
