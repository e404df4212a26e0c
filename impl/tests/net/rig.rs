//! Transports on this machine, certificates for them, and ways to wait for what they do.

use std::sync::Arc;
use std::time::Duration;

use quorate::disk::Register;
use quorate::net::tls::certificate_name;
use quorate::net::{
    Addresses, Arrivals, ClusterId, Fault, LinkState, NetLimits, Security, TcpOptions,
    TcpTransport, Tls,
};
use quorate::{Inbox, Packet, Payload, Transport};
use quorate_spec::{Body, EntryId, Envelope, Index, Instant, Message, NodeId, Term};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair, date_time_ymd};

/// Far more than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

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

/// Waits for something that happens by itself.
pub(crate) async fn soon<T>(what: &str, future: impl Future<Output = T>) -> T {
    tokio::time::timeout(PATIENCE, future).await.unwrap_or_else(|_| panic!("never: {what}"))
}

pub(crate) fn cluster() -> ClusterId {
    ClusterId::new("test-7f").expect("it is a label")
}

/// Limits with which nothing takes long.
pub(crate) fn limits() -> NetLimits {
    NetLimits {
        first_backoff: Duration::from_millis(5),
        longest_backoff: Duration::from_millis(40),
        ping_interval: Duration::from_millis(50),
        ..NetLimits::default()
    }
}

pub(crate) fn options(id: u64, security: Security) -> TcpOptions {
    TcpOptions {
        cluster: cluster(),
        id: NodeId(id),
        listen: "127.0.0.1:0".to_owned(),
        addresses: Addresses::new([] as [(NodeId, String); 0]),
        security,
        limits: limits(),
        register: Register::default(),
    }
}

/// A transport, and what arrives there.
pub(crate) struct End {
    pub(crate) transport: Arc<TcpTransport>,
    pub(crate) packets: Inbox<Packet>,
    pub(crate) letters: Inbox<(NodeId, Payload)>,
}

impl End {
    pub(crate) async fn start(options: TcpOptions) -> End {
        let (transport, arrivals) = TcpTransport::start(options).await.expect("it can listen");
        let Arrivals { packets, letters } = arrivals;
        End { transport: Arc::new(transport), packets, letters }
    }

    pub(crate) async fn open(id: u64) -> End {
        End::start(options(id, Security::Open)).await
    }

    pub(crate) fn id(&self) -> NodeId {
        self.transport.identity().id
    }

    pub(crate) fn address(&self) -> String {
        self.transport.listening().to_string()
    }

    /// From now on this one knows where the other one is.
    pub(crate) fn learn(&self, other: &End) {
        self.transport.addresses().set(other.id(), other.address());
    }

    pub(crate) fn link(&self, to: NodeId) -> Option<LinkState> {
        self.transport.status().peers.get(&to).map(|peer| peer.link.clone())
    }

    /// Waits until the connection to the node is down for a reason that `is` knows.
    pub(crate) async fn down(&self, to: NodeId, is: impl Fn(&Fault) -> bool) -> Fault {
        let mut last = None;
        let found = async {
            loop {
                last = self.link(to);
                match &last {
                    Some(LinkState::Down(fault)) if is(fault) => return fault.clone(),
                    _ => tokio::time::sleep(Duration::from_millis(2)).await,
                }
            }
        };
        let found = tokio::time::timeout(PATIENCE, found).await;
        found.unwrap_or_else(|_| panic!("the link to node {to} is {last:?}"))
    }

    /// Waits until this one has turned somebody away for a reason that `is` knows.
    pub(crate) async fn turned_away(&self, is: impl Fn(&Fault) -> bool) {
        eventually("somebody is turned away", || {
            let last = self.transport.status().last_turned_away;
            last.filter(|(_, fault)| is(fault)).map(drop)
        })
        .await;
    }

    pub(crate) async fn connected(&self, to: NodeId) {
        eventually("they are connected", || {
            matches!(self.link(to), Some(LinkState::Connected(_))).then_some(())
        })
        .await;
    }

    /// Sends packets until one arrives at the other end, which shows that nothing else is amiss.
    pub(crate) async fn reaches(&self, other: &mut End) {
        let (from, to) = (self.id(), other.id());
        let arrives = async {
            loop {
                self.transport.send(packet(from, to, 1));
                let wait = Duration::from_millis(5);
                if let Ok(Some(packet)) = tokio::time::timeout(wait, other.packets.recv()).await
                    && packet.envelope.from == from
                {
                    return;
                }
            }
        };
        soon("a packet arrives", arrives).await;
    }
}

/// Two open ends that know each other.
pub(crate) async fn pair() -> (End, End) {
    let (one, two) = (End::open(1).await, End::open(2).await);
    one.learn(&two);
    two.learn(&one);
    (one, two)
}

/// A small packet with a number.
pub(crate) fn packet(from: NodeId, to: NodeId, number: u64) -> Packet {
    let body = Body::PreVote {
        last: EntryId { term: Term(1), index: Index(number) },
        round: Instant(number),
    };
    let envelope = Envelope { from, to, message: Message::new(Term(2), body) };
    Packet { envelope, records: Vec::new(), state: None }
}

/// An authority that vouches for nodes.
pub(crate) struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub(crate) fn new() -> Authority {
        let mut params = CertificateParams::new(Vec::new()).expect("there are no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let key = KeyPair::generate().expect("the system has random numbers");
        Authority(CertifiedIssuer::self_signed(params, key).expect("it signs itself"))
    }

    /// What a node shows: its own certificate, and this authority as the one that it trusts.
    pub(crate) fn vouches(&self, id: u64) -> Tls {
        self.issue(id, 4000, self)
    }

    pub(crate) fn expired(&self, id: u64) -> Tls {
        self.issue(id, 2001, self)
    }

    /// A certificate of this authority, which trusts another one.
    pub(crate) fn trusting(&self, id: u64, trusted: &Authority) -> Tls {
        self.issue(id, 4000, trusted)
    }

    fn issue(&self, id: u64, until: i32, trusted: &Authority) -> Tls {
        let (chain, key) = self.pem(id, until);
        Tls::from_pem(trusted.0.pem().as_bytes(), chain.as_bytes(), key.as_bytes())
            .expect("they go together")
    }

    /// The certificate of a node and its key.
    pub(crate) fn pem(&self, id: u64, until: i32) -> (String, String) {
        let name = certificate_name(&cluster(), NodeId(id));
        let mut params = CertificateParams::new(vec![name]).expect("it is a DNS name");
        params.not_before = date_time_ymd(2000, 1, 1);
        params.not_after = date_time_ymd(until, 1, 1);
        let key = KeyPair::generate().expect("the system has random numbers");
        let certificate = params.signed_by(&key, &self.0).expect("the authority signs");
        (certificate.pem(), key.serialize_pem())
    }

    pub(crate) fn root_pem(&self) -> String {
        self.0.pem()
    }
}
