//! What an operation does to a server is computed once: in the explored graph, where coverage notes
//! what is seen, and beside it, where questions are asked that are no steps of it.

use dashmap::DashMap;
use quorate_spec::Protocol;

use crate::coverage::Coverage;
use crate::guards::Guards;
use crate::intern::Interned;
use crate::model::SliceModel;
use crate::server::{Delivery, Machine, Operation, Outcome, Server};

type Memo = DashMap<(Interned<Server>, Operation, Delivery), Interned<Outcome>, Fold>;
type Fold = foldhash::fast::FixedState;

/// The outcomes so far. What was imagined is never taken for explored: else the step would count
/// as unseen when the search comes to it.
pub(crate) struct Memory {
    /// The steps of the explored graph.
    explored: Memo,
    /// The others.
    imagined: Memo,
}

impl Default for Memory {
    fn default() -> Self {
        let memo = || DashMap::with_hasher(Fold::with_seed(1));
        Memory { explored: memo(), imagined: memo() }
    }
}

/// The same machine, noting nothing.
pub(crate) fn silent(machine: &Machine<Guards>) -> Machine<Guards> {
    let Protocol { rules, params } = &machine.protocol;
    Machine {
        protocol: Protocol { rules: rules.silent(), params: *params },
        coverage: Coverage::default(),
        ..*machine
    }
}

impl SliceModel {
    /// What the operation does to the server, from memory if it was asked before.
    pub(crate) fn perform(
        &self,
        server: Interned<Server>,
        operation: Operation,
        delivery: Delivery,
    ) -> Interned<Outcome> {
        let compute = || Interned::new(self.machine.perform(&server, operation, delivery));
        let Some(memory) = &self.memory else { return compute() };
        let key = (server, operation, delivery);
        if let Some(outcome) = memory.explored.get(&key) {
            return *outcome;
        }
        let outcome = compute();
        memory.explored.insert(key, outcome);
        outcome
    }

    /// The same, where it is no step of the explored graph: what happens is not noted as seen.
    pub(crate) fn imagine(
        &self,
        server: Interned<Server>,
        operation: Operation,
        delivery: Delivery,
    ) -> Interned<Outcome> {
        let compute = || Interned::new(self.silent.perform(&server, operation, delivery));
        let Some(memory) = &self.memory else { return compute() };
        let key = (server, operation, delivery);
        if let Some(outcome) = memory.explored.get(&key).or_else(|| memory.imagined.get(&key)) {
            return *outcome;
        }
        let outcome = compute();
        memory.imagined.insert(key, outcome);
        outcome
    }
}
