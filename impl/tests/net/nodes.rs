//! Whole nodes over TCP: they elect, replicate, live through a cut network, and come back.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use quorate::clock::span;
use quorate::net::{Addresses, Security, TcpOptions, TcpTransport};
use quorate::node::{self, Parts};
use quorate::{
    Command, Handle, Limits, Mail, MemoryDisk, MonotonicClock, Options, ReadLevel, Response,
    RunningNode, StateMachine, Transport,
};
use quorate_spec::{Configuration, NodeId, Params};

use crate::proxy::{Proxy, Weather};
use crate::rig::{Authority, eventually, options, soon};

const ALL: [NodeId; 3] = [NodeId(1), NodeId(2), NodeId(3)];

/// A machine that keeps all commands.
#[derive(Clone, Default)]
struct Journal(Arc<Mutex<Vec<u8>>>);

impl Journal {
    fn lines(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl StateMachine for Journal {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |command: &Command<'_>| {
            lines.extend_from_slice(command.bytes);
            lines.push(b'\n');
            lines.len().to_string().into_bytes()
        };
        commands.iter().map(one).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let lines = self.lines();
        move |out: &mut dyn Write| out.write_all(&lines)
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        let mut lines = Vec::new();
        state.read_to_end(&mut lines)?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = lines;
        Ok(())
    }
}

/// A node that runs, and what it runs on.
struct Running {
    node: RunningNode,
    transport: Arc<TcpTransport>,
    journal: Journal,
}

/// Three nodes; between each two of them a network that can be cut.
struct Cluster {
    authority: Option<Authority>,
    disks: BTreeMap<NodeId, MemoryDisk>,
    addresses: BTreeMap<NodeId, Addresses>,
    listen: BTreeMap<NodeId, String>,
    network: BTreeMap<(NodeId, NodeId), Proxy>,
    running: BTreeMap<NodeId, Running>,
    seed: u64,
}

impl Cluster {
    async fn start(authority: Option<Authority>) -> Cluster {
        let disk = |id| (id, MemoryDisk::new(Configuration::of(ALL)));
        let nobody = |id| (id, Addresses::new([] as [(NodeId, String); 0]));
        let mut cluster = Cluster {
            authority,
            disks: ALL.into_iter().map(disk).collect(),
            addresses: ALL.into_iter().map(nobody).collect(),
            listen: BTreeMap::new(),
            network: BTreeMap::new(),
            running: BTreeMap::new(),
            seed: 1,
        };
        for id in ALL {
            cluster.start_node(id).await;
        }
        for (from, to) in ALL.iter().flat_map(|from| ALL.map(|to| (*from, to))) {
            if from != to {
                let proxy = Proxy::to(cluster.listen[&to].clone()).await;
                cluster.addresses[&from].set(to, proxy.address());
                cluster.network.insert((from, to), proxy);
            }
        }
        cluster
    }

    async fn start_node(&mut self, id: NodeId) {
        let security = match &self.authority {
            Some(authority) => Security::Tls(authority.vouches(id.0)),
            None => Security::Open,
        };
        let mut options =
            TcpOptions { addresses: self.addresses[&id].clone(), ..options(id.0, security) };
        if let Some(listen) = self.listen.get(&id) {
            options.listen.clone_from(listen);
        }
        let (transport, arrivals) = TcpTransport::start(options).await.expect("it can listen");
        self.listen.insert(id, transport.listening().to_string());
        let (transport, journal) = (Arc::new(transport), Journal::default());
        self.seed += 1;
        let params = Params::new(span(Duration::from_millis(150)), span(Duration::from_millis(20)));
        let limits = Limits { entries_per_snapshot: 40, ..Limits::default() };
        let options = Options { id, params, seed: self.seed, limits };
        let parts = Parts {
            storage: self.disks[&id].open(),
            transport: Arc::clone(&transport) as Arc<dyn Transport>,
            packets: arrivals.packets,
            mail: Some(Mail { post: transport.clone(), letters: arrivals.letters }),
            clock: Arc::new(MonotonicClock::new()),
            machine: journal.clone(),
        };
        let node = node::start(options, parts).expect("the parameters fit");
        self.running.insert(id, Running { node, transport, journal });
    }

    /// Takes the power from a node.
    async fn kill(&mut self, id: NodeId) {
        let Running { node, transport, .. } = self.running.remove(&id).expect("it runs");
        self.disks[&id].crash();
        node.kill().await;
        transport.shutdown().await;
    }

    fn turn(&self, id: NodeId, weather: Weather) {
        for ((from, to), proxy) in &self.network {
            if *from == id || *to == id {
                proxy.turn(weather);
            }
        }
    }

    fn handle(&self, id: NodeId) -> &Handle {
        self.running[&id].node.handle()
    }

    /// Waits until these nodes follow one leader, one of them.
    async fn leader_of(&self, nodes: &[NodeId]) -> NodeId {
        eventually("they follow one leader", || {
            let mut views = nodes.iter().map(|id| self.handle(*id).view());
            let first = views.next()?;
            let agreed = views.all(|view| (view.leader, view.term) == (first.leader, first.term));
            first.leader.filter(|leader| agreed && nodes.contains(leader))
        })
        .await
    }

    /// Has a command acknowledged by whichever of these nodes leads.
    async fn propose(&self, nodes: &[NodeId], command: String) {
        let acknowledged = async {
            loop {
                for id in nodes {
                    match self.handle(*id).propose(command.as_bytes()).await {
                        Ok(_) => return,
                        Err(error) if error.is_worth_retrying() => {}
                        Err(error) => panic!("{error}"),
                    }
                }
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        soon("a proposal is acknowledged", acknowledged).await;
    }

    /// Waits until all nodes have applied the command, and the same before it.
    async fn all_have(&self, command: &str) {
        eventually("all machines are the same", || {
            let lines: Vec<Vec<u8>> = self.running.values().map(|it| it.journal.lines()).collect();
            let has = |lines: &Vec<u8>| lines.ends_with(format!("{command}\n").as_bytes());
            lines.iter().all(|other| has(other) && *other == lines[0]).then_some(())
        })
        .await;
    }

    async fn stop(mut self) {
        while let Some((_, Running { node, transport, .. })) = self.running.pop_first() {
            node.shutdown().await;
            transport.shutdown().await;
        }
    }
}

/// What three nodes live through.
async fn life(authority: Option<Authority>) {
    let mut cluster = Cluster::start(authority).await;
    let leader = cluster.leader_of(&ALL).await;
    for i in 0..20 {
        cluster.propose(&ALL, format!("first-{i}")).await;
    }
    cluster.all_have("first-19").await;
    // One that follows has the leader propose, and gives the leader's answer.
    let follower =
        cluster.handle(ALL.into_iter().find(|id| *id != leader).expect("there are three"));
    let session = soon("a session", follower.open_session()).await.expect("there is a leader");
    let applied = soon("an answer", session.propose(follower, "forwarded")).await;
    let length = applied.expect("there is a leader").response;
    let lines = cluster.running[&leader].journal.lines();
    assert_eq!(length, lines.len().to_string().into_bytes(), "the leader has applied it");
    cluster.all_have("forwarded").await;
    soon("a read", cluster.handle(leader).read(ReadLevel::ReadIndex)).await.expect("it leads");

    // The leader is cut off: the others elect, go on, and forget what it will need.
    cluster.turn(leader, Weather::Cut);
    let rest: Vec<NodeId> = ALL.into_iter().filter(|id| *id != leader).collect();
    cluster.leader_of(&rest).await;
    for i in 0..150 {
        cluster.propose(&rest, format!("second-{i}")).await;
    }
    cluster.turn(leader, Weather::Fair);
    cluster.propose(&ALL, "mended".to_owned()).await;
    cluster.all_have("mended").await;
    let moved = rest.iter().map(|id| cluster.running[id].transport.moved(leader)).sum::<u64>();
    assert!(moved > 0, "it was away for so long that it needed a snapshot");

    // A node crashes and comes back: another life, with what its disk has.
    let crashed = rest[0];
    let before = cluster.running[&crashed].transport.identity().incarnation;
    cluster.kill(crashed).await;
    let others: Vec<NodeId> = ALL.into_iter().filter(|id| *id != crashed).collect();
    cluster.propose(&others, "without it".to_owned()).await;
    cluster.start_node(crashed).await;
    assert_ne!(cluster.running[&crashed].transport.identity().incarnation, before);
    cluster.propose(&ALL, "back".to_owned()).await;
    cluster.all_have("back").await;
    cluster.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_elect_replicate_and_live_through_cuts_and_crashes_over_tcp() {
    life(None).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_nodes_elect_replicate_and_live_through_cuts_and_crashes_over_tls() {
    life(Some(Authority::new())).await;
}
