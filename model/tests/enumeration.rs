//! Quorums intersect: by enumeration, and the enumeration can fail.

#![allow(missing_docs)]

use quorate_model::enumeration::{VOTERS, enumerate, summary};
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
