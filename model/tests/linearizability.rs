//! The claim LinearizableRead against Stateright's `LinearizabilityTester`, on a tiny slice: whatever
//! the one finds wrong the other does.

#![allow(missing_docs)]

use std::collections::HashSet;

use quorate_model::action::Action;
use quorate_model::guards::Guards;
use quorate_model::model::SliceModel;
use quorate_model::mutation::Mutation;
use quorate_model::slice::{Network, Slice};
use quorate_model::slices;
use quorate_model::state::State;
use quorate_spec::property::Claim;
use quorate_spec::property::history::Event;
use quorate_spec::{EntryId, Index, Token};
use stateright::Model;
use stateright::semantics::register::{Register, RegisterOp, RegisterRet};
use stateright::semantics::{ConsistencyTester, LinearizabilityTester};

type Tester = LinearizabilityTester<u64, Register<u8>>;

/// The client that writes; the others read once each, under the names of their reads.
const WRITER: u64 = 0;

/// A register, which holds 1 once the slice's only command is applied, and what its clients saw.
#[derive(Clone, PartialEq, Hash)]
struct Watched {
    state: State,
    command: Option<EntryId>,
    acknowledged: bool,
    /// Reads that are answered, and wait until their entry is applied.
    waiting: Vec<(Token, Index)>,
    clients: Tester,
}

// Stateright leaves it out for the answers of a register, which have it.
impl Eq for Watched {}

impl Watched {
    fn begin(state: State) -> Watched {
        let clients = Tester::new(Register(0));
        Watched { state, command: None, acknowledged: false, waiting: Vec::new(), clients }
    }

    fn next(&self, model: &SliceModel, action: Action) -> Option<Watched> {
        let (state, events) = model.next_with_events(&self.state, action)?;
        let mut next = Watched { state, ..self.clone() };
        if let Action::Propose(..) = action {
            // The command is the last entry that this step created.
            next.command = events.iter().find_map(created);
            next.clients.on_invoke(WRITER, RegisterOp::Write(1)).expect("one command");
        }
        for event in &events {
            next.hear(event);
        }
        next.apply();
        Some(next)
    }

    fn hear(&mut self, event: &Event) {
        match event {
            Event::ReadAsked { token, .. } => {
                self.clients.on_invoke(token.0, RegisterOp::Read).expect("one read a client");
            }
            Event::ReadAnswered { token, index: Some(index), .. } => {
                self.waiting.push((*token, *index));
            }
            _ => {}
        }
    }

    /// Answers the clients as far as entries are committed.
    fn apply(&mut self) {
        let committed = &self.state.history.committed;
        let last = self.state.history.last_committed();
        let written = self
            .command
            .filter(|id| committed.get(&id.index).is_some_and(|(term, _)| *term == id.term));
        if written.is_some() && !self.acknowledged {
            self.acknowledged = true;
            self.clients.on_return(WRITER, RegisterRet::WriteOk).expect("it was invoked");
        }
        let (ready, waiting) = self.waiting.iter().partition(|(_, index)| *index <= last);
        self.waiting = waiting;
        let ready: Vec<(Token, Index)> = ready;
        for (token, index) in ready {
            let value = u8::from(written.is_some_and(|id| id.index <= index));
            self.clients.on_return(token.0, RegisterRet::ReadOk(value)).expect("it was invoked");
        }
    }
}

fn created(event: &Event) -> Option<EntryId> {
    match event {
        Event::Created { first, last } => Some(EntryId { index: *last, ..*first }),
        _ => None,
    }
}

/// What both say of everything that the slice reaches under these guards, until both have found
/// something wrong: whether each does, and how many histories there were.
fn compare(guards: Guards) -> (bool, bool, usize) {
    let reads = slices::named("reads").expect("it is in the catalogue");
    let network = Network::Pull { parked: 0 };
    // Names of reads and servers are told apart in a history.
    let slice = Slice { commands: 1, network, symmetric: false, ..reads };
    let model = SliceModel::new(slice, guards).recording();
    let mut queue: Vec<Watched> = model.init_states().into_iter().map(Watched::begin).collect();
    let mut seen: HashSet<Watched> = queue.iter().cloned().collect();
    let (mut claim_fails, mut tester_fails) = (false, false);
    let mut actions = Vec::new();
    while let Some(watched) = queue.pop() {
        let broken = !model.holds(&watched.state, Claim::LinearizableRead);
        let linearizable = watched.clients.is_consistent();
        assert!(linearizable || broken, "the claim misses {:?}", watched.state);
        claim_fails |= broken;
        tester_fails |= !linearizable;
        if claim_fails && tester_fails {
            break;
        }
        if !linearizable {
            continue;
        }
        actions.clear();
        model.actions(&watched.state, &mut actions);
        for action in &actions {
            if let Some(next) = watched.next(&model, *action).filter(|it| !seen.contains(it)) {
                seen.insert(next.clone());
                queue.push(next);
            }
        }
    }
    (claim_fails, tester_fails, seen.len())
}

#[test]
fn under_the_rules_both_find_every_history_linearizable() {
    let (claim_fails, tester_fails, histories) = compare(Guards::sound());
    assert!(!claim_fails && !tester_fails);
    assert!(histories > 10_000, "only {histories} histories");
}

#[test]
fn where_a_guard_is_broken_both_find_a_stale_read() {
    for mutation in [
        Mutation::ReadsUnconfirmed,
        Mutation::ReadsBeforeOwnCommit,
        Mutation::ConfirmsByEarlierRound,
    ] {
        let (claim_fails, tester_fails, _) = compare(Guards::broken(mutation));
        assert!(claim_fails && tester_fails, "{}", mutation.name());
    }
}
