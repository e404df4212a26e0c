//! Who was counted, and how many would have been needed, in words.

use quorate_spec::small::Set;
use quorate_spec::{Configuration, EntryId, NodeId, Term};

use super::counted::{Commit, Election};

pub(super) fn won(election: &Election) -> String {
    let Election { step, leader, term, votes, configuration } = election;
    let vote = |(id, of): (&NodeId, &Option<Term>)| match of {
        Some(of) => format!("n{id} (a vote of term {of})"),
        None => format!("n{id}"),
    };
    let votes: Vec<String> = votes.iter().map(vote).collect();
    format!(
        "n{leader} became leader of term {term} in step {step}, counting {}: {}.",
        and(&votes),
        tally(configuration, &election.voters())
    )
}

pub(super) fn committed(commit: &Commit) -> String {
    let Commit { step, leader, term, first, last, holders, configuration } = commit;
    let what = match *first == last.index {
        true => format!("entry {}", last.index),
        false => format!("entries {first} to {}", last.index),
    };
    format!(
        "n{leader} committed {what} in step {step}, leading term {term}, counting the copies of \
         {}: {}.",
        list(holders),
        tally(configuration, holders)
    )
}

/// How many of each half were counted, and how many are needed.
fn tally(configuration: &Configuration, counted: &Set<NodeId>) -> String {
    let half = |name: &str, voters: &Set<NodeId>| {
        let has = voters.iter().filter(|id| counted.contains(id)).count();
        let (all, need) = (voters.len(), voters.len() / 2 + 1);
        format!("{has} of {all} {name}, of which {need} are needed")
    };
    match configuration.is_joint() {
        false => half("voters", &configuration.voters),
        true => format!(
            "{}, and {}",
            half("old voters", &configuration.outgoing),
            half("new voters", &configuration.voters)
        ),
    }
}

/// What a quorum of the configuration is.
pub(super) fn needs(configuration: &Configuration) -> String {
    let half = |voters: &Set<NodeId>| format!("{} of {}", voters.len() / 2 + 1, list(voters));
    match configuration.is_joint() {
        false => half(&configuration.voters),
        true => format!("{}, and {}", half(&configuration.outgoing), half(&configuration.voters)),
    }
}

pub(super) fn shown(entry: EntryId) -> String {
    format!("entry {} of term {}", entry.index, entry.term)
}

/// The text as it stands at the beginning of a sentence.
pub(super) fn capital(text: &str) -> String {
    let mut letters = text.chars();
    let first = letters.next().map(|letter| letter.to_uppercase().to_string());
    first.unwrap_or_default() + letters.as_str()
}

pub(super) fn ticks(n: u64) -> String {
    if n == 1 { "1 tick".to_owned() } else { format!("{n} ticks") }
}

pub(super) fn list(ids: &Set<NodeId>) -> String {
    and(&ids.iter().map(|id| format!("n{id}")).collect::<Vec<_>>())
}

fn and(words: &[String]) -> String {
    match words {
        [] => "nobody".to_owned(),
        [one] => one.clone(),
        [before @ .., last] => format!("{} and {last}", before.join(", ")),
    }
}
