//! Times as people type and read them; here a tick is a nanosecond.

use quorate_spec::Duration;

/// The longest time that is taken.
const LONGEST: f64 = 10e9;

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
    let number = text.trim_end_matches(char::is_alphabetic);
    let unit = UNITS.iter().find(|unit| unit.name == &text[number.len()..]);
    let count: Option<f64> = number.trim().parse().ok();
    let ticks = count.zip(unit).map(|(count, unit)| count * unit.ticks);
    let ticks = ticks.filter(|ticks| (0.0..=LONGEST).contains(ticks));
    ticks.map(|ticks| Duration(ticks.round() as u64)).ok_or_else(|| {
        "give a number and a unit, as 2ms: ns, us, ms or s, and not more than 10s".to_owned()
    })
}

/// A time in the largest unit of which it has one, as briefly as it can be said.
pub(super) fn shown(time: Duration) -> String {
    let unit = Unit::of(time);
    format!("{} {}", unit.count(time.0 as f64), unit.name)
}
