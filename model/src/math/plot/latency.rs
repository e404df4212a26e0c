//! Commit latency, against the number of slow followers.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::style::{
    Axis, COLOURS, FAINT, RED, axes, dashes, letters, line, point, sheet, title, word,
};
use super::{COMMITS, PlotError};
use crate::math::latency::{Fleet, Row};

const SERVERS: u64 = 5;
const MILLISECOND: f64 = 1e6;

/// A fleet for each number of slow followers: round trips of 10 ms, disks of 1 ms, ten times that
/// where it is slow.
pub(super) fn measure(seed: u64) -> Vec<Row> {
    let fleet = |slow| Fleet {
        servers: SERVERS,
        slow,
        factor: 10.0,
        round_trip: 10.0 * MILLISECOND,
        fsync: MILLISECOND,
    };
    (0..SERVERS).map(|slow| Row::of(fleet(slow), COMMITS, seed)).collect()
}

pub(super) fn draw(rows: &[Row]) -> Result<String, PlotError> {
    sheet((1_000, 520), |area| {
        title(
            area,
            "Commit latency of five servers: what a slow minority costs, and a slow majority",
            &format!(
                "bars: the formula; points: the transition functions, {COMMITS} commits each, with 95 % \
                 intervals; RTT 10 ms, disk 1 ms, slow ones ten times that"
            ),
        )?;
        let (_, below) = area.split_vertically(66);
        let slow: Vec<f64> = rows.iter().map(|row| row.fleet.slow as f64).collect();
        let x = Axis {
            name: "slow followers, of four",
            range: -0.4..4.5,
            marks: &slow,
            mark: &|slow| format!("{slow}"),
        };
        let y = Axis {
            name: "commit latency, in ms",
            range: 8.0..250.0,
            marks: &[10.0, 20.0, 50.0, 100.0, 200.0],
            mark: &|time| format!("{time}"),
        };
        let mut chart = axes(&below, &x, x.range.clone(), &y)?;
        let majority = [(2.5, y.range.start), (2.5, y.range.end)];
        dashes(&mut chart, &majority, RED.stroke_width(2))?;
        let (left, right) = ("a quorum is fast", "every quorum waits for a slow one");
        word(&mut chart, left, (2.46, 210.0), letters(15, FAINT, HPos::Right))?;
        word(&mut chart, right, (2.54, 210.0), letters(15, RED, HPos::Left))?;
        let [blue, orange, _] = COLOURS;
        let ms = |ticks: f64| ticks / MILLISECOND;
        for (row, slow) in rows.iter().zip(&slow) {
            let percentiles = [
                (blue, row.p50_by_formula, row.p50, 1.0 / 1.13),
                (orange, row.p99_by_formula, row.p99, 1.13),
            ];
            for (colour, formula, measured, beside) in percentiles {
                let bar = [slow - 0.22, slow + 0.22].map(|x| (x, ms(formula)));
                line(&mut chart, bar.into_iter(), colour.stroke_width(3))?;
                let measured = measured.times(1.0 / MILLISECOND);
                point(&mut chart, *slow, measured, (colour, true, y.range.start))?;
                let (text, at) = (format!("{:.1}", ms(formula)), (*slow, ms(formula) * beside));
                word(&mut chart, &text, at, letters(14, colour, HPos::Center))?;
            }
        }
        let end = |row: &Row| (ms(row.p50_by_formula), ms(row.p99_by_formula));
        let Some((low, high)) = rows.last().map(end) else { return Ok(()) };
        word(&mut chart, "p50", (4.25, low), letters(16, blue, HPos::Left))?;
        word(&mut chart, "p99", (4.25, high), letters(16, orange, HPos::Left))
    })
}
