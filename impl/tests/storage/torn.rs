//! Crashes at any moment and tails torn at any byte, against the script that was performed: what is
//! recovered is the state after some write, with everything that was reported.

use std::fs;
use std::path::PathBuf;

use proptest::prelude::*;
use quorate::storage::conformance::{Action, Script, Step};
use quorate::{OpenError, Storage};
use quorate_spec::WriteId;
use tokio::runtime::Runtime;

use crate::copies::Copies;
use crate::opening::perform;

fn log_action() -> impl Strategy<Value = Action> {
    let lengths = || prop::collection::vec(0u16..9000, 0..4);
    prop_oneof![
        4 => lengths().prop_map(Action::Append),
        1 => Just(Action::Vote),
        2 => (0u8..5, lengths()).prop_map(|(back, lengths)| Action::Overwrite(back, lengths)),
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
fn recovered(disk: &Copies, script: &Script) -> Result<WriteId, OpenError> {
    let storage = disk.open()?;
    let found = storage.recovered();
    let all = script.possible(WriteId::NONE);
    let same = all.into_iter().find(|(_, contents)| contents.durable == found);
    let (id, contents) = same.unwrap_or_else(|| panic!("the state after no write: {found:?}"));
    for record in contents.records.values() {
        assert_eq!(storage.read(record.id).as_ref(), Some(record));
    }
    Ok(id)
}

/// A closed directory in which each action became one group of writes.
struct Groups {
    disk: Copies,
    script: Script,
    /// The length of the journal in bytes after each group, the one that made the directory first.
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
        Groups { disk, script, ends, old_mark }
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
    #![proptest_config(ProptestConfig { cases: 24, failure_persistence: None, ..ProptestConfig::default() })]

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
            let found = recovered(&crashed, &script).expect("a crash is no damage");
            assert!(found >= reported, "{reported} was reported, and {found} is recovered");
        });
    }

    #[test]
    fn a_journal_that_is_torn_at_any_byte_leaves_what_was_whole(
        actions in prop::collection::vec(log_action(), 1..6),
        at in any::<prop::sample::Index>(),
    ) {
        run(async {
            let groups = Groups::written(&actions).await;
            let journal = groups.disk.journal_bytes();
            let at = at.index(journal.len() + 1);
            let whole = groups.whole_before(at);
            let torn = recovered(&groups.with(&journal[..at], true), &groups.script);
            assert_eq!(torn.ok(), whole, "of {:?}, torn at {at}", groups.ends);
            // The same, where the mark says that more was durable.
            let cut = recovered(&groups.with(&journal[..at], false), &groups.script);
            if whole < Some(groups.last()) {
                assert!(is_damaged(&cut), "{cut:?}");
            } else {
                assert_eq!(cut.ok(), whole);
            }
        });
    }

    #[test]
    fn a_hole_in_the_journal_is_a_torn_tail_or_is_refused(
        actions in prop::collection::vec(log_action(), 2..6),
        from in any::<prop::sample::Index>(),
        length in 1usize..9000,
    ) {
        run(async {
            let groups = Groups::written(&actions).await;
            let mut journal = groups.disk.journal_bytes();
            let from = from.index(journal.len());
            let to = (from + length).min(journal.len());
            let before = journal.clone();
            journal[from..to].fill(0);
            let opened = recovered(&groups.with(&journal, true), &groups.script);
            // The hole touches the groups from that one on whose end is after its begin.
            let is_before_a_whole_group = to <= groups.ends[groups.ends.len() - 2];
            if journal == before {
                assert_eq!(opened.ok(), Some(groups.last()));
            } else if is_before_a_whole_group {
                assert!(is_damaged(&opened), "{opened:?}");
            } else {
                assert_eq!(opened.ok(), groups.whole_before(from));
            }
        });
    }

    #[test]
    fn a_flipped_bit_in_the_journal_takes_no_more_than_the_last_group(
        actions in prop::collection::vec(log_action(), 2..6),
        at in any::<prop::sample::Index>(),
        bit in 0u32..8,
    ) {
        run(async {
            let groups = Groups::written(&actions).await;
            let mut journal = groups.disk.journal_bytes();
            let at = at.index(journal.len());
            journal[at] ^= 1 << bit;
            let last = groups.last();
            for power_was_lost in [false, true] {
                let opened = recovered(&groups.with(&journal, power_was_lost), &groups.script);
                let before = WriteId(last.0 - u64::from(power_was_lost));
                assert!(
                    is_damaged(&opened) || opened.as_ref().is_ok_and(|found| *found >= before),
                    "{opened:?} after a flip at {at} of {:?}", groups.ends
                );
            }
        });
    }
}

#[test]
fn a_prefix_is_told_from_the_whole() {
    run(async {
        let groups = Groups::written(&[Action::Append(vec![5]), Action::Vote]).await;
        let journal = groups.disk.journal_bytes();
        let one = groups.with(&journal[..groups.ends[1]], true);
        assert_eq!(recovered(&one, &groups.script).ok(), Some(WriteId(1)));
        let none = groups.with(&journal[..groups.ends[1] - 1], true);
        assert_eq!(recovered(&none, &groups.script).ok(), Some(WriteId(0)));
    });
}
