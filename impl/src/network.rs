//! A network in one process: channels, whose links can be cut in one direction and lose packets.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};

use quorate_spec::NodeId;

use crate::inbox::{Inbox, InboxSender, MOST_BYTES, inbox};
use crate::lock::lock;
use crate::random::Random;
use crate::transport::{Packet, Transport};

/// The network. Clones are the same network.
#[derive(Clone, Debug)]
pub struct Network {
    state: Arc<Mutex<State>>,
}

struct State {
    inboxes: BTreeMap<NodeId, InboxSender<Packet>>,
    cut: BTreeSet<(NodeId, NodeId)>,
    loss_percent: u64,
    random: Random,
    tap: Option<Tap>,
}

/// Someone who sees every packet that leaves a node, in the order in which it leaves.
pub type Tap = Arc<dyn Fn(&Packet) + Send + Sync>;

impl Network {
    /// A network without nodes. The seed decides what is lost.
    #[must_use]
    pub fn new(seed: u64) -> Network {
        let state = State {
            inboxes: BTreeMap::new(),
            cut: BTreeSet::new(),
            loss_percent: 0,
            random: Random::seeded(seed),
            tap: None,
        };
        Network { state: Arc::new(Mutex::new(state)) }
    }

    /// Connects a node, in the place of an earlier one with its identity; `capacity` packets wait
    /// for it at most, and others are lost. Their bytes are shared with whoever sent them.
    #[must_use]
    pub fn attach(&self, id: NodeId, capacity: usize) -> Inbox<Packet> {
        let (sender, packets) = inbox(capacity, MOST_BYTES);
        self.lock().inboxes.insert(id, sender);
        packets
    }

    /// Nothing that `from` says reaches `to` from here on. The other direction stays as it is.
    pub fn cut(&self, from: NodeId, to: NodeId) {
        self.lock().cut.insert((from, to));
    }

    /// Cuts the node off from all others, in both directions.
    pub fn isolate(&self, id: NodeId) {
        let mut state = self.lock();
        let others: Vec<NodeId> = state.inboxes.keys().copied().filter(|to| *to != id).collect();
        state.cut.extend(others.into_iter().flat_map(|other| [(id, other), (other, id)]));
    }

    /// Mends every link.
    pub fn heal(&self) {
        self.lock().cut.clear();
    }

    /// From now on so many of a hundred packets are lost.
    pub fn lose(&self, percent: u64) {
        self.lock().loss_percent = percent;
    }

    /// Shows every packet that leaves a node to `tap`, also those that are lost afterwards.
    pub fn tap(&self, tap: Tap) {
        self.lock().tap = Some(tap);
    }

    /// Whether something that `from` says to `to` now would get through.
    pub(crate) fn carries(&self, from: NodeId, to: NodeId) -> bool {
        let mut state = self.lock();
        let lost = state.random.next() % 100 < state.loss_percent;
        !lost && !state.cut.contains(&(from, to))
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl Transport for Network {
    fn send(&self, packet: Packet) {
        let tap = self.lock().tap.clone();
        if let Some(tap) = tap {
            tap(&packet);
        }
        let mut state = self.lock();
        let (from, to) = (packet.envelope.from, packet.envelope.to);
        let lost = state.random.next() % 100 < state.loss_percent;
        if lost || state.cut.contains(&(from, to)) {
            return;
        }
        if let Some(inbox) = state.inboxes.get(&to) {
            // A full inbox loses the packet, as does one whose node has gone.
            let _ = inbox.try_send(packet);
        }
    }

    fn knows(&self, id: NodeId) -> bool {
        self.lock().inboxes.contains_key(&id)
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("State")
            .field("nodes", &self.inboxes.keys())
            .field("cut", &self.cut)
            .field("loss_percent", &self.loss_percent)
            .finish_non_exhaustive()
    }
}
