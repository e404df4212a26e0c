//! A simulated network: what leaves arrives later, or not at all. Links are cut in one direction.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quorate_spec::NodeId;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};

use super::dice::Dice;
use crate::inbox::InboxSender;
use crate::lock::lock;
use crate::record::Payload;
use crate::transport::Packet;

/// A link, in one direction.
type Link = (NodeId, NodeId);

/// What is under way.
#[derive(Clone, Debug)]
pub(super) enum Cargo {
    Packet(Box<Packet>),
    Letter(Payload),
}

/// The network. Clones are the same network.
#[derive(Clone)]
pub(super) struct SimNetwork(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    /// Something leaves that may be the next to arrive.
    left: Notify,
}

struct State {
    inboxes: BTreeMap<NodeId, Inbox>,
    /// By when it arrives, and in which order it left.
    under_way: BTreeMap<(Instant, u64), (Link, Cargo)>,
    left: u64,
    /// When the last packet arrives that left on a link: no later one comes before it.
    last: BTreeMap<Link, Instant>,
    cut: BTreeSet<Link>,
    slow: BTreeMap<Link, u64>,
    loss_percent: u64,
    dice: Dice,
}

/// Where a life of a node takes in what arrives.
#[derive(Clone)]
pub(super) struct Inbox {
    pub(super) life: u64,
    pub(super) packets: InboxSender<Packet>,
    pub(super) letters: InboxSender<(NodeId, Payload)>,
}

/// What has arrived at a node.
pub(super) struct Arrival {
    pub(super) link: Link,
    pub(super) cargo: Cargo,
    pub(super) inbox: Inbox,
}

impl SimNetwork {
    pub(super) fn new(dice: Dice) -> SimNetwork {
        let state = State {
            inboxes: BTreeMap::new(),
            under_way: BTreeMap::new(),
            left: 0,
            last: BTreeMap::new(),
            cut: BTreeSet::new(),
            slow: BTreeMap::new(),
            loss_percent: 0,
            dice,
        };
        SimNetwork(Arc::new(Shared { state: Mutex::new(state), left: Notify::new() }))
    }

    /// Connects a life of a node, in the place of the one before.
    pub(super) fn attach(&self, id: NodeId, inbox: Inbox) {
        self.lock().inboxes.insert(id, inbox);
    }

    /// Whether there ever was a node of this name.
    pub(super) fn knows(&self, id: NodeId) -> bool {
        self.lock().inboxes.contains_key(&id)
    }

    /// Nothing arrives on this link from here on.
    pub(super) fn cut(&self, from: NodeId, to: NodeId) {
        self.lock().cut.insert((from, to));
    }

    /// Cuts the node off from all others, in both directions.
    pub(super) fn isolate(&self, id: NodeId) {
        let mut state = self.lock();
        let others: Vec<NodeId> = state.inboxes.keys().copied().filter(|to| *to != id).collect();
        state.cut.extend(others.into_iter().flat_map(|other| [(id, other), (other, id)]));
    }

    /// From now on every packet on this link takes so many milliseconds more.
    pub(super) fn slow_down(&self, from: NodeId, to: NodeId, by: u64) {
        self.lock().slow.insert((from, to), by);
    }

    /// From now on so many of a hundred packets are lost.
    pub(super) fn lose(&self, percent: u64) {
        self.lock().loss_percent = percent;
    }

    /// Mends every link.
    pub(super) fn heal(&self) {
        let mut state = self.lock();
        state.cut.clear();
        state.slow.clear();
        state.loss_percent = 0;
    }

    /// Takes something on its way. False where it is lost at once, which no sender hears of.
    pub(super) fn send(&self, link: Link, cargo: Cargo) -> bool {
        let mut state = self.lock();
        let loss_percent = state.loss_percent;
        if state.cut.contains(&link) || state.dice.chance(loss_percent) {
            return false;
        }
        let takes = state.takes(link);
        let mut at = Instant::now() + takes;
        match &cargo {
            // It is long, and nothing waits behind it.
            Cargo::Packet(packet) if packet.state.is_some() => at += takes * 3,
            _ => {
                let last = state.last.entry(link).or_insert(at);
                at = at.max(*last);
                *last = at;
            }
        }
        state.left += 1;
        let left = state.left;
        state.under_way.insert((at, left), (link, cargo));
        drop(state);
        self.0.left.notify_one();
        true
    }

    /// Waits for the next arrival at a node.
    pub(super) async fn arrival(&self) -> Arrival {
        loop {
            let first = self.lock().under_way.first_key_value().map(|((at, _), _)| *at);
            match first {
                None => self.0.left.notified().await,
                Some(at) if at > Instant::now() => tokio::select! {
                    biased;
                    () = sleep_until(at) => {}
                    () = self.0.left.notified() => {}
                },
                Some(_) => {
                    if let Some(arrival) = self.lock().arrives() {
                        return arrival;
                    }
                }
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl State {
    fn takes(&mut self, link: Link) -> Duration {
        let slow = self.slow.get(&link).copied().unwrap_or(0);
        let late = if self.dice.chance(3) { 60 } else { 0 };
        self.dice.millis(1, 6 + late) + Duration::from_millis(slow)
    }

    /// Takes the first one off its way; none where it is lost now.
    fn arrives(&mut self) -> Option<Arrival> {
        let (_, (link, cargo)) = self.under_way.pop_first()?;
        let inbox = self.inboxes.get(&link.1).filter(|_| !self.cut.contains(&link))?;
        Some(Arrival { link, cargo, inbox: inbox.clone() })
    }
}
