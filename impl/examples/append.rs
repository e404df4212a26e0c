//! What a durable write costs: entries of 256 bytes in groups of 1, 16, 64 and 256, each group one
//! sync, beside the disk's own rate of `fdatasync`.
//!
//! ```text
//! cargo run --release -p quorate --example append -- [FOLDER] [--json]
//! ```
//!
//! And what it costs while a state of the machine of 256 MiB is written.
//!
//! It writes some hundred MiB into a new folder inside FOLDER (the present one, if none is named) and
//! removes it. Exit code 0; 1 where the disk refuses something.

use std::error::Error;
use std::fs::File;
use std::io::{Seek, SeekFrom, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use quorate::disk::DiskOptions;
use quorate::{Content, DiskStorage, MachineState, Progress, Record, Storage};
use quorate_spec::durable::{LogWrite, Write};
use quorate_spec::{Configuration, Entries, EntryId, Index, NodeId, Persist, Term, WriteId};
use tokio::sync::watch;

const LENGTH: usize = 256;
const GROUPS: [u64; 4] = [1, 16, 64, 256];

/// How long each line is measured at a time.
const SPAN: Duration = Duration::from_millis(200);

/// Every line is measured so often, all of them in turn, and the median is told: a disk that others
/// use is another disk a second later.
const ROUNDS: usize = 40;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let folder = arguments.iter().find(|argument| !argument.starts_with("--"));
    let folder = folder.map_or_else(|| PathBuf::from("."), PathBuf::from);
    let folder = tempfile::Builder::new().prefix("append-").tempdir_in(folder)?;

    let (mut plain, mut logs) = (Plain::create(folder.path())?, Vec::new());
    for group in GROUPS {
        logs.push(Log::open(&folder.path().join(group.to_string()))?);
    }
    let (mut syncs, mut lines) = (Vec::new(), GROUPS.map(|_| (Vec::new(), Vec::new())));
    eprintln!("about {} s", (SPAN * (ROUNDS * (1 + GROUPS.len())) as u32).as_secs());
    for _ in 0..ROUNDS {
        let sync = plain.rate()?;
        syncs.push(sync);
        for ((group, log), (rates, ratios)) in GROUPS.iter().zip(&mut logs).zip(&mut lines) {
            let rate = log.rate(*group).await?;
            rates.push(rate);
            ratios.push(rate / sync);
        }
    }
    let sync = median(syncs);
    let lines = GROUPS.iter().zip(lines);
    let lines = lines.map(|(group, (rates, ratios))| (*group, median(rates), median(ratios)));
    let beside = Beside::measured(&folder.path().join("state")).await?;
    if json {
        let lines = lines.map(|(group, rate, ratio)| {
            serde_json::json!({ "entries": group, "commits_per_second": rate, "of_fdatasync": ratio })
        });
        let lines: Vec<_> = lines.collect();
        let beside = serde_json::json!({
            "seconds": beside.took.as_secs_f64(),
            "commits": beside.commits,
            "longest_commit_seconds": beside.longest.as_secs_f64(),
            "owner_seconds": beside.owner.as_secs_f64(),
        });
        let all = serde_json::json!({
            "fdatasync_per_second": sync, "groups": lines, "beside_a_state_of_256_mib": beside
        });
        println!("{all}");
        return Ok(());
    }
    println!("fdatasync of {LENGTH} bytes, in place    {sync:>9.0}/s");
    println!("entries a group    commits/s     entries/s    of fdatasync");
    for (group, rate, ratio) in lines {
        let entries = rate * group as f64;
        println!("{group:>15} {rate:>12.0} {entries:>13.0} {ratio:>15.2}");
    }
    println!(
        "a state of 256 MiB took {:.1} s; {} writes of an entry meanwhile, the longest {:.0} ms; \
         the owner was held up {:.0} \u{b5}s at most",
        beside.took.as_secs_f64(),
        beside.commits,
        beside.longest.as_secs_f64() * 1e3,
        beside.owner.as_secs_f64() * 1e6,
    );
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}

/// A file that is written and synced without growing.
struct Plain {
    file: File,
    count: u64,
}

impl Plain {
    fn create(folder: &Path) -> std::io::Result<Plain> {
        let mut file = File::create(folder.join("plain"))?;
        file.write_all(&vec![0; 1 << 20])?;
        file.sync_all()?;
        Ok(Plain { file, count: 0 })
    }

    /// How often in a second.
    fn rate(&mut self) -> std::io::Result<f64> {
        let (begun, before) = (Instant::now(), self.count);
        while begun.elapsed() < SPAN {
            self.file.seek(SeekFrom::Start(self.count * LENGTH as u64 % (1 << 20)))?;
            self.file.write_all(&[self.count as u8; LENGTH])?;
            self.file.sync_data()?;
            self.count += 1;
        }
        Ok((self.count - before) as f64 / begun.elapsed().as_secs_f64())
    }
}

/// What writes cost while a large state is written.
struct Beside {
    took: Duration,
    commits: u64,
    longest: Duration,
    /// The longest that a call took, which the owner of a node would have waited for.
    owner: Duration,
}

impl Beside {
    async fn measured(path: &Path) -> Result<Beside, Box<dyn Error>> {
        let mut log = Log::open(path)?;
        log.append(1).await?;
        let last = EntryId { term: Term(0), index: Index(1) };
        let state = MachineState { last, bytes: vec![7; 256 << 20].into() };
        let begun = Instant::now();
        log.storage.keep(state);
        let (mut longest, mut owner, mut commits) = (Duration::ZERO, begun.elapsed(), 0);
        while log.progress.borrow().kept < last.index {
            let before = Instant::now();
            owner = owner.max(log.submit(1));
            log.written().await?;
            longest = longest.max(before.elapsed());
            commits += 1;
        }
        let took = begun.elapsed();
        log.storage.close().await;
        Ok(Beside { took, commits, longest, owner })
    }
}

/// A storage and the end of its log.
struct Log {
    storage: DiskStorage,
    progress: watch::Receiver<Progress>,
    id: WriteId,
    keep: Index,
    content: Content,
}

impl Log {
    fn open(path: &Path) -> Result<Log, Box<dyn Error>> {
        let options = DiskOptions::new(1, NodeId(1), Configuration::of([NodeId(1)]));
        let storage = DiskStorage::open(path, options)?;
        let content = Content::Command(Arc::from([7; LENGTH]));
        let progress = storage.progress();
        Ok(Log { storage, progress, id: WriteId::NONE, keep: Index::ZERO, content })
    }

    /// How many writes of `group` entries become durable in a second, one after the other.
    async fn rate(&mut self, group: u64) -> Result<f64, Box<dyn Error>> {
        let (begun, before) = (Instant::now(), self.id.0);
        while begun.elapsed() < SPAN {
            self.append(group).await?;
        }
        Ok((self.id.0 - before) as f64 / begun.elapsed().as_secs_f64())
    }

    async fn append(&mut self, count: u64) -> Result<(), Box<dyn Error>> {
        self.submit(count);
        self.written().await
    }

    /// Says how long the call took.
    fn submit(&mut self, count: u64) -> Duration {
        self.id = self.id.next();
        let (id, keep) = (self.id, self.keep);
        let entries = Entries::of_term(keep, Term(0), count);
        let record = |id: EntryId| Record { id, content: self.content.clone() };
        let records = entries.ids(keep).map(record).collect();
        self.keep = entries.last_index(keep);
        let log = Some(LogWrite { keep, entries });
        let before = Instant::now();
        self.storage.submit(Persist { id, write: Write { log, ..Write::default() } }, records);
        before.elapsed()
    }

    async fn written(&mut self) -> Result<(), Box<dyn Error>> {
        let id = self.id;
        let written = self.progress.wait_for(|it| it.persisted >= id || it.failed.is_some());
        match written.await?.failed.clone() {
            Some(failed) => Err(failed.into()),
            None => Ok(()),
        }
    }
}
