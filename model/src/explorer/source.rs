//! Where a step, a guard and a refusal are in the specification: each by file and function, with
//! the text itself, so that the page shows it without a network.
//!
//! The tables name functions; line, sentence and thesis section are read from the sources that this
//! program was built from, so none of them can be out of date.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use quorate_spec::{Kind, Refusal};
use serde::Serialize;

use crate::action::ACTION_KINDS;
use crate::guards::Guard;

/// The sources that the tables name, as this program was built from them.
const FILES: [(&str, &str); 18] = [
    ("spec/src/rules.rs", include_str!("../../../spec/src/rules.rs")),
    ("spec/src/protocol.rs", include_str!("../../../spec/src/protocol.rs")),
    ("spec/src/configuration.rs", include_str!("../../../spec/src/configuration.rs")),
    ("spec/src/read_view.rs", include_str!("../../../spec/src/read_view.rs")),
    (ENTRIES, include_str!("../../../spec/src/transition/append_entries.rs")),
    (DURABILITY, include_str!("../../../spec/src/transition/durability.rs")),
    (ELECTION, include_str!("../../../spec/src/transition/election.rs")),
    (MEMBERSHIP, include_str!("../../../spec/src/transition/membership.rs")),
    (PRE_VOTE, include_str!("../../../spec/src/transition/pre_vote.rs")),
    (READ, include_str!("../../../spec/src/transition/read.rs")),
    (REPLICATION, include_str!("../../../spec/src/transition/replication.rs")),
    (REQUEST_VOTE, include_str!("../../../spec/src/transition/request_vote.rs")),
    (SNAPSHOT, include_str!("../../../spec/src/transition/snapshot.rs")),
    (TERM, include_str!("../../../spec/src/transition/term.rs")),
    (TRANSFER, include_str!("../../../spec/src/transition/transfer.rs")),
    (TRANSMIT, include_str!("../../../spec/src/transition/transmit.rs")),
    ("model/src/clocks.rs", include_str!("../clocks.rs")),
    ("model/src/model.rs", include_str!("../model.rs")),
];

const ENTRIES: &str = "spec/src/transition/append_entries.rs";
const DURABILITY: &str = "spec/src/transition/durability.rs";
const ELECTION: &str = "spec/src/transition/election.rs";
const MEMBERSHIP: &str = "spec/src/transition/membership.rs";
const PRE_VOTE: &str = "spec/src/transition/pre_vote.rs";
const READ: &str = "spec/src/transition/read.rs";
const REPLICATION: &str = "spec/src/transition/replication.rs";
const REQUEST_VOTE: &str = "spec/src/transition/request_vote.rs";
const SNAPSHOT: &str = "spec/src/transition/snapshot.rs";
const TERM: &str = "spec/src/transition/term.rs";
const TRANSFER: &str = "spec/src/transition/transfer.rs";
const TRANSMIT: &str = "spec/src/transition/transmit.rs";

/// A function of the specification, or of the model where only that acts.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Place {
    /// Its file, from the root of the repository.
    pub file: &'static str,
    /// Its name.
    pub function: &'static str,
}

const fn place(file: &'static str, function: &'static str) -> Place {
    Place { file, function }
}

/// A function with its text.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
pub struct Source {
    /// Its file, from the root of the repository.
    pub file: &'static str,
    /// Its name.
    pub function: &'static str,
    /// The line of its name, counted from 1.
    pub line: usize,
    /// What its docstring says: the rule.
    pub says: String,
    /// The sections of the Raft thesis that it cites, or that its file does.
    pub thesis: String,
    /// Its text, docstring included.
    pub text: String,
}

impl Place {
    /// A guard of the rules.
    #[must_use]
    pub fn of_guard(guard: Guard) -> Place {
        place("spec/src/rules.rs", guard.name())
    }

    /// What happens to a server that receives a message of this kind.
    #[must_use]
    pub fn of_message(kind: Kind) -> Place {
        match kind {
            Kind::PreVote => place(PRE_VOTE, "on_pre_vote"),
            Kind::PreVoteGrant | Kind::PreVoteRejection => place(PRE_VOTE, "on_pre_vote_reply"),
            Kind::RequestVote => place(REQUEST_VOTE, "on_request_vote"),
            Kind::VoteGrant | Kind::VoteRejection => place(REQUEST_VOTE, "on_vote_reply"),
            Kind::AppendEntries => place(ENTRIES, "on_append_entries"),
            Kind::AppendAccepted | Kind::AppendConflict | Kind::AppendStale => {
                place(REPLICATION, "on_append_reply")
            }
            Kind::InstallSnapshot => place(SNAPSHOT, "on_install_snapshot"),
            Kind::TimeoutNow => place(TRANSFER, "on_timeout_now"),
            Kind::ReadIndex => place(READ, "on_read_index"),
            Kind::ReadIndexReply => place(READ, "on_read_index_reply"),
        }
    }

    /// What happens in an action of this kind, beside what its messages do; see
    /// [`ACTION_KINDS`]. None where messages are all of it.
    #[must_use]
    pub fn of_action(kind: &str) -> Option<Place> {
        Some(match kind {
            "Timeout" => place(ELECTION, "tick"),
            "Tick" => place(ELECTION, "check_quorum"),
            "Lapse" => Place::of_guard(Guard::promise_permits_vote),
            "Campaign" => place(ELECTION, "campaign"),
            "Propose" => place(REPLICATION, "propose"),
            "Report" => place(DURABILITY, "persisted"),
            "Crash" => place("spec/src/protocol.rs", "start"),
            "Exchange" | "Park" => place(TRANSMIT, "poll_transmit"),
            "TakeSnapshot" => place(SNAPSHOT, "snapshot_taken"),
            "StopMoving" => place(SNAPSHOT, "snapshot_reported"),
            "ChangeMembers" => place(MEMBERSHIP, "change_members"),
            "Wipe" => Place::of_guard(Guard::is_addressed),
            "Read" => place(READ, "read"),
            "Transfer" => place(TRANSFER, "transfer_leadership"),
            "Advance" | "AdvanceAll" => place("model/src/clocks.rs", "advance"),
            "Heal" | "Break" => place("model/src/model.rs", "cuts"),
            _ => return None,
        })
    }

    /// What a change of a server's state comes from, whatever set it off.
    #[must_use]
    pub fn of_change(change: Change) -> Place {
        match change {
            Change::Elected => place(ELECTION, "tally_votes"),
            Change::Candidate => place(ELECTION, "become_candidate"),
            Change::HigherTerm => place(TERM, "receive"),
            Change::LeaderCommits => place(REPLICATION, "advance_commit"),
            Change::FollowerCommits => Place::of_guard(Guard::follower_commit),
        }
    }

    /// The places that the tables name.
    pub fn all() -> impl Iterator<Item = Place> {
        let guards = Guard::ALL.iter().map(|guard| Place::of_guard(*guard));
        let messages = Kind::ALL.into_iter().map(Place::of_message);
        let actions = ACTION_KINDS.into_iter().filter_map(Place::of_action);
        let changes = Change::ALL.into_iter().map(Place::of_change);
        guards.chain(messages).chain(actions).chain(changes).chain(REFUSING)
    }

    /// How the page refers to it.
    #[must_use]
    pub fn key(&self) -> String {
        format!("{}#{}", self.file, self.function)
    }
}

/// What can come of a step, each of one function.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Change {
    /// A server has become leader.
    Elected,
    /// A server has become candidate.
    Candidate,
    /// A server has heard of a higher term.
    HigherTerm,
    /// A leader has committed entries.
    LeaderCommits,
    /// Another server has learnt that entries are committed.
    FollowerCommits,
}

impl Change {
    /// All of them.
    pub const ALL: [Change; 5] = [
        Change::Elected,
        Change::Candidate,
        Change::HigherTerm,
        Change::LeaderCommits,
        Change::FollowerCommits,
    ];
}

/// What gives a refusal: guards of the rules, one of which said no, or else a test that safety does
/// not rest on.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Refuser {
    /// The guards that give it.
    pub guards: &'static [Guard],
    /// The function that gives it where no guard does; none if many do, each for what it takes.
    pub otherwise: Option<Place>,
}

/// The functions that refuse without a guard, for [`Place::all`].
const REFUSING: [Place; 15] = [
    place(TERM, "promise_permits"),
    place(TERM, "receive"),
    place(ELECTION, "may_campaign"),
    place(ELECTION, "may_stand"),
    place(REQUEST_VOTE, "may_grant_vote"),
    place(PRE_VOTE, "may_grant_pre_vote"),
    place(PRE_VOTE, "on_pre_vote_reply"),
    place(MEMBERSHIP, "first_configuration"),
    place(MEMBERSHIP, "may_append_configuration"),
    place(MEMBERSHIP, "have_caught_up"),
    place(REPLICATION, "advance_commit"),
    place(READ, "fail_reads"),
    place(READ, "read"),
    place("spec/src/configuration.rs", "is_possible"),
    place("spec/src/read_view.rs", "lease_read"),
];

impl Refuser {
    /// What gives this refusal: the one table from refusals to rules.
    #[must_use]
    pub fn of(refusal: &Refusal) -> Refuser {
        let possible = place("spec/src/configuration.rs", "is_possible");
        let (guards, otherwise): (&[Guard], Place) = match refusal {
            Refusal::Malformed | Refusal::NotInThatRole | Refusal::NotLeader { .. } => {
                return Refuser { guards: &[], otherwise: None };
            }
            Refusal::PromiseInForce => (
                &[
                    Guard::promise_permits_vote,
                    Guard::promise_permits_pre_vote,
                    Guard::promise_permits_campaign,
                ],
                place(TERM, "promise_permits"),
            ),
            Refusal::IsLeader => (&[Guard::leader_may_vote], place(ELECTION, "may_campaign")),
            Refusal::LogNotUpToDate { .. } => {
                (&[Guard::log_is_up_to_date], place(REQUEST_VOTE, "may_grant_vote"))
            }
            Refusal::VotedForAnother(_) => {
                (&[Guard::vote_is_free], place(REQUEST_VOTE, "may_grant_vote"))
            }
            Refusal::NotAVoter => (&[Guard::is_promotable], place(ELECTION, "may_stand")),
            Refusal::AnotherIncarnation { .. } => (&[Guard::is_addressed], place(TERM, "receive")),
            Refusal::NotAPeer => (&[], place(REPLICATION, "on_append_reply")),
            Refusal::MembersUnknown => {
                (&[Guard::knows_configuration], place(SNAPSHOT, "snapshot_taken"))
            }
            Refusal::NoVoters
            | Refusal::LastVoter(_)
            | Refusal::VoterAndLearner(_)
            | Refusal::TooManyMembers { .. } => (&[], possible),
            Refusal::ChangeInFlight => {
                (&[Guard::follows_configuration], place(MEMBERSHIP, "first_configuration"))
            }
            Refusal::NoCommitInTerm => (
                &[Guard::has_committed_in_term, Guard::may_hold_lease],
                place(MEMBERSHIP, "may_append_configuration"),
            ),
            Refusal::NothingToChange => (&[], place(MEMBERSHIP, "first_configuration")),
            Refusal::NotCaughtUp(_) => {
                (&[Guard::has_caught_up], place(MEMBERSHIP, "have_caught_up"))
            }
            Refusal::StaleTerm { .. } => (
                &[
                    Guard::votes_for_term,
                    Guard::counts_vote,
                    Guard::takes_entries_of,
                    Guard::counts_answer,
                    Guard::obeys_timeout_now,
                ],
                place(TERM, "receive"),
            ),
            Refusal::PreVoteHasNoTerm => (&[Guard::adopts_term], place(TERM, "receive")),
            Refusal::TermNotAhead => (&[], place(PRE_VOTE, "may_grant_pre_vote")),
            Refusal::AnotherRound => {
                (&[Guard::counts_pre_vote], place(PRE_VOTE, "on_pre_vote_reply"))
            }
            Refusal::TermTooHigh => (&[], place(TERM, "receive")),
            Refusal::Overloaded { .. } => (&[], place(REPLICATION, "propose")),
            Refusal::EarlierTerm => (&[Guard::may_commit], place(REPLICATION, "advance_commit")),
            Refusal::SnapshotCovered => {
                (&[Guard::may_compact, Guard::may_install], place(SNAPSHOT, "snapshot_taken"))
            }
            Refusal::NotCommitted => (&[Guard::may_compact], place(SNAPSHOT, "snapshot_taken")),
            Refusal::NoLease => (&[], place("spec/src/read_view.rs", "lease_read")),
            Refusal::TransferInFlight => (
                &[Guard::may_propose, Guard::lease_survives],
                place(TRANSFER, "transfer_leadership"),
            ),
            Refusal::CannotLead(_) => (&[], place(TRANSFER, "transfer_leadership")),
            Refusal::LostLeadership => (&[Guard::fails_reads], place(READ, "fail_reads")),
            Refusal::SameToken(_) => (&[], place(READ, "read")),
        };
        Refuser { guards, otherwise: Some(otherwise) }
    }

    /// The place to look at, given which guards said no and which function takes the input: the
    /// first of those guards, or else where it is refused without one.
    #[must_use]
    pub fn place(&self, said_no: impl Fn(Guard) -> bool, takes: Place) -> Place {
        let guard = self.guards.iter().find(|guard| said_no(**guard));
        let guard = guard.map(|guard| Place::of_guard(*guard));
        guard.or(self.otherwise).unwrap_or(takes)
    }
}

/// Every function that the tables name, by its key.
pub(super) static SOURCES: LazyLock<BTreeMap<String, Source>> =
    LazyLock::new(|| Place::all().filter_map(|place| Some((place.key(), find(place)?))).collect());

/// The function with its text; none if it is not there.
#[must_use]
pub fn find(place: Place) -> Option<Source> {
    let text = FILES.iter().find(|(file, _)| *file == place.file)?.1;
    let lines: Vec<&str> = text.lines().collect();
    let opens = |line: &str| {
        let name = line.split_once("fn ").map(|(_, rest)| rest.strip_prefix(place.function));
        let next = name.flatten().and_then(|rest| rest.chars().next());
        matches!(next, Some('(' | '<')) && !line.trim_start().starts_with("//")
    };
    let at = lines.iter().position(|line| opens(line))?;
    let above = |line: &&&str| line.trim_start().starts_with("///") || line.contains("#[");
    let first = at - lines[..at].iter().rev().take_while(above).count();
    let indent = lines[at].len() - lines[at].trim_start().len();
    let end = format!("{}}}", " ".repeat(indent));
    let last = at + lines[at..].iter().position(|line| **line == end)?;
    let docs = lines[first..at].iter().filter_map(|line| line.trim_start().strip_prefix("///"));
    let docs = docs.map(str::trim).collect::<Vec<_>>().join(" ");
    let module = lines.iter().map_while(|line| line.strip_prefix("//!")).map(str::trim);
    let module = module.collect::<Vec<_>>().join(" ");
    let says = if docs.is_empty() { opening(&module) } else { docs.clone() };
    // Guards stand under headings that cite the thesis.
    let heading = lines[..first].iter().rev().map(|line| line.trim_start());
    let heading = heading.into_iter().find(|line| line.starts_with("// ") && line.contains('§'));
    let known = BEYOND.iter().find(|(function, _)| *function == place.function);
    let known = known.map_or("", |(_, sections)| *sections);
    let thesis = [docs.as_str(), heading.unwrap_or_default(), known, &module].map(sections);
    let thesis = thesis.into_iter().find(|sections| !sections.is_empty()).unwrap_or_default();
    let cut = |line: &&str| line.get(indent..).unwrap_or_default().to_owned();
    let text = lines[first..=last].iter().map(cut).collect::<Vec<_>>().join("\n");
    let Place { file, function } = place;
    Some(Source { file, function, line: at + 1, says, thesis, text })
}

/// The thesis sections of functions that cite none, nor do their files.
const BEYOND: [(&str, &str); 5] = [
    ("start", "§3.8"),
    ("is_possible", "§4.1"),
    ("lease_read", "§6.4.1"),
    ("advance", "§6.4.1"),
    ("poll_transmit", "§3.5"),
];

/// The first sentence of a module's description.
fn opening(module: &str) -> String {
    module.split_inclusive(". ").next().unwrap_or_default().trim().to_owned()
}

/// The sections of the thesis that a text cites, as `§3.4, §3.6.1`.
fn sections(text: &str) -> String {
    let cited = text.split('§').skip(1).map(|rest| {
        let section: String =
            rest.chars().take_while(|c| c.is_ascii_digit() || *c == '.').collect();
        format!("§{}", section.trim_end_matches('.'))
    });
    let mut cited: Vec<String> = cited.filter(|section| section.len() > "§".len()).collect();
    cited.dedup();
    cited.join(", ")
}
