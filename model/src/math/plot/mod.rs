//! The figures of `docs/math.md`. They have a background of their own, so that they can be read on a
//! dark page too, and a seed determines them to the last byte.

mod jitter;
mod latency;
mod quorum;
mod style;

use std::io;

use plotters::prelude::DrawingAreaErrorKind;

/// A figure.
pub struct Figure {
    /// The name of its file.
    pub file: &'static str,
    /// What the file holds.
    pub svg: String,
}

/// Why a figure could not be drawn.
pub type PlotError = DrawingAreaErrorKind<io::Error>;

/// How many runs stand behind each point of the figures of election timeouts.
pub const ELECTIONS: usize = 1_000;

/// How many commits stand behind each point of the figure of commit latency.
pub const COMMITS: usize = 4_000;

/// Measures what they show, and draws all of them.
///
/// # Errors
/// Something could not be placed on the drawing.
pub fn figures(seed: u64) -> Result<Vec<Figure>, PlotError> {
    let elections = jitter::measure(seed);
    let commits = latency::measure(seed);
    let figure = |file, svg: Result<String, PlotError>| svg.map(|svg| Figure { file, svg });
    Ok(vec![
        figure("quorum.svg", quorum::draw())?,
        figure("split-votes.svg", jitter::draw_splits(&elections))?,
        figure("time-to-leader.svg", jitter::draw_times(&elections))?,
        figure("commit-latency.svg", latency::draw(&commits))?,
    ])
}
