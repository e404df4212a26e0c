use quorate_model::{guards::Guards, model::SliceModel, server::PRESENT, slices, state::State};
use stateright::Model;
use std::collections::*;
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let model = SliceModel::new(slices::named(&name).unwrap(), Guards::sound());
    let mut seen: HashSet<State> = model.init_states().into_iter().collect();
    let mut queue: Vec<State> = seen.iter().cloned().collect();
    while let Some(state) = queue.pop() {
        for next in model.next_states(&state) {
            if seen.insert(next.clone()) {
                queue.push(next);
            }
        }
        if seen.len() > 3_000_000 {
            break;
        }
    }
    let mut maps: [BTreeMap<String, usize>; 4] = Default::default();
    let mut timeless: HashSet<String> = HashSet::new();
    let mut times: HashSet<String> = HashSet::new();
    for s in &seen {
        let mut roles: Vec<String> = s
            .servers
            .iter()
            .map(|x| format!("{}{}", &x.node.role().name().to_string()[..3], x.node.current_term()))
            .collect();
        roles.sort();
        *maps[0].entry(roles.join(" ")).or_default() += 1;
        let net: Vec<String> = s
            .net
            .iter()
            .map(|e| format!("{:?} t{}", e.message.body.kind(), e.message.term))
            .collect();
        *maps[1].entry(net.join(" ")).or_default() += 1;
        let lead2 = s.servers.iter().any(|x| x.node.is_leader() && x.node.current_term().0 == 2);
        let lead1 = s.servers.iter().any(|x| x.node.is_leader() && x.node.current_term().0 == 1);
        *maps[2].entry(format!("lead1 {lead1} lead2 {lead2}")).or_default() += 1;
        let t: Vec<(u64, u64)> = s
            .servers
            .iter()
            .map(|x| {
                (x.node.promised_until().0 - PRESENT.0, x.node.election_deadline().0 - PRESENT.0)
            })
            .collect();
        *maps[3]
            .entry(
                s.servers
                    .iter()
                    .filter(|x| x.node.is_leader() && x.node.current_term().0 == 1)
                    .map(|x| {
                        format!(
                            "log {} commit {} {:?} {:?}",
                            quorate_model::render::log(x.node.log()),
                            x.node.commit_index(),
                            x.node
                                .leadership()
                                .unwrap()
                                .peers
                                .values()
                                .map(|p| (p.match_index, p.next_index))
                                .collect::<Vec<_>>(),
                            s.budget
                        )
                    })
                    .collect::<String>(),
            )
            .or_default() += 1;
        times.insert(format!("{t:?} {:?}", s.clocks));
        timeless.insert(format!(
            "{:?}{:?}",
            s.servers
                .iter()
                .map(|x| {
                    let mut n = x.node.clone();
                    n.rebase(
                        &model.machine.protocol.params,
                        quorate_spec::Instant(PRESENT.0 + 10),
                        PRESENT,
                    );
                    format!("{n:?}{:?}", x.last_vote)
                })
                .collect::<Vec<_>>(),
            (&s.net, &s.budget, &*s.history)
        ));
    }
    println!("{} states, {} timeless, {} times", seen.len(), timeless.len(), times.len());
    for m in &maps {
        let mut v: Vec<_> = m.iter().collect();
        v.sort_by_key(|x| std::cmp::Reverse(*x.1));
        for (k, n) in v.iter().take(45) {
            println!("{n:>9} {k}");
        }
        println!();
    }
}
