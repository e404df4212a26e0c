//! What an operator sees of a cluster over time: its spans, and metrics that move. In a program of its
//! own: who listens to spans is one for the whole process, for they come from every thread.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write as _};
use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate::clock::span;
use quorate::net::{Addresses, ClusterId, NetLimits, Security};
use quorate::{Begin, Builder, Command, Limits, Node, Response, Site, StateMachine};
use quorate_spec::{NodeId, Params};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Level, Metadata, Subscriber};

/// Far more than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// Keeps every span that begins, by its name, with its fields.
#[derive(Clone, Default)]
struct Spans(Arc<Mutex<BTreeMap<&'static str, Vec<String>>>>, Arc<AtomicU64>);

impl Spans {
    fn of(&self, name: &str) -> Vec<String> {
        let all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(name).cloned().unwrap_or_default()
    }
}

impl Subscriber for Spans {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.is_span()
            && metadata.target().starts_with("quorate")
            && *metadata.level() <= Level::INFO
    }

    fn new_span(&self, begins: &Attributes<'_>) -> Id {
        let mut text = Text::default();
        begins.record(&mut text);
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        all.entry(begins.metadata().name()).or_default().push(text.0);
        Id::from_u64(self.1.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, _: &Record<'_>) {}

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, _: &Event<'_>) {}

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

#[derive(Default)]
struct Text(String);

impl Visit for Text {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // Writing to a string does not fail.
        let _ = write!(self.0, "{}={value:?} ", field.name());
    }
}

/// A machine whose state is as long as all of its commands.
#[derive(Default)]
struct Tape(Vec<u8>);

impl StateMachine for Tape {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        commands.iter().for_each(|command| self.0.extend_from_slice(command.bytes));
        commands.iter().map(|_| Vec::new()).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let all = self.0.clone();
        move |out: &mut dyn Write| out.write_all(&all)
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        self.0.clear();
        state.read_to_end(&mut self.0).map(drop)
    }
}

/// Bytes of a snapshot in a second: it is on its way for longer than anything here waits, or gone at once.
const SLOW: u64 = 4 << 10;
const FAST: u64 = 64 << 20;

async fn open(id: u64, folder: &Path, peers: &Addresses, begin: Begin, rate: u64) -> Node {
    let params = Params::new(span(Duration::from_millis(500)), span(Duration::from_millis(50)));
    let network = NetLimits { snapshot_rate: rate, ..NetLimits::default() };
    let limits = Limits { entries_per_snapshot: 8, entries_kept_for_peers: 1, ..Limits::default() };
    let site = Site {
        cluster: ClusterId::new("test").expect("it is a label"),
        directory: folder.join(id.to_string()),
        listen: "127.0.0.1:0".to_owned(),
        peers: peers.clone(),
        security: Security::Open,
        begin,
    };
    let builder = Builder::new(NodeId(id)).params(params).limits(limits).network(network);
    let node = builder.open(site, Tape::default()).await.expect("nothing is wrong");
    peers.set(NodeId(id), node.network().listening().to_string());
    node
}

/// The value of a metric in the text, by its name and some of its labels; none where it is not there.
fn figure(node: &Node, name: &str, labels: &str) -> Option<f64> {
    let text = node.handle().metrics();
    let is_it = |line: &&str| line.split_once('{').is_some_and(|(is, _)| is == name);
    let line = text.lines().filter(is_it).find(|line| line.contains(labels))?;
    line.rsplit(' ').next()?.parse().ok()
}

/// Waits until `condition` gives something.
async fn eventually<T>(what: &str, mut condition: impl FnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = condition() {
                return found;
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    };
    tokio::time::timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never: {what}"))
}

async fn propose(node: &Node, command: Vec<u8>) {
    eventually("it leads", || node.handle().view().leader).await;
    node.handle().propose(command).await.expect("it leads");
}

/// How far a snapshot between the two has come, at both ends.
async fn snapshot_is_seen_on_its_way(one: &Node, two: &Node) {
    for (node, labels) in
        [(one, "peer=\"2\",direction=\"to\""), (two, "peer=\"1\",direction=\"from\"")]
    {
        let moved = || figure(node, "quorate_transfer_moved_bytes", labels);
        let first =
            eventually("some of it has moved", || moved().filter(|moved| *moved > 0.0)).await;
        let whole = figure(node, "quorate_transfer_whole_bytes", labels);
        assert!(whole > Some(100_000.0), "{labels}: {whole:?}");
        eventually("more of it moves", || moved().filter(|moved| *moved > first)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_takes_long_is_a_span_and_moves_in_the_metrics() {
    let spans = Spans::default();
    tracing::subscriber::set_global_default(spans.clone()).expect("nobody else listens");
    let folder = tempfile::tempdir().expect("there is room");
    let peers = Addresses::new([] as [(NodeId, String); 0]);
    let one = open(1, folder.path(), &peers, Begin::found([NodeId(1)]), SLOW).await;
    let syncs = |node: &Node| figure(node, "quorate_sync_seconds_count", "").unwrap_or_default();
    let seconds = |node: &Node| figure(node, "quorate_sync_seconds_sum", "").unwrap_or_default();
    propose(&one, vec![7; 1_000]).await;
    let before = (syncs(&one), seconds(&one));
    for _ in 0..20 {
        propose(&one, vec![7; 25_000]).await;
    }
    assert!(syncs(&one) > before.0 && seconds(&one) > before.1, "each is synced");
    let status = async || one.handle().status().await.expect("it runs");
    while status().await.base.index.0 < 8 {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }

    let two = open(2, folder.path(), &peers, Begin::Join, SLOW).await;
    tokio::select! {
        changed = one.handle().change_members([1, 2].map(NodeId), []) => panic!("{changed:?}"),
        () = snapshot_is_seen_on_its_way(&one, &two) => {}
    }
    // The rest of it comes when it was seen, however long that took.
    one.shutdown().await;
    let one = open(1, folder.path(), &peers, Begin::Resume, FAST).await;
    let caught_up = async {
        while two.handle().status().await.expect("it runs").base.index.0 < 8 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, caught_up).await.expect("it catches up");
    for (node, labels) in [(&one, "direction=\"to\""), (&two, "direction=\"from\"")] {
        eventually("it is over", || {
            figure(node, "quorate_transfer_moved_bytes", labels).is_none().then_some(())
        })
        .await;
    }
    assert!(figure(&one, "quorate_peer_queued", "peer=\"2\"").is_some());
    let handed_over = async {
        // The change that node 1 had begun goes on by itself, and is over before.
        while one.handle().transfer(NodeId(2)).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    tokio::time::timeout(PATIENCE, handed_over).await.expect("it is a member");
    for node in [two, one] {
        node.shutdown().await;
    }

    for (name, fields) in [
        ("node", &["id=1"][..]),
        ("open", &["node=1", "directory="]),
        ("connection", &["direction=\"in\"", "node=1", "peer=2"]),
        ("connection", &["direction=\"out\"", "node=1", "peer=2"]),
        ("transfer", &["direction=\"out\"", "peer=2", "index=", "bytes="]),
        ("transfer", &["direction=\"in\"", "peer=1", "index=", "bytes="]),
        ("snapshot", &["index="]),
        ("change_members", &["voters={n1, n2}"]),
        ("transfer_leadership", &["to=2"]),
    ] {
        let found = spans.of(name);
        let is_it = |span: &String| fields.iter().all(|field| span.contains(field));
        assert!(found.iter().any(is_it), "{name} {fields:?} in {found:?}");
    }
    assert_eq!(spans.of("step"), Vec::<String>::new(), "a step is no span where nobody asks");
}
