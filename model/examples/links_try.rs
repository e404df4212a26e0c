use quorate_model::guards::Guards;
use quorate_model::links::pattern::{COMBINATIONS, PATTERNS};
use quorate_model::links::run::check;
use quorate_model::mutation::Mutation;
fn main() {
    let args: Vec<String> = std::env::args().collect();
    let name = args.get(1).cloned().unwrap_or_default();
    let mutant = args.get(2).and_then(|m| Mutation::ALL.iter().find(|x| x.name() == m).copied());
    for pattern in PATTERNS.iter().filter(|p| name == "all" || name.split(',').any(|n| n == p.name))
    {
        for election in COMBINATIONS {
            let g = mutant.map_or_else(Guards::sound, Guards::broken);
            let c = check(pattern, election, g);
            println!(
                "{:22} pv={} st={} cq={} live={} {:?} stable={} whole={} unique={} initial={} {:.2}s lasso={:?}",
                pattern.name,
                election.pre_vote as u8,
                election.stickiness as u8,
                election.check_quorum as u8,
                c.stuck.is_none(),
                c.stuck.as_ref().map(|s| s.claim),
                c.lasso.is_none(),
                c.whole,
                c.unique,
                c.initial,
                c.seconds,
                c.lasso.as_ref().map(|l| (l.stem.steps.len(), l.cycle.len()))
            );
        }
    }
}
