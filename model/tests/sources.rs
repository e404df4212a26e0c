//! Every step, guard and refusal names functions of the specification that are there.

#![allow(missing_docs)]

use std::collections::BTreeSet;

use quorate_model::action::ACTION_KINDS;
use quorate_model::explorer::{
    Change, Choice, Counterexample, Explored, Place, Refuser, SliceWalk, find,
};
use quorate_model::guards::Guard;
use quorate_model::mutation::Mutation;
use quorate_model::slices;
use quorate_spec::{EntryId, Kind, NodeId, Refusal, Term, Token};
use serde_json::Value;
use stateright::Model;

/// One of each.
const REFUSALS: [Refusal; 34] = [
    Refusal::PromiseInForce,
    Refusal::IsLeader,
    Refusal::LogNotUpToDate { candidate: EntryId::ZERO, voter: EntryId::ZERO },
    Refusal::VotedForAnother(NodeId(1)),
    Refusal::NotAVoter,
    Refusal::AnotherIncarnation { to: NodeId(1) },
    Refusal::NotAPeer,
    Refusal::MembersUnknown,
    Refusal::NoVoters,
    Refusal::LastVoter(NodeId(1)),
    Refusal::VoterAndLearner(NodeId(1)),
    Refusal::TooManyMembers { members: 2, limit: 1 },
    Refusal::ChangeInFlight,
    Refusal::NoCommitInTerm,
    Refusal::NothingToChange,
    Refusal::NotCaughtUp(NodeId(1)),
    Refusal::StaleTerm { message: Term(1), current: Term(2) },
    Refusal::PreVoteHasNoTerm,
    Refusal::TermNotAhead,
    Refusal::AnotherRound,
    Refusal::NotInThatRole,
    Refusal::TermTooHigh,
    Refusal::Malformed,
    Refusal::NotLeader { leader: None },
    Refusal::Overloaded { uncommitted: 2, limit: 1 },
    Refusal::EarlierTerm,
    Refusal::SnapshotCovered,
    Refusal::NotCommitted,
    Refusal::NoLease,
    Refusal::TransferInFlight,
    Refusal::CannotLead(NodeId(1)),
    Refusal::LostLeadership,
    Refusal::SameToken(Token(1)),
    Refusal::NotLeader { leader: Some(NodeId(1)) },
];

fn name(refusal: &Refusal) -> String {
    let text = format!("{refusal:?}");
    text.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// The variants, as the specification's own text lists them.
fn variants() -> BTreeSet<String> {
    let text = include_str!("../../spec/src/refusal.rs");
    let body = text.split("pub enum Refusal {").nth(1).expect("it is there");
    let body = body.split("\n}").next().expect("it ends");
    let lines = body.lines().filter_map(|line| line.strip_prefix("    "));
    let names = lines.filter(|line| line.starts_with(char::is_uppercase));
    names.map(|line| line.chars().take_while(char::is_ascii_alphanumeric).collect()).collect()
}

#[test]
fn every_place_is_a_function_with_its_text_and_thesis_section() {
    let mut places = 0;
    for place in Place::all() {
        let source = find(place).unwrap_or_else(|| panic!("{} is not there", place.key()));
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../");
        let text = std::fs::read_to_string(format!("{file}{}", place.file)).expect("a source file");
        let line = text.lines().nth(source.line - 1).expect("it has so many lines");
        assert!(line.contains(&format!("fn {}", place.function)), "{}: {line}", place.key());
        assert!(source.text.contains(line.trim()) && source.text.ends_with('}'), "{}", source.text);
        assert!(!source.says.is_empty(), "{} says nothing", place.key());
        let model = place.file.starts_with("model/") && place.function == "cuts";
        assert!(model || source.thesis.starts_with('§'), "{} cites nothing", place.key());
        places += 1;
    }
    assert!(places > Guard::ALL.len() + Kind::ALL.len(), "{places}");
    assert!(find(Place { file: "spec/src/rules.rs", function: "vote_is_fre" }).is_none());
    assert!(find(Place { file: "spec/src/rule.rs", function: "vote_is_free" }).is_none());
}

#[test]
fn every_kind_of_action_names_a_function_unless_its_message_does() {
    let without: Vec<_> =
        ACTION_KINDS.into_iter().filter(|kind| Place::of_action(kind).is_none()).collect();
    assert_eq!(without, ["Deliver"]);
    assert_eq!(Place::of_change(Change::Elected).function, "tally_votes");
}

#[test]
fn every_refusal_has_a_rule_whose_text_gives_it() {
    let named: BTreeSet<String> = REFUSALS.iter().map(name).collect();
    assert_eq!(named, variants(), "the list of this test is the specification's");
    let all: BTreeSet<Place> = Place::all().collect();
    for refusal in REFUSALS {
        let Refuser { guards, otherwise } = Refuser::of(&refusal);
        // A guard may give it by a helper of refusal.rs.
        let helper = match refusal {
            Refusal::StaleTerm { .. } => "in_this_term",
            Refusal::PromiseInForce => "promise_is_over",
            _ => "Refusal::",
        };
        for guard in guards.iter().filter(|guard| **guard != Guard::fails_reads) {
            let text = find(Place::of_guard(*guard)).expect("it is a function").text;
            let gives = text.contains(&format!("Refusal::{}", name(&refusal)));
            let helps = helper != "Refusal::" && text.contains(helper);
            assert!(gives || helps, "{guard:?} does not give {refusal:?}: {text}");
        }
        // No guard gives it that the table does not name.
        for guard in Guard::ALL.iter().filter(|guard| !guards.contains(guard)) {
            let text = find(Place::of_guard(*guard)).expect("it is a function").text;
            assert!(
                !text.contains(&format!("Refusal::{})", name(&refusal))),
                "{guard:?} gives {refusal:?}"
            );
        }
        assert!(otherwise.is_none_or(|place| all.contains(&place)), "{otherwise:?} is not shown");
    }
}

/// What the page is handed beside the steps of the last state of a counterexample.
fn beside(mutation: Mutation) -> Value {
    let slices: Vec<_> = mutation.slices().iter().filter_map(|name| slices::named(name)).collect();
    let found = Counterexample::find(mutation, &slices).expect("the mutant is killed");
    let actions = found.actions();
    let model = Explored::new(found.walk);
    let mut shown = model.init_states().remove(0);
    for action in actions {
        shown = model.next_state(&shown, Choice::Step(action)).expect("it is a step");
    }
    let mut choices = Vec::new();
    model.actions(&shown, &mut choices);
    let last = choices.pop().expect("there is always one");
    assert!(model.next_state(&shown, last.clone()).is_none(), "it leads nowhere");
    assert!(choices.iter().all(|choice| matches!(choice, Choice::Step(_))));
    serde_json::from_str(&model.format_action(&last)).expect("it is JSON")
}

#[test]
fn a_state_says_what_would_be_refused_and_by_which_guard() {
    let beside = beside(Mutation::CountsOldVotes);
    let refused = beside["refused"].as_array().expect("a list");
    let by = |refusal: &str| refused.iter().find(|it| it["refusal"] == refusal);
    let asked = by("NotLeader").expect("a follower takes no commands");
    assert_eq!(asked["servers"], serde_json::json!(["n2"]));
    assert_eq!(asked["source"], "spec/src/transition/replication.rs#propose");
    let vote = by("VotedForAnother").or_else(|| by("IsLeader")).or_else(|| by("StaleTerm"));
    let source = vote.expect("a request that changes nothing is refused")["source"].clone();
    assert!(source.as_str().expect("text").starts_with("spec/src/"), "{source}");
    assert!(beside["svg"].as_str().expect("text").starts_with("<svg"));
}

#[test]
fn a_step_names_its_functions_and_its_changes_with_before_and_after() {
    let model = Explored::new(SliceWalk::sound(slices::named("replication").expect("a slice")));
    let initial = model.init_states().remove(0);
    let mut choices = Vec::new();
    model.actions(&initial, &mut choices);
    let step = model.format_step(&initial, choices.swap_remove(0)).expect("it leads somewhere");
    let step: Value = serde_json::from_str(&step).expect("a step is JSON");
    let sources = step["sources"].as_array().expect("a list");
    assert!(sources.contains(&"spec/src/transition/election.rs#tick".into()), "{step}");
    assert!(sources.contains(&"spec/src/transition/election.rs#become_candidate".into()), "{step}");
    let changed = step["changed"].as_array().expect("a list");
    let term = changed.iter().find(|it| it["field"] == "term").expect("it rises");
    assert_eq!((&term["before"], &term["after"]), (&"0".into(), &"1".into()));
    let served: Value = serde_json::from_str(&format!("{initial:#?}")).expect("JSON");
    for key in sources {
        let text = &served["served"]["sources"][key.as_str().expect("text")]["text"];
        assert!(text.as_str().is_some_and(|text| text.contains("fn ")), "{key}");
    }
}
