//! What happens in plain words, for someone who knows Raft from hearsay.

use quorate_spec::role::{Cause, Transition};
use quorate_spec::{
    AppendOutcome, Body, Configuration, Effects, Envelope, Input, Node, NodeId, Refusal, RoleName,
};

use super::record::Tone;

/// A sentence and how it is to be taken.
pub(crate) type Said = (Tone, String);

/// A step of a server, in sentences.
pub(crate) fn step(before: &Node, input: &Input, after: &Node, effects: &Effects) -> Vec<Said> {
    let roles = effects.changed.iter().filter_map(|change| role(*change, before, after));
    let answer = answered(input, after, effects);
    let silent = effects.changed.is_empty() && answer.is_none();
    let mut said = Vec::from_iter(refused(input, after, effects));
    said.extend(answer);
    said.extend(reconfigured(before, after));
    said.extend(followed(before, after, silent));
    // The last is shown first: what becomes of the server matters more than whom it answers.
    said.extend(roles);
    said
}

fn role((from, to, cause): Transition, before: &Node, after: &Node) -> Option<Said> {
    use RoleName::{Candidate, Follower, Leader, PreCandidate};
    let (id, term, old) = (after.id(), after.current_term(), before.current_term());
    let leader = after.leader().map_or(String::new(), |leader| format!("n{leader}"));
    let said = match (from, to, cause) {
        (Follower, PreCandidate, _) => (
            Tone::Event,
            format!(
                "n{id} hears no leader. It asks the others first: would you vote for me? \
                 Its term stays {term}."
            ),
        ),
        (_, PreCandidate, _) => (
            Tone::Event,
            format!("No majority says yes to n{id}. It asks again; its term stays {term}."),
        ),
        (_, Candidate, Cause::Handover) => {
            (Tone::Event, format!("n{id} is told to take over. It calls an election, term {term}."))
        }
        (PreCandidate, Candidate, _) => (
            Tone::Event,
            format!("A majority would vote for n{id}. Only now it calls an election, term {term}."),
        ),
        (Candidate, Candidate, _) => (
            Tone::Bad,
            format!(
                "n{id} got no majority of votes. It tries again, and raises its term to {term}."
            ),
        ),
        (_, Candidate, _) => (
            Tone::Event,
            format!("n{id} hears no leader. It calls an election, and raises its term to {term}."),
        ),
        (_, Leader, _) => {
            (Tone::Good, format!("n{id} has a majority of votes: it leads term {term}."))
        }
        (Leader, Follower, Cause::HigherTerm) => (
            Tone::Bad,
            format!(
                "n{id} leads term {old}, and hears of term {term}. The higher term wins, \
                 whoever gets the vote: n{id} has to step down."
            ),
        ),
        (Leader, Follower, Cause::LostQuorum) => (
            Tone::Event,
            format!(
                "n{id} has heard no majority for an election timeout. It steps down by itself."
            ),
        ),
        (Leader, Follower, _) => (Tone::Event, format!("n{id} votes no more, and steps down.")),
        (_, Follower, Cause::LeaderAppears) => {
            (Tone::Good, format!("n{id} hears {leader}, leader of term {term}, and follows it."))
        }
        (_, Follower, Cause::HigherTerm) => {
            (Tone::Event, format!("n{id} hears of term {term}, and waits for its leader."))
        }
        (_, Follower, _) => (Tone::Quiet, format!("n{id} gives up, and votes for another.")),
    };
    Some(said)
}

/// A follower has found a leader, or a later term, without changing its role.
fn followed(before: &Node, after: &Node, silent: bool) -> Option<Said> {
    let (id, term) = (after.id(), after.current_term());
    match after.leader() {
        Some(leader) if silent && leader != id && before.leader() != Some(leader) => {
            Some((Tone::Good, format!("n{id} follows n{leader}, leader of term {term}.")))
        }
        None if silent && term > before.current_term() => Some((
            Tone::Event,
            format!("n{id} hears of term {term}, and forgets the leader it had."),
        )),
        Some(_) | None => None,
    }
}

/// A vote, or the promise of one.
fn answered(input: &Input, node: &Node, effects: &Effects) -> Option<Said> {
    let Input::Receive(Envelope { from, .. }) = input else { return None };
    let (id, term) = (node.id(), node.current_term());
    effects.send.iter().find_map(|outgoing| match outgoing.message.body {
        Body::RequestVoteReply { granted: true } => {
            Some((Tone::Quiet, format!("n{id} votes for n{from} in term {term}.")))
        }
        Body::PreVoteReply { granted: true, .. } => {
            let why = if node.leader().is_none() { ": it hears no leader either" } else { "" };
            Some((Tone::Quiet, format!("n{id} would vote for n{from}{why}.")))
        }
        _ => None,
    })
}

fn refused(input: &Input, node: &Node, effects: &Effects) -> Option<Said> {
    let id = node.id();
    match input {
        Input::Receive(Envelope { from, message, .. }) => {
            let asks = matches!(message.body, Body::PreVote { .. } | Body::RequestVote { .. });
            let (tone, why) =
                effects.refused.iter().find_map(|refusal| reason(*refusal, *from, id))?;
            asks.then(|| (tone, format!("n{id} says no to n{from}: {why}.")))
        }
        Input::ChangeMembers(_) | Input::TransferLeadership(_) | Input::Campaign => {
            let refusal = effects.refused.first()?;
            Some((Tone::Event, format!("n{id} declines: {refusal}.")))
        }
        _ => None,
    }
}

fn reason(refusal: Refusal, from: NodeId, id: NodeId) -> Option<Said> {
    let (tone, why) = match refusal {
        Refusal::PromiseInForce => (Tone::Good, "it has just heard its leader".to_owned()),
        Refusal::IsLeader => (Tone::Good, "it leads itself, and is heard".to_owned()),
        Refusal::LogNotUpToDate { .. } => {
            (Tone::Event, format!("n{from} has missed entries that n{id} has"))
        }
        Refusal::VotedForAnother(other) => {
            (Tone::Quiet, format!("it has voted for n{other} in this term"))
        }
        Refusal::TermNotAhead | Refusal::StaleTerm { .. } => {
            (Tone::Quiet, "that term is over".to_owned())
        }
        _ => return None,
    };
    Some((tone, why))
}

fn reconfigured(before: &Node, after: &Node) -> Option<Said> {
    let (was, is) = (before.log().latest_configuration().1, after.log().latest_configuration().1);
    let id = after.id();
    let decide = |it: &Configuration| (it.voters.clone(), it.outgoing.clone());
    (decide(was) != decide(is)).then(|| {
        let tone = if after.is_leader() { Tone::Event } else { Tone::Quiet };
        (tone, format!("For n{id}, from here on {}.", configuration(is)))
    })
}

/// Who decides.
fn configuration(configuration: &Configuration) -> String {
    let list = |ids: &mut dyn Iterator<Item = &NodeId>| {
        ids.map(|id| format!("n{id}")).collect::<Vec<_>>().join(" ")
    };
    let new = list(&mut configuration.voters.iter());
    if configuration.is_joint() {
        let old = list(&mut configuration.outgoing.iter());
        format!("two majorities have to agree: one of {old}, and one of {new}")
    } else {
        format!("a majority of {new} decides")
    }
}

/// A message: what it is in a word, and what it says.
pub(crate) fn message(envelope: &Envelope) -> (&'static str, String) {
    let Envelope { from, to, message } = envelope;
    let term = message.term;
    let (kind, says) = match &message.body {
        Body::PreVote { .. } => ("ask", format!("would you vote for me? (term {term})")),
        Body::PreVoteReply { granted: true, .. } => ("yes", "I would".to_owned()),
        Body::PreVoteReply { granted: false, .. } => ("no", format!("I would not (term {term})")),
        Body::RequestVote { .. } => ("vote", format!("vote for me in term {term}")),
        Body::RequestVoteReply { granted: true } => ("yes", format!("my vote in term {term}")),
        Body::RequestVoteReply { granted: false } => ("no", format!("no vote (term {term})")),
        Body::AppendEntries { entries, .. } if entries.is_empty() => {
            ("beat", format!("I lead term {term}"))
        }
        Body::AppendEntries { prev, entries, .. } => {
            let (first, last) = (prev.index.next(), entries.last_index(prev.index));
            let what = if first == last {
                format!("entry {first}")
            } else {
                format!("entries {first} to {last}")
            };
            ("entries", format!("I lead term {term}: {what}"))
        }
        Body::AppendEntriesReply(AppendOutcome::Accepted { match_index }) => {
            ("ok", format!("I have all up to {match_index}"))
        }
        Body::AppendEntriesReply(AppendOutcome::Conflict { .. }) => {
            ("ok", "my log does not fit there".to_owned())
        }
        Body::AppendEntriesReply(AppendOutcome::Stale) => {
            ("no", format!("your term is over, this is term {term}"))
        }
        Body::InstallSnapshot { .. } => ("entries", "a snapshot".to_owned()),
        Body::TimeoutNow => ("vote", "call an election now".to_owned()),
        Body::ReadIndex { .. } => ("ask", "where may I read?".to_owned()),
        Body::ReadIndexReply { index, .. } => ("yes", format!("read at {index}")),
    };
    (kind, format!("n{from} to n{to}: {says}"))
}
