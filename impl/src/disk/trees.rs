//! Looks at the engine's lists of tables before the engine does.
//!
//! Each of its trees has a file `current` with the number and the checksum of the list that counts.
//! The engine does not compare that checksum; over a list that has rotted it may panic, twice, which
//! ends the process. And it removes a tree that has no `current`, with all its tables.

use std::fs;
use std::path::Path;

use xxhash_rust::xxh3::xxh3_128;

use crate::disk::error::OpenError;

/// The trees of a directory that was made: the engine's own one, and ours.
const TREES: usize = 2;

/// Checks the lists of the engine in `folder`.
///
/// # Errors
/// One of them is damaged or missing.
pub(super) fn inspect(folder: &Path) -> Result<(), OpenError> {
    let folder = folder.join("keyspaces");
    let mut trees = 0;
    for tree in fs::read_dir(&folder).map_err(OpenError::io("list", &folder))? {
        let tree = tree.map_err(OpenError::io("list", &folder))?.path();
        if tree.is_dir() {
            check(&tree)?;
            trees += 1;
        }
    }
    if trees < TREES {
        return Err(OpenError::damaged(&folder, "a part of it is missing"));
    }
    Ok(())
}

fn check(tree: &Path) -> Result<(), OpenError> {
    let current = tree.join("current");
    let bytes = fs::read(&current);
    let bytes = bytes.map_err(|error| OpenError::damaged(&current, error.to_string()))?;
    let split = || {
        let (number, rest) = bytes.split_first_chunk()?;
        let (checksum, kind) = rest.split_first_chunk()?;
        (kind == [0]).then_some((u64::from_le_bytes(*number), u128::from_le_bytes(*checksum)))
    };
    let (number, checksum) =
        split().ok_or_else(|| OpenError::damaged(&current, "it is not what was written"))?;
    let list = tree.join(format!("v{number}"));
    let bytes = fs::read(&list).map_err(|error| OpenError::damaged(&list, error.to_string()))?;
    if xxh3_128(&bytes) == checksum {
        Ok(())
    } else {
        Err(OpenError::damaged(&list, "its checksum does not fit"))
    }
}
