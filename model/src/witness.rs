//! States that have to be reachable, else a passing check has checked little.

use quorate_spec::role::Pace;
use quorate_spec::{Configuration, EntryId, Index, Log, Node, NodeId, Role, RoleName};

use crate::model::SliceModel;
use crate::server::PRESENT;
use crate::state::State;

/// Something that has to happen somewhere.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Witness {
    /// Two servers lead, of different terms: legal, and the reason for most of the rules.
    TwoLeaders,
    /// Two candidates of one term have split the votes.
    RivalCandidates,
    /// A leader has committed an entry of its own term.
    LeaderCommits,
    /// Two servers' logs have different entries at one index.
    LogsDiverge,
    /// A leader leads that has not its own vote's majority reachable: it voted in a later term.
    LeaderLostVoters,
    /// Entries are committed from two terms.
    CommitsOfTwoTerms,
    /// A server holds back a message until its disk has reported a write.
    HeldBack,
    /// A server's promise is in force while another server asks for pre-votes.
    PromiseAgainstPreCandidate,
    /// An entry of a past term is in the logs of a majority and not committed: thesis figure 3.7.
    OldEntryOnMajority,
    /// Two requests with entries are under way to one follower.
    TwoInFlight,
    /// A joint configuration is committed.
    JointCommitted,
    /// A leader has a joint configuration of an earlier leader's, not committed yet.
    JointInherited,
    /// A joint configuration is in a log at an index at which another entry is committed: it will be
    /// truncated.
    JointOverruled,
    /// A leader manages a cluster that it is no voter of.
    LeaderOutside,
    /// The voters were replaced: the old and the new ones have nobody in common.
    VotersReplaced,
    /// A joint configuration has gone from a log with its entry: the one before it is in force again.
    JointTruncated,
    /// A snapshot ends where a joint configuration is in force.
    JointInSnapshot,
    /// A snapshot has taken the place of a log that contradicts it.
    SnapshotOverConflict,
    /// A leader has given a transfer up, and the word that it gave may still arrive (rule L6).
    TransferGivenUp,
    /// A read waits for its round at a leader beside one of a later term.
    ReadBesideLaterLeader,
    /// A server may read by its lease, and another one leads an earlier term.
    LeaseBesideEarlierLeader,
    /// A leader's lease has run out while it leads.
    LeaseOver,
}

impl Witness {
    /// All of them.
    pub const ALL: [Witness; 22] = [
        Witness::TwoLeaders,
        Witness::RivalCandidates,
        Witness::LeaderCommits,
        Witness::LogsDiverge,
        Witness::LeaderLostVoters,
        Witness::CommitsOfTwoTerms,
        Witness::HeldBack,
        Witness::PromiseAgainstPreCandidate,
        Witness::OldEntryOnMajority,
        Witness::TwoInFlight,
        Witness::JointCommitted,
        Witness::JointInherited,
        Witness::JointOverruled,
        Witness::LeaderOutside,
        Witness::VotersReplaced,
        Witness::JointTruncated,
        Witness::JointInSnapshot,
        Witness::SnapshotOverConflict,
        Witness::TransferGivenUp,
        Witness::ReadBesideLaterLeader,
        Witness::LeaseBesideEarlierLeader,
        Witness::LeaseOver,
    ];

    /// What this change of a server's log shows: no state does.
    pub fn of_change(before: &Log, after: &Log) -> impl Iterator<Item = Witness> {
        let gone = |(at, joint): &(Index, Configuration)| {
            let entry = before.term_at(*at).map(|term| EntryId { term, index: *at });
            joint.is_joint() && entry.is_some_and(|entry| !after.covers(entry))
        };
        let base = after.base();
        let here = before.term_at(base.index);
        let contradicted = base != before.base() && here.is_some_and(|term| term != base.term);
        let truncated = before.configurations().any(gone).then_some(Witness::JointTruncated);
        truncated.into_iter().chain(contradicted.then_some(Witness::SnapshotOverConflict))
    }

    /// Whether this state shows it.
    #[must_use]
    pub(crate) fn is_in(self, model: &SliceModel, state: &State) -> bool {
        let nodes = || state.servers.iter().map(|server| &server.node);
        let of = |role| nodes().filter(move |node| node.role().name() == role);
        match self {
            Witness::TwoLeaders => of(RoleName::Leader).count() > 1,
            Witness::RivalCandidates => {
                let mut terms: Vec<_> =
                    of(RoleName::Candidate).map(|node| node.current_term()).collect();
                terms.sort_unstable();
                terms.windows(2).any(|pair| pair[0] == pair[1])
            }
            Witness::LeaderCommits => of(RoleName::Leader)
                .any(|node| node.log().term_at(node.commit_index()) == Some(node.current_term())),
            Witness::LogsDiverge => nodes().any(|a| {
                a.log().ids().any(|id| {
                    nodes().any(|b| b.log().term_at(id.index).is_some_and(|term| term != id.term))
                })
            }),
            Witness::LeaderLostVoters => of(RoleName::Leader).any(|leader| {
                let gone =
                    |id: NodeId| state.server(id).node.current_term() > leader.current_term();
                leader.log().configuration().is_quorum(gone)
            }),
            Witness::CommitsOfTwoTerms => {
                let mut terms: Vec<_> =
                    state.history.committed.values().map(|(term, _)| *term).collect();
                terms.sort_unstable();
                terms.dedup();
                terms.len() > 1
            }
            Witness::HeldBack => {
                state.servers.iter().any(|server| server.gate.held().next().is_some())
            }
            Witness::OldEntryOnMajority => of(RoleName::Leader).any(|leader| {
                let old = |id: &EntryId| {
                    id.term < leader.current_term()
                        && !state.history.committed.contains_key(&id.index)
                        && leader
                            .log()
                            .configuration()
                            .is_quorum(|voter| state.server(voter).node.log().contains(*id))
                };
                leader.log().ids().any(|id| old(&id))
            }),
            Witness::TwoInFlight => of(RoleName::Leader).any(|leader| {
                let Role::Leader(leadership) = leader.role() else { return false };
                let full = |pace: &Pace| matches!(pace, Pace::Replicate(sent) if sent.len() > 1);
                leadership.peers.values().any(|peer| full(&peer.pace))
            }),
            Witness::JointTruncated | Witness::SnapshotOverConflict => false,
            Witness::TransferGivenUp => nodes()
                .filter_map(Node::leadership)
                .any(|leadership| leadership.handed_over && leadership.transfer.is_none()),
            Witness::ReadBesideLaterLeader => of(RoleName::Leader).any(|leader| {
                let waits = leader.leadership().is_some_and(|it| !it.reads.is_empty());
                let later = |other: &Node| other.current_term() > leader.current_term();
                waits && of(RoleName::Leader).any(later)
            }),
            Witness::LeaseBesideEarlierLeader | Witness::LeaseOver => {
                model.slice.lease.is_some() && self.is_of_lease(model, state)
            }
            Witness::JointCommitted
            | Witness::JointInherited
            | Witness::JointOverruled
            | Witness::LeaderOutside
            | Witness::VotersReplaced
            | Witness::JointInSnapshot => nodes().any(|node| self.is_at(node, state)),
            Witness::PromiseAgainstPreCandidate => {
                of(RoleName::PreCandidate).next().is_some()
                    && nodes().any(|node| node.promised_until() > PRESENT)
            }
        }
    }

    /// Whether what the servers have published shows it, where it is about a lease.
    fn is_of_lease(self, model: &SliceModel, state: &State) -> bool {
        let leaders = || state.servers.iter().map(|it| &it.node).filter(|it| it.is_leader());
        leaders().any(|leader| {
            let view = model.silent.protocol.read_view(leader);
            let held = view.lease_read(PRESENT).is_ok();
            match self {
                Witness::LeaseOver => view.lease_until.is_some() && !held,
                _ => held && leaders().any(|it| it.current_term() < leader.current_term()),
            }
        })
    }

    /// Whether this server's log shows it, where it is about a change of the members.
    fn is_at(self, node: &Node, state: &State) -> bool {
        let log = node.log();
        let (at, latest) = log.latest_configuration();
        let mut joint = log.configurations().filter(|(_, configuration)| configuration.is_joint());
        match self {
            Witness::JointCommitted => joint.any(|(at, _)| *at <= node.commit_index()),
            Witness::JointInherited => {
                let earlier = log.term_at(at) < Some(node.current_term());
                node.is_leader() && latest.is_joint() && earlier && at > node.commit_index()
            }
            Witness::JointOverruled => joint.any(|(at, _)| {
                let committed = state.history.committed.get(at).map(|(term, _)| *term);
                committed.is_some() && committed != log.term_at(*at)
            }),
            Witness::JointInSnapshot => log.snapshot().configuration.is_joint(),
            Witness::LeaderOutside => node.is_leader() && !latest.is_voter(node.id()),
            Witness::VotersReplaced => joint.any(|(at, configuration)| {
                let done = *at < node.commit_index();
                done && configuration.voters.is_disjoint(&configuration.outgoing)
            }),
            _ => false,
        }
    }
}
