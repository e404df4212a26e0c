//! What can be walked through in the Explorer.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt;
use std::hash::Hash;

use quorate_spec::property::Claim;
use quorate_spec::{Envelope, Index, NodeId};
use serde::Serialize;

use super::refused::Trial;
use super::source::Source;
use super::story::Told;
use crate::intern::Interned;
use crate::state::State;

/// Something to walk through step by step: a slice, the actor model, a trace.
pub trait Walk: Send + Sync + 'static {
    /// A state of it.
    type State: Clone + Eq + Hash + Send + Sync;
    /// A step of it.
    type Action: Clone + PartialEq + fmt::Debug + Send + Sync;

    /// What the page says above everything else.
    fn header(&self) -> Header;

    /// Where every path begins.
    fn initial(&self) -> Self::State;

    /// The steps that change something, in an order that is the same in every run: a link counts
    /// on it.
    fn steps(&self, state: &Self::State) -> Vec<(Self::Action, Self::State)>;

    /// The servers and messages of a state.
    fn cluster(&self, state: &Self::State) -> State;

    /// The truth of each claim in a state.
    fn verdicts(&self, state: &Self::State) -> Vec<Verdict>;

    /// The servers that would serve lease reads in the state.
    fn leases(&self, _state: &Self::State) -> Vec<Lease> {
        Vec::new()
    }

    /// The rules, to try what they refuse; none where they are not known.
    fn trial(&self) -> Option<Trial> {
        None
    }

    /// The messages that may arrive next.
    fn arriving(&self, state: &Self::State) -> Vec<Interned<Envelope>> {
        let cluster = self.cluster(state);
        let open =
            |envelope: &&Interned<Envelope>| cluster.budget.is_open(envelope.from, envelope.to);
        cluster.net.iter().filter(open).copied().collect()
    }

    /// The step in sentences, and for the diagram.
    fn tell(&self, before: &Self::State, action: &Self::Action, after: &Self::State) -> Told;
}

/// A server that may serve reads without asking anyone.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lease {
    /// The server.
    pub holder: NodeId,
    /// Where it serves reads.
    pub index: Index,
    /// For how many ticks of its own clock; none where time is not counted.
    pub ticks: Option<u64>,
}

/// What is served.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize)]
pub struct Header {
    /// `slice`, `actors` or `trace`.
    pub kind: &'static str,
    /// The name of the slice, or of the trace.
    pub slice: String,
    /// What it is about, in one sentence.
    pub about: String,
    /// Its bounds.
    pub bounds: String,
    /// The mutant; none under the sound rules.
    pub mutant: Option<Broken>,
    /// The hash of the link to the counterexample.
    pub trace: Option<String>,
    /// The counterexample as a regression scenario, where it is one of a slice.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scenario: Option<String>,
    /// The functions that steps and refusals refer to, by their keys: on the page only.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sources: Option<&'static BTreeMap<String, Source>>,
}

/// A mutant and what it breaks.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Broken {
    /// Its name.
    pub name: String,
    /// What is wrong with it, in a sentence.
    pub about: String,
    /// The real bugs that it stands for.
    pub bugs: String,
    /// The claim that has to fail for it.
    pub claim: String,
    /// What the claim says.
    pub says: String,
}

/// Whether a claim holds in a state.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Verdict {
    /// The claim.
    pub claim: String,
    /// What it says.
    pub says: String,
    /// Whether it holds.
    pub holds: bool,
}

impl Verdict {
    /// The verdict on a claim of the catalogue.
    #[must_use]
    pub fn on(claim: Claim, holds: bool) -> Verdict {
        Verdict { claim: claim.name().to_owned(), says: claim.entry().sentence.to_owned(), holds }
    }
}

/// The shortest path to a state in which the claim is false; none within so many states.
#[must_use]
pub fn shortest<W: Walk>(walk: &W, claim: &str, limit: usize) -> Option<Vec<W::Action>> {
    let breaks = |state: &W::State| {
        walk.verdicts(state).iter().any(|verdict| verdict.claim == claim && !verdict.holds)
    };
    let initial = walk.initial();
    let mut seen = HashSet::from([initial.clone()]);
    let mut queue = VecDeque::from([(initial, Vec::new())]);
    while let Some((state, path)) = queue.pop_front() {
        for (action, next) in walk.steps(&state) {
            if seen.contains(&next) {
                continue;
            }
            let path: Vec<_> = path.iter().cloned().chain([action]).collect();
            if breaks(&next) {
                return Some(path);
            }
            seen.insert(next.clone());
            queue.push_back((next, path));
        }
        if seen.len() > limit {
            return None;
        }
    }
    None
}
