//! The claims that are decided in a state, and not in the step that led to it.
//!
//! They depend on servers, history and links, and not on what is under way, so many states share
//! one verdict, which is remembered.

use std::cell::Cell;
use std::sync::atomic::{AtomicU64, Ordering};

use dashmap::DashMap;
use quorate_spec::property::cluster::{
    committed_is_durable, leader_undisturbed, log_matching, match_index_sound, quorum_intersection,
    quorum_log, snapshot_committed,
};
use quorate_spec::property::reads::{lease_exclusive, lease_read_is_linearizable, waits_for};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{Index, Node, NodeId, Term};

use crate::intern::content_hash;
use crate::model::SliceModel;
use crate::progress::Benign;
use crate::server::{PRESENT, Server};
use crate::state::State;
use crate::witness::Witness;

/// The verdicts so far. A key is a 64-bit hash, as the checker's own fingerprints are.
pub(crate) struct Verdicts {
    /// A number that no other model's verdicts have: an address can be used again.
    owner: u64,
    known: DashMap<u64, ClaimSet, foldhash::fast::FixedState>,
}

static OWNERS: AtomicU64 = AtomicU64::new(1);

impl Default for Verdicts {
    fn default() -> Self {
        let hasher = foldhash::fast::FixedState::with_seed(2);
        let owner = OWNERS.fetch_add(1, Ordering::Relaxed);
        Verdicts { owner, known: DashMap::with_hasher(hasher) }
    }
}

thread_local! {
    /// The last key of this thread with its model and verdict: a checker asks for each claim of a
    /// state in turn.
    static LAST: Cell<(u64, u64, ClaimSet)> = const { Cell::new((0, 0, ClaimSet::NONE)) };
}

impl Verdicts {
    /// The claims that are decided here.
    pub(crate) const DECIDES: ClaimSet = ClaimSet::of(&[
        Claim::QuorumIntersection,
        Claim::LogMatching,
        Claim::MatchIndexSound,
        Claim::CommittedIsDurable,
        Claim::QuorumLog,
        Claim::SnapshotCommitted,
        Claim::NonDisruption,
        Claim::ElectionProgress,
        Claim::NoDeadlock,
        Claim::CommitProgress,
        Claim::ReplicationProgress,
        Claim::ReconfigCompletes,
        Claim::SnapshotProgress,
        Claim::LinearizableRead,
        Claim::LeaseExclusive,
        Claim::ReadProgress,
        Claim::TransferProgress,
    ]);

    /// The claims of the model's slice that are false in this state.
    pub(crate) fn of(&self, model: &SliceModel, state: &State) -> ClaimSet {
        let key = content_hash(&(&state.servers, state.history, state.budget.cut));
        let last = LAST.get();
        if (last.0, last.1) == (self.owner, key) {
            return last.2;
        }
        let known = self.known.get(&key).map(|known| *known);
        let verdict = known.unwrap_or_else(|| {
            let verdict = decide(model, state);
            self.known.insert(key, verdict);
            verdict
        });
        LAST.set((self.owner, key, verdict));
        verdict
    }
}

fn decide(model: &SliceModel, state: &State) -> ClaimSet {
    for witness in Witness::ALL {
        if witness.is_in(model, state) {
            model.coverage().saw_witness(witness);
        }
    }
    let mut broken = ClaimSet::NONE;
    if !model.slice.claims.intersection(Benign::CLAIMS).is_empty() {
        broken = broken.union(model.benign.progress(model, state));
    }
    for claim in model.slice.claims.intersection(Verdicts::DECIDES).iter() {
        broken.require(claim, holds(model, state, claim));
    }
    broken
}

impl SliceModel {
    /// The servers that would serve lease reads in this state, by what they have published, and at
    /// which index.
    #[must_use]
    pub fn lease_readers(&self, state: &State) -> Vec<(NodeId, Index)> {
        lease_reads(self, state).map(|(node, index)| (node.id(), index)).collect()
    }
}

/// The servers that serve lease reads now, by what they have published, and at which index.
fn lease_reads<'a>(
    model: &'a SliceModel,
    state: &'a State,
) -> impl Iterator<Item = (&'a Node, Index)> + 'a {
    let protocol = &model.silent.protocol;
    let nodes = state.servers.iter().map(|server| &server.node);
    nodes.filter_map(|node| Some((node, protocol.read_view(node).lease_read(PRESENT).ok()?)))
}

fn holds(model: &SliceModel, state: &State, claim: Claim) -> bool {
    let nodes = || -> Box<dyn Iterator<Item = &Node>> {
        Box::new(state.servers.iter().map(|server| &server.node))
    };
    let leader = |id: usize| &state.servers[id].node;
    match claim {
        Claim::QuorumIntersection => quorum_intersection(&model.silent.protocol.rules, nodes),
        Claim::LogMatching => {
            nodes().all(|a| nodes().all(|b| a.id() >= b.id() || log_matching(a.log(), b.log())))
        }
        Claim::MatchIndexSound => {
            let sound = |leader, follower: &Server| {
                match_index_sound(leader, &follower.node, &follower.disk.reported)
            };
            nodes().all(|leader| state.servers.iter().all(|other| sound(leader, other)))
        }
        Claim::CommittedIsDurable => {
            let disk = |id: NodeId| &state.servers[id.0 as usize].disk.reported;
            committed_is_durable(&model.silent.protocol.rules, &state.history, nodes, disk)
        }
        Claim::QuorumLog => quorum_log(&model.silent.protocol.rules, &state.history, nodes),
        Claim::SnapshotCommitted => {
            let first = model.slice.first_configuration();
            nodes().all(|node| snapshot_committed(&state.history, &first, node.log()))
        }
        Claim::NonDisruption => leader_undisturbed(leader(0), Term(1)),
        Claim::LinearizableRead => lease_reads(model, state)
            .all(|(_, index)| lease_read_is_linearizable(&state.history, index)),
        Claim::LeaseExclusive => lease_reads(model, state)
            .all(|(holder, _)| lease_exclusive(holder, state.history.leaders.keys().copied())),
        Claim::ReadProgress => state
            .history
            .reads
            .keys()
            .all(|(asked, token)| waits_for(&state.servers[asked.0 as usize].node, *token)),
        // The others are decided in each step, and by the history.
        _ => true,
    }
}
