//! Times as people type and read them; here a tick is a nanosecond.

use quorate_spec::Duration;

/// The longest time that is taken.
const LONGEST: std::time::Duration = std::time::Duration::from_secs(10);

/// A unit of time: its name and its length in ticks.
#[derive(Clone, Copy)]
pub(super) struct Unit {
    pub(super) name: &'static str,
    ticks: f64,
}

const UNITS: [Unit; 4] = [
    Unit { name: "ns", ticks: 1.0 },
    Unit { name: "us", ticks: 1e3 },
    Unit { name: "ms", ticks: 1e6 },
    Unit { name: "s", ticks: 1e9 },
];

impl Unit {
    /// The largest unit of which this time has one.
    pub(super) fn of(time: Duration) -> Unit {
        let fits = |unit: &&Unit| time.0 as f64 >= unit.ticks;
        *UNITS.iter().rev().find(fits).unwrap_or(&UNITS[0])
    }

    /// So many ticks, as a number of this unit.
    pub(super) fn count(self, ticks: f64) -> f64 {
        ticks / self.ticks
    }
}

/// A time with its unit, as `2ms`.
pub(super) fn time(text: &str) -> Result<Duration, String> {
    let time = humantime::parse_duration(text).ok().filter(|time| *time <= LONGEST);
    let ticks = time.and_then(|time| time.as_nanos().try_into().ok());
    ticks.map(Duration).ok_or_else(|| "give a time with its unit, as 2ms, up to 10s".to_owned())
}

/// A time as it is typed.
pub(super) fn shown(time: Duration) -> String {
    humantime::format_duration(std::time::Duration::from_nanos(time.0)).to_string()
}
