//! The Explorer serves plain paths, its links lead where they say, and a wrong command line is one
//! clear line.

#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Output, Stdio};

use quorate_model::explorer::{
    ActorWalk, Counterexample, Explored, SliceWalk, TraceWalk, Walk, follow, hash, shortest,
};
use quorate_model::mutation::Mutation;
use quorate_model::slices;
use quorate_model::state::State;
use quorate_spec::property::{Claim, ClaimSet};
use stateright::{Model, Path};

/// Mutants of elections, pre-votes, commits, disks, and one that is only seen by running on.
const MUTANTS: [Mutation; 6] = [
    Mutation::CountsOldVotes,
    Mutation::PreVoteRaisesTerm,
    Mutation::CommitsBeyondValidated,
    Mutation::AcksBeforeDurable,
    Mutation::VotesInsidePromise,
    Mutation::NeverStepsDown,
];

fn counterexample(mutation: Mutation) -> Counterexample {
    let slices: Vec<_> = mutation.slices().iter().filter_map(|name| slices::named(name)).collect();
    Counterexample::find(mutation, &slices).expect("the mutant is killed")
}

fn false_claims<W: Walk>(walk: &W, state: &W::State) -> Vec<String> {
    let verdicts = walk.verdicts(state).into_iter();
    verdicts.filter(|verdict| !verdict.holds).map(|verdict| verdict.claim).collect()
}

#[test]
fn the_link_of_a_mutant_leads_to_the_state_that_violates_its_claim() {
    for mutation in MUTANTS {
        let found = counterexample(mutation);
        let killer = mutation.killer().name().to_owned();
        let link = found.walk.header().trace.expect("a counterexample has a link");
        let last = follow(&found.walk, &link).expect("the link fits");
        assert!(false_claims(&found.walk, &last).contains(&killer), "{}", mutation.name());
        // One step short of it the claim holds.
        let actions = found.actions();
        let before = &actions[..actions.len() - 1];
        let short = hash(&found.walk, &found.walk.header(), before).expect("a path");
        let state = follow(&found.walk, &short).expect("the link fits");
        assert!(!false_claims(&found.walk, &state).contains(&killer), "{}", mutation.name());
    }
}

#[test]
fn a_link_is_what_stateright_encodes_and_its_model_refutes_the_last_state_only() {
    for mutation in MUTANTS {
        let found = counterexample(mutation);
        let (actions, link) = (found.actions(), found.walk.header().trace.expect("a link"));
        let model = Explored::new(found.walk);
        let initial = model.init_states().remove(0);
        let path = Path::from_actions(&model, initial, &actions).expect("a path of the model");
        assert!(link.starts_with(&format!("#/steps/{}?", path.encode(&model))), "{link}");
        let holds = model.properties()[0].condition;
        assert!(!holds(&model, path.last_state()), "{}", mutation.name());
        let view = path.last_state().view();
        assert!(link.ends_with(&format!("&state={}", view.fingerprint)), "{link}");
        assert!(!view.claims[0].holds, "false claims come first");
    }
}

#[test]
fn a_state_is_json_and_a_step_names_what_it_changes() {
    let model = Explored::new(SliceWalk::sound(slices::named("replication").expect("a slice")));
    let initial = model.init_states().remove(0);
    let state: serde_json::Value =
        serde_json::from_str(&format!("{initial:#?}")).expect("Stateright prints JSON");
    assert_eq!(state["served"]["slice"], "replication");
    assert_eq!(state["nodes"].as_array().map(Vec::len), Some(3));
    assert_eq!(state["left"][0], "1 command");
    let mut actions = Vec::new();
    model.actions(&initial, &mut actions);
    let step: serde_json::Value =
        serde_json::from_str(&model.format_step(&initial, actions[0]).expect("it leads somewhere"))
            .expect("a step is JSON");
    assert!(step["sentence"].as_str().expect("text").contains("becomes a candidate"), "{step}");
    let changed: Vec<_> = step["changed"].as_array().expect("a list").iter().collect();
    assert!(changed.contains(&&serde_json::json!("n0.role")), "{step}");
    assert!(!changed.contains(&&serde_json::json!("n1.role")), "{step}");
}

#[test]
fn the_diagram_has_a_row_a_step_and_no_label_leaves_it() {
    for mutation in MUTANTS {
        let found = counterexample(mutation);
        let actions = found.actions();
        let model = Explored::new(found.walk);
        let initial = model.init_states().remove(0);
        let path = Path::from_actions(&model, initial, &actions).expect("a path");
        let svg = model.as_svg(path).expect("a drawing");
        assert_eq!(svg.matches("class=\"row\"").count(), actions.len());
        let width: usize = number_after(&svg, "width=\"");
        for text in svg.split("<text class=\"label").skip(1) {
            let x: usize = number_after(text, "x=\"");
            let content =
                &text[text.find('>').expect("a tag") + 1..text.find('<').expect("an end")];
            let long = content.chars().count() * 8;
            let inside = if text.contains("\"end\"") { x >= long } else { x + long <= width };
            assert!(inside, "{}: {content} at {x} of {width}", mutation.name());
        }
    }
}

fn number_after(text: &str, mark: &str) -> usize {
    let from = text.find(mark).expect("the attribute is there") + mark.len();
    let digits: String = text[from..].chars().take_while(char::is_ascii_digit).collect();
    digits.parse().expect("a number")
}

#[test]
fn the_actor_model_can_be_walked_and_broken() {
    let slice = slices::named("election-async").expect("a slice");
    let mut walk = ActorWalk::of(&slice, Some(Mutation::VotesForEveryone)).expect("actors do");
    let actions = walk.find_counterexample().expect("it is near");
    assert!(shortest(&walk, "VoteOncePerTerm", 1_000_000).is_some());
    let link = walk.header().trace.expect("a link");
    let last = follow(&walk, &link).expect("the link fits");
    assert!(false_claims(&walk, &last).contains(&"VoteOncePerTerm".to_owned()));
    assert_eq!(link.matches('/').count(), actions.len() + 2);
    let with_command = slices::named("replication").expect("a slice");
    let walk = ActorWalk::of(&with_command, None).expect("actors take commands");
    assert!(walk.header().bounds.contains("ASYNC, terms ≤ 3, 1 command"));
    let led = shortest_to(&walk, |state| state.servers[0].node.is_leader());
    let proposals = walk.steps(&led).into_iter().filter_map(|(action, next)| {
        let told = walk.tell(&led, &action, &next).sentence;
        told.starts_with("a client proposes a command to n0").then_some(next)
    });
    let [after] = &proposals.collect::<Vec<_>>()[..] else { panic!("one server leads") };
    assert_eq!(walk.cluster(after).servers[0].node.log().last().index.0, 2);
    let left = |state| walk.cluster(state).budget.commands;
    assert_eq!((left(&led), left(after)), (1, 0));
    let with_crash = slices::named("election").expect("a slice");
    assert!(ActorWalk::of(&with_crash, None).is_none(), "actors do not crash");
}

/// The nearest state in which this is so.
fn shortest_to<W: Walk>(walk: &W, is_so: impl Fn(&State) -> bool) -> W::State {
    let mut level = vec![walk.initial()];
    for _ in 0..5 {
        if let Some(state) = level.iter().find(|state| is_so(&walk.cluster(state))) {
            return state.clone();
        }
        let next = level.iter().flat_map(|state| walk.steps(state));
        level = next.map(|(_, state)| state).collect();
    }
    panic!("no state is near in which this is so");
}

#[test]
fn a_recorded_run_is_walked_through_with_its_sentences() {
    let found = counterexample(Mutation::CountsOldVotes);
    let mut states = vec![("the start".to_owned(), found.trace.initial.clone())];
    for (i, (_, state)) in found.trace.steps.iter().enumerate() {
        states.push((format!("sentence {}", i + 1), state.clone()));
    }
    let steps = states.len() - 1;
    let claims = ClaimSet::of(&[Claim::ElectionSafety, Claim::LogMatching]);
    let walk = TraceWalk::new("a run.txt", "kept", claims, states);
    assert!(walk.link().contains("slice=a%20run.txt&kind=trace"), "{}", walk.link());
    assert_eq!(follow(&walk, walk.link()), Some(steps));
    assert_eq!(false_claims(&walk, &steps), ["ElectionSafety"]);
    assert!(false_claims(&walk, &(steps - 1)).is_empty());
    assert_eq!(walk.tell(&0, &1, &1).sentence, "sentence 1");
}

fn explore(arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_quorate-model");
    Command::new(program).arg("explore").args(arguments).output().expect("the program starts")
}

/// The one line of an error, with exit code 2.
fn refusal(arguments: &[&str]) -> String {
    let output = explore(arguments);
    let text = String::from_utf8(output.stderr).expect("UTF-8");
    assert_eq!(output.status.code(), Some(2), "{arguments:?}: {text}");
    assert!(output.stdout.is_empty(), "{arguments:?} prints nothing else");
    assert_eq!(text.lines().count(), 1, "{text}");
    text
}

#[test]
fn a_wrong_command_line_is_one_clear_line_and_exit_code_2() {
    assert!(refusal(&["electoin"]).contains("did you mean election?"));
    assert!(refusal(&["--mutant", "CountOldVotes"]).contains("did you mean CountsOldVotes?"));
    let other = refusal(&["replication", "--mutant", "CountsOldVotes"]);
    assert!(other.contains("slice replication is not one that finds CountsOldVotes"), "{other}");
    assert!(refusal(&["--actors", "election"]).contains("actors do not have every feature"));
    assert!(refusal(&["--address", "0.0.0.0:0"]).contains("--allow-remote"));
    assert!(refusal(&["--address", "[::]:3000"]).contains("--allow-remote"));
    assert!(refusal(&["--address", "127.0.0.1"]).contains("is not an address"));
    assert!(refusal(&["--address", "nowhere:3000"]).contains("is not an address"));
}

#[test]
fn a_busy_port_is_named() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
    let address = listener.local_addr().expect("it has one").to_string();
    let text = refusal(&["--address", &address, "--mutant", "CountsOldVotes"]);
    assert!(text.contains(&format!("{address} is busy")), "{text}");
}

#[cfg(unix)]
#[test]
fn it_serves_the_page_and_leaves_nothing_behind() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_quorate-model"))
        .args(["explore", "--address", "localhost:0"])
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let link = lines
        .find_map(|line| line.expect("UTF-8").split("http://").nth(1).map(str::to_owned))
        .expect("it prints a link");
    let address = link.split('/').next().expect("an address").to_owned();
    let page = get(&address, "/");
    let script = get(&address, "/app.js");
    let states = get(&address, "/.states");
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
    let ended = child.wait().expect("it ends");
    assert!(page.contains("Quorate Explorer"), "{page}");
    assert!(!(page + &script).contains("Safety holds"));
    assert!(states.contains("fingerprint"), "{states}");
    assert_eq!(ended.code(), Some(130));
    let left = std::fs::read_dir(folder.path()).expect("it is there").count();
    assert_eq!(left, 0, "the unpacked page is removed");
}

#[cfg(unix)]
fn get(address: &str, path: &str) -> String {
    let mut stream = (0..100)
        .find_map(|_| {
            let stream = TcpStream::connect(address);
            stream.map_err(|_| std::thread::sleep(std::time::Duration::from_millis(100))).ok()
        })
        .expect("it listens");
    write!(stream, "GET {path} HTTP/1.0\r\n\r\n").expect("it takes the request");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("it answers");
    answer
}
