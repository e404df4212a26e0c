//! Quorums intersect: by enumeration, and the enumeration can fail.

#![allow(missing_docs)]

use quorate_model::enumeration::{Pairs, VOTERS, enumerate, pairs, summary};
use quorate_model::guards::Guards;
use quorate_model::mutation::Mutation;
use quorate_spec::Sound;

#[test]
fn any_two_majorities_of_one_to_seven_voters_share_a_voter() {
    for voters in VOTERS {
        let found = enumerate(&Sound, voters);
        assert_eq!(found.disjoint, 0, "{voters} voters");
        // For an odd number half of all sets are majorities.
        if voters % 2 == 1 {
            assert_eq!(found.quorums, 1 << (voters - 1), "{voters} voters");
        }
    }
    assert!(summary(&Sound).1);
}

#[test]
fn halves_of_an_even_number_do_not_and_the_enumeration_sees_it() {
    let halves = Guards::broken(Mutation::HalfIsAQuorum);
    // Six voters split into two halves in 20 ways.
    assert_eq!(enumerate(&halves, 6).disjoint, 20);
    assert_eq!(enumerate(&halves, 5).disjoint, 0);
    assert!(!summary(&halves).1);
}

/// Thesis §4.3: what is in force side by side during a change intersects, in any change of up to six
/// servers; what is before it and what is after it need not.
#[test]
fn during_a_change_quorums_share_a_server_and_without_joint_consensus_they_need_not() {
    let found = pairs(&Sound);
    let numbers: Vec<_> = found.iter().map(|p: &Pairs| (p.pairs, p.disjoint > 0)).collect();
    let (one, two, three) = (63, 63 * 63, 63 * 63 * 63);
    let expected = [(one, false), (two, false), (three, false), (two, false), (two, true)];
    assert_eq!(numbers, expected);
}

/// Joint configurations that are counted as one set, or by one half, do not intersect.
#[test]
fn one_majority_of_a_joint_configuration_is_not_enough() {
    for (mutation, name) in [
        (Mutation::CountsBothAsOne, "C_old with joint"),
        (Mutation::NewMajorityDecides, "C_old with joint"),
        (Mutation::OldMajorityDecides, "joint with C_new"),
        (Mutation::CountsBothAsOne, "joint with C_new"),
    ] {
        let guards = Guards::broken(mutation);
        let found = pairs(&guards);
        let pair = found.iter().find(|pair| pair.name == name);
        assert!(pair.is_some_and(|pair| pair.disjoint > 0), "{} {name}", mutation.name());
        assert!(!summary(&guards).1);
    }
}
