//! Exactly-once against a deliberately dumb model: one command after the other, and nothing is ever
//! forgotten but what the limits say. The layer is cut into batches, asked again, written out and
//! read back. What a layer would do that forgets something is shown to be noticed.

use std::collections::BTreeMap;
use std::io::{self, Read, Write};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use quorate_spec::{EntryId, Index, Term};

use super::*;
use crate::record::Payload;

const LIMITS: SessionLimits = SessionLimits { sessions: 2, open_commands: 2, answer_bytes: 2 };

/// Remembers all commands, and answers each with its number; three times, which is too long to be
/// kept, where the command is divisible by four.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
struct Journal(Vec<u8>);

impl StateMachine for Journal {
    fn apply(&mut self, commands: &[Command<'_>]) -> Vec<Response> {
        let one = |command: &Command<'_>| {
            self.0.extend_from_slice(command.bytes);
            answer(&self.0)
        };
        commands.iter().map(one).collect()
    }

    fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
        let all = self.0.clone();
        move |out: &mut dyn Write| out.write_all(&all)
    }

    fn restore(&mut self, state: &mut dyn Read) -> io::Result<()> {
        self.0.clear();
        state.read_to_end(&mut self.0).map(drop)
    }
}

/// What is answered to the last command of a journal.
fn answer(journal: &[u8]) -> Response {
    let number = u8::try_from(journal.len()).expect("the scripts are short");
    let is_long = journal.last().is_some_and(|command| command.is_multiple_of(4));
    vec![number; if is_long { 3 } else { 1 }]
}

/// An entry of a script. Sessions are named by how many were opened before: some never are, and the
/// same serial comes again and again.
#[derive(Clone, Copy, Debug)]
enum Entry {
    Plain(u8),
    Open,
    Close { nth: usize },
    Named { nth: usize, serial: u64, open_from: u64, command: u8 },
}

fn entry() -> impl Strategy<Value = Entry> {
    prop_oneof![
        1 => any::<u8>().prop_map(Entry::Plain),
        2 => Just(Entry::Open),
        1 => (0..4_usize).prop_map(|nth| Entry::Close { nth }),
        12 => (0..4_usize, 1..5_u64, 0..4_u64, any::<u8>()).prop_map(|(nth, serial, open, command)| {
            Entry::Named { nth, serial, open_from: serial.saturating_sub(open), command }
        }),
    ]
}

/// What happens to the layer: a batch, or a restart from a snapshot.
type Script = Vec<(Vec<Entry>, bool)>;

fn script() -> impl Strategy<Value = Script> {
    prop::collection::vec((prop::collection::vec(entry(), 1..6), any::<bool>()), 1..10)
}

/// The entries as the log has them. A session that was never opened has the name of no entry.
fn written(script: &Script) -> Vec<(Vec<(EntryId, Payload)>, bool)> {
    let (mut index, mut opened) = (0, Vec::new());
    let mut name = |entry: &Entry| {
        index += 1;
        let named = |nth: usize, opened: &[u64]| {
            SessionId(opened.get(nth).copied().unwrap_or(1_000 + nth as u64))
        };
        let payload = match *entry {
            Entry::Plain(command) => plain(vec![command]),
            Entry::Open => {
                opened.push(index);
                open()
            }
            Entry::Close { nth } => close(named(nth, &opened)),
            Entry::Named { nth, serial, open_from, command } => super::named(
                Name { session: named(nth, &opened), serial, open_from },
                vec![command],
            ),
        };
        (EntryId { term: Term(1), index: Index(index) }, payload)
    };
    script
        .iter()
        .map(|(batch, restart)| (batch.iter().map(&mut name).collect(), *restart))
        .collect()
}

/// What the layer is compared with, and what may be put in its place.
trait Subject {
    fn apply(&mut self, batch: &[(EntryId, &[u8])]) -> Vec<Outcome>;
    fn restart(&mut self);
    fn journal(&self) -> &[u8];
}

impl Subject for Sessions<Journal> {
    fn apply(&mut self, batch: &[(EntryId, &[u8])]) -> Vec<Outcome> {
        Sessions::apply(self, batch).expect("the journal answers each command")
    }

    fn restart(&mut self) {
        let mut bytes = Vec::new();
        self.snapshot()(&mut bytes).expect("a vector takes everything");
        *self = layer();
        self.restore(&bytes[..]).expect("it was written above");
    }

    fn journal(&self) -> &[u8] {
        &self.machine.0
    }
}

fn layer() -> Sessions<Journal> {
    Sessions::new(Journal::default(), LIMITS)
}

/// The dumb model: lists, searched from the front, the session that was used last at the end.
#[derive(Default)]
struct Dumb {
    journal: Vec<u8>,
    sessions: Vec<Remembered>,
}

/// The name of a session, what it is open from, and its answers by their serials.
type Remembered = (u64, u64, Vec<(u64, Response)>);

impl Dumb {
    fn apply(&mut self, id: EntryId, bytes: &[u8]) -> Outcome {
        match read(bytes).expect("the test wrote it") {
            Request::Plain(command) => Ok(self.execute(command)),
            Request::Open => {
                if self.sessions.len() == LIMITS.sessions {
                    self.sessions.remove(0);
                }
                self.sessions.push((id.index.0, 0, Vec::new()));
                Ok(Vec::new())
            }
            Request::Close(session) => {
                self.sessions.retain(|(name, ..)| *name != session.0);
                Ok(Vec::new())
            }
            Request::Named(name, command) => {
                let at = self.sessions.iter().position(|(session, ..)| *session == name.session.0);
                let at = at.ok_or(ProposeError::SessionExpired)?;
                let (session, open_from, mut answers) = self.sessions.remove(at);
                let open_from = open_from.max(name.open_from);
                answers.retain(|(serial, _)| *serial >= open_from);
                let known = answers.iter().find(|(serial, _)| *serial == name.serial).cloned();
                let outcome = match known {
                    Some((_, answer)) if answer.len() > LIMITS.answer_bytes => {
                        Err(ProposeError::AnswerNotKept)
                    }
                    Some((_, answer)) => Ok(answer),
                    None if name.serial < open_from => Err(ProposeError::Withdrawn),
                    None if answers.len() == LIMITS.open_commands => Err(ProposeError::TooManyOpen),
                    None => {
                        let answer = self.execute(command);
                        answers.push((name.serial, answer.clone()));
                        Ok(answer)
                    }
                };
                self.sessions.push((session, open_from, answers));
                outcome
            }
        }
    }

    fn execute(&mut self, command: &[u8]) -> Response {
        self.journal.extend_from_slice(command);
        answer(&self.journal)
    }
}

/// Runs the script, and says where the subject and the model differ; or which command was applied
/// twice, which needs no model to see.
fn agrees(mut subject: impl Subject, script: &Script) -> Result<(), TestCaseError> {
    let mut dumb = Dumb::default();
    for (batch, restart) in written(script) {
        let batch: Vec<(EntryId, &[u8])> = batch.iter().map(|(id, it)| (*id, &**it)).collect();
        let expected: Vec<Outcome> = batch.iter().map(|(id, it)| dumb.apply(*id, it)).collect();
        prop_assert_eq!(subject.apply(&batch), expected);
        prop_assert_eq!(subject.journal(), &*dumb.journal);
        if restart {
            subject.restart();
        }
    }
    Ok(())
}

fn runner() -> TestRunner {
    TestRunner::new(Config { cases: 2_000, failure_persistence: None, ..Config::default() })
}

#[test]
fn sessions_do_what_the_dumb_model_does() {
    runner().run(&script(), |script| agrees(layer(), &script)).expect("they agree");
}

/// The statement itself, without the model: no name is applied twice in the life of its session.
#[test]
fn a_name_is_applied_once() {
    let twice = |script: &Script| {
        let mut layer = layer();
        let mut applied: BTreeMap<(u64, u64), usize> = BTreeMap::new();
        for (batch, restart) in written(script) {
            for (id, bytes) in &batch {
                let before = layer.journal().len();
                Subject::apply(&mut layer, &[(*id, bytes)]);
                if let Some(Request::Named(name, _)) = read(bytes) {
                    let count = applied.entry((name.session.0, name.serial)).or_default();
                    *count += layer.journal().len() - before;
                    prop_assert!(*count <= 1, "{name:?} was applied twice");
                }
            }
            if restart {
                layer.restart();
            }
        }
        Ok(())
    };
    runner().run(&script(), |script| twice(&script)).expect("once each");
}

/// A layer that does something wrong.
struct Broken {
    layer: Sessions<Journal>,
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum How {
    /// Applies whatever comes.
    HasNoSessions,
    /// The sessions are not in the snapshot.
    ForgetsAtRestart,
    /// The answers are not in the snapshot, the sessions are.
    ForgetsAnswersAtRestart,
    /// A command of a session that has expired is applied.
    AppliesExpired,
    /// Looks for a command in earlier batches only.
    LooksAtEarlierBatches,
    /// The session that was opened first expires, however it is used.
    ExpiresTheOldest,
}

impl Subject for Broken {
    fn apply(&mut self, batch: &[(EntryId, &[u8])]) -> Vec<Outcome> {
        let mut later = Vec::new();
        let one = |(id, bytes): &(EntryId, &[u8])| match (self.how, read(bytes)) {
            (How::HasNoSessions, Some(Request::Named(_, command))) => {
                at_once(&mut self.layer, *id, command)
            }
            (How::AppliesExpired, Some(Request::Named(_, command))) => {
                match Subject::apply(&mut self.layer, &[(*id, bytes)]).remove(0) {
                    Err(ProposeError::SessionExpired) => at_once(&mut self.layer, *id, command),
                    outcome => outcome,
                }
            }
            (How::LooksAtEarlierBatches, Some(Request::Named(name, command))) => {
                match self.layer.table.admit(id.index, name) {
                    Verdict::Soon | Verdict::Apply => {
                        let answer = at_once(&mut self.layer, *id, command)?;
                        later.push((name, answer.clone()));
                        Ok(answer)
                    }
                    Verdict::Answer(answer) => Ok(answer),
                    Verdict::Refuse(error) => Err(error),
                }
            }
            (How::ExpiresTheOldest, Some(Request::Named(name, _))) => {
                let mut outcomes = Subject::apply(&mut self.layer, &[(*id, bytes)]);
                self.layer.table.forget_use(name.session);
                outcomes.remove(0)
            }
            _ => Subject::apply(&mut self.layer, &[(*id, bytes)]).remove(0),
        };
        let outcomes = batch.iter().map(one).collect();
        later.iter().for_each(|(name, answer)| self.layer.table.answered(*name, answer));
        outcomes
    }

    fn restart(&mut self) {
        match self.how {
            How::ForgetsAtRestart => self.layer.table = Table::new(LIMITS),
            How::ForgetsAnswersAtRestart => self.layer.table.forget_answers(),
            _ => self.layer.restart(),
        }
    }

    fn journal(&self) -> &[u8] {
        self.layer.journal()
    }
}

/// Has the machine apply the command, whatever the sessions say.
fn at_once(layer: &mut Sessions<Journal>, id: EntryId, bytes: &[u8]) -> Outcome {
    Ok(layer.machine.apply(&[Command { id, bytes }]).remove(0))
}

#[test]
fn a_layer_that_forgets_something_is_found() {
    for how in [
        How::HasNoSessions,
        How::ForgetsAtRestart,
        How::ForgetsAnswersAtRestart,
        How::AppliesExpired,
        How::LooksAtEarlierBatches,
        How::ExpiresTheOldest,
    ] {
        let broken = || Broken { layer: layer(), how };
        let found = runner().run(&script(), |script| agrees(broken(), &script));
        assert!(found.is_err(), "{how:?} is not noticed");
    }
}

#[test]
fn a_snapshot_of_other_limits_is_refused_and_says_so() {
    let mut bytes = Vec::new();
    layer().snapshot()(&mut bytes).expect("a vector takes everything");
    let mut other = Sessions::new(Journal::default(), SessionLimits::default());
    let error = other.restore(&bytes[..]).expect_err("it has other limits");
    assert!(error.to_string().contains("give all nodes the same"), "{error}");
    let mut same = layer();
    assert!(same.restore(&bytes[..bytes.len() - 1]).is_err(), "a snapshot that ends too early");
    assert!(same.restore(&b"something else"[..]).is_err());
}

#[test]
fn a_machine_that_does_not_answer_each_command_is_found_out() {
    struct Silent;
    impl StateMachine for Silent {
        fn apply(&mut self, _: &[Command<'_>]) -> Vec<Response> {
            Vec::new()
        }

        fn snapshot(&self) -> impl FnOnce(&mut dyn Write) -> io::Result<()> + Send + 'static {
            |_: &mut dyn Write| Ok(())
        }

        fn restore(&mut self, _: &mut dyn Read) -> io::Result<()> {
            Ok(())
        }
    }
    let mut layer = Sessions::new(Silent, LIMITS);
    let entry = (EntryId { term: Term(1), index: Index(1) }, &*plain(vec![1]));
    let wrong = layer.apply(&[entry]).expect_err("there is no answer");
    assert_eq!(wrong.to_string(), "it gave 0 responses to 1 commands: `apply` gives one to each");
}
