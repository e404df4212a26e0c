//! What a run of a slice showed: a verdict for the slice, and one for each of its claims.

use std::fmt;

use quorate_spec::property::{Claim, ClaimSet};

use crate::coverage::Coverage;
use crate::report::declared;
use crate::search::Trace;
use crate::slice::{Declared, Slice};

/// What a run showed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// Every reachable state of the slice was checked, and every claim held.
    Exhausted,
    /// Every state within so many steps was checked, and every claim held.
    Bounded(usize),
    /// This claim fails.
    Violated(Claim),
    /// The run was stopped before its end: it shows nothing.
    Incomplete,
}

impl Verdict {
    /// Whether this is what the slice declares.
    #[must_use]
    pub fn is(self, declared: Declared) -> bool {
        match (self, declared) {
            (Verdict::Exhausted, Declared::Exhausted) => true,
            (Verdict::Bounded(reached), Declared::Bounded(depth)) => reached >= depth,
            (Verdict::Violated(claim), Declared::Violated(expected)) => claim == expected,
            _ => false,
        }
    }

    /// The verdict on a claim, without the claim's name.
    #[must_use]
    pub fn word(self) -> String {
        match self {
            Verdict::Violated(_) => "VIOLATED".to_owned(),
            other => other.to_string(),
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Verdict::Exhausted => f.pad("EXHAUSTED"),
            Verdict::Bounded(depth) => f.pad(&format!("BOUNDED({depth})")),
            Verdict::Violated(claim) => f.pad(&format!("VIOLATED {claim}")),
            Verdict::Incomplete => f.pad("INCOMPLETE"),
        }
    }
}

/// How much of a slice's graph a run has seen.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Reach {
    /// Every reachable state.
    All,
    /// Every state within so many steps.
    Within(usize),
    /// Some of them: the run ended early.
    Part,
}

impl Reach {
    /// The verdict on a claim that was false in no state of these.
    #[must_use]
    pub fn verdict(self) -> Verdict {
        match self {
            Reach::All => Verdict::Exhausted,
            Reach::Within(depth) => Verdict::Bounded(depth),
            Reach::Part => Verdict::Incomplete,
        }
    }
}

/// A claim that fails, with the path on which it does.
pub struct Violation {
    /// The claim.
    pub claim: Claim,
    /// The number of steps of the path.
    pub steps: usize,
    /// Whether no shorter path violates the claim.
    pub shortest: bool,
    /// The path as people read it.
    pub trace: Option<Trace>,
}

/// A finished run of a slice.
pub struct Checked {
    /// The slice.
    pub slice: Slice,
    /// How much of it was seen.
    pub reach: Reach,
    /// The claims that fail, what was not declared first.
    pub violations: Vec<Violation>,
    /// The states that were met, each once.
    pub unique: u64,
    /// The states that steps led to, counted each time.
    pub generated: u64,
    /// The number of steps to the farthest state, where a breadth-first search found it.
    pub depth: Option<usize>,
    /// How long it took.
    pub seconds: f64,
    /// The memory that the run needed at its peak, for each unique state.
    pub bytes_per_state: Option<f64>,
    /// What the project's own search counted, where it ran.
    pub second_opinion: Option<u64>,
    /// What was seen happening.
    pub coverage: Coverage,
}

impl Checked {
    /// The verdict on the slice. A violation that was not declared counts more than anything, and
    /// one that was declared does not stand in for the search for others.
    #[must_use]
    pub fn verdict(&self) -> Verdict {
        match (self.undeclared().next(), self.violations.first()) {
            (Some(violation), _) => Verdict::Violated(violation.claim),
            (None, Some(_)) if self.reach == Reach::Part => Verdict::Incomplete,
            (None, Some(violation)) => Verdict::Violated(violation.claim),
            (None, None) => self.reach.verdict(),
        }
    }

    /// The verdict on one claim of the slice: a declared violation does not mask the others.
    #[must_use]
    pub fn verdict_on(&self, claim: Claim) -> Verdict {
        let fails = self.violations.iter().any(|violation| violation.claim == claim);
        if fails { Verdict::Violated(claim) } else { self.reach.verdict() }
    }

    /// The violation of this claim.
    #[must_use]
    pub fn violation(&self, claim: Claim) -> Option<&Violation> {
        self.violations.iter().find(|violation| violation.claim == claim)
    }

    /// The violations that the slice does not declare.
    pub fn undeclared(&self) -> impl Iterator<Item = &Violation> {
        let declared = self.slice.declared;
        self.violations.iter().filter(move |v| Declared::Violated(v.claim) != declared)
    }

    /// Whether the slice says of this claim what the run showed: what a ledger may count.
    #[must_use]
    pub fn settles(&self, claim: Claim) -> bool {
        self.slice.claims.contains(claim)
            && match self.verdict_on(claim) {
                Verdict::Exhausted | Verdict::Bounded(_) => true,
                Verdict::Violated(_) => self.slice.declared == Declared::Violated(claim),
                Verdict::Incomplete => false,
            }
    }

    /// The claims that the slice settles.
    #[must_use]
    pub fn settled(&self) -> ClaimSet {
        let settled = self.slice.claims.iter().filter(|claim| self.settles(*claim));
        settled.fold(ClaimSet::NONE, |set, claim| set.union(ClaimSet::of(&[claim])))
    }

    /// The expected number of pairs of states with equal 64-bit fingerprints, `n²/2^65`: TLC's
    /// optimistic estimate.
    #[must_use]
    pub fn collision_estimate(&self) -> f64 {
        let n = self.unique as f64;
        n * n / 2f64.powi(65)
    }

    /// What is not as the slice declares, in a sentence; none if all is well.
    #[must_use]
    pub fn complaint(&self) -> Option<String> {
        let expected = declared(self.slice.declared);
        let undeclared: Vec<_> = self.undeclared().map(|v| v.claim.name()).collect();
        if !undeclared.is_empty() {
            return Some(format!("is VIOLATED {}, declared {expected}", undeclared.join(", ")));
        }
        if !self.verdict().is(self.slice.declared) {
            return Some(format!("is {}, declared {expected}", self.verdict()));
        }
        if let Some(violation) = self.violations.iter().find(|v| v.steps == 0) {
            let claim = violation.claim;
            return Some(format!("is VIOLATED {claim} before its first step, which shows nothing"));
        }
        if let Some(counted) = self.second_opinion.filter(|counted| *counted != self.unique) {
            return Some(format!("Stateright met {} states, our search {counted}", self.unique));
        }
        let whole = self.reach == Reach::All;
        let pinned = self.slice.pinned.filter(|pinned| whole && *pinned != self.unique)?;
        Some(format!("has {} unique states, pinned are {pinned}", self.unique))
    }
}
