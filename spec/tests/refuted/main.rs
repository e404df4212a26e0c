//! Every claim refuted: a smallest case in which its function says no, beside a near one in which
//! it says yes. A claim that cannot fail claims nothing.
#![allow(missing_docs)]

mod between;
mod check_quorum;
#[path = "../common/mod.rs"]
mod common;
mod membership;
mod reads;
mod snapshots;

use between::{
    committed_in_logs, committed_on_disks, disjoint_but_not_electable, disjoint_quorums,
    logs_match, match_index, non_disruption,
};
use check_quorum::{
    contact_without_vote, leads_unheard, leads_with_a_disk_that_was_stuck_before,
    leads_with_a_stuck_disk, leads_with_half_a_quorum, old_answer, old_vote,
};
use common::*;
use membership::{
    committed_by_one_half, config_lost_at_restart, config_outlives_its_entry, elected_by_one_half,
    one_config_in_flight,
};
use quorate_spec::property::history::{Event, History};
use quorate_spec::property::release::{SentVote, broken_by_release};
use quorate_spec::property::step::{broken_by_effects, broken_by_restart, broken_by_step};
use quorate_spec::property::{Claim, ClaimSet};
use quorate_spec::{
    Body, Configuration, Durable, Duration, Effects, EntryId, Envelope, HardState, Index, Input,
    Instant, Log, Message, Moment, Node, NodeId, Params, Protocol, Refusal, Rules, Sound, Term,
    WriteId,
};
use reads::{
    answer_to_no_question, confirmed_by_another, confirmed_by_no_such_answer, forgotten_read,
    forwarded_read, lease_beside_a_later_leader, lease_read_of_the_past, read_of_another_server,
    read_of_the_past, views_not_published,
};
use snapshots::{
    committed_entry_lost, falling_terms, gap_after_the_snapshot, gap_on_the_disk, not_written,
    snapshot_lost_at_restart, snapshot_of_another_entry, snapshot_of_old_members, snapshot_shrinks,
    vote_lost, written_differently,
};

/// The claims that are broken in two cases that differ in little.
struct Case {
    near: ClaimSet,
    refuted: ClaimSet,
}

/// This match is exhaustive: a claim without a case does not compile.
fn cases(claim: Claim) -> Vec<Case> {
    match claim {
        Claim::ElectionSafety => vec![election_safety()],
        Claim::VoteOncePerTerm => vec![vote_once_per_term()],
        Claim::VoteDurability => vec![vote_durability()],
        Claim::MessageTermPersisted => vec![message_term_persisted()],
        Claim::TermMonotonic => vec![term_falls(), term_falls_at_restart()],
        Claim::VoteStable => vec![vote_stable()],
        Claim::VoteSound => vec![vote_to_a_past_term(), vote_to_an_old_log()],
        Claim::RestartIsFollower => vec![restart_is_follower()],
        Claim::StateTransitions => state_transitions(),
        Claim::PreVoteSound => vec![pre_vote_sound()],
        Claim::PreVoteSilent => vec![pre_vote_silent()],
        Claim::LeaderIsVoter => vec![leader_is_voter()],
        Claim::PromiseKept => vec![promise_kept(), promise_kept_at_restart()],
        Claim::EntryIdentity => vec![entry_identity()],
        Claim::LeaderAppendOnly => vec![leader_append_only()],
        Claim::LogMatching => vec![logs_match()],
        Claim::LeaderCompleteness => vec![leader_completeness(), leader_contradicts_a_commit()],
        Claim::StateMachineSafety => vec![state_machine_safety()],
        Claim::CommittedPrefixStable => vec![committed_prefix_stable()],
        Claim::CommitBound => vec![commit_bound()],
        Claim::CommitMonotonic => vec![commit_monotonic()],
        Claim::CommitRule => vec![commit_rule()],
        Claim::TruncateOnlyOnConflict => vec![truncate_only_on_conflict()],
        Claim::MatchIndexSound => vec![match_index()],
        Claim::MatchIndexMonotonic => vec![match_index_monotonic()],
        Claim::CheckQuorumSoundness => vec![
            old_answer(),
            old_vote(),
            contact_without_vote(),
            leads_unheard(),
            leads_with_half_a_quorum(),
            leads_with_a_stuck_disk(),
            leads_with_a_disk_that_was_stuck_before(),
        ],
        Claim::AckDurability => vec![ack_durability()],
        Claim::CommittedIsDurable => vec![committed_on_disks()],
        Claim::QuorumLog => vec![committed_in_logs()],
        Claim::JointQuorum => vec![committed_by_one_half(), elected_by_one_half()],
        Claim::OneConfigInFlight => one_config_in_flight(),
        Claim::ConfigFollowsLog => vec![config_outlives_its_entry(), config_lost_at_restart()],
        Claim::SnapshotCommitted => vec![snapshot_of_another_entry(), snapshot_of_old_members()],
        Claim::SnapshotMonotonic => vec![snapshot_shrinks(), snapshot_lost_at_restart()],
        Claim::LogContiguous => vec![gap_after_the_snapshot(), falling_terms()],
        Claim::RestartRecovers => vec![committed_entry_lost(), gap_on_the_disk(), vote_lost()],
        Claim::DurableIndexSound => vec![not_written(), written_differently()],
        Claim::QuorumIntersection => vec![disjoint_quorums(), disjoint_but_not_electable()],
        Claim::NonDisruption => vec![non_disruption()],
        Claim::LinearizableRead => {
            vec![read_of_the_past(), answer_to_no_question(), lease_read_of_the_past()]
        }
        Claim::LeaseExclusive => vec![lease_beside_a_later_leader()],
        Claim::PublishedInTime => views_not_published(),
        Claim::ConfirmationSound => {
            confirmed_by_no_such_answer().into_iter().chain([confirmed_by_another()]).collect()
        }
        // What a run has to do for it is decided in the model.
        Claim::ReadProgress => vec![forgotten_read(), read_of_another_server(), forwarded_read()],
        Claim::StableLeader
        | Claim::ElectionProgress
        | Claim::NoDeadlock
        | Claim::CommitProgress
        | Claim::ReplicationProgress
        | Claim::ReconfigCompletes
        | Claim::SnapshotProgress
        | Claim::TransferProgress => vec![],
    }
}

/// Progress alone is decided elsewhere: in the model, which has the states to reach.
#[test]
fn every_claim_decided_here_says_no_to_one_case_and_yes_to_a_near_one() {
    for claim in Claim::ALL {
        let cases = cases(claim);
        let progress = [
            Claim::StableLeader,
            Claim::ElectionProgress,
            Claim::NoDeadlock,
            Claim::CommitProgress,
            Claim::ReplicationProgress,
            Claim::ReconfigCompletes,
            Claim::SnapshotProgress,
            Claim::TransferProgress,
        ];
        assert_eq!(cases.is_empty(), progress.contains(&claim), "{claim}");
        for (i, Case { near, refuted }) in cases.into_iter().enumerate() {
            assert!(refuted.contains(claim), "case {i} does not refute {claim}, but {refuted:?}");
            assert_eq!(near, ClaimSet::NONE, "what is near case {i} of {claim} is no fault");
        }
    }
}

// The protocol with one guard broken each.

#[macro_export]
macro_rules! broken_rules {
    ($($name:ident: $guard:ident($($argument:ident: $type:ty),*) -> $result:ty = $body:expr;)*) => {
        $(struct $name;

        impl Rules for $name {
            fn $guard(&self, $($argument: $type),*) -> $result {
                $body
            }
        })*
    };
}

broken_rules! {
    VotesForPastTerms: votes_for_term(_a: Term, _b: Term) -> Result<(), Refusal> = Ok(());
    IgnoresLogs: log_is_up_to_date(_a: EntryId, _b: EntryId) -> Result<(), Refusal> = Ok(());
    VotesAgain: vote_is_free(_a: Option<NodeId>, _b: NodeId) -> Result<(), Refusal> = Ok(());
    CountsAnyRound: counts_pre_vote(_a: (Term, Instant), _b: (Term, Instant)) -> Result<(), Refusal>
        = Ok(());
    LeadsAtOnce: leads_after_restart(_id: NodeId, _recovered: HardState) -> bool = true;
    AnyoneCampaigns: is_promotable(
        _id: NodeId,
        _c: &Configuration,
        _before: Option<&Configuration>
    ) -> Result<(), Refusal> = Ok(());
    LeaderVotes: leader_may_vote() -> Result<(), Refusal> = Ok(());
    ForgetsPromise: promise_on_term_change(_promised: Instant) -> Instant = Instant(0);
    RestartsWithoutPromise: promise_on_restart(_now: Instant, _e: Duration) -> Instant = Instant(0);
    PreVotePromises: promise_on_pre_vote(_promised: Instant, now: Instant, e: Duration) -> Instant
        = now.after(e);
    CommitsAsTold: follower_commit(_commit: Index, told: Index, _validated: Index) -> Index = told;
    CommitsOldTerms: may_commit(_entry: Option<Term>, _now: Term) -> Result<(), Refusal> = Ok(());
    TruncatesAlways: conflicts(existing: Option<Term>, _arriving: Term) -> bool = existing.is_some();
    MatchesAsTold: match_after(_before: Index, acknowledged: Index) -> Index = acknowledged;
}

/// What is broken when these things happen to the server, under these rules.
fn life(rules: impl Rules, server: &Server, inputs: &[Input]) -> (Node, ClaimSet) {
    let protocol = Protocol { rules, params: server.protocol.params };
    let moment = Moment { now: Instant(server.now), draw: server.draw };
    let (mut node, mut broken) = (server.node.clone(), ClaimSet::NONE);
    for input in inputs {
        let before = node.clone();
        protocol.step(&mut node, moment, input.clone(), &mut Effects::default());
        broken = broken.union(broken_by_step(&protocol.params, &before, input, &node));
    }
    (node, broken)
}

/// The same things happen under the rules, and under these others.
fn with_and_without(guard: impl Rules, server: &Server, inputs: &[Input]) -> Case {
    Case { near: life(Sound, server, inputs).1, refuted: life(guard, server, inputs).1 }
}

/// What is broken by a step that takes one node to the other, as no rules would.
fn leap(before: &Server, input: &Input, after: &Server) -> ClaimSet {
    broken_by_step(&params(), &before.node, input, &after.node)
}

/// What is broken where this claim holds or not.
fn where_it(claim: Claim, holds: bool) -> ClaimSet {
    let mut broken = ClaimSet::NONE;
    broken.require(claim, holds);
    broken
}

/// What of these events the history finds broken.
fn history(events: &[Event]) -> ClaimSet {
    let mut history = History::default();
    events.iter().map(|event| history.observe(event)).fold(ClaimSet::NONE, ClaimSet::union)
}

fn from(sender: u64, term: u64, body: Body) -> Input {
    Input::Receive(Envelope { from: n(sender), to: n(1), message: Message::new(Term(term), body) })
}

fn follower(term: u64, log: &[u64]) -> Server {
    Setup { term, log: log.to_vec(), ..Setup::default() }.start()
}

fn leader(term: u64) -> Server {
    Setup { term: term - 1, ..Setup::default() }.lead(&[2])
}

fn candidate(term: u64) -> Server {
    let mut server = follower(term - 1, &[]);
    server.be_candidate(&[2]);
    server.sync();
    server
}

fn log(terms: &[u64]) -> Log {
    let mut log = Log::new(voters(&[1, 2, 3]));
    log.append(&entries(0, terms));
    log
}

fn durable(term: u64, voted_for: Option<u64>, terms: &[u64]) -> Durable {
    let hard_state = HardState { current_term: Term(term), voted_for: voted_for.map(NodeId) };
    Durable { hard_state, log: log(terms) }
}

fn elected(term: u64, leader: u64, terms: &[u64]) -> Event {
    Event::Elected { term: Term(term), leader: n(leader), log: log(terms) }
}

fn committed(id: EntryId, term: u64) -> Event {
    Event::Committed { entries: vec![id], term: Term(term) }
}

fn election_safety() -> Case {
    Case {
        near: history(&[elected(1, 1, &[]), elected(2, 2, &[])]),
        refuted: history(&[elected(1, 1, &[]), elected(1, 2, &[])]),
    }
}

fn entry_identity() -> Case {
    let created = |id: EntryId| Event::Created { first: id, last: id.index };
    Case {
        near: history(&[created(entry(1, 1)), created(entry(1, 2))]),
        refuted: history(&[created(entry(1, 1)), created(entry(1, 1))]),
    }
}

/// A leader of the term in which the entry was committed owes nothing; one of a later term does.
fn leader_completeness() -> Case {
    Case {
        near: history(&[committed(entry(1, 1), 2), elected(2, 2, &[]), elected(3, 1, &[1])]),
        refuted: history(&[committed(entry(1, 1), 2), elected(3, 2, &[2])]),
    }
}

/// A follower hears of a leader that contradicts what it knows to be committed, or what it does not.
fn leader_contradicts_a_commit() -> Case {
    let broken_where_committed = |commit| {
        let mut server = Setup { term: 3, log: vec![1, 1, 2], ..Setup::default() }.start();
        server.receive(2, 3, heartbeat(entry(3, 2), commit));
        broken_by_effects(&server.receive(2, 3, append(entry(1, 1), &[3], commit)))
    };
    Case { near: broken_where_committed(1), refuted: broken_where_committed(2) }
}

fn state_machine_safety() -> Case {
    Case {
        near: history(&[committed(entry(1, 1), 1), committed(entry(1, 1), 2)]),
        refuted: history(&[committed(entry(1, 1), 1), committed(entry(1, 2), 2)]),
    }
}

// When a message leaves.

/// What is broken by n1 saying this to n2 with this on its disk.
fn said(
    server: &Server,
    term: u64,
    body: Body,
    disk: &Durable,
    last: Option<SentVote>,
) -> ClaimSet {
    let message = Message::new(Term(term), body);
    let envelope = Envelope { from: n(1), to: n(2), message };
    broken_by_release(&envelope, &server.node, disk, last)
}

fn vote_once_per_term() -> Case {
    let (server, disk) = (follower(1, &[]), durable(1, Some(2), &[]));
    let after =
        |last: (u64, u64)| said(&server, 1, vote(true), &disk, Some((Term(last.0), n(last.1))));
    Case { near: after((1, 2)), refuted: after((1, 3)) }
}

/// Bug A8: the term is on the disk, and the vote is not.
fn vote_durability() -> Case {
    let with =
        |voted_for| said(&follower(1, &[]), 1, vote(true), &durable(1, voted_for, &[]), None);
    Case { near: with(Some(2)), refuted: with(None) }
}

fn message_term_persisted() -> Case {
    let with = |term| said(&follower(5, &[]), 5, vote(false), &durable(term, None, &[]), None);
    Case { near: with(5), refuted: with(4) }
}

fn ack_durability() -> Case {
    let server = follower(1, &[1, 1]);
    let with = |terms| said(&server, 1, accepted(2), &durable(1, None, terms), None);
    Case { near: with(&[1, 1]), refuted: with(&[1]) }
}

// In a step: term, vote and role.

fn term_falls() -> Case {
    Case {
        near: leap(&follower(1, &[]), &Input::Tick, &follower(2, &[])),
        refuted: leap(&follower(2, &[]), &Input::Tick, &follower(1, &[])),
    }
}

/// A restart that takes one server to another, whose disk had reported this.
fn restart(before: &Server, after: &Server, reported: &Durable) -> ClaimSet {
    broken_by_restart(&before.node, reported, &after.disk, &after.node)
}

/// A term that was never reported durable may be lost.
fn term_falls_at_restart() -> Case {
    let with =
        |reported| restart(&follower(2, &[]), &follower(1, &[]), &durable(reported, None, &[]));
    Case { near: with(1), refuted: with(2) }
}

fn restart_is_follower() -> Case {
    let (before, disk) = (leader(1), durable(1, Some(1), &[1]));
    fn after(rules: impl Rules, before: &Server, disk: &Durable) -> ClaimSet {
        let moment = Moment { now: Instant(before.now), draw: 0 };
        let protocol = Protocol { rules, params: params() };
        let node = protocol.start(n(1), disk.clone(), moment);
        broken_by_restart(&before.node, disk, disk, &node)
    }
    Case { near: after(Sound, &before, &disk), refuted: after(LeadsAtOnce, &before, &disk) }
}

fn vote_stable() -> Case {
    let server = Setup { term: 1, voted_for: Some(2), ..Setup::default() }.start();
    with_and_without(VotesAgain, &server, &[from(3, 1, request_vote(entry(0, 0)))])
}

fn vote_to_a_past_term() -> Case {
    let asks = [from(2, 1, request_vote(entry(0, 0)))];
    with_and_without(VotesForPastTerms, &follower(2, &[]), &asks)
}

/// Bug A2: a longer log of earlier terms.
fn vote_to_an_old_log() -> Case {
    let asks = [from(2, 3, request_vote(entry(2, 1)))];
    with_and_without(IgnoresLogs, &follower(3, &[2]), &asks)
}

/// Changes without a row in the table, beside one that has it.
fn state_transitions() -> Vec<Case> {
    let mut pre_candidate = follower(1, &[]);
    pre_candidate.be_pre_candidate();
    let mut later = follower(2, &[]);
    later.be_pre_candidate();
    let (follows, votes) = (follower(1, &[]), from(2, 1, vote(true)));
    let case = |near: (&Server, &Server), refuted: (&Server, &Server)| Case {
        near: leap(near.0, &votes, near.1),
        refuted: leap(refuted.0, &votes, refuted.1),
    };
    vec![
        case((&candidate(1), &leader(1)), (&follows, &leader(1))),
        case((&leader(1), &leader(1)), (&leader(1), &leader(2))),
        case((&candidate(1), &candidate(1)), (&candidate(1), &candidate(3))),
        case((&follows, &pre_candidate), (&follows, &later)),
        case((&pre_candidate, &pre_candidate), (&pre_candidate, &later)),
        case((&candidate(1), &leader(1)), (&candidate(1), &leader(2))),
        case((&leader(1), &follower(2, &[1])), (&leader(1), &candidate(2))),
    ]
}

fn leader_is_voter() -> Case {
    let inputs = [
        Input::Campaign,
        Input::Persisted(WriteId(1)),
        from(2, 1, vote(true)),
        from(3, 1, vote(true)),
    ];
    let params = Params { check_quorum: true, ..params().naive() };
    let server = |ids| Setup { configuration: voters(ids), params, ..Setup::default() }.start();
    Case {
        near: life(AnyoneCampaigns, &server(&[1, 2, 3]), &inputs).1,
        refuted: life(AnyoneCampaigns, &server(&[2, 3]), &inputs).1,
    }
}

// In a step: pre-vote and promise.

fn pre_vote_sound() -> Case {
    let mut server = follower(1, &[]);
    let another_round = server.be_pre_candidate().0 - 1;
    with_and_without(CountsAnyRound, &server, &[from(2, 1, pre_vote_reply(1, another_round, true))])
}

fn pre_vote_silent() -> Case {
    with_and_without(PreVotePromises, &follower(1, &[]), &[from(2, 1, pre_vote(entry(0, 0), 7))])
}

fn promise_kept() -> Case {
    let mut server = follower(1, &[]);
    server.hear_leader(2, 1);
    with_and_without(ForgetsPromise, &server, &[from(3, 5, vote(false))])
}

/// Bug F8.
fn promise_kept_at_restart() -> Case {
    let mut before = follower(1, &[]);
    before.hear_leader(2, 1);
    let moment = Moment { now: Instant(before.now), draw: 0 };
    let with = |node: Node| broken_by_restart(&before.node, &before.disk, &before.disk, &node);
    let params = params();
    let sound = Protocol { rules: Sound, params };
    let broken = Protocol { rules: RestartsWithoutPromise, params };
    Case {
        near: with(sound.start(n(1), before.disk.clone(), moment)),
        refuted: with(broken.start(n(1), before.disk.clone(), moment)),
    }
}

// In a step: log and commit index.

/// The step of a proposal, and the same backwards.
fn leader_append_only() -> Case {
    let (before, mut after) = (leader(1), leader(1));
    let propose = Input::Propose { count: 1 };
    after.step(propose.clone());
    Case { near: leap(&before, &propose, &after), refuted: leap(&after, &propose, &before) }
}

/// What replaces an entry that is not committed may not replace one that is.
fn committed_prefix_stable() -> Case {
    let mut before = follower(1, &[1, 1]);
    before.receive(2, 1, heartbeat(entry(2, 1), 1));
    let (mut kept, mut replaced) = (before.clone(), follower(2, &[2, 2]));
    kept.receive(2, 2, append(entry(1, 1), &[2], 1));
    replaced.receive(2, 2, heartbeat(entry(2, 2), 1));
    let input = from(2, 2, append(entry(1, 1), &[2], 1));
    Case { near: leap(&before, &input, &kept), refuted: leap(&before, &input, &replaced) }
}

fn commit_bound() -> Case {
    with_and_without(CommitsAsTold, &follower(1, &[1]), &[from(2, 1, heartbeat(entry(1, 1), 2))])
}

fn commit_monotonic() -> Case {
    let told = |commit| from(2, 1, heartbeat(entry(1, 1), commit));
    with_and_without(CommitsAsTold, &follower(1, &[1]), &[told(1), told(0)])
}

fn commit_rule() -> Case {
    let server = Setup { log: vec![1], ..Setup::default() }.lead(&[2]);
    with_and_without(CommitsOldTerms, &server, &[from(2, 2, accepted(1))])
}

fn truncate_only_on_conflict() -> Case {
    let again = from(2, 1, append(entry(0, 0), &[1], 0));
    with_and_without(TruncatesAlways, &follower(1, &[1, 1]), &[again])
}

fn match_index_monotonic() -> Case {
    let acks = [from(2, 1, accepted(1)), from(2, 1, accepted(0))];
    with_and_without(MatchesAsTold, &leader(1), &acks)
}
