//! Watches every packet that leaves a node, against the disk of its sender at that moment, and
//! against what its sender has published by then.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use quorate::{MemoryDisk, Packet};
use quorate_spec::message::Kind;
use quorate_spec::property::release::{
    SentVote, message_term_persisted, vote_durability, vote_in, vote_once_per_term,
};
use quorate_spec::{AppendOutcome, Body, Durable, Envelope, NodeId, ReadView, Term};
use tokio::sync::watch;

/// A message that left its sender.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Sent {
    pub(crate) from: NodeId,
    pub(crate) kind: Kind,
    pub(crate) term: Term,
}

/// What was seen. Clones see the same.
#[derive(Clone)]
pub(crate) struct Evidence {
    seen: Arc<Mutex<Seen>>,
}

struct Seen {
    disks: BTreeMap<NodeId, MemoryDisk>,
    views: BTreeMap<NodeId, watch::Receiver<ReadView>>,
    sent: Vec<Sent>,
    last_votes: BTreeMap<NodeId, SentVote>,
    leaders: BTreeMap<Term, NodeId>,
    violations: Vec<String>,
}

impl Evidence {
    pub(crate) fn of(disks: BTreeMap<NodeId, MemoryDisk>) -> Evidence {
        let seen = Seen {
            disks,
            views: BTreeMap::new(),
            sent: Vec::new(),
            last_votes: BTreeMap::new(),
            leaders: BTreeMap::new(),
            violations: Vec::new(),
        };
        Evidence { seen: Arc::new(Mutex::new(seen)) }
    }

    /// A node has joined, with this disk.
    pub(crate) fn add(&self, id: NodeId, disk: MemoryDisk) {
        self.lock().disks.insert(id, disk);
    }

    /// From here on this is what the node publishes.
    pub(crate) fn follow(&self, id: NodeId, view: watch::Receiver<ReadView>) {
        self.lock().views.insert(id, view);
    }

    /// The node is about to start anew: what it publishes is not known yet.
    pub(crate) fn forget(&self, id: NodeId) {
        self.lock().views.remove(&id);
    }

    pub(crate) fn watch(&self, packet: &Packet) {
        self.lock().watch(&packet.envelope);
    }

    /// Everything that left a node, in order.
    pub(crate) fn sent(&self) -> Vec<Sent> {
        self.lock().sent.clone()
    }

    /// What broke a claim; empty unless there is a bug.
    pub(crate) fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    fn lock(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seen {
    fn watch(&mut self, envelope: &Envelope) {
        let Envelope { from, message, .. } = envelope;
        let kind = message.body.kind();
        self.sent.push(Sent { from: *from, kind, term: message.term });
        let disk = self.disks[from].durable();
        self.require("MessageTermPersisted", message_term_persisted(envelope, &disk), envelope);
        self.require("AckDurability", acknowledges_what_it_has(envelope, &disk), envelope);
        // A packet leaves on the task that publishes, so this is the view that readers have now.
        if let Some(view) = self.views.get(from).map(|view| *view.borrow()) {
            self.require("PublishedFirst", shows_what_it_says(envelope, view), envelope);
        }
        if let Some(vote) = vote_in(envelope) {
            let last = self.last_votes.insert(*from, vote);
            self.require("VoteDurability", vote_durability(vote, &disk), envelope);
            self.require("VoteOncePerTerm", vote_once_per_term(vote, last), envelope);
        }
        if kind == Kind::AppendEntries {
            let leader = *self.leaders.entry(message.term).or_insert(*from);
            self.require("ElectionSafety", leader == *from, envelope);
        }
    }

    fn require(&mut self, claim: &str, holds: bool, envelope: &Envelope) {
        if !holds {
            self.violations.push(format!("{claim} is broken by {envelope:?}"));
        }
    }
}

/// Readers see no older term than the message is of, so no lease of one; and no lease at all once
/// another server is told to campaign.
fn shows_what_it_says(envelope: &Envelope, view: ReadView) -> bool {
    let hands_over = envelope.message.body.kind() == Kind::TimeoutNow;
    view.term >= envelope.message.term && !(hands_over && view.lease_until.is_some())
}

/// The disk has what a success acknowledges, or a later term, in which it may have lost it.
fn acknowledges_what_it_has(envelope: &Envelope, disk: &Durable) -> bool {
    let Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) = envelope.message.body
    else {
        return true;
    };
    disk.log.last().index >= match_index || disk.hard_state.current_term > envelope.message.term
}
