//! The Explorer serves plain paths, its links lead where they say, and a wrong command line is one
//! clear line.

#![allow(missing_docs)]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};

use crate::common::connections;
use crate::common::mutants::MUTANTS;
use quorate_model::explorer::{
    ActorWalk, AddressError, Choice, Counterexample, Explored, Replayed, Scenario, ServeError,
    SliceWalk, TraceWalk, Walk, choose, drawing, export, follow, hash, serve, shortest,
};
use quorate_model::guards::Guards;
use quorate_model::mutation::Mutation;
use quorate_model::slices;
use quorate_model::state::State;
use quorate_spec::property::{Claim, ClaimSet};
use stateright::{Model, Path};

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

/// A link that a reader copies from the README opens on what the text says.
#[test]
fn the_links_in_the_readme_are_those_that_are_printed() {
    let readme = include_str!("../../README.md");
    let links = readme.split("http://127.0.0.1:3000/").skip(1);
    let links: Vec<_> = links.filter_map(|rest| rest.split(['`', '\n']).next()).collect();
    assert!(links.len() >= 2, "{links:?}");
    for link in links {
        let named = |mutation: &&Mutation| link.contains(&format!("&mutant={}&", mutation.name()));
        let mutation = Mutation::ALL.iter().find(named).expect("it is of a mutant");
        assert_eq!(counterexample(*mutation).walk.header().trace.as_deref(), Some(link));
    }
}

#[test]
fn a_link_is_what_stateright_encodes_and_its_model_refutes_the_last_state_only() {
    for mutation in MUTANTS {
        let found = counterexample(mutation);
        let (actions, link) = (found.actions(), found.walk.header().trace.expect("a link"));
        let model = Explored::new(found.walk);
        let initial = model.init_states().remove(0);
        let steps: Vec<_> = actions.into_iter().map(Choice::Step).collect();
        let path = Path::from_actions(&model, initial, &steps).expect("a path of the model");
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
    assert_eq!(state["left"][0], "2 commands");
    let mut actions = Vec::new();
    model.actions(&initial, &mut actions);
    let step = model.format_step(&initial, actions.swap_remove(0)).expect("it leads somewhere");
    let step: serde_json::Value = serde_json::from_str(&step).expect("a step is JSON");
    assert!(step["sentence"].as_str().expect("text").contains("becomes a candidate"), "{step}");
    let changed = step["changed"].as_array().expect("a list");
    let of =
        |server: &str| changed.iter().any(|it| it["server"] == server && it["field"] == "role");
    assert!(of("n0") && !of("n1"), "{step}");
}

#[test]
fn the_diagram_has_a_row_a_step_and_no_label_leaves_it() {
    for mutation in MUTANTS {
        let found = counterexample(mutation);
        let actions = found.actions();
        let model = Explored::new(found.walk);
        let step = |shown, action: &_| model.next_state(&shown, Choice::Step(*action));
        let start = model.init_states().remove(0);
        let last = actions.iter().fold(start, |shown, it| step(shown, it).expect("a step"));
        let svg = drawing(&last);
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
    let bounds = walk.header().bounds;
    assert!(bounds.contains("ASYNC, terms ≤ 3") && bounds.contains("2 commands"), "{bounds}");
    let led = shortest_to(&walk, |state| state.servers[0].node.is_leader());
    let proposals = walk.steps(&led).into_iter().filter_map(|(action, next)| {
        let told = walk.tell(&led, &action, &next).sentence;
        told.starts_with("a client proposes a command to n0").then_some(next)
    });
    let [after] = &proposals.collect::<Vec<_>>()[..] else { panic!("one server leads") };
    assert_eq!(walk.cluster(after).servers[0].node.log().last().index.0, 2);
    let left = |state| walk.cluster(state).budget.commands;
    assert_eq!((left(&led), left(after)), (2, 1));
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

/// The one line of an error of `explore`.
fn refusal(arguments: &[&str]) -> String {
    crate::common::refusal(&[&["explore"], arguments].concat())
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

#[test]
fn a_port_that_is_taken_after_it_was_chosen_is_named_too() {
    let at = choose("127.0.0.1:0", false).expect("a port is free");
    let _taken = TcpListener::bind(at).expect("it is still free");
    let walk = SliceWalk::sound(slices::named("replication").expect("a slice"));
    let error = serve(walk, at).expect_err("somebody listens there");
    assert!(
        matches!(error, ServeError::Address(AddressError::Busy(busy)) if busy == at),
        "{error}"
    );
}

/// The Explorer with these arguments, until it has printed its link: all that it printed, and what
/// it was asked for at its address.
#[cfg(unix)]
fn served<T>(arguments: &[&str], ask: impl FnOnce(&str) -> T) -> (String, T) {
    let folder = tempfile::tempdir().expect("a folder");
    let mut child = Command::new(env!("CARGO_BIN_EXE_quorate-model"))
        .args(["explore", "--address", "localhost:0"])
        .args(arguments)
        .env("TMPDIR", folder.path())
        .stdout(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let (mut printed, mut address) = (String::new(), None);
    // Kept open until it ends: it has more to print.
    let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    for line in &mut lines {
        let line = line.expect("UTF-8");
        printed.push_str(&format!("{line}\n"));
        let link = line.split("http://").nth(1);
        address = link.and_then(|link| link.split('/').next()).map(str::to_owned);
        if address.is_some() {
            break;
        }
    }
    let address = address.expect("it prints a link");
    let answers = ask(&address);
    let status = Command::new("kill").args(["-INT", &child.id().to_string()]).status();
    assert!(status.expect("kill runs").success());
    let ended = child.wait().expect("it ends");
    assert_eq!(ended.code(), Some(130));
    let left = std::fs::read_dir(folder.path()).expect("it is there").count();
    assert_eq!(left, 0, "the unpacked page is removed");
    (printed, answers)
}

#[cfg(unix)]
#[test]
fn it_serves_the_page_and_leaves_nothing_behind() {
    let paths = ["/", "/app.js", "/.states"];
    let (_, [page, script, states]) = served(&[], |at| paths.map(|path| get(at, path)));
    assert!(page.contains("Quorate Explorer"), "{page}");
    assert!(!format!("{page}{script}").contains("Safety holds"));
    assert!(states.contains("fingerprint"), "{states}");
}

#[cfg(unix)]
#[test]
fn connections_that_come_at_once_are_all_answered() {
    served(&[], |at| {
        assert!(get(at, "/app.js").contains("askAhead"), "it listens");
        let at = at.parse().expect("an address");
        connections::are_all_answered(at, "/app.js", "('hashchange', load);\nload();");
    });
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

/// Two ask for pre-votes, and where the mutant takes that for contact, the one who hears the other
/// promises something.
const RUN: &str = "# A comment.\nscenario Faults\nservers 7\nmutant PreVoteIsContact\n\
    finds PreVoteSilent\ntimeout 0 0 0\ntimeout 1 0 0\nhear 0 0 0\n";

/// The path of a file of this name with this text, among those of this test.
fn trace_file(folder: &tempfile::TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("it can be written");
    path.to_str().expect("UTF-8").to_owned()
}

#[cfg(unix)]
#[test]
fn a_trace_file_opens_on_its_last_step() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = trace_file(&folder, "a run.trace", RUN);
    let (printed, answer) = served(&["--trace", &file], |at| get(at, "/.states/0"));
    let walk = TraceWalk::of_file("a run.trace", RUN).expect("it is a trace");
    assert_eq!(walk.last(), 3);
    let lines: Vec<_> = printed.lines().collect();
    let [title, finding, "", link] = &lines[..] else { panic!("{printed}") };
    let about = "Faults on 7 servers, mutant PreVoteIsContact";
    assert_eq!(*title, format!("trace a run.trace: {about}, 3 steps"));
    let claim = Claim::PreVoteSilent;
    assert_eq!(*finding, format!("False at the end: {claim}: {}", claim.entry().sentence));
    assert!(link.ends_with(walk.link()), "{link} is not {}", walk.link());
    assert_eq!(false_claims(&walk, &3), ["PreVoteSilent"]);
    assert!(false_claims(&walk, &2).is_empty());
    assert!(answer.contains("n0 lets every deadline pass"), "{answer}");
}

#[cfg(unix)]
#[test]
fn a_trace_file_in_which_nothing_is_false_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let sound = RUN.replace("mutant PreVoteIsContact\nfinds PreVoteSilent\n", "");
    let file = trace_file(&folder, "sound.trace", &sound);
    let (printed, _) = served(&["--trace", &file], |at| get(at, "/"));
    assert!(printed.contains("Nothing is false in it."), "{printed}");
}

#[test]
fn a_recorded_run_names_the_claims_that_it_decides() {
    let named = |text: &str| {
        let walk = TraceWalk::of_file("a run", text).expect("it is a trace");
        let verdicts = walk.verdicts(&0).into_iter();
        verdicts.map(|verdict| verdict.claim).collect::<Vec<_>>()
    };
    let decides = |text: &str, claim: &str| named(text).contains(&claim.to_owned());
    assert!(decides(RUN, "PreVoteSilent") && !decides(RUN, "NoDeadlock"));
    assert!(decides("scenario Recovery\n", "NoDeadlock"));
    assert!(decides("scenario Membership\n", "ReconfigCompletes"));
    assert!(!decides("scenario Membership\n", "SnapshotProgress"));
    assert!(!decides("scenario Recovery\n", "NonDisruption"));
    assert!(decides("scenario Disturbance\n", "NonDisruption"));
}

#[test]
fn a_trace_that_cannot_be_shown_is_refused_in_one_line() {
    let folder = tempfile::tempdir().expect("a folder");
    let wrong = trace_file(&folder, "wrong.trace", "servers 3\n\nfly 1 2 3\n");
    assert!(refusal(&["--trace", &wrong]).contains("wrong.trace: line 3: "));
    let many = trace_file(&folder, "many.trace", "servers 8\n");
    assert!(refusal(&["--trace", &many]).contains("at most 7"));
    let missing = folder.path().join("missing.trace");
    let missing = missing.to_str().expect("UTF-8");
    assert!(refusal(&["--trace", missing]).contains(&format!("cannot read {missing}: ")));
    let run = trace_file(&folder, "run.trace", RUN);
    let both = |more: &[&str]| refusal(&[&["--trace", &run], more].concat());
    assert!(both(&["replication"]).contains("leave out the slice"));
    assert!(both(&["--mutant", "CountsOldVotes"]).contains("leave out --mutant"));
    let all = both(&["--actors", "--mutant", "CountsOldVotes", "replication"]);
    assert!(all.contains("leave out the slice and --mutant and --actors"), "{all}");
    assert!(both(&["--address", "0.0.0.0:0"]).contains("--allow-remote"));
}

/// What `check` finds opens on its violation, too: here one that is declared.
#[test]
fn a_violation_under_the_present_rules_is_its_own_counterexample() {
    let slice = slices::named("isolated-naive").expect("it is in the catalogue");
    let found = Counterexample::under_present_rules(slice, Claim::NonDisruption);
    let found = found.expect("naive elections depose the leader");
    let link = hash(&found.walk, &found.walk.header(), &found.actions()).expect("it has one");
    let last = follow(&found.walk, &link).expect("it leads to the violation");
    assert_eq!(false_claims(&found.walk, &last), ["NonDisruption"]);
    assert!(Counterexample::under_present_rules(slice, Claim::VoteStable).is_none());
}

/// A counterexample as text is false under its mutant again, and never under the rules as they are.
#[test]
fn an_exported_scenario_replays() {
    for mutation in MUTANTS {
        let found = counterexample(mutation);
        let scenario = found.scenario();
        let read = Scenario::parse(&scenario.to_string()).expect("it reads what it writes");
        assert_eq!(read, scenario);
        assert_eq!(read.steps.len(), found.trace.steps.len());
        assert_eq!(read.replay(), Replayed::Violated(read.steps.len()), "{}", mutation.name());
        let sound = read.replay_under(Guards::sound());
        assert!(!matches!(sound, Replayed::Violated(_)), "{}: {sound:?}", mutation.name());
        assert_eq!(found.walk.header().scenario, Some(scenario.to_string()));
    }
    let short = counterexample(Mutation::CountsOldVotes).scenario();
    let steps = short.steps[..short.steps.len() - 1].to_vec();
    assert_eq!(Scenario { steps, ..short.clone() }.replay(), Replayed::Holds);
    let steps = ["the sky falls".to_owned()].into_iter().chain(short.steps.clone()).collect();
    assert_eq!(Scenario { steps, ..short }.replay(), Replayed::Impossible(1));
}

#[test]
fn a_scenario_that_says_nothing_known_is_refused_with_its_line() {
    let wrong = |text: &str| Scenario::parse(text).expect_err("it is none").to_string();
    assert_eq!(wrong("# a\nslice electoin\n"), "line 2: there is no slice electoin");
    assert_eq!(wrong("slice election\nfinds Nothing\n"), "line 2: there is no claim Nothing");
    assert!(wrong("slice election\n").contains("finds CLAIM"));
}

#[test]
fn an_export_has_every_step_with_its_state() {
    let found = counterexample(Mutation::CountsOldVotes);
    let (actions, link) = (found.actions(), found.walk.header().trace);
    let document = export(found.walk, &actions).expect("it is a way");
    assert_eq!(document["link"].as_str(), link.as_deref());
    let path = document["path"].as_array().expect("a list");
    assert_eq!(path.len(), actions.len() + 1);
    assert!(path[0]["step"].is_null());
    let last = &path[actions.len()];
    assert_eq!(last["step"]["broke"][0], "ElectionSafety");
    assert_eq!(last["state"]["nodes"][0]["role"], "Leader");
}

#[test]
fn explore_writes_what_it_would_serve() {
    let folder = tempfile::tempdir().expect("a folder");
    let file = |name: &str| folder.path().join(name).to_str().expect("UTF-8").to_owned();
    let explore = |arguments: &[&str]| {
        let program = Command::new(env!("CARGO_BIN_EXE_quorate-model"));
        let ran = { program }.arg("explore").args(arguments).output().expect("it starts");
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        String::from_utf8(ran.stdout).expect("UTF-8")
    };
    let (text, json) = (file("a.scenario"), file("a.json"));
    let printed = explore(&["--mutant", "CountsOldVotes", "--export", &text]);
    assert!(printed.ends_with(&format!("written to {text}\n")), "{printed}");
    let written = std::fs::read_to_string(&text).expect("it is there");
    assert!(matches!(Scenario::parse(&written).map(|it| it.replay()), Ok(Replayed::Violated(7))));
    explore(&["--mutant", "CountsOldVotes", "--export", &json]);
    let written = std::fs::read_to_string(&json).expect("it is there");
    let document: serde_json::Value = serde_json::from_str(&written).expect("JSON");
    assert_eq!(document["served"]["mutant"]["name"], "CountsOldVotes");
    assert!(refusal(&["replication", "--export", &text]).contains("is of a counterexample"));
    assert!(refusal(&["--export", "/nowhere/a.json"]).contains("cannot write /nowhere/a.json"));
}
