//! Where and when something was measured.

use std::time::SystemTime;

/// Today's date in UTC, as in `2026-01-31`.
#[must_use]
pub fn today() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    now.chars().take_while(|c| *c != 'T').collect()
}

/// The processor and how many of its cores there are; where it does not say, its architecture.
#[must_use]
pub fn name() -> String {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let told = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = told.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    let model = model.map_or(std::env::consts::ARCH, |(_, model)| model.trim());
    let plural = if cores == 1 { "" } else { "s" };
    format!("{cores} core{plural} of {model}")
}
