//! The results of the slices with larger bounds, which take an hour: recorded when they were found,
//! with the hash of the specification that they were found on.

use std::fmt::Write;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::check::Checked;
use crate::ledger::times::gibibytes;
use crate::slice::Slice;
use crate::{machine, slices};

/// The hash of the specification that this program was built with: its code without comments.
pub const SPECIFICATION: &str = env!("QUORATE_SPEC_HASH");

/// The results, one for each slice.
#[derive(Clone, Serialize, Deserialize, Default, Debug, PartialEq)]
pub struct Record {
    /// In the order of the catalogue.
    pub results: Vec<Found>,
}

/// What a run of one slice found.
#[derive(Clone, Serialize, Deserialize, Debug, PartialEq)]
pub struct Found {
    /// The slice.
    pub slice: String,
    /// Its bounds at the time.
    pub bounds: String,
    /// What it showed.
    pub verdict: String,
    /// The claims of which it showed that.
    pub claims: Vec<String>,
    /// States, each once.
    pub unique: u64,
    /// States, each time.
    pub generated: u64,
    /// The expected number of pairs of states that were taken for one.
    pub collisions: f64,
    /// How long it took.
    pub seconds: f64,
    /// The memory that it needed at its peak.
    pub bytes: u64,
    /// The hash of the specification.
    pub specification: String,
    /// When.
    pub date: String,
    /// On which machine.
    pub machine: String,
}

impl Found {
    /// What this run found, on this machine, today.
    #[must_use]
    pub fn of(run: &Checked) -> Found {
        let bytes = run.bytes_per_state.unwrap_or(0.0) * run.unique as f64;
        Found {
            slice: run.slice.name.to_owned(),
            bounds: run.slice.bounds(),
            verdict: run.verdict().to_string(),
            claims: run.settled().iter().map(|claim| claim.name().to_owned()).collect(),
            unique: run.unique,
            generated: run.generated,
            collisions: run.collision_estimate(),
            seconds: run.seconds,
            bytes: bytes as u64,
            specification: SPECIFICATION.to_owned(),
            date: machine::today(),
            machine: machine::name(),
        }
    }

    /// Whether it was found on the present specification, within the slice's present bounds.
    #[must_use]
    pub fn is_of(&self, slice: &Slice) -> bool {
        self.slice == slice.name
            && self.bounds == slice.bounds()
            && self.specification == SPECIFICATION
    }
}

impl Record {
    /// Reads a record; none is an empty one.
    ///
    /// # Errors
    /// Why the file cannot be read, or is not a record.
    pub fn load(path: &Path) -> Result<Record, String> {
        match std::fs::read_to_string(path) {
            Ok(text) => serde_json::from_str(&text).map_err(|error| error.to_string()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Record::default()),
            Err(error) => Err(error.to_string()),
        }
    }

    /// Writes it, so that a run that is broken off loses no slice that was finished.
    ///
    /// # Errors
    /// Why the file cannot be written.
    pub fn save(&self, path: &Path) -> std::io::Result<()> {
        let text = serde_json::to_string_pretty(self).expect("a record has no maps");
        std::fs::write(path, text + "\n")
    }

    /// What is known of this slice.
    #[must_use]
    pub fn of(&self, slice: &str) -> Option<&Found> {
        self.results.iter().find(|found| found.slice == slice)
    }

    /// Takes a result in the place of an older one. Slices that the catalogue does not have any more
    /// are forgotten.
    pub fn take(&mut self, found: Found) {
        self.results.retain(|other| other.slice != found.slice);
        self.results.push(found);
        let names: Vec<&str> = slices::all().iter().map(|slice| slice.name).collect();
        let place = |found: &Found| names.iter().position(|name| *name == found.slice);
        self.results.retain(|found| place(found).is_some());
        self.results.sort_by_key(place);
    }
}

/// The slices with larger bounds, and what is known of each.
pub(super) fn table(text: &mut String, record: &Record) {
    let _ = writeln!(
        text,
        "\n## Larger bounds\n\nSlices that take minutes each, and are no part of a default run: \
         `cargo run --release -p quorate-model -- check --deep --record model/deep.json` runs those of \
         which `model/deep.json` has no result of the present specification and bounds, and writes it \
         after each. The hash is that of the specification's code; the present one is \
         `{SPECIFICATION}`.\n\n\
         | slice | about | bounds | verdict | unique states | collisions expected | seconds | GiB | found on |\n\
         |---|---|---|---|--:|--:|--:|--:|---|"
    );
    for slice in slices::all().iter().filter(|slice| slice.deep) {
        let bounds = slice.bounds();
        let Some(found) = record.of(slice.name) else {
            let _ = writeln!(
                text,
                "| `{}` | {} | {bounds} | not run | - | - | - | - | - |",
                slice.name, slice.about
            );
            continue;
        };
        let older = match (found.specification == SPECIFICATION, found.bounds == bounds) {
            (true, true) => "",
            (false, true) => ", an older specification",
            (_, false) => ", other bounds",
        };
        let _ = writeln!(
            text,
            "| `{}` | {} | {} | {} | {} | {:.0e} | {:.0} | {:.1} | {} `{}`{older} |",
            found.slice,
            slice.about,
            found.bounds,
            found.verdict,
            found.unique,
            found.collisions,
            found.seconds,
            gibibytes(found.bytes),
            found.date,
            found.specification,
        );
    }
    let mut machines: Vec<&str> = record.results.iter().map(|found| &*found.machine).collect();
    machines.sort_unstable();
    machines.dedup();
    if !machines.is_empty() {
        let _ = writeln!(text, "\nTimes are from {}.", machines.join(", and "));
    }
}
