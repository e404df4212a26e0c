//! What is true of a simulated cluster, whatever its nodes believe: their states as they were last
//! seen, their disks, what was ever committed, what clients were told.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard};

use quorate_spec::property::ClaimSet;
use quorate_spec::property::history::{Event, History};
use quorate_spec::property::release::{SentVote, broken_by_release, vote_in};
use quorate_spec::property::step::broken_by_restart;
use quorate_spec::{
    Configuration, Durable, EntryId, Envelope, Index, Input, Moment, Node, NodeId, Protocol, Sound,
};
use tokio::sync::Notify;
use tokio::time::Instant;

use super::boundary::Boundary;
use super::claims;
use super::clock::SimClock;
use super::dice::Dice;
use super::disk::SimDisk;
use super::journal::Journal;
use super::machine::Tape;
use super::network::SimNetwork;
use super::plan::Plan;
use crate::clock::{Clock, span};
use crate::errors::StopReason;
use crate::handle::Handle;
use crate::lock::lock;
use crate::setting::Step;
use crate::storage::StorageError;

/// The world of one run.
pub(super) struct World {
    state: Mutex<State>,
    pub(super) plan: Plan,
    pub(super) network: SimNetwork,
    /// Something is false.
    alarm: Arc<Notify>,
}

/// What is true of it.
pub(super) struct State {
    pub(super) protocol: Protocol,
    pub(super) first: Configuration,
    pub(super) servers: BTreeMap<NodeId, Server>,
    pub(super) history: History,
    /// The same without what every log and every disk has compacted: of that no quorum lacks anything.
    pub(super) recent: History,
    pub(super) journal: Journal,
    /// Faults are over.
    pub(super) quiet: bool,
    /// Where the next crash comes.
    pub(super) trap: Option<Trap>,
    /// Every write that a client was told of.
    pub(super) acked: Vec<Ack>,
    /// Nobody looks into a node.
    from_outside: bool,
    alarm: Arc<Notify>,
    began: Instant,
}

/// One server.
pub(super) struct Server {
    /// As it was last seen; where it is down, as it would start.
    pub(super) node: Node,
    pub(super) life: u64,
    pub(super) live: bool,
    pub(super) disk: SimDisk,
    pub(super) clock: Arc<SimClock>,
    pub(super) handle: Option<Handle>,
    /// What its machine has applied.
    pub(super) tape: Tape,
    /// Called when it goes down.
    pub(super) down: Arc<Notify>,
    last_vote: Option<SentVote>,
    /// As it went down, with what its disk had for sure.
    before: Option<(Node, Arc<Durable>)>,
}

/// A crash comes when so many boundaries more, of this kind or of any, have been passed.
#[derive(Clone, Copy, Debug)]
pub(super) struct Trap {
    pub(super) at: Option<Boundary>,
    pub(super) left: u64,
}

/// A write that a client was told of.
#[derive(Clone, Debug)]
pub(super) struct Ack {
    pub(super) entry: EntryId,
    pub(super) command: Vec<u8>,
}

impl World {
    pub(super) fn new(plan: Plan) -> World {
        let first = Configuration::of(plan.ids());
        let protocol = Protocol { rules: Sound, params: plan.params() };
        let server = |id: NodeId| {
            let disk = SimDisk::new(first.clone(), Dice::new(plan.seed, 100 + id.0));
            let clock = Arc::new(SimClock::new(id.0 * 1_000_000_000_000));
            let moment = Moment { now: clock.now(), draw: 0 };
            let node = protocol.start(id, Durable::clone(&disk.durable()), moment);
            let (tape, down) = (Tape::default(), Arc::default());
            let (life, live, handle) = (0, false, None);
            let (last_vote, before) = (None, None);
            Server { node, life, live, disk, clock, handle, tape, down, last_vote, before }
        };
        let servers = plan.ids().map(|id| (id, server(id))).collect();
        let alarm = Arc::new(Notify::new());
        let state = State {
            protocol,
            servers,
            first,
            history: History::default(),
            recent: History::default(),
            journal: Journal::keeping(plan.lines),
            quiet: false,
            trap: plan.crash_at.map(|left| Trap { at: None, left }),
            acked: Vec::new(),
            from_outside: plan.from_outside,
            alarm: Arc::clone(&alarm),
            began: Instant::now(),
        };
        let network = SimNetwork::new(Dice::new(plan.seed, 2));
        World { state: Mutex::new(state), plan, network, alarm }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }

    /// Waits until something is false.
    pub(super) async fn alarm(&self) {
        self.alarm.notified().await;
    }

    /// Whether this life of the node has not ended.
    pub(super) fn is_live(&self, id: NodeId, life: u64) -> bool {
        self.lock().is_live(id, life)
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.lock().quiet
    }

    /// The way to a node that runs, and which life that is.
    pub(super) fn handle(&self, id: NodeId) -> Option<(Handle, u64)> {
        let state = self.lock();
        let server = state.servers.get(&id).filter(|server| server.live)?;
        Some((server.handle.clone()?, server.life))
    }

    /// Notes that something happened.
    pub(super) fn count(&self, what: &'static str) {
        self.lock().journal.counts.add(what, 1);
    }

    /// Notes a line.
    pub(super) fn say(&self, line: impl FnOnce() -> String) {
        self.lock().say(line);
    }

    /// Something that is not a claim of the specification has to hold.
    pub(super) fn require(&self, holds: bool, what: impl FnOnce() -> String) {
        if !holds {
            self.lock().wrong(what());
        }
    }

    /// The node does something that can be seen from outside. False where it is dead, or dies here.
    pub(super) fn passes(&self, id: NodeId, life: u64, boundary: Boundary) -> bool {
        let mut state = self.lock();
        if !state.is_live(id, life) {
            return false;
        }
        state.journal.counts.add("boundaries passed", 1);
        let Some(trap) = &mut state.trap else { return true };
        if trap.at.is_some_and(|at| at != boundary) {
            return true;
        }
        trap.left = trap.left.saturating_sub(1);
        if trap.left > 0 {
            return true;
        }
        state.trap = None;
        state.journal.counts.add(crashes(boundary), 1);
        let broken = state.crash(id, &format!("crashes at {boundary:?}"));
        drop(state);
        self.found(broken);
        false
    }

    /// The power of a node goes. False where it was off.
    pub(super) fn lose_power(&self, id: NodeId) -> bool {
        let mut state = self.lock();
        if !state.servers[&id].live {
            return false;
        }
        state.journal.counts.add("losses of power", 1);
        let broken = state.crash(id, "loses its power");
        drop(state);
        self.found(broken);
        true
    }

    /// The node has stopped by itself.
    pub(super) fn stopped(&self, id: NodeId, life: u64, reason: &StopReason) {
        let mut state = self.lock();
        if !state.is_live(id, life) {
            return;
        }
        let unsynced = state.servers[&id].disk.possible().len() - 1;
        let broken = state.crash(id, &format!("stops: {reason}"));
        match reason {
            StopReason::Storage(StorageError::Disk { .. }) => {
                state.journal.counts.add("nodes that stopped for a full disk", 1);
            }
            StopReason::Storage(_) => {
                state.journal.counts.add("nodes that stopped for a failed sync", 1);
            }
            StopReason::Shutdown if unsynced == 0 => {
                state.journal.counts.add("nodes that were shut down", 1);
            }
            other => {
                let left = format!("{unsynced} writes are not durable");
                state.wrong(format!("{id} has stopped: {other}; {left}"));
            }
        }
        drop(state);
        self.found(broken);
    }

    /// The node has started.
    pub(super) fn started(&self, id: NodeId, life: u64, node: &Node) {
        let mut state = self.lock();
        let Some(server) = state.servers.get_mut(&id).filter(|it| it.life == life) else { return };
        (server.live, server.node) = (true, node.clone());
        let mut broken = ClaimSet::NONE;
        if let Some((before, disk)) = server.before.take() {
            broken = broken_by_restart(&before, &disk, &server.disk.durable(), node);
        }
        state.say(|| format!("{id} starts its life {life} {:08x}", fingerprint(node)));
        let broken = broken.union(claims::around(&state, id, true));
        drop(state);
        self.found(broken);
    }

    /// The node has taken a step.
    pub(super) fn stepped(&self, id: NodeId, life: u64, step: &Step<'_>) {
        let mut state = self.lock();
        if !state.is_live(id, life) {
            return;
        }
        let mut broken = claims::by_step(step);
        for event in claims::happened(step) {
            broken = broken.union(state.history.observe(&event));
            match event {
                Event::Elected { .. } => state.journal.counts.add("elections", 1),
                Event::Committed { .. } => {
                    state.recent.observe(&event);
                }
                _ => {}
            }
        }
        state.forget();
        state.count(step);
        if let Input::SnapshotTaken { index } = step.input {
            let kept = state.servers[&id].disk.has_state(*index);
            if !kept && *index > step.before.log().base().index {
                state.wrong(format!("{id}: the state after entry {index} is not durable"));
            }
        }
        let (before, after) = (step.before, step.after);
        if let Some(server) = state.servers.get_mut(&id) {
            server.node = after.clone();
        }
        state.say(|| line(step));
        let persisted = matches!(step.input, Input::Persisted(_));
        let changed = persisted
            || before.log() != after.log()
            || before.commit_index() != after.commit_index();
        let broken = broken.union(claims::around(&state, id, changed));
        drop(state);
        self.found(broken);
    }

    /// The node was asked for a request.
    pub(super) fn transmitted(&self, id: NodeId, life: u64, node: &Node) {
        let mut state = self.lock();
        if !state.is_live(id, life) {
            return;
        }
        let protocol = state.protocol;
        let Some(server) = state.servers.get_mut(&id) else { return };
        let same = protocol.read_view(&server.node) == protocol.read_view(node);
        server.node = node.clone();
        drop(state);
        self.require(same, || format!("{id}: PublishedInTime is broken by a request"));
    }

    /// A message leaves. Nothing can call it back.
    pub(super) fn released(&self, envelope: &Envelope) {
        let mut state = self.lock();
        let protocol = state.protocol;
        let Some(server) = state.servers.get_mut(&envelope.from) else { return };
        let disk = server.disk.durable();
        let broken = broken_by_release(envelope, &server.node, &disk, server.last_vote);
        server.last_vote = vote_in(envelope).or(server.last_vote);
        let (should, shown) =
            (protocol.read_view(&server.node), server.handle.as_ref().map(Handle::view));
        state.say(|| {
            let Envelope { from, to, message } = envelope;
            format!("{from} says to {to}: {:?} of {}", message.body.kind(), message.term)
        });
        drop(state);
        self.found(broken);
        self.require(shown.is_none_or(|shown| shown == should), || {
            format!("{}: a message left before {should:?} was published", envelope.from)
        });
    }

    /// The machine of a node is given these entries.
    pub(super) fn applies(&self, id: NodeId, entries: impl Iterator<Item = EntryId>) {
        let state = self.lock();
        let shown = state.servers[&id].handle.as_ref().map(Handle::view);
        let committed = |entry: &EntryId| {
            let known = state.history.committed.get(&entry.index);
            known.is_some_and(|(term, _)| *term == entry.term)
                && shown.is_none_or(|shown| shown.commit_index >= entry.index)
        };
        let wrong = entries.into_iter().find(|entry| !committed(entry));
        drop(state);
        self.require(wrong.is_none(), || format!("{id}: {wrong:?} is applied and not committed"));
    }

    /// A client was told of a write.
    pub(super) fn acked(&self, entry: EntryId, command: Vec<u8>) {
        let mut state = self.lock();
        state.journal.counts.add("writes acknowledged", 1);
        state.say(|| {
            format!("a client hears of {} at {}", String::from_utf8_lossy(&command), entry.index)
        });
        state.acked.push(Ack { entry, command });
    }

    /// The last entry that any client knows of.
    pub(super) fn last_acked(&self) -> Option<Ack> {
        self.lock().acked.iter().max_by_key(|ack| ack.entry.index).cloned()
    }

    fn found(&self, broken: ClaimSet) {
        if !broken.is_empty() {
            self.lock().wrong(format!("{broken:?}"));
        }
    }
}

impl State {
    fn is_live(&self, id: NodeId, life: u64) -> bool {
        self.servers.get(&id).is_some_and(|server| server.live && server.life == life)
    }

    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        if self.journal.is_kept() {
            let at = span(self.began.elapsed()).0 / 1_000_000;
            self.journal.say(format!("{at:>6} ms  {}", line()));
        }
    }

    pub(super) fn wrong(&mut self, what: String) {
        if self.from_outside && !is_seen(&what) {
            return;
        }
        self.alarm.notify_one();
        self.say(|| format!("WRONG: {what}"));
        let at = span(self.began.elapsed()).0 / 1_000_000;
        self.journal.wrong.push(format!("at {at} ms: {what}"));
    }

    /// The node is no more: only its disk is left.
    fn crash(&mut self, id: NodeId, why: &str) -> ClaimSet {
        let Some(server) = self.servers.get_mut(&id) else { return ClaimSet::NONE };
        let disk = server.disk.durable();
        let loss = server.disk.lose_power();
        let recovered = server.disk.durable();
        let base = recovered.log.base().index;
        let has_state = base == Index::ZERO || server.disk.has_state(base);
        let moment = Moment { now: server.clock.now(), draw: 0 };
        let ghost = self.protocol.start(id, Durable::clone(&recovered), moment);
        server.before = Some((std::mem::replace(&mut server.node, ghost), disk));
        (server.live, server.handle) = (false, None);
        server.down.notify_one();
        let counts = &mut self.journal.counts;
        counts.add("unsynced writes lost", loss.lost as u64);
        counts.add("unsynced writes that survived", loss.kept as u64);
        self.say(|| format!("{id} {why}; of its writes {} are lost, {} not", loss.lost, loss.kept));
        if !has_state {
            self.wrong(format!("{id}: the state after entry {base} is not on the disk"));
        }
        self.history.observe(&Event::Restarted(id)).union(claims::around(self, id, true))
    }

    /// Forgets of what was committed what every log and every disk has compacted.
    fn forget(&mut self) {
        let base = |server: &Server| {
            server.node.log().base().index.min(server.disk.durable().log.base().index)
        };
        let low = self.servers.values().map(base).min().unwrap_or_default();
        if self.recent.committed.first_key_value().is_some_and(|(first, _)| *first < low) {
            self.recent.committed = self.recent.committed.split_off(&low);
        }
    }

    fn count(&mut self, step: &Step<'_>) {
        let counts = &mut self.journal.counts;
        counts.add("steps", 1);
        let (before, after) = (step.before, step.after);
        let campaigns = after.campaign().is_some() && before.campaign().is_none();
        counts.add("campaigns", u64::from(campaigns));
        let deposed = before.is_leader() && !after.is_leader();
        counts.add("leaders that stepped down", u64::from(deposed));
        counts.add("snapshots installed", u64::from(step.effects.install.is_some()));
        let compacted = before.log().base() < after.log().base() && step.effects.install.is_none();
        counts.add("snapshots taken", u64::from(compacted));
        let gone = before.log().ids().filter(|id| !after.log().covers(*id)).count();
        counts.add("entries truncated", gone as u64);
        let committed = after.commit_index().0.saturating_sub(before.commit_index().0);
        counts.add("commits seen", committed);
    }
}

/// Whether clients or other servers can see it, without a look into the node.
fn is_seen(what: &str) -> bool {
    let seen = [
        "does not have a write",
        "is another one",
        "a stale read",
        "applied a command twice",
        "ElectionSafety",
        "LeaderCompleteness",
        "StateMachineSafety",
        "has stopped",
    ];
    seen.iter().any(|seen| what.contains(seen))
}

fn crashes(at: Boundary) -> &'static str {
    match at {
        Boundary::Submitted => "crashes right after a submit",
        Boundary::Synced => "crashes between a sync and its report",
        Boundary::Kept => "crashes between a state and its report",
        Boundary::Reported => "crashes between a report and its reading",
        Boundary::Fetched => "crashes between a fetch and its use",
        Boundary::Sending => "crashes before a packet leaves",
        Boundary::Sent => "crashes after a packet left",
        Boundary::Arriving => "crashes before a packet is taken in",
        Boundary::Applying => "crashes before a batch is applied",
        Boundary::Applied => "crashes between applying and answering",
    }
}

/// A step in a line, with a fingerprint of all that the node is after it.
fn line(step: &Step<'_>) -> String {
    let (input, after) = (step.input, step.after);
    let input = match input {
        Input::Receive(it) => {
            format!("{:?} of {} from {}", it.message.body.kind(), it.message.term, it.from)
        }
        Input::Persisted(id) => format!("write {id} is durable"),
        other => format!("{other:?}"),
    };
    let (role, term, last) = (after.role().name(), after.current_term(), after.log().last().index);
    let commit = after.commit_index();
    let print = fingerprint(after);
    format!(
        "{} {input}: {role:?} of {term}, log to {last}, commit {commit} {print:08x}",
        after.id()
    )
}

fn fingerprint(node: &Node) -> u32 {
    let mut hasher = DefaultHasher::new();
    node.hash(&mut hasher);
    hasher.finish() as u32
}
