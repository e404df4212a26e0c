//! Encrypted connections: who proves what, and what is said where that fails.

use quorate::net::tls::certificate_name;
use quorate::net::{
    Fault, Objection, Security, TcpTransport, Tls, TlsError, TlsFault, TransportError,
};
use quorate_spec::NodeId;
use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, crypto::ring, version::TLS13};

use crate::rig::{Authority, End, cluster, options, soon};
use crate::strangers::hello;

async fn encrypted(id: u64, tls: Tls) -> End {
    End::start(options(id, Security::Tls(tls))).await
}

/// Nodes 1 and 2, of which 1 is as it should be; and node 3, as it should be, too. Whatever is wrong
/// with node 2, nodes 1 and 3 go on.
async fn with(two: End, authority: &Authority) -> (End, End, End) {
    let one = encrypted(1, authority.vouches(1)).await;
    let three = encrypted(3, authority.vouches(3)).await;
    for (from, to) in [(&one, &two), (&two, &one), (&one, &three), (&three, &one)] {
        from.learn(to);
    }
    (one, two, three)
}

async fn others_go_on(mut one: End, mut three: End) {
    one.reaches(&mut three).await;
    three.reaches(&mut one).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nodes_of_one_authority_talk() {
    let authority = Authority::new();
    let (mut one, mut two, three) =
        with(encrypted(2, authority.vouches(2)).await, &authority).await;
    one.reaches(&mut two).await;
    two.reaches(&mut one).await;
    assert!(one.transport.status().encrypted);
    others_go_on(one, three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_authority_is_refused_on_both_sides() {
    let (authority, other) = (Authority::new(), Authority::new());
    let (one, two, three) = with(encrypted(2, other.vouches(2)).await, &authority).await;
    for (from, to) in [(&one, NodeId(2)), (&two, NodeId(1))] {
        from.down(to, |fault| *fault == Fault::Tls(TlsFault::ForeignAuthority)).await;
    }
    others_go_on(one, three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_whose_certificate_is_refused_hears_why() {
    let (authority, other) = (Authority::new(), Authority::new());
    let two = encrypted(2, other.trusting(2, &authority)).await;
    let (one, two, three) = with(two, &authority).await;
    let refused = |fault: &Fault| matches!(fault, Fault::Tls(TlsFault::OwnRefused(_)));
    let fault = two.down(NodeId(1), refused).await;
    assert!(fault.to_string().contains("not signed by the other side's authority"), "{fault}");
    one.turned_away(|fault| *fault == Fault::Tls(TlsFault::ForeignAuthority)).await;
    others_go_on(one, three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_expired_certificate_is_refused_and_its_node_hears_why() {
    let authority = Authority::new();
    let (one, two, three) = with(encrypted(2, authority.expired(2)).await, &authority).await;
    one.down(NodeId(2), |fault| *fault == Fault::Tls(TlsFault::Expired)).await;
    let refused = |fault: &Fault| matches!(fault, Fault::Tls(TlsFault::OwnRefused(_)));
    let fault = two.down(NodeId(1), refused).await;
    assert!(fault.to_string().contains("expired"), "{fault}");
    others_go_on(one, three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_at_the_address_of_another_one_is_not_taken_for_it() {
    let authority = Authority::new();
    let (one, two, three) = with(encrypted(2, authority.vouches(2)).await, &authority).await;
    one.transport.addresses().set(NodeId(4), two.address());
    one.down(NodeId(4), |fault| *fault == Fault::Tls(TlsFault::OtherNode)).await;
    others_go_on(one, three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_claims_another_ones_identity_is_refused() {
    let authority = Authority::new();
    let (one, _two, three) = with(encrypted(2, authority.vouches(2)).await, &authority).await;
    // Node 3's own certificate, in the name of node 2: no node does this, so it is made by hand.
    let (chain, key) = authority.pem(3, 4000);
    let mut roots = RootCertStore::empty();
    let root = CertificateDer::from_pem_slice(authority.root_pem().as_bytes()).expect("it is PEM");
    roots.add(root).expect("it is an authority");
    let client = ClientConfig::builder_with_provider(ring::default_provider().into())
        .with_protocol_versions(&[&TLS13])
        .expect("ring has it")
        .with_root_certificates(roots)
        .with_client_auth_cert(
            vec![CertificateDer::from_pem_slice(chain.as_bytes()).expect("it is PEM")],
            PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("it is PEM"),
        )
        .expect("they go together");
    let stream = TcpStream::connect(one.address()).await.expect("it listens");
    let name = certificate_name(&cluster(), NodeId(1));
    let name = ServerName::try_from(name).expect("it is a DNS name");
    let connector = TlsConnector::from(std::sync::Arc::new(client));
    let mut stream = connector.connect(name, stream).await.expect("the certificate is good");
    tokio::io::AsyncWriteExt::write_all(&mut stream, &hello(2, 1)).await.expect("it reads");
    let mut answer = Vec::new();
    // The other side closes without much ceremony.
    let _ = soon("it is closed", stream.read_to_end(&mut answer)).await;
    assert!(answer.get(8).is_some_and(|verdict| *verdict != 0), "it is refused");
    one.turned_away(|fault| *fault == Fault::TurnedAway(Objection::Certificate)).await;
    others_go_on(one, three).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_open_node_among_encrypted_ones_is_told() {
    let authority = Authority::new();
    let (one, two, three) = with(End::open(2).await, &authority).await;
    two.down(NodeId(1), |fault| *fault == Fault::Refused(Objection::NeedsTls)).await;
    one.down(NodeId(2), |fault| *fault == Fault::Tls(TlsFault::NotSpoken)).await;
    one.turned_away(|fault| *fault == Fault::TurnedAway(Objection::NeedsTls)).await;
    two.turned_away(|fault| *fault == Fault::TurnedAway(Objection::IsOpen)).await;
    others_go_on(one, three).await;
}

#[tokio::test]
async fn a_node_does_not_start_on_the_certificate_of_another_one() {
    let authority = Authority::new();
    let started = TcpTransport::start(options(2, Security::Tls(authority.vouches(3)))).await;
    let Err(TransportError::Certificate(TlsError::OtherNode(name))) = started else {
        panic!("it is refused");
    };
    assert_eq!(name, "node-2.test-7f.quorate");
}

#[test]
fn files_that_do_not_go_together_are_refused_with_the_one_at_fault() {
    let authority = Authority::new();
    let root = authority.root_pem();
    let ((chain, key), (_, other_key)) = (authority.pem(1, 4000), authority.pem(1, 4000));
    let with = |root: &str, chain: &str, key: &str| {
        Tls::from_pem(root.as_bytes(), chain.as_bytes(), key.as_bytes()).map(drop)
    };
    assert_eq!(with(&root, &chain, &key), Ok(()));
    let file = |result| match result {
        Err(TlsError::Pem { file, .. }) => file,
        other => panic!("{other:?}"),
    };
    assert_eq!(file(with("", &chain, &key)), "file of the authority");
    assert_eq!(file(with(&root, &key, &key)), "file of the certificate");
    assert_eq!(file(with(&root, &chain, &chain)), "file of the private key");
    assert!(matches!(with(&root, &chain, &other_key), Err(TlsError::Mismatch(_))));
}
