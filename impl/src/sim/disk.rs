//! A simulated disk: what is submitted becomes durable after a while, in groups, and most of what is
//! durable has to be fetched. The power can go, a sync can fail, it can stand still and be full.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use quorate_spec::{Configuration, Durable, EntryId, Index, Persist};
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, sleep, sleep_until};

use super::boundary::{Boundary, Hook};
use super::dice::Dice;
use crate::lock::lock;
use crate::memory::Contents;
use crate::record::{MachineState, Record};
use crate::storage::{Lookup, Progress, Storage, StorageError, Stretch};

/// The disk of one server. Clones are the same disk.
#[derive(Clone)]
pub(super) struct SimDisk(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    changed: Notify,
}

struct State {
    durable: Arc<Durable>,
    contents: Contents,
    /// Writes that are not durable, oldest first.
    dirty: VecDeque<(Persist, Vec<Record>)>,
    /// States of the machine that are not durable, oldest first.
    unkept: VecDeque<MachineState>,
    /// How often the disk was opened, or lost its power: only the latest opening writes.
    opening: u64,
    closing: bool,
    /// It has failed in this opening.
    failed: bool,
    fault: Option<Fault>,
    still_until: Option<Instant>,
    /// Nothing becomes durable until this ends.
    held: bool,
    dice: Dice,
}

/// What goes wrong with the next sync.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Fault {
    /// It fails, and what was dirty is gone.
    Sync,
    /// There is no room, until there is.
    Full,
}

/// What a loss of power took, and what it left.
#[derive(Clone, Copy, Debug)]
pub(super) struct Loss {
    /// Writes that were not reported and are lost.
    pub(super) lost: usize,
    /// Writes that were under way and are on the disk.
    pub(super) kept: usize,
}

impl SimDisk {
    /// An empty disk of a server in a cluster that starts with this configuration.
    pub(super) fn new(configuration: Configuration, dice: Dice) -> SimDisk {
        let state = State {
            durable: Arc::new(Durable::genesis(configuration)),
            contents: Contents::default(),
            dirty: VecDeque::new(),
            unkept: VecDeque::new(),
            opening: 0,
            closing: false,
            failed: false,
            fault: None,
            still_until: None,
            held: false,
            dice,
        };
        SimDisk(Arc::new(Shared { state: Mutex::new(state), changed: Notify::new() }))
    }

    /// Opens the disk for a node that starts. `hook` hears of everything that it does for that node.
    pub(super) fn open(&self, hook: Hook) -> SimStorage {
        let (opening, recovered, contents) = {
            let mut state = self.lock();
            state.opening += 1;
            (state.closing, state.failed) = (false, false);
            state.dirty.clear();
            state.unkept.clear();
            // A state that was kept, and that no log came to begin with, is nobody's.
            let base = state.durable.log.base();
            state.contents.states.retain(|_, kept| kept.last == base);
            (state.opening, Durable::clone(&state.durable), state.contents.clone())
        };
        self.0.changed.notify_waiters();
        let (report, progress) = watch::channel(Progress::default());
        let writer = Writer { disk: self.clone(), opening, report: Arc::new(report), hook };
        tokio::spawn(writer.clone().write_all());
        tokio::spawn(writer.clone().keep_all());
        let Writer { hook, .. } = writer;
        SimStorage { disk: self.clone(), opening, recovered, contents, progress, hook }
    }

    /// The power goes. What is durable stays, and of what was under way some prefix.
    pub(super) fn lose_power(&self) -> Loss {
        let mut state = self.lock();
        state.opening += 1;
        state.failed = false;
        let first = state.unkept.pop_front().filter(|_| state.dice.chance(50));
        if let Some(kept) = first {
            state.contents.keep(&kept);
        }
        state.unkept.clear();
        let all = state.dirty.len();
        let survive = state.dice.below(all as u64 + 1) as usize;
        let mut kept = 0;
        while kept < survive && state.write_first() {
            kept += 1;
        }
        state.dirty.clear();
        drop(state);
        self.0.changed.notify_waiters();
        Loss { lost: all - kept, kept }
    }

    /// The next sync goes wrong, or the disk has mended.
    pub(super) fn set_fault(&self, fault: Option<Fault>) {
        self.lock().fault = fault;
    }

    /// Nothing becomes durable for so long.
    pub(super) fn stand_still(&self, span: Duration) {
        self.lock().still_until = Some(Instant::now() + span);
    }

    /// Nothing becomes durable until this is taken back.
    pub(super) fn hold(&self, held: bool) {
        self.lock().held = held;
        self.0.changed.notify_waiters();
    }

    /// What a loss of power at this moment leaves at least.
    pub(super) fn durable(&self) -> Arc<Durable> {
        Arc::clone(&self.lock().durable)
    }

    /// What a loss of power at this moment can leave: after none of the writes that are under way,
    /// after the first, and so on.
    pub(super) fn possible(&self) -> Vec<Durable> {
        let state = self.lock();
        let mut durable = Durable::clone(&state.durable);
        let mut all = vec![durable.clone()];
        for (persist, _) in &state.dirty {
            durable.apply(&persist.write);
            all.push(durable.clone());
        }
        all
    }

    /// Whether the state of the machine after the entry at this index is durable.
    pub(super) fn has_state(&self, index: Index) -> bool {
        self.lock().contents.states.contains_key(&index)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        lock(&self.0.state)
    }
}

impl State {
    /// Whether this write makes the log begin with a state that is not durable: it waits for that,
    /// and what comes after it, too (rule S5).
    fn waits(&self, persist: &Persist) -> bool {
        persist.write.snapshot.as_ref().is_some_and(|snapshot| {
            let last = snapshot.snapshot().last;
            self.contents.states.get(&last.index).is_none_or(|state| state.last != last)
        })
    }

    /// How many of the first writes go to the disk together. One that begins the log with a new state
    /// goes alone, so that the state that was there before it goes with it and not earlier.
    fn group(&self) -> usize {
        let free = self.dirty.iter().take_while(|(persist, _)| !self.waits(persist));
        let plain = free.clone().take_while(|(persist, _)| persist.write.snapshot.is_none());
        plain.count().max(free.take(1).count())
    }

    /// Makes the first write durable; false where there is none, or it waits.
    fn write_first(&mut self) -> bool {
        if self.dirty.front().is_none_or(|(persist, _)| self.waits(persist)) {
            return false;
        }
        let Some((persist, records)) = self.dirty.pop_front() else { return false };
        Arc::make_mut(&mut self.durable).apply(&persist.write);
        self.contents.write(&persist.write, &records);
        true
    }

    /// The fault of this sync, if it has one, with what is left of the first `group` writes.
    fn fail(&mut self, group: usize) -> Option<StorageError> {
        let fault = self.fault?;
        let last = self.dirty.get(group.saturating_sub(1)).map(|(persist, _)| persist.id);
        let error = match (fault, last) {
            (Fault::Full, _) => {
                // What there was room for is there.
                let fits = self.dice.below(group as u64 + 1);
                (0..fits).all(|_| self.write_first());
                let (what, reason) = ("a group".to_owned(), "no space left".to_owned());
                StorageError::Disk { what, reason }
            }
            (Fault::Sync, Some(last)) => StorageError::WriteFailed(last),
            (Fault::Sync, None) => {
                let state = self.unkept.front().map(|state| state.last.index);
                StorageError::SnapshotFailed(state.unwrap_or_default())
            }
        };
        if fault == Fault::Sync {
            self.fault = None;
        }
        self.dirty.clear();
        self.unkept.clear();
        self.failed = true;
        Some(error)
    }
}

/// What writes for one opening.
#[derive(Clone)]
struct Writer {
    disk: SimDisk,
    opening: u64,
    report: Arc<watch::Sender<Progress>>,
    hook: Hook,
}

/// What there is to do.
enum Work {
    Nothing,
    /// So much, and it takes so long.
    Some {
        count: usize,
        takes: Duration,
    },
    Over,
}

impl Writer {
    /// Writes one group after the other. What comes meanwhile is the next one.
    async fn write_all(self) {
        while let Some(group) = self.wait(State::group, (1, 6)).await {
            let mut persisted = None;
            let failed = {
                let mut state = self.disk.lock();
                let failed = state.fail(group);
                for _ in 0..group {
                    let id = state.dirty.front().map(|(persist, _)| persist.id);
                    persisted = id.filter(|_| state.write_first()).or(persisted);
                }
                failed
            };
            if self.told(Boundary::Synced, failed).await {
                return;
            }
            self.report.send_modify(|it| {
                it.persisted = it.persisted.max(persisted.unwrap_or(it.persisted))
            });
            (self.hook)(Boundary::Reported);
        }
    }

    /// Writes one state of the machine after the other, in no write's way.
    async fn keep_all(self) {
        while self.wait(|state| state.unkept.len().min(1), (3, 60)).await.is_some() {
            let mut kept = Index::ZERO;
            let failed = {
                let mut state = self.disk.lock();
                let failed = state.fail(0);
                if let Some(first) = state.unkept.pop_front() {
                    kept = first.last.index;
                    state.contents.keep(&first);
                }
                failed
            };
            self.disk.0.changed.notify_waiters();
            if self.told(Boundary::Kept, failed).await {
                return;
            }
            self.report.send_modify(|it| it.kept = it.kept.max(kept));
            (self.hook)(Boundary::Reported);
        }
    }

    /// Waits until there is something to do and the disk has had the time for it, and says how much
    /// there was when it began; none where this opening is over.
    async fn wait(&self, has: fn(&State) -> usize, range: (u64, u64)) -> Option<usize> {
        let mut begun = None;
        loop {
            match (self.next(has, range), begun) {
                (Work::Over, _) => {
                    // Somebody may wait for the last write.
                    self.disk.0.changed.notify_waiters();
                    return None;
                }
                (Work::Nothing, _) => self.disk.0.changed.notified().await,
                (Work::Some { count, takes }, None) => {
                    begun = Some(count);
                    sleep(takes).await;
                }
                (Work::Some { .. }, Some(count)) => {
                    let still =
                        self.disk.lock().still_until.filter(|until| *until > Instant::now());
                    match still {
                        Some(until) => sleep_until(until).await,
                        None => return Some(count),
                    }
                }
            }
        }
    }

    fn next(&self, has: fn(&State) -> usize, (least, most): (u64, u64)) -> Work {
        let mut state = self.disk.lock();
        let drained = state.dirty.is_empty() && state.unkept.is_empty();
        if state.opening != self.opening || state.failed || (state.closing && drained) {
            return Work::Over;
        }
        let count = has(&state);
        if state.held || count == 0 {
            return Work::Nothing;
        }
        let slow = state.dice.chance(5);
        let most = if slow { 10 * most } else { most };
        Work::Some { count, takes: state.dice.millis(least, most) }
    }

    /// What was done, or has failed, is on the disk, and nobody knows yet. True where nobody is to
    /// be told any more, or was told of the failure, which is the last thing that is told.
    async fn told(&self, what: Boundary, failed: Option<StorageError>) -> bool {
        (self.hook)(what);
        let later = self.disk.lock().dice.millis(0, 2);
        sleep(later).await;
        let state = self.disk.lock();
        if state.opening != self.opening {
            return true;
        }
        let over = state.failed;
        drop(state);
        if let Some(error) = failed {
            self.report.send_modify(|it| it.failed = Some(error));
            self.disk.0.changed.notify_waiters();
        }
        over
    }
}

/// An opened [`SimDisk`].
pub(super) struct SimStorage {
    disk: SimDisk,
    opening: u64,
    recovered: Durable,
    /// The contents with everything submitted.
    contents: Contents,
    progress: watch::Receiver<Progress>,
    hook: Hook,
}

/// So many of the last records are in memory.
const IN_MEMORY: usize = 3;

impl SimStorage {
    /// What is found on the disk after a while, which may be longer than an election takes. A disk that
    /// stands still gives nothing.
    fn fetched<T: Send + 'static>(
        &self,
        find: impl FnOnce(&Contents) -> Result<T, StorageError> + Send + 'static,
    ) -> impl Future<Output = Result<T, StorageError>> + Send + 'static {
        let (disk, hook) = (self.disk.clone(), Arc::clone(&self.hook));
        async move {
            let (takes, still) = {
                let mut state = disk.lock();
                let most = match state.dice.below(20) {
                    0 => 500,
                    1..4 => 40,
                    _ => 3,
                };
                (state.dice.millis(0, most), state.still_until)
            };
            sleep(takes).await;
            if let Some(still) = still {
                sleep_until(still).await;
            }
            let found = find(&disk.lock().contents);
            hook(Boundary::Fetched);
            found
        }
    }
}

impl Storage for SimStorage {
    fn recovered(&self) -> Durable {
        self.recovered.clone()
    }

    fn recovered_state(&mut self) -> Option<MachineState> {
        self.contents.state(self.recovered.log.base())
    }

    fn progress(&self) -> watch::Receiver<Progress> {
        self.progress.clone()
    }

    fn submit(&mut self, persist: Persist, records: Vec<Record>) {
        self.contents.write(&persist.write, &records);
        {
            let mut state = self.disk.lock();
            if state.opening == self.opening && !state.failed {
                state.dirty.push_back((persist, records));
            }
        }
        self.disk.0.changed.notify_waiters();
        (self.hook)(Boundary::Submitted);
    }

    fn keep(&mut self, kept: MachineState) {
        self.contents.keep(&kept);
        {
            let mut state = self.disk.lock();
            if state.opening == self.opening && !state.failed {
                state.unkept.push_back(kept);
            }
        }
        self.disk.0.changed.notify_waiters();
        (self.hook)(Boundary::Submitted);
    }

    /// The latest one that is not durable is in memory, and no other.
    fn state(&self, last: EntryId) -> Lookup<MachineState> {
        let Some(state) = self.contents.state(last) else { return Lookup::Gone };
        let is_durable = self.disk.lock().contents.state(last).is_some();
        if is_durable { Lookup::Away } else { Lookup::Here(state) }
    }

    /// The last few are in memory, and what is not durable.
    fn read(&self, id: EntryId) -> Lookup<Record> {
        let Some(record) = self.contents.read(id) else { return Lookup::Gone };
        let is_recent = self.contents.records.range(id.index..).nth(IN_MEMORY).is_none();
        let is_durable = || self.disk.lock().contents.read(id).is_some();
        if !is_recent && is_durable() { Lookup::Away } else { Lookup::Here(record) }
    }

    fn fetch(
        &self,
        stretch: Stretch,
    ) -> impl Future<Output = Result<Vec<Record>, StorageError>> + Send + 'static {
        self.fetched(move |contents| contents.stretch(stretch))
    }

    fn fetch_state(
        &self,
        last: EntryId,
    ) -> impl Future<Output = Result<MachineState, StorageError>> + Send + 'static {
        self.fetched(move |contents| contents.fetched_state(last))
    }

    async fn close(self) {
        let SimStorage { disk, opening, mut progress, .. } = self;
        {
            let mut state = disk.lock();
            if state.opening == opening {
                state.closing = true;
            }
        }
        disk.0.changed.notify_waiters();
        // The writers finish what there is, and go.
        while progress.changed().await.is_ok() {}
    }
}
