//! What a node could ask of its storage: a script of actions, and what the storage has to hold then.

use std::collections::BTreeMap;
use std::sync::Arc;

use quorate_spec::durable::{HardState, LogWrite, SnapshotWrite, Write};
use quorate_spec::{
    Configuration, Durable, Entries, EntryId, Index, NodeId, Persist, Snapshot, Term, WriteId,
};

use crate::random::Random;
use crate::record::{Content, MachineState, Record};

/// Something that a node does, in small numbers: where one does not fit the log, the nearest is
/// taken that does. So any list of actions is a script.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Action {
    /// Appends commands of these lengths.
    Append(Vec<u16>),
    /// Votes in a new term.
    Vote,
    /// Follows a new leader, which replaces so many of the last entries by commands of these lengths.
    Overwrite(u8, Vec<u16>),
    /// Appends a configuration entry with so many voters.
    Configure(u8),
    /// Has a state of the machine kept, which covers all but so many of the last entries.
    Keep(u8),
    /// Begins the log with the last state that was kept.
    Compact,
    /// Takes a state of the leader's machine, so many entries after its own last one, in place of
    /// its whole log.
    Install(u8),
}

/// What an action asks of the storage.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Step {
    /// [`Storage::submit`](crate::Storage::submit).
    Submit(Box<Persist>, Vec<Record>),
    /// [`Storage::keep`](crate::Storage::keep).
    Keep(MachineState),
}

/// Everything that a storage holds.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Contents {
    /// What a node starts from.
    pub durable: Durable,
    /// The contents of the log.
    pub records: BTreeMap<Index, Record>,
    /// The state that the log begins with, and those that were kept after it.
    pub states: BTreeMap<Index, MachineState>,
}

impl Contents {
    fn apply(&mut self, step: &Step) {
        match step {
            Step::Submit(persist, records) => {
                self.durable.apply(&persist.write);
                self.records.extend(records.iter().map(|record| (record.id.index, record.clone())));
                let log = &self.durable.log;
                self.records.retain(|_, record| log.base() < record.id && log.contains(record.id));
                self.states = self.states.split_off(&log.base().index);
            }
            Step::Keep(state) => {
                self.states.insert(state.last.index, state.clone());
            }
        }
    }
}

/// A script that is being performed.
#[derive(Clone, Debug)]
pub struct Script {
    /// What the storage holds after every step so far.
    contents: Contents,
    /// What it holds if a crash comes after so many writes.
    history: Vec<Contents>,
    /// The write before the first one of the history.
    before: WriteId,
    /// Bytes that are different in each entry.
    random: Random,
}

impl Script {
    /// A script that begins with what was recovered, after a write with this number.
    #[must_use]
    pub fn new(durable: Durable, seed: u64) -> Script {
        let contents = Contents { durable, records: BTreeMap::new(), states: BTreeMap::new() };
        Script::from(contents, WriteId::NONE, seed)
    }

    /// The same, where the disk is not empty.
    #[must_use]
    pub fn from(contents: Contents, before: WriteId, seed: u64) -> Script {
        let history = vec![contents.clone()];
        Script { contents, history, before, random: Random::seeded(seed) }
    }

    /// What the storage has to show now.
    #[must_use]
    pub fn contents(&self) -> &Contents {
        &self.contents
    }

    /// The last write.
    #[must_use]
    pub fn last(&self) -> WriteId {
        WriteId(self.before.0 + self.history.len() as u64 - 1)
    }

    /// What a crash may leave when every write up to `persisted` was reported: the contents after
    /// that one, or after a later one. The states of the machine in them are all that were kept; a
    /// crash leaves the one that the log begins with, and may leave others.
    pub fn possible(&self, persisted: WriteId) -> impl Iterator<Item = (WriteId, &Contents)> {
        let all = self.history.iter().enumerate();
        let all = all.map(|(after, contents)| (WriteId(self.before.0 + after as u64), contents));
        all.filter(move |(id, _)| *id >= persisted)
    }

    /// The steps of an action.
    pub fn perform(&mut self, action: &Action) -> Vec<Step> {
        let steps = match action {
            Action::Append(lengths) => {
                let term = self.contents.durable.hard_state.current_term.max(Term(1));
                vec![self.change(0, term, lengths)]
            }
            Action::Vote => {
                let current_term = self.contents.durable.hard_state.current_term.next();
                let voted_for = Some(NodeId(current_term.0 % 3 + 1));
                let hard_state = Some(HardState { current_term, voted_for });
                vec![self.write(Write { hard_state, ..Write::default() }, Vec::new())]
            }
            Action::Overwrite(back, lengths) => {
                let term = self.contents.durable.hard_state.current_term.next();
                vec![self.change(u64::from(*back), term, lengths)]
            }
            Action::Configure(voters) => vec![self.configure(*voters)],
            Action::Keep(back) => {
                let log = &self.contents.durable.log;
                let index = log.last().index.0.saturating_sub(u64::from(*back));
                let term = log.term_at(Index(index)).filter(|_| Index(index) > log.base().index);
                let last = term.map(|term| EntryId { term, index: Index(index) });
                last.map(state).into_iter().collect()
            }
            Action::Compact => self.compact().into_iter().collect(),
            Action::Install(ahead) => self.install(u64::from(*ahead) + 1),
        };
        for step in &steps {
            self.contents.apply(step);
            // A crash after any write finds every state that was kept before or behind it.
            match step {
                Step::Submit(..) => self.history.push(self.contents.clone()),
                Step::Keep(state) => {
                    if let Some(last) = self.history.last_mut() {
                        last.states.insert(state.last.index, state.clone());
                    }
                }
            }
        }
        steps
    }

    fn write(&self, write: Write, records: Vec<Record>) -> Step {
        Step::Submit(Box::new(Persist { id: self.last().next(), write }), records)
    }

    /// The hard state that goes with entries of this term, if it is a new one.
    fn hard_state(&self, current_term: Term) -> Option<HardState> {
        let is_new = current_term > self.contents.durable.hard_state.current_term;
        is_new.then_some(HardState { current_term, voted_for: None })
    }

    fn change(&mut self, back: u64, term: Term, lengths: &[u16]) -> Step {
        let log = &self.contents.durable.log;
        let keep = Index(log.last().index.0.saturating_sub(back)).max(log.base().index);
        let entries = Entries::of_term(keep, term, lengths.len() as u64);
        let ids: Vec<EntryId> = entries.ids(keep).collect();
        let records = ids.into_iter().zip(lengths).map(|(id, length)| {
            let bytes: Vec<u8> = (0..*length).map(|_| self.random.next() as u8).collect();
            Record { id, content: Content::Command(Arc::from(bytes)) }
        });
        let records = records.collect();
        let log = Some(LogWrite { keep, entries });
        let write = Write { hard_state: self.hard_state(term), log, ..Write::default() };
        self.write(write, records)
    }

    fn configure(&self, voters: u8) -> Step {
        let Durable { hard_state, log } = &self.contents.durable;
        let (keep, term) = (log.last().index, hard_state.current_term.max(Term(1)));
        let configuration = Configuration::of((1..=u64::from(voters) + 1).map(NodeId));
        let entries = Entries::of_configuration(keep, term, configuration);
        let id = EntryId { term, index: keep.next() };
        let log = Some(LogWrite { keep, entries });
        let write = Write { hard_state: self.hard_state(term), log, ..Write::default() };
        self.write(write, vec![Record { id, content: Content::Configuration }])
    }

    fn compact(&self) -> Option<Step> {
        let log = &self.contents.durable.log;
        let kept = self.contents.states.values().rev().map(|state| state.last);
        let last = kept.into_iter().find(|last| *last > log.base() && log.contains(*last))?;
        let snapshot = Some(SnapshotWrite::Compact(log.snapshot_at(last.index)?));
        Some(self.write(Write { snapshot, ..Write::default() }, Vec::new()))
    }

    fn install(&self, ahead: u64) -> Vec<Step> {
        let Durable { hard_state, log } = &self.contents.durable;
        let term = hard_state.current_term.next();
        let last = EntryId { term, index: Index(log.last().index.0 + ahead) };
        let configuration = Configuration::of([NodeId(1), NodeId(2)]);
        let snapshot = Some(SnapshotWrite::Install(Snapshot::new(last, configuration)));
        let write = Write { hard_state: self.hard_state(term), snapshot, ..Write::default() };
        let submit = self.write(write, Vec::new());
        vec![state(last), submit]
    }
}

/// The state of a machine after an entry: the same whenever it is made.
fn state(last: EntryId) -> Step {
    let mut random = Random::seeded(last.index.0 << 8 ^ last.term.0);
    let bytes: Vec<u8> = (0..last.index.0 % 50 * 40).map(|_| random.next() as u8).collect();
    Step::Keep(MachineState { last, bytes: bytes.into() })
}

/// An action of each kind.
pub(super) fn one_of_each() -> [Action; 8] {
    [
        Action::Append(vec![5]),
        Action::Vote,
        Action::Overwrite(2, Vec::new()),
        Action::Overwrite(1, vec![8]),
        Action::Configure(2),
        Action::Keep(1),
        Action::Compact,
        Action::Install(2),
    ]
}

/// A random action.
pub(super) fn random(random: &mut Random) -> Action {
    let mut below = |limit: u64| (random.next() % limit) as u8;
    let kind = below(16);
    let lengths: Vec<u16> = (0..below(4)).map(|_| u16::from(below(100)) * 4).collect();
    match kind {
        0 | 1 => Action::Vote,
        2..=4 => Action::Overwrite(below(5), lengths),
        5 => Action::Configure(below(4)),
        6 | 7 => Action::Keep(below(4)),
        8 | 9 => Action::Compact,
        10 => Action::Install(below(6)),
        _ => Action::Append(lengths),
    }
}
