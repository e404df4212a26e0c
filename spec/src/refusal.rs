//! Why the protocol refused something.

use core::fmt;

use crate::types::{EntryId, Instant, NodeId, Term, Token};

/// The reason why an input, or a part of it, had no effect.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub enum Refusal {
    /// The server heard a leader less than an election timeout ago, and promised not to help
    /// another one for that long (thesis §4.2.3, §6.4.1).
    PromiseInForce,
    /// The server is the leader and does not help another one.
    IsLeader,
    /// The candidate's log lacks entries that the voter has (thesis §3.6.1).
    LogNotUpToDate {
        /// The last entry of the candidate's log.
        candidate: EntryId,
        /// The last entry of the voter's log.
        voter: EntryId,
    },
    /// The server has voted for another candidate in this term (thesis §3.4).
    VotedForAnother(NodeId),
    /// The server is no voter, neither of its latest configuration nor of one that may come back,
    /// and cannot campaign.
    NotAVoter,
    /// The message is to a server that is no more: its disk was lost, and this one is another,
    /// though it may have the same address (thesis §3.8, bug E22).
    AnotherIncarnation {
        /// Whom the message is to.
        to: NodeId,
    },
    /// The answer comes from a server to which the leader sends nothing (any more).
    NotAPeer,
    /// The server does not know who the members were at that entry: it has joined later.
    MembersUnknown,
    /// The cluster would have no voter.
    NoVoters,
    /// The cluster would lose its last voter.
    LastVoter(NodeId),
    /// The server is named as a voter and as a learner.
    VoterAndLearner(NodeId),
    /// More members are asked for than a configuration may have.
    TooManyMembers {
        /// How many are asked for.
        members: usize,
        /// How many there may be.
        limit: usize,
    },
    /// Another change of the members is under way (rule J6).
    ChangeInFlight,
    /// The leader has not committed an entry of its own term (rule J6, bug E1).
    NoCommitInTerm,
    /// The cluster has these members already, or is on its way to them.
    NothingToChange,
    /// The server does not have what is committed, and would hold up every commit as a voter
    /// (thesis §4.2.1).
    NotCaughtUp(NodeId),
    /// The message is of a term that is over.
    StaleTerm {
        /// The message's term.
        message: Term,
        /// The server's term.
        current: Term,
    },
    /// A pre-vote does not raise the term of who is asked (thesis §9.6).
    PreVoteHasNoTerm,
    /// A pre-vote is granted only for a term after the voter's own.
    TermNotAhead,
    /// The pre-vote answers another round than the present one.
    AnotherRound,
    /// The message belongs to a role that the server no longer has.
    NotInThatRole,
    /// The term is at or above [`Term::LIMIT`]: the sender is broken.
    TermTooHigh,
    /// The message contradicts itself or cannot come from an honest peer.
    Malformed,
    /// Only the leader takes proposals.
    NotLeader {
        /// The leader to ask, if it is known.
        leader: Option<NodeId>,
    },
    /// The leader has as many entries that are not committed as it may: try again later.
    Overloaded {
        /// How many entries are not committed.
        uncommitted: u64,
        /// How many may be.
        limit: u64,
    },
    /// An entry of an earlier term is not committed by counting copies (thesis §3.6.2).
    EarlierTerm,
    /// What a snapshot covers is covered here already: by a snapshot, or by committed entries.
    SnapshotCovered,
    /// A snapshot covers only what is committed, and no entry after that (rule S1).
    NotCommitted,
    /// No lease is held.
    NoLease,
    /// The leader is handing its leadership over, or has told another server to campaign.
    TransferInFlight,
    /// Leadership can be handed over only to another voter.
    CannotLead(NodeId),
    /// The server led when it was asked for the read, and leads no more.
    LostLeadership,
    /// A read of this name waits already.
    SameToken(Token),
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Refusal::PromiseInForce => {
                f.write_str("it heard a leader less than an election timeout ago")
            }
            Refusal::IsLeader => f.write_str("it is the leader itself"),
            Refusal::LogNotUpToDate { candidate, voter } => {
                write!(f, "the candidate's log ends at {candidate:?}, the voter's at {voter:?}")
            }
            Refusal::VotedForAnother(other) => write!(f, "it voted for n{other} in this term"),
            Refusal::NotAVoter => f.write_str("it is not a voter of its latest configuration"),
            Refusal::AnotherIncarnation { to } => {
                write!(f, "the message is to n{to}, which is another server")
            }
            Refusal::NotAPeer => f.write_str("the answer comes from a server that is no member"),
            Refusal::MembersUnknown => f.write_str(
                "the server joined after that entry: take a snapshot at the entry that names it, or later",
            ),
            Refusal::NoVoters => f.write_str("a cluster needs a voter: name at least one"),
            Refusal::LastVoter(last) => {
                write!(f, "n{last} is the last voter: name another one in its place")
            }
            Refusal::VoterAndLearner(both) => {
                write!(f, "n{both} is named as a voter and as a learner: name it once")
            }
            Refusal::TooManyMembers { members, limit } => {
                write!(f, "{members} members are more than {limit}: name fewer")
            }
            Refusal::ChangeInFlight => f.write_str(
                "another change of the members is under way: ask again when it is complete",
            ),
            Refusal::NoCommitInTerm => f.write_str(
                "the leader has not committed an entry of its own term yet: ask again soon",
            ),
            Refusal::NothingToChange => f.write_str(
                "these are the members already, or will be soon: there is nothing to do",
            ),
            Refusal::NotCaughtUp(behind) => {
                write!(f, "n{behind} has not caught up yet: wait for it, or ask for other members")
            }
            Refusal::StaleTerm { message, current } => {
                write!(f, "the message is of term {message}, the server in term {current}")
            }
            Refusal::PreVoteHasNoTerm => f.write_str("a pre-vote raises nobody's term"),
            Refusal::TermNotAhead => f.write_str("the term asked for is not after the voter's"),
            Refusal::AnotherRound => f.write_str("it answers another round of pre-votes"),
            Refusal::NotInThatRole => f.write_str("the server is no longer in that role"),
            Refusal::TermTooHigh => f.write_str("the term is impossibly high"),
            Refusal::Malformed => f.write_str("the message is malformed"),
            Refusal::NotLeader { leader: Some(leader) } => {
                write!(f, "this server is not the leader: ask n{leader}")
            }
            Refusal::NotLeader { leader: None } => {
                f.write_str("this server is not the leader and knows none: try again later")
            }
            Refusal::Overloaded { uncommitted, limit } => write!(
                f,
                "{uncommitted} entries wait to be committed, of at most {limit}: try again later"
            ),
            Refusal::EarlierTerm => {
                f.write_str("an entry of an earlier term is committed only with one of this term")
            }
            Refusal::SnapshotCovered => f.write_str("what the snapshot covers is covered already"),
            Refusal::NotCommitted => f.write_str("the snapshot covers what is not committed here"),
            Refusal::NoLease => f.write_str("no lease is held: ask the leader"),
            Refusal::TransferInFlight => {
                f.write_str("the leader is handing its leadership over: try again soon")
            }
            Refusal::CannotLead(id) => {
                write!(f, "n{id} cannot take the leadership over: name another voter")
            }
            Refusal::LostLeadership => {
                f.write_str("the server leads no more: ask again, for the new leader")
            }
            Refusal::SameToken(token) => {
                write!(f, "a read of the name {token} waits already: use another name")
            }
        }
    }
}

impl core::error::Error for Refusal {}

/// Refuses what was said in another term than the present one.
pub(crate) fn in_this_term(message: Term, current: Term) -> Result<(), Refusal> {
    if message == current { Ok(()) } else { Err(Refusal::StaleTerm { message, current }) }
}

/// Refuses while a promise not to vote is in force.
pub(crate) fn promise_is_over(now: Instant, promised_until: Instant) -> Result<(), Refusal> {
    if now >= promised_until { Ok(()) } else { Err(Refusal::PromiseInForce) }
}
