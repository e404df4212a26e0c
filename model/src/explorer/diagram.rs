//! The space-time diagram of a path: a line a server, time downwards, a row a step.
//!
//! Each event has a line of its own, so that no two labels share one; a column is as wide as the
//! longest label of an arrow needs, and the drawing has room for the longest one in the last.

use std::fmt::Write;

use quorate_spec::Envelope;

use super::story::{Event, label};
use crate::intern::Interned;

/// The height of a line.
const LINE: usize = 22;
/// The space above and below the lines of a row.
const PADDING: usize = 8;
/// Where the rows begin.
const TOP: usize = 40;
/// Where the first server's line is.
const LEFT: usize = 64;
/// An upper bound of a letter's width, in the monospaced font of 12 px that the page sets.
const LETTER: usize = 8;
/// How far below the head of a slanted arrow its label stands.
const BELOW: usize = 12;
/// How far a message that never arrives is drawn.
const STUB: usize = 34;

/// An event with its place.
struct Placed<'a> {
    row: usize,
    y: usize,
    event: &'a Event,
    /// Where a message that arrives here left: row and height.
    origin: Option<(usize, usize)>,
    /// Whether a message that leaves here arrives in a later row.
    arrives: bool,
}

struct Layout {
    column: usize,
    width: usize,
    height: usize,
}

/// The drawing of these steps, each a list of events, among so many servers.
#[must_use]
pub fn svg(servers: usize, steps: &[Vec<Event>]) -> String {
    let (placed, rows) = place(steps);
    let layout = layout(servers, &placed, &rows);
    let mut svg = String::new();
    // Writing into a String does not fail, here and below.
    let (width, height) = (layout.width, layout.height);
    let _ = write!(
        svg,
        "<svg class=\"diagram\" xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" \
         height=\"{height}\" viewBox=\"0 0 {width} {height}\" role=\"img\" \
         aria-label=\"Space-time diagram of the path\">"
    );
    for (i, (top, bottom)) in rows.iter().enumerate() {
        let (step, high, middle) = (i + 1, bottom - top, (top + bottom) / 2 + 4);
        let _ = write!(
            svg,
            "<g class=\"row\" data-step=\"{step}\"><rect x=\"0\" y=\"{top}\" width=\"{width}\" \
             height=\"{high}\"/><text class=\"number\" x=\"12\" y=\"{middle}\">{step}</text></g>"
        );
    }
    for server in 0..servers {
        let x = x_of(&layout, server as u64);
        let _ = write!(
            svg,
            "<text class=\"server\" x=\"{x}\" y=\"20\">n{server}</text><line class=\"life\" \
             x1=\"{x}\" y1=\"28\" x2=\"{x}\" y2=\"{height}\"/>"
        );
    }
    // Lines first: every label is drawn over them.
    for place in &placed {
        lines(&mut svg, &layout, place);
    }
    for place in &placed {
        labels(&mut svg, &layout, place);
    }
    svg.push_str("</svg>");
    svg
}

/// Gives each event its height, and each message that arrives its origin.
fn place(steps: &[Vec<Event>]) -> (Vec<Placed<'_>>, Vec<(usize, usize)>) {
    let mut placed: Vec<Placed> = Vec::new();
    let (mut y, mut rows) = (TOP, Vec::new());
    for (row, events) in steps.iter().enumerate() {
        let top = y;
        y += PADDING / 2;
        for event in events {
            let origin = match event {
                Event::Arrives(envelope) => origin(&mut placed, envelope),
                _ => None,
            };
            placed.push(Placed { row, y: y + LINE / 2, event, origin, arrives: false });
            // The label of an arrow that comes from above stands below its head.
            y += if matches!(event, Event::Arrives(_)) { LINE + BELOW } else { LINE };
        }
        y = y.max(top + LINE) + PADDING / 2;
        rows.push((top, y));
    }
    (placed, rows)
}

/// Where the message left. A reduction may have changed it on its way: then it is the last one of
/// its kind between the two.
fn origin(placed: &mut [Placed], arrived: &Interned<Envelope>) -> Option<(usize, usize)> {
    let kind = arrived.message.body.kind();
    let alike = |event: &Event, exactly: bool| match event {
        Event::Leaves(sent) if exactly => sent == arrived,
        Event::Leaves(sent) => {
            (sent.from, sent.to) == (arrived.from, arrived.to) && sent.message.body.kind() == kind
        }
        _ => false,
    };
    let exact = placed.iter().rposition(|place| alike(place.event, true));
    let at = exact.or_else(|| placed.iter().rposition(|place| alike(place.event, false)))?;
    placed[at].arrives = true;
    Some((placed[at].row, placed[at].y))
}

fn layout(servers: usize, placed: &[Placed], rows: &[(usize, usize)]) -> Layout {
    let letters = |place: &Placed| text_of(place.event).chars().count();
    let longest = placed.iter().map(letters).max().unwrap_or(0);
    let crosses = |place: &&Placed| matches!(place.event, Event::Arrives(_) | Event::Passes(_));
    let between = placed.iter().filter(crosses).map(letters).max().unwrap_or(0);
    let text = longest.max(8) * LETTER;
    let column = (between * LETTER + 36).clamp(130, 260);
    let width = LEFT + column * servers.saturating_sub(1) + STUB + text + 24;
    Layout { column, width, height: rows.last().map_or(TOP, |(_, bottom)| *bottom) + 12 }
}

fn x_of(layout: &Layout, server: u64) -> usize {
    LEFT + layout.column * server as usize
}

/// What is written beside an event.
fn text_of(event: &Event) -> String {
    match event {
        Event::At(_, text) | Event::Everywhere(text) => text.clone(),
        Event::Arrives(envelope) | Event::Passes(envelope) => label(envelope),
        Event::Leaves(envelope) => format!("{} → n{}", label(envelope), envelope.to),
        Event::IsLost(envelope) => format!("{} → n{}, lost", label(envelope), envelope.to),
    }
}

/// The ends of a message's arrow.
fn ends(layout: &Layout, place: &Placed, envelope: &Envelope) -> (usize, usize, usize, usize) {
    let (from, to) = (x_of(layout, envelope.from.0), x_of(layout, envelope.to.0));
    let stub = if to > from { from + STUB } else { from - STUB };
    match place.event {
        Event::Arrives(_) => {
            // Its beginning is not among these steps: it comes from just above.
            let begins = place.origin.map_or(place.y - LINE / 2, |(_, y)| y);
            (from, begins, to, place.y)
        }
        Event::Leaves(_) | Event::IsLost(_) => (from, place.y, stub, place.y),
        Event::At(..) | Event::Everywhere(_) | Event::Passes(_) => (from, place.y, to, place.y),
    }
}

fn lines(svg: &mut String, layout: &Layout, place: &Placed) {
    let (envelope, class) = match place.event {
        Event::At(id, _) => {
            let (x, y, step) = (x_of(layout, id.0), place.y, place.row + 1);
            let _ = write!(
                svg,
                "<circle class=\"at\" data-step=\"{step}\" cx=\"{x}\" cy=\"{y}\" r=\"4\"/>"
            );
            return;
        }
        Event::Everywhere(_) => return,
        Event::Arrives(envelope) => (envelope, "arrow"),
        Event::Passes(envelope) => (envelope, "arrow"),
        Event::Leaves(envelope) if place.arrives => {
            let (x, y, step) = (x_of(layout, envelope.from.0), place.y, place.row + 1);
            let _ = write!(
                svg,
                "<circle class=\"leaves\" data-step=\"{step}\" cx=\"{x}\" cy=\"{y}\" r=\"3\"/>"
            );
            return;
        }
        Event::Leaves(envelope) => (envelope, "arrow waits"),
        Event::IsLost(envelope) => (envelope, "arrow lost"),
    };
    arrow(svg, class, place.row + 1, ends(layout, place, envelope), place.event);
}

fn arrow(
    svg: &mut String,
    class: &str,
    step: usize,
    (x1, y1, x2, y2): (usize, usize, usize, usize),
    event: &Event,
) {
    let _ = write!(
        svg,
        "<line class=\"{class}\" data-step=\"{step}\" x1=\"{x1}\" y1=\"{y1}\" x2=\"{x2}\" \
         y2=\"{y2}\"/>"
    );
    let [x1, y1, x2, y2] = [x1, y1, x2, y2].map(|n| n as f64);
    let length = (x2 - x1).hypot(y2 - y1).max(1.0);
    let (dx, dy) = ((x2 - x1) / length, (y2 - y1) / length);
    let shape = if matches!(event, Event::IsLost(_)) {
        format!("M{} {} l8 8 m0 -8 l-8 8", x2 - 4.0, y2 - 4.0)
    } else {
        let (bx, by) = (x2 - 10.0 * dx, y2 - 10.0 * dy);
        let (px, py) = (-4.0 * dy, 4.0 * dx);
        format!("M{x2:.1} {y2:.1} L{:.1} {:.1} L{:.1} {:.1} Z", bx + px, by + py, bx - px, by - py)
    };
    let _ = write!(svg, "<path class=\"{class} head\" data-step=\"{step}\" d=\"{shape}\"/>");
}

fn labels(svg: &mut String, layout: &Layout, place: &Placed) {
    let text = text_of(place.event);
    let y = match place.event {
        Event::Arrives(_) => place.y + 4 + BELOW,
        Event::Passes(_) => place.y - 4,
        Event::At(..) | Event::Everywhere(_) | Event::Leaves(_) | Event::IsLost(_) => place.y + 4,
    };
    let (x, anchor, class) = match place.event {
        Event::At(id, _) => (x_of(layout, id.0) + 10, "start", "label note"),
        Event::Everywhere(_) => (LEFT + 10, "start", "label note"),
        Event::Leaves(_) if place.arrives => return,
        Event::Leaves(envelope) | Event::IsLost(envelope) => {
            let from = x_of(layout, envelope.from.0);
            let right = envelope.to > envelope.from;
            // On the left there may be no room: such a label stands to the right of the line.
            (if right { from + STUB + 8 } else { from + 10 }, "start", "label")
        }
        Event::Arrives(envelope) | Event::Passes(envelope) => {
            // Beside the head, on the side where the message comes from.
            let to = x_of(layout, envelope.to.0);
            if envelope.from < envelope.to {
                (to - 14, "end", "label")
            } else {
                (to + 14, "start", "label")
            }
        }
    };
    let step = place.row + 1;
    let _ = write!(
        svg,
        "<text class=\"{class}\" data-step=\"{step}\" x=\"{x}\" y=\"{y}\" \
         text-anchor=\"{anchor}\">{}</text>",
        escaped(&text)
    );
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}
