//! The guards of the specification with two additions: each notes its outcome, and one of them
//! may be broken on purpose.

use quorate_spec::rules::{Pledge, Unwritten};
use quorate_spec::{
    Configuration, Duration, EntryId, HardState, Index, Instant, Kind, NodeId, Refusal, Rules,
    Sound, Target, Term, WriteId,
};

use crate::coverage::Coverage;
use crate::mutated;
use crate::mutation::Mutation;

/// The rules under check.
#[derive(Clone, Default)]
pub struct Guards {
    mutation: Option<Mutation>,
    coverage: Coverage,
    silent: bool,
}

impl Guards {
    /// The rules as they are.
    #[must_use]
    pub fn sound() -> Guards {
        Guards::default()
    }

    /// The rules with one of them broken.
    #[must_use]
    pub fn broken(mutation: Mutation) -> Guards {
        Guards { mutation: Some(mutation), ..Guards::default() }
    }

    /// The same guards for questions that are not steps of the protocol: what they answer is not
    /// noted.
    #[must_use]
    pub fn silent(&self) -> Guards {
        Guards { silent: true, ..self.clone() }
    }

    /// What was seen happening.
    #[must_use]
    pub fn coverage(&self) -> Coverage {
        self.coverage.clone()
    }
}

impl Guard {
    /// Why the rule as it is never refuses, for the guards that do not.
    #[must_use]
    pub fn grants_always(self) -> Option<&'static str> {
        match self {
            Guard::begins_term_with_no_op => Some("every leader does"),
            Guard::answers_stale => Some("every stale request is answered"),
            Guard::promise_on_term_change => Some("the promise does not depend on terms"),
            Guard::promise_on_pre_vote => Some("a pre-vote has no effect"),
            Guard::is_in_force => Some("a configuration is in force as soon as it is in the log"),
            Guard::enter_joint => Some("every change of voters goes through both majorities"),
            Guard::leave_joint => Some("what follows a joint configuration is simple"),
            Guard::continues_change => Some("every leader goes on with what it finds"),
            Guard::promise_on_restart => Some("every restart begins with a promise"),
            Guard::asks_whom_it_tells => Some("whoever is told to campaign is asked for answers"),
            Guard::fails_reads => Some("a leader that leads no more answers no read"),
            Guard::lease_start => Some("a lease begins with its request"),
            Guard::lease_end => Some("a lease has its length"),
            Guard::term_after_install => Some("a snapshot's content has no say in the term"),
            _ => None,
        }
    }

    /// Why the rule as it is never grants, for the guards that do not.
    #[must_use]
    pub fn refuses_always(self) -> Option<&'static str> {
        match self {
            Guard::leads_after_restart => Some("no server restarts as leader"),
            Guard::leader_may_vote => Some("a leader helps nobody else"),
            _ => None,
        }
    }
}

/// Delegates every guard to the specification or to the mutant, and notes the outcome. The
/// expression after `=>` says which outcome counts as "granted" and which as "refused".
macro_rules! guards {
    ($(fn $name:ident(&self $(, $arg:ident: $type:ty)*) -> $out:ty => |$seen:ident| $polarity:expr;)*) => {
        /// The names of the guards.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        #[allow(non_camel_case_types, missing_docs)]
        pub enum Guard { $($name),* }

        impl Guard {
            /// All of them, in the order of `rules.rs`.
            pub const ALL: &'static [Guard] = &[$(Guard::$name),*];

            /// Its name in the specification.
            #[must_use]
            pub fn name(self) -> &'static str {
                match self { $(Guard::$name => stringify!($name)),* }
            }
        }

        impl Rules for Guards {
            $(fn $name(&self $(, $arg: $type)*) -> $out {
                let $seen = match self.mutation {
                    Some(mutation) if mutation.guard() == Guard::$name => {
                        mutated::$name(mutation $(, $arg)*)
                    }
                    Some(_) | None => Sound.$name($($arg),*),
                };
                if !self.silent {
                    self.coverage.saw_guard(Guard::$name, $polarity);
                }
                $seen
            })*
        }
    };
}

guards! {
    fn is_promotable(&self, id: NodeId, latest: &Configuration, superseded: Option<&Configuration>) -> Result<(), Refusal> => |out| out.is_ok();
    fn log_is_up_to_date(&self, candidate: EntryId, voter: EntryId) -> Result<(), Refusal> => |out| out.is_ok();
    fn votes_for_term(&self, asked_in: Term, current: Term) -> Result<(), Refusal> => |out| out.is_ok();
    fn vote_is_free(&self, voted_for: Option<NodeId>, candidate: NodeId) -> Result<(), Refusal> => |out| out.is_ok();
    fn counts_vote(&self, granted_in: Term, current: Term) -> Result<(), Refusal> => |out| out.is_ok();
    fn counts_own_vote(&self, unwritten: WriteId) -> bool => |out| out;
    fn is_quorum(&self, configuration: &Configuration, has: &dyn Fn(NodeId) -> bool) -> bool => |out| out;
    fn vote_in_term(&self, before: Term, after: Term, vote: Option<NodeId>) -> Option<NodeId> => |out| out.is_some();
    fn hard_state_to_write(&self, before: HardState, after: HardState) -> Option<HardState> => |out| out.is_some();
    fn needs(&self, pledge: Pledge, unwritten: Unwritten) -> WriteId => |out| out == WriteId::NONE;
    fn leads_after_restart(&self, id: NodeId, recovered: HardState) -> bool => |out| out;
    fn begins_term_with_no_op(&self) -> bool => |out| out;
    fn vote_while_pre_candidate(&self, vote: Option<NodeId>) -> Option<NodeId> => |out| out.is_some();
    fn counts_pre_vote(&self, asked: (Term, Instant), present: (Term, Instant)) -> Result<(), Refusal> => |out| out.is_ok();
    fn is_addressed(&self, to: NodeId, me: NodeId) -> Result<(), Refusal> => |out| out.is_ok();
    fn adopts_term(&self, kind: Kind, promise: Result<(), Refusal>) -> Result<(), Refusal> => |out| out.is_ok();
    fn answers_stale(&self, kind: Kind) -> bool => |out| out;
    fn promise_permits_vote(&self, now: Instant, until: Instant) -> Result<(), Refusal> => |out| out.is_ok();
    fn promise_permits_pre_vote(&self, now: Instant, until: Instant) -> Result<(), Refusal> => |out| out.is_ok();
    fn promise_permits_campaign(&self, now: Instant, until: Instant) -> Result<(), Refusal> => |out| out.is_ok();
    fn leader_may_vote(&self) -> Result<(), Refusal> => |out| out.is_ok();
    fn promise_on_contact(&self, promised: Instant, now: Instant, e: Duration) -> Instant => |out| out > promised;
    fn promise_on_term_change(&self, promised: Instant) -> Instant => |out| out == promised;
    fn promise_on_pre_vote(&self, promised: Instant, now: Instant, e: Duration) -> Instant => |out| out == promised;
    fn promise_on_restart(&self, now: Instant, e: Duration) -> Instant => |out| out > now;
    fn overrides_promise(&self, handover: bool) -> bool => |out| out;
    fn claims_handover(&self, told: bool) -> bool => |out| out;
    fn disk_keeps_up(&self, now: Instant, due_by: Option<Instant>) -> bool => |out| out;
    fn read_index(&self, commit: Index, first_of_term: Index) -> Index => |out| out == commit;
    fn may_answer_read(&self, index: Index, commit: Index) -> bool => |out| out;
    fn confirms_round(&self, round: u64, reached: u64) -> bool => |out| out;
    fn round_of_read(&self, latest: u64, was_asked: bool) -> u64 => |out| out == latest;
    fn confirms(&self, answer: Kind) -> bool => |out| out;
    fn fails_reads(&self) -> bool => |out| out;
    fn lease_start(&self, sent: Instant, now: Instant) -> Instant => |out| out == sent;
    fn lease_end(&self, start: Instant, lease: Duration) -> Instant => |out| out == start.after(lease);
    fn may_hold_lease(&self, committed: Option<Term>, current: Term) -> Result<(), Refusal> => |out| out.is_ok();
    fn lease_survives(&self, transferring: bool, handed_over: bool) -> Result<(), Refusal> => |out| out.is_ok();
    fn may_propose(&self, transferring: bool) -> Result<(), Refusal> => |out| out.is_ok();
    fn may_hand_over(&self, matched: Index, last: Index) -> bool => |out| out;
    fn asks_whom_it_tells(&self) -> bool => |out| out;
    fn obeys_timeout_now(&self, leader_term: Term, current: Term) -> Result<(), Refusal> => |out| out.is_ok();
    fn gives_up_transfer(&self, now: Instant, deadline: Instant) -> bool => |out| out;
    fn keeps_leading(&self, now: Instant, contact: Option<Instant>, e: Duration) -> bool => |out| out;
    fn takes_entries_of(&self, leader_term: Term, current: Term) -> Result<(), Refusal> => |out| out.is_ok();
    fn prev_matches(&self, prev: EntryId, here: Option<Term>) -> bool => |out| out;
    fn conflicts(&self, existing: Option<Term>, arriving: Term) -> bool => |out| out;
    fn follower_commit(&self, commit: Index, leader_commit: Index, validated: Index) -> Index => |out| out > commit;
    fn acknowledged(&self, validated: Index, last: Index) -> Index => |out| out == last;
    fn may_commit(&self, entry: Option<Term>, current: Term) -> Result<(), Refusal> => |out| out.is_ok();
    fn own_match(&self, durable: Index, last: Index) -> Index => |out| out == last;
    fn match_after(&self, before: Index, acknowledged: Index) -> Index => |out| out > before;
    fn counts_answer(&self, answered_in: Term, current: Term) -> Result<(), Refusal> => |out| out.is_ok();
    fn acknowledged_at_once(&self, validated: Index, durable: Index) -> Index => |out| out > Index::ZERO;
    fn report_covers(&self, reported: WriteId, write: WriteId) -> bool => |out| out;
    fn durable_after_truncation(&self, durable: Index, keep: Index) -> Index => |out| out < durable;
    fn is_in_force(&self, at: Index, commit: Index) -> bool => |out| out;
    fn truncates_configuration(&self, at: Index, keep: Index) -> bool => |out| out;
    fn follows_configuration(&self, at: Index, commit: Index) -> Result<(), Refusal> => |out| out.is_ok();
    fn has_committed_in_term(&self, committed: Option<Term>, current: Term) -> Result<(), Refusal> => |out| out.is_ok();
    fn has_caught_up(&self, id: NodeId, matched: Index, asked: Index, commit: Index, lag: u64) -> Result<(), Refusal> => |out| out.is_ok();
    fn enter_joint(&self, present: &Configuration, target: &Target) -> Configuration => |out| out.is_joint();
    fn leave_joint(&self, present: &Configuration) -> Configuration => |out| !out.is_joint();
    fn continues_change(&self, begun: Option<Term>, current: Term) -> bool => |out| out;
    fn manages_until(&self, at: Index, commit: Index) -> bool => |out| out;
    fn sends_to_removed(&self, at: Index, commit: Index) -> bool => |out| out;
    fn may_compact(&self, index: Index, base: Index, commit: Index) -> Result<(), Refusal> => |out| out.is_ok();
    fn knows_configuration(&self, configuration: &Configuration) -> Result<(), Refusal> => |out| out.is_ok();
    fn needs_snapshot(&self, next: Index, base: Index) -> bool => |out| out;
    fn may_install(&self, last: Index, commit: Index) -> Result<(), Refusal> => |out| out.is_ok();
    fn keeps_log(&self, last: EntryId, here: Option<Term>) -> bool => |out| out;
    fn term_after_install(&self, current: Term, last: Term) -> Term => |out| out == current;
    fn durable_after_install(&self, durable: Index, commit: Index) -> Index => |out| out < durable;
    fn has_arrived(&self, snapshot: Index, acknowledged: Index) -> bool => |out| out;
}
