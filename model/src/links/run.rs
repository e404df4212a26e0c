//! Runs the catalogue: for each pattern and combination of switches, whether it is live and stable.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Instant;

use super::graph::Graph;
use super::lasso::{self, Lasso};
use super::live::{self, Stuck};
use super::pattern::{COMBINATIONS, Declared, Pattern};
use super::quotient::Quotient;
use super::walk::Walker;
use crate::guards::Guards;
use crate::model::SliceModel;
use crate::slice::Election;

/// How many states a graph may have: beyond that a cell is INCOMPLETE.
pub const LIMIT: usize = 1_000_000;

/// A pattern under one combination of switches.
pub struct Cell {
    /// The pattern.
    pub pattern: &'static Pattern,
    /// The switches.
    pub election: Election,
    /// What is declared.
    pub declared: Declared,
    /// Where it is stuck, if it is not live.
    pub stuck: Option<Box<Stuck>>,
    /// The cycle on which leaders are deposed, if it is not stable.
    pub lasso: Option<Box<Lasso>>,
    /// Whether the graph was explored to its end and no cycle is left unexplained.
    pub whole: bool,
    /// The states of the graph.
    pub unique: usize,
    /// The states in which the links are cut.
    pub initial: usize,
    /// How long it took.
    pub seconds: f64,
}

impl Cell {
    /// What the run showed, where it came to its end.
    #[must_use]
    pub fn shown(&self) -> Option<Declared> {
        let shown = Declared { live: self.stuck.is_none(), stable: self.lasso.is_none() };
        self.whole.then_some(shown)
    }

    /// Whether that is what is declared.
    #[must_use]
    pub fn is_as_declared(&self) -> bool {
        self.shown() == Some(self.declared)
    }
}

/// Checks one pattern under one of the [`COMBINATIONS`] of switches.
///
/// # Panics
/// If there is no such combination.
#[must_use]
pub fn check(pattern: &'static Pattern, combination: usize, guards: Guards) -> Cell {
    let start = Instant::now();
    let (election, declared) = (COMBINATIONS[combination], pattern.declared[combination]);
    let model = SliceModel::new(pattern.slice(election), guards);
    let quotient = Quotient::new(pattern.servers, model.cuts());
    let initial = pattern.histories.states(&model, &quotient, pattern.led_by);
    let number = initial.len();
    let graph = Graph::explore(&model, &quotient, initial, LIMIT);
    let walker = Walker { model: &model, quotient: &quotient, graph: &graph };
    let (cycle, way) = (lasso::find(&walker), live::find(&walker));
    let settled =
        !matches!(cycle, lasso::Found::Unconfirmed) && !matches!(way, live::Found::Unclear);
    Cell {
        pattern,
        election,
        declared,
        stuck: if let live::Found::Stuck(stuck) = way { Some(stuck) } else { None },
        lasso: if let lasso::Found::Lasso(lasso) = cycle { Some(lasso) } else { None },
        whole: graph.whole && settled,
        unique: graph.states.len(),
        initial: number,
        seconds: start.elapsed().as_secs_f64(),
    }
}

/// Checks these patterns under every combination of switches, in this order.
///
/// # Panics
/// If the check of a cell panics: then the model is wrong, and no verdict is due.
#[must_use]
pub fn check_all(
    patterns: &[&'static Pattern],
    threads: usize,
    told: &(dyn Fn(usize, usize) + Sync),
) -> Vec<Cell> {
    let combinations = |pattern| (0..COMBINATIONS.len()).map(move |at| (pattern, at));
    let cells: Vec<(&'static Pattern, usize)> =
        patterns.iter().copied().flat_map(combinations).collect();
    let next = AtomicUsize::new(0);
    let work = || {
        let mut done = Vec::new();
        loop {
            let at = next.fetch_add(1, Ordering::Relaxed);
            let Some((pattern, combination)) = cells.get(at) else { break };
            told(at + 1, cells.len());
            done.push((at, check(pattern, *combination, Guards::sound())));
        }
        done
    };
    let mut checked: Vec<(usize, Cell)> = std::thread::scope(|scope| {
        let workers: Vec<_> = (0..threads.max(1)).map(|_| scope.spawn(work)).collect();
        let join = |worker: std::thread::ScopedJoinHandle<'_, Vec<(usize, Cell)>>| {
            worker.join().expect("a panic of the model is a defect of it, not a verdict")
        };
        workers.into_iter().flat_map(join).collect()
    });
    checked.sort_by_key(|(at, _)| *at);
    checked.into_iter().map(|(_, cell)| cell).collect()
}
