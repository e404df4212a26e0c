//! Why a directory is not opened.

use std::io;
use std::path::{Path, PathBuf};

use quorate_spec::NodeId;
use thiserror::Error;

/// Why a directory is not opened, and what to do.
#[derive(Debug, Error)]
pub enum OpenError {
    /// The file system refused something.
    #[error("cannot {action} {}: {source}", .path.display())]
    Io {
        /// What was tried.
        action: &'static str,
        /// On which file or directory.
        path: PathBuf,
        /// What the file system said.
        source: io::Error,
    },
    /// Somebody has it open.
    #[error(
        "{} is in use: another process has it open, or an earlier node of this one has not ended; \
         two nodes on one directory would destroy it",
        .0.display()
    )]
    InUse(PathBuf),
    /// It holds something else.
    #[error(
        "{} is not empty and not a directory of Quorate (it has {found:?}, and no file `identity`): \
         give the node a directory of its own",
        .path.display()
    )]
    NotOurs {
        /// The directory.
        path: PathBuf,
        /// A file in it.
        found: String,
    },
    /// A newer program wrote it.
    #[error(
        "{} has format {found}, and this program knows {known}: start the newer program again",
        .path.display()
    )]
    NewerFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The newest format that this program reads.
        known: u64,
    },
    /// An older program wrote it, before the first release.
    #[error(
        "{} has format {found}, and this program knows {known}: go on with the older program, or add \
         this server again under a new id, on an empty directory",
        .path.display()
    )]
    OlderFormat {
        /// The directory.
        path: PathBuf,
        /// Its format.
        found: u64,
        /// The format that this program reads.
        known: u64,
    },
    /// It belongs to a node of another cluster.
    #[error(
        "{} belongs to cluster {found:016x}, not to {expected:016x}: look which directory this \
         node was started on",
        .path.display()
    )]
    OtherCluster {
        /// The directory.
        path: PathBuf,
        /// The cluster that was asked for.
        expected: u64,
        /// The cluster that it was made for.
        found: u64,
    },
    /// It belongs to another node.
    #[error(
        "{} belongs to node {found}, not to node {expected}: an identity goes with its disk, so \
         start node {found} on it, or give node {expected} its own directory",
        .path.display()
    )]
    OtherNode {
        /// The directory.
        path: PathBuf,
        /// The node that was asked for.
        expected: NodeId,
        /// The node that it was made for.
        found: NodeId,
    },
    /// Something that was durable is not there any more, or is not what was written. A log that
    /// lacks what was acknowledged must not vote, so it is not cut to what is left.
    #[error(
        "{} is damaged: {what}. A node that lacks what it acknowledged must not vote: keep the \
         directory for whoever looks into it, remove this node from the cluster, and add one with \
         a new identity on an empty directory",
        .path.display()
    )]
    Damaged {
        /// The file or directory.
        path: PathBuf,
        /// What is wrong with it, and up to where the log is whole.
        what: String,
    },
}

impl OpenError {
    pub(super) fn io<'a>(
        action: &'static str,
        path: &'a Path,
    ) -> impl FnOnce(io::Error) -> OpenError + 'a {
        move |source| OpenError::Io { action, path: path.to_path_buf(), source }
    }

    pub(super) fn damaged(path: &Path, what: impl Into<String>) -> OpenError {
        OpenError::Damaged { path: path.to_path_buf(), what: what.into() }
    }
}
