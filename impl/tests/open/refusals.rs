//! What is wrong with a directory, a certificate or a peer is said by name, and nothing is lost by it.

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use quorate::net::tls::certificate_name;
use quorate::net::{
    Addresses, ClusterId, Fault, LinkState, NetLimits, Objection, Security, Tls, TlsError,
    TlsFault, TransportError,
};
use quorate::{
    Begin, Builder, Command, Limits, Node, NodeError, OpenError, Response, Site, StartError,
    StateMachine,
};
use quorate_spec::{Duration, NodeId, Params};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};

use crate::rig::{Journal, cluster, eventually, open, propose, site, soon};

async fn refused(id: u64, site: Site) -> NodeError {
    open(id, site, &Journal::default()).await.expect_err("it is refused")
}

/// A directory of node 1 with one command, which nobody has open.
async fn used(folder: &Path) -> Site {
    let node = open(1, site(folder), &Journal::default()).await.expect("it is new");
    propose(&node, "remember this").await;
    node.shutdown().await;
    site(folder)
}

/// Whatever was refused before, the node is there with all that it had.
async fn nothing_is_lost(site: Site) {
    let journal = Journal::default();
    let node = open(1, site, &journal).await.expect("its directory is free, and whole");
    propose(&node, "and that").await;
    let expected = [b"remember this".as_slice(), b"and that"];
    assert!(journal.lines().iter().eq(expected), "{:?}", journal.lines());
    node.shutdown().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_wrong_directory_is_refused_and_left_alone() {
    let folder = tempfile::tempdir().expect("there is room");
    let used = used(folder.path()).await;

    let error = refused(2, Site { begin: Begin::Join, ..used.clone() }).await;
    assert!(matches!(error, NodeError::Directory(OpenError::OtherNode { .. })), "{error}");
    assert!(error.to_string().contains("belongs to node 1, not to node 2"), "{error}");

    let other = ClusterId::new("other").expect("it is a label");
    let error = refused(1, Site { cluster: other, ..used.clone() }).await;
    assert!(matches!(error, NodeError::OtherCluster { .. }), "{error}");
    assert!(error.to_string().contains("belongs to another cluster than other"), "{error}");

    let running = open(1, used.clone(), &Journal::default()).await.expect("it is its own");
    let error = refused(1, used.clone()).await;
    assert!(matches!(error, NodeError::Directory(OpenError::InUse(_))), "{error}");
    running.shutdown().await;

    nothing_is_lost(used).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_directory_with_something_else_is_left_alone() {
    let folder = tempfile::tempdir().expect("there is room");
    fs::write(folder.path().join("thesis.tex"), "").expect("there is room");
    let error = refused(1, site(folder.path())).await;
    assert!(matches!(error, NodeError::Directory(OpenError::NotOurs { .. })), "{error}");
    assert!(error.to_string().contains("give the node a directory of its own"), "{error}");
    assert_eq!(fs::read_dir(folder.path()).expect("it is there").count(), 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_node_that_is_to_go_on_does_not_begin_anew_where_its_disk_is_not_there() {
    let folder = tempfile::tempdir().expect("there is room");
    let directory = folder.path().join("not mounted");
    let error = refused(1, Site { begin: Begin::Resume, ..site(&directory) }).await;
    assert!(matches!(error, NodeError::NothingThere(_)), "{error}");
    assert!(error.to_string().contains("is its disk mounted?"), "{error}");
    assert!(!directory.exists(), "nothing was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cluster_is_founded_by_its_members_where_they_find_each_other() {
    let folder = tempfile::tempdir().expect("there is room");
    let alone = site(&folder.path().join("new"));
    let error = refused(1, Site { begin: Begin::found([NodeId(2)]), ..alone.clone() }).await;
    assert!(matches!(error, NodeError::NotAFounder(NodeId(1))), "{error}");
    let error = refused(1, Site { begin: Begin::found([1, 2].map(NodeId)), ..alone.clone() }).await;
    assert!(matches!(error, NodeError::NoAddress(NodeId(2))), "{error}");
    assert!(!alone.directory.exists(), "nothing was made");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_address_that_is_taken_is_said_and_the_directory_is_free_again() {
    let folder = tempfile::tempdir().expect("there is room");
    let used = used(folder.path()).await;
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there are ports");
    let listen = taken.local_addr().expect("it is bound").to_string();
    let error = refused(1, Site { listen: listen.clone(), ..used.clone() }).await;
    assert!(matches!(error, NodeError::Network(TransportError::Listen { .. })), "{error}");
    assert!(error.to_string().contains(&listen), "{error}");
    nothing_is_lost(used).await;
    // And a new one is not made: it would have founded a cluster.
    for listen in [listen, "127.0.0.1".to_owned()] {
        let new = Site { listen, ..site(&folder.path().join("new")) };
        let error = refused(1, new.clone()).await;
        assert!(matches!(error, NodeError::Network(TransportError::Listen { .. })), "{error}");
        assert!(!new.directory.exists(), "nothing was made");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_start_that_fails_leaves_the_directory_free() {
    let folder = tempfile::tempdir().expect("there is room");
    let used = used(folder.path()).await;
    for _ in 0..5 {
        let nothing = Params::new(Duration(0), Duration(0));
        let builder = Builder::new(NodeId(1)).params(nothing);
        let error = builder.open(used.clone(), Journal::default()).await.expect_err("no time");
        assert!(matches!(error, NodeError::Start(StartError::Params(_))), "{error}");
    }
    nothing_is_lost(used).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_that_a_node_cannot_run_with_are_refused_before_anything_is_made() {
    let folder = tempfile::tempdir().expect("there is room");
    let directory = folder.path().join("node");
    let (zero, short) = (
        Builder::new(NodeId(1)).limits(Limits { entries_per_batch: 0, ..Limits::default() }),
        Builder::new(NodeId(1)).network(NetLimits { max_frame: 1 << 20, ..NetLimits::default() }),
    );
    for (builder, why) in [(zero, "`entries_per_batch` is 0"), (short, "`max_frame` is 1048576")] {
        let error = builder.open(site(&directory), Journal::default()).await.expect_err("unfit");
        assert!(matches!(error, NodeError::Start(StartError::Limits(_))), "{error}");
        assert!(error.to_string().contains(why), "{error}");
        assert!(!directory.exists(), "the directory waits for a node that can run");
    }
}

/// A machine that cannot read any state.
struct Illiterate;

impl StateMachine for Illiterate {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        |_: &mut dyn Write| Ok(())
    }

    fn restore(&mut self, _: &mut dyn Read) -> io::Result<()> {
        Err(io::ErrorKind::InvalidData.into())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_machine_that_is_not_restored_leaves_the_directory_free() {
    let folder = tempfile::tempdir().expect("there is room");
    let node = open(1, site(folder.path()), &Journal::default()).await.expect("it is new");
    let with_a_snapshot = async {
        while node.handle().status().await.expect("it runs").base.index.0 == 0 {
            propose(&node, "more").await;
        }
    };
    soon("a snapshot", with_a_snapshot).await;
    node.shutdown().await;
    for _ in 0..3 {
        let opened = Builder::new(NodeId(1)).open(site(folder.path()), Illiterate).await;
        let error = opened.expect_err("it does not read it");
        assert!(matches!(error, NodeError::Start(StartError::NotRestored { .. })), "{error}");
    }
    let journal = Journal::default();
    open(1, site(folder.path()), &journal).await.expect("it is free").shutdown().await;
    assert!(!journal.lines().is_empty());
}

/// Waits until the connection from one node to another is down for this reason.
async fn down(from: &Node, to: u64, reason: &Fault) {
    eventually("the connection is refused", || {
        let status = from.network().status();
        let link = &status.peers.get(&NodeId(to))?.link;
        (*link == LinkState::Down(reason.clone())).then_some(())
    })
    .await;
}

/// Nodes 1 and 2, each a cluster of its own, which take each other for peers.
async fn strangers(folder: &Path, first: Site, second: Site) -> (Node, Node) {
    let peers = Addresses::new([] as [(NodeId, String); 0]);
    let first = Site { directory: folder.join("1"), peers: peers.clone(), ..first };
    let begin = Begin::found([NodeId(2)]);
    let second = Site { directory: folder.join("2"), peers: peers.clone(), begin, ..second };
    let one = open(1, first, &Journal::default()).await.expect("nothing is wrong");
    let two = open(2, second, &Journal::default()).await.expect("nothing is wrong");
    peers.set(NodeId(1), one.network().listening().to_string());
    peers.set(NodeId(2), two.network().listening().to_string());
    (one, two)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_of_another_cluster_is_refused_on_both_sides_and_both_go_on() {
    let folder = tempfile::tempdir().expect("there is room");
    let other = ClusterId::new("other").expect("it is a label");
    let mine = site(folder.path());
    let (one, two) = strangers(folder.path(), mine.clone(), Site { cluster: other, ..mine }).await;
    let reason = Fault::Refused(Objection::ForeignCluster);
    assert!(reason.to_string().contains("different clusters"), "{reason}");
    down(&one, 2, &reason).await;
    down(&two, 1, &reason).await;
    for node in [one, two] {
        propose(&node, "going on").await;
        node.shutdown().await;
    }
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::new(Vec::new()).expect("there are no names");
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().expect("the system has random numbers");
    CertifiedIssuer::self_signed(params, key).expect("it signs itself")
}

/// What a node shows: a certificate of this authority, which is the one that it trusts.
fn certified(authority: &Authority, id: u64) -> Security {
    let name = certificate_name(&cluster(), NodeId(id));
    let params = CertificateParams::new(vec![name]).expect("it is a DNS name");
    let key = KeyPair::generate().expect("the system has random numbers");
    let chain = params.signed_by(&key, authority).expect("the authority signs").pem();
    let (root, key) = (authority.pem(), key.serialize_pem());
    let tls = Tls::from_pem(root.as_bytes(), chain.as_bytes(), key.as_bytes());
    Security::Tls(tls.expect("they go together"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_of_another_node_is_refused_before_anything_is_sent() {
    let folder = tempfile::tempdir().expect("there is room");
    let used = used(folder.path()).await;
    let authority = authority();
    let error = refused(1, Site { security: certified(&authority, 2), ..used.clone() }).await;
    let is_named = matches!(
        &error,
        NodeError::Network(TransportError::Certificate(TlsError::OtherNode(name)))
            if *name == certificate_name(&cluster(), NodeId(1))
    );
    assert!(is_named, "{error}");
    nothing_is_lost(Site { security: certified(&authority, 1), ..used }).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_with_a_certificate_of_another_authority_is_refused_and_both_go_on() {
    let folder = tempfile::tempdir().expect("there is room");
    let mine = site(folder.path());
    let first = Site { security: certified(&authority(), 1), ..mine.clone() };
    let second = Site { security: certified(&authority(), 2), ..mine };
    let (one, two) = strangers(folder.path(), first, second).await;
    let reason = Fault::Tls(TlsFault::ForeignAuthority);
    down(&one, 2, &reason).await;
    down(&two, 1, &reason).await;
    for node in [one, two] {
        propose(&node, "going on").await;
        node.shutdown().await;
    }
}

/// Every file in a directory.
fn files(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).expect("it is there").map(|file| file.expect("it is").path());
    let inside = |path: PathBuf| if path.is_dir() { files(&path) } else { vec![path] };
    listed.flat_map(inside).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_record_that_has_rotted_is_refused_and_not_cut_off() {
    let folder = tempfile::tempdir().expect("there is room");
    let used = used(folder.path()).await;
    let mut flipped = Vec::new();
    for path in files(folder.path()) {
        let mut bytes = fs::read(&path).expect("it is there");
        let at = bytes.windows(13).position(|window| window == b"remember this");
        if let Some(at) = at {
            bytes[at] ^= 1;
            fs::write(&path, &bytes).expect("there is room");
            flipped.push((path, at));
        }
    }
    assert!(!flipped.is_empty(), "the record is somewhere");
    let error = refused(1, used.clone()).await;
    assert!(matches!(error, NodeError::Directory(OpenError::Damaged { .. })), "{error}");
    assert!(error.to_string().contains("must not vote"), "{error}");
    // Nothing was touched: with the bit as it was, it is whole.
    for (path, at) in flipped {
        let mut bytes = fs::read(&path).expect("it is there");
        bytes[at] ^= 1;
        fs::write(&path, &bytes).expect("there is room");
    }
    nothing_is_lost(used).await;
}
