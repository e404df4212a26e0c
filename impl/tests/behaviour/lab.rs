//! Three nodes with recorded machines, and ways to wait for them.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use quorate::clock::span;
use quorate::{
    ChangeError, Clock, Cluster, Command, Handle, Limits, MonotonicClock, ReadError, ReadLevel,
    Response, StateMachine,
};
use quorate_spec::{EntryId, Index, NodeId, Params, ReadView, Refusal, Term};

use crate::evidence::Evidence;

/// Far more than anything here takes, on the slowest machine.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn params() -> Params {
    Params::new(span(Duration::from_millis(120)), span(Duration::from_millis(15)))
        .with_lease(1_000, span(Duration::from_millis(1)))
}

/// Waits until `condition` gives something.
pub(crate) async fn eventually<T>(what: &str, mut condition: impl AsyncFnMut() -> Option<T>) -> T {
    let found = async {
        loop {
            if let Some(found) = condition().await {
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

/// What a machine has applied, in order.
pub(crate) type Applied = Vec<(EntryId, Vec<u8>)>;

/// A state machine that remembers.
#[derive(Clone, Default)]
pub(crate) struct Recorder(Arc<Mutex<Applied>>);

impl Recorder {
    pub(crate) fn applied(&self) -> Applied {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn commands(&self) -> Vec<Vec<u8>> {
        self.applied().into_iter().map(|(_, command)| command).collect()
    }
}

/// It answers how many commands it has applied, the one that it answers included.
impl StateMachine for Recorder {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        let mut applied = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let one = |Command { id, bytes }: &Command<'_>| {
            applied.push((*id, bytes.to_vec()));
            applied.len().to_string().into_bytes()
        };
        commands.iter().map(one).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let applied = self.applied();
        move |out: &mut dyn Write| {
            applied.iter().try_for_each(|(id, command)| {
                let command = str::from_utf8(command).expect("the commands of tests are text");
                writeln!(out, "{} {} {command}", id.term, id.index)
            })
        }
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        let mut text = String::new();
        state.read_to_string(&mut text)?;
        let entry = |line: &str| {
            let mut parts = line.splitn(3, ' ');
            let mut number = || parts.next()?.parse().ok();
            let id = EntryId { term: Term(number()?), index: Index(number()?) };
            Some((id, parts.next()?.as_bytes().to_vec()))
        };
        let restored: Option<Applied> = text.lines().map(entry).collect();
        let restored = restored.ok_or_else(|| io::Error::other("this is no list of commands"))?;
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = restored;
        Ok(())
    }
}

/// Every machine that a node ever had, the present one last.
type Machines = Arc<Mutex<BTreeMap<NodeId, Vec<Recorder>>>>;

/// Holds a node up that is about to send something: its owner stands still, and what else belongs
/// to the node goes on.
#[derive(Clone, Default)]
pub(crate) struct Frost(Arc<(Mutex<Option<NodeId>>, Condvar)>);

impl Frost {
    /// From now on this node is held up, or nobody.
    pub(crate) fn hold(&self, id: Option<NodeId>) {
        *self.0.0.lock().unwrap_or_else(PoisonError::into_inner) = id;
        self.0.1.notify_all();
    }

    fn pass(&self, id: NodeId) {
        let held = self.0.0.lock().unwrap_or_else(PoisonError::into_inner);
        if *held == Some(id) {
            // Other tasks must not wait for the thread of this one.
            tokio::task::block_in_place(|| {
                drop(self.0.1.wait_while(held, |held| *held == Some(id)));
            });
        }
    }
}

/// A cluster under observation.
pub(crate) struct Lab {
    pub(crate) cluster: Cluster<Recorder>,
    pub(crate) evidence: Evidence,
    pub(crate) frost: Frost,
    machines: Machines,
}

impl Lab {
    /// Three nodes, running.
    pub(crate) fn start(seed: u64) -> Lab {
        Lab::start_with(seed, Limits::default())
    }

    /// The same, with these limits.
    pub(crate) fn start_with(seed: u64, limits: Limits) -> Lab {
        let machines = Machines::default();
        let made = Arc::clone(&machines);
        // Where the system's clock does not carry a lease, every read asks a quorum.
        let carries = MonotonicClock::new().counts_suspended_time();
        let params = Params { lease: params().lease.filter(|_| carries), ..params() };
        let cluster = Cluster::new(3, params, seed, move |id| {
            let recorder = Recorder::default();
            let mut made = made.lock().unwrap_or_else(PoisonError::into_inner);
            made.entry(id).or_default().push(recorder.clone());
            recorder
        })
        .with_limits(Limits { forward_patience: Duration::from_millis(300), ..limits });
        let disks = (1..=3).map(NodeId).map(|id| (id, cluster.disk(id).clone())).collect();
        let evidence = Evidence::of(disks);
        let (watcher, frost) = (evidence.clone(), Frost::default());
        let cold = frost.clone();
        cluster.network().tap(Arc::new(move |packet| {
            cold.pass(packet.envelope.from);
            watcher.watch(packet);
        }));
        let mut lab = Lab { cluster, evidence, frost, machines };
        lab.start_all();
        lab
    }

    /// Starts a node that does not run.
    pub(crate) fn start_node(&mut self, id: NodeId) {
        self.evidence.forget(id);
        let handle = self.cluster.start(id).expect("the parameters fit and its state is there");
        self.evidence.follow(id, handle.watch());
    }

    /// Starts every node that does not run.
    pub(crate) fn start_all(&mut self) {
        for id in (1..=3).map(NodeId) {
            if self.cluster.handle(id).is_none() {
                self.start_node(id);
            }
        }
    }

    /// A node with an empty disk starts, which is no member yet.
    pub(crate) fn add(&mut self, id: NodeId) {
        self.cluster.add(id);
        self.evidence.add(id, self.cluster.disk(id).clone());
        self.start_node(id);
    }

    pub(crate) fn handle(&self, id: NodeId) -> &Handle {
        self.cluster.handle(id).expect("it runs")
    }

    pub(crate) fn view(&self, id: NodeId) -> ReadView {
        self.handle(id).view()
    }

    /// The machine that the node has now, or had last.
    pub(crate) fn machine(&self, id: NodeId) -> Recorder {
        let machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        machines[&id].last().expect("it was started").clone()
    }

    /// The nodes that run, but this one.
    pub(crate) fn others(&self, id: NodeId) -> Vec<NodeId> {
        self.cluster.handles().map(Handle::id).filter(|other| *other != id).collect()
    }

    /// Waits until all nodes that run follow one leader.
    pub(crate) async fn leader(&self) -> (NodeId, Term) {
        let all: Vec<NodeId> = self.cluster.handles().map(Handle::id).collect();
        self.leader_of(&all).await
    }

    /// Waits until these nodes follow one leader, one of them.
    pub(crate) async fn leader_of(&self, nodes: &[NodeId]) -> (NodeId, Term) {
        eventually("they follow one leader", async || {
            let mut views = nodes.iter().map(|id| self.view(*id));
            let first = views.next()?;
            let agreed = views.all(|view| (view.leader, view.term) == (first.leader, first.term));
            let leader = first.leader.filter(|leader| agreed && nodes.contains(leader))?;
            Some((leader, first.term))
        })
        .await
    }

    /// Has the members changed by whichever of these nodes leads, again where the outcome is not
    /// known. A change that is complete already is fine.
    pub(crate) async fn change_members(&self, nodes: &[NodeId], voters: &[NodeId]) {
        eventually("the members change", async || {
            for id in nodes {
                match self.handle(*id).change_members(voters.to_vec(), []).await {
                    Ok(()) | Err(ChangeError::Refused(Refusal::NothingToChange)) => {
                        return Some(());
                    }
                    Err(ChangeError::Refused(_) | ChangeError::OutcomeUnknown) => {}
                    Err(
                        error @ (ChangeError::Unknown(_)
                        | ChangeError::Replaced
                        | ChangeError::Stopped(_)),
                    ) => panic!("{error}"),
                }
            }
            None
        })
        .await;
    }

    /// Has a command acknowledged, by whichever of these nodes leads. It may be applied twice: a
    /// proposal whose outcome is unknown is made again.
    pub(crate) async fn propose_to(&self, nodes: &[NodeId], command: &[u8]) -> EntryId {
        eventually("a proposal is acknowledged", async || {
            for id in nodes {
                let before = self.view(*id);
                let led = |entry: EntryId| (before.leader, before.term) == (Some(*id), entry.term);
                match self.handle(*id).propose(command).await {
                    Ok(applied) if led(applied.entry) => {
                        let (entry, shown) = (applied.entry, self.view(*id).commit_index);
                        assert!(shown >= entry.index, "{entry:?} is acknowledged before it shows");
                        return Some(entry);
                    }
                    // A node that follows, by now at least, may show it later than the leader.
                    Ok(applied) => return Some(applied.entry),
                    Err(error) if error.is_worth_retrying() => {}
                    Err(error) => panic!("{error}"),
                }
            }
            None
        })
        .await
    }

    /// The same, for all nodes that run.
    pub(crate) async fn propose(&self, command: &[u8]) -> EntryId {
        let all: Vec<NodeId> = self.cluster.handles().map(Handle::id).collect();
        self.propose_to(&all, command).await
    }

    /// Reads at a node, again where it loses its leadership meanwhile.
    pub(crate) async fn read(&self, id: NodeId, level: ReadLevel) -> Index {
        eventually("a read is served", async || match self.handle(id).read(level).await {
            Ok(index) => Some(index),
            Err(ReadError::Refused(Refusal::LostLeadership)) => None,
            Err(error) => panic!("{error}"),
        })
        .await
    }

    /// Waits until the machines of all nodes that run have applied all of `commands`, in the same
    /// order as each other. Returns what they applied.
    pub(crate) async fn all_apply(&self, commands: &[Vec<u8>]) -> Applied {
        let machines: Vec<Recorder> =
            self.cluster.handles().map(|handle| self.machine(handle.id())).collect();
        eventually("all machines apply the commands", async || {
            let applied: Vec<Applied> = machines.iter().map(Recorder::applied).collect();
            let first = applied.first()?;
            let has = |command| first.iter().any(|(_, applied)| applied == command);
            let all = commands.iter().all(has) && applied.iter().all(|other| other == first);
            all.then(|| first.clone())
        })
        .await
    }

    /// Stops everything, and looks at what was seen on the way: no claim was broken, and no two
    /// machines, of this life or an earlier one, differ where both have applied something.
    pub(crate) async fn finish(mut self) {
        self.cluster.stop_all().await;
        assert_eq!(self.evidence.violations(), Vec::<String>::new());
        let machines = self.machines.lock().unwrap_or_else(PoisonError::into_inner);
        let applied: Vec<Applied> = machines.values().flatten().map(Recorder::applied).collect();
        let longest = applied.iter().max_by_key(|applied| applied.len()).expect("nodes ran");
        for shorter in &applied {
            assert!(longest.starts_with(shorter), "{shorter:?} is no prefix of {longest:?}");
        }
    }
}

/// Numbered commands, all different.
pub(crate) fn commands(prefix: &str, count: usize) -> Vec<Vec<u8>> {
    (0..count).map(|i| format!("{prefix}-{i}").into_bytes()).collect()
}
