//! What the machine says of itself: on Linux by its files, elsewhere nothing.

use std::fs::{self, File};
use std::io::{Seek, SeekFrom, Write};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::Failure;

/// How often 256 bytes of a file can be written and synced in a second, without growing it.
pub(crate) fn sync_rate(folder: &Path, span: Duration) -> Result<f64, Failure> {
    let mut file = File::create(folder.join("plain"))?;
    file.write_all(&vec![0; 1 << 20])?;
    file.sync_all()?;
    let (begun, mut count) = (Instant::now(), 0u64);
    while begun.elapsed() < span {
        file.seek(SeekFrom::Start(count * 256 % (1 << 20)))?;
        file.write_all(&[count as u8; 256])?;
        file.sync_data()?;
        count += 1;
    }
    Ok(count as f64 / begun.elapsed().as_secs_f64())
}

/// The time that processors have spent on this process, in steps of ten milliseconds.
pub(crate) fn processor_time() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let fields = after_name.split_whitespace().skip(11).take(2);
    let ticks: u64 = fields.filter_map(|it| it.parse::<u64>().ok()).sum();
    Duration::from_millis(ticks * 10)
}

/// The most memory that the process had, in bytes.
pub(crate) fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kibibytes = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kibibytes.unwrap_or(0) << 10
}

/// How many threads wanted to run in the last minute, this process's among them.
pub(crate) fn load() -> f64 {
    let load = fs::read_to_string("/proc/loadavg").unwrap_or_default();
    load.split_whitespace().next().and_then(|it| it.parse().ok()).unwrap_or(0.0)
}
