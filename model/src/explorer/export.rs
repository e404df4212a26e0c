//! A way through the Explorer as one JSON document: what the page shows, step by step. The page's own
//! download has the same shape.

use serde_json::{Value, json};
use stateright::Model;

use super::explored::{Choice, Explored, step};
use super::link;
use super::walk::Walk;

/// The document of the way through these actions; none where one of them is not possible.
#[must_use]
pub fn export<W: Walk>(walk: W, actions: &[W::Action]) -> Option<Value> {
    let header = walk.header();
    let hash = link::hash(&walk, &header, actions)?;
    let model = Explored::new(walk);
    let mut shown = model.init_states().pop()?;
    let mut path = vec![json!({ "step": null, "state": shown.view() })];
    for action in actions {
        let next = model.next_state(&shown, Choice::Step(action.clone()))?;
        path.push(json!({ "step": step(&shown, &next)?, "state": next.view() }));
        shown = next;
    }
    Some(json!({ "served": header, "link": hash, "path": path }))
}
