//! The post between nodes in one process: letters take the links of the [`Network`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use quorate_spec::NodeId;

use crate::forward::{Mail, Post};
use crate::inbox::{InboxSender, MOST_BYTES, inbox};
use crate::lock::lock;
use crate::network::Network;
use crate::record::Payload;

/// The post. Clones are the same post.
#[derive(Clone)]
pub struct Exchange {
    network: Network,
    boxes: Arc<Mutex<Boxes>>,
}

/// Where letters wait for each node, with who sent them.
type Boxes = BTreeMap<NodeId, InboxSender<(NodeId, Payload)>>;

/// A node's place at the post.
struct Desk {
    id: NodeId,
    exchange: Exchange,
}

impl Exchange {
    /// A post without nodes, over this network.
    #[must_use]
    pub fn new(network: Network) -> Exchange {
        Exchange { network, boxes: Arc::default() }
    }

    /// Connects a node, in the place of an earlier one with its identity; `capacity` letters wait
    /// for it at most.
    #[must_use]
    pub fn attach(&self, id: NodeId, capacity: usize) -> Mail {
        let (sender, letters) = inbox(capacity, MOST_BYTES);
        self.boxes().insert(id, sender);
        Mail { post: Arc::new(Desk { id, exchange: self.clone() }), letters }
    }

    fn boxes(&self) -> MutexGuard<'_, Boxes> {
        lock(&self.boxes)
    }
}

impl Post for Desk {
    fn post(&self, to: NodeId, letter: Payload) -> bool {
        let Some(inbox) = self.exchange.boxes().get(&to).cloned() else { return false };
        // What is lost on the way is not noticed by whoever sent it.
        let lost = !self.exchange.network.carries(self.id, to);
        lost || inbox.try_send((self.id, letter)).is_ok()
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("nodes", &self.boxes().keys()).finish_non_exhaustive()
    }
}
