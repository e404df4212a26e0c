//! A process of its own that writes to a directory and says what was acknowledged, until it is killed
//! or the disk fails. The test binary starts itself for that.

use std::env;
use std::io::{Write as _, stdout};
use std::path::Path;
use std::process::{Command, Stdio};

use quorate::storage::conformance;
use quorate::{Content, DiskStorage, MachineState, Progress, Record, Storage};
use quorate_spec::durable::{HardState, LogWrite, SnapshotWrite, Write};
use quorate_spec::{Entries, EntryId, Index, Persist, Term, WriteId};

use crate::copies::options;

const FOLDER: &str = "QUORATE_TEST_FOLDER";
const LENGTH: &str = "QUORATE_TEST_LENGTH";

/// Writes that are not durable at a time.
const AHEAD: u64 = 16;

/// Entries between two states of the machine.
const PER_STATE: u64 = 150;

/// The command of an entry: whoever reads it knows whether it is right.
pub(crate) fn command(index: Index, length: u64) -> Content {
    let count = index.0.wrapping_mul(7919) % length.max(1);
    Content::Command((0..count).map(|i| (i ^ index.0.wrapping_mul(31)) as u8).collect())
}

/// The state of the machine after an entry.
pub(crate) fn state(last: EntryId) -> MachineState {
    let bytes = (0..5000 + last.index.0).map(|i| (i ^ last.index.0) as u8).collect();
    MachineState { last, bytes }
}

/// This process again, as one that writes commands of up to `length` bytes into `folder`.
pub(crate) fn arguments() -> [&'static str; 3] {
    ["--exact", "child::writes_until_it_is_stopped", "--nocapture"]
}

/// What the process is started with.
pub(crate) fn prepare<'a>(command: &'a mut Command, folder: &Path, length: u64) -> &'a mut Command {
    command.env(FOLDER, folder).env(LENGTH, length.to_string());
    command.stdout(Stdio::piped()).stderr(Stdio::null())
}

/// The last entry that the process said was durable, in what it said.
pub(crate) fn acknowledged(said: &str) -> u64 {
    // The last line may be cut off in the middle.
    let lines = said.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
    let numbers = lines.filter_map(|line| line.strip_prefix("durable ")?.parse().ok());
    numbers.max().unwrap_or(0)
}

/// Does nothing, unless it is started by another test.
#[tokio::test]
async fn writes_until_it_is_stopped() {
    let (Ok(folder), Ok(length)) = (env::var(FOLDER), env::var(LENGTH)) else { return };
    let length = length.parse().expect("it is a number");
    let storage = DiskStorage::open(folder, options()).expect("it is whole");
    let mut writer = Endless {
        last: storage.recovered().log.last(),
        base: storage.recovered().log.base(),
        term: storage.recovered().hard_state.current_term.next(),
        storage,
        writes: Vec::new(),
        asked: None,
        length,
    };
    let failed = writer.run().await;
    say(&format!("failed {failed}"));
    // After a failure nothing more is acknowledged, whatever is submitted.
    let before = writer.storage.progress().borrow().persisted;
    for _ in 0..3 {
        writer.append();
    }
    let progress = writer.storage.progress();
    writer.storage.close().await;
    say(&format!("acknowledged after it: {}", progress.borrow().persisted.0 - before.0));
}

fn say(line: &str) {
    let mut out = stdout().lock();
    writeln!(out, "{line}").and_then(|()| out.flush()).expect("somebody listens");
}

struct Endless {
    storage: DiskStorage,
    last: EntryId,
    base: EntryId,
    term: Term,
    /// The last entry after each write.
    writes: Vec<Index>,
    /// The state that is being kept.
    asked: Option<EntryId>,
    length: u64,
}

impl Endless {
    /// Writes until a write fails, and says why it did.
    async fn run(&mut self) -> String {
        let mut progress = self.storage.progress();
        loop {
            let Progress { persisted, kept, failed } = progress.borrow_and_update().clone();
            if let Some(index) = persisted.0.checked_sub(1) {
                say(&format!("durable {}", self.writes[index as usize]));
            }
            if let Some(failed) = failed {
                return failed.to_string();
            }
            if let Some(state) = self.asked.take_if(|state| kept >= state.index) {
                self.compact(state);
            }
            while (self.writes.len() as u64) < persisted.0 + AHEAD {
                self.append();
            }
            if self.asked.is_none() && self.last.index.0 >= self.base.index.0 + PER_STATE {
                self.asked = Some(self.last);
                self.storage.keep(state(self.last));
            }
            progress.changed().await.expect("the writer is there");
        }
    }

    fn append(&mut self) {
        let entries = Entries::of_term(self.last.index, self.term, 1);
        let id = EntryId { term: self.term, index: self.last.index.next() };
        let record = Record { id, content: command(id.index, self.length) };
        let hard_state = Some(HardState { current_term: self.term, voted_for: None });
        let log = Some(LogWrite { keep: self.last.index, entries });
        self.last = id;
        self.submit(Write { hard_state, log, snapshot: None }, vec![record]);
    }

    fn compact(&mut self, last: EntryId) {
        let configuration = crate::copies::configuration();
        let snapshot = quorate_spec::Snapshot::new(last, configuration);
        self.base = last;
        let snapshot = Some(SnapshotWrite::Compact(snapshot));
        self.submit(Write { snapshot, ..Write::default() }, Vec::new());
    }

    fn submit(&mut self, write: Write, records: Vec<Record>) {
        self.writes.push(self.last.index);
        self.storage.submit(Persist { id: WriteId(self.writes.len() as u64), write }, records);
    }
}

/// Whether a directory holds what its writer said, and nothing else. Gives its last entry.
pub(crate) async fn holds(folder: &Path, acknowledged: u64, length: u64) -> u64 {
    let storage = DiskStorage::open(folder, options()).expect("a crash is no damage");
    let log = storage.recovered().log;
    assert!(
        log.last().index >= Index(acknowledged),
        "entry {acknowledged} was acknowledged, and the log ends with {:?}",
        log.last()
    );
    for id in log.ids() {
        let read = conformance::record(&storage, id).await.expect("it is readable");
        let read = read.map(|record| record.content);
        assert_eq!(read, Some(command(id.index, length)), "entry {id:?}");
    }
    let base = log.base();
    if base.index > Index::ZERO {
        assert_eq!(conformance::state(&storage, base).await, Ok(Some(state(base))));
    }
    storage.close().await;
    log.last().index.0
}

#[test]
fn a_line_that_is_cut_off_acknowledges_nothing() {
    assert_eq!(acknowledged("durable 3\nrunning\ndurable 12\ndurable 99"), 12);
}
