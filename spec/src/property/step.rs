//! What every step of one server keeps, whatever the others do: statements about the node before
//! and after, decided without the transition functions.

use crate::durable::Durable;
use crate::effects::{Effects, Fatal, Input};
use crate::log::Log;
use crate::message::{Body, Envelope};
use crate::node::Node;
use crate::params::Params;
use crate::property::claim::{Claim, ClaimSet};
use crate::property::membership::{
    commits_as_leader, config_follows_log, config_is_recovered, joint_quorum, may_lead,
    one_config_in_flight,
};
use crate::property::reads::confirmation_sound;
use crate::property::restart::restart_recovers;
use crate::role::{Campaign, Role, RoleName, may_change};
use crate::small::Set;
use crate::types::{Index, Instant, NodeId};

/// The claims that this step breaks.
#[must_use]
pub fn broken_by_step(params: &Params, before: &Node, input: &Input, after: &Node) -> ClaimSet {
    let mut broken = ClaimSet::NONE;
    broken.require(Claim::TermMonotonic, term_monotonic(before, after));
    broken.require(Claim::VoteStable, vote_stable(before, after));
    broken.require(Claim::VoteSound, vote_sound(before, input, after));
    broken.require(Claim::StateTransitions, state_transitions(before, after));
    broken.require(Claim::PreVoteSound, pre_vote_sound(params, before, input, after));
    broken.require(Claim::PreVoteSilent, pre_vote_silent(before, input, after));
    broken.require(Claim::LeaderIsVoter, leader_is_voter(before, after));
    broken.require(Claim::PromiseKept, promise_kept(before, after));
    broken.require(Claim::LeaderAppendOnly, leader_append_only(before, after));
    broken.require(Claim::CommittedPrefixStable, committed_prefix_stable(before, after));
    broken.require(Claim::CommitBound, commit_bound(after));
    broken.require(Claim::CommitMonotonic, commit_monotonic(before, after));
    broken.require(Claim::CommitRule, commit_rule(before, after));
    broken.require(Claim::MatchIndexMonotonic, match_index_monotonic(before, after));
    broken.require(Claim::CheckQuorumSoundness, check_quorum_sound(params, before, input, after));
    broken.require(Claim::ConfirmationSound, confirmation_sound(before, input, after));
    broken.require(Claim::TruncateOnlyOnConflict, truncate_only_on_conflict(before, after));
    broken.require(Claim::JointQuorum, joint_quorum(before, input, after));
    broken.require(Claim::OneConfigInFlight, one_config_in_flight(before, after));
    broken.require(Claim::ConfigFollowsLog, config_follows_log(before, input, after));
    broken.require(Claim::SnapshotMonotonic, snapshot_monotonic(before.log(), after));
    broken.require(Claim::LogContiguous, log_contiguous(after));
    broken
}

/// The claims that a server itself finds broken in a step: it knows an entry to be committed that the
/// leader of its term contradicts, and asks its driver to stop (§3.6.3).
#[must_use]
pub fn broken_by_effects(effects: &Effects) -> ClaimSet {
    match effects.fatal {
        None => ClaimSet::NONE,
        Some(Fatal::CommittedConflict(_)) => ClaimSet::of(&[Claim::LeaderCompleteness]),
    }
}

/// The claims that a restart from `recovered` breaks, for a server whose disk had reported
/// `reported`.
#[must_use]
pub fn broken_by_restart(
    before: &Node,
    reported: &Durable,
    recovered: &Durable,
    after: &Node,
) -> ClaimSet {
    let mut broken = ClaimSet::NONE;
    let kept = after.hard_state() == recovered.hard_state
        && after.current_term() >= reported.hard_state.current_term;
    broken.require(Claim::TermMonotonic, kept);
    broken.require(Claim::RestartIsFollower, restart_is_follower(after));
    broken.require(Claim::SnapshotMonotonic, snapshot_monotonic(&reported.log, after));
    broken.require(Claim::RestartRecovers, restart_recovers(before, reported, recovered, after));
    broken.require(Claim::PromiseKept, promise_kept(before, after));
    broken.require(Claim::ConfigFollowsLog, config_is_recovered(recovered, after));
    broken
}

/// The term does not fall (§3.3).
#[must_use]
pub fn term_monotonic(before: &Node, after: &Node) -> bool {
    after.current_term() >= before.current_term()
}

/// In one term the vote goes from none to one and stays (§3.4).
#[must_use]
pub fn vote_stable(before: &Node, after: &Node) -> bool {
    after.current_term() != before.current_term()
        || before.voted_for().is_none()
        || after.voted_for() == before.voted_for()
}

/// Whoever got the vote asked for it in this term, and its log then was at least as up to date
/// (§3.6.1).
#[must_use]
pub fn vote_sound(before: &Node, input: &Input, after: &Node) -> bool {
    let Input::Receive(envelope) = input else { return true };
    let Body::RequestVote { last, .. } = envelope.message.body else { return true };
    let voted = after.voted_for() == Some(envelope.from)
        && (before.voted_for(), before.current_term()) != (after.voted_for(), after.current_term());
    let (theirs, ours) = (last, before.log().last());
    let up_to_date =
        theirs.term > ours.term || (theirs.term == ours.term && theirs.index >= ours.index);
    !voted || (envelope.message.term == after.current_term() && up_to_date)
}

/// A restarted server follows (§3.8).
#[must_use]
pub fn restart_is_follower(after: &Node) -> bool {
    after.role().name() == RoleName::Follower
}

/// The role changes along an edge of the diagram, and each role comes with its term: a candidate's
/// is the next one, a pre-candidate's and a leader's the one before. A step that passes two edges,
/// which a quorum of one does, goes where a single edge leads, too.
#[must_use]
pub fn state_transitions(before: &Node, after: &Node) -> bool {
    let (from, to) = (before.role().name(), after.role().name());
    let same_term = before.current_term() == after.current_term();
    let same_round = before.campaign().map(|was| was.round) == after.campaign().map(|is| is.round);
    let follows = from == RoleName::Follower && to == RoleName::Follower;
    if follows || (from == to && same_term && same_round) {
        return true;
    }
    let term_fits = match to {
        RoleName::Follower => after.current_term() >= before.current_term(),
        RoleName::PreCandidate | RoleName::Leader => same_term,
        RoleName::Candidate => after.current_term() == before.current_term().next(),
    };
    term_fits && may_change(from, to)
}

/// A server becomes leader as a voter of its own latest configuration, or of the one before where
/// it does not know that the latest is committed: until then only it may be electable (§4.2.2,
/// figure 4.6).
#[must_use]
pub fn leader_is_voter(before: &Node, after: &Node) -> bool {
    let elected = after.is_leader() && !before.is_leader();
    !elected || may_lead(before)
}

/// The promise not to vote is never shortened, whatever becomes of term, role and leader (§6.4.1).
#[must_use]
pub fn promise_kept(before: &Node, after: &Node) -> bool {
    after.promised_until() >= before.promised_until()
}

/// A leader's log only grows (§3.2).
#[must_use]
pub fn leader_append_only(before: &Node, after: &Node) -> bool {
    let leads =
        before.is_leader() && after.is_leader() && before.current_term() == after.current_term();
    let last = before.log().last().index;
    let has_all = after.log().base().index <= last && agree_up_to(before.log(), after.log(), last);
    !leads || has_all
}

/// What the server knew to be committed stays (§3.6).
#[must_use]
pub fn committed_prefix_stable(before: &Node, after: &Node) -> bool {
    agree_up_to(before.log(), after.log(), before.commit_index())
}

/// Nothing is committed that is not in the log (§3.5).
#[must_use]
pub fn commit_bound(after: &Node) -> bool {
    after.commit_index() <= after.log().last().index
}

/// The commit index does not fall (§3.5).
#[must_use]
pub fn commit_monotonic(before: &Node, after: &Node) -> bool {
    after.commit_index() >= before.commit_index()
}

/// A leader commits an entry of its own term, and what precedes it (§3.6.2).
#[must_use]
pub fn commit_rule(before: &Node, after: &Node) -> bool {
    let advanced = commits_as_leader(before, after);
    !advanced || after.log().term_at(after.commit_index()) == Some(after.current_term())
}

/// A leader's match indices do not fall in its term (§3.5).
#[must_use]
pub fn match_index_monotonic(before: &Node, after: &Node) -> bool {
    let (Role::Leader(was), Role::Leader(is)) = (before.role(), after.role()) else { return true };
    if before.current_term() != after.current_term() {
        return true;
    }
    let matched = |id| is.peers.get(id).map(|peer| peer.match_index);
    was.peers.iter().all(|(id, peer)| matched(id).is_none_or(|now| now >= peer.match_index))
}

/// While a server leads a term, a peer's contact is renewed only by an answer of that peer in that
/// term; a new leader's contacts are those whose votes elected it (§6.2).
#[must_use]
pub fn check_quorum_sound(params: &Params, before: &Node, input: &Input, after: &Node) -> bool {
    let Role::Leader(is) = after.role() else { return true };
    let mut contacts = is.peers.iter().map(|(id, peer)| (*id, peer.last_contact));
    let Role::Leader(was) = before.role() else {
        let counts = |id| params.check_quorum && voted(before, input, id);
        return contacts.all(|(id, contact)| contact.is_some() == counts(id));
    };
    contacts.all(|(id, contact)| {
        let known = was.peers.get(&id).and_then(|peer| peer.last_contact);
        contact.is_none() || contact == known || answers(input, after, id)
    })
}

/// A leader that looks at its timers leads no more once its disk owes it a write for an election
/// timeout (§6.2): `now` is the instant of the step, on the server's clock.
#[must_use]
pub fn leader_writes(params: &Params, now: Instant, input: &Input, after: &Node) -> bool {
    let looks = params.check_quorum && *input == Input::Tick && after.is_leader();
    let mut owed = after.unwritten().iter().filter_map(|write| write.due_by);
    !looks || owed.all(|due_by| due_by > now)
}

/// A leader that looks at its timers leads no more where no quorum has answered it within an
/// election timeout: a majority of its voters, and of either half of a joint configuration, the
/// leader itself included (§6.2).
#[must_use]
pub fn leader_is_heard(
    params: &Params,
    now: Instant,
    input: &Input,
    before: &Node,
    after: &Node,
) -> bool {
    let Role::Leader(leadership) = after.role() else { return true };
    let lately = |at: Instant| now.0.saturating_sub(at.0) < params.election_timeout.0;
    let heard = |id: &NodeId| {
        let contact = leadership.peers.get(id).and_then(|peer| peer.last_contact);
        *id == after.id() || contact.is_some_and(lately)
    };
    let majority = |half: &Set<NodeId>| {
        half.is_empty() || 2 * half.iter().filter(|id| heard(id)).count() > half.len()
    };
    let configuration = before.log().configuration();
    let looks = params.check_quorum && *input == Input::Tick;
    !looks || (majority(&configuration.voters) && majority(&configuration.outgoing))
}

/// Whether this input is an answer of `from` to the leader of the present term.
fn answers(input: &Input, leader: &Node, from: NodeId) -> bool {
    let Input::Receive(envelope) = input else { return false };
    let answer = matches!(envelope.message.body, Body::AppendEntriesReply(_));
    answer && envelope.from == from && envelope.message.term == leader.current_term()
}

/// Whether the candidate has the vote of `from`, or gets it by this input.
pub(super) fn voted(candidate: &Node, input: &Input, from: NodeId) -> bool {
    let Role::Candidate(campaign) = candidate.role() else { return false };
    let arrives = match input {
        Input::Receive(Envelope { from: sender, message, .. }) => {
            let grant = message.body == Body::RequestVoteReply { granted: true };
            grant && *sender == from && message.term == candidate.current_term()
        }
        Input::Tick
        | Input::Persisted(_)
        | Input::Propose { .. }
        | Input::ChangeMembers(_)
        | Input::SnapshotTaken { .. }
        | Input::SnapshotReported { .. }
        | Input::Campaign
        | Input::TransferLeadership(_)
        | Input::Read(_) => false,
    };
    campaign.granted.contains(&from) || arrives
}

/// The first entry that is gone has been replaced by one of another term (§3.5), or the last one
/// that a snapshot covers has, and what followed it went with it (§5.3). What a snapshot covers is
/// not lost.
#[must_use]
pub fn truncate_only_on_conflict(before: &Node, after: &Node) -> bool {
    let (was, is) = (before.log(), after.log());
    let replaced = was.term_at(is.base().index).is_some_and(|term| term != is.base().term);
    let mut lost = was.ids().filter(|id| !is.covers(*id));
    replaced || lost.next().is_none_or(|first| is.term_at(first.index).is_some())
}

/// What a snapshot covers does not shrink (§5.1).
#[must_use]
pub fn snapshot_monotonic(before: &Log, after: &Node) -> bool {
    after.log().base().index >= before.base().index
}

/// The log goes on from its snapshot without a gap (§5.1).
#[must_use]
pub fn log_contiguous(after: &Node) -> bool {
    after.log().is_contiguous()
}

/// Whether both logs have the same entries up to `index`, as far as both know them: what the one or
/// the other has compacted is not compared, but the last entry of that is.
pub(crate) fn agree_up_to(a: &Log, b: &Log, index: Index) -> bool {
    let both = a.base().index.max(b.base().index);
    a.known(both, index).eq(b.known(both, index))
}

/// By induction over a round: it begins with no grants; a grant is added only by a granting reply
/// to this round, asked in this term; and the term rises only when the grants and the server
/// itself are a majority of each half (§9.6), or when the leader of this term says so (§3.10).
#[must_use]
pub fn pre_vote_sound(params: &Params, before: &Node, input: &Input, after: &Node) -> bool {
    if !params.pre_vote {
        return true;
    }
    let round_before = pre_vote_round(before);
    let counted = |from: NodeId| match round_before {
        Some(campaign) => campaign.granted.contains(&from) || grants(before, campaign, input, from),
        None => false,
    };
    if let Some(campaign) = pre_vote_round(after) {
        if round_before.is_none_or(|before| before.round != campaign.round) {
            return campaign.granted.is_empty();
        }
        return campaign.granted.iter().all(|from| counted(*from));
    }
    let told = matches!(input, Input::Receive(Envelope { message, .. })
        if message.body == Body::TimeoutNow && message.term == before.current_term());
    let raised =
        matches!(after.role(), Role::Candidate(_)) && after.current_term() > before.current_term();
    let has = |voter: NodeId| voter == after.id() || counted(voter);
    !raised || told || before.log().configuration().is_quorum(has)
}

/// Whoever is asked for a pre-vote stays as it is: no term, no vote, no timer, no promise (§9.6).
#[must_use]
pub fn pre_vote_silent(before: &Node, input: &Input, after: &Node) -> bool {
    let Input::Receive(envelope) = input else { return true };
    !matches!(envelope.message.body, Body::PreVote { .. }) || before == after
}

fn pre_vote_round(node: &Node) -> Option<&Campaign> {
    match node.role() {
        Role::PreCandidate(campaign) => Some(campaign),
        Role::Follower { .. } | Role::Candidate(_) | Role::Leader(_) => None,
    }
}

/// Whether this input is a grant of `from` in this round.
fn grants(before: &Node, campaign: &Campaign, input: &Input, from: NodeId) -> bool {
    let Input::Receive(envelope) = input else { return false };
    let Body::PreVoteReply { asked_in, round, granted } = envelope.message.body else {
        return false;
    };
    let this_round = asked_in == before.current_term() && round == campaign.round;
    envelope.from == from && granted && this_round
}
