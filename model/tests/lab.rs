//! The lab: each scene comes to what it says, the same address is the same run, and an address that
//! means nothing is refused in words.

#![allow(missing_docs)]

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;

use crate::common::connections;
use quorate_model::explorer::choose;
use quorate_model::lab::{Counts, Happened, LaneRecord, Note, Run, SCENES, Setup, Tone, bind, run};

fn setup(address: &str) -> Setup {
    Setup::parse(address).unwrap_or_else(|error| panic!("{address}: {error}"))
}

fn told(address: &str) -> Run {
    run(&setup(address))
}

fn counts<const N: usize>(run: &Run) -> [Counts; N] {
    let counts: Vec<Counts> = run.lanes.iter().map(|lane| lane.counts).collect();
    counts.try_into().expect("the scene has that many lanes")
}

/// The servers that led, in the order in which they began to.
fn leaders(lane: &LaneRecord) -> Vec<(u64, u64)> {
    lane.leaders.iter().map(|reign| (reign.server, reign.term)).collect()
}

fn false_claims(lane: &LaneRecord) -> Vec<&str> {
    lane.claims.iter().map(|broken| broken.claim).collect()
}

#[test]
fn without_pre_vote_a_server_that_was_cut_off_deposes_the_leader_and_with_it_nobody_notices() {
    let run = told("scene=pre-vote");
    let [naive, asks] = counts(&run);
    assert!(naive.terms >= 4 && naive.elections >= 4, "{naive:?}");
    assert!(naive.changes > 0 && naive.leaderless > 200_000, "{naive:?}");
    let Counts { terms, elections, changes, leaderless, broken, .. } = asks;
    assert_eq!([terms, elections, changes, leaderless, broken], [0; 5]);
    assert_eq!(leaders(&run.lanes[1]), [(0, 1)]);
    assert!(run.lanes[1].tracks.iter().flatten().all(|view| view.term == 1));
    assert!(asks.commits > naive.commits);
    assert_eq!(naive.broken, 0, "naive election is a nuisance, and no danger");
    let deposed = "n0 leads term 1, and hears of term";
    let notes = &run.lanes[0].notes;
    let told = notes.iter().position(|note| note.text.contains(deposed)).expect("it is told");
    // A page shows the last one first: of that instant, it is this one.
    assert!(notes[told + 1].at > notes[told].at, "{:?}", notes[told + 1]);
    let refused = "n1 says no to n2: n2 has missed entries that n1 has.";
    assert!(run.lanes[1].notes.iter().any(|note| note.text == refused));
}

#[test]
fn the_conclusion_of_scene_1_counts_what_the_isolated_server_did_and_nothing_else() {
    let mut explained = 0;
    for seed in 85..95 {
        let run = told(&format!("scene=pre-vote&seed={seed}"));
        let (naive, sentence) = (&run.lanes[0], &run.verdict.sentence);
        let alone = |election: &&Happened| {
            election.server == 2 && (500_000..=2_500_000).contains(&election.at)
        };
        let begun = naive.elections.iter().filter(alone).count() as u64;
        let came_back = format!("n2 came back with term {}", 1 + begun);
        assert!(sentence.contains(&came_back), "{seed}: {begun} elections; {sentence}");
        let fewer = run.lanes[1].counts.commits - naive.counts.commits;
        assert!(sentence.contains(&format!("{fewer} fewer write")), "{seed}: {sentence}");
        let behind = naive.behind.iter().any(|candidate| candidate.server == 2);
        let won = leaders(naive).iter().any(|(server, _)| *server == 2);
        assert_eq!(sentence.contains("its log was behind"), behind && !won, "{seed}: {sentence}");
        // What the other lane's voters said is told where they did say it, before they were heard.
        let refused = run.lanes[1].behind.iter().any(|it| it.server == 2 && it.at > 2_500_000);
        let told = sentence.contains("told it no under Pre-Vote");
        assert_eq!(told, refused && behind && !won, "{seed}: {sentence}");
        explained += u64::from(told);
    }
    assert!(explained >= 3, "only {explained} of 10 runs say why n2 was told no");
    // Without writes no log is behind, and with this one switch alone the server that asks may win.
    let run = told("scene=pre-vote&writes=0");
    for words in ["its log was behind", "fewer write", "no write had"] {
        assert!(!run.verdict.sentence.contains(words), "{}", run.verdict.sentence);
    }
}

#[test]
fn what_happens_is_told_once_and_only_where_it_happens() {
    let said = |run: &Run, lane: usize, text: &str| {
        run.lanes[lane].notes.iter().filter(|note| note.text.starts_with(text)).count()
    };
    let one_way = told("scene=one-way");
    let waits = "n0 leads, but no majority answers it: clients' writes wait.";
    assert_eq!((said(&one_way, 0, waits), said(&one_way, 1, waits)), (1, 0));
    let shown = one_way.lanes[0].notes.iter().rfind(|note| note.tone != Tone::Quiet);
    assert_eq!(shown.map(|note| note.text.as_str()), Some(waits), "the blocked lane ends with it");
    let phantom = told("scene=phantom");
    for lane in [0, 1] {
        assert_eq!(said(&phantom, lane, "The lease of n0 is over."), 1);
        assert_eq!(said(&phantom, lane, "n1 leads, but no majority"), 0);
    }
    // A configuration is told where it begins to decide, and not again where it is settled.
    let storm = told("scene=storm");
    for lane in &storm.lanes {
        let mut decided: Vec<&Note> =
            lane.notes.iter().filter(|note| note.text.contains(", from here on ")).collect();
        decided.sort_by_key(|note| note.server);
        for pair in decided.windows(2).filter(|pair| pair[0].server == pair[1].server) {
            assert_ne!(pair[0].text, pair[1].text, "{} at {}", lane.title, pair[1].at);
        }
    }
}

#[test]
fn a_leader_that_hears_nobody_blocks_the_cluster_unless_it_checks_its_quorum() {
    let run = told("scene=one-way");
    let [off, on] = counts(&run);
    assert_eq!(leaders(&run.lanes[0]), [(0, 1)]);
    // The cut at 2.7 s is for good.
    assert!(run.lanes[0].commits.iter().all(|commit| commit.at < 2_800_000));
    assert_eq!(on.changes, 1);
    assert!(run.lanes[1].commits.iter().any(|commit| commit.at > 4_000_000 && commit.server != 0));
    assert!(on.longest_wait < off.longest_wait);
    // While a single link was cut, in either direction, pre-vote kept the leader.
    for lane in &run.lanes {
        assert!(
            lane.elections.iter().all(|election| election.at > 2_700_000),
            "{:?}",
            lane.elections
        );
    }
}

#[test]
fn a_lease_that_trusts_the_clocks_serves_what_is_no_longer_true() {
    let run = told("scene=phantom");
    let [naive, bounded, index] = counts(&run);
    assert!(naive.stale > 0, "{naive:?}");
    assert_eq!(false_claims(&run.lanes[0]), ["LeaseExclusive", "LinearizableRead"]);
    assert_eq!([bounded.stale, bounded.broken, index.stale, index.broken], [0; 4]);
    assert!(bounded.fresh > 0 && index.fresh > 0);
    assert!(bounded.unanswered > naive.unanswered && index.unanswered > naive.unanswered);
}

#[test]
fn a_change_in_one_step_has_two_majorities_and_joint_consensus_has_not() {
    let run = told("scene=storm");
    let [one_step, joint] = counts(&run);
    assert!(one_step.contradicted > 0, "{one_step:?}");
    let broken = false_claims(&run.lanes[0]);
    for claim in ["QuorumIntersection", "StateMachineSafety", "LeaderCompleteness"] {
        assert!(broken.contains(&claim), "{broken:?}");
    }
    let stopped = |lane: &LaneRecord| {
        lane.tracks
            .iter()
            .filter(|track| track.last().is_some_and(|view| view.stopped.is_some()))
            .count()
    };
    assert_eq!((stopped(&run.lanes[0]), stopped(&run.lanes[1])), (3, 0));
    assert_eq!([joint.contradicted, joint.broken], [0; 2]);
    // Asked again on a whole network, the change goes through.
    let last = run.lanes[1].tracks.iter().map(|track| track.last().expect("it is shown"));
    for view in last {
        assert_eq!((view.members.voters.len(), view.members.outgoing.len()), (5, 0));
    }
}

#[test]
fn a_scene_comes_to_its_conclusion_whatever_the_chance() {
    for scene in ["pre-vote", "one-way", "storm"] {
        for seed in 0..25 {
            let run = told(&format!("scene={scene}&seed={seed}"));
            assert!(run.verdict.reached, "{scene} {seed}: {}", run.verdict.sentence);
        }
    }
    // A stale read needs a new leader before the naive lease ends, which a split vote can prevent.
    let reached = |seed: &i32| told(&format!("scene=phantom&seed={seed}")).verdict.reached;
    assert!((0..25).filter(reached).count() > 20);
}

/// A conclusion is told only where the run bears it out.
#[test]
fn what_did_not_happen_is_not_concluded() {
    for scene in ["pre-vote", "one-way", "phantom", "storm"] {
        let run = told(&format!("scene={scene}&script="));
        assert!(!run.verdict.reached, "{scene}: {}", run.verdict.sentence);
    }
    let swapped = told("scene=pre-vote&lanes=psq_0");
    assert!(!swapped.verdict.reached, "{}", swapped.verdict.sentence);
}

#[test]
fn the_rules_as_production_has_them_keep_every_claim_whatever_is_done() {
    let script = "200.crash.0_500.restart.0_700.rate.1.50_800.split.0.1_1500.heal_1600.members.0.1.2_\
                  2100.transfer.2_2600.drop.2.0_2700.isolate.2_3300.heal_3400.members.0.1.2.3.4_\
                  3600.crash.3_3900.campaign.4_4200.restart.3_4300.read.1_4400.propose_5000.deafen.1";
    for seed in 0..20 {
        let run = told(&format!("scene=own&seed={seed}&lanes=psqb_psq_ps&script={script}"));
        for lane in &run.lanes {
            assert_eq!(false_claims(lane), Vec::<&str>::new(), "{seed}: {}", lane.title);
            assert_eq!(lane.counts.stale, 0, "{seed}: {}", lane.title);
            assert!(lane.counts.commits > 20, "{seed}: {:?}", lane.counts);
        }
    }
}

#[test]
fn the_same_address_gives_the_same_bytes_and_another_one_others() {
    for scene in &SCENES {
        let address = format!("scene={}", scene.id);
        let (first, again) = (told(&address).json(), told(&address).json());
        assert!(first == again, "{address}");
        let other = told(&format!("{address}&seed=99")).json();
        assert_ne!(first[..40], other[..40], "{address}: the fingerprint tells them apart");
    }
}

#[test]
fn an_address_is_read_as_it_is_written() {
    let everything = "scene=own&seed=7&servers=4&voters=3&end=2000&election=400&heartbeat=50&latency=5\
                      &writes=50&reads=0&reader=2&lanes=0_psqn_psqb-IgnoresLogs&script=0.isolate.1_\
                      1.cut.0.1_2.heal_3.heal.0.1_4.crash.2_5.restart.2_6.drop.0.1_7.rate.3.150_\
                      8.propose_9.read.0_10.members.0.1_11.transfer.1_12.campaign.3_13.split.0.1_\
                      14.deafen.2";
    assert_eq!(setup(everything).address(), everything);
    for scene in &SCENES {
        let usual = Setup::of(scene);
        assert_eq!(setup(&usual.address()), usual, "{}", scene.id);
    }
    assert_eq!(setup(""), Setup::of(&SCENES[0]));
    // Events may come in any order.
    assert_eq!(setup("script=900.heal_100.isolate.1"), setup("script=100.isolate.1_900.heal"));
}

#[test]
fn an_address_that_means_nothing_is_refused_with_a_sentence() {
    let long = format!("script={}", "1.heal_".repeat(2_000));
    let many = format!("script={}", "1.heal_".repeat(201));
    let cases = [
        ("scene=prevote", "There is no scene \"prevote\". The scenes are pre-vote, one-way"),
        ("scene=pre-vote&sed=3", "\"sed=3\", which means nothing here"),
        ("nonsense", "\"nonsense\", which means nothing here"),
        ("seed=-1", "seed is a whole number from 0 to 999999"),
        ("seed=18446744073709551616", "seed is a whole number"),
        ("servers=0", "servers is a whole number from 1 to 7"),
        ("servers=8", "servers is a whole number from 1 to 7"),
        ("end=60001", "end is a whole number from 100 to 60000"),
        ("writes=1", "writes is a whole number from 20 to 10000"),
        ("lanes=xyz", "lane \"xyz\" cannot be run: a lane is 0, or any of p"),
        ("lanes=psqbn", "a lane has one lease at most"),
        ("lanes=psq-NoSuchRule", "no mutant is named \"NoSuchRule\""),
        ("lanes=0_0_0_0", "4 lanes; one to three can be shown"),
        (
            "script=600.isolate.3",
            "\"600.isolate.3\" cannot be done: there is no server \"3\" among 3",
        ),
        ("script=600.isolate", "isolate needs a server"),
        ("script=600.explode.1", "\"explode\" is nothing that can be done"),
        ("script=soon.heal", "it begins with \"soon\", which is no time in ms"),
        ("script=600.cut.1.1", "cut needs two servers"),
        ("script=600.rate.1.0", "a clock goes at 10 to 400 percent"),
        ("script=600.rate.1", "rate needs a percentage"),
        ("script=600.members", "members needs at least one server"),
        ("script=600.crash.1.2", "crash takes no more than 1 numbers"),
        ("script=60001.heal", "later than 60000 ms"),
        ("script=%3Cscript%3E", "it begins with"),
        (&many, "more than 200 events"),
        (&long, "longer than 8000 characters"),
    ];
    for (address, words) in cases {
        let error = Setup::parse(address).expect_err(address).to_string();
        assert!(error.contains(words), "{address}: {error}");
        assert!(error.ends_with(['.', '?']) && !error.contains('\n'), "{error}");
    }
}

/// An action changes what comes after it, and nothing before.
#[test]
fn an_action_leaves_the_past_as_it_was() {
    let (before, after) =
        (told("scene=pre-vote"), told("scene=pre-vote&script=500.isolate.2_1500.crash.0"));
    for (was, is) in before.lanes.iter().zip(&after.lanes) {
        let sent = |lane: &LaneRecord| {
            let early = lane.messages.iter().filter(|message| message.until < 1_500_000);
            early.map(|message| format!("{message:?}")).collect::<Vec<_>>()
        };
        assert_eq!(sent(was), sent(is));
        let until = |lane: &LaneRecord| lane.leaders.first().map(|reign| reign.until);
        assert!(until(was) > Some(1_500_000), "{}", was.title);
        assert_eq!(until(is), Some(1_500_000), "{}", is.title);
    }
}

#[test]
fn the_heaviest_address_is_cut_short() {
    let run =
        told("scene=own&servers=7&voters=7&heartbeat=10&latency=1&writes=20&end=60000&lanes=0");
    let last = run.lanes[0].notes.last().expect("it says so");
    assert!(last.text.contains("a page can show no more messages"), "{}", last.text);
    assert!(run.lanes[0].messages.len() < 20_100);
}

/// The status, the headers and the body of an answer.
fn ask(at: SocketAddr, method: &str, path: &str) -> (u16, String, String) {
    let mut stream = TcpStream::connect(at).expect("it listens");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: lab\r\nConnection: close\r\n\r\n")
        .expect("it reads");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).expect("it answers");
    let answer = String::from_utf8(answer).expect("all of it is UTF-8");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let status = head.split(' ').nth(1).and_then(|code| code.parse().ok()).expect("a status");
    (status, head.to_lowercase(), body.to_owned())
}

#[test]
fn the_server_gives_pages_and_runs_and_refuses_the_rest() {
    let at = choose("127.0.0.1:0", false).expect("a port is free");
    let bound = bind(at).expect("nobody took it");
    thread::spawn(move || bound.serve());
    let (status, head, body) = ask(at, "GET", "/?whatever");
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'none'"), "{head}");
    // All that the page asks for is here.
    for (mark, end) in [("src=\"", '"'), ("href=\"", '"')] {
        for rest in body.split(mark).skip(1) {
            let name = rest.split(end).next().expect("it ends");
            assert!(
                name.starts_with("data:") || ask(at, "GET", &format!("/{name}")).0 == 200,
                "{name}"
            );
        }
    }
    let (status, head, body) = ask(at, "GET", "/run?scene=storm");
    assert_eq!(status, 200);
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(body == told("scene=storm").json(), "the page gets what a run is");
    let run: serde_json::Value = serde_json::from_str(&body).expect("it is JSON");
    assert_eq!(run["lanes"].as_array().map(Vec::len), Some(2));
    let (status, _, body) = ask(at, "GET", "/run?scene=nowhere");
    assert_eq!(status, 400);
    assert!(body.contains("There is no scene \"nowhere\""), "{body}");
    assert!(head.contains("connection: close"), "or connections would wait for each other: {head}");
    assert_eq!(ask(at, "GET", "/../Cargo.toml").0, 404);
    assert_eq!(ask(at, "POST", "/run?scene=storm").0, 405);
    assert!(bind(at).is_err(), "the address is taken");
}

#[test]
fn connections_that_come_at_once_are_all_answered() {
    let at = choose("127.0.0.1:0", false).expect("a port is free");
    let bound = bind(at).expect("nobody took it");
    thread::spawn(move || bound.serve());
    connections::are_all_answered(at, "/dom.js", "export function icon");
}
