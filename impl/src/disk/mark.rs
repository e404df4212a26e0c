//! The mark: the number of the last group of writes that is durable, in a small file beside the log.
//!
//! A log that ends before its mark has lost something, and does not merely end where a crash tore
//! it. The mark is written after the sync of its group and is not synced itself: it survives the end
//! of the process, and after a power loss it may be an older one, which is a weaker bound and never
//! a wrong one.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::Path;

use xxhash_rust::xxh3::xxh3_64_with_seed;

/// The two places for a mark are in two sectors: one of them is whole, whenever the power goes.
const SECTOR: u64 = 512;
const LENGTH: usize = 16;

#[derive(Debug)]
pub(super) struct Mark {
    file: File,
    seed: u64,
}

impl Mark {
    /// The bytes of a new file that marks this group.
    pub(super) fn fresh(seed: u64, group: u64) -> Vec<u8> {
        let mut bytes = slot(seed, group).to_vec();
        bytes.resize(2 * SECTOR as usize, 0);
        bytes
    }

    pub(super) fn open(path: &Path, seed: u64) -> io::Result<Mark> {
        let file = OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Mark { file, seed })
    }

    /// The group that is marked; none if the file is damaged.
    pub(super) fn read(&mut self) -> io::Result<Option<u64>> {
        let mut bytes = Vec::new();
        self.file.seek(SeekFrom::Start(0))?;
        (&self.file).take(2 * SECTOR).read_to_end(&mut bytes)?;
        let slots = [0, SECTOR as usize].map(|at| bytes.get(at..at + LENGTH));
        Ok(slots.into_iter().flatten().filter_map(|slot| self.decode(slot)).max())
    }

    /// Every group up to this one is durable.
    pub(super) fn advance(&mut self, group: u64) -> io::Result<()> {
        self.file.seek(SeekFrom::Start(group % 2 * SECTOR))?;
        self.file.write_all(&slot(self.seed, group))
    }

    pub(super) fn sync(&self) -> io::Result<()> {
        self.file.sync_data()
    }

    fn decode(&self, bytes: &[u8]) -> Option<u64> {
        let group = u64::from_le_bytes(*bytes.first_chunk()?);
        (bytes == slot(self.seed, group)).then_some(group)
    }
}

fn slot(seed: u64, group: u64) -> [u8; LENGTH] {
    let mut bytes = [0; LENGTH];
    bytes[..8].copy_from_slice(&group.to_le_bytes());
    bytes[8..].copy_from_slice(&xxh3_64_with_seed(&group.to_le_bytes(), seed).to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn the_latest_mark_is_read_and_an_earlier_one_where_that_is_torn()
    -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("mark");
        fs::write(&path, Mark::fresh(7, 0))?;
        let mut mark = Mark::open(&path, 7)?;
        assert_eq!(mark.read()?, Some(0));
        for group in 1..=5 {
            mark.advance(group)?;
        }
        assert_eq!(Mark::open(&path, 7)?.read()?, Some(5));
        let mut bytes = fs::read(&path)?;
        bytes[SECTOR as usize + 3] ^= 1;
        fs::write(&path, &bytes)?;
        assert_eq!(Mark::open(&path, 7)?.read()?, Some(4));
        bytes[3] ^= 1;
        fs::write(&path, &bytes)?;
        assert_eq!(Mark::open(&path, 7)?.read()?, None);
        Ok(())
    }

    #[test]
    fn a_mark_of_another_directory_is_none() -> Result<(), Box<dyn std::error::Error>> {
        let folder = tempfile::tempdir()?;
        let path = folder.path().join("mark");
        fs::write(&path, Mark::fresh(7, 9))?;
        assert_eq!(Mark::open(&path, 8)?.read()?, None);
        Ok(())
    }
}
