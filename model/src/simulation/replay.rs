//! A run as the model shows runs: sentences, each with the state that it leads to, so that what
//! renders the model checker's states and walks its traces does so with simulated ones.
//!
//! A step of a trace file can be many operations on servers (`calm` is rounds of them); each that
//! does anything has a sentence and a state of its own. Every clock is moved so that it shows the
//! model's [`PRESENT`]: a promise in force ends after it and a lapsed one does not, in the ticks of
//! the simulation; what lies further back than the origin is at the origin. Messages under way are
//! a set, as in the model: a link that carries the same one twice shows it once.

use std::fmt;

use quorate_spec::{Envelope, Instant, Message, NodeId, Params};

use super::cluster::Cluster;
use super::fair::Unsettled;
use super::finding::{Finding, Findings, Watch};
use super::property::{Play, Setup};
use super::story::{Clauses, Story, Weight};
use super::trace::{Trace, TraceError};
use crate::clocks::Rooms;
use crate::intern::Interned;
use crate::server::{PRESENT, Server};
use crate::state::{Budget, MAX_SERVERS, Net, State, link};

/// Why a run cannot be shown.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum ReplayError {
    /// The text is no trace file.
    Trace(TraceError),
    /// The trace has more servers than a state of the model: so many.
    Servers(usize),
}

impl fmt::Display for ReplayError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ReplayError::Trace(error) => error.fmt(f),
            ReplayError::Servers(servers) => {
                write!(f, "{servers} servers: a state of the model has at most {MAX_SERVERS}")
            }
        }
    }
}

impl std::error::Error for ReplayError {}

impl From<TraceError> for ReplayError {
    fn from(error: TraceError) -> Self {
        ReplayError::Trace(error)
    }
}

/// Runs a trace file up to the first finding that it looks for, and gives for its start and for
/// everything that happens in it a sentence and the state afterwards. What changes nothing but
/// clocks is left out. The claims that are false in a state are those that the run has made false
/// so far, in steps and in states.
///
/// The states are interned: they are kept for the life of the process.
///
/// # Errors
/// Where the text is no trace file, or one of a cluster that a [`State`] does not hold.
pub fn replay(text: &str) -> Result<Vec<(String, State)>, ReplayError> {
    let (setup, trace) = Trace::parse(text)?;
    if setup.servers > MAX_SERVERS {
        return Err(ReplayError::Servers(setup.servers));
    }
    let mut play = Play::begin(&setup);
    play.cluster.story = Story::Shown(Reel::of(setup.watch));
    play.cluster.narrate(&opening(&setup, &play.cluster));
    for (number, step) in trace.0.iter().enumerate() {
        play.step(step);
        // What happened to the network alone.
        play.cluster.show();
        if play.verdict(number + 1).is_err() {
            break;
        }
    }
    if play.verdict(0).is_ok() {
        end(&mut play, &setup, &trace);
    }
    match play.cluster.story {
        Story::Shown(reel) => Ok(reel.scenes),
        Story::Untold | Story::Told(_) => unreachable!("it was set above"),
    }
}

fn opening(setup: &Setup, cluster: &Cluster) -> String {
    let mut clauses = vec![format!("{setup}: every server has started")];
    if let Some((leader, term)) = cluster.protected() {
        let exposed: Vec<_> = cluster.exposed().iter().map(|id| format!("n{id}")).collect();
        clauses.push(format!("n{leader} leads term {term}, and everyone has heard it"));
        clauses.push(format!("faults hit {} alone", exposed.join(", ")));
    }
    clauses.join("; ")
}

/// The fair rounds at the end are one sentence.
fn end(play: &mut Play, setup: &Setup, trace: &Trace) {
    let reel = std::mem::replace(&mut play.cluster.story, Story::Untold);
    play.end(trace);
    play.cluster.story = reel;
    if setup.scenario.comes_to_rest() {
        let rest = match play.settled {
            Some(settled) => format!(
                "after {} fair rounds everyone follows one leader; it hands over, and everyone \
                 follows n{} and has committed up to {}",
                settled.rounds, settled.leader, settled.commit_index
            ),
            None => Unsettled.to_string(),
        };
        play.cluster.narrate(&format!("from here on nothing fails: {rest}"));
    }
    play.cluster.show();
}

/// What was shown so far.
pub(crate) struct Reel {
    scenes: Vec<(String, State)>,
    /// What has happened since the last of them.
    clauses: Vec<String>,
    /// What happened last, where nothing came of it.
    idle: Vec<String>,
    /// What was false in the last of them.
    shown: Findings,
    /// What ends it.
    watch: Watch,
}

impl Reel {
    fn of(watch: Watch) -> Reel {
        let shown = Findings::default();
        Reel { scenes: Vec::new(), clauses: Vec::new(), idle: Vec::new(), shown, watch }
    }

    pub(crate) fn say(&mut self, clause: String) {
        self.clauses.push(clause);
    }

    pub(crate) fn tell(&mut self, Clauses { happened, sent, weight }: &Clauses) {
        self.idle.clone_from(happened);
        if *weight == Weight::Event {
            self.clauses.extend(happened.iter().chain(sent).cloned());
        }
    }

    /// What is new, as a sentence; none where nothing is, or where all has been shown.
    fn sentence(&mut self, found: &Findings) -> Option<String> {
        let news: Vec<_> = found.iter().filter(|finding| !self.shown.contains(*finding)).collect();
        let over = !self.shown.watched(self.watch).is_empty();
        let mut clauses = std::mem::take(&mut self.clauses);
        if over || (clauses.is_empty() && news.is_empty()) {
            return None;
        }
        if clauses.is_empty() {
            clauses.clone_from(&self.idle);
        }
        clauses.extend(news.into_iter().map(|finding| match finding {
            Finding::Claim(claim) => format!("now {claim} is false"),
            Finding::Invariant(invariant) => format!("now {invariant:?} is false"),
        }));
        self.shown.clone_from(found);
        Some(clauses.join("; "))
    }
}

impl Cluster {
    fn narrate(&mut self, sentence: &str) {
        self.story.network(sentence);
        self.show();
    }

    /// Shows what has happened since the last time, where the run is shown.
    pub(crate) fn show(&mut self) {
        let mut story = std::mem::replace(&mut self.story, Story::Untold);
        if let Story::Shown(reel) = &mut story
            && let Some(sentence) = reel.sentence(self.found())
        {
            reel.scenes.push((sentence, self.state()));
        }
        self.story = story;
    }

    /// The cluster as a state of the model, at the model's present.
    fn state(&self) -> State {
        let servers = self.servers().iter().map(|server| Interned::new(self.at_present(server)));
        let mut net: Net = self
            .network
            .under_way()
            .map(|envelope| {
                let Envelope { from, to, mut message } = envelope.clone();
                self.rebase(&mut message, from, to);
                Interned::new(Envelope { from, to, message })
            })
            .collect();
        net.sort_unstable();
        net.dedup();
        let ends = |id: usize| NodeId(id as u64);
        let cuts = self.network.cuts().map(|(from, to)| link(ends(from), ends(to)));
        let budget = Budget { cut: cuts.fold(0, |cut, link| cut | link), ..Budget::default() };
        State {
            servers: servers.collect(),
            net,
            history: Interned::new(self.history().clone()),
            budget,
            clocks: Rooms::default(),
            broken: self.found().broken(),
        }
    }

    fn at_present(&self, server: &Server) -> Server {
        let mut server = server.clone();
        let me = server.node.id();
        // What confirms no lease any more is forgotten, so that a lease is in force in the state
        // exactly where it is: before the origin no times differ.
        let lease = self.params().lease.map(|lease| lease.duration);
        let election_timeout = lease.unwrap_or(self.params().election_timeout);
        let params = Params { election_timeout, ..*self.params() };
        server.node.rebase(&params, self.clock(me), PRESENT);
        for (to, message) in server.gate.items_mut() {
            self.rebase(message, me, *to);
        }
        server
    }

    /// Moves the times of a message with the clock that they belong to.
    fn rebase(&self, message: &mut Message, from: NodeId, to: NodeId) {
        let owner = if message.body.kind().is_request() { from } else { to };
        message.rebase(self.clock(owner), PRESENT);
    }

    fn clock(&self, id: NodeId) -> Instant {
        self.now(id.0 as usize)
    }
}
