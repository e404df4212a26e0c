use quorate_model::{guards::Guards, model::SliceModel, slices};
use stateright::Model;
use std::collections::HashSet;
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let s = slices::named(&name).unwrap();
    let m = SliceModel::new(s, Guards::sound());
    let mut states = m.init_states();
    let mut seen: HashSet<_> = states.iter().cloned().collect();
    let mut at = 0;
    while at < states.len() && states.len() < 150000 {
        for n in m.next_states(&states[at].clone()) {
            if seen.insert(n.clone()) {
                states.push(n);
            }
        }
        at += 1;
    }
    for k in [states.len() - 1, states.len() / 2, states.len() * 3 / 4] {
        println!("{:?}{:#?}", states[k], states[k].history);
    }
}
