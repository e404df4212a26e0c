use quorate_model::*;
use quorate_spec::property::ClaimSet;
use stateright::Model;
fn main() {
    let m = *mutation::Mutation::ALL.iter().find(|m| m.name() == std::env::args().nth(1).unwrap()).unwrap();
    let slice = slices::named(m.slices()[0]).unwrap();
    let model = model::SliceModel::new(slice, guards::Guards::broken(m));
    let f = search::breadth_first(&model, ClaimSet::of(&[m.killer()]), 4000000, usize::MAX);
    println!("{} {} {:?}", f.unique, f.cut_short, f.false_claims);
    let path = f.path.unwrap();
    let mut at = model.init_states()[0].clone();
    for p in path.iter().skip(1) {
        match model.plain_steps(&at).into_iter().find(|(_, s)| model.stored(s.clone()) == *p) {
            Some((a, s)) => { println!("{a}"); at = s; }
            None => { println!("STUCK\nat\n{:?}\nwanted\n{:?}\n", at, p);
              println!("stored(at)\n{:?}", model.stored(at.clone()));
              for (a, s) in model.plain_steps(&at) { println!("{a}: {:?}", model.stored(s)); }
              return; }
        }
    }
}
