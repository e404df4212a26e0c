//! The guards that were asked in the step that made a claim false, and a vote that was given twice.

use quorate_spec::property::release::{SentVote, vote_in};
use quorate_spec::{Envelope, NodeId, Rules};

use super::quorum::{Case, Told};
use super::story::Event;
use crate::guards::Guard;

/// The guards that were asked in a step.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Asked {
    /// In the order of `rules.rs`.
    pub guards: Vec<Guard>,
    /// The one of them that is broken, if one is, and whether it refuses here as it should be.
    pub broken: Option<(Guard, bool)>,
}

impl<R: Rules> Case<'_, R> {
    /// A server whose vote of one term goes to two candidates.
    pub(super) fn two_votes(&self, told: &mut Told) -> Option<()> {
        let here = self.events.last()?;
        let (voter, before, now) = here.iter().filter_map(sent).find_map(|envelope| {
            let vote = vote_in(&envelope)?;
            let before = self.before.server(envelope.from).last_vote?;
            let twice = before.0 >= vote.0 && before != vote;
            twice.then_some((envelope.from, before, vote))
        })?;
        let first = self.events.iter().position(|events| {
            events
                .iter()
                .filter_map(sent)
                .any(|it| it.from == voter && vote_in(&it) == Some(before))
        });
        let (step, term) = (self.step, now.0);
        told.say(format!(
            "n{voter} {}{}, and in step {step} it {}: two candidates, and one vote.",
            gave(voter, before),
            first.map_or(String::new(), |at| format!(" (step {})", at + 1)),
            gave(voter, now)
        ));
        told.mark([voter], &format!("voted twice in term {term}"));
        for (of, candidate) in [before, now].into_iter().filter(|(_, it)| *it != voter) {
            told.mark([candidate], &format!("has a vote of n{voter} in term {of}"));
        }
        self.guards_asked(told);
        Some(())
    }

    /// Which guards could have prevented the step.
    pub(super) fn guards_asked(&self, told: &mut Told) {
        let Some(Asked { guards, broken }) = self.asked else { return };
        if let Some((guard, refuses)) = broken {
            let name = guard.name();
            told.say(match refuses {
                true => format!("The guard `{name}` (spec/src/rules.rs) should have refused it."),
                false => format!("The guard that is broken here: `{name}` (spec/src/rules.rs)."),
            });
        }
        if !guards.is_empty() {
            let names: Vec<String> = guards.iter().map(|it| format!("`{}`", it.name())).collect();
            told.say(format!("The guards that were asked in this step: {}.", names.join(", ")));
        }
    }
}

/// The message that is sent in an event, if one is.
fn sent(event: &Event) -> Option<Envelope> {
    match event {
        Event::Passes(envelope) | Event::Leaves(envelope) | Event::IsLost(envelope) => {
            Some((**envelope).clone())
        }
        Event::At(..) | Event::Everywhere(_) | Event::Arrives(_) => None,
    }
}

/// A vote in words: a candidate gives one to itself by asking for others.
fn gave(voter: NodeId, (term, candidate): SentVote) -> String {
    if voter == candidate {
        format!("asked for votes for itself in term {term}")
    } else {
        format!("sent n{candidate} its vote of term {term}")
    }
}
