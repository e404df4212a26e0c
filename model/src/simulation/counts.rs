//! How often things happened: a run in which no leader was elected has shown nothing.

use std::fmt;

/// The counts in rows: name and what is counted.
macro_rules! counts {
    ($($name:ident $about:literal;)*) => {
        /// What is counted.
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
        pub enum Count { $(#[doc = $about] $name),* }

        impl Count {
            /// All of them.
            pub const ALL: &'static [Count] = &[$(Count::$name),*];

            /// What is counted, in words.
            #[must_use]
            pub fn words(self) -> &'static str {
                match self { $(Count::$name => $about),* }
            }
        }
    };
}

counts! {
    Runs "runs";
    Steps "steps";
    Operations "operations of one server";
    Terms "terms reached";
    PreCampaigns "rounds of pre-votes";
    Candidacies "candidacies";
    Elected "leaders elected";
    SteppedDown "leaders that stepped down";
    LostQuorum "leaders without a quorum";
    Crashes "crashes";
    WritesLost "writes lost in crashes";
    Proposed "entries proposed";
    Committed "entries committed first";
    Truncated "entries truncated";
    Configurations "configurations appended";
    Joint "joint configurations among them";
    LeadersRemoved "leaders that were removed";
    Snapshots "snapshots taken";
    Installed "snapshots installed";
    Conflicts "conflicts answered";
    Held "messages held for a write";
    Received "messages received";
    Overtakes "messages out of order";
    Duplicates "messages received twice";
    Dropped "messages lost";
    Cuts "links cut";
    PromisesKept "votes refused by a promise";
    LogsRefused "votes refused to older logs";
    Pipelined "requests sent before an answer";
    ReadsAsked "reads asked of leaders";
    ReadsForwarded "reads asked of others";
    ReadsAnswered "reads answered at leaders";
    ReadsAnsweredElsewhere "reads answered at others";
    ReadsFailed "reads that failed with their leader";
    LeaseReads "lease reads that could be served";
    LeaseReadsRefused "lease reads refused by leaders";
    Phantoms "leaders elected while another led still";
    PhantomsRefuse "lease reads refused by leaders that were replaced";
    TransfersBegun "transfers of leadership begun";
    TransfersDone "transfers that made their target the leader";
    TransfersGivenUp "transfers given up";
    ReadsOwed "reads that waited when the faults ended";
    TransfersOwed "transfers under way when the faults ended";
    RatesChanged "changes of a clock's rate";
}

/// How often each thing happened.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Counts([u64; Count::ALL.len()]);

impl Default for Counts {
    fn default() -> Self {
        Counts([0; Count::ALL.len()])
    }
}

impl Counts {
    /// How often this happened.
    #[must_use]
    pub fn of(&self, count: Count) -> u64 {
        self.0[count as usize]
    }

    pub(crate) fn add(&mut self, count: Count, times: u64) {
        self.0[count as usize] += times;
    }

    /// Adds the counts of another run.
    pub fn absorb(&mut self, other: &Counts) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for count in Count::ALL {
            writeln!(f, "{:>10} {}", self.of(*count), count.words())?;
        }
        Ok(())
    }
}
