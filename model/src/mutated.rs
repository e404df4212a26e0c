//! What the guards become under each mutant.

#![allow(unused_variables, clippy::unnecessary_wraps)]

use quorate_spec::rules::{Pledge, Unwritten};
use quorate_spec::{
    Configuration, Duration, EntryId, HardState, Index, Instant, Kind, NodeId, Refusal, Rules,
    Sound, Target, Term, WriteId,
};

use crate::mutation::Mutation;

type Allowed = Result<(), Refusal>;

pub(crate) fn is_promotable(
    m: Mutation,
    id: NodeId,
    latest: &Configuration,
    superseded: Option<&Configuration>,
) -> Allowed {
    let may = match m {
        Mutation::RemovedNeverCampaigns => latest.is_voter(id),
        Mutation::DemotedNeverCampaigns => latest.voters.contains(&id),
        _ => true,
    };
    if may { Ok(()) } else { Err(Refusal::NotAVoter) }
}

pub(crate) fn log_is_up_to_date(m: Mutation, candidate: EntryId, voter: EntryId) -> Allowed {
    let better = match m {
        Mutation::IgnoresLogs => true,
        Mutation::UpToDateByLength => candidate.index >= voter.index,
        _ => candidate.term >= voter.term,
    };
    if better { Ok(()) } else { Err(Refusal::LogNotUpToDate { candidate, voter }) }
}

pub(crate) fn votes_for_term(_: Mutation, asked_in: Term, current: Term) -> Allowed {
    if asked_in <= current { Ok(()) } else { Sound.votes_for_term(asked_in, current) }
}

pub(crate) fn vote_is_free(_: Mutation, _: Option<NodeId>, _: NodeId) -> Allowed {
    Ok(())
}

pub(crate) fn counts_vote(_: Mutation, granted_in: Term, current: Term) -> Allowed {
    if granted_in <= current { Ok(()) } else { Sound.counts_vote(granted_in, current) }
}

pub(crate) fn counts_own_vote(_: Mutation, _: WriteId) -> bool {
    true
}

pub(crate) fn is_quorum(
    m: Mutation,
    configuration: &Configuration,
    has: &dyn Fn(NodeId) -> bool,
) -> bool {
    let counted = |ids: &mut dyn Iterator<Item = NodeId>| {
        ids.fold((0, 0), |(with, all), id| (with + usize::from(has(id)), all + 1))
    };
    let Configuration { voters, outgoing, .. } = configuration;
    let majority = |(with, all): (usize, usize)| 2 * with > all;
    match m {
        Mutation::CountsBothAsOne => majority(counted(&mut configuration.all_voters())),
        Mutation::NewMajorityDecides => majority(counted(&mut voters.iter().copied())),
        Mutation::OldMajorityDecides if configuration.is_joint() => {
            majority(counted(&mut outgoing.iter().copied()))
        }
        Mutation::OldMajorityDecides => majority(counted(&mut voters.iter().copied())),
        Mutation::LearnersCount => majority(counted(&mut configuration.members())),
        _ => {
            let (with, all) = counted(&mut voters.iter().copied());
            2 * with >= all
        }
    }
}

pub(crate) fn vote_in_term(
    _: Mutation,
    before: Term,
    after: Term,
    vote: Option<NodeId>,
) -> Option<NodeId> {
    None
}

pub(crate) fn hard_state_to_write(
    m: Mutation,
    before: HardState,
    after: HardState,
) -> Option<HardState> {
    let new_term = before.current_term != after.current_term;
    match m {
        Mutation::PersistsOnlyTerms => new_term.then_some(after),
        _ if new_term => Some(HardState { voted_for: None, ..after }),
        _ => Sound.hard_state_to_write(before, after),
    }
}

pub(crate) fn needs(m: Mutation, pledge: Pledge, unwritten: Unwritten) -> WriteId {
    match (m, pledge) {
        (Mutation::GrantsBeforeDurable, Pledge::Vote)
        | (Mutation::AsksBeforeDurable, Pledge::Candidacy)
        | (Mutation::AnswersBeforeDurable, Pledge::Term) => WriteId::NONE,
        (Mutation::AcksBeforeDurable, Pledge::Entries(_)) => unwritten.hard_state,
        _ => Sound.needs(pledge, unwritten),
    }
}

pub(crate) fn leads_after_restart(_: Mutation, id: NodeId, recovered: HardState) -> bool {
    recovered.voted_for == Some(id)
}

pub(crate) fn begins_term_with_no_op(_: Mutation) -> bool {
    false
}

pub(crate) fn vote_while_pre_candidate(_: Mutation, _: Option<NodeId>) -> Option<NodeId> {
    None
}

pub(crate) fn counts_pre_vote(
    m: Mutation,
    asked: (Term, Instant),
    present: (Term, Instant),
) -> Allowed {
    let same = if m == Mutation::CountsPreVotesOfOtherRounds {
        asked.0 == present.0
    } else {
        asked.0 <= present.0 && (asked.0 != present.0 || asked.1 == present.1)
    };
    if same { Ok(()) } else { Err(Refusal::AnotherRound) }
}

pub(crate) fn adopts_term(m: Mutation, kind: Kind, promise: Allowed) -> Allowed {
    match (m, kind) {
        (Mutation::PreVoteRaisesTerm, Kind::PreVote)
        | (Mutation::VoteRequestRaisesTerm, Kind::RequestVote) => Ok(()),
        (Mutation::IgnoresTermOfRejection, Kind::PreVoteRejection) => {
            Err(Refusal::PreVoteHasNoTerm)
        }
        (Mutation::IgnoresTermOfAnswer, Kind::AppendStale) => Err(Refusal::PreVoteHasNoTerm),
        _ => Sound.adopts_term(kind, promise),
    }
}

pub(crate) fn answers_stale(_: Mutation, _: Kind) -> bool {
    false
}

pub(crate) fn promise_permits_vote(_: Mutation, _: Instant, _: Instant) -> Allowed {
    Ok(())
}

pub(crate) fn promise_permits_pre_vote(_: Mutation, _: Instant, _: Instant) -> Allowed {
    Ok(())
}

pub(crate) fn promise_permits_campaign(_: Mutation, _: Instant, _: Instant) -> Allowed {
    Ok(())
}

pub(crate) fn leader_may_vote(_: Mutation) -> Allowed {
    Ok(())
}

pub(crate) fn promise_on_contact(_: Mutation, p: Instant, _: Instant, _: Duration) -> Instant {
    p
}

pub(crate) fn promise_on_term_change(_: Mutation, _: Instant) -> Instant {
    Instant(0)
}

pub(crate) fn promise_on_pre_vote(
    _: Mutation,
    promised: Instant,
    now: Instant,
    e: Duration,
) -> Instant {
    promised.max(now.after(e))
}

pub(crate) fn promise_on_restart(_: Mutation, now: Instant, _: Duration) -> Instant {
    now
}

pub(crate) fn keeps_leading(_: Mutation, _: Instant, _: Option<Instant>, _: Duration) -> bool {
    true
}

pub(crate) fn takes_entries_of(_: Mutation, leader_term: Term, current: Term) -> Allowed {
    if leader_term <= current { Ok(()) } else { Sound.takes_entries_of(leader_term, current) }
}

pub(crate) fn prev_matches(m: Mutation, prev: EntryId, here: Option<Term>) -> bool {
    m == Mutation::AppendsWithoutMatch || (prev != EntryId::ZERO && Sound.prev_matches(prev, here))
}

pub(crate) fn conflicts(m: Mutation, existing: Option<Term>, _: Term) -> bool {
    m == Mutation::TruncatesAlways && existing.is_some()
}

pub(crate) fn follower_commit(m: Mutation, commit: Index, leader: Index, ok: Index) -> Index {
    match m {
        Mutation::CommitGoesBack => leader.min(ok),
        Mutation::NeverLearnsCommit => commit,
        _ => commit.max(leader),
    }
}

pub(crate) fn acknowledged(_: Mutation, _: Index, last: Index) -> Index {
    last
}

pub(crate) fn acknowledged_at_once(_: Mutation, validated: Index, _: Index) -> Index {
    validated
}

pub(crate) fn may_commit(_: Mutation, _: Option<Term>, _: Term) -> Allowed {
    Ok(())
}

pub(crate) fn own_match(_: Mutation, _: Index, last: Index) -> Index {
    last
}

pub(crate) fn match_after(_: Mutation, _: Index, acknowledged: Index) -> Index {
    acknowledged
}

pub(crate) fn counts_answer(_: Mutation, _: Term, _: Term) -> Allowed {
    Ok(())
}

pub(crate) fn is_addressed(_: Mutation, _: NodeId, _: NodeId) -> Allowed {
    Ok(())
}

pub(crate) fn is_in_force(_: Mutation, at: Index, commit: Index) -> bool {
    at <= commit
}

pub(crate) fn truncates_configuration(_: Mutation, _: Index, _: Index) -> bool {
    false
}

pub(crate) fn knows_configuration(_: Mutation, _: &Configuration) -> Allowed {
    Ok(())
}

pub(crate) fn follows_configuration(_: Mutation, _: Index, _: Index) -> Allowed {
    Ok(())
}

pub(crate) fn has_committed_in_term(_: Mutation, _: Option<Term>, _: Term) -> Allowed {
    Ok(())
}

pub(crate) fn has_caught_up(
    _: Mutation,
    _: NodeId,
    _: Index,
    _: Index,
    _: Index,
    _: u64,
) -> Allowed {
    Ok(())
}

pub(crate) fn enter_joint(_: Mutation, _: &Configuration, to: &Target) -> Configuration {
    let Target { voters, learners } = to.clone();
    Configuration { voters, learners, ..Configuration::default() }
}

pub(crate) fn leave_joint(_: Mutation, present: &Configuration) -> Configuration {
    let outgoing = quorate_spec::small::Set::new();
    Configuration { voters: present.outgoing.clone(), outgoing, ..present.clone() }
}

pub(crate) fn continues_change(_: Mutation, begun: Option<Term>, current: Term) -> bool {
    begun == Some(current)
}

pub(crate) fn manages_until(m: Mutation, _: Index, _: Index) -> bool {
    m == Mutation::RemovedLeaderStays
}

pub(crate) fn sends_to_removed(_: Mutation, _: Index, _: Index) -> bool {
    true
}

pub(crate) fn report_covers(m: Mutation, reported: WriteId, write: WriteId) -> bool {
    m == Mutation::ReportsTellOfLaterWrites || write == reported
}

pub(crate) fn durable_after_truncation(_: Mutation, durable: Index, _: Index) -> Index {
    durable
}

pub(crate) fn may_compact(_: Mutation, index: Index, base: Index, commit: Index) -> Allowed {
    Sound.may_compact(index, base, commit.next())
}

pub(crate) fn needs_snapshot(m: Mutation, next: Index, base: Index) -> bool {
    m == Mutation::NoSnapshotAtItsEnd && next < base
}

pub(crate) fn may_install(_: Mutation, _: Index, _: Index) -> Allowed {
    Ok(())
}

pub(crate) fn keeps_log(m: Mutation, _: EntryId, here: Option<Term>) -> bool {
    m == Mutation::KeepsConflictingLog && here.is_some()
}

pub(crate) fn term_after_install(_: Mutation, _: Term, last: Term) -> Term {
    last
}

pub(crate) fn durable_after_install(_: Mutation, durable: Index, _: Index) -> Index {
    durable
}

pub(crate) fn has_arrived(_: Mutation, snapshot: Index, acknowledged: Index) -> bool {
    acknowledged == snapshot
}

pub(crate) fn overrides_promise(m: Mutation, handover: bool) -> bool {
    m == Mutation::EveryVoteOverridesPromise && !handover
}

pub(crate) fn claims_handover(_: Mutation, _: bool) -> bool {
    true
}

pub(crate) fn disk_keeps_up(_: Mutation, _: Instant, _: Option<Instant>) -> bool {
    true
}

pub(crate) fn read_index(_: Mutation, commit: Index, _: Index) -> Index {
    commit
}

pub(crate) fn may_answer_read(_: Mutation, _: Index, _: Index) -> bool {
    true
}

pub(crate) fn confirms_round(m: Mutation, round: u64, reached: u64) -> bool {
    m == Mutation::ReadsUnconfirmed || reached.saturating_add(1) >= round
}

pub(crate) fn round_of_read(_: Mutation, latest: u64, _: bool) -> u64 {
    latest.max(1)
}

pub(crate) fn confirms(_: Mutation, _: Kind) -> bool {
    true
}

pub(crate) fn fails_reads(_: Mutation) -> bool {
    false
}

pub(crate) fn lease_start(_: Mutation, _: Instant, now: Instant) -> Instant {
    now
}

pub(crate) fn lease_end(_: Mutation, start: Instant, lease: Duration) -> Instant {
    Sound.lease_end(start, lease).after(Duration(1))
}

pub(crate) fn may_hold_lease(_: Mutation, _: Option<Term>, _: Term) -> Allowed {
    Ok(())
}

pub(crate) fn lease_survives(m: Mutation, transferring: bool, handed_over: bool) -> Allowed {
    match m {
        Mutation::LeaseWhileTransferring => Ok(()),
        _ => Sound.lease_survives(transferring, transferring && handed_over),
    }
}

pub(crate) fn may_propose(_: Mutation, _: bool) -> Allowed {
    Ok(())
}

pub(crate) fn may_hand_over(_: Mutation, _: Index, _: Index) -> bool {
    true
}

pub(crate) fn asks_whom_it_tells(_: Mutation) -> bool {
    false
}

pub(crate) fn obeys_timeout_now(_: Mutation, leader_term: Term, current: Term) -> Allowed {
    if leader_term <= current { Ok(()) } else { Sound.obeys_timeout_now(leader_term, current) }
}

pub(crate) fn gives_up_transfer(_: Mutation, _: Instant, _: Instant) -> bool {
    false
}
