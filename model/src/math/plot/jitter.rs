//! Split votes and the time to a new leader, against the window of election timeouts.

use std::ops::Range;

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::style::{
    Area, Axis, COLOURS, Chart, FAINT, Log, axes, dashes, letters, line, point, rule, sheet, title,
    word,
};
use super::{ELECTIONS, PlotError};
use crate::math::estimate::Estimate;
use crate::math::jitter::{RULE, Row, Setting, WINDOWS};

const SIZES: [u64; 3] = [3, 5, 7];
/// The windows at which the curves have their names: where they are apart, and no point is near.
const NAMED_AT: [f64; 3] = [36.0, 21.5, 6.6];
const SPAN: Range<f64> = 0.9..62.0;
const MARKS: [f64; 7] = [1.0, 2.0, 3.0, 5.0, 10.0, 20.0, 50.0];

/// All settings of the figures.
pub(super) fn measure(seed: u64) -> Vec<Row> {
    let settings = |servers| {
        let of = move |window| [true, false].map(|pre_vote| Setting { servers, pre_vote, window });
        WINDOWS.into_iter().flat_map(of)
    };
    SIZES.into_iter().flat_map(settings).map(|it| Row::of(it, ELECTIONS, seed)).collect()
}

/// The windows at which the curves of the formulas are drawn.
fn windows() -> impl Iterator<Item = f64> {
    let (from, to) = (WINDOWS[0].ln(), WINDOWS[WINDOWS.len() - 1].ln());
    (0..=32).map(move |i| (from + (to - from) * f64::from(i) / 32.0).exp())
}

fn across(name: &str) -> Axis<'_> {
    Axis { name, range: SPAN, marks: &MARKS, mark: &|window| format!("{window}") }
}

pub(super) fn draw_splits(rows: &[Row]) -> Result<String, PlotError> {
    sheet((1_000, 540), |area| {
        title(
            area,
            "How often the first vote splits after a leader dies",
            &format!(
                "lines: the formula; points: the transition functions, {ELECTIONS} runs each, with 95 % \
                 intervals; the same with pre-vote and without"
            ),
        )?;
        let (_, below) = area.split_vertically(66);
        let percent = |share: &f64| format!("{} %", (share * 1_000.0).round() / 10.0);
        let y = Axis {
            name: "probability of a split vote",
            range: 0.001..1.0,
            marks: &[0.001, 0.01, 0.1, 1.0],
            mark: &percent,
        };
        let x = across("window of election timeouts, in round trips (RTT)");
        let log = SPAN.log_scale().with_key_points(MARKS.to_vec());
        let mut chart = axes(&below, &x, log, &y)?;
        rule(&mut chart, RULE, &y.range, 0.7)?;
        for ((servers, colour), at) in SIZES.into_iter().zip(COLOURS).zip(NAMED_AT) {
            let of = |window| Setting { servers, pre_vote: true, window };
            let curve = windows().map(|window| (window, of(window).split_vote()));
            let seen = curve.filter(|(_, share)| *share >= y.range.start);
            line(&mut chart, seen, colour.stroke_width(2))?;
            let measured = rows.iter().filter(|row| row.setting == of(row.setting.window));
            for row in measured {
                let seen = (colour, true, y.range.start);
                point(&mut chart, row.setting.window, row.split, seen)?;
            }
            let (name, beside) =
                (format!("{servers} servers"), (at * 1.04, of(at).split_vote() * 1.18));
            word(&mut chart, &name, beside, letters(16, colour, HPos::Left))?;
        }
        Ok(())
    })
}

pub(super) fn draw_times(rows: &[Row]) -> Result<String, PlotError> {
    sheet((1_000, 540), |area| {
        title(
            area,
            "How long a cluster is without a leader",
            &format!(
                "points: the transition functions, {ELECTIONS} runs each, with 95 % intervals; filled with \
                 pre-vote, hollow without; election timeout 10 RTT"
            ),
        )?;
        let (_, below) = area.split_vertically(66);
        let (left, right) = below.split_horizontally(500);
        let mean = |row: &Row| row.mean;
        time_panel(&left, rows, "mean time to a new leader, in RTT", true, mean)?;
        time_panel(&right, rows, "99th percentile of it, in RTT", false, |row| row.p99)
    })
}

fn time_panel(
    area: &Area<'_>,
    rows: &[Row],
    name: &str,
    by_formula: bool,
    value: fn(&Row) -> Estimate,
) -> Result<(), PlotError> {
    let y = Axis {
        name,
        range: 9.0..250.0,
        marks: &[10.0, 20.0, 50.0, 100.0, 200.0],
        mark: &|time| format!("{time}"),
    };
    let x = across("window of election timeouts, in RTT");
    let log = SPAN.log_scale().with_key_points(MARKS.to_vec());
    let mut chart = axes(area, &x, log, &y)?;
    rule(&mut chart, RULE, &y.range, 210.0)?;
    for (i, (servers, colour)) in SIZES.into_iter().zip(COLOURS).enumerate() {
        let of = |pre_vote, window| Setting { servers, pre_vote, window };
        if by_formula {
            let curve = |pre_vote| windows().map(move |w| (w, of(pre_vote, w).expected_time()));
            line(&mut chart, curve(true), colour.stroke_width(2))?;
            let dotted: Vec<(f64, f64)> = curve(false).collect();
            dashes(&mut chart, &dotted, colour.stroke_width(1))?;
        } else {
            let chosen = rows.iter().filter(|row| row.setting == of(true, row.setting.window));
            let measured = chosen.map(|row| (row.setting.window, value(row).value));
            line(&mut chart, measured, colour.stroke_width(1))?;
        }
        points(&mut chart, rows, (servers, colour), y.range.start, value)?;
        let key = (23.0, 210.0 / 1.17_f64.powi(i as i32));
        word(&mut chart, &format!("{servers} servers"), key, letters(16, colour, HPos::Left))?;
    }
    if by_formula {
        let (text, at) = ("curves: approximate formula", (62.0, 9.8));
        word(&mut chart, text, at, letters(13, FAINT, HPos::Right))
    } else {
        word(&mut chart, "lines only guide the eye", (62.0, 9.8), letters(13, FAINT, HPos::Right))
    }
}

/// The measured points of clusters of one size.
fn points(
    chart: &mut Chart<'_, '_, Log>,
    rows: &[Row],
    (servers, colour): (u64, RGBColor),
    bottom: f64,
    value: fn(&Row) -> Estimate,
) -> Result<(), PlotError> {
    for row in rows.iter().filter(|row| row.setting.servers == servers) {
        let Setting { pre_vote, window, .. } = row.setting;
        // Side by side, so that neither hides the other.
        let x = if pre_vote { window / 1.015 } else { window * 1.015 };
        point(chart, x, value(row), (colour, pre_vote, bottom))?;
    }
    Ok(())
}
