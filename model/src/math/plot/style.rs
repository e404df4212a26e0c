//! What the figures have in common: colours, letters, axes, points.

use std::ops::Range;

use plotters::coord::combinators::{LogCoord, WithKeyPoints};
use plotters::coord::ranged1d::{AsRangedCoord, Ranged, ValueFormatter};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::PlotError;
use crate::math::estimate::Estimate;

pub(super) const PAPER: RGBColor = RGBColor(252, 252, 250);
pub(super) const INK: RGBColor = RGBColor(38, 42, 48);
pub(super) const FAINT: RGBColor = RGBColor(118, 124, 132);
pub(super) const GRID: RGBColor = RGBColor(228, 229, 228);
pub(super) const RED: RGBColor = RGBColor(192, 57, 43);

/// Three colours that people of any colour vision tell apart (Okabe and Ito), by the number of
/// servers or whatever else there are three of.
pub(super) const COLOURS: [RGBColor; 3] =
    [RGBColor(0, 114, 178), RGBColor(205, 92, 8), RGBColor(0, 138, 100)];

const FAMILY: &str = "sans-serif";

/// An axis whose marks are where they were put.
pub(super) type Log = WithKeyPoints<LogCoord<f64>>;

pub(super) type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;
pub(super) type Chart<'a, 'b, X> = ChartContext<'a, SVGBackend<'b>, Cartesian2d<X, Log>>;

/// Draws on a sheet of this size, and gives the drawing.
pub(super) fn sheet(
    size: (u32, u32),
    draw: impl FnOnce(&Area<'_>) -> Result<(), PlotError>,
) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, size).into_drawing_area();
        area.fill(&PAPER)?;
        draw(&area)?;
        area.present()?;
    }
    Ok(svg)
}

/// Letters of this size that stand to this side of their point, in the middle of its height.
pub(super) fn letters(size: u32, colour: RGBColor, side: HPos) -> TextStyle<'static> {
    (FAMILY, size).into_font().color(&colour).pos(Pos::new(side, VPos::Center))
}

pub(super) fn title(area: &Area<'_>, text: &str, below: &str) -> Result<(), PlotError> {
    let bold = (FAMILY, 19, FontStyle::Bold).into_font().color(&INK);
    area.draw(&Text::new(text.to_owned(), (24, 18), bold))?;
    let style = (FAMILY, 14).into_font().color(&FAINT);
    area.draw(&Text::new(below.to_owned(), (24, 43), style))
}

/// An axis: its name with the unit, what it spans, and its marks.
pub(super) struct Axis<'a> {
    pub(super) name: &'a str,
    pub(super) range: Range<f64>,
    pub(super) marks: &'a [f64],
    pub(super) mark: &'a dyn Fn(&f64) -> String,
}

/// Axes with a grid, the upright one logarithmic.
pub(super) fn axes<'a, 'b, C>(
    area: &'a Area<'b>,
    x: &Axis<'_>,
    range: C,
    y: &Axis<'_>,
) -> Result<Chart<'a, 'b, C::CoordDescType>, PlotError>
where
    C: AsRangedCoord<Value = f64>,
    C::CoordDescType: Ranged<ValueType = f64> + ValueFormatter<f64>,
{
    let upright = y.range.clone().log_scale().with_key_points(y.marks.to_vec());
    let mut chart = ChartBuilder::on(area)
        .margin(12)
        .margin_right(20)
        .x_label_area_size(52)
        .y_label_area_size(66)
        .build_cartesian_2d(range, upright)?;
    chart
        .configure_mesh()
        .light_line_style(TRANSPARENT)
        .bold_line_style(GRID)
        .axis_style(FAINT)
        .x_labels(x.marks.len())
        .y_labels(y.marks.len())
        .x_label_formatter(x.mark)
        .y_label_formatter(y.mark)
        .label_style((FAMILY, 14).into_font().color(&INK))
        .axis_desc_style((FAMILY, 15).into_font().color(&INK))
        .x_desc(x.name)
        .y_desc(y.name)
        .draw()?;
    Ok(chart)
}

/// A line through these points.
pub(super) fn line<X: Ranged<ValueType = f64>>(
    chart: &mut Chart<'_, '_, X>,
    points: impl Iterator<Item = (f64, f64)>,
    style: ShapeStyle,
) -> Result<(), PlotError> {
    chart.draw_series(LineSeries::new(points, style)).map(|_| ())
}

/// A broken line through these points.
pub(super) fn dashes<X: Ranged<ValueType = f64> + 'static>(
    chart: &mut Chart<'_, '_, X>,
    points: &[(f64, f64)],
    style: ShapeStyle,
) -> Result<(), PlotError> {
    chart.draw_series(DashedLineSeries::new(points.iter().copied(), 5, 4, style)).map(|_| ())
}

/// A measured point with its interval, filled or hollow; none where it is below `bottom`.
pub(super) fn point<X: Ranged<ValueType = f64>>(
    chart: &mut Chart<'_, '_, X>,
    x: f64,
    y: Estimate,
    (colour, filled, bottom): (RGBColor, bool, f64),
) -> Result<(), PlotError> {
    if y.value >= bottom {
        let ends = vec![(x, y.low.max(bottom)), (x, y.high)];
        chart.draw_series([PathElement::new(ends, colour.stroke_width(2))])?;
        let inside = if filled { colour } else { PAPER };
        chart.draw_series([Circle::new((x, y.value), 5, inside.filled())])?;
        chart.draw_series([Circle::new((x, y.value), 5, colour.stroke_width(2))])?;
    }
    Ok(())
}

/// A word beside a point of the chart.
pub(super) fn word<X: Ranged<ValueType = f64>>(
    chart: &mut Chart<'_, '_, X>,
    text: &str,
    at: (f64, f64),
    style: TextStyle<'static>,
) -> Result<(), PlotError> {
    chart.draw_series([Text::new(text.to_owned(), at, style)]).map(|_| ())
}

/// The rule of ten round trips: an upright line with its name.
pub(super) fn rule(
    chart: &mut Chart<'_, '_, Log>,
    at: f64,
    range: &Range<f64>,
    name: f64,
) -> Result<(), PlotError> {
    dashes(chart, &[(at, range.start), (at, range.end)], RED.stroke_width(2))?;
    word(chart, "10 × RTT", (at * 1.04, name), letters(15, RED, HPos::Left))
}
