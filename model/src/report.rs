//! The machine-readable report: what `--json` writes.

use quorate_spec::property::Claim;
use serde::Serialize;

use crate::check::{Checked, Killed};
use crate::links::run::Cell;
use crate::slice::Declared;

/// The whole report.
#[derive(Serialize, Default)]
pub struct Report {
    /// A row for each slice that was checked.
    pub slices: Vec<SliceRow>,
    /// A row for each pattern of cut links and combination of switches that was checked.
    pub links: Vec<LinkRow>,
    /// A row for each mutant that was searched for.
    pub mutants: Vec<MutantRow>,
}

/// A slice.
#[derive(Serialize)]
pub struct SliceRow {
    name: &'static str,
    verdict: String,
    declared: String,
    as_declared: bool,
    bounds: String,
    unique_states: u64,
    generated_states: u64,
    depth: Option<usize>,
    seconds: f64,
    bytes_per_state: Option<f64>,
    collision_estimate: f64,
    claims: Vec<ClaimRow>,
}

/// A claim in a slice.
#[derive(Serialize)]
pub struct ClaimRow {
    id: &'static str,
    verdict: String,
    steps: Option<usize>,
    shortest: Option<bool>,
}

/// A pattern of cut links under one combination of switches; what was not settled has no verdict.
#[derive(Serialize)]
pub struct LinkRow {
    pattern: &'static str,
    about: &'static str,
    pre_vote: bool,
    promise: bool,
    check_quorum: bool,
    live: Option<bool>,
    stable: Option<bool>,
    declared_live: bool,
    declared_stable: bool,
    as_declared: bool,
    unique_states: usize,
    stuck_after: Option<usize>,
    stem: Option<usize>,
    cycle: Option<usize>,
    seconds: f64,
}

/// A mutant.
#[derive(Serialize)]
pub struct MutantRow {
    name: &'static str,
    killed_by: Option<&'static str>,
    slice: Option<&'static str>,
    trace_length: Option<usize>,
    unique_states: usize,
    seconds: f64,
}

impl From<&Checked> for SliceRow {
    fn from(checked: &Checked) -> Self {
        let row = |claim: Claim| {
            let violation = checked.violation(claim);
            ClaimRow {
                id: claim.name(),
                verdict: checked.verdict_on(claim).word(),
                steps: violation.map(|violation| violation.steps),
                shortest: violation.map(|violation| violation.shortest),
            }
        };
        SliceRow {
            name: checked.slice.name,
            verdict: checked.verdict().to_string(),
            declared: declared(checked.slice.declared),
            as_declared: checked.complaint().is_none(),
            bounds: checked.slice.bounds(),
            unique_states: checked.unique,
            generated_states: checked.generated,
            depth: checked.depth,
            seconds: checked.seconds,
            bytes_per_state: checked.bytes_per_state,
            collision_estimate: checked.collision_estimate(),
            claims: checked.slice.claims.iter().map(row).collect(),
        }
    }
}

impl From<&Cell> for LinkRow {
    fn from(cell: &Cell) -> Self {
        let (shown, lasso) = (cell.shown(), cell.lasso.as_ref());
        LinkRow {
            pattern: cell.pattern.name,
            about: cell.pattern.about,
            pre_vote: cell.election.pre_vote,
            promise: cell.election.stickiness,
            check_quorum: cell.election.check_quorum,
            live: shown.map(|shown| shown.live),
            stable: shown.map(|shown| shown.stable),
            declared_live: cell.declared.live,
            declared_stable: cell.declared.stable,
            as_declared: cell.is_as_declared(),
            unique_states: cell.unique,
            stuck_after: cell.stuck.as_ref().map(|stuck| stuck.run.steps.len()),
            stem: lasso.map(|lasso| lasso.stem.steps.len()),
            cycle: lasso.map(|lasso| lasso.cycle.len()),
            seconds: cell.seconds,
        }
    }
}

impl From<&Killed> for MutantRow {
    fn from(killed: &Killed) -> Self {
        MutantRow {
            name: killed.mutation.name(),
            killed_by: killed.trace.as_ref().map(|_| killed.mutation.killer().name()),
            slice: killed.slice.map(|slice| slice.name),
            trace_length: killed.trace.as_ref().map(|trace| trace.steps.len()),
            unique_states: killed.unique,
            seconds: killed.seconds,
        }
    }
}

/// What a slice declares, as a verdict is written.
#[must_use]
pub fn declared(declared: Declared) -> String {
    match declared {
        Declared::Exhausted => "EXHAUSTED".to_owned(),
        Declared::Bounded(depth) => format!("BOUNDED({depth})"),
        Declared::Violated(claim) => format!("VIOLATED {claim}"),
    }
}
