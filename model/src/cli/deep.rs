//! `quorate-model check --deep --record FILE`: the slices with larger bounds, one after the other, each
//! kept when it is done.

use std::path::Path;

use quorate_model::check::Checked;
use quorate_model::ledger::deep::{Found, Record};
use quorate_model::slice::Slice;

use super::Usage;

/// A record that grows with each slice that comes out as declared.
pub(super) struct Recorder<'a> {
    path: &'a Path,
    record: Record,
}

impl<'a> Recorder<'a> {
    /// Reads what is recorded already.
    pub(super) fn open(path: &'a Path) -> Result<Recorder<'a>, Usage> {
        let record = Record::load(path).map_err(|error| {
            Usage(format!("cannot read {}: {error}; choose another --record file", path.display()))
        })?;
        Ok(Recorder { path, record })
    }

    /// The deep ones of these slices of which there is no result yet; says how many others there are.
    pub(super) fn missing(&self, slices: &[Slice]) -> Vec<Slice> {
        let known = |slice: &Slice| self.record.results.iter().any(|found| found.is_of(slice));
        let deep: Vec<&Slice> = slices.iter().filter(|slice| slice.deep).collect();
        let missing: Vec<Slice> = deep.iter().filter(|slice| !known(slice)).map(|s| **s).collect();
        let path = self.path.display();
        say!("{} of {} slices are in {path} already", deep.len() - missing.len(), deep.len());
        missing
    }

    /// Keeps a result. What is not as declared is shown, and not kept.
    pub(super) fn take(&mut self, run: &Checked) {
        if run.complaint().is_some() {
            return;
        }
        self.record.take(Found::of(run));
        if let Err(error) = self.record.save(self.path) {
            eprintln!("quorate-model: cannot write {}: {error}", self.path.display());
        }
    }
}
