//! Crashes at any moment and tails torn at any byte, against the script that was performed: what is
//! recovered is the state after some write, with everything that was reported.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use quorate::storage::conformance::{self, Action, Script, Step};
use quorate::{OpenError, Storage};
use quorate_spec::WriteId;
use tokio::runtime::Runtime;

use crate::copies::Copies;
use crate::opening::perform;

fn log_action() -> impl Strategy<Value = Action> {
    // Each changes something, so that the state after one write is that after no other.
    let lengths = |least: usize| prop::collection::vec(0u16..9000, least..4);
    prop_oneof![
        4 => lengths(1).prop_map(Action::Append),
        1 => Just(Action::Vote),
        2 => (0u8..5, lengths(0)).prop_map(|(back, lengths)| Action::Overwrite(back, lengths)),
        1 => (0u8..4).prop_map(Action::Configure),
    ]
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        5 => log_action(),
        1 => (0u8..4).prop_map(Action::Keep),
        1 => Just(Action::Compact),
        1 => (0u8..5).prop_map(Action::Install),
    ]
}

fn run<T>(future: impl Future<Output = T>) -> T {
    Runtime::new().expect("there are threads").block_on(future)
}

/// What the directory recovers: which write, and whether all of its contents are there.
async fn recovered(disk: &Copies, script: &Script) -> Result<WriteId, OpenError> {
    let storage = disk.open()?;
    let found = storage.recovered();
    let all = script.possible(WriteId::NONE);
    let same = all.into_iter().find(|(_, contents)| contents.durable == found);
    let (id, contents) = same.unwrap_or_else(|| panic!("the state after no write: {found:?}"));
    for record in contents.records.values() {
        let found = conformance::record(&storage, record.id).await;
        assert_eq!(found.as_ref(), Ok(&Some(record.clone())));
    }
    Ok(id)
}

/// A closed directory in which each action became one group of writes.
struct Groups {
    disk: Copies,
    script: Script,
    /// The engine's journal.
    journal: Vec<u8>,
    /// Its length in bytes after each group, the one that made the directory first.
    ends: Vec<usize>,
    /// The mark as it was before the first write: what a loss of power may leave of it.
    old_mark: Vec<u8>,
}

impl Groups {
    async fn written(actions: &[Action]) -> Groups {
        let disk = Copies::new();
        let mut storage = disk.open().expect("it is new");
        let mut script = Script::new(storage.recovered(), 1);
        let old_mark = fs::read(disk.path().join("mark")).expect("it is there");
        let mut ends = vec![disk.journal_bytes().len()];
        for action in actions {
            perform(&mut storage, &mut script, std::slice::from_ref(action)).await;
            ends.push(disk.journal_bytes().len());
        }
        storage.close().await;
        Groups { journal: disk.journal_bytes(), disk, script, ends, old_mark }
    }

    /// A copy with other bytes in its journal, and perhaps an old mark.
    fn with(&self, journal: &[u8], power_was_lost: bool) -> Copies {
        let copy = self.disk.copy();
        let path: PathBuf = copy.journal();
        fs::write(path, journal).expect("there is room");
        if power_was_lost {
            fs::write(copy.path().join("mark"), &self.old_mark).expect("there is room");
        }
        copy
    }

    /// The last write whose group ends before this byte.
    fn whole_before(&self, byte: usize) -> Option<WriteId> {
        let whole = self.ends.iter().filter(|end| **end <= byte).count();
        whole.checked_sub(1).map(|writes| WriteId(writes as u64))
    }

    fn last(&self) -> WriteId {
        self.script.last()
    }
}

fn is_damaged<T>(opened: &Result<T, OpenError>) -> bool {
    matches!(opened, Err(OpenError::Damaged { .. }))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 12, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn a_crash_at_any_moment_leaves_a_prefix_with_all_that_was_reported(
        actions in prop::collection::vec((action(), any::<bool>()), 1..16)
    ) {
        run(async {
            let disk = Copies::new();
            let mut storage = disk.open().expect("it is new");
            let mut script = Script::new(storage.recovered(), 1);
            for (action, waits) in actions {
                if waits {
                    perform(&mut storage, &mut script, &[action]).await;
                    continue;
                }
                for step in script.perform(&action) {
                    match step {
                        Step::Submit(persist, records) => storage.submit(*persist, records),
                        Step::Keep(state) => storage.keep(state),
                    }
                }
            }
            let reported = storage.progress().borrow().persisted;
            let crashed = disk.copy();
            let found = recovered(&crashed, &script).await.expect("a crash is no damage");
            assert!(found >= reported, "{reported} was reported, and {found} is recovered");
        });
    }

    #[test]
    fn a_journal_that_is_torn_at_any_byte_leaves_what_was_whole(
        actions in prop::collection::vec(log_action(), 1..6),
        places in prop::collection::vec(any::<prop::sample::Index>(), PLACES),
    ) {
        run(async {
            let groups = Groups::written(&actions).await;
            for at in places {
                groups.tear(at.index(groups.journal.len() + 1)).await;
            }
        });
    }

    #[test]
    fn a_hole_in_the_journal_is_a_torn_tail_or_is_refused(
        actions in prop::collection::vec(log_action(), 2..6),
        holes in prop::collection::vec((any::<prop::sample::Index>(), 1usize..9000), PLACES),
    ) {
        run(async {
            let groups = Groups::written(&actions).await;
            for (from, length) in holes {
                let from = from.index(groups.journal.len());
                groups.dig(from, (from + length).min(groups.journal.len())).await;
            }
        });
    }

    #[test]
    fn a_flipped_bit_in_the_journal_takes_no_more_than_the_last_group(
        actions in prop::collection::vec(log_action(), 2..6),
        bits in prop::collection::vec((place(), 0u32..8), PLACES),
    ) {
        run(async {
            let groups = Groups::written(&actions).await;
            for ((at, near_an_end), bit) in bits {
                let at = match near_an_end {
                    Some(after) => at.get(&groups.ends[..actions.len()]) + after,
                    None => at.index(groups.journal.len()),
                };
                groups.flip(at, bit).await;
            }
        });
    }
}

/// Anywhere, or so many bytes after the end of a group, where the engine keeps tags and lengths.
fn place() -> impl Strategy<Value = (prop::sample::Index, Option<usize>)> {
    (any::<prop::sample::Index>(), prop::option::of(0usize..48))
}

/// How many times a journal is damaged, each time by itself.
const PLACES: usize = 6;

impl Groups {
    async fn tear(&self, at: usize) {
        let whole = self.whole_before(at);
        let torn = recovered(&self.with(&self.journal[..at], true), &self.script).await;
        assert_eq!(torn.ok(), whole, "of {:?}, torn at {at}", self.ends);
        // The same, where the mark says that more was durable.
        let cut = recovered(&self.with(&self.journal[..at], false), &self.script).await;
        if whole < Some(self.last()) {
            assert!(is_damaged(&cut), "{cut:?}");
        } else {
            assert_eq!(cut.ok(), whole);
        }
    }

    async fn dig(&self, from: usize, to: usize) {
        let mut journal = self.journal.clone();
        journal[from..to].fill(0);
        let opened = recovered(&self.with(&journal, true), &self.script).await;
        let is_before_a_whole_group = to <= self.ends[self.ends.len() - 2];
        if journal == self.journal {
            assert_eq!(opened.ok(), Some(self.last()));
        } else if is_before_a_whole_group {
            assert!(is_damaged(&opened), "{opened:?} with a hole from {from} to {to}");
        } else {
            assert_eq!(opened.ok(), self.whole_before(from), "with a hole from {from} to {to}");
        }
    }

    async fn flip(&self, at: usize, bit: u32) {
        let mut journal = self.journal.clone();
        journal[at] ^= 1 << bit;
        for power_was_lost in [false, true] {
            let opened = recovered(&self.with(&journal, power_was_lost), &self.script).await;
            let least = WriteId(self.last().0 - u64::from(power_was_lost));
            let is_there = opened.as_ref().is_ok_and(|found| *found >= least);
            assert!(
                is_damaged(&opened) || is_there,
                "{opened:?} after a flip at {at} of {:?}",
                self.ends
            );
        }
    }
}

#[test]
fn a_prefix_is_told_from_the_whole() {
    run(async {
        let groups = Groups::written(&[Action::Append(vec![5]), Action::Vote]).await;
        let journal = &groups.journal;
        let one = groups.with(&journal[..groups.ends[1]], true);
        assert_eq!(recovered(&one, &groups.script).await.ok(), Some(WriteId(1)));
        let none = groups.with(&journal[..groups.ends[1] - 1], true);
        assert_eq!(recovered(&none, &groups.script).await.ok(), Some(WriteId(0)));
    });
}
