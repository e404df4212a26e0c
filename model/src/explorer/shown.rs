//! A state of the Explorer: that of a walk, with the way that led to it.

use std::collections::BTreeSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use quorate_spec::property::Claim;
use serde::Serialize;

use super::counted::Counted;
use super::quorum::{Case, Explanation};
use super::source::SOURCES;
use super::story::{Event, Told};
use super::tally::ticks;
use super::view::{self, StateView};
use super::walk::{Lease, Walk};
use crate::guards::Guards;

/// A state. Stateright prints it with `{:#?}`: that is the page's JSON. Two are equal where the walk's
/// states are, however one came there.
pub struct Shown<W: Walk> {
    pub(super) walk: Arc<W>,
    /// The state.
    pub state: W::State,
    /// The steps that led here, the last one first; none at the start.
    pub(super) past: Option<Arc<Past<W>>>,
}

/// The last step of a way, and the way before it.
pub(super) struct Past<W: Walk> {
    pub(super) before: Shown<W>,
    pub(super) step: Arc<Step<W>>,
}

/// A step that a state has, told once.
pub(super) struct Step<W: Walk> {
    pub(super) action: W::Action,
    pub(super) next: W::State,
    pub(super) told: OnceLock<Told>,
}

impl<W: Walk> Step<W> {
    /// The step, which begins in this state, told.
    pub(super) fn told(&self, walk: &W, before: &W::State) -> &Told {
        self.told.get_or_init(|| walk.tell(before, &self.action, &self.next))
    }
}

impl<W: Walk> Shown<W> {
    /// The state, and those on the way to it, from the start on.
    pub(super) fn way(&self) -> Vec<&Shown<W>> {
        let mut way = vec![self];
        while let Some(past) = way.last().and_then(|shown| shown.past.as_deref()) {
            way.push(&past.before);
        }
        way.reverse();
        way
    }

    /// The step that led here, told; none at the start.
    pub(super) fn told(&self) -> Option<&Told> {
        let past = self.past.as_deref()?;
        Some(past.step.told(&self.walk, &past.before.state))
    }

    /// What the page shows of it.
    #[must_use]
    pub fn view(&self) -> StateView {
        let cluster = self.walk.cluster(&self.state);
        let mut view = view::state(&cluster, self.walk.verdicts(&self.state));
        for lease in self.walk.leases(&self.state) {
            let Lease { holder, index, ticks: left } = lease;
            let left = left.map_or(String::new(), |left| format!(" for {} more", ticks(left)));
            let says = format!("serves reads at {index}{left}");
            view.nodes[holder.0 as usize].lease = Some(says);
        }
        if view.claims.iter().any(|verdict| !verdict.holds) {
            view.explained = self.explained();
        }
        view
    }

    /// Why each claim is false that is, each by the step since which it has been; the earliest first.
    fn explained(&self) -> Vec<Explanation> {
        let way = self.way();
        let wrong: Vec<BTreeSet<String>> = way.iter().map(|shown| shown.false_claims()).collect();
        let Some(here) = wrong.last() else { return Vec::new() };
        let since = |name: &String| {
            let since = wrong.iter().rev().take_while(|wrong| wrong.contains(name)).count();
            way.len() - since
        };
        let mut broken: Vec<(usize, Claim)> = here
            .iter()
            .filter_map(|name| {
                let claim = Claim::ALL.into_iter().find(|claim| claim.name() == name);
                claim.map(|claim| (since(name), claim))
            })
            .collect();
        broken.sort_unstable();
        let clusters: Vec<_> = way.iter().map(|it| it.walk.cluster(&it.state)).collect();
        let trial = self.walk.trial();
        let mutation = trial.and_then(|trial| trial.mutation);
        let rules = mutation.map_or_else(Guards::sound, Guards::broken).silent();
        let events = |step: usize| way[step].told().map_or(&[][..], |told| &told.events);
        let counted: Vec<Counted> = (1..way.len())
            .map(|step| {
                let pair = (&clusters[step - 1], &clusters[step]);
                Counted::of(step, pair, events(step), &rules)
            })
            .collect();
        let told: Vec<&[Event]> = (1..way.len()).map(events).collect();
        let explain = |(step, claim): (usize, Claim)| {
            let before = step.saturating_sub(1);
            let arrived = events(step).first().and_then(Event::arriving);
            let asked = trial.zip(arrived).map(|(trial, it)| trial.asked(&clusters[before], it));
            let case = Case {
                step,
                // What is false at the start was made so by no step.
                before: &clusters[before],
                after: &clusters[step],
                counted: &counted[..step],
                leases: &self.walk.leases(&way[step].state),
                actor: events(step).first().and_then(Event::actor),
                rules: trial.map(|_| &rules),
                events: &told[..step],
                asked: asked.as_ref(),
            };
            case.explain(claim)
        };
        broken.into_iter().map(explain).collect()
    }

    fn false_claims(&self) -> BTreeSet<String> {
        let verdicts = self.walk.verdicts(&self.state).into_iter();
        verdicts.filter(|verdict| !verdict.holds).map(|verdict| verdict.claim).collect()
    }
}

impl<W: Walk> Clone for Shown<W> {
    fn clone(&self) -> Self {
        Shown { walk: Arc::clone(&self.walk), state: self.state.clone(), past: self.past.clone() }
    }
}

impl<W: Walk> PartialEq for Shown<W> {
    fn eq(&self, other: &Self) -> bool {
        self.state == other.state
    }
}

impl<W: Walk> Eq for Shown<W> {}

impl<W: Walk> Hash for Shown<W> {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.state.hash(state);
    }
}

impl<W: Walk> fmt::Debug for Shown<W> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut view = self.view();
        if self.past.is_none() {
            let mut header = self.walk.header();
            header.sources = Some(&*SOURCES);
            view.served = Some(header);
        }
        f.write_str(&json(&view))
    }
}

pub(super) fn json(value: &impl Serialize) -> String {
    serde_json::to_string(value).expect("the keys of a view's maps are strings")
}
