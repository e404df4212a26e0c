//! What may have happened before the links were cut: elections in a network that loses messages.

use std::collections::{HashMap, HashSet};
use std::fmt;

use quorate_spec::NodeId;

use super::clock::Timed;
use super::quotient::Quotient;
use crate::action::{Action, Fates, What};
use crate::model::SliceModel;
use crate::server::PRESENT;
use crate::state::State;

/// A set of servers, one bit each.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Ids(pub u8);

impl Ids {
    /// These servers.
    #[must_use]
    pub const fn of(ids: &[u64]) -> Ids {
        let (mut bits, mut i) = (0, 0);
        while i < ids.len() {
            bits |= 1 << ids[i];
            i += 1;
        }
        Ids(bits)
    }

    /// Every set of so many servers.
    fn all(servers: usize) -> impl Iterator<Item = Ids> {
        (0..1 << servers).map(Ids)
    }

    fn contains(self, id: NodeId) -> bool {
        self.0 >> id.0 & 1 == 1
    }

    fn iter(self) -> impl Iterator<Item = NodeId> {
        (0..8).map(NodeId).filter(move |id| self.contains(*id))
    }
}

impl fmt::Display for Ids {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.iter().map(|id| format!("n{id}")).collect();
        f.write_str(&if names.is_empty() { "nobody".to_owned() } else { names.join(" and ") })
    }
}

/// One thing that happened.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Event {
    /// An election timeout passes everywhere and this server campaigns; those who vote answer it, and
    /// if it is elected it exchanges entries and answers with those who hear it.
    Campaign {
        /// Who campaigns.
        candidate: u64,
        /// Who answers it before it leads.
        voters: Ids,
        /// Whom it reaches once it leads.
        heard: Ids,
    },
    /// This server restarts, with everything that it wrote.
    Restart(u64),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::Campaign { candidate, voters, heard } => write!(
                f,
                "n{candidate} campaigns; {voters} can answer; if it leads, it reaches {heard}"
            ),
            Event::Restart(id) => write!(f, "n{id} restarts"),
        }
    }
}

/// What may have happened before the links were cut.
#[derive(Clone, Copy, Debug)]
pub enum Histories {
    /// Nothing, or at most two campaigns, of any servers, answered by any and heard by any; then a
    /// restart, or none.
    TwoCampaigns,
    /// Nothing, or one campaign of one of these, answered by all and heard by any.
    OneCampaign(&'static [u64]),
    /// Exactly this.
    Given(&'static [Event]),
}

impl Histories {
    /// The histories, the shortest first.
    fn all(self, servers: usize) -> Vec<Vec<Event>> {
        let ids = 0..servers as u64;
        let everyone = Ids(u8::MAX >> (8 - servers));
        let campaigns = |candidate: u64, voters: Ids| {
            let others = move |set: &Ids| !set.contains(NodeId(candidate));
            let heard = Ids::all(servers).filter(others);
            heard.map(move |heard| Event::Campaign { candidate, voters, heard })
        };
        match self {
            Histories::Given(events) => vec![events.to_vec()],
            Histories::OneCampaign(candidates) => {
                let one = candidates.iter().flat_map(|id| campaigns(*id, everyone));
                std::iter::once(Vec::new()).chain(one.map(|event| vec![event])).collect()
            }
            Histories::TwoCampaigns => {
                let voted = |id: u64| {
                    let voters = Ids::all(servers).filter(move |set| !set.contains(NodeId(id)));
                    voters.flat_map(move |voters| campaigns(id, voters))
                };
                let any: Vec<Event> = ids.clone().flat_map(voted).collect();
                let one = || any.iter().map(|event| vec![*event]);
                let two = any.iter().flat_map(|a| any.iter().map(|b| vec![*a, *b]));
                let mut all: Vec<Vec<Event>> = vec![Vec::new()];
                all.extend(one().chain(two));
                let restarts = all.clone().into_iter().flat_map(|history| {
                    let restart = move |id| [history.clone(), vec![Event::Restart(id)]].concat();
                    ids.clone().map(restart)
                });
                all.extend(restarts);
                all
            }
        }
    }

    /// The states in which the links may be cut, each once up to numbering and with what led there;
    /// in none of them a server leads that is not among these.
    pub(super) fn states(
        self,
        model: &SliceModel,
        quotient: &Quotient,
        led_by: &[u64],
    ) -> Vec<(Timed, Vec<Event>)> {
        let first = State { budget: crate::state::Budget::default(), ..model.plain_initial() };
        let mut known: HashSet<Timed, foldhash::fast::RandomState> = HashSet::default();
        let mut before: HashMap<Vec<u8>, State, foldhash::fast::RandomState> = HashMap::default();
        let mut states = Vec::new();
        for history in self.all(model.slice.servers) {
            let mut state = lived(model, &first, &history, &mut before);
            let others_lead = state
                .servers
                .iter()
                .any(|server| server.node.is_leader() && !led_by.contains(&server.node.id().0));
            state.budget.cut = model.cuts();
            let state = Timed::first(state);
            if !others_lead && known.insert(quotient.of(model, &state)) {
                states.push((state, history));
            }
        }
        states
    }
}

/// The state after these events, remembered for the longer histories that begin with them.
fn lived(
    model: &SliceModel,
    first: &State,
    history: &[Event],
    before: &mut HashMap<Vec<u8>, State, foldhash::fast::RandomState>,
) -> State {
    let Some((last, earlier)) = history.split_last() else { return first.clone() };
    let key: Vec<u8> = history.iter().flat_map(code).collect();
    if let Some(state) = before.get(&key) {
        return state.clone();
    }
    let state = happened(model, lived(model, first, earlier, before), *last);
    before.insert(key, state.clone());
    state
}

fn code(event: &Event) -> [u8; 3] {
    match event {
        Event::Campaign { candidate, voters, heard } => [*candidate as u8, voters.0, heard.0],
        Event::Restart(id) => [*id as u8, u8::MAX, u8::MAX],
    }
}

fn happened(model: &SliceModel, mut state: State, event: Event) -> State {
    let act = |state: &mut State, action| {
        if let Some(after) = model.after(state, action) {
            *state = after;
        }
    };
    match event {
        Event::Restart(id) => {
            state.budget.crashes = 1;
            act(&mut state, Action::Crash(NodeId(id), 0));
        }
        Event::Campaign { candidate, voters, heard } => {
            let candidate = NodeId(candidate);
            if state.server(candidate).node.is_leader() {
                return state;
            }
            for id in model.ids() {
                if state.server(id).node.promised_until() > PRESENT {
                    act(&mut state, Action::Lapse(id));
                }
            }
            act(&mut state, Action::Timeout(candidate, Fates::ON_THEIR_WAY));
            let exchange = |to| Action::Exchange(candidate, to, What::Entries, Fates::ON_THEIR_WAY);
            // Pre-votes where they are on, then votes.
            for to in voters.iter().chain(voters.iter()) {
                if !state.server(candidate).node.is_leader() && to != candidate {
                    act(&mut state, exchange(to));
                }
            }
            // A probe, what is missing, and the commit index.
            for to in heard.iter().chain(heard.iter()).chain(heard.iter()) {
                if state.server(candidate).node.is_leader() {
                    act(&mut state, exchange(to));
                }
            }
        }
    }
    state
}
