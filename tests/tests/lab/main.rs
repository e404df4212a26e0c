//! In a browser, each scene of the lab comes to its conclusion, everything can be done with the
//! keyboard, and a link is the same run for whoever opens it.

#![cfg(unix)]
#![allow(missing_docs)]

use std::net::SocketAddr;
use std::ops::Deref;
use std::path::PathBuf;
use std::thread;

use quorate_model::explorer::choose;
use quorate_model::lab::{Note, Run, Setup, bind, run};
use quorate_tests::{Page, axe};
use serde_json::Value;
use thirtyfour::Key;

/// The scenes that come to a conclusion.
const SCENES: [&str; 4] = ["pre-vote", "one-way", "phantom", "storm"];

fn told(scene: &str) -> Run {
    run(&Setup::parse(&format!("scene={scene}")).expect("it is a scene"))
}

fn number(value: &Value) -> f64 {
    value.as_f64().unwrap_or_else(|| panic!("{value} is no number"))
}

/// A lab of its own, in a browser.
struct Lab {
    page: Page,
    at: SocketAddr,
}

impl Deref for Lab {
    type Target = Page;

    fn deref(&self) -> &Page {
        &self.page
    }
}

impl Lab {
    async fn open() -> Option<Lab> {
        let page = Page::open().await?;
        let at = choose("127.0.0.1:0", false).expect("a port is free");
        let bound = bind(at).expect("nobody took it");
        thread::spawn(move || bound.serve());
        page.size(1200, 900).await;
        Some(Lab { page, at })
    }

    /// Shows this address of the lab, in a page of its own.
    async fn visit(&self, hash: &str) {
        self.page.visit(&format!("http://{}/{hash}", self.at)).await;
    }

    async fn close(self) {
        self.page.close().await;
    }
}

/// What a counter of a lane shows.
async fn counter(page: &Page, lane: usize, name: &str) -> String {
    let place = format!("[data-lane=\"{lane}\"] [data-counter=\"{name}\"] dd");
    let text = page.evaluate(&format!("document.querySelector('{place}').textContent")).await;
    text.as_str().expect("a counter is text").to_owned()
}

async fn time(page: &Page) -> f64 {
    number(&page.evaluate("Number(document.getElementById('scrub').value)").await)
}

#[tokio::test]
async fn each_scene_comes_to_its_conclusion() {
    let Some(page) = Lab::open().await else { return };
    for scene in SCENES {
        let run = told(scene);
        page.visit(&format!("#scene={scene}")).await;
        assert!(
            !page.text("#sentence").await.contains(&run.verdict.sentence),
            "{scene}: too early"
        );
        page.press(Key::End + "").await;
        assert_eq!(page.text("#sentence").await, run.verdict.sentence, "{scene}");
        let reached = page.evaluate("document.getElementById('sentence').dataset.reached").await;
        assert_eq!(reached, "true", "{scene}");
        for (position, lane) in run.lanes.iter().enumerate() {
            let commits = lane.counts.commits.to_string();
            assert_eq!(
                counter(&page, position, "commits").await,
                commits,
                "{scene}: {}",
                lane.title
            );
        }
        assert_eq!(page.complaints().await, Vec::<String>::new(), "{scene}");
    }
    page.close().await;
}

#[tokio::test]
async fn scene_1_is_told_in_words_while_it_plays() {
    let Some(page) = Lab::open().await else { return };
    // A little before n2 loses its patience.
    page.visit("#scene=pre-vote&t=1000").await;
    let note = |lane: usize| {
        format!("document.querySelector('[data-lane=\"{lane}\"] .notes span').textContent")
    };
    page.press(" ").await;
    page.until("document.body.dataset.playing === 'true'").await;
    page.until(&format!("{}.includes('n2 hears no leader. It calls an election')", note(0))).await;
    page.until(&format!("{}.includes('It asks the others first')", note(1))).await;
    page.press(" ").await;
    assert_eq!(page.evaluate("document.body.dataset.playing").await, "false");
    assert!(page.text("#happening").await.contains("The cable of n2 is pulled"));
    // The end, and how the lanes differ there.
    page.press(Key::End + "").await;
    let run = told("pre-vote");
    for (position, lane) in run.lanes.iter().enumerate() {
        assert_eq!(counter(&page, position, "terms").await, lane.counts.terms.to_string());
        let hundredths = (lane.counts.leaderless + 5_000) / 10_000;
        let seconds = format!("{}.{:02} s", hundredths / 100, hundredths % 100);
        assert_eq!(counter(&page, position, "leaderless").await, seconds);
    }
    page.close().await;
}

/// Whether all of these are within the window, above the player.
fn in_view(selector: &str) -> String {
    format!(
        "[...document.querySelectorAll('{selector}')].every((it) => {{ \
         const box = it.getBoundingClientRect(); \
         const player = document.querySelector('footer').getBoundingClientRect(); \
         return box.height > 0 && box.top >= 0 && box.bottom <= player.top + 1; }})"
    )
}

#[tokio::test]
async fn that_the_leader_steps_down_is_the_first_thing_one_reads_when_it_does() {
    let Some(page) = Lab::open().await else { return };
    let run = told("pre-vote");
    let deposed = |note: &&Note| note.text.contains("n0 has to step down");
    let note = run.lanes[0].notes.iter().find(deposed).expect("it is told");
    for (width, height) in [(1400, 900), (390, 844)] {
        page.size(width, height).await;
        // A link has milliseconds, and the note is within the one before.
        page.visit(&format!("#scene=pre-vote&t={}", note.at / 1_000 + 1)).await;
        let first = "document.querySelector('[data-lane=\"0\"] .notes li:first-child')";
        assert_eq!(page.evaluate(&format!("{first}.dataset.tone")).await, "bad", "{width}");
        let text = page.evaluate(&format!("{first}.lastChild.textContent")).await;
        assert_eq!(text, note.text.as_str(), "{width}");
        let height = page.evaluate(&format!("{first}.getBoundingClientRect().height")).await;
        assert!(number(&height) > 10.0, "{width}: it is seen");
    }
    page.close().await;
}

#[tokio::test]
async fn while_it_plays_on_a_phone_both_lanes_are_in_view() {
    let Some(page) = Lab::open().await else { return };
    page.size(390, 844).await;
    for scene in ["pre-vote", "one-way"] {
        page.visit(&format!("#scene={scene}&t=1000")).await;
        page.press(" ").await;
        page.until("document.body.dataset.playing === 'true'").await;
        page.until(&in_view(".lane h2, .notes li:first-child, .ring, .counters")).await;
        page.press(" ").await;
    }
    page.close().await;
}

#[tokio::test]
async fn whoever_plays_to_the_end_sees_what_it_comes_to() {
    let Some(page) = Lab::open().await else { return };
    for (width, height, motion) in [(1400, 900, "no-preference"), (390, 844, "reduce")] {
        page.size(width, height).await;
        page.prefer("prefers-reduced-motion", motion).await;
        page.visit("#scene=pre-vote&t=3950").await;
        assert_eq!(page.evaluate(&in_view("#sentence")).await, false, "{width}: it lies below");
        page.press(" ").await;
        page.until("document.getElementById('verdict').dataset.over === 'true'").await;
        page.until(&in_view("#sentence")).await;
    }
    page.close().await;
}

#[tokio::test]
async fn the_lane_that_waits_is_red_and_the_one_that_goes_on_is_not() {
    let Some(page) = Lab::open().await else { return };
    page.visit("#scene=one-way&t=60000").await;
    let red = |lane: usize| {
        format!(
            "[...document.querySelectorAll('[data-lane=\"{lane}\"] [data-bad=\"true\"]')]\
             .map((it) => it.dataset.counter).join()"
        )
    };
    assert_eq!(page.evaluate(&red(0)).await, "wait");
    assert_eq!(page.evaluate(&red(1)).await, "");
    page.close().await;
}

#[tokio::test]
async fn everything_can_be_done_with_the_keyboard() {
    let Some(page) = Lab::open().await else { return };
    page.visit("#scene=own").await;
    page.press(Key::Home + "").await;
    let start = time(&page).await;
    page.press(Key::Right + "").await;
    assert!(time(&page).await > start, "an arrow is a step");
    page.visit("#scene=own&t=1000").await;
    page.press("2").await;
    let chosen = "document.querySelector('[data-lane=\"0\"] [data-server=\"2\"]').dataset.chosen";
    assert_eq!(page.evaluate(chosen).await, "true");
    page.press("i").await;
    page.until("location.hash.includes('1000.isolate.2')").await;
    page.until(
        "document.querySelector('.script').textContent.includes('The cable of n2 is pulled')",
    )
    .await;
    page.press("h").await;
    page.until("location.hash.includes('1000.heal')").await;
    page.ready().await;
    // What was used keeps the focus, though the page was built anew.
    page.evaluate("document.getElementById('do-crash').focus()").await;
    page.press(Key::Enter + "").await;
    page.until("location.hash.includes('1000.crash.2')").await;
    page.ready().await;
    assert_eq!(page.evaluate("document.activeElement.id").await, "do-crash");
    page.press("?").await;
    assert_eq!(page.evaluate("document.getElementById('help').open").await, true);
    page.press(Key::Escape + "").await;
    page.until("!document.getElementById('help').open").await;
    page.press("]").await;
    page.until("document.body.dataset.scene === 'pre-vote'").await;
    reaches_every_control(&page).await;
    assert_eq!(page.text("#title").await, "Pre-Vote");
    let hash = page.evaluate("location.hash").await;
    assert!(hash.as_str().is_some_and(|hash| hash.contains("scene=pre-vote")), "{hash}");
    // A server has the focus like a button.
    page.evaluate("document.querySelector('[data-lane=\"1\"] [data-server=\"1\"]').focus()").await;
    page.press(Key::Enter + "").await;
    assert_eq!(page.evaluate("document.getElementById('server-1').checked").await, true);
    assert_eq!(page.complaints().await, Vec::<String>::new());
    page.close().await;
}

/// Tab goes through all that can be used, and shows where it is.
async fn reaches_every_control(page: &Page) {
    page.ready().await;
    page.evaluate("document.activeElement.blur()").await;
    let mut reached = Vec::new();
    for _ in 0..75 {
        page.press(Key::Tab + "").await;
        let at = page.evaluate(
            "(() => { const it = document.activeElement; const style = getComputedStyle(it); \
             return [it.id || it.dataset.server || it.textContent, \
             style.outlineStyle !== 'none' || it.dataset.server !== undefined || it.type === 'radio' \
             || it.type === 'checkbox' || it === document.body]; })()",
        );
        let at = at.await;
        assert_eq!(at[1], true, "{} does not show that it has the focus", at[0]);
        reached.push(at[0].as_str().unwrap_or_default().to_owned());
    }
    for control in [
        "theme",
        "help-button",
        "play",
        "scrub",
        "next",
        "speed",
        "do-isolate",
        "do-cut",
        "rate",
        "seed",
    ] {
        assert!(
            reached.iter().any(|id| id == control),
            "Tab does not reach {control}: {reached:?}"
        );
    }
}

#[tokio::test]
async fn a_link_is_the_same_run_for_whoever_opens_it() {
    let Some(page) = Lab::open().await else { return };
    page.visit("#scene=pre-vote&t=1500").await;
    page.press("0c").await;
    page.until("location.hash.includes('1500.crash.0') && location.hash.includes('run=')").await;
    page.ready().await;
    let shown = "[document.getElementById('lanes').innerHTML, document.getElementById('clock').textContent]";
    let link = page.evaluate("location.hash").await;
    page.visit(link.as_str().expect("a hash is text")).await;
    let first = page.evaluate(shown).await;
    page.visit(link.as_str().expect("a hash is text")).await;
    assert_eq!(first, page.evaluate(shown).await);
    assert_eq!(first[1], "1.50 s");
    let down = "document.querySelector('[data-lane=\"1\"] [data-server=\"0\"]').dataset.role";
    assert_eq!(page.evaluate(down).await, "down");
    assert_eq!(page.evaluate("document.getElementById('message').hidden").await, true);
    page.close().await;
}

#[tokio::test]
async fn a_dead_link_and_a_stale_one_say_so() {
    let Some(page) = Lab::open().await else { return };
    let dead = [
        ("#scene=nowhere", "There is no scene \"nowhere\"."),
        ("#scene=pre-vote&script=5.isolate.9", "there is no server \"9\""),
        ("#gibberish", "means nothing here"),
    ];
    for (hash, words) in dead {
        page.visit(hash).await;
        let text = page.text("#message").await;
        assert!(
            text.contains("This link cannot be opened.") && text.contains(words),
            "{hash}: {text}"
        );
        assert_eq!(page.evaluate("document.getElementById('message').hidden").await, false);
    }
    page.evaluate("document.querySelector('#message a').click()").await;
    page.until("document.body.dataset.scene === 'pre-vote'").await;
    page.ready().await;
    assert_eq!(page.evaluate("document.getElementById('message').hidden").await, true);
    page.visit("#scene=pre-vote&run=0123456789abcdef").await;
    let text = page.text("#message").await;
    assert!(text.contains("made for another version"), "{text}");
    assert_eq!(page.text("#title").await, "Pre-Vote", "it is shown as it runs today");
    page.close().await;
}

#[tokio::test]
async fn nothing_is_wider_than_a_phone() {
    let Some(page) = Lab::open().await else { return };
    for (width, height) in [(360, 780), (800, 900), (1400, 900)] {
        page.size(width, height).await;
        for scene in SCENES.iter().chain(&["own"]) {
            page.visit(&format!("#scene={scene}&t=1500")).await;
            let wide = number(&page.evaluate("document.documentElement.scrollWidth").await);
            assert!(wide <= f64::from(width), "{scene} is {wide} wide at {width}");
        }
    }
    page.close().await;
}

#[tokio::test]
async fn where_less_motion_is_preferred_time_goes_in_steps() {
    let Some(page) = Lab::open().await else { return };
    page.prefer("prefers-reduced-motion", "reduce").await;
    page.visit("#scene=pre-vote&t=400").await;
    page.press(" ").await;
    // The first step is the first event: nothing is shown between the two.
    page.until("Number(document.getElementById('scrub').value) !== 400000").await;
    assert!((time(&page).await - 500_000.0).abs() < 1.0);
    page.close().await;
}

#[tokio::test]
async fn axe_finds_nothing() {
    let Some(axe) = axe() else { return };
    let Some(page) = Lab::open().await else { return };
    for (width, scheme) in [(360, "dark"), (1400, "light"), (1400, "dark"), (360, "light")] {
        page.size(width, 900).await;
        page.prefer("prefers-color-scheme", scheme).await;
        for scene in SCENES.iter().chain(&["own"]) {
            for at in ["t=1300", "t=60000"] {
                page.visit(&format!("#scene={scene}&{at}")).await;
                let found = page.violations(&axe).await;
                assert_eq!(found, Vec::<String>::new(), "{scene} {at}, {width} wide, {scheme}");
            }
        }
    }
    page.visit("#scene=nowhere").await;
    assert_eq!(page.violations(&axe).await, Vec::<String>::new(), "a dead link");
    page.close().await;
}

/// Not a test: takes the picture of the README again, by `just screenshots`.
#[tokio::test]
#[ignore = "writes docs/lab-pre-vote.png: just screenshots"]
async fn screenshot() {
    let page = Lab::open().await.expect("it takes a browser to make a picture");
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs");
    std::fs::create_dir_all(&folder).expect("it can be made");
    page.size(1180, 900).await;
    page.prefer("prefers-color-scheme", "light").await;
    page.visit("#scene=pre-vote&t=2570").await;
    page.evaluate("document.getElementById('happening').scrollIntoView()").await;
    page.picture(&folder.join("lab-pre-vote.png")).await;
    page.close().await;
}
