//! What an operation does to a server is computed once: in the explored graph, where coverage notes
//! what is seen, and beside it, where questions are asked that are no steps of it.

use dashmap::DashMap;
use quorate_spec::Protocol;

use crate::coverage::Coverage;
use crate::guards::Guards;
use crate::intern::Interned;
use crate::model::SliceModel;
use crate::server::{Delivery, Machine, Operation, Outcome, Server};

type Key = (Interned<Server>, Operation, Delivery);
type Memo = DashMap<Key, Interned<Outcome>, Fold>;
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

/// Which operations are asked for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Of {
    /// The steps of the explored graph.
    Explored,
    /// The others.
    Imagined,
}

impl SliceModel {
    /// What the operation does to the server, from memory if it was asked before.
    pub(crate) fn perform(
        &self,
        server: Interned<Server>,
        operation: Operation,
        delivery: Delivery,
    ) -> Interned<Outcome> {
        self.remembered(Of::Explored, (server, operation, delivery))
    }

    /// The same, where it is no step of the explored graph: what happens is not noted as seen.
    pub(crate) fn imagine(
        &self,
        server: Interned<Server>,
        operation: Operation,
        delivery: Delivery,
    ) -> Interned<Outcome> {
        self.remembered(Of::Imagined, (server, operation, delivery))
    }

    /// What was explored answers a question, too; the other way round a step would go unseen.
    fn remembered(&self, of: Of, key: Key) -> Interned<Outcome> {
        let (server, operation, delivery) = key;
        let machine = if of == Of::Explored { &self.machine } else { &self.silent };
        let compute = || Interned::new(machine.perform(&server, operation, delivery));
        let Some(Memory { explored, imagined }) = &self.memory else { return compute() };
        let asked = || if of == Of::Imagined { imagined.get(&key) } else { None };
        if let Some(outcome) = explored.get(&key).or_else(asked) {
            return *outcome;
        }
        let outcome = compute();
        let memo = if of == Of::Explored { explored } else { imagined };
        memo.insert(key, outcome);
        outcome
    }
}
