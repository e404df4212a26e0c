//! For a claim that has become false the Explorer says who was counted and which quorum was needed.

#![allow(missing_docs)]

use std::collections::BTreeSet;

use quorate_model::explorer::{Choice, Counterexample, Explored, Shown, SliceWalk};
use quorate_model::mutation::Mutation;
use quorate_model::slices;
use quorate_spec::property::Claim;
use stateright::Model;

fn counterexample(mutation: Mutation) -> Counterexample {
    let slices: Vec<_> = mutation.slices().iter().filter_map(|name| slices::named(name)).collect();
    Counterexample::find(mutation, &slices).expect("the mutant is killed")
}

/// The last state of the counterexample, with the way to it.
fn last(mutation: Mutation) -> Shown<SliceWalk> {
    let found = counterexample(mutation);
    let actions = found.actions();
    let model = Explored::new(found.walk);
    let start = model.init_states().remove(0);
    actions.into_iter().fold(start, |shown, action| {
        model.next_state(&shown, Choice::Step(action)).expect("it is a step")
    })
}

/// Why the claim is false at the end, in one text, and the servers that are marked.
fn why(mutation: Mutation, claim: Claim) -> (String, Vec<(String, String)>) {
    let view = last(mutation).view();
    let explained = view.explained.iter().find(|it| it.claim == claim.name());
    let explained = explained.unwrap_or_else(|| panic!("{} explains no {claim}", mutation.name()));
    let marks = explained.marks.iter().map(|mark| (mark.server.clone(), mark.says.clone()));
    (explained.sentences.join(" "), marks.collect())
}

fn has(marks: &[(String, String)], server: &str, says: &str) -> bool {
    marks.iter().any(|(at, mark)| at == server && mark == says)
}

#[test]
fn two_leaders_are_explained_by_the_server_that_both_counted() {
    let (text, marks) = why(Mutation::CountsOldVotes, Claim::ElectionSafety);
    assert!(
        text.contains(
            "n0 became leader of term 2 in step 5, counting n0 and n1 (a vote of term 1)"
        )
    );
    assert!(text.contains("n1 became leader of term 2 in step 7, counting n1 and n2"), "{text}");
    assert!(has(&marks, "n1", "in both") && !has(&marks, "n0", "in both"), "{marks:?}");
    // Where nobody is in both, somebody had no majority.
    let (text, marks) = why(Mutation::HalfIsAQuorum, Claim::ElectionSafety);
    assert!(text.contains("1 of 2 voters, of which 2 are needed"), "{text}");
    assert!(text.contains("That is no quorum: it takes 2 of n0 and n1"), "{text}");
    assert!(!marks.iter().any(|(_, says)| says == "in both"), "{marks:?}");
}

#[test]
fn a_commit_without_both_majorities_is_recounted() {
    let (text, marks) = why(Mutation::CountsBothAsOne, Claim::JointQuorum);
    assert!(text.contains("2 of 2 old voters, of which 2 are needed"), "{text}");
    assert!(text.contains("1 of 2 new voters, of which 2 are needed"), "{text}");
    assert!(has(&marks, "n2", "a voter, not counted"), "{marks:?}");
}

#[test]
fn quorums_that_share_nobody_are_named() {
    let (text, marks) = why(Mutation::ChangesBeforeCommitted, Claim::QuorumIntersection);
    assert!(text.contains("could win now by its configuration"), "{text}");
    let side = |of: &str| -> BTreeSet<String> {
        let enough = format!("enough for {of}");
        marks.iter().filter(|(_, says)| *says == enough).map(|(at, _)| at.clone()).collect()
    };
    let sides: BTreeSet<_> =
        marks.iter().filter_map(|(_, says)| says.split(' ').next_back()).collect();
    let [a, b] = sides.into_iter().collect::<Vec<_>>()[..] else { panic!("{marks:?}") };
    assert!(!side(a).is_empty() && side(a).is_disjoint(&side(b)), "{marks:?}");
}

#[test]
fn a_leader_without_a_committed_entry_is_explained_by_who_held_it_and_voted() {
    let (text, marks) = why(Mutation::IgnoresLogs, Claim::LeaderCompleteness);
    assert!(text.contains("n1's log lacks entry 1 of term 1"), "{text}");
    assert!(text.contains("n2 should have refused"), "{text}");
    assert!(has(&marks, "n2", "in both") && has(&marks, "n0", "has entry 1 of term 1"));
    // In figure 8 the vote is right, and the commit was wrong.
    let (text, _) = why(Mutation::CommitsOldTerms, Claim::LeaderCompleteness);
    assert!(text.contains("and rightly") && text.contains("§3.6.2"), "{text}");
    assert!(!text.contains("should have refused"), "{text}");
}

#[test]
fn committed_entries_are_explained_by_who_holds_them() {
    let (text, _) = why(Mutation::KeepsConflictingLog, Claim::StateMachineSafety);
    assert_eq!(text.matches("is committed, as far as").count(), 2, "{text}");
    let (text, marks) = why(Mutation::CountsOwnUnwritten, Claim::CommittedIsDurable);
    assert!(text.contains("on the disks of"), "{text}");
    assert!(marks.iter().any(|(_, says)| says == "counted, and does not have it"), "{marks:?}");
}

#[test]
fn leases_are_explained_by_promises_and_reads_by_what_was_committed() {
    let (text, marks) = why(Mutation::LeaseOneTickLonger, Claim::LeaseExclusive);
    assert!(text.contains("n0 holds a lease of term 1"), "{text}");
    assert!(text.contains("its promise is over by its own clock, and in term 2 by now"), "{text}");
    assert!(has(&marks, "n0", "holds a lease") && has(&marks, "n2", "voted for n1 in term 2"));
    let (text, _) = why(Mutation::LeaseOneTickLonger, Claim::LinearizableRead);
    assert!(
        text.contains("n0 would serve reads at entry 1 by its lease, though entry 2 is committed")
    );
    let (text, marks) = why(Mutation::ReadsUnconfirmed, Claim::LinearizableRead);
    assert!(text.contains("is asked for a read and answers it in this very step"), "{text}");
    assert!(marks.iter().any(|(_, says)| says == "answers the read"), "{marks:?}");
}

#[test]
fn a_vote_that_is_given_twice_is_explained_by_whom_it_went_to_and_the_guard_that_let_it() {
    let (text, marks) = why(Mutation::VotesForEveryone, Claim::VoteOncePerTerm);
    let said = "n1 asked for votes for itself in term 1 (step 2), and in step 3 it sent n0 its vote of \
                term 1: two candidates, and one vote.";
    assert!(text.contains(said), "{text}");
    assert!(text.contains("The guards that were asked in this step: `"), "{text}");
    assert!(
        text.contains("The guard `vote_is_free` (spec/src/rules.rs) should have refused it."),
        "{text}"
    );
    assert!(marks.iter().any(|(_, says)| says.starts_with("voted twice in term")), "{marks:?}");
}

#[test]
fn any_other_claim_says_at_least_what_it_compares() {
    let (text, marks) = why(Mutation::AcksBeforeDurable, Claim::AckDurability);
    assert!(text.contains(Claim::AckDurability.entry().sentence), "{text}");
    assert!(text.contains("by what changed at n0 and n1"), "{text}");
    assert!(text.contains("The guards that were asked in this step: `"), "{text}");
    assert!(has(&marks, "n1", "changed in the step"), "{marks:?}");
}

#[test]
fn nothing_is_explained_where_every_claim_holds() {
    let model = Explored::new(SliceWalk::sound(slices::named("replication").expect("a slice")));
    assert!(model.init_states().remove(0).view().explained.is_empty());
}
