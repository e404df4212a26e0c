//! The transports of this crate do what a node relies on; and the check that says so sees each way in
//! which one could not.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate::net::conformance::{self, Member, Seen, Violation, check};
use quorate::net::{Addresses, Security, TcpOptions, TcpTransport};
use quorate::{Content, InboxSender, Network, Packet, Transport, inbox};
use quorate_spec::NodeId;

use crate::rig::{Authority, options};

/// Nodes over TCP, encrypted or not.
struct Tcp {
    addresses: Addresses,
    authority: Option<Authority>,
    running: BTreeMap<NodeId, Arc<TcpTransport>>,
}

impl Tcp {
    fn new(authority: Option<Authority>) -> Tcp {
        let addresses = Addresses::new([] as [(NodeId, String); 0]);
        Tcp { addresses, authority, running: BTreeMap::new() }
    }
}

impl conformance::Network for Tcp {
    async fn join(&mut self, id: NodeId) -> Member {
        let security = match &self.authority {
            Some(authority) => Security::Tls(authority.vouches(id.0)),
            None => Security::Open,
        };
        let options = TcpOptions { addresses: self.addresses.clone(), ..options(id.0, security) };
        let (transport, arrivals) = TcpTransport::start(options).await.expect("it can listen");
        self.addresses.set(id, transport.listening().to_string());
        let transport = Arc::new(transport);
        self.running.insert(id, Arc::clone(&transport));
        Member { transport, packets: arrivals.packets }
    }

    async fn leave(&mut self, id: NodeId) {
        if let Some(transport) = self.running.remove(&id) {
            transport.shutdown().await;
        }
    }
}

/// More than anything takes.
const LONG: Duration = Duration::from_secs(30);
/// Enough to see that nothing comes at all.
const SHORT: Duration = Duration::from_millis(500);

fn saw_enough(seen: Seen) {
    assert!(seen.arrived > 500 && seen.states > 0, "{seen:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tcp_conforms() {
    saw_enough(check(&mut Tcp::new(None), LONG).await.expect("it conforms"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tls_conforms() {
    saw_enough(check(&mut Tcp::new(Some(Authority::new())), LONG).await.expect("it conforms"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_conform() {
    saw_enough(
        check(&mut Channels::new(Network::new(1), Fault::None), LONG).await.expect("it conforms"),
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn channels_that_lose_half_of_everything_conform() {
    let network = Network::new(1);
    network.lose(50);
    let seen = check(&mut Channels::new(network, Fault::None), LONG).await.expect("it conforms");
    assert!(seen.arrived < seen.sent * 3 / 4, "{seen:?}");
}

/// What is wrong with a transport.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Fault {
    None,
    /// Every seventh packet arrives twice.
    Repeats,
    /// Every seventh packet arrives after the next one.
    Overtakes,
    /// Every seventh command has a bit more.
    Damages,
    /// Every seventh packet has the contents of another one's entries.
    Mixes,
    /// Every seventh packet has the address of another node.
    Redirects,
    /// Every seventh packet is taken to another node.
    Misdelivers,
    /// `send` waits until the packet has arrived.
    Waits,
    /// Nothing arrives at node 2.
    IsDeaf,
    /// No state of a snapshot arrives.
    LosesStates,
    /// It knows everyone.
    KnowsAll,
    /// It knows nobody.
    KnowsNone,
}

/// Nodes over channels, with a fault.
struct Channels {
    network: Network,
    fault: Fault,
    inboxes: Inboxes,
}

/// The way past the network.
type Inboxes = Arc<Mutex<BTreeMap<NodeId, InboxSender<Packet>>>>;

impl Channels {
    fn new(network: Network, fault: Fault) -> Channels {
        Channels { network, fault, inboxes: Inboxes::default() }
    }
}

impl conformance::Network for Channels {
    async fn join(&mut self, id: NodeId) -> Member {
        let mut carried = self.network.attach(id, 10_000);
        let (inbox, packets) = inbox(10_000, 1 << 30);
        self.inboxes.lock().unwrap_or_else(PoisonError::into_inner).insert(id, inbox.clone());
        tokio::spawn(async move {
            while let Some(packet) = carried.recv().await {
                // The node may have gone.
                let _ = inbox.send(packet).await;
            }
        });
        let (network, fault, inboxes) =
            (self.network.clone(), self.fault, Arc::clone(&self.inboxes));
        let transport = Arc::new(Faulty { network, fault, inboxes, held: Mutex::default() });
        Member { transport, packets }
    }

    async fn leave(&mut self, id: NodeId) {
        drop(self.network.attach(id, 1));
    }
}

struct Faulty {
    network: Network,
    fault: Fault,
    inboxes: Inboxes,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    count: u64,
    late: Option<Packet>,
    to_third: u64,
}

impl Transport for Faulty {
    fn send(&self, mut packet: Packet) {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        held.count += 1;
        let strikes = held.count.is_multiple_of(7);
        let to = packet.envelope.to;
        match self.fault {
            Fault::Repeats if strikes => self.network.send(packet.clone()),
            Fault::Overtakes if strikes && held.late.is_none() => {
                held.late = Some(packet);
                return;
            }
            Fault::Damages if strikes => {
                for record in &mut packet.records {
                    record.content = Content::Command(Arc::from([7].as_slice()));
                }
            }
            Fault::Mixes if strikes => packet.records.reverse(),
            Fault::Redirects if strikes => packet.envelope.to = NodeId(1 + to.0 % 3),
            Fault::Misdelivers if strikes => {
                let inboxes = self.inboxes.lock().unwrap_or_else(PoisonError::into_inner);
                let _ = inboxes[&NodeId(1 + to.0 % 3)].try_send(packet);
                return;
            }
            Fault::IsDeaf if to == NodeId(2) => return,
            Fault::LosesStates if packet.state.is_some() => return,
            Fault::Waits if to == NodeId(3) => {
                held.to_third += 1;
                // As if its queue were full for good.
                if held.to_third > 5_000 {
                    loop {
                        std::thread::park();
                    }
                }
            }
            _ => {}
        }
        let late = held.late.take_if(|late| late.envelope.to == to);
        self.network.send(packet);
        late.into_iter().for_each(|late| self.network.send(late));
    }

    fn knows(&self, id: NodeId) -> bool {
        match self.fault {
            Fault::KnowsAll => true,
            Fault::KnowsNone => false,
            _ => self.network.knows(id),
        }
    }
}

async fn found(fault: Fault) -> Violation {
    found_within(fault, LONG).await
}

async fn found_within(fault: Fault, patience: Duration) -> Violation {
    let mut channels = Channels::new(Network::new(1), fault);
    check(&mut channels, patience).await.expect_err("the fault is seen")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn each_fault_of_a_transport_is_seen() {
    assert!(matches!(found(Fault::Repeats).await, Violation::Twice { .. }));
    assert!(matches!(found(Fault::Overtakes).await, Violation::OutOfOrder { .. }));
    assert!(matches!(found(Fault::Damages).await, Violation::Changed { .. }));
    assert!(matches!(found(Fault::Mixes).await, Violation::Changed { .. }));
    // It may look like one that was sent there.
    let redirected = found(Fault::Redirects).await;
    let (twice, late) = (
        matches!(redirected, Violation::Twice { .. }),
        matches!(redirected, Violation::OutOfOrder { .. }),
    );
    assert!(twice || late || matches!(redirected, Violation::Changed { .. }), "{redirected}");
    assert!(matches!(found(Fault::Misdelivers).await, Violation::Misdelivered { .. }));
    assert!(matches!(
        found(Fault::KnowsAll).await,
        Violation::Knows { of: NodeId(99), said: true }
    ));
    assert!(matches!(found(Fault::KnowsNone).await, Violation::Knows { said: false, .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transport_on_which_nothing_arrives_or_everybody_waits_is_seen() {
    let deaf = found_within(Fault::IsDeaf, SHORT).await;
    assert!(matches!(deaf, Violation::Deaf { to: NodeId(2), .. }), "{deaf}");
    let loses = found_within(Fault::LosesStates, LONG / 6).await;
    assert!(matches!(loses, Violation::NoState { .. }), "{loses}");
    assert_eq!(found_within(Fault::Waits, LONG / 6).await, Violation::Waits(NodeId(3)));
}
