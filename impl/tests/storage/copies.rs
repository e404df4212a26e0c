//! A directory that is copied while it is in use: what a crash at that moment leaves.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use quorate::disk::DiskOptions;
use quorate::{DiskStorage, OpenError};
use quorate_spec::{Configuration, NodeId};
use tempfile::TempDir;

pub(crate) const CLUSTER: u64 = 0xc105;

pub(crate) fn configuration() -> Configuration {
    Configuration::of((1..=3).map(NodeId))
}

/// So little in memory that most entries are read from the engine.
pub(crate) fn options() -> DiskOptions {
    let options = DiskOptions::new(CLUSTER, NodeId(1), configuration());
    DiskOptions { recent_bytes: 600, state_bytes: 1000, ..options }
}

pub(crate) struct Copies {
    folder: Arc<TempDir>,
    /// Copies that are still written to, perhaps.
    _earlier: Vec<Arc<TempDir>>,
}

impl Copies {
    pub(crate) fn new() -> Copies {
        let folder = Arc::new(tempfile::tempdir().expect("there is room"));
        Copies { folder, _earlier: Vec::new() }
    }

    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn open(&self) -> Result<DiskStorage, OpenError> {
        DiskStorage::open(self.path(), options())
    }

    /// Copies it in the order that no crash could contradict: a mark is older than the log that it
    /// marks, and a state is there before the log that names it and after the one that does not.
    pub(crate) fn copy(&self) -> Copies {
        let copy = Copies::new();
        let both = |name: &str| (self.path().join(name), copy.path().join(name));
        for name in ["identity", "register", "states", "mark", "log", "states"] {
            let (from, to) = both(name);
            copy_tree(&from, &to).expect("it can be copied");
        }
        let earlier = self._earlier.iter().chain([&self.folder]).map(Arc::clone).collect();
        Copies { _earlier: earlier, ..copy }
    }

    /// The engine's last journal.
    pub(crate) fn journal(&self) -> PathBuf {
        let files = fs::read_dir(self.path().join("log")).expect("there is a log");
        let paths = files.map(|file| file.expect("it is listed").path());
        let journals = paths.filter(|path| path.extension().is_some_and(|it| it == "jnl"));
        journals.max().expect("there is a journal")
    }

    /// Its bytes, without the zeros for which room was made.
    pub(crate) fn journal_bytes(&self) -> Vec<u8> {
        trimmed(&self.journal()).expect("it can be read")
    }
}

fn trimmed(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = fs::read(path)?;
    bytes.truncate(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
    Ok(bytes)
}

/// A file that goes away meanwhile is none.
fn copy_tree(from: &Path, to: &Path) -> io::Result<()> {
    let result = if from.is_dir() {
        fs::create_dir_all(to)?;
        fs::read_dir(from)?.try_for_each(|file| {
            let name = file?.file_name();
            copy_tree(&from.join(&name), &to.join(&name))
        })
    } else if from.extension().is_some_and(|it| it == "jnl") {
        trimmed(from).and_then(|bytes| fs::write(to, bytes))
    } else {
        fs::copy(from, to).map(drop)
    };
    match result {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
