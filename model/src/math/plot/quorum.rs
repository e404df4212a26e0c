//! The 62 ways to split six servers, and the 20 that are dangerous where three are a quorum.

use plotters::prelude::*;
use plotters::style::text_anchor::HPos;

use super::PlotError;
use super::style::{Area, COLOURS, FAINT, INK, RED, letters, sheet, title};
use crate::math::quorum::{Side, Splits, splits};

const SERVERS: u64 = 6;
const QUORUM: u64 = 3;

/// The size of the drawing, and of what stands for one split in it.
const SIZE: (u32, u32) = (1_000, 420);
const CELL: i32 = 40;
const ROW: i32 = 58;
const TOP: i32 = 112;

pub(super) fn draw() -> Result<String, PlotError> {
    sheet(SIZE, |area| {
        let Splits { splits: all, dangerous, .. } = Splits::of(SERVERS, QUORUM);
        title(
            area,
            &format!(
                "Six servers with a quorum of three: {dangerous} of {all} splits can give both sides a leader"
            ),
            "a ring is a split, a dot a server, a colour a side of the network; with a quorum of four no split is dangerous",
        )?;
        let bad = Splits::ways(SERVERS, QUORUM);
        for size in 1..SERVERS {
            let of_size = |(side, _): &(Side, Side)| u64::from(side.count_ones()) == size;
            let row: Vec<(Side, Side)> = splits(SERVERS).filter(of_size).collect();
            let y = TOP + ROW * (size as i32 - 1);
            let left = SIZE.0 as i32 / 2 - CELL * row.len() as i32 / 2;
            let dangerous = row.iter().any(|split| bad.contains(split));
            if dangerous {
                let corners = [(left - 6, y - 26), (left + CELL * row.len() as i32 + 6, y + 26)];
                area.draw(&Rectangle::new(corners, RGBColor(250, 226, 222).filled()))?;
                area.draw(&Rectangle::new(corners, RED.stroke_width(2)))?;
            }
            for (i, (side, _)) in row.iter().enumerate() {
                ring(area, (left + CELL * i as i32 + CELL / 2, y), *side)?;
            }
            let colour = if dangerous { RED } else { INK };
            let sizes = format!("{size} | {}", SERVERS - size);
            area.draw(&Text::new(sizes, (24, y), letters(16, colour, HPos::Left)))?;
            let ways = format!("{} ways", row.len());
            area.draw(&Text::new(ways, (976, y), letters(16, colour, HPos::Right)))?;
        }
        let note = "each server lands on either side like a tossed coin; a split with an empty side is none";
        area.draw(&Text::new(note, (24, SIZE.1 as i32 - 22), letters(14, FAINT, HPos::Left)))
    })
}

/// A split: the servers on a ring, in the colours of their sides.
fn ring(area: &Area<'_>, (x, y): (i32, i32), side: Side) -> Result<(), PlotError> {
    for id in 0..SERVERS {
        let turn = std::f64::consts::TAU * id as f64 / SERVERS as f64;
        let place = |of: f64| (13.0 * of).round() as i32;
        let at = (x + place(turn.sin()), y - place(turn.cos()));
        let colour = if side & (1 << id) == 0 { COLOURS[0] } else { COLOURS[1] };
        area.draw(&Circle::new(at, 5, colour.filled()))?;
    }
    Ok(())
}
