//! What was seen happening in a run: actions, messages, changes of role, refusals, and each guard
//! in both its outcomes. A check that never saw a thing happen has not checked it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use quorate_spec::role::TRANSITIONS;
use quorate_spec::{Effects, Kind, Refusal};

use crate::action::ACTION_KINDS;
use crate::guards::Guard;
use crate::witness::Witness;

/// A record that checker threads share.
#[derive(Clone, Default)]
pub struct Coverage(Arc<Seen>);

#[derive(Default)]
struct Seen {
    actions: AtomicU32,
    kinds: AtomicU32,
    transitions: AtomicU32,
    witnesses: AtomicU32,
    refusals: Mutex<BTreeSet<&'static str>>,
    guards_true: [AtomicU64; 2],
    guards_false: [AtomicU64; 2],
}

/// There is a bit for each guard.
const _: () = assert!(Guard::ALL.len() <= 2 * u64::BITS as usize);

/// The word of a guard's bit, and the bit.
fn bit_of(guard: Guard) -> (usize, u64) {
    let position = guard as usize;
    (position / 64, 1 << (position % 64))
}

impl Coverage {
    pub(crate) fn saw_action(&self, kind: usize) {
        set(&self.0.actions, kind);
    }

    pub(crate) fn saw_message(&self, kind: Kind) {
        set(&self.0.kinds, kind as usize);
    }

    pub(crate) fn saw_step(&self, effects: &Effects) {
        for change in &effects.changed {
            if let Some(row) = TRANSITIONS.iter().position(|row| row == change) {
                set(&self.0.transitions, row);
            }
        }
        if !effects.refused.is_empty() {
            let mut seen = self.0.refusals.lock().expect("no thread panics here");
            seen.extend(effects.refused.iter().map(refusal_name));
        }
    }

    pub(crate) fn saw_guard(&self, guard: Guard, outcome: bool) {
        let (word, bit) = bit_of(guard);
        let bits = if outcome { &self.0.guards_true } else { &self.0.guards_false };
        let bits = &bits[word];
        if bits.load(Ordering::Relaxed) & bit == 0 {
            bits.fetch_or(bit, Ordering::Relaxed);
        }
    }

    /// The kinds of actions that happened.
    #[must_use]
    pub fn actions(&self) -> Vec<&'static str> {
        let bits = self.0.actions.load(Ordering::Relaxed);
        named(bits, ACTION_KINDS.iter().copied())
    }

    /// The kinds of messages that arrived.
    #[must_use]
    pub fn kinds(&self) -> Vec<Kind> {
        let bits = self.0.kinds.load(Ordering::Relaxed);
        named(bits, Kind::ALL.into_iter())
    }

    /// The changes of role that happened, as positions in the table of the specification.
    #[must_use]
    pub fn transitions(&self) -> Vec<usize> {
        named(self.0.transitions.load(Ordering::Relaxed), 0..TRANSITIONS.len())
    }

    pub(crate) fn saw_witness(&self, witness: Witness) {
        set(&self.0.witnesses, witness as usize);
    }

    /// The witnesses that were reached.
    #[must_use]
    pub fn witnesses(&self) -> Vec<Witness> {
        named(self.0.witnesses.load(Ordering::Relaxed), Witness::ALL.into_iter())
    }

    /// The names of the refusals that happened.
    ///
    /// # Panics
    /// If a checker thread panicked while it wrote.
    #[must_use]
    pub fn refusals(&self) -> Vec<&'static str> {
        self.0.refusals.lock().expect("no thread panics here").iter().copied().collect()
    }

    /// The outcomes in which a guard was seen: granted, refused.
    #[must_use]
    pub fn guard(&self, guard: Guard) -> (bool, bool) {
        let (word, bit) = bit_of(guard);
        let saw = |bits: &[AtomicU64; 2]| bits[word].load(Ordering::Relaxed) & bit != 0;
        (saw(&self.0.guards_true), saw(&self.0.guards_false))
    }

    /// Adds what another run saw.
    ///
    /// # Panics
    /// If a checker thread panicked while it wrote.
    pub fn absorb(&self, other: &Coverage) {
        let pairs = [
            (&self.0.actions, &other.0.actions),
            (&self.0.kinds, &other.0.kinds),
            (&self.0.transitions, &other.0.transitions),
            (&self.0.witnesses, &other.0.witnesses),
        ];
        for (into, from) in pairs {
            into.fetch_or(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let pairs = [
            (&self.0.guards_true, &other.0.guards_true),
            (&self.0.guards_false, &other.0.guards_false),
        ];
        for (into, from) in pairs.into_iter().flat_map(|(into, from)| into.iter().zip(from)) {
            into.fetch_or(from.load(Ordering::Relaxed), Ordering::Relaxed);
        }
        let theirs = other.refusals();
        self.0.refusals.lock().expect("no thread panics here").extend(theirs);
    }
}

fn set(bits: &AtomicU32, position: usize) {
    let bit = 1 << position;
    if bits.load(Ordering::Relaxed) & bit == 0 {
        bits.fetch_or(bit, Ordering::Relaxed);
    }
}

fn named<T>(bits: u32, names: impl Iterator<Item = T>) -> Vec<T> {
    names.enumerate().filter(|(i, _)| bits & (1 << i) != 0).map(|(_, name)| name).collect()
}

fn refusal_name(refusal: &Refusal) -> &'static str {
    match refusal {
        Refusal::PromiseInForce => "PromiseInForce",
        Refusal::IsLeader => "IsLeader",
        Refusal::LogNotUpToDate { .. } => "LogNotUpToDate",
        Refusal::VotedForAnother(_) => "VotedForAnother",
        Refusal::NotAVoter => "NotAVoter",
        Refusal::AnotherIncarnation { .. } => "AnotherIncarnation",
        Refusal::NotAPeer => "NotAPeer",
        Refusal::MembersUnknown => "MembersUnknown",
        Refusal::NoVoters => "NoVoters",
        Refusal::LastVoter(_) => "LastVoter",
        Refusal::VoterAndLearner(_) => "VoterAndLearner",
        Refusal::TooManyMembers { .. } => "TooManyMembers",
        Refusal::ChangeInFlight => "ChangeInFlight",
        Refusal::NoCommitInTerm => "NoCommitInTerm",
        Refusal::NothingToChange => "NothingToChange",
        Refusal::NotCaughtUp(_) => "NotCaughtUp",
        Refusal::StaleTerm { .. } => "StaleTerm",
        Refusal::PreVoteHasNoTerm => "PreVoteHasNoTerm",
        Refusal::TermNotAhead => "TermNotAhead",
        Refusal::AnotherRound => "AnotherRound",
        Refusal::NotInThatRole => "NotInThatRole",
        Refusal::TermTooHigh => "TermTooHigh",
        Refusal::Malformed => "Malformed",
        Refusal::NotLeader { .. } => "NotLeader",
        Refusal::Overloaded { .. } => "Overloaded",
        Refusal::EarlierTerm => "EarlierTerm",
        Refusal::SnapshotCovered => "SnapshotCovered",
        Refusal::NotCommitted => "NotCommitted",
        Refusal::NoLease => "NoLease",
        Refusal::TransferInFlight => "TransferInFlight",
        Refusal::CannotLead(_) => "CannotLead",
        Refusal::LostLeadership => "LostLeadership",
        Refusal::SameToken(_) => "SameToken",
    }
}
