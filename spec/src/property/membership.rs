//! What every step keeps while the members change (thesis §4.1 to §4.3), recounted by hand: nothing
//! here asks the rules, or the functions that count quorums for them.

use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::configuration::Configuration;
use crate::durable::Durable;
use crate::effects::Input;
use crate::log::Log;
use crate::message::{AppendOutcome, Body};
use crate::node::Node;
use crate::property::step::voted;
use crate::role::Role;
use crate::small::Set;
use crate::types::{EntryId, Index, NodeId};

/// Whether the node is a voter by its log: of the latest configuration there, or of the one before
/// it if the latest is not known to be committed.
#[must_use]
pub fn may_lead(node: &Node) -> bool {
    let votes = |configuration: &Configuration| {
        configuration.voters.contains(&node.id()) || configuration.outgoing.contains(&node.id())
    };
    let mut all: Vec<(Index, &Configuration)> = node.log().all_configurations().collect();
    let Some((at, latest)) = all.pop() else { return false };
    let before = all.pop().filter(|_| at > node.commit_index());
    votes(latest) || before.is_some_and(|(_, configuration)| votes(configuration))
}

/// Whether this step takes the commit index further by counting copies: a leader's, also where it
/// leads no more after it.
pub(super) fn commits_as_leader(before: &Node, after: &Node) -> bool {
    let led = before.is_leader() && before.current_term() == after.current_term();
    (led || after.is_leader()) && after.commit_index() > before.commit_index()
}

/// Whoever is elected, and whatever a leader commits, has a majority of the voters of the
/// configuration in force, and of the outgoing ones where that is joint (§4.3).
#[must_use]
pub fn joint_quorum(before: &Node, input: &Input, after: &Node) -> bool {
    let (_, configuration) = latest(before.log());
    let me = after.id();
    let elected = after.is_leader() && !before.is_leader();
    let votes = |id: NodeId| id == me || voted(before, input, id);
    let has = |id: NodeId| {
        let matched =
            if id == me { after.durable_index() } else { acknowledged(before, input, id) };
        matched >= after.commit_index()
    };
    (!elected || has_both_majorities(configuration, votes))
        && (!commits_as_leader(before, after) || has_both_majorities(configuration, has))
}

/// What the leader knows of a follower's log, this input included.
fn acknowledged(leader: &Node, input: &Input, from: NodeId) -> Index {
    let Role::Leader(leadership) = leader.role() else { return Index::ZERO };
    let known = leadership.peers.get(&from).map_or(Index::ZERO, |peer| peer.match_index);
    let Input::Receive(envelope) = input else { return known };
    let told = envelope.from == from && envelope.message.term == leader.current_term();
    let Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) = envelope.message.body
    else {
        return known;
    };
    if told { known.max(match_index) } else { known }
}

/// Counts one by one.
fn has_both_majorities(configuration: &Configuration, has: impl Fn(NodeId) -> bool) -> bool {
    let majority = |half: &Set<NodeId>| {
        let (mut with, mut without) = (0, 0);
        for id in half {
            if has(*id) {
                with += 1;
            } else {
                without += 1;
            }
        }
        with > without
    };
    let old = configuration.outgoing.is_empty() || majority(&configuration.outgoing);
    majority(&configuration.voters) && old
}

/// A leader appends a configuration when the one before is committed, and an entry of its own term
/// is, too; to a joint one follows exactly its `C_new`, and to a simple one a joint one of the same
/// voters, or one with the same voters (§4.3).
#[must_use]
pub fn one_config_in_flight(before: &Node, after: &Node) -> bool {
    if !after.is_leader() {
        return true;
    }
    let last = before.log().last().index;
    let mut fresh = after.log().all_configurations().filter(|(at, _)| *at > last);
    let Some((_, next)) = fresh.next() else { return true };
    let (at, present) = latest(before.log());
    let own = after.log().term_at(after.commit_index()) == Some(after.current_term());
    let follows = if present.outgoing.is_empty() {
        let joint = next.outgoing == present.voters && next.target.is_none();
        let same = next.outgoing.is_empty() && next.voters == present.voters;
        joint || same
    } else {
        *next
            == Configuration {
                voters: present.voters.clone(),
                learners: present.learners.clone(),
                ..Configuration::default()
            }
    };
    fresh.next().is_none() && at <= after.commit_index() && own && follows
}

/// The configurations of a log are those of its entries: what was there stays with its entry and
/// goes with it, and what a leader's message brings comes with its entries. The last of them is in
/// force, and a leader sends to everyone in it (§4.1).
#[must_use]
pub fn config_follows_log(before: &Node, input: &Input, after: &Node) -> bool {
    let base = after.log().base().index;
    let lost = before.log().ids().find(|id| !after.log().contains(*id) && id.index > base);
    let kept = lost.map_or(before.log().last().index, |first| first.index.previous());
    let mut expected: BTreeMap<Index, &Configuration> =
        before.log().all_configurations().filter(|(at, _)| *at <= kept).collect();
    if let Input::Receive(envelope) = input
        && let Body::AppendEntries { prev, entries, .. } = &envelope.message.body
    {
        let fresh = |at: Index| {
            let run = entries.runs.iter().find(|run| run.last >= at).filter(|_| at > prev.index);
            let id = run.map(|run| EntryId { term: run.term, index: at });
            id.is_some_and(|id| after.log().contains(id))
        };
        let brought = entries.configurations.iter().map(|(at, c)| (*at, c));
        expected.extend(brought.filter(|(at, _)| *at > base.max(kept) && fresh(*at)));
    }
    if let Input::Receive(envelope) = input
        && let Body::InstallSnapshot { snapshot } = &envelope.message.body
        && after.log().base() != before.log().base()
    {
        // It takes the place of all that was there.
        expected = BTreeMap::from([(snapshot.last.index, &*snapshot.configuration)]);
    }
    if after.is_leader() {
        let last = before.log().last().index;
        expected.extend(after.log().all_configurations().filter(|(at, _)| *at > last));
    }
    let present: BTreeMap<Index, &Configuration> = after.log().all_configurations().collect();
    let in_force = expected.values().next_back();
    let at_base = expected.range(..=base).next_back().map(|(_, configuration)| *configuration);
    present.range(base.next()..).eq(expected.range(base.next()..))
        && present.get(&base).copied() == at_base
        && in_force.is_some_and(|c| *c == after.log().configuration() && reaches(after, c))
}

/// Whether a leader sends to everyone that this configuration names.
fn reaches(node: &Node, configuration: &Configuration) -> bool {
    let Role::Leader(leadership) = node.role() else { return true };
    let Configuration { voters, outgoing, learners, target } = configuration;
    let coming = target.iter().flat_map(|target| target.voters.iter().chain(&target.learners));
    let mut named = voters.iter().chain(outgoing).chain(learners).chain(coming);
    named.all(|id| *id == node.id() || leadership.peers.contains_key(id))
}

/// A restart takes the configurations of the log on the disk, and no others (§4.1).
#[must_use]
pub fn config_is_recovered(recovered: &Durable, after: &Node) -> bool {
    let last = recovered.log.last().index;
    let mut on_disk = recovered.log.all_configurations();
    let mut present = after.log().all_configurations();
    present.all(|one| one.0 <= last && on_disk.next() == Some(one)) && on_disk.next().is_none()
}

/// The configuration of the log with the highest index.
fn latest(log: &Log) -> (Index, &Configuration) {
    let mut all = log.all_configurations();
    // There is always one: that of the boundary.
    let first = all.next().unwrap_or_else(|| log.latest_configuration());
    all.fold(first, |latest, one| if one.0 > latest.0 { one } else { latest })
}
