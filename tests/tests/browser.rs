//! In a browser, the link of a counterexample opens on the step that violates the claim, and the
//! page says of each claim whether it holds in that state.

#![allow(missing_docs)]

#[path = "../../model/tests/common/mutants.rs"]
mod mutants;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use mutants::MUTANTS;
use quorate_model::explorer::{
    Counterexample, TraceWalk, Verdict, Walk, choose, clean_up, link, serve,
};
use quorate_model::mutation::Mutation;
use quorate_model::simulation::{Scenario, Setup, Watch};
use quorate_model::slices;
use quorate_spec::property::Claim;
use quorate_tests::Search;

/// A browser on the path, as Debian and others name it.
fn browser() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let mut places = names
        .iter()
        .flat_map(|name| std::env::split_paths(&path).map(move |folder| folder.join(name)));
    places.find(|place| place.is_file())
}

/// What the page has become after its scripts have run.
fn page(browser: &PathBuf, url: &str) -> String {
    let profile = tempfile::tempdir().expect("a folder for the browser");
    let mut command = Command::new("timeout");
    command.arg("60").arg(browser).args([
        "--headless",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-quic",
        "--no-first-run",
        "--disable-background-networking",
        "--disable-component-update",
        "--disable-sync",
        "--virtual-time-budget=10000",
        "--dump-dom",
    ]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).arg(url);
    let output = command.output().expect("the browser starts");
    let dom = String::from_utf8(output.stdout).expect("a page is UTF-8");
    assert!(dom.contains("data-ready=\"true\""), "{url} does not load: {dom}");
    assert!(!dom.contains("Safety holds"), "the stock page's wrong verdict is shown: {dom}");
    dom
}

/// Removes the unpacked page, whether or not the test passes.
struct CleanUp;

impl Drop for CleanUp {
    fn drop(&mut self) {
        clean_up();
    }
}

/// A counterexample that is being served.
struct Served {
    name: &'static str,
    /// The claim that is false at its end.
    claim: Claim,
    address: SocketAddr,
    link: String,
    /// The link to the state before the violation.
    short: String,
    steps: usize,
    verdicts: Vec<Verdict>,
}

fn counterexample(mutation: Mutation) -> Served {
    let slices: Vec<_> = mutation.slices().iter().filter_map(|name| slices::named(name)).collect();
    let found = Counterexample::find(mutation, &slices).expect("the mutant is killed");
    let last = &found.trace.steps.last().expect("a step violates it").1;
    let verdicts = found.walk.verdicts(last);
    let actions = found.actions();
    served(found.walk, (mutation.name(), mutation.killer()), &actions, verdicts)
}

/// A planted mutant as random runs find it: what is left of the run after shrinking, by its file.
fn shrunk() -> Served {
    let (mutation, claim) = (Mutation::VotesForEveryone, Claim::VoteOncePerTerm);
    let (scenario, watch) = (Scenario::Faults, Watch::Only(claim));
    let setup = Setup { servers: 5, scenario, mutation: Some(mutation), watch };
    let found = Search { setup, runs: 600, steps: 100..900 }.finds().expect("it is found");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("a shrunk run.trace");
    std::fs::write(&path, found.trace.file(&setup)).expect("it can be written");
    let text = std::fs::read_to_string(&path).expect("it is there");
    let walk = TraceWalk::of_file("a shrunk run.trace", &text).expect("it is a trace");
    let (actions, verdicts) = ((1..=walk.last()).collect::<Vec<_>>(), walk.verdicts(&walk.last()));
    served(walk, ("a shrunk run.trace", claim), &actions, verdicts)
}

/// Serves it, and waits until it listens.
fn served<W: Walk>(
    walk: W,
    (name, claim): (&'static str, Claim),
    actions: &[W::Action],
    verdicts: Vec<Verdict>,
) -> Served {
    let address = choose("127.0.0.1:0", false).expect("a port is free");
    let served = Served {
        name,
        claim,
        address,
        link: link(&walk, address, actions),
        short: link(&walk, address, &actions[..actions.len() - 1]),
        steps: actions.len(),
        verdicts,
    };
    thread::spawn(move || serve(walk, address));
    let patience = Instant::now() + Duration::from_secs(20);
    while TcpStream::connect(address).is_err() {
        assert!(Instant::now() < patience, "the Explorer does not listen on {address}");
        thread::sleep(Duration::from_millis(50));
    }
    served
}

/// The part of the page from here to there.
fn element<'a>(dom: &'a str, from: &str, to: &str) -> &'a str {
    let start = dom.find(from).unwrap_or_else(|| panic!("no {from} in {dom}"));
    let length = dom[start..].find(to).unwrap_or_else(|| panic!("no {to} after {from}"));
    &dom[start..start + length]
}

fn opens_on_the_violation(browser: &PathBuf, served: &Served) {
    let name = served.name;
    let dom = page(browser, &served.link);
    assert!(element(&dom, "<div id=\"message\"", ">").contains("hidden"), "{name} complains");
    let position = format!("Step {0} of {0}", served.steps);
    assert!(dom.contains(&format!("<strong id=\"position\">{position}</strong>")), "{name}");
    let path = element(&dom, "<ol id=\"path\"", "</ol>");
    assert_eq!(path.matches("aria-current").count(), 1, "{name}: one step is the current one");
    let current = element(path, "aria-current=\"step\"", "</li>");
    let killer = served.claim.name();
    assert!(current.contains(&format!("✗ {killer} FALSE from here")), "{name}: {current}");
    assert!(path.ends_with(&format!("{current}</li>")), "{name}: it is the last one");
    let claims = element(&dom, "<ul id=\"claims\"", "</ul>");
    assert!(served.verdicts.iter().any(|verdict| verdict.claim == killer && !verdict.holds));
    for Verdict { claim, holds, .. } in &served.verdicts {
        let item = element(claims, &format!("data-claim=\"{claim}\""), "</li>");
        assert!(item.contains(&format!("data-holds=\"{holds}\"")), "{name}: {item}");
        assert!(item.contains(if *holds { "✓ holds" } else { "✗ FALSE" }), "{name}: {item}");
    }
    let items = claims.matches("<li").count();
    assert_eq!(items, served.verdicts.len(), "{name}: every claim is there once");
}

fn a_step_earlier_the_claim_holds(browser: &PathBuf, served: &Served) {
    let dom = page(browser, &served.short);
    let claims = element(&dom, "<ul id=\"claims\"", "</ul>");
    let killer = served.claim.name();
    let item = element(claims, &format!("data-claim=\"{killer}\""), "</li>");
    assert!(item.contains("data-holds=\"true\""), "{item}");
    let path = element(&dom, "<ol id=\"path\"", "</ol>");
    assert!(!path.contains(&format!("✗ {killer} FALSE from here")), "{path}");
}

fn wrong_links_say_so(browser: &PathBuf, served: &Served, other: &Served) {
    let here = format!("http://{}/", served.address);
    let elsewhere = other.link.replace(&format!("http://{}/", other.address), &here);
    let message =
        |url: &str| element(&page(browser, url), "<div id=\"message\"", "</div>").to_owned();
    let text = message(&elsewhere);
    assert!(text.contains(&format!("with mutant {}", other.name)), "{text}");
    assert!(text.contains(&format!("with mutant {}", served.name)), "{text}");
    let too_far = served.link.replacen("#/steps/0", "#/steps/0/999", 1);
    let text = message(&too_far);
    assert!(text.contains("Step 1 of this link does not exist here"), "{text}");
    let cut = served.link.rfind("&state=").expect("a link carries its state");
    let text = message(&format!("{}&state=0123456789abcdef", &served.link[..cut]));
    assert!(text.contains("made for another version of the specification"), "{text}");
    assert!(message(&format!("{here}#/nonsense")).contains("This is no link of the Explorer"));
}

// One test: what is served shares the unpacked page, which is removed at its end.
#[test]
fn the_link_of_a_counterexample_opens_on_its_violation() {
    let Some(browser) = browser() else {
        // Written past the test harness, which would keep it to itself.
        let reason = "SKIPPED: no chromium, chromium-browser or google-chrome on PATH";
        writeln!(std::io::stderr(), "{reason}").expect("there is a standard error");
        return;
    };
    let _folder = CleanUp;
    let served: Vec<Served> = MUTANTS.into_iter().map(counterexample).collect();
    for one in &served {
        opens_on_the_violation(&browser, one);
    }
    let shrunk = shrunk();
    opens_on_the_violation(&browser, &shrunk);
    a_step_earlier_the_claim_holds(&browser, &served[0]);
    a_step_earlier_the_claim_holds(&browser, &shrunk);
    wrong_links_say_so(&browser, &served[0], &served[2]);
}
