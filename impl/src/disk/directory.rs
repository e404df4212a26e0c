//! A node's directory: whose it is, in which format, and that nobody else has it open.
//!
//! ```text
//! identity   whose it is: text, for people too     lock     held while it is open
//! mark       the last durable group of writes      log/     the engine's files
//! register   whom the node has met                 states/  states of the machine, a file each
//! tail       cut off a journal: see `journal`
//! ```
//!
//! **When it is a node's.** The identity gets its name last, after all else is durable.
//! Until then it is called `identity.new`, the directory is nobody's, and the next opening begins
//! again. So where there is an identity, whatever else is missing had been there, and may have held
//! votes.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::hash::{BuildHasher, RandomState};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use quorate_spec::NodeId;
use xxhash_rust::xxh3::xxh3_64;

use crate::disk::error::OpenError;

/// The format of a directory that this program reads, and writes: since 2 there is a register.
const FORMAT: u64 = 2;

const IDENTITY: &str = "identity";
const LOCK: &str = "lock";

/// The identity of a directory that is not finished.
const DRAFT: &str = "identity.new";

/// What else there may be in one.
const UNFINISHED: [&str; 7] =
    [LOCK, "log", "log.new", "mark", "mark.new", "register", "register.new"];

/// Whose directory it is. An empty directory is a new identity (thesis §3.8).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Identity {
    /// The cluster, by a number that its operator drew once.
    pub cluster: u64,
    /// The node.
    pub node: NodeId,
    /// A random number, not zero, that is drawn when the directory is made: another one on a directory
    /// that was lost and made again. Peers know the node by it: see [`Register`](super::Register).
    pub incarnation: u64,
}

/// An open directory. Nobody else opens it until this is dropped.
#[derive(Debug)]
pub(super) struct Directory {
    pub(super) path: PathBuf,
    pub(super) identity: Identity,
    /// Nothing is in it yet: it is to be filled.
    pub(super) is_new: bool,
    _lock: Lock,
}

/// The file is unlocked when this is dropped, and not when the last copy of it is closed: a process that
/// this one starts holds one until it runs its program.
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // Where this fails, closing it unlocks it a moment later.
        let _ = self.0.unlock();
    }
}

impl Directory {
    /// Opens the directory of this node. Where there is none it begins one, which is to be filled and
    /// then [finished](Self::finish).
    pub(super) fn open(path: &Path, cluster: u64, node: NodeId) -> Result<Directory, OpenError> {
        make(path).map_err(OpenError::io("create", path))?;
        // Before the lock, which is a file in it.
        if !exists(path) {
            refuse_foreign(path)?;
        }
        let lock = lock(path)?;
        let identity = path.join(IDENTITY);
        let Some(text) = text_of(&identity)? else {
            let (identity, path) = (begin(path, cluster, node)?, path.to_path_buf());
            return Ok(Directory { path, identity, is_new: true, _lock: lock });
        };
        let found = parse(path, &text)?;
        let path = path.to_path_buf();
        if found.cluster != cluster {
            return Err(OpenError::OtherCluster { path, expected: cluster, found: found.cluster });
        }
        if found.node != node {
            return Err(OpenError::OtherNode { path, expected: node, found: found.node });
        }
        // Whoever gave it its name may have been killed before that was durable.
        sync_folder_of(&identity).map_err(OpenError::io("sync", &path))?;
        Ok(Directory { path, identity: found, is_new: false, _lock: lock })
    }

    /// Opens a directory that is a node's already, whosever.
    pub(super) fn found(path: &Path) -> Result<Directory, OpenError> {
        // Before the lock, which is a file in it.
        let identity = path.join(IDENTITY);
        let missing = || OpenError::io("read", &identity)(io::ErrorKind::NotFound.into());
        let text = text_of(&identity)?.ok_or_else(missing)?;
        let lock = lock(path)?;
        let (path, identity) = (path.to_path_buf(), parse(path, &text)?);
        Ok(Directory { path, identity, is_new: false, _lock: lock })
    }

    /// Makes a new directory the node's: everything else in it is durable.
    pub(super) fn finish(&self) -> Result<(), OpenError> {
        let identity = self.path.join(IDENTITY);
        fs::rename(self.path.join(DRAFT), &identity)
            .and_then(|()| sync_folder_of(&identity))
            .map_err(OpenError::io("write", &identity))
    }

    pub(super) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(super) fn mark(&self) -> PathBuf {
        self.path.join("mark")
    }

    pub(super) fn register(&self) -> PathBuf {
        self.path.join("register")
    }

    pub(super) fn states(&self) -> PathBuf {
        self.path.join("states")
    }

    pub(super) fn tail(&self) -> PathBuf {
        self.path.join("tail")
    }
}

/// Whether there is a directory of a node here.
pub(super) fn exists(path: &Path) -> bool {
    path.join(IDENTITY).exists()
}

/// Whether a directory of a node was begun here, and not finished.
pub(super) fn is_unfinished(path: &Path) -> bool {
    path.join(DRAFT).exists() && !exists(path)
}

/// Makes the directory and those above it. Their names are durable before anything is in it.
fn make(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    if let Some(above) = path.parent().filter(|above| !above.as_os_str().is_empty()) {
        make(above)?;
    }
    match fs::create_dir(path) {
        // Somebody else has made it meanwhile.
        Err(_) if path.is_dir() => {}
        made => made?,
    }
    sync_name(path)
}

/// Makes the name of a node's directory durable, where that may be done: the folder that it is in may
/// be somebody else's, and closed to this process.
fn sync_name(path: &Path) -> io::Result<()> {
    match sync_folder_of(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => Ok(()),
        synced => synced,
    }
}

/// Begins a new directory. What an earlier beginning has left goes first.
fn begin(path: &Path, cluster: u64, node: NodeId) -> Result<Identity, OpenError> {
    // The earlier one may have ended before the directory's own name was durable.
    let named = fs::canonicalize(path).and_then(|path| sync_name(&path));
    named.map_err(OpenError::io("sync the folder of", path))?;
    for left in UNFINISHED.into_iter().filter(|left| *left != LOCK).map(|left| path.join(left)) {
        let removed =
            if left.is_dir() { fs::remove_dir_all(&left) } else { fs::remove_file(&left) };
        match removed {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            removed => removed.map_err(OpenError::io("remove", &left))?,
        }
    }
    // Zero stands for no directory.
    let incarnation = RandomState::new().hash_one(node).max(1);
    let identity = Identity { cluster, node, incarnation };
    let draft = path.join(DRAFT);
    write_synced(&draft, print(&identity).as_bytes())
        .and_then(|()| sync_folder_of(&draft))
        .map_err(OpenError::io("write", &draft))?;
    Ok(identity)
}

/// A directory without an identity has to be empty, but for what an interrupted creation leaves.
fn refuse_foreign(path: &Path) -> Result<(), OpenError> {
    let is_unfinished = is_unfinished(path);
    for file in fs::read_dir(path).map_err(OpenError::io("list", path))? {
        let name = file.map_err(OpenError::io("list", path))?.file_name();
        let found = name.to_string_lossy().into_owned();
        let is_left = match found.as_str() {
            LOCK | DRAFT => true,
            found => is_unfinished && UNFINISHED.contains(&found),
        };
        // Another process may be finishing it at this moment.
        if !is_left && !exists(path) {
            return Err(OpenError::NotOurs { path: path.to_path_buf(), found });
        }
    }
    Ok(())
}

fn lock(path: &Path) -> Result<Lock, OpenError> {
    let file = path.join(LOCK);
    let options = OpenOptions::new().write(true).create(true).truncate(false).open(&file);
    let lock = options.map_err(OpenError::io("open", &file))?;
    match lock.try_lock() {
        Ok(()) => Ok(Lock(lock)),
        Err(TryLockError::WouldBlock) => Err(OpenError::InUse(path.to_path_buf())),
        Err(TryLockError::Error(error)) => Err(OpenError::io("lock", &file)(error)),
    }
}

/// A file that is text; none where there is no file.
pub(super) fn text_of(path: &Path) -> Result<Option<String>, OpenError> {
    match fs::read_to_string(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) if error.kind() == io::ErrorKind::InvalidData => {
            Err(OpenError::damaged(path, "it is not text"))
        }
        Err(error) => Err(OpenError::io("read", path)(error)),
    }
}

/// The text with its last line, which is its checksum.
pub(super) fn sealed(text: String) -> String {
    format!("{text}checksum {:016x}\n", xxh3_64(text.as_bytes()))
}

/// Puts a file in place, durably and as a whole.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), OpenError> {
    let new = path.with_extension("new");
    write_synced(&new, bytes)
        .and_then(|()| fs::rename(&new, path))
        .and_then(|()| sync_folder_of(path))
        .map_err(OpenError::io("write", path))
}

fn write_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

/// Makes the name of this file or directory durable.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    // Windows has no way to sync a directory, and does it by itself.
    match path.parent() {
        Some(folder) if cfg!(unix) => {
            let is_here = folder.as_os_str().is_empty();
            File::open(if is_here { Path::new(".") } else { folder })?.sync_all()
        }
        _ => Ok(()),
    }
}

fn print(Identity { cluster, node, incarnation }: &Identity) -> String {
    sealed(format!(
        "quorate format {FORMAT}\ncluster {cluster:016x}\nnode {node}\nincarnation {incarnation:016x}\n"
    ))
}

fn parse(path: &Path, text: &str) -> Result<Identity, OpenError> {
    // The format first: of another one nothing else is known.
    let format = text.lines().next().and_then(|line| line.strip_prefix("quorate format "));
    let format = format.and_then(|format| format.parse().ok());
    let (path_of, known) = (path.to_path_buf(), FORMAT);
    match format {
        Some(found) if found > FORMAT => {
            return Err(OpenError::NewerFormat { path: path_of, found, known });
        }
        Some(found) if found < FORMAT => {
            return Err(OpenError::OlderFormat { path: path_of, found, known });
        }
        _ => {}
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
        let directory = Directory::open(path, CLUSTER, NodeId(1))?;
        if directory.is_new {
            directory.finish()?;
        }
        Ok(directory)
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
        // Like the one that a process has for a moment that another thread is starting.
        let copy = held._lock.0.try_clone()?;
        drop(held);
        open(folder.path())?;
        drop(copy);
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
    fn another_format_is_told_from_damage() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join(IDENTITY);
        fs::write(&path, "quorate format 3\nwhatever it says\n")?;
        assert!(matches!(
            open(folder.path()),
            Err(OpenError::NewerFormat { found: 3, known: 2, .. })
        ));
        fs::write(&path, "quorate format 1\nwhatever it says\n")?;
        assert!(matches!(
            open(folder.path()),
            Err(OpenError::OlderFormat { found: 1, known: 2, .. })
        ));
        for damaged in ["", "quorate format 2\n", "\u{0}"] {
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
