//! What a scene comes to, in a few sentences: told only if the run bears it out.

use serde::Serialize;

use super::record::{Counts, Happened, LaneRecord, Reign};
use super::script::{Deed, Event};
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
        ("pre-vote", [_, _]) => pre_vote(setup, lanes),
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

/// A server that was alone comes back: what its term does to a leader that works.
fn pre_vote(setup: &Setup, lanes: &[LaneRecord]) -> Option<String> {
    let (id, left, back) = alone(setup)?;
    let [naive, asks] = lanes else { return None };
    let (term, kept) = (term_at(naive, id, back), term_at(asks, id, back));
    // Nobody else called an election before the leader fell: so it fell by this server's term alone.
    let works = |reign: &&Reign| reign.server != id && reign.from < left && reign.until > back;
    let deposed = naive.leaders.iter().find(|reign| works(reign) && reign.deposed_by.is_some())?;
    let by_it = |election: &Happened| election.server == id || election.at > deposed.until;
    let leads = asks.leaders.iter().find(|reign| works(reign) && reign.until >= end(setup))?;
    let noticed = asks.counts.terms + asks.counts.changes + asks.counts.leaderless;
    if term == kept || !naive.elections.iter().all(by_it) || noticed > 0 {
        return None;
    }
    let (leader, heard) = (deposed.server, deposed.deposed_by.unwrap_or(term));
    let went_on = if heard > term { format!(", went on to term {heard}") } else { String::new() };
    let lost = match asks.counts.commits.saturating_sub(naive.counts.commits) {
        0 => String::new(),
        1 => ", and 1 fewer write was committed".to_owned(),
        lost => format!(", and {lost} fewer writes were committed"),
    };
    let won = naive.leaders.iter().any(|reign| reign.server == id);
    let behind = naive.behind.iter().any(|it| it.server == id && it.at > back);
    let vain = if behind && !won {
        let vain = format!(" All for nothing: n{id} itself could not win, for its log was behind.");
        let why = " That is also why the others told it no under Pre-Vote; where nothing is written \
                   they might say yes, unless they promise not to vote while they hear a leader.";
        let told_so = asks.behind.iter().any(|it| it.server == id && it.at > back);
        if told_so { vain + why } else { vain }
    } else {
        String::new()
    };
    let waited = if setup.writes > 0 && asks.refused.is_empty() {
        ": no write had to wait for a leader"
    } else {
        ""
    };
    Some(format!(
        "The same cable, the same {}. Without Pre-Vote n{id} came back with term {term}{went_on}, \
         and that alone made n{leader}, a healthy leader, step down: nobody led for {}{lost}.{vain} \
         With Pre-Vote its term stayed {kept}, and n{} went on leading{waited}.",
        span(back - left),
        seconds(naive.counts.leaderless),
        leads.server,
    ))
}

/// The server whose cable was pulled first, when, and when every link worked again.
fn alone(setup: &Setup) -> Option<(u64, i64, i64)> {
    let (left, id) = setup.script.iter().find_map(|event| match event.deed {
        Deed::Isolate(id) => Some((event.at, id as u64)),
        _ => None,
    })?;
    let healed = |event: &&Event| event.deed == Deed::HealAll && event.at > left;
    let back = setup.script.iter().find(healed)?.at;
    let micros = |at: u64| at.cast_signed() * 1_000;
    Some((id, micros(left), micros(back)))
}

/// The term of a server at some moment.
fn term_at(lane: &LaneRecord, server: u64, at: i64) -> u64 {
    let track = &lane.tracks[server as usize];
    track.iter().take_while(|view| view.at <= at).last().map_or(0, |view| view.term)
}

fn end(setup: &Setup) -> i64 {
    setup.end.cast_signed() * 1_000
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
             in time, and Read-Index asks every time: where n0 could not know, it gave no answer. \
             A wrong answer is worse than none: whoever gets it cannot tell.",
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
            text.push_str(&format!(", {}", counted(stale, "wrong answer")));
        }
        if broken > 0 {
            text.push_str(&format!(", {} broken", counted(broken, "safety claim")));
        }
        text + "."
    };
    lanes.iter().map(lane).collect::<Vec<_>>().join(" ")
}

fn counted(number: u64, one: &str) -> String {
    if number == 1 { format!("1 {one}") } else { format!("{number} {one}s") }
}

/// Rounded as the page rounds it.
fn seconds(micros: u64) -> String {
    let hundredths = (micros + 5_000) / 10_000;
    format!("{}.{:02} s", hundredths / 100, hundredths % 100)
}

/// A time, as people say it where it is a round one.
fn span(micros: i64) -> String {
    match micros {
        1_000_000 => "second".to_owned(),
        2_000_000 => "two seconds".to_owned(),
        micros => seconds(micros.unsigned_abs()),
    }
}
