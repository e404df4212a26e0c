//! What a node relies on of its transport, as a check that anyone can run on a transport of their own.
//!
//! Three nodes say numbered packets of every shape to each other. Whatever arrives has to be what was
//! sent, at the node that it was for, once, and in order. Then one of them goes, and nobody waits for
//! it; then it comes back. Loss is allowed: but of what is repeated something has to arrive.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use quorate_spec::message::Stamp;
use quorate_spec::{
    Body, Configuration, Entries, EntryId, Envelope, Index, Instant, Message, NodeId, Snapshot,
    Term,
};
use thiserror::Error;
use tokio::sync::mpsc;
use tokio::task::AbortHandle;
use tokio::time::timeout;

use crate::inbox::Inbox;
use crate::record::{Content, Record};
use crate::state::StateBytes;
use crate::transport::{Packet, Transport};

/// The network that is checked.
pub trait Network: Send {
    /// A node joins, or comes back after it left. From now on the others know it.
    fn join(&mut self, id: NodeId) -> impl Future<Output = Member> + Send;

    /// The node goes, as if its process had ended. The others still know it.
    fn leave(&mut self, id: NodeId) -> impl Future<Output = ()> + Send;
}

/// A node's end of the network.
pub struct Member {
    /// What it sends with.
    pub transport: Arc<dyn Transport>,
    /// What arrives for it.
    pub packets: Inbox<Packet>,
}

/// What a transport did that no node can live with.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum Violation {
    /// Nothing of what was repeated has arrived.
    #[error("nothing that node {from} says to node {to} arrives")]
    Deaf {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
    },
    /// No state of a snapshot has arrived.
    #[error("no state of a snapshot that node {from} sends to node {to} arrives")]
    NoState {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
    },
    /// A packet arrived twice.
    #[error("packet {number} from node {from} to node {to} arrived twice")]
    Twice {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// Which of the packets between them.
        number: u64,
    },
    /// A packet arrived after one that was sent later.
    #[error("packet {number} from node {from} to node {to} arrived after packet {after}")]
    OutOfOrder {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// Which of the packets between them.
        number: u64,
        /// The later one.
        after: u64,
    },
    /// What arrived is not what was sent.
    #[error("packet {number} from node {from} to node {to} was changed on its way, or never sent")]
    Changed {
        /// The sender.
        from: NodeId,
        /// The receiver.
        to: NodeId,
        /// Which of the packets between them it says that it is.
        number: u64,
    },
    /// A packet arrived where it was not sent.
    #[error("a packet for node {to} arrived at node {at}")]
    Misdelivered {
        /// Whom it was for.
        to: NodeId,
        /// Where it arrived.
        at: NodeId,
    },
    /// `send` waits for a node that is gone.
    #[error("`send` waits for node {0}, which is gone")]
    Waits(NodeId),
    /// `knows` is wrong.
    #[error("`knows` says {said} of node {of}")]
    Knows {
        /// The node that it was asked about.
        of: NodeId,
        /// What it said.
        said: bool,
    },
}

/// How much was seen. Where little arrived, little was checked.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Default)]
pub struct Seen {
    /// Packets that were sent.
    pub sent: u64,
    /// Packets that arrived.
    pub arrived: u64,
    /// Of these, states of snapshots.
    pub states: u64,
}

/// Packets of every link while all nodes are there.
const TRAFFIC: u64 = 400;
/// Packets to a node that is gone.
const SHOUTS: u64 = 20_000;

/// Checks the network, which has no nodes yet. What is repeated until it arrives, and `send` to a node
/// that is gone, may take as long as `patience`: half a minute is enough on any machine.
///
/// # Errors
/// The first violation that was seen.
pub async fn check(network: &mut impl Network, patience: Duration) -> Result<Seen, Violation> {
    let ids = [NodeId(1), NodeId(2), NodeId(3)];
    let (first, second, third) = (ids[0], ids[1], ids[2]);
    let mut bench = Bench::new(patience);
    for id in ids {
        bench.seat(id, network.join(id).await);
    }
    bench.knowledge(&ids)?;
    for (from, to) in links(&ids) {
        bench.reach(from, to).await?;
    }
    for _ in 0..TRAFFIC {
        for (from, to) in links(&ids) {
            bench.say(from, to);
        }
        // So that what arrives is not only what fits into buffers.
        tokio::task::yield_now().await;
        bench.look()?;
    }
    for (from, to) in links(&ids) {
        bench.reach(from, to).await?;
    }
    bench.move_state(first, second).await?;

    bench.unseat(third);
    network.leave(third).await;
    bench.shout(first, third).await?;
    bench.reach(first, second).await?;
    bench.seat(third, network.join(third).await);
    for (from, to) in links(&ids) {
        bench.reach(from, to).await?;
    }
    Ok(bench.judge.seen)
}

fn links(ids: &[NodeId]) -> Vec<(NodeId, NodeId)> {
    let to = |from: NodeId| ids.iter().filter(move |to| **to != from).map(move |to| (from, *to));
    ids.iter().flat_map(|from| to(*from)).collect()
}

/// The nodes, and what arrives at them.
struct Bench {
    patience: Duration,
    transports: BTreeMap<NodeId, (Arc<dyn Transport>, AbortHandle)>,
    arrived_in: mpsc::UnboundedSender<(NodeId, Packet)>,
    arrived: mpsc::UnboundedReceiver<(NodeId, Packet)>,
    judge: Judge,
}

impl Bench {
    fn new(patience: Duration) -> Bench {
        let (arrived_in, arrived) = mpsc::unbounded_channel();
        let (transports, judge) = (BTreeMap::new(), Judge::default());
        Bench { patience, transports, arrived_in, arrived, judge }
    }

    fn seat(&mut self, id: NodeId, Member { transport, mut packets }: Member) {
        let arrived = self.arrived_in.clone();
        let hears = tokio::spawn(async move {
            while let Some(packet) = packets.recv().await {
                // The suite may have ended.
                let _ = arrived.send((id, packet));
            }
        });
        self.transports.insert(id, (transport, hears.abort_handle()));
    }

    fn unseat(&mut self, id: NodeId) {
        if let Some((_, hears)) = self.transports.remove(&id) {
            hears.abort();
        }
    }

    fn knowledge(&self, ids: &[NodeId]) -> Result<(), Violation> {
        let stranger = NodeId(99);
        for (id, (transport, _)) in &self.transports {
            let others = ids.iter().filter(|other| *other != id).map(|other| (*other, true));
            for (of, right) in others.chain([(stranger, false)]) {
                if transport.knows(of) != right {
                    return Err(Violation::Knows { of, said: !right });
                }
            }
        }
        Ok(())
    }

    /// Sends the next packet of the link.
    fn say(&mut self, from: NodeId, to: NodeId) -> u64 {
        let number = self.judge.sent.entry((from, to)).or_default().len() as u64 + 1;
        self.send(plain(from, to, number));
        number
    }

    fn send(&mut self, packet: Packet) {
        let (from, to) = (packet.envelope.from, packet.envelope.to);
        self.judge.sent.entry((from, to)).or_default().push(packet.clone());
        self.judge.seen.sent += 1;
        if let Some((transport, _)) = self.transports.get(&from) {
            transport.send(packet);
        }
    }

    /// Judges what has arrived by now.
    fn look(&mut self) -> Result<(), Violation> {
        while let Ok((at, packet)) = self.arrived.try_recv() {
            self.judge.received(at, packet)?;
        }
        Ok(())
    }

    /// Repeats packets until one of them arrives.
    async fn reach(&mut self, from: NodeId, to: NodeId) -> Result<(), Violation> {
        let since = self.say(from, to);
        let has_come = |judge: &Judge| judge.latest.get(&(from, to)).is_some_and(|at| *at >= since);
        let patience = self.patience;
        let repeated = async {
            while !has_come(&self.judge) {
                let wait = Duration::from_millis(5);
                if let Ok(Some((at, packet))) = timeout(wait, self.arrived.recv()).await {
                    self.judge.received(at, packet)?;
                } else {
                    self.say(from, to);
                }
            }
            Ok(())
        };
        timeout(patience, repeated).await.unwrap_or(Err(Violation::Deaf { from, to }))
    }

    /// Repeats a state until it arrives.
    async fn move_state(&mut self, from: NodeId, to: NodeId) -> Result<(), Violation> {
        let state: StateBytes = (0..3_000_000_u32).map(|i| (i / 7).to_le_bytes()[0]).collect();
        let patience = self.patience;
        let repeated = async {
            while self.judge.seen.states == 0 {
                let number = self.judge.sent.entry((from, to)).or_default().len() as u64 + 1;
                self.send(with_state(from, to, number, &state));
                let wait = patience / 30;
                while let Ok(Some((at, packet))) = timeout(wait, self.arrived.recv()).await {
                    self.judge.received(at, packet)?;
                }
            }
            Ok(())
        };
        timeout(patience, repeated).await.unwrap_or(Err(Violation::NoState { from, to }))
    }

    /// Sends more than anything can hold to a node that is gone.
    async fn shout(&mut self, from: NodeId, to: NodeId) -> Result<(), Violation> {
        let Some((transport, _)) = self.transports.get(&from) else { return Ok(()) };
        let sent = self.judge.sent.entry((from, to)).or_default();
        let first = sent.len() as u64 + 1;
        let packets: Vec<Packet> =
            (first..first + SHOUTS).map(|number| plain(from, to, number)).collect();
        sent.extend(packets.iter().cloned());
        self.judge.seen.sent += SHOUTS;
        let transport = Arc::clone(transport);
        let (done_in, done) = tokio::sync::oneshot::channel();
        std::thread::spawn(move || {
            packets.into_iter().for_each(|packet| transport.send(packet));
            // The suite may have given up.
            let _ = done_in.send(());
        });
        match timeout(self.patience, done).await {
            Ok(Ok(())) => Ok(()),
            _ => Err(Violation::Waits(to)),
        }
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.transports.values().for_each(|(_, hears)| hears.abort());
    }
}

type Link = (NodeId, NodeId);

/// What was sent, and what has arrived of it.
#[derive(Default)]
struct Judge {
    sent: BTreeMap<Link, Vec<Packet>>,
    /// The number of the latest packet that is no state.
    latest: BTreeMap<Link, u64>,
    arrived: BTreeSet<(Link, u64)>,
    seen: Seen,
}

impl Judge {
    fn received(&mut self, at: NodeId, packet: Packet) -> Result<(), Violation> {
        let Envelope { from, to, message } = &packet.envelope;
        let (from, to, number) = (*from, *to, message.stamp.round);
        if to != at {
            return Err(Violation::Misdelivered { to, at });
        }
        let place = usize::try_from(number.wrapping_sub(1)).unwrap_or(usize::MAX);
        let sent = self.sent.get(&(from, to)).and_then(|sent| sent.get(place));
        if sent != Some(&packet) {
            return Err(Violation::Changed { from, to, number });
        }
        if !self.arrived.insert(((from, to), number)) {
            return Err(Violation::Twice { from, to, number });
        }
        self.seen.arrived += 1;
        if packet.state.is_some() {
            self.seen.states += 1;
            return Ok(());
        }
        let latest = self.latest.entry((from, to)).or_default();
        let after = std::mem::replace(latest, number);
        if after > number {
            return Err(Violation::OutOfOrder { from, to, number, after });
        }
        Ok(())
    }
}

fn envelope(from: NodeId, to: NodeId, number: u64, body: Body) -> Envelope {
    let stamp = Stamp { round: number, sent: Some(Instant(number)) };
    Envelope { from, to, message: Message { term: Term(7), stamp, body } }
}

/// The packet of this number: the numbers go through all shapes and many sizes.
fn plain(from: NodeId, to: NodeId, number: u64) -> Packet {
    let prev = EntryId { term: Term(3), index: Index(number) };
    let id = |n: u64| EntryId { term: Term(7), index: Index(number + n) };
    let command = |n: u64, bytes: u64| {
        let bytes = (0..bytes).map(|i| (i * 31 + number).to_le_bytes()[0]).collect();
        Record { id: id(n), content: Content::Command(bytes) }
    };
    let append = |entries: Entries, records: Vec<Record>| {
        (Body::AppendEntries { prev, entries, leader_commit: Index(1) }, records)
    };
    let of_term = |count| Entries::of_term(prev.index, Term(7), count);
    let (body, records) = match number % 5 {
        0 => (Body::PreVote { last: prev, round: Instant(number) }, Vec::new()),
        1 => append(of_term(2), vec![command(1, number % 900), command(2, 0)]),
        2 => append(Entries::default(), Vec::new()),
        3 => {
            let configuration = Configuration::of([from, to]);
            let entries = Entries::of_configuration(prev.index, Term(7), configuration);
            append(entries, vec![Record { id: id(1), content: Content::Configuration }])
        }
        _ if number % 50 == 4 => append(of_term(1), vec![command(1, 50_000)]),
        _ => append(of_term(1), vec![Record { id: id(1), content: Content::NoOp }]),
    };
    Packet { envelope: envelope(from, to, number, body), records, state: None }
}

fn with_state(from: NodeId, to: NodeId, number: u64, state: &StateBytes) -> Packet {
    let last = EntryId { term: Term(3), index: Index(9) };
    let snapshot = Snapshot::new(last, Configuration::of([from, to]));
    let body = Body::InstallSnapshot { snapshot };
    let envelope = envelope(from, to, number, body);
    Packet { envelope, records: Vec::new(), state: Some(state.clone()) }
}
