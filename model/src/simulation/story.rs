//! A run in sentences, for the person who has to find out why a claim is false.

use std::fmt::Write;

use quorate_spec::{Duration, Envelope, Instant, Node, NodeId};

use super::cluster::Cluster;
use super::property::{Play, Setup};
use super::replay::Reel;
use super::server::{Happening, Outcome};
use super::trace::Trace;
use crate::render;
use crate::server::Server;

/// How many of the last steps a story tells.
const LAST: usize = 40;

/// What is told of a run as it goes. It costs time, so most runs are not told.
pub(crate) enum Story {
    Untold,
    /// In sentences.
    Told(Vec<String>),
    /// In sentences, each with the state that it leads to.
    Shown(Reel),
}

/// What an operation on a server did, in clauses.
pub(crate) struct Clauses {
    /// What happened to it, and what changed by that.
    pub(crate) happened: Vec<String>,
    /// What it sends.
    pub(crate) sent: Vec<String>,
    /// How much of this a reader has to know.
    pub(crate) weight: Weight,
}

/// How much a reader has to know of something.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// A driver looked at its clock, and nothing was due.
    Nothing,
    /// Time passed, and nothing came of it.
    Time,
    /// Something happened.
    Event,
}

impl Clauses {
    /// What happened to a server at these instants of its clock.
    pub(crate) fn of(
        happening: &Happening,
        (before, earlier): (&Node, Instant),
        (after, now): (&Node, Instant),
        outcome: &Outcome,
    ) -> Clauses {
        let id = before.id();
        let mut news = render::changes(before, after);
        if before.promised_until() > earlier && after.promised_until() <= now {
            news.push(format!("n{id}'s promise not to vote ends"));
        }
        news.extend(outcome.refused.iter().map(|refusal| format!("refused: {refusal}")));
        let quiet = news.is_empty() && outcome.sent.is_empty();
        let weight = match happening {
            Happening::ElapseInTime(_) if quiet => Weight::Nothing,
            Happening::Elapse(_) if quiet => Weight::Time,
            _ => Weight::Event,
        };
        let opening = format!("n{id} {}", words(happening));
        let happened = std::iter::once(opening).chain(news).collect();
        Clauses { happened, sent: outcome.sent.iter().map(render::sending).collect(), weight }
    }

    /// Whether the server could serve lease reads before, and can now.
    pub(crate) fn lease(&mut self, id: NodeId, before: bool, now: bool) {
        match (before, now) {
            (false, true) => self.happened.push(format!("n{id} may serve lease reads")),
            (true, false) => self.happened.push(format!("n{id} may serve no lease read any more")),
            (true, true) | (false, false) => return,
        }
        self.weight = Weight::Event;
    }
}

impl Story {
    pub(crate) fn is_told(&self) -> bool {
        !matches!(self, Story::Untold)
    }

    fn say(&mut self, sentence: impl FnOnce() -> String) {
        match self {
            Story::Untold => {}
            Story::Told(sentences) => sentences.push(sentence()),
            Story::Shown(reel) => reel.say(sentence()),
        }
    }

    pub(crate) fn network(&mut self, sentence: &str) {
        self.say(|| sentence.to_owned());
    }

    /// Time passes for everyone. Where nothing comes of it, a state has nothing to show.
    pub(crate) fn time(&mut self, by: Duration) {
        if matches!(self, Story::Told(_)) {
            self.say(|| format!("{by} ticks pass"));
        }
    }

    /// What happens to these links, if there are any.
    pub(crate) fn links(&mut self, one: &str, several: &str, links: &[(usize, usize)]) {
        let names = || links.iter().map(|(from, to)| format!("n{from}→n{to}")).collect::<Vec<_>>();
        match links {
            [] => {}
            [_] => self.say(|| format!("the link {} {one}", names().join(""))),
            _ => self.say(|| format!("the links {} {several}", names().join(", "))),
        }
    }

    pub(crate) fn lost(&mut self, envelope: &Envelope) {
        let Envelope { from, to, .. } = envelope;
        self.say(|| format!("lost from n{from} to n{to}: {}", render::message(envelope)));
    }

    /// What happened to a server, what changed by it, and what it sends.
    pub(crate) fn tell(&mut self, clauses: &Clauses) {
        match self {
            Story::Told(sentences) if clauses.weight != Weight::Nothing => {
                let first = std::iter::once(clauses.happened.join("; "));
                let lines: Vec<_> = first.chain(clauses.sent.iter().cloned()).collect();
                sentences.push(lines.join("\n        "));
            }
            Story::Shown(reel) => reel.tell(clauses),
            Story::Untold | Story::Told(_) => {}
        }
    }

    fn take(&mut self) -> Vec<String> {
        match self {
            Story::Told(sentences) => std::mem::take(sentences),
            Story::Untold | Story::Shown(_) => Vec::new(),
        }
    }
}

/// What happens in the last steps of a run up to the first finding, where that leaves the servers,
/// and how to replay it.
#[must_use]
pub fn tell(setup: &Setup, trace: &Trace) -> String {
    let mut play = Play::begin(setup);
    play.cluster.story = Story::Told(Vec::new());
    let mut paragraphs = Vec::new();
    for (number, step) in trace.0.iter().enumerate() {
        play.step(step);
        paragraphs.extend(paragraph(&number.to_string(), &mut play.cluster.story));
        if play.verdict(number + 1).is_err() {
            break;
        }
    }
    if play.verdict(0).is_ok() {
        play.end(trace);
        paragraphs.extend(paragraph("end", &mut play.cluster.story));
    }
    let skipped = paragraphs.len().saturating_sub(LAST);
    format!(
        "{}\n\n{setup}, {} steps, the first {skipped} left out:\n\n{}\n\n{}\n\
         To replay it, save the following as tests/traces/<name>.trace and run\n\
         `cargo test -p quorate-tests --test runs traces -- --nocapture`:\n\n{}",
        play.cluster.found().watched(setup.watch),
        trace.0.len(),
        paragraphs[skipped..].join("\n"),
        table(&play.cluster),
        trace.file(setup),
    )
}

fn paragraph(number: &str, story: &mut Story) -> Option<String> {
    let sentences = story.take();
    (!sentences.is_empty()).then(|| format!("{number:>5}  {}", sentences.join("\n       ")))
}

/// What a server does when this happens to it.
fn words(happening: &Happening) -> String {
    match happening {
        Happening::Receive(envelope) => {
            format!("receives from n{}: {}", envelope.from, render::message(envelope))
        }
        Happening::Propose(1) => "is asked for a command".to_owned(),
        Happening::Propose(count) => format!("is asked for {count} commands"),
        Happening::ChangeMembers(target) => format!("is asked for the members {target:?}"),
        Happening::Campaign => "is asked to campaign".to_owned(),
        Happening::Transfer(to) => format!("is asked to hand its leadership over to n{to}"),
        Happening::Read(token) => format!("is asked for a read, {token}"),
        Happening::Elapse(Duration(0)) | Happening::ElapseInTime(Duration(0)) => {
            "looks at its timers".to_owned()
        }
        Happening::Elapse(by) | Happening::ElapseInTime(by) => format!("lets {by} ticks pass"),
        Happening::TimeOut => "lets every deadline pass".to_owned(),
        Happening::Report(1) => "hears that a write is durable".to_owned(),
        Happening::Report(writes) => format!("hears that {writes} writes are durable"),
        Happening::Crash(0) => "crashes, and restarts".to_owned(),
        Happening::Crash(kept) => {
            format!("crashes with {kept} of its pending writes on disk, and restarts")
        }
        Happening::TakeSnapshot(index) => format!("takes a snapshot up to entry {index}"),
        Happening::StopMoving(peer) => format!("has stopped moving a snapshot to n{peer}"),
    }
}

fn table(cluster: &Cluster) -> String {
    let mut text = String::new();
    for server in cluster.servers() {
        let Server { node, gate, disk, last_vote } = server;
        let now = cluster.now(node.id().0 as usize);
        let on_disk = disk.reported.hard_state;
        // Writing into a String does not fail.
        let _ = writeln!(
            text,
            "   n{} {} of {:?}, vote {:?}, log {}, commit {:?}, durable {:?}; on disk {:?}, vote \
             {:?}, log {}, {} writes pending, {} messages held; last vote sent {last_vote:?}; \
             promised until {:?}, lease until {:?}, now {now:?}",
            node.id(),
            node.role().name(),
            node.current_term(),
            node.voted_for(),
            render::log(node.log()),
            node.commit_index(),
            node.durable_index(),
            on_disk.current_term,
            on_disk.voted_for,
            render::log(&disk.reported.log),
            disk.pending.len(),
            gate.held().count(),
            node.promised_until(),
            cluster.lease_until(server),
        );
    }
    text
}
