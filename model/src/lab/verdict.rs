//! What a scene comes to, in one sentence: told only if the run bears it out.

use serde::Serialize;

use super::record::{Counts, LaneRecord};
use super::setup::Setup;

/// The conclusion of a run.
#[derive(Serialize, PartialEq, Eq, Debug)]
pub struct Verdict {
    /// Whether the run shows what its scene is for.
    pub reached: bool,
    /// The conclusion.
    pub sentence: String,
}

/// The conclusion of a run with these lanes.
pub(crate) fn verdict(setup: &Setup, lanes: &[LaneRecord]) -> Verdict {
    let counts: Vec<Counts> = lanes.iter().map(|lane| lane.counts).collect();
    let told = match (setup.scene.id, &counts[..]) {
        _ if !setup.keeps_the_scene() => None,
        ("pre-vote", [naive, asks]) => pre_vote(naive, asks),
        ("one-way", [off, on]) => one_way(off, on),
        ("phantom", [naive, bounded, index]) => phantom(naive, bounded, index),
        ("storm", [one_step, joint]) => storm(one_step, joint),
        _ => None,
    };
    match told {
        Some(sentence) => Verdict { reached: true, sentence },
        None => Verdict { reached: false, sentence: plain(lanes) },
    }
}

fn pre_vote(naive: &Counts, asks: &Counts) -> Option<String> {
    let shown = naive.terms > 0 && naive.changes > 0 && asks.terms == 0 && asks.changes == 0;
    shown.then(|| {
        format!(
            "The same cable, the same two seconds. Without Pre-Vote the server that came back \
             burned {} and threw a healthy leader out: for {} nobody led. With Pre-Vote nobody \
             noticed.",
            counted(naive.terms, "term"),
            seconds(naive.leaderless)
        )
    })
}

fn one_way(off: &Counts, on: &Counts) -> Option<String> {
    let shown = off.changes == 0 && on.changes > 0 && on.longest_wait < off.longest_wait;
    shown.then(|| {
        format!(
            "A leader that nobody can answer blocks the cluster for as long as it leads: {} \
             without a commit, and no end to it. With check-quorum it steps down, another one \
             leads, and the longest wait is {}.",
            seconds(off.longest_wait),
            seconds(on.longest_wait)
        )
    })
}

fn phantom(naive: &Counts, bounded: &Counts, index: &Counts) -> Option<String> {
    let shown = naive.stale > 0 && bounded.stale == 0 && index.stale == 0 && bounded.fresh > 0;
    shown.then(|| {
        format!(
            "The naive lease served {} of values that were no longer true. The bounded lease ends \
             in time, and Read-Index asks every time: where n0 could not know, it gave no answer.",
            counted(naive.stale, "read")
        )
    })
}

fn storm(one_step: &Counts, joint: &Counts) -> Option<String> {
    let shown = one_step.contradicted > 0 && joint.contradicted == 0 && joint.broken == 0;
    shown.then(|| {
        format!(
            "In one step, two leaders had a majority each, and {} were told to clients that \
             contradict each other. With joint consensus the old leader lacked a majority of the \
             three: it decided nothing, and nothing was lost.",
            counted(one_step.contradicted, "commit")
        )
    })
}

/// What happened, where the scene's own conclusion does not hold.
fn plain(lanes: &[LaneRecord]) -> String {
    let lane = |lane: &LaneRecord| {
        let Counts { terms, changes, leaderless, commits, stale, broken, .. } = lane.counts;
        let mut text = format!(
            "{}: {}, {}, {} without a leader, {}",
            lane.title,
            counted(terms, "new term"),
            counted(changes, "new leader"),
            seconds(leaderless),
            counted(commits, "write") + " committed",
        );
        if stale > 0 {
            text.push_str(&format!(", {}", counted(stale, "stale read")));
        }
        if broken > 0 {
            text.push_str(&format!(", {} false", counted(broken, "safety claim")));
        }
        text + "."
    };
    lanes.iter().map(lane).collect::<Vec<_>>().join(" ")
}

fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

fn seconds(micros: u64) -> String {
    format!("{}.{:02} s", micros / 1_000_000, micros % 1_000_000 / 10_000)
}
