//! What is on its way between a node and each other one, for whoever watches the node.

use std::collections::BTreeMap;

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use quorate_spec::NodeId;

use crate::metrics::signed;

/// What is on its way, by the other node.
pub type Traffic = BTreeMap<NodeId, PeerTraffic>;

/// What is on its way between a node and another one.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct PeerTraffic {
    /// Packets and letters that wait to leave for it.
    pub queued: usize,
    /// Their bytes.
    pub queued_bytes: usize,
    /// The snapshot that it is sent.
    pub sending: Option<Moved>,
    /// The snapshot that comes from it.
    pub receiving: Option<Moved>,
}

/// How far a snapshot has come.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Moved {
    /// Its bytes that have moved.
    pub bytes: u64,
    /// All of its bytes.
    pub of: u64,
}

type ByPeer = [(&'static str, String); 1];
type ByTransfer = [(&'static str, String); 2];

/// The same as metrics.
#[derive(Debug, Default)]
pub(crate) struct TrafficGauges {
    queued: Family<ByPeer, Gauge>,
    queued_bytes: Family<ByPeer, Gauge>,
    moved: Family<ByTransfer, Gauge>,
    of: Family<ByTransfer, Gauge>,
}

impl TrafficGauges {
    pub(crate) fn register(&self, all: &mut Registry) {
        all.register("peer_queued", "What waits to leave for a peer", self.queued.clone());
        all.register_with_unit(
            "peer_queued",
            "What waits to leave for a peer",
            Unit::Bytes,
            self.queued_bytes.clone(),
        );
        all.register_with_unit(
            "transfer_moved",
            "Bytes that have moved of the snapshot that is sent to a peer, or comes from it",
            Unit::Bytes,
            self.moved.clone(),
        );
        all.register_with_unit(
            "transfer_whole",
            "All bytes of that snapshot",
            Unit::Bytes,
            self.of.clone(),
        );
    }

    /// Shows this, and nothing of a peer or of a snapshot that is no more.
    pub(crate) fn show(&self, traffic: &Traffic) {
        self.queued.clear();
        self.queued_bytes.clear();
        self.moved.clear();
        self.of.clear();
        for (peer, on_its_way) in traffic {
            let PeerTraffic { queued, queued_bytes, sending, receiving } = on_its_way;
            let label = [("peer", peer.to_string())];
            self.queued.get_or_create(&label).set(signed(*queued as u64));
            self.queued_bytes.get_or_create(&label).set(signed(*queued_bytes as u64));
            for (direction, moved) in [("to", sending), ("from", receiving)] {
                let Some(Moved { bytes, of }) = moved else { continue };
                let label = [("peer", peer.to_string()), ("direction", direction.to_owned())];
                self.moved.get_or_create(&label).set(signed(*bytes));
                self.of.get_or_create(&label).set(signed(*of));
            }
        }
    }
}
