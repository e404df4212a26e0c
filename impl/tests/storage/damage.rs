//! Rot at rest: a bit that has flipped anywhere in a directory is refused, or has changed nothing.

use std::fs;
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use quorate::storage::conformance::{self, Action, Script};
use quorate::{DiskStorage, OpenError, Storage, StorageError};
use quorate_spec::Index;
use tokio::runtime::Runtime;

use crate::copies::{Copies, options};
use crate::opening::{perform, written};

/// Every file in a directory, in order.
fn files(folder: &Path) -> Vec<PathBuf> {
    let listed = fs::read_dir(folder).expect("it is there").map(|file| file.expect("it is").path());
    let mut paths: Vec<PathBuf> = listed.collect();
    paths.sort();
    paths
        .into_iter()
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

fn flip(path: &Path, at: usize, bit: u32) {
    let mut bytes = fs::read(path).expect("it is there");
    bytes[at] ^= 1 << bit;
    fs::write(path, bytes).expect("there is room");
}

fn actions() -> Vec<Action> {
    vec![
        Action::Append(vec![300, 20, 4000, 7]),
        Action::Configure(3),
        Action::Keep(1),
        Action::Compact,
        Action::Overwrite(0, vec![100, 200]),
        Action::Append(vec![50; 3]),
        Action::Vote,
    ]
}

/// What is left of a directory with everything that is durable in it.
async fn opens_unchanged_or_is_refused(disk: &Copies, script: &Script, flipped: &str) {
    match disk.open() {
        Ok(storage) => {
            let expected = script.contents();
            assert_eq!(storage.recovered(), expected.durable, "after a flip in {flipped}");
            for record in expected.records.values() {
                let found = conformance::record(&storage, record.id).await;
                assert_eq!(found.as_ref(), Ok(&Some(record.clone())), "{flipped}");
            }
            let base = storage.recovered().log.base();
            let found = conformance::state(&storage, base).await;
            let state = expected.states.get(&base.index).cloned();
            assert_eq!(found.as_ref(), Ok(&state), "{flipped}");
        }
        Err(
            OpenError::Damaged { .. }
            | OpenError::NewerFormat { .. }
            | OpenError::OlderFormat { .. },
        ) => {}
        Err(OpenError::OtherCluster { .. } | OpenError::OtherNode { .. }) => {
            panic!("a flip in {flipped} is taken for somebody else's directory")
        }
        Err(error) => panic!("a flip in {flipped}: {error}"),
    }
}

#[test]
fn a_flipped_bit_anywhere_changes_nothing_or_is_refused() {
    let runtime = Runtime::new().expect("there are threads");
    let (original, script) = runtime.block_on(written(&actions()));
    let config =
        ProptestConfig { cases: 150, failure_persistence: None, ..ProptestConfig::default() };
    let somewhere = any::<prop::sample::Index>;
    let checked =
        TestRunner::new(config).run(&(somewhere(), somewhere(), 0u32..8), |(file, at, bit)| {
            let disk = original.copy();
            let mut files = files(disk.path());
            files.retain(|path| fs::metadata(path).is_ok_and(|it| it.len() > 0));
            let path = file.get(&files);
            let at = at.index(fs::metadata(path).expect("it is there").len() as usize);
            flip(path, at, bit);
            let flipped = format!("{} at {at}", path.display());
            runtime.block_on(opens_unchanged_or_is_refused(&disk, &script, &flipped));
            Ok(())
        });
    checked.unwrap_or_else(|error| panic!("{error}"));
}

#[tokio::test]
async fn rot_in_a_list_of_tables_is_refused_before_the_engine_sees_it() {
    let (disk, _) = written(&actions()).await;
    let lists = files(&disk.path().join("log").join("keyspaces")).into_iter().filter(|path| {
        let name = path.file_name().and_then(|name| name.to_str());
        name.is_some_and(|name| name == "current" || name.starts_with('v'))
    });
    for list in lists {
        let length = fs::metadata(&list).expect("it is there").len() as usize;
        for at in 0..length {
            flip(&list, at, at as u32 % 8);
            let refused = disk.open().err().expect("it is damaged");
            assert!(matches!(refused, OpenError::Damaged { .. }), "{refused} at {at}");
            flip(&list, at, at as u32 % 8);
        }
    }
    disk.open().expect("it is as it was").close().await;
}

/// A directory whose entries are in tables of the engine, and no longer in a journal alone.
async fn in_tables() -> (Copies, PathBuf) {
    let disk = Copies::new();
    let mut storage = disk.open().expect("it is new");
    let mut script = Script::new(storage.recovered(), 1);
    let mut largest = None;
    for _ in 0..64 {
        perform(&mut storage, &mut script, &[Action::Append(vec![60_000; 40])]).await;
        let tables = files(&disk.path().join("log").join("keyspaces"));
        let size = |path: &PathBuf| fs::metadata(path).map_or(0, |it| it.len());
        largest = tables.into_iter().max_by_key(size).filter(|path| size(path) > 32 << 20);
        if largest.is_some() {
            break;
        }
    }
    storage.close().await;
    (disk, largest.expect("the engine has flushed its memory"))
}

#[tokio::test]
async fn rot_in_a_table_is_refused_with_the_name_of_an_entry_and_found_by_a_read() {
    let (disk, table) = in_tables().await;
    let healthy = disk.open().expect("nothing is wrong yet");
    let length = fs::metadata(&table).expect("it is there").len() as usize;
    for part in [4, 2] {
        flip(&table, length / part, 3);
    }
    // Open meanwhile: whoever fetches the record finds it, and the node stops.
    let mut failed = None;
    for id in healthy.recovered().log.ids() {
        failed = conformance::record(&healthy, id).await.err().map(|error| (id, error));
        if failed.is_some() {
            break;
        }
    }
    let (missing, failed) = failed.expect("one is damaged");
    let what = format!("entry {}", missing.index);
    assert!(
        matches!(&failed, StorageError::Unreadable { what: it, .. } if *it == what),
        "{failed:?}"
    );
    healthy.close().await;
    let refused = DiskStorage::open(disk.path(), options()).err().expect("it is damaged");
    let said = refused.to_string();
    // A read may find a block in the engine's cache, and an opening reads them all.
    let whole = said.split_once("the log is whole up to entry ").map(|(_, rest)| rest.split(' '));
    let whole: Option<u64> = whole.and_then(|mut rest| rest.next()?.parse().ok());
    assert!(whole.is_some_and(|whole| Index(whole) < missing.index), "{missing:?}: {said}");
}
