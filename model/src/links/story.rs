//! Why a cell of the table is not live, or not stable, in sentences.

use std::fmt::Write;

use quorate_spec::property::Claim;

use super::run::Cell;
use super::walk::{Run, Way};
use crate::guards::Guards;
use crate::model::SliceModel;
use crate::narrate::step;
use crate::render::table;
use crate::state::State;

/// The way to where the cell is stuck, and the cycle on which leaders are deposed, as far as it has
/// them; under the guards that it was checked with.
#[must_use]
pub fn stories(cell: &Cell, guards: Guards) -> Vec<String> {
    let model = SliceModel::new(cell.pattern.slice(cell.election), guards);
    let mut stories = Vec::new();
    if let Some(stuck) = &cell.stuck {
        let mut text = beginning(&model, &stuck.run);
        ending(&mut text, stuck.run.last(), stuck.claim);
        stories.push(text);
    }
    if let Some(lasso) = &cell.lasso {
        let mut text = beginning(&model, &lasso.stem);
        text.push_str("   and then for ever:\n");
        let number = lasso.stem.steps.len();
        sentences(&mut text, &model, lasso.stem.last(), &lasso.cycle, number);
        let last = lasso.cycle.last().map_or(lasso.stem.last(), |(_, state)| state);
        ending(&mut text, last, Claim::StableLeader);
        stories.push(text);
    }
    stories
}

fn beginning(model: &SliceModel, run: &Run) -> String {
    let mut text = String::new();
    for event in &run.history {
        // Writing into a String does not fail.
        let _ = writeln!(text, "   before: {event}");
    }
    let _ = writeln!(text, "   then the links are cut: {}", model.slice.about);
    sentences(&mut text, model, &run.initial, &run.steps, 0);
    text
}

fn sentences(text: &mut String, model: &SliceModel, from: &State, way: &Way, before: usize) {
    let mut at = from;
    for (i, (action, after)) in way.iter().enumerate() {
        let number = before + i + 1;
        let _ = writeln!(text, "{number:>4}. {}", step(model, at, *action, after));
        at = after;
    }
}

fn ending(text: &mut String, state: &State, claim: Claim) {
    let _ = writeln!(text, "\n{}", table(state));
    let _ = write!(text, "   {claim} is false: {}", claim.entry().sentence);
}
