//! What a run can show to be false: the claims of the specification, and a few statements about
//! what the specification hands to its driver.

use std::collections::BTreeSet;
use std::fmt;

use quorate_spec::property::{Claim, ClaimSet};

/// Something that was false in a state or step.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Finding {
    /// A claim of the ledger.
    Claim(Claim),
    /// What a driver relies on without a claim that says so.
    Invariant(Invariant),
}

/// The invariants in rows: name and sentence.
macro_rules! invariants {
    ($($name:ident $about:literal;)*) => {
        /// What a driver relies on without a claim that says so.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Invariant { $(#[doc = $about] $name),* }

        impl Invariant {
            /// It in a sentence.
            #[must_use]
            pub fn sentence(self) -> &'static str {
                match self { $(Invariant::$name => $about),* }
            }
        }
    };
}

invariants! {
    LogIsOrdered "In a log indices follow each other, terms never fall, and none is above the server's.";
    DiskFollowsMemory "The disk, once every pending write is applied, has the term, vote and log in memory.";
    DurableMarkIsTrue "Every entry of the log up to the durable index is on the reported disk.";
    ProgressIsOrdered "match_index < next_index ≤ the log's end + 1, and no more is in flight than the window allows.";
    NothingHeldForEver "What waits in the gate waits for a write that is pending.";
    EffectsSayAll "Effects publish, commit and name proposals exactly where the node has changed so.";
    LateReportsChangeNothing "A report of a write that is known to be durable has no effect.";
    DeadlineIsAhead "After a tick and a poll of every peer with room the next deadline is in the future.";
}

/// A set of findings.
#[derive(Clone, PartialEq, Eq, Default, Debug)]
pub struct Findings(BTreeSet<Finding>);

impl Findings {
    /// Whether nothing was false.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether this was found.
    #[must_use]
    pub fn contains(&self, finding: Finding) -> bool {
        self.0.contains(&finding)
    }

    /// Them, in order.
    pub fn iter(&self) -> impl Iterator<Item = Finding> + '_ {
        self.0.iter().copied()
    }

    /// The claims among them.
    #[must_use]
    pub fn broken(&self) -> ClaimSet {
        let mut broken = ClaimSet::NONE;
        for finding in &self.0 {
            if let Finding::Claim(claim) = finding {
                broken.require(*claim, false);
            }
        }
        broken
    }

    pub(crate) fn claims(&mut self, broken: ClaimSet) {
        self.0.extend(broken.iter().map(Finding::Claim));
    }

    pub(crate) fn require_claim(&mut self, claim: Claim, holds: bool) {
        if !holds {
            self.0.insert(Finding::Claim(claim));
        }
    }

    pub(crate) fn require(&mut self, invariant: Invariant, holds: bool) {
        if !holds {
            self.0.insert(Finding::Invariant(invariant));
        }
    }

    pub(crate) fn absorb(&mut self, other: Findings) {
        self.0.extend(other.0);
    }

    /// Those that are looked for.
    #[must_use]
    pub fn watched(&self, watch: Watch) -> Findings {
        Findings(self.iter().filter(|finding| watch.includes(*finding)).collect())
    }
}

/// Which findings end a run.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Watch {
    /// All.
    Everything,
    /// This claim alone.
    Only(Claim),
}

impl Watch {
    fn includes(self, finding: Finding) -> bool {
        match self {
            Watch::Everything => true,
            Watch::Only(claim) => finding == Finding::Claim(claim),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Finding::Claim(claim) => write!(f, "{claim}: {}", claim.entry().sentence),
            Finding::Invariant(invariant) => write!(f, "{invariant:?}: {}", invariant.sentence()),
        }
    }
}

impl fmt::Display for Findings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, finding) in self.iter().enumerate() {
            let separator = if i == 0 { "" } else { "\n" };
            write!(f, "{separator}{finding}")?;
        }
        Ok(())
    }
}
