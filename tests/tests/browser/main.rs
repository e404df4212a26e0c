//! In a browser, the link of a counterexample opens on the step that violates the claim, and the
//! page says of each claim whether it holds in that state, why one does not, and what changed; with
//! the keyboard alone, at a phone's width, and without a complaint of the browser's.

#![cfg(unix)]
#![allow(missing_docs)]

#[path = "../../../model/tests/common/mutants.rs"]
mod mutants;

use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use mutants::MUTANTS;
use quorate_model::explorer::{
    Counterexample, Scenario, TraceWalk, Verdict, Walk, choose, clean_up, link, serve,
};
use quorate_model::mutation::Mutation;
use quorate_model::simulation::{Scenario as Fault, Setup, Watch};
use quorate_model::slices;
use quorate_spec::property::Claim;
use quorate_tests::{Page, Search, axe};
use serde_json::Value;
use thirtyfour::{Key, TypingData};

/// How many tests use the unpacked page, which is one for the whole process.
static USERS: Mutex<usize> = Mutex::new(0);

/// Removes the unpacked page with the last test that uses it, whether or not that passes.
struct Folder;

impl Folder {
    fn shared() -> Folder {
        *USERS.lock().expect("no thread panics here") += 1;
        Folder
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let mut users = USERS.lock().expect("no thread panics here");
        *users -= 1;
        if *users == 0 {
            clean_up();
        }
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
    let (scenario, watch) = (Fault::Faults, Watch::Only(claim));
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

/// A recorded run of so many steps of five servers.
fn recorded(steps: usize) -> Served {
    let text = "servers 5\ntimeout 0 0 0\ncalm 0 9 0\npropose 0 0 0\ncalm 0 9 0\n".repeat(9);
    let walk = TraceWalk::of_file("calm.trace", &text).expect("it is a trace");
    let actions: Vec<usize> = (1..=walk.last().min(steps)).collect();
    let verdicts = walk.verdicts(&actions.len());
    served(walk, ("a recorded run", Claim::ElectionSafety), &actions, verdicts)
}

/// A way of so many steps among five servers, or as far as there is one, with every choice that the
/// slice has at each.
fn long(steps: usize) -> Served {
    let slice = slices::named("replication-five").expect("a slice");
    let walk = quorate_model::explorer::SliceWalk::sound(slice);
    let (mut state, mut actions, mut seen) = (walk.initial(), Vec::new(), Vec::new());
    while actions.len() < steps {
        seen.push(state.clone());
        let mut all = walk.steps(&state);
        all.retain(|(_, next)| !walk.steps(next).is_empty());
        if all.is_empty() {
            break;
        }
        let fresh = all.iter().position(|(_, next)| !seen.contains(next));
        let (action, next) = all.swap_remove(fresh.unwrap_or(actions.len() % all.len()));
        actions.push(action);
        state = next;
    }
    let verdicts = walk.verdicts(&state);
    served(walk, ("replication-five", Claim::ElectionSafety), &actions, verdicts)
}

/// The list of claims as the page has it: name, whether it holds, and the text.
async fn claims(page: &Page) -> Vec<(String, String, String)> {
    let all = "[...document.querySelectorAll('#claims > li')]\
        .map((it) => [it.dataset.claim, it.dataset.holds, it.textContent])";
    let all = page.evaluate(all).await;
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let rows = all.as_array().expect("a list").iter();
    rows.map(|row| (text(&row[0]), text(&row[1]), text(&row[2]))).collect()
}

/// Walks to the step of this number by the keys, and waits until it is shown.
async fn walk(page: &Page, keys: impl Into<TypingData>, step: usize) {
    page.press(keys).await;
    page.until(&format!("document.body.dataset.step === '{step}'")).await;
}

async fn opens_on_the_violation(page: &Page, served: &Served) {
    let name = served.name;
    page.visit(&served.link).await;
    assert_eq!(page.evaluate("document.getElementById('message').hidden").await, true, "{name}");
    assert_eq!(page.text("#position").await, format!("Step {0} of {0}", served.steps), "{name}");
    let current = page.text("#path [aria-current=step]").await;
    let killer = served.claim.name();
    assert!(current.contains(&format!("✗ {killer} FALSE from here")), "{name}: {current}");
    let last = "document.querySelector('#path > li:last-child [aria-current=step]') !== null";
    assert_eq!(page.evaluate(last).await, true, "{name}: the current step is the last one");
    let shown = claims(page).await;
    assert_eq!(shown.len(), served.verdicts.len(), "{name}: every claim is there once");
    for Verdict { claim, holds, .. } in &served.verdicts {
        let (_, says, text) = shown.iter().find(|(it, ..)| it == claim).expect("it is there");
        assert_eq!(says, &holds.to_string(), "{name}: {claim}");
        assert!(text.contains(if *holds { "✓ holds" } else { "✗ FALSE" }), "{name}: {text}");
    }
    let (_, holds, first) = &shown[0];
    assert!(holds == "false" && first.contains("the first"), "{name}: {first}");
    let why = page.text("#why").await;
    assert!(why.contains(&format!("✗ {killer} is false, by this step")), "{name}: {why}");
    // Where links alone were cut, no server stands out.
    let marked = "document.querySelector('#grid .counted') !== null \
        || document.getElementById('changes') === null";
    assert_eq!(page.evaluate(marked).await, true, "{name}: nobody is marked");
    let stock = page.evaluate("document.body.textContent.includes('Safety holds')").await;
    assert_eq!(stock, false, "the stock page's wrong verdict is shown");
    assert_eq!(page.complaints().await, Vec::<String>::new(), "{name}");
}

async fn a_step_earlier_the_claim_holds(page: &Page, served: &Served) {
    page.visit(&served.short).await;
    let (killer, shown) = (served.claim.name(), claims(page).await);
    let (_, holds, _) = shown.iter().find(|(it, ..)| it == killer).expect("it is there");
    assert_eq!(holds, "true");
    let path = page.text("#path").await;
    assert!(!path.contains(&format!("✗ {killer} FALSE from here")), "{path}");
}

#[tokio::test]
async fn the_link_of_a_counterexample_opens_on_its_violation() {
    let Some(page) = Page::open().await else { return };
    let _folder = Folder::shared();
    assert!(MUTANTS.len() >= 10);
    let first = counterexample(MUTANTS[0]);
    opens_on_the_violation(&page, &first).await;
    a_step_earlier_the_claim_holds(&page, &first).await;
    for mutation in MUTANTS.into_iter().skip(1) {
        opens_on_the_violation(&page, &counterexample(mutation)).await;
    }
    let shrunk = shrunk();
    opens_on_the_violation(&page, &shrunk).await;
    a_step_earlier_the_claim_holds(&page, &shrunk).await;
    page.close().await;
}

#[tokio::test]
async fn a_dead_link_and_a_stale_one_say_so() {
    let Some(page) = Page::open().await else { return };
    let _folder = Folder::shared();
    let served = counterexample(Mutation::CountsOldVotes);
    let here = format!("http://{}/", served.address);
    let cut = served.link.rfind("&state=").expect("a link carries its state");
    let links = [
        (
            served.link.replace("mutant=CountsOldVotes", "mutant=NoPromise"),
            "with mutant NoPromise. What is served, and shown from its start, is slice \
             election-async with mutant CountsOldVotes",
        ),
        (
            served.link.replacen("#/steps/0", "#/steps/0/999", 1),
            "Step 1 of this link does not exist here",
        ),
        (
            format!("{}&state=0123456789abcdef", &served.link[..cut]),
            "made for another version of the specification",
        ),
        (format!("{here}#/nonsense"), "This is no link of the Explorer"),
    ];
    for (link, words) in links {
        page.visit(&link).await;
        let text = page.text("#message").await;
        assert!(text.contains(words), "{link}: {text}");
        assert_eq!(page.evaluate("document.getElementById('message').hidden").await, false);
    }
    page.close().await;
}

#[tokio::test]
async fn everything_can_be_done_with_the_keyboard() {
    let Some(page) = Page::open().await else { return };
    let _folder = Folder::shared();
    let served = counterexample(Mutation::CountsOldVotes);
    page.visit(&served.link).await;
    walk(&page, Key::Home + "", 0).await;
    walk(&page, "jj", 2).await;
    walk(&page, "k", 1).await;
    walk(&page, Key::Right + "", 2).await;
    walk(&page, Key::Left + "", 1).await;
    // The first claim falls in step 5, the mutant's own in step 7.
    walk(&page, "v", 5).await;
    let why = page.text("#why-title").await;
    assert!(why.contains("JointQuorum is false, by this step"), "{why}");
    walk(&page, Key::End + "", served.steps).await;
    page.press("?").await;
    assert_eq!(page.evaluate("document.getElementById('help').open").await, true);
    page.press("k").await;
    page.press(Key::Escape + "").await;
    page.until("!document.getElementById('help').open").await;
    assert_eq!(page.text("#position").await, format!("Step {0} of {0}", served.steps), "{why}");
    page.press("s").await;
    page.until("document.getElementById('sentences').getAttribute('aria-pressed') === 'true'")
        .await;
    // Another step is chosen, and the link is that of the new way.
    walk(&page, Key::Home + "", 0).await;
    page.press("n").await;
    let chosen = page.evaluate("document.activeElement.textContent").await;
    page.press(Key::Enter + "").await;
    page.until("document.getElementById('position').textContent === 'Step 1 of 1'").await;
    assert_eq!(page.text("#path [aria-current=step] span + span").await, chosen);
    page.press("c").await;
    let end = format!(
        "document.getElementById('position').textContent === 'Step {0} of {0}'",
        served.steps
    );
    page.until(&end).await;
    page.visit(&served.link).await;
    reaches_every_control(&page).await;
    assert_eq!(page.complaints().await, Vec::<String>::new());
    page.close().await;
}

/// Tab goes through all that can be used, and shows where it is.
async fn reaches_every_control(page: &Page) {
    let mut reached = Vec::new();
    while !reached.contains(&"diagram".to_owned()) {
        assert!(reached.len() < 200, "Tab does not come to the diagram: {reached:?}");
        page.press(Key::Tab + "").await;
        let at = page.evaluate(
            "(() => { const it = document.activeElement; \
             return [it.id || it.textContent, getComputedStyle(it).outlineStyle !== 'none']; })()",
        );
        let at = at.await;
        assert_eq!(at[1], true, "{} does not show that it has the focus", at[0]);
        reached.push(at[0].as_str().unwrap_or_default().to_owned());
    }
    for control in ["first", "back", "keys", "next", "export", "scenario", "sentences"] {
        assert!(
            reached.iter().any(|id| id == control),
            "Tab does not reach {control}: {reached:?}"
        );
    }
}

#[tokio::test]
async fn a_step_shows_what_changed_by_which_rule_and_what_would_be_refused() {
    let Some(page) = Page::open().await else { return };
    let _folder = Folder::shared();
    let served = counterexample(Mutation::CountsOldVotes);
    page.visit(&served.link).await;
    let changes = page.text("#changes").await;
    assert!(changes.contains("n1roleCandidate→ Leader"), "{changes}");
    let grid = page.text("#grid").await;
    assert!(grid.contains("entry 1 of term 2, not known to be committed"), "{grid}");
    assert!(grid.contains("counted for n0 in term 2"), "{grid}");
    let steps = page.text("#step").await;
    assert!(steps.contains("spec/src/transition/request_vote.rs:"), "{steps}");
    // The function itself is there, without a network.
    page.evaluate("document.querySelector('#step details.source summary').click()").await;
    page.until("document.querySelector('#step details.source pre')?.textContent.includes('fn ')")
        .await;
    let refused = page.text("#refused").await;
    assert!(refused.contains("refused NotLeader"), "{refused}");
    // What is handed on is the whole way, and a scenario that replays.
    let document = page.evaluate("exported()").await;
    let path = document["path"].as_array().expect("a list");
    assert_eq!(path.len(), served.steps + 1);
    assert!(document["served"]["sources"].is_null(), "it is no copy of the specification");
    let text = page.evaluate("view.served.scenario").await;
    let scenario = Scenario::parse(text.as_str().expect("text")).expect("it is one");
    assert_eq!((scenario.claim, scenario.steps.len()), (served.claim, served.steps));
    page.close().await;
}

#[tokio::test]
async fn nothing_is_wider_than_the_page_and_no_name_breaks_within_a_word() {
    let Some(page) = Page::open().await else { return };
    let _folder = Folder::shared();
    let timed = counterexample(Mutation::LeaseOneTickLonger);
    let other = counterexample(Mutation::CountsOldVotes);
    for (width, height) in [(390, 780), (800, 900), (1000, 900), (1400, 900)] {
        page.size(width, height).await;
        for served in [&timed, &other] {
            page.visit(&served.link).await;
            let wide = page.evaluate("document.documentElement.scrollWidth").await;
            let wide = wide.as_u64().expect("a number");
            assert!(wide <= u64::from(width), "{} is {wide} wide at {width}", served.name);
            // A word of a name that is broken would have more than one box.
            let broken = "[...document.querySelectorAll('#claims .name')].filter((name) => \
                [...name.childNodes].some((part) => { if (part.nodeType !== 3) return false; \
                const range = document.createRange(); range.selectNodeContents(part); \
                return range.getClientRects().length > 1; })).map((name) => name.textContent)";
            assert_eq!(page.evaluate(broken).await, Value::Array(Vec::new()), "at {width}");
        }
    }
    let clock = page.text("#servers").await;
    assert!(!clock.contains("clock may gain 2 on"), "{clock}");
    page.visit(&timed.link).await;
    let clock = page.text("#servers").await;
    assert!(clock.contains("n0's clock may still gain 2 ticks on n1's"), "{clock}");
    page.close().await;
}

#[tokio::test]
async fn axe_finds_nothing() {
    let Some(axe) = axe() else { return };
    let Some(page) = Page::open().await else { return };
    let _folder = Folder::shared();
    let timed = counterexample(Mutation::LeaseOneTickLonger);
    for (width, scheme) in [(390, "dark"), (1400, "light"), (1400, "dark"), (390, "light")] {
        page.size(width, 900).await;
        page.prefer("prefers-color-scheme", scheme).await;
        for link in [&timed.link, &timed.short, &format!("http://{}/#/nonsense", timed.address)] {
            page.visit(link).await;
            let found = page.violations(&axe).await;
            assert_eq!(found, Vec::<String>::new(), "{link}, {width} wide, {scheme}");
        }
    }
    page.press("?").await;
    assert_eq!(page.violations(&axe).await, Vec::<String>::new(), "the help");
    page.close().await;
}

/// Not a test: writes the picture of the README, by `just screenshots`.
#[tokio::test]
#[ignore = "writes docs/explorer.png: just screenshots"]
async fn screenshots() {
    let page = Page::open().await.expect("it takes a browser to make a picture");
    let _folder = Folder::shared();
    let served = counterexample(Mutation::CountsOldVotes);
    page.size(1400, 1500).await;
    page.prefer("prefers-color-scheme", "light").await;
    page.visit(&served.link).await;
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
    page.picture(&folder.join("explorer.png")).await;
    page.close().await;
}

/// Not a test: prints how long a long way takes to open, and a step to be shown.
#[tokio::test]
#[ignore = "prints times: cargo test -p quorate-tests --test browser times -- --ignored --nocapture"]
async fn times() {
    let page = Page::open().await.expect("it takes a browser to measure one");
    let _folder = Folder::shared();
    for served in [recorded(60), long(60)] {
        measure(&page, &served).await;
    }
    page.close().await;
}

async fn measure(page: &Page, served: &Served) {
    page.visit(&served.link).await;
    println!("{}", served.name);
    println!("{} steps: {}", served.steps, page.text("#position").await);
    let opened = "performance.getEntriesByName('show')[0]";
    let at = page.evaluate(&format!("{opened}.startTime + {opened}.duration")).await;
    println!("opened {at} ms after the navigation began");
    for step in (0..served.steps).rev() {
        walk(page, "k", step).await;
    }
    let shown = "performance.getEntriesByName('show').map((it) => it.duration)";
    let mut shown: Vec<f64> = serde_json::from_value(page.evaluate(shown).await).expect("numbers");
    shown.sort_by(f64::total_cmp);
    let (median, worst) = (shown[shown.len() / 2], shown[shown.len() - 1]);
    println!("a step is shown in {median:.1} ms, at most {worst:.1} ms");
}
