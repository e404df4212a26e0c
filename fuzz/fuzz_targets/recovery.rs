//! Hostile disks: whatever happened to the files of a directory, opening it does not panic, and gives
//! the log after one of the groups that were written, whole, or refuses: after the last one, where the
//! mark is left. The fuzzer chooses what happens: bytes that change, files that end early, are gone, or
//! have a piece of another one.
#![no_main]

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use libfuzzer_sys::fuzz_target;
use quorate::disk::DiskOptions;
use quorate::storage::conformance::{self, Action, Script, Step};
use quorate::{DiskStorage, Storage};
use quorate_spec::{Configuration, NodeId, WriteId};
use tempfile::TempDir;
use tokio::runtime::Runtime;

/// A directory with some groups of writes, and what was in it after each of them.
struct Original {
    files: Vec<(PathBuf, Vec<u8>)>,
    script: Script,
}

fn options() -> DiskOptions {
    let configuration = Configuration::of((1..=3).map(NodeId));
    let options = DiskOptions::new(7, NodeId(1), configuration);
    DiskOptions { recent_bytes: 200, state_bytes: 100, ..options }
}

/// Opening a storage and closing it takes a runtime.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| Runtime::new().expect("there are threads"))
}

fn original() -> &'static Original {
    static ORIGINAL: OnceLock<Original> = OnceLock::new();
    ORIGINAL.get_or_init(|| runtime().block_on(write()))
}

async fn write() -> Original {
    let folder = TempDir::new().expect("there is room");
    let mut storage = DiskStorage::open(folder.path(), options()).expect("it is new");
    let mut script = Script::new(storage.recovered(), 1);
    let actions = [
        Action::Append(vec![30, 200, 7]),
        Action::Configure(3),
        Action::Keep(1),
        Action::Compact,
        Action::Overwrite(0, vec![100, 20]),
        Action::Append(vec![5; 3]),
        Action::Vote,
    ];
    for action in &actions {
        for step in script.perform(action) {
            match step {
                Step::Submit(persist, records) => storage.submit(*persist, records),
                Step::Keep(state) => storage.keep(state),
            }
        }
        // A group for each, so that there are as many states to come back to.
        let (last, mut progress) = (script.last(), storage.progress());
        progress.wait_for(|it| it.persisted >= last).await.expect("the disk is well");
    }
    storage.close().await;
    let mut files = Vec::new();
    list(folder.path(), folder.path(), &mut files);
    Original { files, script }
}

fn list(root: &Path, folder: &Path, files: &mut Vec<(PathBuf, Vec<u8>)>) {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .expect("it is there")
        .map(|file| file.expect("it is there").path())
        .collect();
    paths.sort();
    for path in paths {
        if path.is_dir() {
            list(root, &path, files);
        } else {
            let bytes = fs::read(&path).expect("it is there");
            files.push((path.strip_prefix(root).expect("it is inside").to_owned(), bytes));
        }
    }
}

/// One thing that happens to one file.
fn happen(files: &mut Vec<(PathBuf, Vec<u8>)>, event: &[u8; 6]) {
    let [which, what, low, high, byte, other] = *event;
    let (which, other) = (usize::from(which) % files.len(), usize::from(other) % files.len());
    let from = files[other].1.clone();
    let bytes = &mut files[which].1;
    let at = usize::from(u16::from_le_bytes([low, high])) % (bytes.len() + 1);
    match what % 5 {
        0 => bytes.iter_mut().skip(at).take(1).for_each(|it| *it ^= byte),
        1 => bytes.iter_mut().skip(at).take(usize::from(byte)).for_each(|it| *it = 0),
        2 => bytes.truncate(at),
        3 => bytes.iter_mut().zip(from).skip(at).take(usize::from(byte)).for_each(|(it, new)| *it = new),
        _ if files.len() > 1 => drop(files.remove(which)),
        _ => {}
    }
}

fuzz_target!(|events: &[u8]| {
    let Original { files, script } = original();
    let mut files = files.clone();
    for event in events.as_chunks::<6>().0 {
        happen(&mut files, event);
    }
    let mark = |files: &[(PathBuf, Vec<u8>)]| {
        files.iter().find(|(path, _)| path == Path::new("mark")).map(|(_, bytes)| bytes.clone())
    };
    let marked = mark(&files) == mark(&original().files);
    let folder = TempDir::new().expect("there is room");
    for (path, bytes) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().expect("it is in the folder")).expect("there is room");
        fs::write(path, bytes).expect("there is room");
    }
    runtime().block_on(async {
        let Ok(storage) = DiskStorage::open(folder.path(), options()) else { return };
        let found = storage.recovered();
        // With the mark, the loss of even the last group shows.
        let least = if marked { script.last() } else { WriteId::NONE };
        let were = script.possible(least).find(|(_, contents)| contents.durable == found);
        let (_, contents) = were.unwrap_or_else(|| panic!("it never was so: {found:?}"));
        for record in contents.records.values() {
            let found = conformance::record(&storage, record.id).await;
            assert_eq!(found.as_ref(), Ok(&Some(record.clone())));
        }
        storage.close().await;
    });
});
