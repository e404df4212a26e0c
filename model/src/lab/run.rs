//! All lanes of a run, as the page gets them.

use serde::Serialize;

use super::record::LaneRecord;
use super::scene::SCENES;
use super::setup::Setup;
use super::verdict::{Verdict, verdict};
use super::world::World;
use crate::mutation::Mutation;

/// A run and everything that a page shows of it.
#[derive(Serialize, Debug)]
pub struct Run {
    /// Every scene, for the menu.
    pub scenes: Vec<SceneName>,
    /// The scene.
    pub scene: SceneText,
    /// The address that gives this run, without the fingerprint.
    pub address: String,
    /// What may be changed of it.
    pub settings: Settings,
    /// What happens, in the order of time.
    pub script: Vec<Told>,
    /// Which links are cut, from when to when.
    pub cuts: Vec<Cut>,
    /// The lanes.
    pub lanes: Vec<LaneRecord>,
    /// Rules that can be broken on purpose, with what is then wrong, in the free scene.
    pub mutants: Vec<(&'static str, &'static str)>,
    /// What it comes to.
    pub verdict: Verdict,
}

/// A scene in the menu.
#[derive(Serialize, Debug)]
pub struct SceneName {
    /// Its name in addresses.
    pub id: &'static str,
    /// Its name for people.
    pub title: &'static str,
}

/// What a scene says of itself.
#[derive(Serialize, Debug)]
#[allow(missing_docs, reason = "as in `Scene`")]
pub struct SceneText {
    pub id: &'static str,
    pub title: &'static str,
    pub question: &'static str,
    pub lead: &'static str,
    pub watch: &'static str,
}

/// Settings of a run, in milliseconds.
#[derive(Serialize, Debug)]
#[allow(missing_docs, reason = "as in `Setup`")]
pub struct Settings {
    pub seed: u64,
    pub servers: u64,
    pub end: u64,
    pub election: u64,
    pub heartbeat: u64,
    pub writes: u64,
    pub reads: u64,
    pub reader: u64,
}

/// An event of the script.
#[derive(Serialize, Debug)]
pub struct Told {
    /// When, in milliseconds.
    pub at: u64,
    /// As an address has it.
    pub word: String,
    /// What happens, for people.
    pub text: String,
}

/// A link that is cut in one direction, in microseconds.
#[derive(Serialize, Debug)]
#[allow(missing_docs, reason = "plain")]
pub struct Cut {
    pub from: usize,
    pub to: usize,
    pub at: u64,
    pub until: u64,
}

/// Runs every lane.
#[must_use]
pub fn run(setup: &Setup) -> Run {
    let lanes: Vec<LaneRecord> =
        (0..setup.lanes.len()).map(|position| World::run(setup, position)).collect();
    let scene = setup.scene;
    let told = setup.script.iter().map(|event| Told {
        at: event.at,
        word: event.to_string(),
        text: event.deed.words(),
    });
    Run {
        scenes: SCENES.iter().map(|scene| SceneName { id: scene.id, title: scene.title }).collect(),
        scene: SceneText {
            id: scene.id,
            title: scene.title,
            question: scene.question,
            lead: scene.lead,
            watch: scene.watch,
        },
        address: setup.address(),
        settings: Settings {
            seed: setup.seed,
            servers: setup.servers,
            end: setup.end,
            election: setup.election,
            heartbeat: setup.heartbeat,
            writes: setup.writes,
            reads: setup.reads,
            reader: setup.reader,
        },
        script: told.collect(),
        cuts: cuts(setup),
        mutants: mutants(setup),
        verdict: verdict(setup, &lanes),
        lanes,
    }
}

fn mutants(setup: &Setup) -> Vec<(&'static str, &'static str)> {
    let named = Mutation::ALL.iter().map(|mutation| (mutation.name(), mutation.about()));
    named.filter(|_| setup.scene.id == "own").collect()
}

impl Run {
    /// The bytes that the page gets: the run with its fingerprint, which changes with every byte of
    /// the run. A link that carries one can tell whether it still shows what it was made for.
    #[must_use]
    pub fn json(&self) -> String {
        let text = serde_json::to_string(self).expect("a run has no maps");
        let fingerprint = fingerprint(text.as_bytes());
        format!("{{\"fingerprint\":\"{fingerprint}\",{}", &text[1..])
    }
}

/// A hash that is the same on every machine (FNV-1a).
fn fingerprint(bytes: &[u8]) -> String {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01B3);
    format!("{:016x}", bytes.iter().fold(0xCBF2_9CE4_8422_2325, step))
}

/// When which link is cut: the script alone decides that.
fn cuts(setup: &Setup) -> Vec<Cut> {
    let mut cuts: Vec<Cut> = Vec::new();
    let servers = setup.servers as usize;
    let end = setup.end * 1_000;
    for event in setup.script.iter().filter(|event| event.at <= setup.end) {
        let at = event.at * 1_000;
        for (from, to) in (0..servers).flat_map(|from| (0..servers).map(move |to| (from, to))) {
            let same = |cut: &Cut| (cut.from, cut.to, cut.until) == (from, to, end);
            let open = cuts.iter().position(same);
            match (event.deed.cuts(from, to).filter(|_| from != to), open) {
                (Some(true), None) => cuts.push(Cut { from, to, at, until: end }),
                (Some(false), Some(open)) => cuts[open].until = at,
                _ => {}
            }
        }
    }
    cuts
}
