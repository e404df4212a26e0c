//! The roles of a server, and every way from one to another.

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use crate::message::Stamp;
use crate::small::{Map, Set};
use crate::types::{Index, Instant, NodeId, Token};

/// What a server is at present, with what only that role knows.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Role {
    /// It follows a leader, or waits for one.
    Follower {
        /// The leader of the current term, once heard.
        leader: Option<NodeId>,
    },
    /// It asks whether it could win, without raising its term.
    PreCandidate(Campaign),
    /// It asks for votes in its term.
    Candidate(Campaign),
    /// It leads its term.
    Leader(Leadership),
}

/// A round of votes or pre-votes.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Campaign {
    /// When the round began: the name of a round of pre-votes.
    pub round: Instant,
    /// Which other servers granted.
    pub granted: Set<NodeId>,
    /// When each server was asked last.
    pub asked: Map<NodeId, Instant>,
    /// Whether the leader has handed its leadership over to this server.
    pub handover: bool,
}

impl Campaign {
    pub(crate) fn new(round: Instant) -> Campaign {
        Campaign { round, granted: Set::new(), asked: Map::new(), handover: false }
    }
}

/// What a leader knows of the others.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Leadership {
    /// One entry for each other member, and for who was one until the latest configuration is
    /// committed: it is to learn that it was removed.
    pub peers: Map<NodeId, Progress>,
    /// The number of the latest round in which reads are confirmed; 0 before the first.
    pub round: u64,
    /// The reads that wait for their round, in the order of their rounds.
    pub reads: Vec<PendingRead>,
    /// The transfer that is under way, if one is.
    pub transfer: Option<Transfer>,
    /// Whether a TimeoutNow of this term may be under way: from then on this leader holds no
    /// lease (rule L6).
    pub handed_over: bool,
}

impl Leadership {
    /// What a leader knows that has just been elected.
    pub(crate) fn new(peers: Map<NodeId, Progress>) -> Leadership {
        let (round, reads) = (0, Vec::new());
        Leadership { peers, round, reads, transfer: None, handed_over: false }
    }
}

/// A read that waits until a quorum has answered a request that was made after it had come.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct PendingRead {
    /// Its name at whoever was asked.
    pub token: Token,
    /// The follower that was asked and sent it here; none if this server was asked itself.
    pub forwarded_by: Option<NodeId>,
    /// Where it may be served (rules R1, R2).
    pub index: Index,
    /// The round that confirms it (rule R3).
    pub round: u64,
}

/// A leader's attempt to hand its leadership over (thesis §3.10).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Transfer {
    /// To whom.
    pub to: NodeId,
    /// When it is given up.
    pub deadline: Instant,
    /// Whether the server was told to campaign since it was last asked for an answer.
    pub told: bool,
}

/// What a leader knows of one follower.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Progress {
    /// The follower's durable log agrees with the leader's up to here (claim MatchIndexSound).
    pub match_index: Index,
    /// The next entry to send.
    pub next_index: Index,
    /// How entries are sent at present.
    pub pace: Pace,
    /// When the last request left; none if another one is due.
    pub sent_at: Option<Instant>,
    /// When the follower last answered in this term. A new leader counts the votes that elected
    /// it, as of its election; without check-quorum there is none. The model forgets contacts that
    /// are an election timeout old.
    pub last_contact: Option<Instant>,
    /// The round of the latest request to it, for the reads that wait.
    pub asked: u64,
    /// The latest round that it has answered, and when the latest request was made that it has:
    /// it promised then, or later, to help nobody else (rule L1).
    pub heard: Stamp,
}

/// Whether the leader looks for the place where the logs agree, streams entries, or moves a
/// snapshot.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Pace {
    /// One request at a time until one is accepted.
    Probe,
    /// Requests follow each other; the last index of each that is not acknowledged.
    Replicate(Vec<Index>),
    /// A snapshot up to this index is on its way. Heartbeats go on meanwhile (bug G20).
    Snapshot(Index),
}

/// The name of a role.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub enum RoleName {
    /// [`Role::Follower`].
    Follower,
    /// [`Role::PreCandidate`].
    PreCandidate,
    /// [`Role::Candidate`].
    Candidate,
    /// [`Role::Leader`].
    Leader,
}

impl Progress {
    /// What a leader knows of a server that it has not heard yet.
    pub(crate) fn unknown(next_index: Index, last_contact: Option<Instant>) -> Progress {
        Progress {
            match_index: Index::ZERO,
            next_index,
            pace: Pace::Probe,
            sent_at: None,
            last_contact,
            asked: 0,
            heard: Stamp::NONE,
        }
    }
}

impl fmt::Display for RoleName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            RoleName::Follower => "Follower",
            RoleName::PreCandidate => "PreCandidate",
            RoleName::Candidate => "Candidate",
            RoleName::Leader => "Leader",
        })
    }
}

impl Role {
    /// The role's name.
    #[must_use]
    pub fn name(&self) -> RoleName {
        match self {
            Role::Follower { .. } => RoleName::Follower,
            Role::PreCandidate(_) => RoleName::PreCandidate,
            Role::Candidate(_) => RoleName::Candidate,
            Role::Leader(_) => RoleName::Leader,
        }
    }
}

/// Why a server changes its role.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Cause {
    /// It heard no leader for an election timeout, or an operator asked it to campaign.
    Timeout,
    /// A quorum would vote for it, or did.
    Quorum,
    /// It heard the leader of its term.
    LeaderAppears,
    /// It voted for another server.
    GrantsVote,
    /// It heard of a higher term.
    HigherTerm,
    /// It had no contact to a quorum for an election timeout (thesis §6.2).
    LostQuorum,
    /// It led a cluster that it is no voter of any more, until that was committed (thesis §4.2.2).
    Removed,
    /// The leader has handed its leadership over (thesis §3.10).
    Handover,
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Cause::Timeout => "election timeout",
            Cause::Quorum => "majority grants",
            Cause::LeaderAppears => "leader appears",
            Cause::GrantsVote => "votes for another",
            Cause::HigherTerm => "higher term",
            Cause::LostQuorum => "quorum lost",
            Cause::Removed => "removed",
            Cause::Handover => "leadership handed over",
        })
    }
}

/// A change of role: from, to, and why.
pub type Transition = (RoleName, RoleName, Cause);

/// Every change of role that a running server makes (claim StateTransitions). The transition
/// functions change the role in one place, which holds them to this table, the cause included.
///
/// From a role to itself there is a row where a new round begins. A follower that hears of
/// another leader or term remains one, and so does a leader that hears an answer: no row.
pub const TRANSITIONS: [Transition; 17] = {
    use Cause::{
        GrantsVote, Handover, HigherTerm, LeaderAppears, LostQuorum, Quorum, Removed, Timeout,
    };
    use RoleName::{Candidate, Follower, Leader, PreCandidate};
    [
        (Follower, PreCandidate, Timeout),
        (Follower, Candidate, Timeout),
        (Follower, Candidate, Handover),
        (PreCandidate, PreCandidate, Timeout),
        (PreCandidate, Candidate, Quorum),
        (PreCandidate, Candidate, Handover),
        (PreCandidate, Follower, LeaderAppears),
        (PreCandidate, Follower, GrantsVote),
        (PreCandidate, Follower, HigherTerm),
        (Candidate, Candidate, Timeout),
        (Candidate, PreCandidate, Timeout),
        (Candidate, Leader, Quorum),
        (Candidate, Follower, LeaderAppears),
        (Candidate, Follower, HigherTerm),
        (Leader, Follower, HigherTerm),
        (Leader, Follower, LostQuorum),
        (Leader, Follower, Removed),
    ]
};

/// Whether the table has a row from one role to the other, whatever the cause.
#[must_use]
pub fn may_change(from: RoleName, to: RoleName) -> bool {
    TRANSITIONS.iter().any(|(a, b, _)| (*a, *b) == (from, to))
}

/// The state diagram of the roles in Mermaid's notation, drawn from [`TRANSITIONS`].
#[must_use]
pub fn diagram() -> String {
    use fmt::Write;
    let mut text = String::from("stateDiagram-v2\n    [*] --> Follower : start\n");
    for (from, to, cause) in TRANSITIONS {
        // Writing into a String does not fail.
        let _ = writeln!(text, "    {from} --> {to} : {cause}");
    }
    text
}
