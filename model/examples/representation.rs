//! What a representation of states costs: the actor model and the direct model on one slice, with
//! the same bounds, claims and protocol states; one thread, and one process for each engine.
//!
//! `cargo run --release -p quorate-model --example representation [elections|replication]`

use std::process::Command;
use std::time::Instant;

use quorate_model::actors::{Forgetful, RaftModel, actor_model};
use quorate_model::guards::Guards;
use quorate_model::model::SliceModel;
use quorate_model::slice::{Election, Network, Slice};
use quorate_model::slices;
use quorate_spec::property::{Claim, ClaimSet};
use stateright::{Checker, Expectation, Model};

/// What is compared. The last one is what the reductions make of the slice, to put the factors of
/// the representations into proportion.
const ENGINES: [(&str, &str); 9] = [
    ("ActorModel", "BFS"),
    ("ActorModel", "DFS"),
    ("ActorModel, forgetful", "BFS"),
    ("ActorModel, forgetful", "DFS"),
    ("direct, no memo", "BFS"),
    ("direct, no memo", "DFS"),
    ("direct", "BFS"),
    ("direct", "DFS"),
    ("direct, reduced", "DFS"),
];

/// The claims of the actor model; "steps" are the ones after the first five.
const CLAIMS: ClaimSet = ClaimSet::of(&[
    Claim::ElectionSafety,
    Claim::QuorumIntersection,
    Claim::LogMatching,
    Claim::StateMachineSafety,
    Claim::LeaderCompleteness,
    Claim::VoteOncePerTerm,
    Claim::VoteDurability,
    Claim::MessageTermPersisted,
    Claim::TermMonotonic,
    Claim::VoteStable,
    Claim::StateTransitions,
    Claim::PreVoteSound,
    Claim::LeaderIsVoter,
    Claim::PromiseKept,
    Claim::LeaderAppendOnly,
    Claim::CommittedPrefixStable,
    Claim::CommitBound,
    Claim::CommitMonotonic,
    Claim::CommitRule,
    Claim::TruncateOnlyOnConflict,
    Claim::AckDurability,
]);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let name = arguments.first().map_or("elections", String::as_str);
    match arguments.get(1) {
        Some(engine) => measure(slice(name), engine.parse().expect("a position in ENGINES")),
        None => compare(name),
    }
}

fn slice(name: &str) -> Slice {
    let base = Slice {
        learners: 0,
        crashes: 0,
        commands: 0,
        campaigns: false,
        network: Network::Async,
        cuts: &[],
        established: None,
        claims: CLAIMS,
        symmetric: false,
        reduced: false,
        ..slices::named("election-two").expect("it is in the catalogue")
    };
    // Without pre-vote: it is where both models have exactly the same states.
    let sticky = Election { pre_vote: false, ..Election::PRE_VOTE };
    match name {
        "elections" => {
            Slice { servers: 3, max_term: 2, appends: false, election: Election::NAIVE, ..base }
        }
        "replication" => Slice { servers: 2, max_term: 3, appends: true, election: sticky, ..base },
        _ => panic!("no slice {name}: elections or replication"),
    }
}

/// Explores the slice and prints its number of states, the seconds and the bytes that it took.
fn measure(slice: Slice, engine: usize) {
    let (representation, order) = ENGINES[engine];
    let direct = |slice| SliceModel::new(slice, Guards::sound());
    let (unique, seconds, bytes) = match representation {
        "ActorModel" => explore(actors(&slice), order),
        "ActorModel, forgetful" => explore(Forgetful(actors(&slice)), order),
        "direct, no memo" => explore(direct(slice).without_memo(), order),
        "direct" => explore(direct(slice), order),
        _ => explore(direct(Slice { reduced: true, ..slice }), order),
    };
    println!("{unique} {seconds} {bytes}");
}

/// Without witnesses: once found, each later one is still noted, which is no cost of the claims.
fn actors(slice: &Slice) -> RaftModel {
    let mut model = actor_model(slice);
    model.properties.retain(|property| property.expectation == Expectation::Always);
    model
}

fn explore<M>(model: M, order: &str) -> (usize, f64, u64)
where
    M: Model + Send + Sync + 'static,
    M::State: Clone + std::fmt::Debug + std::hash::Hash + PartialEq + Send + Sync,
    M::Action: Clone + PartialEq + Send + Sync,
{
    let (before, start) = (peak_bytes(), cpu_seconds());
    let wall = Instant::now();
    let (unique, clean) = if order == "BFS" {
        let checker = model.checker().spawn_bfs().join();
        (checker.unique_state_count(), checker.discoveries().is_empty())
    } else {
        let checker = model.checker().spawn_dfs().join();
        (checker.unique_state_count(), checker.discoveries().is_empty())
    };
    assert!(clean, "the claims hold");
    let cpu = cpu_seconds() - start;
    // Short runs are below the resolution of the kernel's count.
    let seconds = if cpu < 0.1 { wall.elapsed().as_secs_f64() } else { cpu };
    (unique, seconds, peak_bytes() - before)
}

/// The largest resident set so far.
fn peak_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux has it");
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).expect("Linux writes it");
    let kilobytes = line.split_whitespace().nth(1).expect("a number follows");
    1024 * kilobytes.parse::<u64>().expect("it is a number")
}

/// The processor time of this process: it does not depend on what else the machine does.
fn cpu_seconds() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").expect("Linux has it");
    let (_, fields) = stat.rsplit_once(')').expect("the name is in parentheses");
    let ticks = |field: usize| -> f64 {
        let text = fields.split_whitespace().nth(field).expect("proc(5) lists it");
        text.parse().expect("it is a number")
    };
    // User and system time are fields 14 and 15 of proc(5), in hundredths of a second.
    (ticks(11) + ticks(12)) / 100.0
}

/// Each engine in its own process, so that the peak of its memory is its own.
fn compare(name: &str) {
    println!("{name}: {}, one thread, CPU seconds", slice(name).bounds());
    println!(
        "| {:<21} | order | {:>13} | {:>7} | {:>8} | {:>11} |",
        "engine", "unique states", "seconds", "states/s", "bytes/state"
    );
    println!("|{:-<23}|-------|{:->15}|{:->9}|{:->10}|{:->13}|", "", ":", ":", ":", ":");
    for (engine, (representation, order)) in ENGINES.iter().enumerate() {
        let executable = std::env::current_exe().expect("it is running");
        let output = Command::new(executable).arg(name).arg(engine.to_string()).output();
        let output = output.expect("it can be started once more");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).expect("numbers are ASCII");
        let numbers: Vec<f64> =
            text.split_whitespace().map(|number| number.parse().expect("a number")).collect();
        let [unique, seconds, bytes] = numbers[..] else { panic!("three numbers, not {text}") };
        let (speed, size) = (unique / seconds, bytes / unique);
        println!(
            "| {representation:<21} | {order:<5} | {unique:>13} | {seconds:>7.2} | {speed:>8.0} | {size:>11.0} |"
        );
    }
}
