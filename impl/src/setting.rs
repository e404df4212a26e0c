//! What only tests set of a node: a promise that its driver breaks, and a simulation that it runs in.
//! Outside tests there is nothing of it: every question has a constant answer.

#[cfg(test)]
use std::sync::Arc;

use quorate_spec::{Effects, Input, Moment, Node, Protocol};

use crate::order::{Order, Promise};

/// In what a node runs.
#[derive(Clone, Default)]
pub(crate) struct Setting {
    pub(crate) order: Order,
    /// Without one the node has its threads, and nobody watches.
    #[cfg(test)]
    pub(crate) simulation: Option<Arc<dyn Simulation>>,
}

/// What a node asks and tells a simulation that it runs in.
///
/// A run has to repeat, so nothing in it has a thread of its own: what the machine's thread and that
/// of its snapshots do is done by tasks, each piece of work after a pause.
#[cfg(test)]
pub(crate) trait Simulation: Send + Sync {
    /// Where this life of the node begins to number what no other life may number so.
    fn first_name(&self) -> u64;

    /// How long a piece of work takes.
    fn pause(&self) -> std::time::Duration;

    /// The node starts, and this is how.
    fn started(&self, node: &Node);

    /// It has taken a step, and has performed none of its effects.
    fn stepped(&self, step: Step<'_>);

    /// It has been asked for requests to its peers.
    fn transmitted(&self, node: &Node);
}

/// A step that a node has taken.
#[cfg(test)]
pub(crate) struct Step<'a> {
    pub(crate) protocol: &'a Protocol,
    pub(crate) moment: Moment,
    pub(crate) before: &'a Node,
    pub(crate) input: &'a Input,
    pub(crate) after: &'a Node,
    pub(crate) effects: &'a Effects,
}

/// What a step begins with, for whoever watches.
pub(crate) struct Before(#[cfg(test)] Option<(Node, Input)>);

impl Setting {
    /// Whether the driver keeps this promise.
    pub(crate) fn keeps(&self, promise: Promise) -> bool {
        self.order.keeps(promise)
    }
}

#[cfg(not(test))]
impl Setting {
    /// A number that no other life of the node begins with.
    pub(crate) fn first_name(&self) -> u64 {
        unique()
    }

    pub(crate) fn starts(&self, _: &Node) {}

    pub(crate) fn before(&self, _: &Node, _: &Input) -> Before {
        Before()
    }

    pub(crate) fn stepped(&self, Before(): Before, _: &Protocol, _: Moment, _: &Node, _: &Effects) {
    }

    pub(crate) fn transmitted(&self, _: &Node) {}
}

#[cfg(test)]
impl Setting {
    pub(crate) fn first_name(&self) -> u64 {
        self.simulation.as_ref().map_or_else(unique, |it| it.first_name())
    }

    pub(crate) fn starts(&self, node: &Node) {
        if let Some(simulation) = &self.simulation {
            simulation.started(node);
        }
    }

    pub(crate) fn before(&self, node: &Node, input: &Input) -> Before {
        Before(self.simulation.as_ref().map(|_| (node.clone(), input.clone())))
    }

    pub(crate) fn stepped(
        &self,
        Before(seen): Before,
        protocol: &Protocol,
        moment: Moment,
        after: &Node,
        effects: &Effects,
    ) {
        if let (Some(simulation), Some((before, input))) = (&self.simulation, &seen) {
            simulation.stepped(Step { protocol, moment, before, input, after, effects });
        }
    }

    pub(crate) fn transmitted(&self, node: &Node) {
        if let Some(simulation) = &self.simulation {
            simulation.transmitted(node);
        }
    }
}

/// Each life of a node has its own, whatever its seed, which may be the same in each.
fn unique() -> u64 {
    use std::hash::{BuildHasher, Hasher, RandomState};
    RandomState::new().build_hasher().finish()
}
