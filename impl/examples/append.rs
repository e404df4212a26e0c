//! What a durable write costs: entries of 256 bytes in groups of 1, 16, 64 and 256, each group one
//! sync, beside the disk's own rate of `fdatasync`.
//!
//! ```text
//! cargo run --release -p quorate --example append -- [FOLDER] [--json]
//! ```
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
use quorate::{Content, DiskStorage, Record, Storage};
use quorate_spec::durable::{LogWrite, Write};
use quorate_spec::{Configuration, Entries, EntryId, Index, NodeId, Persist, Term, WriteId};

const LENGTH: usize = 256;
const GROUPS: [u64; 4] = [1, 16, 64, 256];

/// How long each line is measured.
const SPAN: Duration = Duration::from_secs(3);

/// Every line is measured so often, the lines in turn; the median is told.
const ROUNDS: usize = 3;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let json = arguments.iter().any(|argument| argument == "--json");
    let folder = arguments.iter().find(|argument| !argument.starts_with("--"));
    let folder = folder.map_or_else(|| PathBuf::from("."), PathBuf::from);
    let folder = tempfile::Builder::new().prefix("append-").tempdir_in(folder)?;

    let (mut syncs, mut commits) = (Vec::new(), [const { Vec::new() }; GROUPS.len()]);
    for round in 1..=ROUNDS {
        eprintln!("round {round} of {ROUNDS}, {} s", SPAN.as_secs() * (1 + GROUPS.len() as u64));
        syncs.push(sync_rate(folder.path())?);
        for (group, rates) in GROUPS.iter().zip(&mut commits) {
            rates.push(commit_rate(&folder.path().join(format!("{group}-{round}")), *group).await?);
        }
    }
    let sync = median(syncs);
    let lines = GROUPS.iter().zip(commits).map(|(group, rates)| (*group, median(rates)));
    if json {
        let lines = lines.map(|(group, rate)| {
            serde_json::json!({ "entries": group, "commits_per_second": rate, "of_fdatasync": rate / sync })
        });
        let lines: Vec<_> = lines.collect();
        println!("{}", serde_json::json!({ "fdatasync_per_second": sync, "groups": lines }));
        return Ok(());
    }
    println!("fdatasync of {LENGTH} bytes, in place    {sync:>9.0}/s");
    println!("entries a group    commits/s     entries/s    of fdatasync");
    for (group, rate) in lines {
        let entries = rate * group as f64;
        println!("{group:>15} {rate:>12.0} {entries:>13.0} {:>15.2}", rate / sync);
    }
    Ok(())
}

fn median(mut rates: Vec<f64>) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates.get(rates.len() / 2).copied().unwrap_or(0.0)
}

/// How often a file can be written and synced in a second, without growing.
fn sync_rate(folder: &Path) -> Result<f64, Box<dyn Error>> {
    let mut file = File::create(folder.join("plain"))?;
    file.write_all(&vec![0; 1 << 20])?;
    file.sync_all()?;
    let (begun, mut count) = (Instant::now(), 0u64);
    while begun.elapsed() < SPAN {
        file.seek(SeekFrom::Start(count * LENGTH as u64 % (1 << 20)))?;
        file.write_all(&[count as u8; LENGTH])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// How many writes of `group` entries become durable in a second, one after the other.
async fn commit_rate(path: &Path, group: u64) -> Result<f64, Box<dyn Error>> {
    let options = DiskOptions::new(1, NodeId(1), Configuration::of([NodeId(1)]));
    let mut storage = DiskStorage::open(path, options)?;
    let mut progress = storage.progress();
    let content = Content::Command(Arc::from([7; LENGTH]));
    let (begun, mut id, mut keep) = (Instant::now(), WriteId::NONE, Index::ZERO);
    while begun.elapsed() < SPAN {
        id = id.next();
        let entries = Entries::of_term(keep, Term(0), group);
        let record = |id: EntryId| Record { id, content: content.clone() };
        let records = entries.ids(keep).map(record).collect();
        let last = entries.last_index(keep);
        let log = Some(LogWrite { keep, entries });
        keep = last;
        storage.submit(Persist { id, write: Write { log, ..Write::default() } }, records);
        let written = progress.wait_for(|it| it.persisted >= id || it.failed.is_some()).await?;
        if let Some(failed) = written.failed.clone() {
            return Err(failed.into());
        }
        drop(written);
    }
    let rate = id.0 as f64 / begun.elapsed().as_secs_f64();
    storage.close().await;
    Ok(rate)
}
