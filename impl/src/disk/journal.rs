//! Looks at the engine's journal before the engine does.
//!
//! The engine replays its journal up to the first batch that it cannot read, and cuts off the rest:
//! right for the tail that a crash tore, and silent loss where a bit has rotted before good batches.
//! And where a crash wrote the end of a batch but not its middle it does not open at all. So the
//! journal is read here first, in the engine's own format, by these rules:
//!
//! * A batch that cannot be read, with a later one that can: damage. Groups are synced one after the
//!   other, so the earlier one had been durable.
//! * The same in a journal that is not the last one: damage. The engine syncs it before the next.
//! * Else it is a torn tail, unless the mark says that more was durable; it is cut off here.
//!
//! Nothing is changed before all journals have been read. And where they tell of no group at all, only
//! the recovery knows whether what is cut off had been durable: it is kept in a file until then.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use quorate_spec::EntryId;
use xxhash_rust::xxh3::xxh3_64;

use crate::disk::codec::Codec;
use crate::disk::directory;
use crate::disk::engine;
use crate::disk::error::OpenError;

const START: u8 = 1;
const ITEM: u8 = 2;
const END: u8 = 3;
const MAGIC: [u8; 4] = *b"FJL\x03";

/// The engine's numbers rise by a few from batch to batch. The oldest journal begins with any: they
/// count on for as long as the directory is there.
const LARGEST_STEP: u64 = 1 << 32;

/// The engine gives out no number from here on.
const NO_NUMBER: u64 = 1 << 63;

/// The last group of writes that a journal tells of.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct LastGroup {
    pub(super) group: u64,
    /// The end of the log after it.
    pub(super) last: EntryId,
}

/// Where the last journal has a torn tail.
#[derive(Debug)]
struct Tail {
    path: PathBuf,
    at: usize,
}

/// Reads the journals of the engine in `folder`, and cuts off a torn tail. `marked` is the last
/// group that is known to have been durable. Where no group is seen, the tail is kept as `aside`.
///
/// # Errors
/// A journal is damaged: it says less than it did when it was synced.
pub(super) fn inspect(
    folder: &Path,
    codec: Codec,
    marked: u64,
    aside: &Path,
) -> Result<(), OpenError> {
    let journals = list(folder).map_err(OpenError::io("list", folder))?;
    let mut scan = Scan { codec, seqno: None, last: None, tail: None };
    for (position, path) in journals.iter().enumerate() {
        let bytes = read(path).map_err(OpenError::io("read", path))?;
        scan.journal(path, &bytes, position + 1 == journals.len())?;
    }
    let Some(Tail { path, at }) = scan.tail.take() else { return Ok(()) };
    if let Some(LastGroup { group, .. }) = scan.last.filter(|last| last.group < marked) {
        let what = format!(
            "the batch at byte {at} cannot be read, and groups {}..={marked} of writes had been \
             durable{}",
            group + 1,
            scan.after()
        );
        return Err(OpenError::Damaged { path, what });
    }
    if scan.last.is_none() {
        let bytes = read(&path).map_err(OpenError::io("read", &path))?;
        directory::replace(aside, bytes.get(at..).unwrap_or_default())?;
    }
    let cut = || {
        let file = OpenOptions::new().write(true).open(&path)?;
        file.set_len(at as u64)?;
        file.sync_all()
    };
    cut().map_err(OpenError::io("cut the torn tail off", &path))
}

/// Reads a journal from the disk itself. After a failed sync the system may hold pages in memory that
/// never reached the disk, and takes them for written: a tail that only memory has is none.
fn read(path: &Path) -> io::Result<Vec<u8>> {
    let mut file = File::open(path)?;
    #[cfg(target_os = "linux")]
    rustix::fs::fadvise(&file, 0, None, rustix::fs::Advice::DontNeed)?;
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// The journals, oldest first.
pub(super) fn list(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut journals = Vec::new();
    for file in fs::read_dir(folder)? {
        let path = file?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        let number = name.and_then(|name| name.strip_suffix(".jnl")?.parse::<u64>().ok());
        journals.extend(number.map(|number| (number, path)));
    }
    journals.sort();
    Ok(journals.into_iter().map(|(_, path)| path).collect())
}

struct Scan {
    codec: Codec,
    /// The engine's number of the batch before. It rises from batch to batch; the engine has no
    /// checksum over it.
    seqno: Option<u64>,
    last: Option<LastGroup>,
    tail: Option<Tail>,
}

impl Scan {
    fn journal(&mut self, path: &Path, bytes: &[u8], is_last: bool) -> Result<(), OpenError> {
        let mut at = 0;
        while let Some(batch) = self.next(&bytes[at..]) {
            at += batch.length;
            self.seqno = Some(batch.seqno);
            self.last = batch.last.or(self.last);
        }
        let rest = &bytes[at..];
        if rest.iter().all(|byte| *byte == 0) {
            return Ok(());
        }
        let later = (1..rest.len()).find_map(|from| self.later(&rest[from..]));
        if later.is_none() && is_last {
            self.tail = Some(Tail { path: path.to_path_buf(), at });
            return Ok(());
        }
        let that = match later {
            Some(later) => format!(", and group {} of writes after it can", later.group),
            None => ", and the journal was complete".to_owned(),
        };
        let what = format!("the batch at byte {at} cannot be read{that}{}", self.after());
        Err(OpenError::damaged(path, what))
    }

    /// The batch that these bytes begin with, if it can follow what was read.
    fn next(&self, bytes: &[u8]) -> Option<Batch> {
        let numbers = match self.seqno {
            Some(before) => before + 1..before.saturating_add(LARGEST_STEP).min(NO_NUMBER),
            None => 0..NO_NUMBER,
        };
        batch(bytes, self.codec)
            .filter(|batch| numbers.contains(&batch.seqno))
            .filter(|batch| batch.last.is_none_or(|next| self.is_later(next)))
    }

    /// The group of writes that these bytes begin with, if it is later than what was read. The
    /// engine's number is not asked: it may be what has rotted.
    fn later(&self, bytes: &[u8]) -> Option<LastGroup> {
        batch(bytes, self.codec)?.last.filter(|group| self.is_later(*group))
    }

    fn is_later(&self, next: LastGroup) -> bool {
        self.last.is_none_or(|last| last.group < next.group)
    }

    /// Up to where the log is whole, in words.
    fn after(&self) -> String {
        match self.last {
            Some(LastGroup { group, last: EntryId { term, index } }) => {
                format!(
                    "; the last good group is {group}, with the log up to entry {index} of term {term}"
                )
            }
            None => String::new(),
        }
    }
}

/// A batch of the engine.
#[derive(Debug)]
struct Batch {
    length: usize,
    seqno: u64,
    /// What its head says; none if it has none, because it only cleans up.
    last: Option<LastGroup>,
}

/// The whole batch that these bytes begin with, if they do.
fn batch(bytes: &[u8], codec: Codec) -> Option<Batch> {
    let mut rest = Rest(bytes);
    if rest.byte()? != START {
        return None;
    }
    let (count, seqno) = (rest.short()?, rest.long()?);
    let (items, mut last) = (rest.0, None);
    for _ in 0..count {
        let (key, value) = rest.item()?;
        if key == engine::HEAD {
            let head = codec.read_head(value).ok()?;
            last = Some(LastGroup { group: head.group, last: head.last });
        }
    }
    let items = &items[..items.len() - rest.0.len()];
    let whole = rest.byte()? == END && rest.long()? == xxh3_64(items) && rest.0.starts_with(&MAGIC);
    let length = bytes.len() - rest.0.len() + MAGIC.len();
    whole.then_some(Batch { length, seqno, last })
}

/// The bytes that are left of a batch.
struct Rest<'a>(&'a [u8]);

impl<'a> Rest<'a> {
    fn chunk<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (chunk, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*chunk)
    }

    fn byte(&mut self) -> Option<u8> {
        self.chunk().map(|[byte]| byte)
    }

    fn short(&mut self) -> Option<u32> {
        self.chunk().map(u32::from_le_bytes)
    }

    fn long(&mut self) -> Option<u64> {
        self.chunk().map(u64::from_le_bytes)
    }

    fn slice(&mut self, length: usize) -> Option<&'a [u8]> {
        let (slice, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(slice)
    }

    /// A key and its value. They are stored as they are: compression is off.
    fn item(&mut self) -> Option<(&'a [u8], &'a [u8])> {
        let [tag, kind, compression] = self.chunk()?;
        let _keyspace = self.long()?;
        let key = usize::from(self.chunk().map(u16::from_le_bytes)?);
        let (length, stored) = (self.short()?, self.short()?);
        let plain = tag == ITEM && kind <= 2 && compression == 0 && length == stored;
        let slices = (self.slice(key)?, self.slice(usize::try_from(length).ok()?)?);
        plain.then_some(slices)
    }
}

#[cfg(test)]
mod tests {
    use quickcheck::quickcheck;
    use quorate_spec::{Configuration, Durable, Index, NodeId, Term};
    use tempfile::TempDir;

    use super::*;
    use crate::disk::codec::Head;
    use crate::disk::engine::Engine;
    use crate::random::Random;

    const CODEC: Codec = Codec { seed: 7 };
    const GROUPS: u64 = 5;

    /// A journal with groups of writes in it, and where each ends.
    fn written() -> (TempDir, PathBuf, Vec<usize>) {
        let folder = tempfile::tempdir().expect("there is room");
        let engine = Engine::open(folder.path()).expect("it is new");
        let path = list(folder.path()).expect("it is listed").remove(0);
        let mut ends = Vec::new();
        for group in 1..=GROUPS {
            let durable = Durable::genesis(Configuration::of([NodeId(1)]));
            let last = EntryId { term: Term(1), index: Index(group) };
            let (hard_state, base) = (durable.hard_state, durable.log.snapshot());
            let mut batch = engine.batch();
            batch.put_entry(Index(group), vec![b'x'; 5000]);
            batch.remove_entry(Index(group - 1));
            batch.head(CODEC.head(&Head { group, hard_state, base, last }));
            batch.commit().expect("there is room");
            let bytes = fs::read(&path).expect("it is there");
            ends.push(bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1));
        }
        (folder, path, ends)
    }

    fn damage(path: &Path, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(path).expect("it is there");
        change(&mut bytes);
        fs::write(path, bytes).expect("there is room");
    }

    /// The last group that the engine knows of.
    fn replayed(folder: &Path) -> Result<u64, String> {
        let head = Engine::open(folder)?.head()?.ok_or("no head")?;
        CODEC.read_head(&head).map(|head| head.group).map_err(|error| error.to_string())
    }

    fn look(folder: &Path, marked: u64) -> Result<(), OpenError> {
        inspect(folder, CODEC, marked, &folder.join("aside"))
    }

    fn scanned(path: &Path) -> Scan {
        let mut scan = Scan { codec: CODEC, seqno: None, last: None, tail: None };
        let bytes = fs::read(path).expect("it is there");
        scan.journal(path, &bytes, true).expect("it is whole, or torn");
        scan
    }

    #[test]
    fn a_journal_is_read_as_the_engine_writes_it() {
        let (_folder, path, ends) = written();
        let scan = scanned(&path);
        assert_eq!(scan.last.map(|last| last.group), Some(GROUPS));
        assert!(scan.tail.is_none());
        damage(&path, |bytes| bytes.truncate(ends[2] - 1));
        let scan = scanned(&path);
        assert_eq!(scan.last.map(|last| last.group), Some(2));
        assert_eq!(scan.tail.map(|tail| tail.at), Some(ends[1]));
    }

    #[test]
    fn the_engine_alone_forgets_what_follows_a_rotten_byte_and_is_not_asked() {
        let (folder, path, ends) = written();
        damage(&path, |bytes| bytes[ends[1]] ^= 0x40);
        let refused = look(folder.path(), 0).expect_err("three groups are lost");
        assert!(refused.to_string().contains("the last good group is 2"), "{refused}");
        assert_eq!(replayed(folder.path()), Ok(2), "the engine says nothing");
    }

    #[test]
    fn the_engine_alone_does_not_open_after_a_torn_batch_whose_end_was_written() {
        let (folder, path, ends) = written();
        let last = GROUPS as usize - 1;
        let hole = ends[last - 1] + 1000..ends[last - 1] + 2000;
        damage(&path, |bytes| bytes[hole].fill(0));
        assert!(replayed(folder.path()).is_err_and(|error| error.contains("ChecksumMismatch")));
        assert!(matches!(look(folder.path(), GROUPS), Err(OpenError::Damaged { .. })));
        look(folder.path(), GROUPS - 1).expect("nothing is lost that was durable");
        assert_eq!(replayed(folder.path()), Ok(GROUPS - 1));
    }

    /// Adds this to the engine's number of each batch. It has no checksum.
    fn renumber(path: &Path, more: u64) {
        damage(path, |bytes| {
            let mut at = 0;
            while let Some(Batch { length, seqno, .. }) = batch(&bytes[at..], CODEC) {
                bytes[at + 5..at + 13].copy_from_slice(&(seqno + more).to_le_bytes());
                at += length;
            }
            assert!(bytes[at..].iter().all(|byte| *byte == 0), "each batch was renumbered");
        });
    }

    #[test]
    fn the_oldest_journal_of_a_directory_that_is_old_begins_with_a_large_number() {
        let (folder, path, ends) = written();
        renumber(&path, 1 << 33);
        look(folder.path(), GROUPS).expect("nothing is wrong with it");
        assert_eq!(replayed(folder.path()), Ok(GROUPS));
        // The engine has made room at the end again. Where one batch is left it is no torn tail.
        damage(&path, |bytes| {
            bytes.truncate(ends[4]);
            bytes.drain(..ends[3]);
        });
        let scan = scanned(&path);
        assert!(scan.tail.is_none(), "{:?}", scan.tail);
        assert_eq!(scan.last.map(|last| last.group), Some(GROUPS));
    }

    #[test]
    fn a_number_that_leaps_within_a_journal_is_not_read() {
        let (_folder, path, ends) = written();
        damage(&path, |bytes| bytes[ends[3] + 5 + 5] ^= 1);
        let scan = scanned(&path);
        assert_eq!(scan.last.map(|last| last.group), Some(GROUPS - 1));
        assert_eq!(scan.tail.map(|tail| tail.at), Some(ends[3]));
    }

    #[test]
    fn a_tail_of_which_nobody_knows_whether_it_was_durable_is_kept() {
        let (folder, path, ends) = written();
        damage(&path, |bytes| {
            bytes.truncate(ends[0]);
            bytes[ends[0] - 2000] ^= 1;
        });
        let before = fs::read(&path).expect("it is there");
        look(folder.path(), 1).expect("group 1 may be in the tables");
        let cut = fs::read(&path).expect("it is there");
        let kept = fs::read(folder.path().join("aside")).expect("the rest is kept");
        assert_eq!(before, [cut, kept].concat());
    }

    quickcheck! {
        fn hostile_bytes_are_an_end_a_tail_or_damage(bytes: Vec<u8>, is_last: bool) -> bool {
            let mut scan = Scan { codec: CODEC, seqno: None, last: None, tail: None };
            let read = scan.journal(Path::new("0.jnl"), &bytes, is_last);
            let clean = bytes.iter().all(|byte| *byte == 0);
            clean == (read.is_ok() && scan.tail.is_none())
        }
    }

    #[test]
    fn a_byte_that_has_changed_takes_the_last_group_at_most() {
        let (_folder, path, ends) = written();
        let whole = fs::read(&path).expect("it is there");
        let whole = &whole[..ends[4]];
        let mut random = Random::seeded(1);
        for _ in 0..2000 {
            let mut bytes = whole.to_vec();
            let at = (random.next() % bytes.len() as u64) as usize;
            bytes[at] = random.next() as u8;
            let mut scan = Scan { codec: CODEC, seqno: None, last: None, tail: None };
            if scan.journal(&path, &bytes, true).is_ok() {
                // Only the last group may look torn.
                assert!(scan.last.is_some_and(|last| last.group >= GROUPS - 1));
            }
        }
    }

    #[test]
    fn a_journal_that_is_not_the_last_one_has_no_torn_tail() {
        let (folder, path, ends) = written();
        damage(&path, |bytes| bytes.truncate(ends[4] - 1));
        fs::write(folder.path().join("1.jnl"), [0; 64]).expect("there is room");
        let refused = look(folder.path(), 0).expect_err("the engine had synced it");
        assert!(refused.to_string().contains("the journal was complete"), "{refused}");
    }
}
