//! The post between nodes in one process: letters take the links of the [`Network`].

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate_spec::NodeId;
use tokio::sync::mpsc;

use crate::forward::{Letter, Mail, Post, Undelivered};
use crate::network::Network;

/// The post. Clones are the same post.
#[derive(Clone)]
pub struct Exchange {
    network: Network,
    boxes: Arc<Mutex<BTreeMap<NodeId, mpsc::Sender<Letter>>>>,
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
        let (sender, letters) = mpsc::channel(capacity);
        self.boxes().insert(id, sender);
        Mail { post: Arc::new(self.clone()), letters }
    }

    fn boxes(&self) -> MutexGuard<'_, BTreeMap<NodeId, mpsc::Sender<Letter>>> {
        self.boxes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Post for Exchange {
    fn post(&self, letter: Letter) -> Result<(), Undelivered> {
        let to = self.boxes().get(&letter.to).cloned().ok_or(Undelivered)?;
        // What is lost on the way is not noticed by whoever sent it.
        if self.network.carries(letter.from, letter.to) {
            return to.try_send(letter).map_err(|_| Undelivered);
        }
        Ok(())
    }
}

impl fmt::Debug for Exchange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Exchange").field("nodes", &self.boxes().keys()).finish_non_exhaustive()
    }
}
