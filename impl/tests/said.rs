//! What a node says of itself in its log. In a program of its own: whether anyone listens to a log is
//! remembered for the whole process.

use std::fmt::Debug;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};

use quorate::disk::Register;
use quorate::net::tls::certificate_name;
use quorate::net::{Addresses, ClusterId, NetLimits, Security, TcpOptions, TcpTransport, Tls};
use quorate::{Begin, Command, Node, Response, Site, StateMachine};
use quorate_spec::NodeId;
use tokio::time::Duration;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Keeps the warnings.
#[derive(Clone, Default)]
struct Warnings(Arc<Mutex<Vec<String>>>);

impl Warnings {
    fn all(&self) -> Vec<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Subscriber for Warnings {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() == Level::WARN
    }

    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut text = Text::default();
        event.record(&mut text);
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(text.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0 += &format!("{}={value:?} ", field.name());
    }
}

/// A machine that does nothing.
struct Nothing;

impl StateMachine for Nothing {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        commands.iter().map(|_| Response::default()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        |_: &mut dyn Write| Ok(())
    }

    fn restore(&mut self, _: &mut dyn Read) -> io::Result<()> {
        Ok(())
    }
}

fn options(security: Security) -> TcpOptions {
    TcpOptions {
        cluster: ClusterId::new("test-7f").expect("it is a label"),
        id: NodeId(1),
        listen: "127.0.0.1:0".to_owned(),
        addresses: Addresses::new([] as [(NodeId, String); 0]),
        security,
        limits: NetLimits::default(),
        register: Register::default(),
    }
}

/// A certificate that nobody but itself vouches for: enough to start with.
fn certificate() -> Tls {
    let name = certificate_name(&options(Security::Open).cluster, NodeId(1));
    let own = rcgen::generate_simple_self_signed([name]).expect("it is a DNS name");
    let (pem, key) = (own.cert.pem(), own.signing_key.serialize_pem());
    Tls::from_pem(pem.as_bytes(), pem.as_bytes(), key.as_bytes()).expect("they go together")
}

#[tokio::test]
async fn an_open_node_says_loudly_that_it_is_open_and_an_encrypted_one_has_nothing_to_say() {
    let warnings = Warnings::default();
    let _heard = tracing::subscriber::set_default(warnings.clone());
    let encrypted = TcpTransport::start(options(Security::Tls(certificate()))).await;
    let _encrypted = encrypted.expect("it can listen");
    assert_eq!(warnings.all(), Vec::<String>::new());
    let _open = TcpTransport::start(options(Security::Open)).await.expect("it can listen");
    let said = warnings.all();
    assert!(
        matches!(&said[..], [one] if one.contains("OPEN") && one.contains("node=1")),
        "{said:?}"
    );
}

#[tokio::test]
async fn a_peer_that_is_not_reached_is_told_of_once() {
    let warnings = Warnings::default();
    let _heard = tracing::subscriber::set_default(warnings.clone());
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a port");
    let address = nobody.local_addr().expect("it has one").to_string();
    drop(nobody);
    let few = Duration::from_millis(50);
    let limits = NetLimits { silence: few, longest_backoff: few, ..NetLimits::default() };
    let addresses = Addresses::new([(NodeId(2), address)]);
    let start = TcpOptions { addresses, limits, ..options(Security::Open) };
    let (transport, _arrivals) = TcpTransport::start(start).await.expect("it can listen");
    let faults = || warnings.all().into_iter().filter(|it| it.contains("no connection")).count();
    while faults() == 0 {
        tokio::time::sleep(few).await;
    }
    tokio::time::sleep(10 * few).await;
    assert_eq!(faults(), 1, "{:?}", warnings.all());
    transport.shutdown().await;
}

#[tokio::test]
async fn a_list_of_founders_that_a_directory_was_not_founded_by_is_told_of() {
    let warnings = Warnings::default();
    let _heard = tracing::subscriber::set_default(warnings.clone());
    let folder = tempfile::tempdir().expect("there is room");
    let site = |founders: &[u64]| {
        let founders = founders.iter().copied().map(NodeId);
        let addresses = [1, 2].map(|id| (NodeId(id), "127.0.0.1:0".to_owned()));
        Site {
            cluster: options(Security::Open).cluster,
            directory: folder.path().join("node"),
            listen: "127.0.0.1:0".to_owned(),
            peers: Addresses::new(addresses),
            security: Security::Open,
            begin: Begin::found(founders),
        }
    };
    let told = || warnings.all().into_iter().filter(|it| it.contains("founders")).count();
    for (founders, expected) in [(&[1][..], 0), (&[1], 0), (&[1, 2], 1)] {
        let node = Node::open(NodeId(1), site(founders), Nothing).await.expect("it starts");
        node.shutdown().await;
        assert_eq!(told(), expected, "{:?}", warnings.all());
    }
}
