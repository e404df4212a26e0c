//! What can be walked through in the Explorer, and the Stateright model of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex};

use quorate_spec::property::Claim;
use quorate_spec::{Index, NodeId};
use serde::Serialize;
use stateright::{Model, Path, Property};

use super::diagram;
use super::story::Told;
use super::view::{self, StateView, StepView};
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

    /// The servers that would serve lease reads in the state, and at which index.
    fn lease_readers(&self, _state: &Self::State) -> Vec<(NodeId, Index)> {
        Vec::new()
    }

    /// The step in sentences, and for the diagram.
    fn tell(&self, before: &Self::State, action: &Self::Action, after: &Self::State) -> Told;
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

/// A state of the Explorer's model. Stateright prints it with `{:#?}`: that is the page's JSON.
pub struct Shown<W: Walk> {
    walk: Arc<W>,
    /// The state.
    pub state: W::State,
}

impl<W: Walk> Shown<W> {
    /// What the page shows of it.
    #[must_use]
    pub fn view(&self) -> StateView {
        let cluster = self.walk.cluster(&self.state);
        let mut view = view::state(&cluster, self.walk.verdicts(&self.state));
        for (id, index) in self.walk.lease_readers(&self.state) {
            let note = format!("holds a lease: it serves reads at {index}");
            view.nodes[id.0 as usize].notes.push(note);
        }
        view
    }
}

impl<W: Walk> Clone for Shown<W> {
    fn clone(&self) -> Self {
        Shown { walk: Arc::clone(&self.walk), state: self.state.clone() }
    }
}

impl<W: Walk> PartialEq for Shown<W> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl<W: Walk> Eq for Shown<W> {}

impl<W: Walk> Hash for Shown<W> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.state.hash(state);
    }
}

impl<W: Walk> fmt::Debug for Shown<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut view = self.view();
        if self.state == self.walk.initial() {
            view.served = Some(self.walk.header());
        }
        f.write_str(&json(&view))
    }
}

fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("a view has no maps")
}

/// A state's steps, kept: Stateright walks every path again from its beginning, many times.
type Steps<W> = Arc<Vec<(<W as Walk>::Action, <W as Walk>::State)>>;

/// Beyond so many states the kept steps are forgotten.
const KEPT: usize = 5_000;

/// The Stateright model of a walk. Its states are plain, under the names that servers have
/// throughout, and all its actions lead somewhere.
pub struct Explored<W: Walk> {
    walk: Arc<W>,
    kept: Mutex<HashMap<W::State, Steps<W>>>,
}

impl<W: Walk> Explored<W> {
    /// The model of this walk.
    #[must_use]
    pub fn new(walk: W) -> Explored<W> {
        Explored { walk: Arc::new(walk), kept: Mutex::default() }
    }

    /// What is walked through.
    #[must_use]
    pub fn walk(&self) -> &W {
        &self.walk
    }

    fn show(&self, state: W::State) -> Shown<W> {
        Shown { walk: Arc::clone(&self.walk), state }
    }

    fn steps(&self, state: &W::State) -> Steps<W> {
        let mut kept = self.kept.lock().expect("no thread panics here");
        if let Some(steps) = kept.get(state) {
            return Arc::clone(steps);
        }
        if kept.len() >= KEPT {
            kept.clear();
        }
        let steps = Arc::new(self.walk.steps(state));
        kept.insert(state.clone(), Arc::clone(&steps));
        steps
    }
}

impl<W: Walk> Model for Explored<W> {
    type State = Shown<W>;
    type Action = W::Action;

    fn init_states(&self) -> Vec<Shown<W>> {
        vec![self.show(self.walk.initial())]
    }

    fn actions(&self, shown: &Shown<W>, actions: &mut Vec<W::Action>) {
        actions.extend(self.steps(&shown.state).iter().map(|(action, _)| action.clone()));
    }

    fn next_state(&self, last: &Shown<W>, action: W::Action) -> Option<Shown<W>> {
        let steps = self.steps(&last.state);
        let (_, next) = steps.iter().find(|(other, _)| *other == action)?;
        Some(self.show(next.clone()))
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![Property::always("every claim", |_, shown: &Shown<W>| {
            shown.walk.verdicts(&shown.state).iter().all(|verdict| verdict.holds)
        })]
    }

    fn format_action(&self, action: &W::Action) -> String {
        format!("{action:?}")
    }

    /// The step as the page's JSON.
    fn format_step(&self, last: &Shown<W>, action: W::Action) -> Option<String> {
        let next = self.next_state(last, action.clone())?;
        let sentence = self.walk.tell(&last.state, &action, &next.state).sentence;
        Some(json(&StepView::new(sentence, &last.view(), &next.view())))
    }

    fn as_svg(&self, path: Path<Shown<W>, W::Action>) -> Option<String> {
        let path = path.into_vec();
        let told = path.windows(2).filter_map(|pair| {
            let (before, action) = (&pair[0].0, pair[0].1.as_ref()?);
            Some(self.walk.tell(&before.state, action, &pair[1].0.state))
        });
        let servers = self.walk.cluster(&self.walk.initial()).servers.len();
        let moments: Vec<_> = told.map(|told| told.events).collect();
        Some(diagram::svg(servers, &moments))
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
