//! x
use quorate_model::*;
use stateright::{Checker, Model};
use std::time::Instant;
fn main() {
    let name = std::env::args().nth(1).unwrap();
    let mode = std::env::args().nth(2).unwrap();
    let mut slice = slices::named(&name).unwrap();
    for a in std::env::args().skip(3) {
        let (k, v) = a.split_once('=').unwrap();
        let n: u64 = v.parse().unwrap();
        match k {
            "t" => slice.max_term = n,
            "c" => slice.crashes = n as u8,
            "n" => slice.servers = n as usize,
            "sym" => slice.symmetric = n != 0,
            "red" => slice.reduced = n != 0,
            "ap" => slice.appends = n != 0,
            "pull" => slice.network = slice::Network::Pull { parked: n as usize },
            "pend" => slice.pending = n as usize,
            "cmd" => slice.commands = n as u8,
            "full" => slice.election = slice::Election::FULL,
            _ => panic!(),
        }
    }
    let model = model::SliceModel::new(slice, guards::Guards::sound());
    let t = Instant::now();
    match mode.as_str() {
        "own" => {
            let f = search::breadth_first(&model, slice.claims, 30_000_000);
            println!(
                "own {} gen {} depth {} {:?} {:.1}s",
                f.unique,
                f.generated,
                f.depth,
                f.false_claims,
                t.elapsed().as_secs_f64()
            );
            if let Some(p) = f.path {
                let tr = search::plain_trace(&model, &p).unwrap();
                println!("{}", render::table(&tr.initial));
                for (a, s) in tr.steps {
                    println!("{a}\n{}", render::table(&s));
                }
            }
        }
        "dfs" => {
            let c = model
                .checker()
                .threads(2)
                .finish_when(stateright::HasDiscoveries::AnyFailures)
                .spawn_dfs()
                .join();
            println!(
                "dfs {} gen {} depth {} {:?} {:.1}s {:.0}/s",
                c.unique_state_count(),
                c.state_count(),
                c.max_depth(),
                c.discoveries().keys().collect::<Vec<_>>(),
                t.elapsed().as_secs_f64(),
                c.unique_state_count() as f64 / t.elapsed().as_secs_f64()
            );
        }
        _ => {
            let c = model
                .checker()
                .threads(2)
                .finish_when(stateright::HasDiscoveries::AnyFailures)
                .spawn_bfs()
                .join();
            println!(
                "bfs {} gen {} depth {} {:?} {:.1}s {:.0}/s",
                c.unique_state_count(),
                c.state_count(),
                c.max_depth(),
                c.discoveries().keys().collect::<Vec<_>>(),
                t.elapsed().as_secs_f64(),
                c.unique_state_count() as f64 / t.elapsed().as_secs_f64()
            );
        }
    }
    println!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .find(|l| l.starts_with("VmHWM"))
            .unwrap()
    );
}
