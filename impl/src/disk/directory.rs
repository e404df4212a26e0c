//! A node's directory: whose it is, in which format, and that nobody else has it open.
//!
//! ```text
//! identity   whose it is: text, for people too     lock     held while it is open
//! mark       the last durable group of writes      log/     the engine's files
//! states/    states of the machine, a file each
//! ```

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use quorate_spec::NodeId;
use xxhash_rust::xxh3::xxh3_64;

use crate::disk::error::OpenError;

/// The newest format of a directory that this program reads, and the one that it writes.
const FORMAT: u64 = 1;

const IDENTITY: &str = "identity";
const LOCK: &str = "lock";

/// Whose directory it is. An empty directory is a new identity (thesis §3.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster, by a number that its operator drew once.
    pub cluster: u64,
    /// The node.
    pub node: NodeId,
    /// A random number that is drawn when the directory is made: another one on a directory that was
    /// lost and made again.
    pub incarnation: u64,
}

/// An open directory. Nobody else opens it until this is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    _lock: File,
}

impl Directory {
    /// Opens or makes the directory of this node.
    pub(super) fn open(path: &Path, cluster: u64, node: NodeId) -> Result<Directory, OpenError> {
        fs::create_dir_all(path).map_err(OpenError::io("create", path))?;
        let identity = path.join(IDENTITY);
        // Before the lock, which is a file in it.
        if !exists(path) {
            refuse_foreign(path)?;
        }
        let lock = lock(path)?;
        let found = match fs::read_to_string(&identity) {
            Ok(text) => parse(path, &text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let new =
                    Identity { cluster, node, incarnation: RandomState::new().hash_one(node) };
                replace(&identity, print(&new).as_bytes())?;
                new
            }
            Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                return Err(OpenError::damaged(&identity, "it is not text"));
            }
            Err(error) => return Err(OpenError::io("read", &identity)(error)),
        };
        let path = path.to_path_buf();
        if found.cluster != cluster {
            return Err(OpenError::OtherCluster { path, expected: cluster, found: found.cluster });
        }
        if found.node != node {
            return Err(OpenError::OtherNode { path, expected: node, found: found.node });
        }
        Ok(Directory { path, identity: found, _lock: lock })
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(super) fn mark(&self) -> PathBuf {
        self.path.join("mark")
    }

    pub(super) fn states(&self) -> PathBuf {
        self.path.join("states")
    }
}

/// Whether there is a directory of a node here.
pub(super) fn exists(path: &Path) -> bool {
    path.join(IDENTITY).exists()
}

/// A directory without an identity has to be empty, but for what an interrupted creation leaves.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    for file in fs::read_dir(path).map_err(OpenError::io("list", path))? {
        let name = file.map_err(OpenError::io("list", path))?.file_name();
        let found = name.to_string_lossy().into_owned();
        if found != LOCK && found != format!("{IDENTITY}.new") {
            return Err(OpenError::NotOurs { path: path.to_path_buf(), found });
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<File, OpenError> {
    let file = path.join(LOCK);
    let options = OpenOptions::new().write(true).create(true).truncate(false).open(&file);
    let lock = options.map_err(OpenError::io("open", &file))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(OpenError::io("lock", &file)(error)),
    }
}

/// Puts a file in place, durably and as a whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), OpenError> {
    let new = path.with_extension("new");
    let write = || {
        let mut file = File::create(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_folder_of(path)
    };
    write().map_err(OpenError::io("write", path))
}

/// Makes the name of this file durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    // Windows has no way to sync a directory, and does it by itself.
    match path.parent() {
        Some(folder) if cfg!(unix) => File::open(folder)?.sync_all(),
        _ => Ok(()),
    }
}

fn print(Identity { cluster, node, incarnation }: &Identity) -> String {
    let text = format!(
        "quorate format {FORMAT}\ncluster {cluster:016x}\nnode {node}\nincarnation {incarnation:016x}\n"
    );
    format!("{text}checksum {:016x}\n", xxh3_64(text.as_bytes()))
}

fn parse(path: &Path, text: &str) -> Result<Identity, OpenError> {
    // The format first: of a newer one nothing else is known.
    let format = text.lines().next().and_then(|line| line.strip_prefix("quorate format "));
    let format = format.and_then(|format| format.parse().ok());
    if let Some(found) = format.filter(|found| *found > FORMAT) {
        let path = path.to_path_buf();
        return Err(OpenError::NewerFormat { path, found, known: FORMAT });
    }
    let hex = |line: &str, name| u64::from_str_radix(line.strip_prefix(name)?, 16).ok();
    let read = || {
        let mut lines = text.lines().skip(1);
        let cluster = hex(lines.next()?, "cluster ")?;
        let node = NodeId(lines.next()?.strip_prefix("node ")?.parse().ok()?);
        let incarnation = hex(lines.next()?, "incarnation ")?;
        Some(Identity { cluster, node, incarnation })
    };
    let identity = read().filter(|identity| print(identity) == text);
    identity.ok_or_else(|| OpenError::damaged(&path.join(IDENTITY), "it is not what was written"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const CLUSTER: u64 = 0xfeed;

    fn open(path: &Path) -> Result<Directory, OpenError> {
        Directory::open(path, CLUSTER, NodeId(1))
    }

    #[test]
    fn a_directory_keeps_its_identity_and_a_new_one_is_another()
    -> Result<(), Box<dyn std::error::Error>> {
        let (one, two) = (tempfile::tempdir()?, tempfile::tempdir()?);
        let first = open(one.path())?.identity;
        assert_eq!(open(one.path())?.identity, first);
        assert_ne!(open(two.path())?.identity.incarnation, first.incarnation);
        Ok(())
    }

    #[test]
    fn an_open_directory_is_not_opened_again() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let held = open(folder.path())?;
        assert!(matches!(open(folder.path()), Err(OpenError::InUse(_))));
        drop(held);
        open(folder.path())?;
        Ok(())
    }

    #[test]
    fn a_directory_of_something_else_is_left_alone() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("thesis.tex"), "")?;
        assert!(
            matches!(open(folder.path()), Err(OpenError::NotOurs { found, .. }) if found == "thesis.tex")
        );
        assert_eq!(fs::read_dir(folder.path())?.count(), 1, "not even a lock is left");
        Ok(())
    }

    #[test]
    fn a_directory_of_another_cluster_or_node_is_refused() -> Result<(), Box<dyn std::error::Error>>
    {
        let folder = tempfile::tempdir()?;
        open(folder.path())?;
        let other = Directory::open(folder.path(), CLUSTER + 1, NodeId(1));
        assert!(matches!(other, Err(OpenError::OtherCluster { found: CLUSTER, .. })));
        let other = Directory::open(folder.path(), CLUSTER, NodeId(2));
        assert!(matches!(other, Err(OpenError::OtherNode { found: NodeId(1), .. })));
        Ok(())
    }

    #[test]
    fn a_newer_format_is_told_from_damage() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(IDENTITY);
        fs::write(&path, "quorate format 2\nwhatever it says\n")?;
        assert!(matches!(
            open(folder.path()),
            Err(OpenError::NewerFormat { found: 2, known: 1, .. })
        ));
        for damaged in ["", "quorate format 1\n", "\u{0}"] {
            fs::write(&path, damaged)?;
            assert!(matches!(open(folder.path()), Err(OpenError::Damaged { .. })));
        }
        let mut text = print(&Identity { cluster: CLUSTER, node: NodeId(1), incarnation: 5 });
        fs::write(&path, &text)?;
        open(folder.path())?;
        text = text.replace("incarnation 0000000000000005", "incarnation 0000000000000006");
        fs::write(&path, &text)?;
        assert!(matches!(open(folder.path()), Err(OpenError::Damaged { .. })));
        Ok(())
    }
}
