//! The real bugs that no mutant stands for, and why: no guard of the specification could be broken
//! like that. What each was is in `spec/README.md`; a test holds both lists to each other.

/// Bugs by their codes, and the reason.
pub const EXEMPT: &[(&[&str], &str)] = &[
    (
        &["A14"],
        "a step reads and writes role, term and log as one: no other thread comes in between",
    ),
    (
        &["B2", "B4"],
        "every message carries its sender's own term, and a rejection raises the asker's",
    ),
    (
        &["B9", "B12", "B13"],
        "the promise is an instant: whom a server takes for its leader does not matter to it",
    ),
    (
        &["B15", "B16", "B17"],
        "any answer of the term is contact, only voters are counted, and the table of roles says who campaigns",
    ),
    (
        &["C9"],
        "which request is live saves work; an answer of another moves nothing back (`spec/tests/pipeline.rs`)",
    ),
    (
        &["C13"],
        "entries in a request are a range of the log and cannot have gaps (`spec/tests/pipeline.rs`)",
    ),
    (
        &["C14", "G9"],
        "what contradicts a committed entry stops the node (`spec/tests/findings.rs`): no sender that keeps the other rules reaches that, so nothing would kill a mutant of it alone",
    ),
    (&["C15", "G17"], "a write that fails stops the node: the driver's, tested in `impl`"),
    (
        &["E3", "E24"],
        "specifications and operators that lacked the guards of E2 and E7, which have mutants",
    ),
    (&["E12"], "a leader asks everyone for whom it has progress, which the quorum is counted over"),
    (&["E13", "E15"], "whoever votes or takes a snapshot does not look up whether it is a member"),
    (
        &["E23"],
        "nobody joins by itself: a leader names its members, and the lost have other identities",
    ),
    (&["F2"], "the index that is served is the one that was chosen when the read came"),
    (
        &["F9"],
        "no ticks are counted; a clock's granularity is in the longest lease (`Lease::longest`), compared with the exact quotient in `spec/tests/params.rs`: parameters are no rule that a mutant could break",
    ),
    (&["F14"], "a round is counted by the configuration in force when an answer comes"),
    (&["F19"], "F18 for a cluster of one: the mutant of F18 is found there, too (`reads-single`)"),
    (&["F22"], "only a leader of the term renews a promise, and each ends by itself"),
    (
        &["G2", "G14"],
        "a configuration, and the term at the boundary, are read off the log: to forget them is to forget the snapshot",
    ),
    (&["G12"], "an installed snapshot counts at once; nothing of it waits to be applied"),
    (&["G13"], "offsets in a snapshot's transfer are the driver's"),
    (
        &["G18", "H8"],
        "a snapshot and the end of what it covers are one write, and term and vote another part of it",
    ),
    (
        &["G20"],
        "time alone shows that heartbeats go on beside a snapshot (`spec/tests/snapshots.rs`)",
    ),
    (&["G21"], "a leader sends the very snapshot that its log begins after"),
    (&["H6"], "the commit index is not written"),
    (&["H7"], "the order within one write is the storage's: a write is atomic"),
    (
        &["H12"],
        "a log that is lost is outside; what a restart may forget is A7's and H9's, which have mutants",
    ),
    (&["H13"], "F5 under a pause of the process, which has a mutant"),
    (&["I1"], "an invariant that is false of Raft itself: it is no claim here"),
    (
        &["I2"],
        "E3, seen from its proof: the guards that it lacked have mutants here, E2's among them",
    ),
    (&["I3"], "no server has the name of nobody: a vote is an `Option`"),
    (&["I4"], "what cannot go on is a claim here: NoDeadlock, with mutants of its own"),
    (
        &["I5"],
        "faults where checked code ends: `impl` breaks its own promises one by one (`impl/src/order`), and has its node simulated",
    ),
    (&["I6"], "nothing is modelled by hand: the model and production call the same functions"),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::EXEMPT;
    use crate::mutation::Mutation;

    /// The codes of bugs in a text: a letter from A to I and a number.
    fn codes(text: &str) -> BTreeSet<String> {
        let words = text.split(|c: char| !c.is_alphanumeric() && c != '#');
        let is_code = |word: &&str| {
            let number = word.strip_prefix(|c: char| c.is_ascii_uppercase() && c <= 'I');
            number
                .is_some_and(|n| matches!(n.len(), 1 | 2) && n.bytes().all(|b| b.is_ascii_digit()))
        };
        words.filter(is_code).map(str::to_owned).collect()
    }

    /// Whoever reads of a bug finds the mutant that stands for it, or why there is none.
    #[test]
    fn every_bug_has_a_mutant_or_a_reason_and_none_has_both() {
        let readme = include_str!("../../spec/README.md");
        let (_, tables) = readme.split_once("## Rules cited").expect("the section is there");
        let rows = tables.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
        let listed: BTreeSet<String> = rows.flat_map(codes).collect();
        let mutants: BTreeSet<String> =
            Mutation::ALL.iter().flat_map(|mutant| codes(mutant.bugs())).collect();
        let exempt: Vec<String> =
            EXEMPT.iter().flat_map(|(bugs, _)| bugs.iter().map(|bug| (*bug).to_owned())).collect();
        let reasons: BTreeSet<String> = exempt.iter().cloned().collect();
        assert_eq!(exempt.len(), reasons.len(), "a bug has two reasons");
        assert_eq!(mutants.intersection(&reasons).collect::<Vec<_>>(), [""; 0]);
        assert_eq!(&mutants | &reasons, listed);
    }
}
