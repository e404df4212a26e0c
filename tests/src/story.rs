//! A run in sentences, for the person who has to find out why a claim is false.

use std::fmt::Write;

use quorate_model::render;
use quorate_spec::{Envelope, Node, NodeId};

use crate::cluster::Cluster;
use crate::property::{Play, Setup};
use crate::server::{Outcome, Server};
use crate::trace::Trace;

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

    /// What a server does when this arrives, as a clause without its subject.
    pub(crate) fn arrival(envelope: &Envelope) -> String {
        format!("receives from n{}: {}", envelope.from, render::message(envelope))
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

    /// An operation on a server, what changed by it, and what it sends.
    pub(crate) fn tell(
        &mut self,
        id: NodeId,
        what: impl FnOnce() -> String,
        before: &Node,
        after: &Server,
        outcome: &Outcome,
    ) {
        self.say(|| {
            let mut text = format!("n{id} {}", what());
            for change in render::changes(before, &after.node) {
                let _ = write!(text, "; {change}");
            }
            for refusal in &outcome.refused {
                let _ = write!(text, "; refused: {refusal}");
            }
            for envelope in &outcome.sent {
                let _ = write!(text, "\n        {}", render::sending(envelope));
            }
            text
        });
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

fn table(cluster: &Cluster) -> String {
    let mut text = String::new();
    for server in cluster.servers() {
        let Server { node, gate, disk, now, last_vote } = server;
        let _ = writeln!(
            text,
            "   n{} {} term {} vote {:?} log {} commit {} durable {}; disk {:?} and {} pending; \
             {} held; last vote sent {:?}; promised until {}, at {}",
            node.id(),
            node.role().name(),
            node.current_term(),
            node.voted_for(),
            render::log(node.log()),
            node.commit_index(),
            node.durable_index(),
            disk.reported,
            disk.pending.len(),
            gate.held().count(),
            last_vote,
            node.promised_until(),
            now,
        );
    }
    text
}
