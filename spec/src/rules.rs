//! What safety rests on, in one file: every load-bearing guard, one named function each.
//!
//! Not here are tests that only a dishonest peer could fail (`Refusal::Malformed`, `TermTooHigh`,
//! `Effects::fatal`), and tests that only save work: of a past pre-vote or report, of an answer that
//! is no longer live, of a runaway log, of a read that waits already, of whom leadership can go to.
//!
//! The default bodies are the rules. [`Sound`] takes them as they are and costs nothing; a mutant
//! overrides one of them, and some claim has to fail for it (`quorate-model mutants`).

use crate::configuration::{Configuration, Target};
use crate::durable::HardState;
use crate::message::Kind;
pub use crate::pledge::{Pledge, Unwritten};
use crate::refusal::{Refusal, in_this_term, promise_is_over};
use crate::types::{Duration, EntryId, Index, Instant, NodeId, Term, WriteId};

/// The guards. Each returns a value, or says why it refuses.
pub trait Rules {
    // Elections: thesis §3.4, §3.6.1.

    /// Whether a server may campaign at all: only a voter, in either half, of its latest
    /// configuration or of the one that this `superseded` and that may come back (bug E17). Until
    /// `C_new` is committed only a server that it removes may have it in its log, and then nobody
    /// else can be elected (§4.2.2 with figure 4.6, rule J8, bug E19). It does not count itself.
    fn is_promotable(
        &self,
        id: NodeId,
        latest: &Configuration,
        superseded: Option<&Configuration>,
    ) -> Result<(), Refusal> {
        let voter = latest.is_voter(id) || superseded.is_some_and(|before| before.is_voter(id));
        if voter { Ok(()) } else { Err(Refusal::NotAVoter) }
    }

    /// The up-to-date rule, §3.6.1: the later last term wins, then the longer log (bug A2).
    fn log_is_up_to_date(&self, candidate: EntryId, voter: EntryId) -> Result<(), Refusal> {
        if candidate >= voter { Ok(()) } else { Err(Refusal::LogNotUpToDate { candidate, voter }) }
    }

    /// A vote is given in the voter's present term and no other (§3.4): what a candidate of a past
    /// term says of its log may no longer be true.
    fn votes_for_term(&self, asked_in: Term, current: Term) -> Result<(), Refusal> {
        in_this_term(asked_in, current)
    }

    /// One vote a term, first come, first served, §3.4 (bug A12).
    fn vote_is_free(&self, voted_for: Option<NodeId>, candidate: NodeId) -> Result<(), Refusal> {
        match voted_for {
            Some(other) if other != candidate => Err(Refusal::VotedForAnother(other)),
            Some(_) | None => Ok(()),
        }
    }

    /// A granted vote counts in the term in which it was asked for (bug A1).
    fn counts_vote(&self, granted_in: Term, current: Term) -> Result<(), Refusal> {
        in_this_term(granted_in, current)
    }

    /// A candidate counts its own vote once it is durable, as anyone else's (bugs A7, H9).
    fn counts_own_vote(&self, unwritten_hard_state: WriteId) -> bool {
        unwritten_hard_state == WriteId::NONE
    }

    /// A quorum: a strict majority of each half of the configuration in force (§3.3, §4.3).
    fn is_quorum(&self, configuration: &Configuration, has: &dyn Fn(NodeId) -> bool) -> bool {
        configuration.is_quorum(has)
    }

    /// The vote is forgotten only when the term rises, also for a leader that steps down in its
    /// own term (bug A3).
    fn vote_in_term(&self, before: Term, after: Term, vote: Option<NodeId>) -> Option<NodeId> {
        if after > before { None } else { vote }
    }

    /// What of the new term and vote has to be written: both, whenever either changed (bugs A8,
    /// A9).
    fn hard_state_to_write(&self, before: HardState, after: HardState) -> Option<HardState> {
        (before != after).then_some(after)
    }

    /// The write that a message waits for (rules P1, P2; bugs A6, A7, H1).
    fn needs(&self, pledge: Pledge, unwritten: Unwritten) -> WriteId {
        match pledge {
            Pledge::Term | Pledge::Candidacy | Pledge::Vote => unwritten.hard_state,
            Pledge::Entries(_) => unwritten.hard_state.max(unwritten.entries),
        }
    }

    /// A server restarts as a follower, also in a term that it led (rule P7, bug A16).
    fn leads_after_restart(&self, _id: NodeId, _recovered: HardState) -> bool {
        false
    }

    /// A leader begins its term with an entry of its own, so that everything before it can be
    /// committed (§3.6.2, §6.4).
    fn begins_term_with_no_op(&self) -> bool {
        true
    }

    // Pre-vote: thesis §9.6.

    /// A pre-vote leaves term and vote alone (bug A5).
    fn vote_while_pre_candidate(&self, vote: Option<NodeId>) -> Option<NodeId> {
        vote
    }

    /// A grant counts in the term and round that asked for it (bug B7, CRDB#123189).
    fn counts_pre_vote(
        &self,
        asked: (Term, Instant),
        present: (Term, Instant),
    ) -> Result<(), Refusal> {
        if asked == present { Ok(()) } else { Err(Refusal::AnotherRound) }
    }

    // Terms: thesis §3.3.

    /// Whether a message to this identity is for the server `me`. A server that has lost its disk
    /// starts as another one, with an identity of its own, and what is said to the lost one is not
    /// for it: it does not know what that had promised (§3.8, bug E22).
    fn is_addressed(&self, to: NodeId, me: NodeId) -> Result<(), Refusal> {
        if to == me { Ok(()) } else { Err(Refusal::AnotherIncarnation { to }) }
    }

    /// Whether a message of a higher term raises the receiver's. All do, but a pre-vote and its
    /// grant, and a RequestVote to a server whose promise is in force (§4.2.3; bugs B5, E18).
    fn adopts_term(&self, kind: Kind, promise: Result<(), Refusal>) -> Result<(), Refusal> {
        match kind {
            Kind::PreVote | Kind::PreVoteGrant => Err(Refusal::PreVoteHasNoTerm),
            Kind::RequestVote => promise,
            Kind::PreVoteRejection
            | Kind::VoteGrant
            | Kind::VoteRejection
            | Kind::AppendEntries
            | Kind::AppendAccepted
            | Kind::AppendConflict
            | Kind::AppendStale
            | Kind::InstallSnapshot
            | Kind::TimeoutNow
            | Kind::ReadIndex
            | Kind::ReadIndexReply => Ok(()),
        }
    }

    /// Whether a request of a past term is answered, so that its sender learns the present one
    /// (bug B3).
    fn answers_stale(&self, _kind: Kind) -> bool {
        true
    }

    // The promise: thesis §4.2.3, §6.4.1. It depends on time alone, not on term or role (bug F20).

    /// Whether the promise lets the server vote.
    fn promise_permits_vote(&self, now: Instant, until: Instant) -> Result<(), Refusal> {
        promise_is_over(now, until)
    }

    /// Whether the promise lets the server grant a pre-vote.
    fn promise_permits_pre_vote(&self, now: Instant, until: Instant) -> Result<(), Refusal> {
        promise_is_over(now, until)
    }

    /// Whether the promise lets the server campaign, whoever asks it to (rule L11).
    fn promise_permits_campaign(&self, now: Instant, until: Instant) -> Result<(), Refusal> {
        promise_is_over(now, until)
    }

    /// Whether the promise does not stand against a candidate: only where the leader to whom it
    /// was given has handed its leadership over to it (§4.2.3, bug B14).
    fn overrides_promise(&self, handover: bool) -> bool {
        handover
    }

    /// Whether a candidate says that leadership was handed over to it: in the campaign that a
    /// TimeoutNow began, and in no other (§4.2.3).
    fn claims_handover(&self, told: bool) -> bool {
        told
    }

    /// A leader helps nobody else while it leads (bugs A13, B11).
    fn leader_may_vote(&self) -> Result<(), Refusal> {
        Err(Refusal::IsLeader)
    }

    /// The promise after a message of the current leader: never shorter than before.
    fn promise_on_contact(&self, promised: Instant, now: Instant, e: Duration) -> Instant {
        promised.max(now.after(e))
    }

    /// The promise when the term changes: the same (rule L7, bug F20).
    fn promise_on_term_change(&self, promised: Instant) -> Instant {
        promised
    }

    /// The promise after a granted pre-vote: the same, for a grant has no effect (bugs B8, B10).
    fn promise_on_pre_vote(&self, promised: Instant, _now: Instant, _e: Duration) -> Instant {
        promised
    }

    /// The promise after a restart, which forgot whom it had heard (rule L8, bug F8).
    fn promise_on_restart(&self, now: Instant, e: Duration) -> Instant {
        now.after(e)
    }

    /// Whether a leader stays: a quorum answered it within the election timeout (§6.2).
    fn keeps_leading(&self, now: Instant, quorum_contact: Option<Instant>, e: Duration) -> bool {
        quorum_contact.is_some_and(|at| !now.is_past(at, e))
    }

    /// Whether a leader stays whose disk owes it a write by `due_by` (bug H11).
    fn disk_keeps_up(&self, now: Instant, due_by: Option<Instant>) -> bool {
        due_by.is_none_or(|due_by| now < due_by)
    }

    // Reads: thesis §6.4.

    /// Where a read may be served that comes now: no entry that any client knows of is after it.
    /// Those of earlier terms come before the no-op of this one, but a leader does not know them
    /// to be committed before that is (rules R1, R2, R9; bugs F1, F2, F18, F19).
    fn read_index(&self, commit: Index, first_of_term: Index) -> Index {
        commit.max(first_of_term)
    }

    /// A read is answered at a committed index: another entry may never be (rule R4).
    fn may_answer_read(&self, index: Index, commit: Index) -> bool {
        index <= commit
    }

    /// Whether reads of `round` are confirmed once a quorum has answered `reached`: a request that
    /// was made after they had come, and no earlier one (rule R3; bugs F5, F17).
    fn confirms_round(&self, round: u64, reached: u64) -> bool {
        reached >= round
    }

    /// The round that a read joins: the latest one, unless someone has been asked in it (rule R7,
    /// etcd#20418).
    fn round_of_read(&self, latest: u64, was_asked: bool) -> u64 {
        if was_asked { latest.saturating_add(1) } else { latest }
    }

    /// Whether an answer confirms that its sender took this server for its leader when the request
    /// came: an answer to a request of an earlier term tells nothing about this one (rule L2).
    fn confirms(&self, answer: Kind) -> bool {
        answer != Kind::AppendStale
    }

    /// Whether the reads of a leader fail that leads no more (rule R6, bug F4).
    fn fails_reads(&self) -> bool {
        true
    }

    // Leases: thesis §6.4.1.

    /// When a lease begins that rests on an answer: when its request was made, not when the answer
    /// came (rule L1, bugs F7, F11).
    fn lease_start(&self, sent: Instant, _now: Instant) -> Instant {
        sent
    }

    /// When a lease ends that began at `start`: at that very instant it is not held any more, and a
    /// promise of the same length may end (rule L12).
    fn lease_end(&self, start: Instant, lease: Duration) -> Instant {
        start.after(lease)
    }

    /// A leader holds no lease before it has committed an entry of its term (rule L4, bug F1).
    fn may_hold_lease(&self, committed: Option<Term>, current: Term) -> Result<(), Refusal> {
        if committed == Some(current) { Ok(()) } else { Err(Refusal::NoCommitInTerm) }
    }

    /// Nor while it hands its leadership over, or after it told anyone to campaign: a late TimeoutNow
    /// overrides the promises on which the lease rests (rule L6; bugs F5, F6).
    fn lease_survives(&self, transferring: bool, handed_over: bool) -> Result<(), Refusal> {
        if transferring || handed_over { Err(Refusal::TransferInFlight) } else { Ok(()) }
    }

    // Transfer of leadership: thesis §3.10.

    /// A leader takes nothing new while it hands over: its target could not catch up (bug F16).
    fn may_propose(&self, transferring: bool) -> Result<(), Refusal> {
        if transferring { Err(Refusal::TransferInFlight) } else { Ok(()) }
    }

    /// A leader tells only a server to campaign that has all of its log: another could not win.
    fn may_hand_over(&self, matched: Index, last: Index) -> bool {
        matched == last
    }

    /// The target of a transfer is asked for answers meanwhile, or its leader would lose contact to it.
    fn asks_whom_it_tells(&self) -> bool {
        true
    }

    /// A server campaigns for the leader of its term, and not for one of the past: others may hold
    /// a lease by now (bug F6).
    fn obeys_timeout_now(&self, leader_term: Term, current: Term) -> Result<(), Refusal> {
        in_this_term(leader_term, current)
    }

    /// A transfer that has not succeeded by its deadline has failed, and the leader leads on.
    fn gives_up_transfer(&self, now: Instant, deadline: Instant) -> bool {
        now >= deadline
    }

    // Replication: thesis §3.5 and §3.6.

    /// Entries are taken from the leader of the present term, and not from one of the past (§3.3,
    /// §3.5).
    fn takes_entries_of(&self, leader_term: Term, current: Term) -> Result<(), Refusal> {
        in_this_term(leader_term, current)
    }

    /// Entries are taken only after an entry that both logs have (§3.5).
    fn prev_matches(&self, prev: EntryId, term_here: Option<Term>) -> bool {
        term_here == Some(prev.term)
    }

    /// An entry goes only when another one of a different term takes its index (bugs C1, C14).
    fn conflicts(&self, existing: Option<Term>, arriving: Term) -> bool {
        existing.is_some_and(|term| term != arriving)
    }

    /// What a follower may treat as committed: no more than this message validated (bug C2), and
    /// never less than before (bug C4).
    fn follower_commit(&self, commit: Index, leader_commit: Index, validated: Index) -> Index {
        commit.max(leader_commit.min(validated))
    }

    /// What a success acknowledges: what the request validated, not what else the log has (C7).
    fn acknowledged(&self, validated: Index, _last: Index) -> Index {
        validated
    }

    /// A leader commits by counting only entries of its own term (§3.6.2, bugs D1, D2).
    fn may_commit(&self, entry: Option<Term>, current: Term) -> Result<(), Refusal> {
        if entry == Some(current) { Ok(()) } else { Err(Refusal::EarlierTerm) }
    }

    /// A leader counts itself for what is durable, not for what it has in memory (P3, bug D8).
    fn own_match(&self, durable: Index, _last: Index) -> Index {
        durable
    }

    /// An acknowledgement never takes back an earlier one (bug C5).
    fn match_after(&self, before: Index, acknowledged: Index) -> Index {
        before.max(acknowledged)
    }

    /// An answer to an AppendEntries counts in the term that asked (bug C5).
    fn counts_answer(&self, answered_in: Term, current: Term) -> Result<(), Refusal> {
        in_this_term(answered_in, current)
    }

    /// What is acknowledged before the write is durable: no more than what is (rule P2).
    fn acknowledged_at_once(&self, validated: Index, durable: Index) -> Index {
        validated.min(durable)
    }

    /// Whether the report of one write tells of another: of every write up to it, for they are one
    /// FIFO, and of none after it (rule P5, bug H4).
    fn report_covers(&self, reported: WriteId, write: WriteId) -> bool {
        write <= reported
    }

    /// Truncation takes the durable mark down in the same step (bug C10).
    fn durable_after_truncation(&self, durable: Index, keep: Index) -> Index {
        durable.min(keep)
    }

    // Membership changes: thesis §4.1 to §4.3.

    /// Whether the configuration entry at `at` is in force where `commit` is known to be
    /// committed: as soon as it is in the log (rule J4, bugs E2, E9).
    fn is_in_force(&self, _at: Index, _commit: Index) -> bool {
        true
    }

    /// Whether the configuration entry at `at` goes when the log is truncated after `keep`: with
    /// its entry, so that the one before it is in force again (rule J4, bugs E7, E10).
    fn truncates_configuration(&self, at: Index, keep: Index) -> bool {
        at > keep
    }

    /// A configuration follows only one that is committed: one change at a time, and `C_new` only
    /// after both majorities have the joint one (rules J5, J6; bug E5).
    fn follows_configuration(&self, at: Index, commit: Index) -> Result<(), Refusal> {
        if at <= commit { Ok(()) } else { Err(Refusal::ChangeInFlight) }
    }

    /// A leader appends a configuration only after an entry of its own term is committed (rules
    /// J5', J6; bug E1).
    fn has_committed_in_term(&self, committed: Option<Term>, current: Term) -> Result<(), Refusal> {
        if committed == Some(current) { Ok(()) } else { Err(Refusal::NoCommitInTerm) }
    }

    /// Whether a server may become a voter that has everything up to `matched`, by what it told
    /// this leader: it has the entry `asked` that names it, and all but `lag` of what is
    /// committed (§4.2.1, bug E25).
    fn has_caught_up(
        &self,
        id: NodeId,
        matched: Index,
        asked: Index,
        commit: Index,
        lag: u64,
    ) -> Result<(), Refusal> {
        let heard = matched > Index::ZERO && matched >= asked;
        let near = commit.0.saturating_sub(matched.0) <= lag;
        if heard && near { Ok(()) } else { Err(Refusal::NotCaughtUp(id)) }
    }

    /// What follows a simple configuration on the way to other voters: the joint one (§4.3).
    fn enter_joint(&self, present: &Configuration, target: &Target) -> Configuration {
        present.enter_joint(target)
    }

    /// What follows a joint configuration: `C_new` (§4.3).
    fn leave_joint(&self, present: &Configuration) -> Configuration {
        present.leave()
    }

    /// Whether a leader of the present term goes on with the change whose last entry is of the
    /// term `begun`: with any that it finds (rule J10, bug E4).
    fn continues_change(&self, _begun: Option<Term>, _current: Term) -> bool {
        true
    }

    /// Whether a leader that is no voter of its latest configuration, at `at`, stays: until that
    /// is committed (§4.2.2, rule J7, bug E20).
    fn manages_until(&self, at: Index, commit: Index) -> bool {
        at > commit
    }

    /// Whether the leader goes on sending to a server that its latest configuration, at `at`, does
    /// not name: until that is committed, and no longer, or a server that was removed could depose
    /// it with its answers (§4.2.3, bug E18).
    fn sends_to_removed(&self, at: Index, commit: Index) -> bool {
        at > commit
    }

    // Snapshots: thesis §5.1 and §5.3.

    /// What a snapshot of one's own may cover: committed entries (rule S1, bug G16), and more than
    /// the one before it, for a late report of an older one says nothing (rule S9).
    fn may_compact(&self, index: Index, base: Index, commit: Index) -> Result<(), Refusal> {
        if index > commit {
            return Err(Refusal::NotCommitted);
        }
        if index > base { Ok(()) } else { Err(Refusal::SnapshotCovered) }
    }

    /// Whether the configuration at the end of a snapshot of one's own is known. A server that
    /// joined does not know the first one, before the entry that names it, and a snapshot without
    /// its configuration is none (rule S1).
    fn knows_configuration(&self, configuration: &Configuration) -> Result<(), Refusal> {
        if configuration.voters.is_empty() { Err(Refusal::MembersUnknown) } else { Ok(()) }
    }

    /// A leader sends its snapshot exactly where it no longer knows the entry before those that
    /// the peer needs (rule S7, bugs G3, G5).
    fn needs_snapshot(&self, next: Index, base: Index) -> bool {
        next <= base
    }

    /// A snapshot is installed if it covers more than the server knows to be committed (rule S2,
    /// bug G7).
    fn may_install(&self, last: Index, commit: Index) -> Result<(), Refusal> {
        if last > commit { Ok(()) } else { Err(Refusal::SnapshotCovered) }
    }

    /// A log that has the snapshot's last entry agrees with the leader up to there: nothing of it
    /// goes. Of any other log everything does (rule S3, bug G8).
    fn keeps_log(&self, last: EntryId, term_here: Option<Term>) -> bool {
        term_here == Some(last.term)
    }

    /// The term after a snapshot was installed: the same, whatever the snapshot's last entry is of
    /// (rule S8, bug G6).
    fn term_after_install(&self, current: Term, _last: Term) -> Term {
        current
    }

    /// When a snapshot takes the place of the log, the durable mark falls in the same step to what
    /// both agree in: what was committed (bug G11).
    fn durable_after_install(&self, durable: Index, commit: Index) -> Index {
        durable.min(commit)
    }

    /// A snapshot has arrived when the peer acknowledges its last entry or a later one, by
    /// whatever request (rule S11, bug G19).
    fn has_arrived(&self, snapshot: Index, acknowledged: Index) -> bool {
        acknowledged >= snapshot
    }
}

/// The rules as they are.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug, Default)]
pub struct Sound;

impl Rules for Sound {}
