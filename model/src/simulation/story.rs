//! A run in sentences, for the person who has to find out why a claim is false.

use std::fmt::Write;

use quorate_spec::{Envelope, Node};

use super::cluster::Cluster;
use super::property::{Play, Setup};
use super::server::{Happening, Outcome};
use super::trace::Trace;
use crate::render;
use crate::server::Server;

/// How many of the last steps a story tells.
const LAST: usize = 40;

/// What is told of a run as it goes. It costs time, so most runs are not told.
pub(crate) enum Story {
    Untold,
    Told(Vec<String>),
}

impl Story {
    fn say(&mut self, sentence: impl FnOnce() -> String) {
        if let Story::Told(sentences) = self {
            sentences.push(sentence());
        }
    }

    pub(crate) fn network(&mut self, sentence: &str) {
        self.say(|| sentence.to_owned());
    }

    pub(crate) fn link(&mut self, what: &str, (from, to): (usize, usize)) {
        self.say(|| format!("the link n{from}→n{to} {what}"));
    }

    pub(crate) fn lost(&mut self, envelope: &Envelope) {
        let Envelope { from, to, .. } = envelope;
        self.say(|| format!("lost from n{from} to n{to}: {}", render::message(envelope)));
    }

    /// What happened to a server, what changed by it, and what it sends.
    pub(crate) fn tell(
        &mut self,
        happening: &Happening,
        before: &Node,
        after: &Server,
        outcome: &Outcome,
    ) {
        let changes = || render::changes(before, &after.node);
        let idle = matches!(happening, Happening::ElapseInTime(_)) && outcome.sent.is_empty();
        if matches!(self, Story::Untold) || (idle && changes().is_empty()) {
            return;
        }
        let mut text = format!("n{} {}", before.id(), words(happening));
        // Writing into a String does not fail.
        for change in changes() {
            let _ = write!(text, "; {change}");
        }
        for refusal in &outcome.refused {
            let _ = write!(text, "; refused: {refusal}");
        }
        for envelope in &outcome.sent {
            let _ = write!(text, "\n        {}", render::sending(envelope));
        }
        self.say(|| text);
    }

    fn take(&mut self) -> Vec<String> {
        match self {
            Story::Untold => Vec::new(),
            Story::Told(sentences) => std::mem::take(sentences),
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
         `cargo test -p quorate-tests --test traces -- --nocapture`:\n\n{}",
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
        Happening::Propose(count) => format!("is asked for {count} commands"),
        Happening::Campaign => "is asked to campaign".to_owned(),
        Happening::Elapse(by) | Happening::ElapseInTime(by) => format!("lets {by} ticks pass"),
        Happening::TimeOut => "lets every deadline pass".to_owned(),
        Happening::Report(writes) => format!("hears that {writes} writes are durable"),
        Happening::Crash(kept) => {
            format!("crashes with {kept} more writes on disk, and restarts")
        }
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
             promised until {:?}, now {now:?}",
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
        );
    }
    text
}
