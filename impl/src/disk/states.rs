//! States of the machine, each in a file of its own, written on a thread of its own.
//!
//! A state may be as large as the machine's memory. In the engine its bytes would go through the
//! journal that every write of the log syncs; in a file they are beside it. Its chunks have
//! checksums, and it is synced piece by piece, so that no sync of the log finds much of it to write.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, BufReader, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, mpsc};
use std::thread;

use quorate_spec::{EntryId, Index};
use xxhash_rust::xxh3::{Xxh3, xxh3_64_with_seed};

use crate::disk::codec::Manifest;
use crate::disk::directory::sync_folder_of;
use crate::disk::error::OpenError;
use crate::disk::writer::Job;
use crate::lock::lock;
use crate::record::MachineState;
use crate::state::{Growing, PIECE};
use crate::storage::{Lookup, StorageError};

/// The length of a chunk in bytes; the last one of a state may be shorter.
const CHUNK: usize = PIECE;

/// After so many chunks the file is synced.
const CHUNKS_PER_SYNC: usize = 4;

const UNFINISHED: &str = "part";

/// Where the states are.
#[derive(Debug)]
pub(super) struct Shelf {
    folder: PathBuf,
    seed: u64,
    /// The newest state, and that with which the log begins, stay in memory as well, each if it has
    /// at most so many bytes.
    in_memory: usize,
    states: Mutex<States>,
}

#[derive(Debug, Default)]
struct States {
    /// In files, and how to tell whether those are whole.
    written: BTreeMap<Index, Manifest>,
    /// In memory: what is not written yet, the newest, and the one that peers are sent.
    held: BTreeMap<Index, MachineState>,
    /// The log begins after this entry, or will: peers are sent the state after it.
    base: Index,
}

impl Shelf {
    /// The shelf with the one state that the log begins with, and no other; and that state, which was
    /// read to see that it is whole.
    pub(super) fn open(
        folder: PathBuf,
        seed: u64,
        in_memory: usize,
        base: Option<Manifest>,
    ) -> Result<(Shelf, Option<MachineState>), OpenError> {
        fs::create_dir_all(&folder)
            .and_then(|()| sync_folder_of(&folder))
            .map_err(OpenError::io("create", &folder))?;
        let base_file = base.map(|base| file_of(&folder, base.last));
        for file in fs::read_dir(&folder).map_err(OpenError::io("list", &folder))? {
            let path = file.map_err(OpenError::io("list", &folder))?.path();
            if Some(&path) != base_file.as_ref() {
                fs::remove_file(&path).map_err(OpenError::io("remove", &path))?;
            }
        }
        let mut states = States::default();
        let mut begins = None;
        if let Some(base) = base {
            let path = file_of(&folder, base.last);
            let mut bytes = Growing::default();
            let checked = read(&path, seed, &base, |chunk| {
                bytes.extend(chunk);
                Ok(())
            });
            checked.map_err(|error| OpenError::damaged(&path, error.to_string()))?;
            let state = MachineState { last: base.last, bytes: bytes.finish() };
            states.held.insert(base.last.index, state.clone());
            states.written.insert(base.last.index, base);
            states.base = base.last.index;
            states.release(in_memory);
            begins = Some(state);
        }
        Ok((Shelf { folder, seed, in_memory, states: Mutex::new(states) }, begins))
    }

    /// Starts the thread that writes what is sent to it, and reports to the writer of the log.
    pub(super) fn start(
        shelf: Arc<Shelf>,
        jobs: quorate_sync::Sender<Job>,
    ) -> io::Result<mpsc::Sender<MachineState>> {
        let (queue, states) = mpsc::channel::<MachineState>();
        let run = move || {
            // Before `jobs`, which it tells of a panic.
            let _alarm = Alarm(&jobs);
            for state in states {
                #[cfg(test)]
                assert_ne!(state.last.index, super::panics::PLANTED, "planted");
                let job = match write(&shelf.folder, shelf.seed, &state) {
                    Ok(manifest) => Job::Kept(manifest),
                    Err(error) => Job::Failed(StorageError::Disk {
                        what: format!("the state after entry {}", state.last.index),
                        reason: error.to_string(),
                    }),
                };
                if jobs.send(job).is_err() {
                    return;
                }
            }
        };
        thread::Builder::new().name("quorate-states".to_owned()).spawn(run)?;
        Ok(queue)
    }

    /// Holds a state that is to be written.
    pub(super) fn hold(&self, state: MachineState) {
        self.lock().held.insert(state.last.index, state);
    }

    /// A state is in its file, and the log says so.
    pub(super) fn written(&self, manifest: Manifest) {
        let mut states = self.lock();
        states.written.insert(manifest.last.index, manifest);
        states.release(self.in_memory);
    }

    /// The log begins with the state at `index`, or will: what came before is nobody's any more.
    pub(super) fn forget_before(&self, index: Index) {
        let mut states = self.lock();
        states.written = states.written.split_off(&index);
        states.held = states.held.split_off(&index);
        states.base = index;
    }

    /// The state after this very entry, if it is in memory.
    pub(super) fn look(&self, last: EntryId) -> Lookup<MachineState> {
        let states = self.lock();
        match states.held.get(&last.index).filter(|state| state.last == last) {
            Some(state) => Lookup::Here(state.clone()),
            None if states.file_of(last).is_some() => Lookup::Away,
            None => Lookup::Gone,
        }
    }

    /// The same from its file, which takes as long as that takes, unless it `is_over` before.
    pub(super) fn read(
        &self,
        last: EntryId,
        is_over: &dyn Fn() -> bool,
    ) -> Result<MachineState, io::Error> {
        let manifest = self.lock().file_of(last).copied();
        let manifest = manifest.ok_or_else(|| io::Error::other("it is not there"))?;
        let mut bytes = Growing::default();
        read(&file_of(&self.folder, last), self.seed, &manifest, |chunk| {
            bytes.extend(chunk);
            if is_over() { Err(io::Error::other("nobody wants it")) } else { Ok(()) }
        })?;
        let state = MachineState { last, bytes: bytes.finish() };
        let mut states = self.lock();
        if states.file_of(last).is_some() {
            states.held.insert(last.index, state.clone());
            states.release(self.in_memory);
        }
        Ok(state)
    }

    /// Removes the files of the states before `index`, which a durable write has made superfluous.
    /// To free a large file takes a while, so nobody waits for it. What a crash leaves, the next
    /// opening removes.
    pub(super) fn remove_before(&self, index: Index) {
        let folder = self.folder.clone();
        let remove = move || {
            let Ok(files) = fs::read_dir(&folder) else { return };
            for path in files.flatten().map(|file| file.path()) {
                if index_of(&path).is_some_and(|state| state < index) {
                    // It stays until the next opening, then.
                    let _ = fs::remove_file(&path);
                }
            }
        };
        // Where there is no thread to be had they stay as well.
        let _ = thread::Builder::new().name("quorate-removal".to_owned()).spawn(remove);
    }

    fn lock(&self) -> MutexGuard<'_, States> {
        // Nothing panics while it holds the lock.
        lock(&self.states)
    }
}

/// Tells the writer of the log where the thread of the states panics: nobody else would notice, and
/// whoever waits for a state would wait for ever.
struct Alarm<'a>(&'a quorate_sync::Sender<Job>);

impl Drop for Alarm<'_> {
    fn drop(&mut self) {
        if thread::panicking() {
            // Without the writer it is known already.
            let _ = self.0.send(Job::Failed(StorageError::WriterGone));
        }
    }
}

impl States {
    /// The state after this very entry, if it is in a file.
    fn file_of(&self, last: EntryId) -> Option<&Manifest> {
        self.written.get(&last.index).filter(|it| it.last == last)
    }

    /// Lets go of what is written, but for the newest and the one that peers are sent, where they fit:
    /// whoever needs that one gets it without a file being read.
    fn release(&mut self, in_memory: usize) {
        let (newest, base) = (self.held.keys().next_back().copied(), self.base);
        self.held.retain(|index, state| {
            let stays = Some(*index) == newest || *index == base;
            let fits = stays && state.bytes.len() <= in_memory;
            fits || self.written.get(index).is_none_or(|written| written.last != state.last)
        });
    }
}

/// The name sorts as the state does.
fn file_of(folder: &Path, last: EntryId) -> PathBuf {
    folder.join(format!("{:020}-{}", last.index.0, last.term.0))
}

fn index_of(path: &Path) -> Option<Index> {
    let (index, _) = path.file_name()?.to_str()?.split_once('-')?;
    index.parse().ok().map(Index)
}

/// Writes a state: durable, under its name, once this returns.
fn write(folder: &Path, seed: u64, state: &MachineState) -> io::Result<Manifest> {
    let path = file_of(folder, state.last);
    let unfinished = path.with_extension(UNFINISHED);
    let mut file = File::create(&unfinished)?;
    let mut whole = Xxh3::with_seed(seed);
    for (number, chunk) in state.bytes.pieces().enumerate() {
        let checksum = checksum(chunk, seed, number);
        whole.update(&checksum);
        file.write_all(chunk)?;
        file.write_all(&checksum)?;
        if number % CHUNKS_PER_SYNC == CHUNKS_PER_SYNC - 1 {
            file.sync_data()?;
        }
    }
    file.sync_all()?;
    fs::rename(&unfinished, &path)?;
    sync_folder_of(&path)?;
    let length = state.bytes.len() as u64;
    Ok(Manifest { last: state.last, length, checksum: whole.digest() })
}

/// Reads a state chunk by chunk, each after its checksum was found to fit.
fn read(
    path: &Path,
    seed: u64,
    manifest: &Manifest,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let damaged = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
    let mut file = BufReader::with_capacity(CHUNK, File::open(path)?);
    let mut whole = Xxh3::with_seed(seed);
    let (mut left, mut chunk) = (manifest.length, Vec::new());
    for number in 0.. {
        if left == 0 {
            break;
        }
        let length = left.min(CHUNK as u64);
        left -= length;
        chunk.clear();
        file.by_ref().take(length + 8).read_to_end(&mut chunk)?;
        let (bytes, found) =
            chunk.split_last_chunk::<8>().ok_or_else(|| damaged("it is too short"))?;
        if checksum(bytes, seed, number) != *found || bytes.len() as u64 != length {
            return Err(damaged(&format!("the checksum of its chunk {number} does not fit")));
        }
        whole.update(found);
        take(bytes)?;
    }
    if whole.digest() != manifest.checksum || file.read(&mut [0])? > 0 {
        return Err(damaged("it is not the state that the log begins with"));
    }
    Ok(())
}

fn checksum(chunk: &[u8], seed: u64, number: usize) -> [u8; 8] {
    xxh3_64_with_seed(chunk, seed.wrapping_add(number as u64)).to_le_bytes()
}
