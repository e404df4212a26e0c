//! A run in sentences, for the person who has to find out why a claim is false.

use std::fmt::Write;

use quorate_model::render;
use quorate_spec::{Envelope, Node, NodeId};

use crate::cluster::Cluster;
use crate::finding::Findings;
use crate::property::Setup;
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

    pub(crate) fn lost(&mut self, envelope: Option<Envelope>) {
        if let Some(Envelope { from, to, .. }) = &envelope {
            self.say(|| format!("a message n{from}→n{to} is lost"));
        }
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
    let mut cluster = setup.cluster();
    cluster.story = Story::Told(Vec::new());
    let mut paragraphs = Vec::new();
    let mut found = Findings::default();
    for (number, step) in trace.0.iter().enumerate() {
        cluster.apply(step);
        let sentences = cluster.story.take();
        if !sentences.is_empty() {
            paragraphs.push(format!("{number:>5}  {}", sentences.join("\n       ")));
        }
        found = cluster.found().watched(setup.watch);
        if !found.is_empty() {
            break;
        }
    }
    let skipped = paragraphs.len().saturating_sub(LAST);
    let mut text = format!("{found}\n\n{setup}, {} steps", trace.0.len());
    if skipped > 0 {
        let _ = write!(text, ", the first {skipped} left out");
    }
    let _ = write!(
        text,
        ":\n\n{}\n\n{}\nTo replay it, save the following as tests/traces/<name>.trace and run\n\
         `cargo test -p quorate-tests --test traces`:\n\n{}",
        paragraphs[skipped..].join("\n"),
        table(&cluster),
        trace.file(setup),
    );
    text
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
