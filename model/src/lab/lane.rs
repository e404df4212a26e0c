//! Under which rules a lane runs.

use std::fmt;

use quorate_spec::{Duration, Lease, Params};

use crate::guards::Guards;
use crate::mutation::Mutation;

/// How a leader answers reads.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Reads {
    /// It asks a quorum whether it still leads (Read-Index).
    Index,
    /// From a lease that is as long as the clocks' drift allows.
    BoundedLease,
    /// From a lease as long as the election timeout, as if clocks agreed.
    NaiveLease,
}

/// The switches of a lane. As text: `psq` for the switches that are on, `b` or `n` for a lease, `0`
/// where there is none of them; then, after a hyphen, a mutant.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lane {
    pub(crate) pre_vote: bool,
    pub(crate) promise: bool,
    pub(crate) check_quorum: bool,
    pub(crate) reads: Reads,
    pub(crate) mutation: Option<Mutation>,
}

/// How much the rate of a clock may be off where a lease allows for that, in parts per million: from
/// half to one and a half times the true speed. No real clock is like that; one that is off by
/// little would not be seen.
pub(crate) const DRIFT_PPM: u32 = 500_000;

impl Lane {
    /// Reads what [`Lane`] prints.
    ///
    /// # Errors
    /// What is wrong with it, as a clause.
    pub(crate) fn parse(text: &str) -> Result<Lane, String> {
        let (switches, mutant) = match text.split_once('-') {
            Some((switches, mutant)) => (switches, Some(mutant)),
            None => (text, None),
        };
        let known = |letter: char| "psqbn0".contains(letter);
        if switches.is_empty() || !switches.chars().all(known) {
            return Err(format!(
                "a lane is 0, or any of p (Pre-Vote), s (promise), q (check-quorum), and b or n \
                 (a bounded or naive lease), and not {switches:?}"
            ));
        }
        let named = |name: &str| {
            let found = Mutation::ALL.iter().copied().find(|mutation| mutation.name() == name);
            found.ok_or_else(|| {
                format!("no mutant is named {name:?}: `quorate-model list` shows all")
            })
        };
        let reads = match (switches.contains('b'), switches.contains('n')) {
            (true, true) => return Err("a lane has one lease at most: b or n".to_owned()),
            (true, false) => Reads::BoundedLease,
            (false, true) => Reads::NaiveLease,
            (false, false) => Reads::Index,
        };
        Ok(Lane {
            pre_vote: switches.contains('p'),
            promise: switches.contains('s'),
            check_quorum: switches.contains('q'),
            reads,
            mutation: mutant.map(named).transpose()?,
        })
    }

    /// The parameters of its cluster.
    pub(crate) fn params(&self, election_timeout: Duration, heartbeat: Duration) -> Params {
        let lease = match self.reads {
            Reads::Index => None,
            Reads::BoundedLease => Some(Lease::longest(election_timeout, DRIFT_PPM, Duration(0))),
            Reads::NaiveLease => Some(Lease::longest(election_timeout, 0, Duration(0))),
        };
        Params {
            pre_vote: self.pre_vote,
            stickiness: self.promise,
            check_quorum: self.check_quorum,
            lease,
            ..Params::new(election_timeout, heartbeat)
        }
    }

    /// Its rules.
    pub(crate) fn rules(&self) -> Guards {
        self.mutation.map_or_else(Guards::sound, Guards::broken)
    }

    /// What is on, in a few words each.
    pub(crate) fn switches(&self) -> Vec<String> {
        let mut words = Vec::new();
        let election = match (self.pre_vote, self.promise) {
            (true, true) => "Pre-Vote, and the promise not to vote while a leader is heard",
            (true, false) => "Pre-Vote, without the promise not to vote",
            (false, true) => "no Pre-Vote, but the promise not to vote while a leader is heard",
            (false, false) => "naive election: no Pre-Vote, no promise",
        };
        words.push(election.to_owned());
        let quorum = if self.check_quorum { "check-quorum on" } else { "check-quorum off" };
        words.push(quorum.to_owned());
        words.push(match self.reads {
            Reads::Index => "reads ask a majority (Read-Index)".to_owned(),
            Reads::BoundedLease => "reads from a lease that allows for clocks 50 % off".to_owned(),
            Reads::NaiveLease => "reads from a lease that trusts the clocks".to_owned(),
        });
        if let Some(mutation) = self.mutation {
            words.push(format!("broken on purpose: {}", mutation.about()));
        }
        words
    }

    /// A name for a lane that no scene names.
    pub(crate) fn title(&self) -> String {
        let election = match (self.pre_vote, self.promise) {
            (true, _) => "Pre-Vote",
            (false, true) => "Promise only",
            (false, false) => "Naive election",
        };
        let reads = match self.reads {
            Reads::Index => "",
            Reads::BoundedLease => ", bounded lease",
            Reads::NaiveLease => ", naive lease",
        };
        let broken =
            self.mutation.map_or(String::new(), |mutation| format!(", {}", mutation.name()));
        let quorum = if self.check_quorum { "" } else { ", no check-quorum" };
        format!("{election}{quorum}{reads}{broken}")
    }
}

impl fmt::Display for Lane {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lease = match self.reads {
            Reads::Index => None,
            Reads::BoundedLease => Some('b'),
            Reads::NaiveLease => Some('n'),
        };
        let on = [(self.pre_vote, 'p'), (self.promise, 's'), (self.check_quorum, 'q')];
        let on = on.into_iter().filter_map(|(on, letter)| on.then_some(letter)).chain(lease);
        let text: String = on.collect();
        f.write_str(if text.is_empty() { "0" } else { &text })?;
        self.mutation.map_or(Ok(()), |mutation| write!(f, "-{}", mutation.name()))
    }
}
