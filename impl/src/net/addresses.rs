//! Where the nodes are.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_spec::NodeId;
use tokio::sync::watch;

/// Where each node is, as `host:port`. Clones are the same map, which may change while nodes run:
/// whoever adds a member gives its address to every node first.
///
/// A host is looked up at every attempt to connect, so a name may come to lead elsewhere.
#[derive(Clone, Debug)]
pub struct Addresses {
    known: Arc<watch::Sender<BTreeMap<NodeId, String>>>,
}

impl Addresses {
    /// The addresses of these nodes. That of the node itself may be among them, and is not used.
    pub fn new<A: Into<String>>(known: impl IntoIterator<Item = (NodeId, A)>) -> Addresses {
        let known = known.into_iter().map(|(id, address)| (id, address.into())).collect();
        Addresses { known: Arc::new(watch::Sender::new(known)) }
    }

    /// From here on the node is there. A connection to where it was before ends.
    pub fn set(&self, id: NodeId, address: impl Into<String>) {
        let address = address.into();
        self.known.send_if_modified(|known| {
            let before = known.insert(id, address.clone());
            before.is_none_or(|before| before != address)
        });
    }

    /// Forgets the node: nothing more is sent to it.
    pub fn remove(&self, id: NodeId) {
        self.known.send_if_modified(|known| known.remove(&id).is_some());
    }

    /// Where the node is; none if that is not known.
    #[must_use]
    pub fn of(&self, id: NodeId) -> Option<String> {
        self.known.borrow().get(&id).cloned()
    }

    /// Whether it is known where the node is.
    #[must_use]
    pub fn knows(&self, id: NodeId) -> bool {
        self.known.borrow().contains_key(&id)
    }

    /// Follows the changes.
    pub(crate) fn watch(&self) -> watch::Receiver<BTreeMap<NodeId, String>> {
        self.known.subscribe()
    }
}
