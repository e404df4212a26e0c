//! Whom the node has met, and on which directory: a small file beside the log.
//!
//! An id belongs to one disk. A server whose disk was emptied and that comes back under its old id has
//! forgotten how it voted and what it acknowledged, and would do both again (bug E22). Nothing in its
//! directory shows that, for it is a new one; but everyone who met the server before knows that it is
//! another one. So the first directory that comes with an id is the only one that ever does: nothing is
//! taken out of the register by a node, and an id that was removed from the cluster is not given again.
//!
//! **What it does not show.** Whoever never met the server before its disk was lost takes the new
//! directory for its first. Nor does an older copy of a directory show, which has the number of the whole.
//!
//! Nor does it show whether the first claim to an id was true. A node whose address is known is met
//! there, and by TLS it proves its id. But under an id without a known address the first who comes has
//! it, from wherever; and where connections are open, whoever answers at an address is who is there.
//! The server whose id that was is refused then, until an operator takes the id out: see [`forget`].

use std::collections::BTreeMap;
use std::fmt::{self, Write};
use std::num::NonZeroU64;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};

use quorate_spec::NodeId;
use thiserror::Error;

use crate::disk::directory::{self, Directory};
use crate::disk::error::OpenError;
use crate::lock::lock;

/// Which directory it is: a random number that is drawn when it is made, and never zero.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct DirectoryId(pub NonZeroU64);

impl DirectoryId {
    /// The directory with this number; none for zero.
    #[must_use]
    pub fn new(number: u64) -> Option<DirectoryId> {
        NonZeroU64::new(number).map(DirectoryId)
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:016x}", self.0)
    }
}

/// The directories of the nodes that this one has met. Clones are the same register.
///
/// The default is that of a node without a directory, as in tests: it says so to everyone it meets, and
/// remembers for as long as it runs. "No directory" is a value like any other. So nodes without one
/// welcome each other however often they are started anew, and whoever came with a directory first is
/// refused without it, and the other way round.
#[derive(Clone, Debug, Default)]
pub struct Register(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    own: Option<DirectoryId>,
    met: Mutex<Met>,
    /// Where it is written; none for a node without a directory, and once that is closed. Whoever
    /// writes holds this, and not `met`, which others look at meanwhile.
    file: Mutex<File>,
}

type Met = BTreeMap<NodeId, Option<DirectoryId>>;

#[derive(Debug, Default)]
enum File {
    #[default]
    None,
    At(PathBuf),
    Closed,
}

/// What is known of a node on this directory.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Known {
    /// It was never met.
    No,
    /// It is the one that was met.
    Same,
    /// The one that was met came with another directory.
    Other,
}

/// Why no note was taken of a node.
#[derive(Debug, Error)]
pub(crate) enum NotNoted {
    /// The directory is closed.
    #[error("the node has stopped")]
    Stopped,
    /// It cannot be written.
    #[error(transparent)]
    Disk(#[from] OpenError),
}

impl Register {
    /// The bytes of a new file, in the directory with this number.
    pub(super) fn fresh(own: u64) -> Vec<u8> {
        print(own, &Met::new()).into_bytes()
    }

    /// Reads the file.
    pub(super) fn open(path: &Path, own: u64) -> Result<Register, OpenError> {
        let text = directory::text_of(path)?;
        let text = text.ok_or_else(|| OpenError::damaged(path, "it is missing"))?;
        let met = parse(own, &text);
        let met = met.ok_or_else(|| OpenError::damaged(path, "it is not what was written"))?;
        let inner = Inner {
            own: DirectoryId::new(own),
            met: Mutex::new(met),
            file: Mutex::new(File::At(path.to_path_buf())),
        };
        Ok(Register(Arc::new(inner)))
    }

    /// The node's own directory.
    #[must_use]
    pub fn own(&self) -> Option<DirectoryId> {
        self.0.own
    }

    /// How many such nodes were met.
    pub(crate) fn count(&self, is: impl Fn(NodeId) -> bool) -> usize {
        self.met().keys().filter(|id| is(**id)).count()
    }

    /// What is known of the node with this id on this directory. It waits for no disk.
    pub(crate) fn judge(&self, id: NodeId, directory: Option<DirectoryId>) -> Known {
        match self.met().get(&id) {
            None => Known::No,
            Some(first) if *first == directory => Known::Same,
            Some(_) => Known::Other,
        }
    }

    /// Takes note of a node that may never have been met, and says what was known of it. It waits for
    /// the disk, and where that fails nothing is known that was not known before.
    pub(crate) fn meet(
        &self,
        id: NodeId,
        directory: Option<DirectoryId>,
    ) -> Result<Known, NotNoted> {
        let file = lock(&self.0.file);
        // It may have come on two connections at a time.
        let known = self.judge(id, directory);
        if known != Known::No {
            return Ok(known);
        }
        let path = match (&*file, self.0.own) {
            (File::At(path), Some(own)) => Some((path, own)),
            (File::Closed, _) => return Err(NotNoted::Stopped),
            _ => None,
        };
        if let Some((path, DirectoryId(own))) = path {
            let mut met = self.met().clone();
            met.insert(id, directory);
            directory::replace(path, print(own.get(), &met).as_bytes())?;
        }
        self.met().insert(id, directory);
        Ok(Known::No)
    }

    /// Whether there is a file, for which whoever meets somebody has to wait.
    pub(crate) fn is_on_disk(&self) -> bool {
        self.0.own.is_some()
    }

    fn met(&self) -> MutexGuard<'_, Met> {
        lock(&self.0.met)
    }
}

/// Takes an id out of the register of a node that does not run: the next directory that it is met on
/// counts as its first. It is for an id that another server came under first, by mistake or with
/// intent. A server that has lost its disk is not welcome by this: it would vote twice. Says whether the
/// node had met the id.
///
/// # Errors
/// [`OpenError`] says what is wrong with the directory, as that a node has it open. Nothing has changed then.
pub fn forget(directory: impl AsRef<Path>, id: NodeId) -> Result<bool, OpenError> {
    let directory = Directory::found(directory.as_ref())?;
    let (path, own) = (directory.register(), directory.identity.incarnation);
    let mut met = Register::open(&path, own)?.met().clone();
    let was_met = met.remove(&id).is_some();
    if was_met {
        directory::replace(&path, print(own, &met).as_bytes())?;
    }
    Ok(was_met)
}

/// The file of a register in an open directory: when this is dropped, nothing more is written there,
/// whoever still has the register. Somebody else may open the directory then.
#[derive(Debug)]
pub(super) struct OnDisk(pub(super) Register);

impl Drop for OnDisk {
    fn drop(&mut self) {
        *lock(&self.0.0.file) = File::Closed;
    }
}

fn print(own: u64, met: &Met) -> String {
    // The number is that of this directory: the file of another one is none.
    let mut text = format!("quorate register of {own:016x}\n");
    for (id, directory) in met {
        let number = directory.map_or(0, |DirectoryId(number)| number.get());
        // Writing to a string does not fail.
        let _ = writeln!(text, "node {id} directory {number:016x}");
    }
    directory::sealed(text)
}

fn parse(own: u64, text: &str) -> Option<Met> {
    let mut met = Met::new();
    for line in text.lines().skip(1) {
        let Some(line) = line.strip_prefix("node ") else { break };
        let (id, directory) = line.split_once(" directory ")?;
        let directory = u64::from_str_radix(directory, 16).ok()?;
        met.insert(NodeId(id.parse().ok()?), DirectoryId::new(directory));
    }
    (print(own, &met) == text).then_some(met)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    const OWN: u64 = 0xfeed;
    const ONE: NodeId = NodeId(1);
    const TWO: NodeId = NodeId(2);

    fn directory(number: u64) -> Option<DirectoryId> {
        DirectoryId::new(number)
    }

    fn fresh(folder: &Path) -> Result<(PathBuf, Register), Box<dyn std::error::Error>> {
        let path = folder.join("register");
        fs::write(&path, Register::fresh(OWN))?;
        let register = Register::open(&path, OWN)?;
        Ok((path, register))
    }

    #[test]
    fn the_first_directory_of_an_id_is_the_only_one_in_later_lives_too()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (path, register) = fresh(folder.path())?;
        assert_eq!(register.own(), directory(OWN));
        assert_eq!(register.judge(ONE, directory(5)), Known::No);
        assert_eq!(register.meet(ONE, directory(5))?, Known::No);
        assert_eq!(register.meet(TWO, None)?, Known::No);
        for register in [register, Register::open(&path, OWN)?] {
            assert_eq!(register.count(|_| true), 2);
            assert_eq!(register.count(|id| id == TWO), 1);
            assert_eq!(register.judge(ONE, directory(5)), Known::Same);
            assert_eq!(register.judge(ONE, directory(6)), Known::Other);
            assert_eq!(register.judge(ONE, None), Known::Other, "it had one");
            assert_eq!(register.judge(TWO, None), Known::Same);
            assert_eq!(register.judge(TWO, directory(5)), Known::Other, "it had none");
            assert_eq!(register.meet(ONE, directory(6))?, Known::Other, "and that stays");
        }
        Ok(())
    }

    #[test]
    fn a_register_without_a_directory_remembers_for_as_long_as_it_is_there() {
        let register = Register::default();
        assert_eq!((register.own(), register.is_on_disk()), (None, false));
        assert!(matches!(register.meet(ONE, directory(5)), Ok(Known::No)));
        assert_eq!(register.clone().judge(ONE, directory(6)), Known::Other);
    }

    #[test]
    fn a_register_that_is_not_what_was_written_is_refused() -> Result<(), Box<dyn std::error::Error>>
    {
        let folder = tempfile::tempdir()?;
        let (path, register) = fresh(folder.path())?;
        register.meet(ONE, directory(5))?;
        let whole = fs::read(&path)?;
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 1;
            for damaged in [damaged, whole[..at].to_vec()] {
                fs::write(&path, damaged)?;
                let opened = Register::open(&path, OWN);
                assert!(matches!(opened, Err(OpenError::Damaged { .. })), "byte {at}");
            }
        }
        fs::write(&path, &whole)?;
        Register::open(&path, OWN)?;
        let of_another = Register::open(&path, OWN + 1);
        assert!(matches!(of_another, Err(OpenError::Damaged { .. })));
        fs::remove_file(&path)?;
        let missing = Register::open(&path, OWN);
        assert!(missing.is_err_and(|error| error.to_string().contains("it is missing")));
        Ok(())
    }

    #[test]
    fn what_is_not_durable_is_not_known_and_nothing_is_lost()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let (path, register) = fresh(folder.path())?;
        register.meet(ONE, directory(5))?;
        // Nothing can be written there.
        let in_the_way = path.with_extension("new");
        fs::create_dir(&in_the_way)?;
        assert!(matches!(register.meet(TWO, directory(6)), Err(NotNoted::Disk(_))));
        assert_eq!(register.judge(TWO, directory(6)), Known::No);
        assert_eq!(register.judge(ONE, directory(5)), Known::Same);
        fs::remove_dir(&in_the_way)?;
        assert_eq!(register.meet(TWO, directory(6))?, Known::No);
        assert_eq!(Register::open(&path, OWN)?.judge(TWO, directory(6)), Known::Same);
        Ok(())
    }

    #[test]
    fn a_directory_that_is_closed_is_not_written_any_more() -> Result<(), Box<dyn std::error::Error>>
    {
        let folder = tempfile::tempdir()?;
        let (path, register) = fresh(folder.path())?;
        drop(OnDisk(register.clone()));
        assert!(matches!(register.meet(ONE, directory(5)), Err(NotNoted::Stopped)));
        assert_eq!(Register::open(&path, OWN)?.count(|_| true), 0);
        Ok(())
    }

    #[test]
    fn an_id_is_forgotten_by_its_operator_while_the_node_does_not_run()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        assert!(matches!(forget(folder.path(), ONE), Err(OpenError::Io { .. })), "it is no node's");
        assert_eq!(fs::read_dir(folder.path())?.count(), 0, "and nothing is left there");
        let running = Directory::open(folder.path(), 7, TWO)?;
        let (path, own) = (running.register(), running.identity.incarnation);
        fs::write(&path, Register::fresh(own))?;
        running.finish()?;
        let register = Register::open(&path, own)?;
        register.meet(ONE, directory(5))?;
        register.meet(TWO, None)?;
        assert!(matches!(forget(folder.path(), ONE), Err(OpenError::InUse(_))));
        drop(running);
        assert!(forget(folder.path(), ONE)?);
        assert!(!forget(folder.path(), ONE)?, "it is not there any more");
        let register = Register::open(&path, own)?;
        assert_eq!(register.judge(ONE, directory(6)), Known::No);
        assert_eq!(register.judge(TWO, None), Known::Same, "the others are");
        Ok(())
    }

    #[test]
    fn an_identity_that_is_no_text_is_damaged_for_whoever_forgets_an_id()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        fs::write(folder.path().join("identity"), [0xff; 40])?;
        assert!(matches!(forget(folder.path(), ONE), Err(OpenError::Damaged { .. })));
        Ok(())
    }
}
